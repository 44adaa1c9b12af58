"""Chooses and writes the evaluation set: 64 held-out captions with their real pictures, every concept once."""

import json
import random

from PIL import Image

from . import data
from .host import ROOT

COUNT, SEED = 64, 7


def chosen() -> list[data.Caption]:
    """Held-out captions in random order, styles and tints taking turns, no concept twice."""
    pool = [c for c in data.captions() if data.held_out(c)]
    random.Random(SEED).shuffle(pool)
    turns = [(art, tint) for tint in data.TINTS for art in data.ARTS]
    out: list[data.Caption] = []
    while len(out) < COUNT:
        art, tint = turns[len(out) % len(turns)]
        used = {c.concept for c in out}
        out.append(next(c for c in pool if (c.art, c.tint) == (art, tint) and c.concept not in used))
    return out


def export() -> None:
    """Writes demo/data/eval: PNGs and captions.json, the first 32 for tuning, the others for reporting."""
    folder = ROOT / "data" / "eval"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i, caption in enumerate(chosen()):
        pixels = (data.picture(caption) * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(folder / f"{i:02d}.png", optimize=True)
        split = "tune" if i < COUNT // 2 else "report"
        rows.append({"file": f"{i:02d}.png", "split": split, "text": caption.text, **vars(caption)})
    (folder / "captions.json").write_text(json.dumps(rows, indent=1) + "\n")
