"""How far the latents of head sets are from the unguided ones of the same noise: the distortion that gains are compared at."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from ...grid import Grid
from ...heads import HeadSet, format_heads
from ...study import Study
from ..generation.generate import Generator
from ..generation.prompts import Pair


def distortion(latent: Tensor, unguided: Tensor) -> float:
    """|x - x_unguided| / |x_unguided|, both of one shape."""
    unguided = unguided.double()
    return float((latent.double() - unguided).norm() / unguided.norm())


class Distortions:
    """The `distort` of a hunt: the distortion of a set on each pair. What a study holds is not computed again."""

    def __init__(self, generator: Generator, pairs: Sequence[Pair], study: Study, grid: Grid):
        self.generator = generator
        self.pairs = pairs
        self.study = study
        self.grid = grid
        self._unguided: dict[int, Tensor] = {}

    def __call__(self, heads: HeadSet, pairs: Sequence[int]) -> list[float]:
        return [self._of(heads, pair) for pair in pairs]

    def note(self, sets: Sequence[HeadSet], pair: int, latents: Tensor) -> None:
        """Take note of sampled latents [len(sets), C, ..., h, w] of a pair, so that they need not be sampled again."""
        for heads, latent in zip(sets, latents, strict=True):
            if not heads:
                self._unguided[pair] = latent.cpu()
            else:
                self._keep(heads, pair, latent)

    def _of(self, heads: HeadSet, pair: int) -> float:
        if not heads:
            return 0.0
        stored = self.study.shaped(self._name(heads, pair), {})
        if not stored:
            return self._keep(heads, pair, self.generator.latents([heads], self.pairs[pair])[0])
        return math.nan if stored["distortion"] is None else stored["distortion"]

    def _keep(self, heads: HeadSet, pair: int, latent: Tensor) -> float:
        if pair not in self._unguided:
            self._unguided[pair] = self.generator.latents([HeadSet()], self.pairs[pair])[0].cpu()
        value = distortion(latent.cpu(), self._unguided[pair])
        self.study.put(self._name(heads, pair), {"distortion": value})
        return value

    def _name(self, heads: HeadSet, pair: int) -> str:
        return f"distortion of {format_heads(heads, self.grid)} on pair {pair}"
