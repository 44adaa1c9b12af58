"""Presets for the demo's model, each with a picture that it made: so that the grid's gallery is alive in `python demo --serve`.

`python demo --presets` writes them anew into demo/presets; a served ComfyUI gets them among the user's own.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hosting.server import Server

from .captions import captions
from .making import make
from .painting import call
from .settings import HEADS, Setting

FOLDER = Path(__file__).resolve().parent / "presets"
STEPS = 20
MODEL = {"model": "sd3-4x4", "grid": {"layers": 4, "heads": 4}}
SOURCE = "python demo --presets"
CHOSEN = (
    (
        Setting("both-heads", "both heads, gently", 1.0, HEADS, 0.1),
        "closest to the real pictures of all that --tune tried",
    ),
    (Setting("both-heads-strong", "both heads, strongly", 1.0, HEADS, 0.4), "on the way to too much"),
    (Setting("first-layer", "the first layer", 1.0, "L0", 0.2), "a whole layer, for comparison"),
    (Setting("last-layer", "the last layer", 1.0, "L3", 0.2), "a whole layer, for comparison"),
)


def write(servers: Sequence[Server]) -> None:
    """Makes every preset's picture and writes both into demo/presets."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        made = make(servers, captions("tune")[:1], [setting for setting, _ in CHOSEN], 1, STEPS, Path(scratch))
        for setting, note in CHOSEN:
            (FOLDER / f"{setting.name}.json").write_text(
                json.dumps(_preset(setting, note), indent=2) + "\n", encoding="utf-8"
            )
            picture = {"from": str(made[setting.name][0][0]), "to": str(FOLDER / f"{setting.name}.jpg")}
            call(servers[0].host, "jpeg.py", picture)


def _preset(setting: Setting, note: str) -> dict[str, object]:
    group = {"heads": setting.heads, "scale": setting.scale, "strength": setting.strength, "window": [0.0, 1.0]}
    about = {"name": setting.title, "style": "demo", "note": note, "source": SOURCE}
    return {"format": "headhunter-preset/1"} | about | MODEL | {"groups": [group]}


def offer(base: Path) -> None:
    """Puts the presets among those of a served ComfyUI's user; what is there already stays as it is."""
    there = base / "user" / "default" / "headhunter" / "presets"
    there.mkdir(parents=True, exist_ok=True)
    for file in sorted(FOLDER.glob("*")):
        if not (there / file.name).exists():
            shutil.copyfile(file, there / file.name)
