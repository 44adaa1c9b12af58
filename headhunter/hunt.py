"""HeadHunter rounds (Algorithm 1 of arXiv 2506.10978) over an `evaluate` callable.

Each round tests the remaining heads together with the heads chosen so far, takes the mean score over the (prompt, seed)
pairs, and adds the best k. Beyond the paper: the unguided baseline on the same pairs, whether the k heads together really
beat the round before, strategies that spend fewer evaluations (strategies.py), and one that refines a single set (signed.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from .heads import Head, HeadSet
from .measured import Measured, Stopped
from .rounds import Attribute, Candidate, Distort, Evaluate, Outcome, Step, Strategy, Task, measure, one_a_head, rank


@dataclass(frozen=True)
class Round:
    """One greedy step, or one refinement. `heads`: the set after it, whose score is `joint`; `gain` is joint minus the set before, paired.

    `candidates` hold the pairs each was measured on. `chosen`: what was added; of a refinement all heads of its pool that
    are in. `attributions`: what was predicted for each head before any was measured; empty where nothing predicts.
    `steps`: the sets that a refinement measured. `helped`: whether it was worth while: of a refinement, whether it changed
    the set.
    """

    number: int
    candidates: dict[Candidate, Measured]
    chosen: tuple[Candidate, ...]
    heads: HeadSet
    joint: Measured
    gain: Measured
    helped: bool
    attributions: dict[Head, float] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Signed:
    """All heads of the pool at once, each as strongly as its attribution says; `gain` is against the baseline, paired."""

    heads: HeadSet
    measured: Measured
    gain: Measured


@dataclass
class Hunt:
    """What a hunt knows so far. `pool` and `start` hold the strengths that their heads are used at.

    `refines`: whether its rounds give one set new strengths, in place of adding to it.
    """

    start: HeadSet
    pool: HeadSet = field(default_factory=HeadSet)
    baseline: Measured | None = None
    before: Measured | None = None
    rounds: list[Round] = field(default_factory=list)
    signed: Signed | None = None
    stopped: str = ""
    refines: bool = False

    @property
    def heads(self) -> list[Head]:
        """In the order they were chosen, those of `start` first; by layer and head where rounds refine."""
        if self.refines:
            return list(self.selected)
        return [*self.start, *(candidate.head for round in self.rounds for candidate in round.chosen)]

    @property
    def selected(self) -> HeadSet:
        """The chosen heads with their strengths."""
        return self.after(len(self.rounds))

    def after(self, rounds: int) -> HeadSet:
        """The heads that were chosen by the end of so many rounds."""
        return self.rounds[rounds - 1].heads if rounds else self.start

    @property
    def base(self) -> HeadSet:
        """What the heads that are tried next are added to."""
        return self.start if self.refines else self.selected

    @property
    def failed(self) -> int:
        """How many rounds have not helped since one did."""
        return next((since for since, round in enumerate(reversed(self.rounds)) if round.helped), len(self.rounds))


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
    both_signs: bool = False,
    distort: Distort | None = None,
) -> Hunt:
    """Run up to `rounds` rounds of `heads_per_round` (k) on `pairs` pairs; fewer where the pool runs out.

    Heads of `pool` and `start` are used at the strengths that they have of their own. `strength`: the one that `evaluate`
    uses for the others. `both_signs`: whether heads of the pool are tried at minus their strength, too. `attribute`: for
    strategies that need gradients; `distort`: for those that refine.

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
    result = Hunt(start, remaining, refines=strategy.refines)
    task = Task(evaluate, start, remaining, every, heads_per_round, attribute, distort, start, strength, both_signs)
    try:
        result.baseline = _baseline(evaluate, every)
        result.before = measure(evaluate, [start], every)[0] if start else result.baseline
        on_round(result)
        task = replace(task, baseline=result.baseline, before=result.before)
        for number in range(1, rounds + 1):
            if not task.pool:
                break
            result.rounds.append(_round(number, strategy, task))
            pool = task.pool if strategy.refines else task.pool - result.selected
            joint = result.rounds[-1].joint
            task = replace(task, chosen=result.selected, pool=pool, before=joint, failed=result.failed)
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


def _round(number: int, strategy: Strategy, task: Task) -> Round:
    """Measure, and choose the best k, or the step that is better than the set before."""
    outcome = strategy.measure(task)
    if strategy.refines:
        return _refined(number, task, outcome)
    best = one_a_head(rank(outcome.measured))[: task.k]
    heads = task.with_all(best)
    joint = measure(task.evaluate, [heads], task.pairs)[0] if len(best) > 1 else outcome.measured[best[0]]
    gain = joint.minus(task.so_far)
    return Round(number, outcome.measured, tuple(best), heads, joint, gain, gain.mean > 0, _means(outcome))


def _refined(number: int, task: Task, outcome: Outcome) -> Round:
    taken = outcome.taken
    heads, joint = (taken.heads, taken.measured) if taken else (task.chosen, task.so_far)
    chosen = tuple(Candidate(head, own) for head, own in heads.items() if head in task.pool)
    gain = joint.minus(task.so_far)
    return Round(number, {}, chosen, heads, joint, gain, bool(taken), _means(outcome), outcome.steps)


def _means(outcome: Outcome) -> dict[Head, float]:
    return {head: measured.mean for head, measured in outcome.predicted.items()}
