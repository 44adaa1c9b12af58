"""The pictures of a study by head: for grids that show what a head does."""

from __future__ import annotations

import math
import time
from io import BytesIO
from typing import Any

from PIL import Image

from .heat import ABOUT, heat_of
from .library import summary_of
from .study import Study

MOST_HEADS = 4_096
MOST_SIDE = 1_024
"""Of a preview in pixels; ours have 192."""
SHEET_SIDE = 2_048
TILE_SIDE = 96
SHEET_SECONDS = 10.0


def pictures_of(study: Study) -> dict[str, Any]:
    """As JSON data:

        {kind, goal, grid, prompts, unguided: {pair: number}, tile, columns,
         heads: [{head: head text, set: head text, round, score, pictures: {pair: number}}]}

    Of a head that was tried in several rounds the first is taken: there it is alone. `set`: all the heads of that picture,
    or a comparison's name for them.
    score: as in `heat.heat_of`, of that round. Numbers are for the preview route. `tile`, `columns`: how `sheet_of` lays the
    heads out, in their order here. At most MOST_HEADS. StudyError where the study is not as it should be.
    """
    scores = {
        (round["round"], head): entry[0] for round in heat_of(study)["rounds"] for head, entry in round["heads"].items()
    }
    variants = {variant["key"]: variant for variant in study.shaped("about", ABOUT).get("variants", [])}
    unguided: dict[int, int] = {}
    heads: dict[str, dict[str, Any]] = {}
    for preview in study.previews():
        variant = variants.get(preview["head"])
        head = variant["heads"] if variant else preview["head"]
        pair, number = preview["pair"], preview["round"]
        if not preview["heads"]:
            unguided[pair] = preview["number"]
        if not head or (head not in heads and len(heads) >= MOST_HEADS):
            continue
        entry = heads.get(head)
        if entry is None or number < entry["round"]:
            score = scores.get((number, head))
            entry = heads[head] = {
                "head": head,
                "set": preview["heads"],
                "round": number,
                "score": score,
                "pictures": {},
            }
        if number == entry["round"]:
            entry["pictures"][pair] = preview["number"]
    tile, columns = _layout(len(heads))
    about = {name: value for name, value in summary_of(study).items() if name in ("kind", "goal", "grid", "prompts")}
    return about | {"unguided": unguided, "tile": tile, "columns": columns, "heads": list(heads.values())}


def sheet_of(study: Study, pair: int) -> bytes:
    """The previews of every head on one pair as a single JPEG, as `pictures_of` lays them out; black where there is none, or
    none that can be read."""
    heads = pictures_of(study)["heads"]
    tile, columns = _layout(len(heads))
    whole = Image.new("RGB", (columns * tile, max(1, math.ceil(len(heads) / columns)) * tile))
    until = time.monotonic() + SHEET_SECONDS
    for index, entry in enumerate(heads):
        number = entry["pictures"].get(pair)
        if time.monotonic() > until:
            break
        picture = None if number is None else _small(study.preview(number), tile)
        if picture:
            whole.paste(picture, (index % columns * tile, index // columns * tile))
    buffer = BytesIO()
    whole.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def _layout(heads: int) -> tuple[int, int]:
    """The side of a tile in pixels, and how many there are in a row."""
    columns = max(1, math.ceil(math.sqrt(heads)))
    return min(TILE_SIDE, SHEET_SIDE // columns), columns


def _small(data: bytes | None, side: int) -> Image.Image | None:
    """A preview cut to a square and made small; None where it is no picture of ours, which anyone may have put there."""
    try:
        picture = Image.open(BytesIO(data or b""), formats=("JPEG", "PNG"))
        if max(picture.size) > MOST_SIDE:
            return None
        picture.draft("RGB", (side, side))
        picture = picture.convert("RGB")
        short = min(picture.size)
        left, top = (picture.width - short) // 2, (picture.height - short) // 2
        return picture.crop((left, top, left + short, top + short)).resize((side, side), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
