"""HeadHunter rounds (Algorithm 1 of arXiv 2506.10978) over an `evaluate` callable.

Each round tests the remaining heads together with the heads chosen so far, takes the mean score over the (prompt, seed)
pairs, and adds the best k. Beyond the paper: the unguided baseline on the same pairs, whether the k heads together really
beat the round before, and strategies that spend fewer evaluations (strategies.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .heads import Head, HeadSet
from .measured import Measured, Stopped
from .strategies import Attribute, Evaluate, Strategy, Task, measure, rank


@dataclass(frozen=True)
class Round:
    """One greedy step. `candidates` hold the pairs each was measured on; `gain` is joint minus the set before, paired.

    `attributions`: what was predicted for each head before any was measured; empty where nothing predicts.
    """

    number: int
    candidates: dict[Head, Measured]
    chosen: tuple[Head, ...]
    joint: Measured
    gain: Measured
    attributions: dict[Head, float] = field(default_factory=dict)

    @property
    def helped(self) -> bool:
        return self.gain.mean > 0


@dataclass(frozen=True)
class Signed:
    """All heads of the pool at once, each as strongly as its attribution says; `gain` is against the baseline, paired."""

    heads: HeadSet
    measured: Measured
    gain: Measured


@dataclass
class Hunt:
    """What a hunt knows so far. `pool` and `start` hold the strengths that their heads are used at."""

    start: HeadSet
    pool: HeadSet = field(default_factory=HeadSet)
    baseline: Measured | None = None
    before: Measured | None = None
    rounds: list[Round] = field(default_factory=list)
    signed: Signed | None = None
    stopped: str = ""

    @property
    def heads(self) -> list[Head]:
        """In the order they were chosen, those of `start` first."""
        return [*self.start, *(head for round in self.rounds for head in round.chosen)]

    @property
    def selected(self) -> HeadSet:
        """The chosen heads with their strengths."""
        return self.after(len(self.rounds))

    def after(self, rounds: int) -> HeadSet:
        """The heads that were chosen by the end of so many rounds."""
        chosen = [head for round in self.rounds[:rounds] for head in round.chosen]
        return self.start | HeadSet({head: self.pool[head] for head in chosen})


def hunt(
    evaluate: Evaluate,
    pool: HeadSet | Iterable[Head],
    pairs: int,
    rounds: int,
    heads_per_round: int,
    strategy: Strategy,
    start: HeadSet | Iterable[Head] = (),
    on_round: Callable[[Hunt], None] = lambda hunt: None,
    attribute: Attribute | None = None,
    strength: float = 1.0,
) -> Hunt:
    """Run up to `rounds` rounds of `heads_per_round` (k) on `pairs` pairs; fewer where the pool runs out.

    Heads of `pool` and `start` are used at the strengths that they have of their own. `strength`: the one that `evaluate`
    uses for the others. `attribute`: for strategies that need gradients.

    `on_round` is called with the hunt so far after the baseline and after each round. Ties go to the lower layer, then
    the lower head. A score that is nan or inf counts as the worst; of the baseline it is a ValueError.
    """
    if pairs < 1 or rounds < 1 or heads_per_round < 1:
        raise ValueError("a hunt needs at least one pair, one round and one head a round")
    every = list(range(pairs))
    start = HeadSet(start)
    remaining = HeadSet(pool) - start
    if not remaining:
        raise ValueError("the pool has no head that is not in the set already")
    result = Hunt(start, remaining)
    try:
        result.baseline = _baseline(evaluate, every)
        result.before = measure(evaluate, [start], every)[0] if start else result.baseline
        on_round(result)
        last = result.before
        for number in range(1, rounds + 1):
            if not remaining:
                break
            task = Task(evaluate, result.selected, remaining, every, heads_per_round, attribute)
            result.rounds.append(_round(number, strategy, task, last))
            remaining = remaining - HeadSet(result.rounds[-1].chosen)
            last = result.rounds[-1].joint
            on_round(result)
        signed = strategy.signed(result.rounds[0].attributions, result.pool, start, strength)
        if signed:
            measured = measure(evaluate, [signed], every)[0]
            result.signed = Signed(signed, measured, measured.minus(result.baseline))
    except Stopped as reason:
        result.stopped = str(reason)
    return result


def _baseline(evaluate: Evaluate, pairs: list[int]) -> Measured:
    """The unguided pictures. ValueError where one has no score: nothing could be compared with it."""
    baseline = measure(evaluate, [HeadSet()], pairs)[0]
    broken = [pair for pair, score in zip(pairs, baseline.scores, strict=True) if not math.isfinite(score)]
    if broken:
        raise ValueError(f"the unguided picture of pair {broken[0]} has no score: look at it, or take this pair out")
    return baseline


def _round(number: int, strategy: Strategy, task: Task, last: Measured) -> Round:
    """Measure, and choose the best k. `last`: the set so far."""
    outcome = strategy.measure(task)
    best = rank(outcome.measured)[: task.k]
    joint = task.measure_together(best) if len(best) > 1 else outcome.measured[best[0]]
    predicted = {head: measured.mean for head, measured in outcome.predicted.items()}
    return Round(number, outcome.measured, tuple(best), joint, joint.minus(last), predicted)
