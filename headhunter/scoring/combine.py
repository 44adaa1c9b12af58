"""Combining scorers so that weights mean what they say.

    combined = sum_i w_i (score_i - baseline_i(pair)) / s_i

s_i is the standard deviation (n - 1) of the baseline's scores over the pairs, or scorer i's `unit` where there are fewer
than 4 pairs or that deviation is under a tenth of `unit`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .base import Scorer, make_key, score_batch

MIN_PAIRS = 4


def spreads(baseline: Tensor, units: Sequence[float]) -> Tensor:
    """s_i of each component: baseline [n, pairs] -> float64 [n]."""
    unit = torch.tensor(units, dtype=torch.float64)
    if baseline.shape[1] < MIN_PAIRS:
        return unit
    deviation = baseline.detach().cpu().double().std(dim=1)
    return torch.where(deviation < unit / 10, unit, deviation)


def combine(scores: Tensor, baseline: Tensor, weights: Sequence[float], units: Sequence[float]) -> Tensor:
    """Combined score of each pair, float64 [..., pairs] on the CPU, from scores [n, ..., pairs] and baseline [n, pairs].

    n is the number of components. The baseline's own combined score is 0. ValueError where the shapes do not fit.
    """
    count = len(weights)
    fits = baseline.ndim == 2 and scores.ndim >= 2 and scores.shape[-1] == baseline.shape[1]
    if not fits or not len(units) == len(baseline) == len(scores) == count:
        shapes = f"scores {list(scores.shape)}, baseline {list(baseline.shape)}"
        raise ValueError(f"{count} weights, {len(units)} units, {shapes}: not the same components and pairs")
    ones = [1] * (scores.ndim - 2)
    start = baseline.cpu().double().reshape(count, *ones, -1)
    factor = torch.tensor(weights, dtype=torch.float64) / spreads(baseline, units)
    return (factor.reshape(count, *ones, 1) * (scores.cpu().double() - start)).sum(0)


@dataclass(frozen=True)
class CombinedScorer:
    """Several scorers with weights. The hunt asks `components` one by one and uses `combine`.

    Without a baseline, `score` is sum_i w_i score_i / unit_i.
    """

    components: tuple[tuple[Scorer, float], ...]
    name = "combined"
    unit = 1.0

    def __post_init__(self) -> None:
        if not self.components or not all(math.isfinite(weight) for _, weight in self.components):
            raise ValueError("a combined scorer needs scorers with finite weights")

    @property
    def key(self) -> str:
        return make_key("combined/1", components=[[scorer.key, float(weight)] for scorer, weight in self.components])

    @property
    def differentiable(self) -> bool:
        return all(scorer.differentiable for scorer, _ in self.components)

    def score(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        return self.total([score_batch(scorer, images, texts) for scorer, _ in self.components])

    def total(self, scores: Sequence[Tensor]) -> Tensor:
        """sum_i w_i score_i / unit_i of the components' scores [B]: float32 [B]."""
        parts = [
            weight / scorer.unit * score.cpu() for (scorer, weight), score in zip(self.components, scores, strict=True)
        ]
        return torch.stack(parts).sum(0)


def components_of(scorer: Scorer) -> tuple[tuple[Scorer, float], ...]:
    """A scorer's components with their weights; a single scorer is its own, with weight 1."""
    return scorer.components if isinstance(scorer, CombinedScorer) else ((scorer, 1.0),)


def combine_scorers(parts: Sequence[tuple[Scorer, float]]) -> CombinedScorer:
    """Scorers with weights -> one; what is combined already is taken apart, its weights multiplied."""
    return CombinedScorer(
        tuple((inner, weight * own) for scorer, weight in parts for inner, own in components_of(scorer))
    )


def table(scorer: Scorer, images: Tensor, texts: Sequence[str]) -> tuple[list[float], str]:
    """Each image's score and a text table: raw score and score / unit of each component, and their weighted sum."""
    components = components_of(scorer)
    raw = [score_batch(part, images, texts) for part, _ in components]
    columns = [("image", [str(number) for number in range(images.shape[0])])]
    for (part, _weight), scores in zip(components, raw, strict=True):
        columns.append((part.name, [f"{value:.4f}" for value in scores.tolist()]))
        columns.append((f"/ {part.unit:g}", [f"{value / part.unit:.2f}" for value in scores.tolist()]))
    total = raw[0]
    if isinstance(scorer, CombinedScorer):
        total = scorer.total(raw)
        columns.append((scorer.name, [f"{value:.4f}" for value in total.tolist()]))
    widths = [max(map(len, [title, *cells])) for title, cells in columns]
    rows = [[title for title, _ in columns], *zip(*(cells for _, cells in columns), strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return total.tolist(), "\n".join(lines)
