"""What each head would probably do to the score of each pair, kept in the study: the gradients are head_gradients.py's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch

from ...grid import Grid
from ...heads import Head, HeadSet, format_heads
from ...measured import AttributionError, Measured
from ...scoring.base import Scorer
from ...scoring.combine import components_of, spreads
from ...study import Study
from ..generation.generate import Generator
from ..generation.prompts import Pair
from ..progress import Progress
from .head_gradients import INSTEAD, Gradients

PAIRS_AT_ONCE = 16

Screen = Callable[
    [HeadSet, HeadSet, Sequence[int], Sequence[float], float], Iterator[tuple[Sequence[int], list[list[float]]]]
]
"""Set so far, pool, pairs, shares, price -> some of the pairs, with what `Gradients` gives for each, until all are done."""


class Attribution:
    """The `attribute` of a hunt: how much each head's addition would change the mean score, to first order.

    What a study holds is not computed again. `screen` does the pairs, several at once (hunting/workers); None: here, up to
    16 at a time. AttributionError where there is no gradient.
    """

    def __init__(
        self,
        generator: Generator,
        pairs: Sequence[Pair],
        scorer: Scorer,
        study: Study,
        grid: Grid,
        progress: Progress,
        screen: Screen | None = None,
    ):
        self.gradients = Gradients(generator, pairs, scorer, progress.send)
        self.pairs = pairs
        self.parts = components_of(scorer)
        self.study = study
        self.grid = grid
        self.progress = progress
        self.screen = screen or self._screen

    def __call__(
        self, chosen: HeadSet, pool: HeadSet, pairs: Sequence[int], price: float = 0.0
    ) -> dict[Head, Measured]:
        """What adding each head of `pool` to `chosen` would do to the score of each pair; broken pictures are left out.

        Of a head that `chosen` holds: what that much more of it would do. price: what a unit of distortion is taken off.
        """
        stored = {pair: self._stored(chosen, pair) for pair in pairs}
        by_pair = {pair: values for pair, values in stored.items() if values}
        self.progress.screened(len(by_pair), made=False)
        missing = [pair for pair in pairs if pair not in by_pair]
        if missing:
            for some, values in self.screen(chosen, pool, missing, self._shares(), price):
                for pair, row in zip(some, values, strict=True):
                    by_pair[pair] = dict(zip(map(str, pool), row, strict=True))
                    self.study.put(self._name(chosen, pair), by_pair[pair])
                self.progress.screened(len(some), made=True)
        usable = tuple(pair for pair in pairs if all(map(math.isfinite, by_pair[pair].values())))
        if not usable:
            raise AttributionError(f"No picture gave a gradient that is a finite number. {INSTEAD}")
        return {head: Measured(usable, tuple(by_pair[pair][str(head)] for pair in usable)) for head in pool}

    def _screen(
        self, chosen: HeadSet, pool: HeadSet, pairs: Sequence[int], shares: Sequence[float], price: float
    ) -> Iterator[tuple[Sequence[int], list[list[float]]]]:
        for first in range(0, len(pairs), PAIRS_AT_ONCE):
            some = pairs[first : first + PAIRS_AT_ONCE]
            yield some, self.gradients(chosen, pool, some, shares, price)

    def _stored(self, chosen: HeadSet, pair: int) -> dict[str, float]:
        """What the study holds of a pair, by head; empty for nothing. It gives back as None what is not finite."""
        values = self.study.shaped(self._name(chosen, pair), {})
        return {head: math.nan if value is None else value for head, value in values.items()}

    def _name(self, chosen: HeadSet, pair: int) -> str:
        return f"attribution of pair {pair} given {format_heads(chosen, self.grid) or 'nothing'}"

    def _shares(self) -> list[float]:
        """What each scorer's score is multiplied by in the hunt's (scoring/combine.py); 1 for a single scorer."""
        if len(self.parts) == 1:
            return [1.0]
        baseline = [self.study.scores("", pair) for pair in range(len(self.pairs))]
        units = [part.unit for part, _ in self.parts]
        deviations = spreads(torch.tensor(baseline, dtype=torch.float64).T, units).tolist()
        return [weight / deviation for (_, weight), deviation in zip(self.parts, deviations, strict=True)]
