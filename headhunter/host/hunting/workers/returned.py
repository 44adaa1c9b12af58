"""What comes back from a worker, checked before anything of it is written: it crossed a network."""

from __future__ import annotations

import math
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from PIL import Image

from ....grid import Grid
from ....heads import parse
from ..jobs import GradientJob, Job, Outcome, Picture

MOST_BYTES = 256 * 2**20
MOST_PIXELS = 16384
FORMATS = {"preview": "JPEG", "picture": "PNG"}


class BadReturn(ValueError):
    """Something that no worker of ours gives; says what."""


def checked(job: Job, outcome: Any, scorers: int, grid: Grid) -> Outcome:
    """The outcome of a job as its maker would give it here. BadReturn names what is missing, too much or of a wrong kind.

    scorers: how many scores a picture has. grid: of the model.
    """
    _need(isinstance(outcome, list), f"{type(outcome).__name__} in place of a list")
    if isinstance(job, GradientJob):
        heads = len(parse(job.pool, grid))
        _need(len(outcome) == len(job.pairs), f"gradients of {len(outcome)} pairs, not of {len(job.pairs)}")
        for row in outcome:
            _need(isinstance(row, list) and len(row) == heads, f"not {heads} numbers for a pair")
            _check_numbers(row)
        return outcome
    wanted = [(heads, pair, kept) for pair in job.pairs for heads, kept in zip(job.sets, job.kept, strict=True)]
    _need(len(outcome) == len(wanted), f"{len(outcome)} pictures, not {len(wanted)}")
    scores = scorers if job.scored else 0
    return [_picture(picture, *asked, scores, job.distortions) for picture, asked in zip(outcome, wanted, strict=True)]


def _picture(picture: Any, heads: str, pair: int, kept: bool, scores: int, distorted: bool) -> Picture:
    names = {"heads", "pair", "scores", "preview", "picture", "distortion"}
    _need(isinstance(picture, dict) and set(picture) == names, "a picture without its fields")
    _need(
        (picture["heads"], picture["pair"]) == (heads, pair),
        f"a picture of {picture['heads']!r} on pair {picture['pair']!r}",
    )
    given = picture["scores"]
    _need(isinstance(given, (tuple, list)) and len(given) == scores, f"not {scores} scores for a picture")
    _check_numbers(given)
    _check_numbers([picture["distortion"]] if distorted else [])
    _need(distorted or picture["distortion"] is None, "a distortion that was not asked for")
    _check_image(picture["preview"], "preview")
    if kept:
        _check_image(picture["picture"], "picture")
    _need(kept or picture["picture"] is None, "a whole picture that was not asked for")
    return Picture(heads, pair, tuple(given), picture["preview"], picture["picture"], picture["distortion"])


def _check_numbers(values: Iterable[Any]) -> None:
    """Numbers; nan where a picture is broken and has no score, never an infinite one."""
    for value in values:
        _need(isinstance(value, float), f"{type(value).__name__} in place of a number")
        _need(not math.isinf(value), "an infinite number")


def _check_image(data: Any, name: str) -> None:
    """Bytes that begin as a picture of the right kind and a possible size; only its header is read."""
    _need(isinstance(data, bytes) and 0 < len(data) <= MOST_BYTES, f"no bytes for a {name}")
    try:
        with Image.open(BytesIO(data), formats=[FORMATS[name]]) as image:
            size = image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadReturn(f"a {name} that is no {FORMATS[name]} ({error})") from error
    _need(max(size) <= MOST_PIXELS, f"a {name} of {size[0]} x {size[1]} pixels")


def _need(condition: bool, what: str) -> None:
    if not condition:
        raise BadReturn(f"it gave back {what}")
