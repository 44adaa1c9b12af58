"""All heads at once, each as strongly as a gradient says, some of them away from the perturbation.

The objective is the gain for each unit of distortion, since a larger change alone is what `scale` gives: with G(u) the mean
gain over the unguided pictures and D(u) the mean distortion,

    grad log(G / D)  =  (1 / G) (grad G - (G / D) grad D)

so one gradient of the score less `price` = G / D times the distortion gives the direction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .heads import Head, HeadSet
from .measured import Measured, finite
from .rounds import Outcome, Step, Strategy, Task, measure

FIRST, LATER = (1.0, 0.5), (0.5, 0.25)
"""Sizes of steps that are measured in the first round and in later ones."""


class Signed(Strategy):
    """Each round follows the gradient from the strengths so far, and measures two sizes of step on all pairs.

    The k heads with the largest strengths are kept. The first round takes the size with the better score, later ones,
    which leave the largest strength as it is, the one with more gain for its distortion; neither where that is not better
    than the set before. The same gradient is then followed in smaller steps.
    """

    needs_gradients = True
    refines = True

    def measure(self, task: Task) -> Outcome:
        now = _shares(task)
        price = _worth(task, task.chosen, task.so_far) if task.chosen else 0.0
        slopes = task.attributions(max(0.0, price))
        steps = _measured(task, _proposed(task, now, slopes))
        worth = {step.size: _worth(task, step.heads, step.measured) if now else step.measured.mean for step in steps}
        best = max(steps, key=lambda step: worth[step.size], default=None)
        better = best is not None and worth[best.size] > (price if now else task.so_far.mean)
        return Outcome({}, slopes, tuple(steps), best if better else None)

    def evaluations(self, pool: int, pairs: int, k: int, signs: int = 1) -> int:
        return len(FIRST) * pairs


def _shares(task: Task) -> dict[Head, float]:
    """The strengths so far of the pool's heads, each over the one that it is tried at."""
    tried = task.pool.at(task.strength)
    return {head: own / tried[head] for head, own in task.chosen.at(task.strength).items() if head in tried}


def _proposed(task: Task, now: Mapping[Head, float], slopes: Mapping[Head, Measured]) -> list[tuple[float, HeadSet]]:
    """(size, set) of each step that is measured; nothing where no head has a slope."""
    direction = {head: slope.mean if math.isfinite(slope.mean) else 0.0 for head, slope in slopes.items()}
    steepest = max(map(abs, direction.values()), default=0.0)
    if not steepest:
        return []
    proposed = []
    for size in LATER if now else FIRST:
        size /= 4**task.failed
        moved = {head: now.get(head, 0.0) + size * slope / steepest for head, slope in direction.items()}
        largest = max(map(abs, now.values())) if now else size
        proposed.append((size, signed_strengths(moved, task.pool, task.start, task.strength, task.k, largest)))
    return [(size, heads) for size, heads in proposed if heads]


def _measured(task: Task, proposed: Sequence[tuple[float, HeadSet]]) -> list[Step]:
    scores = measure(task.evaluate, [heads for _, heads in proposed], task.pairs)
    return [
        Step(size, heads, measured, task.distortion(heads))
        for (size, heads), measured in zip(proposed, scores, strict=True)
    ]


def _worth(task: Task, heads: HeadSet, measured: Measured) -> float:
    """Mean gain over the unguided pictures for each unit of mean distortion; -inf where that is no number."""
    distortion = task.distortion(heads)
    return finite(task.gain(measured) / distortion) if distortion else -math.inf


def signed_strengths(
    values: Mapping[Head, float],
    pool: HeadSet,
    start: HeadSet,
    strength: float,
    most: int | None = None,
    largest: float = 1.0,
) -> HeadSet:
    """Each head of the pool at its own strength, or `strength`, times its value over the largest, times `largest`.

    3 decimals, 0 left out; of more than `most` heads those with the largest strengths. The heads of `start` stay as strong
    as they are. Empty where no head of the pool is left.
    """
    top = max((abs(value) for value in values.values() if math.isfinite(value)), default=0.0)
    tried = pool.at(strength)
    strengths = {
        head: round(tried[head] * largest * value / top, 3)
        for head, value in values.items()
        if top and math.isfinite(value)
    }
    strongest = sorted(strengths, key=lambda head: (-abs(strengths[head]), head))[:most]
    kept = {head: strengths[head] for head in strongest if strengths[head]}
    return HeadSet(start.at(strength) | kept) if kept else HeadSet()
