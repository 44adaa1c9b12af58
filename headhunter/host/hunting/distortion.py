"""The distortions of a hunt's head sets, kept in its study."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...grid import Grid
from ...heads import HeadSet, format_heads
from ...study import Study
from .jobs import Each, Picture, PictureJob


class Distortions:
    """The `distort` of a hunt: the distortion of a set on each pair. What a study holds is not computed again.

    `each` does what has to be sampled.
    """

    def __init__(self, each: Each, study: Study, grid: Grid):
        self.each = each
        self.study = study
        self.grid = grid

    def __call__(self, heads: HeadSet, pairs: Sequence[int]) -> list[float]:
        text = format_heads(heads, self.grid)
        if not text:
            return [0.0] * len(pairs)
        values = {pair: self._stored(text, pair) for pair in pairs}
        missing = [pair for pair, value in values.items() if value is None]
        jobs = [PictureJob((text,), (pair,), (False,), scored=False, distortions=True) for pair in missing]
        for job, (made,) in self.each(jobs):
            values[job.pairs[0]] = self.keep(made)
        return [math.nan if value is None else value for value in values.values()]

    def keep(self, made: Picture) -> float:
        """Write down what was noticed as a picture was made."""
        value = math.nan if made.distortion is None else made.distortion
        if made.heads:
            self.study.put(self._name(made.heads, made.pair), {"distortion": value})
        return value

    def _stored(self, heads: str, pair: int) -> float | None:
        stored = self.study.shaped(self._name(heads, pair), {})
        if not stored:
            return None
        return math.nan if stored["distortion"] is None else stored["distortion"]

    def _name(self, heads: str, pair: int) -> str:
        return f"distortion of {heads} on pair {pair}"
