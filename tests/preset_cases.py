"""The table of preset cases that drives the Python and the JavaScript reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TABLE = json.loads((Path(__file__).parent / "data" / "preset_cases.json").read_text(encoding="utf-8"))


def text_of(case: dict[str, Any]) -> str:
    """The preset text of a case."""
    return _whole(case["text"]) if "text" in case else json.dumps(TABLE["base"] | _whole(case["changes"]))


def files() -> list[tuple[str, str | None]]:
    """Names of presets and of their files."""
    return [(_whole(name), file) for name, file in TABLE["files"]]


def _whole(value: Any) -> Any:
    """`value` with what is repeated written out."""
    if isinstance(value, dict) and value.keys() == {"repeat", "times"}:
        return value["repeat"] * value["times"]
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value
