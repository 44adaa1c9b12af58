"""The presets that come with the pack."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[3] / "presets"


def shipped_names() -> list[str]:
    """The shipped presets as model/name; these names stay as they are, since workflows hold them."""
    return sorted(path.relative_to(SHIPPED).with_suffix("").as_posix() for path in SHIPPED.glob("*/*.json"))


def shipped_presets() -> list[dict[str, str]]:
    """Name and text of each, for the page, which reads it as strictly as any other preset."""
    return [{"id": name, "text": (SHIPPED / f"{name}.json").read_text(encoding="utf-8")} for name in shipped_names()]
