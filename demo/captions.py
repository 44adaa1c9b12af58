"""The captions that the demo measures on, and their real pictures. Nobody trained on them; see demo/README.md."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "data" / "eval"


@dataclass(frozen=True)
class Caption:
    """A prompt, a short name for its files, its noise seed, and the picture that it describes."""

    text: str
    name: str
    seed: int
    real: Path


def captions(split: str) -> list[Caption]:
    """The captions of a split: "tune" for choosing settings, "report" for numbers that are shown. They share no concept."""
    rows = json.loads((FOLDER / "captions.json").read_text(encoding="utf-8"))
    return [
        Caption(row["text"], f"{i:02d}-{row['concept'].replace(' ', '-')}", 1000 + i, FOLDER / row["file"])
        for i, row in enumerate(rows)
        if row["split"] == split
    ]
