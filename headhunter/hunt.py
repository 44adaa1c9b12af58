"""HeadHunter rounds (Algorithm 1 of arXiv 2506.10978) over an `evaluate` callable.

Each round tests every remaining head together with the heads chosen so far, takes the mean score over the
(prompt, seed) pairs, and adds the best k. Beyond the paper: the unguided baseline on the same pairs, whether the k heads
together really beat the round before, and strategies that spend fewer evaluations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from .heads import Head

Set = frozenset[Head]
Scores = list[float]
Evaluate = Callable[[Sequence[Set], Sequence[int]], list[Scores]]
"""Head sets and pair numbers -> a score for each set on each pair; higher is better. May raise `Stopped`."""


class Stopped(Exception):
    """Raised by `evaluate` to end a hunt in good order (a limit was reached); what is known by then is kept."""


@dataclass(frozen=True)
class Measured:
    """Scores of one set on some pairs. `mean` is the paper's objective; `error` is the standard error of that mean."""

    pairs: tuple[int, ...]
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        return fmean(self.scores)

    @property
    def spread(self) -> float:
        """Standard deviation over the pairs; 0 for a single pair."""
        return stdev(self.scores) if len(self.scores) > 1 else 0.0

    @property
    def error(self) -> float:
        return self.spread / math.sqrt(len(self.scores))

    def minus(self, other: Measured) -> Measured:
        """Paired differences on the pairs that both were measured on."""
        theirs = dict(zip(other.pairs, other.scores, strict=True))
        both = [
            (pair, score - theirs[pair]) for pair, score in zip(self.pairs, self.scores, strict=True) if pair in theirs
        ]
        return Measured(tuple(pair for pair, _ in both), tuple(score for _, score in both))


@dataclass(frozen=True)
class Round:
    """One greedy step. `candidates` hold the pairs each was measured on; `gain` is joint minus the set before, paired."""

    number: int
    candidates: dict[Head, Measured]
    chosen: tuple[Head, ...]
    joint: Measured
    gain: Measured

    @property
    def helped(self) -> bool:
        return self.gain.mean > 0


@dataclass
class Hunt:
    """What a hunt found. `heads` in the order they were chosen, those of `start` first."""

    start: Set
    baseline: Measured | None = None
    before: Measured | None = None
    rounds: list[Round] = field(default_factory=list)
    stopped: str = ""

    @property
    def heads(self) -> list[Head]:
        return sorted(self.start) + [head for round in self.rounds for head in round.chosen]


Strategy = Callable[[Evaluate, Set, Sequence[Head], Sequence[int], int], dict[Head, Measured]]
"""(evaluate, chosen so far, pool, pairs, k) -> every head's measurement; the best k must have been measured on all pairs."""


def hunt(
    evaluate: Evaluate,
    pool: Iterable[Head],
    pairs: int,
    rounds: int,
    heads_per_round: int,
    strategy: Strategy,
    start: Set = frozenset(),
    on_round: Callable[[Hunt], None] = lambda hunt: None,
) -> Hunt:
    """Run up to `rounds` rounds of `heads_per_round` (k) on `pairs` pairs; fewer where the pool runs out.

    `on_round` is called with the hunt so far after the baseline and after each round. Ties go to the lower layer, then
    the lower head. A score that is not finite counts as the worst; of the baseline it is a ValueError.
    """
    if pairs < 1 or rounds < 1 or heads_per_round < 1:
        raise ValueError("a hunt needs at least one pair, one round and one head a round")
    every = list(range(pairs))
    remaining = sorted(set(pool) - start)
    if not remaining:
        raise ValueError("the pool has no head that is not in the set already")
    result = Hunt(start)
    chosen = start
    try:
        result.baseline = _measure(evaluate, [frozenset()], every)[0]
        broken = [pair for pair, score in zip(every, result.baseline.scores, strict=True) if not math.isfinite(score)]
        if broken:
            raise ValueError(f"the unguided picture of pair {broken[0]} has no score: look at it, or take this pair out")
        result.before = _measure(evaluate, [start], every)[0] if start else result.baseline
        on_round(result)
        last = result.before
        for number in range(1, rounds + 1):
            if not remaining:
                break
            measured = strategy(evaluate, chosen, remaining, every, heads_per_round)
            best = rank(measured)[:heads_per_round]
            chosen = chosen | set(best)
            joint = measured[best[0]] if len(best) == 1 else _measure(evaluate, [chosen], every)[0]
            result.rounds.append(Round(number, measured, tuple(best), joint, joint.minus(last)))
            remaining = [head for head in remaining if head not in best]
            last = joint
            on_round(result)
    except Stopped as reason:
        result.stopped = str(reason)
    return result


def rank(measured: dict[Head, Measured]) -> list[Head]:
    """Heads from best to worst: first those measured on the most pairs, then by mean, then by layer and head."""
    return sorted(measured, key=lambda head: (-len(measured[head].pairs), -_finite(measured[head].mean), head))


def exhaustive(
    evaluate: Evaluate, chosen: Set, pool: Sequence[Head], pairs: Sequence[int], k: int
) -> dict[Head, Measured]:
    """The paper's: every head of the pool on every pair."""
    return dict(zip(pool, _measure(evaluate, [chosen | {head} for head in pool], pairs), strict=True))


def halving(
    evaluate: Evaluate, chosen: Set, pool: Sequence[Head], pairs: Sequence[int], k: int
) -> dict[Head, Measured]:
    """Successive halving: all heads on few pairs, the better part on twice as many, the finalists on all.

    Heads are always compared on the same pairs. Karnin, Koren and Somekh, "Almost optimal exploration in multi-armed
    bandits", ICML 2013, with pairs in place of pulls.
    """
    measured: dict[Head, Measured] = {}
    for survivors, upto in _rungs(len(pool), len(pairs), k):
        heads = rank(measured)[:survivors] if measured else list(pool)
        done = len(measured[heads[0]].pairs) if measured else 0
        news = _measure(evaluate, [chosen | {head} for head in sorted(heads)], pairs[done:upto])
        for head, new in zip(sorted(heads), news, strict=True):
            old = measured.get(head, Measured((), ()))
            measured[head] = Measured(old.pairs + new.pairs, old.scores + new.scores)
    return measured


def _rungs(heads: int, pairs: int, k: int) -> list[tuple[int, int]]:
    """(heads that go on, pairs measured by the end of it) for each rung of halving; the last has all pairs."""
    upto, survivors = max(1, math.ceil(pairs / 8)), heads
    rungs = [(survivors, min(upto, pairs))]
    while upto < pairs:
        upto, survivors = upto * 2, max(min(2 * k, heads), math.ceil(survivors / 2))
        rungs.append((survivors, min(upto, pairs)))
    return rungs


STRATEGIES: dict[str, Strategy] = {"exhaustive": exhaustive, "halving": halving}


def planned_evaluations(strategy: str, pool: int, pairs: int, rounds: int, k: int, start: int = 0) -> int:
    """How many (set, pair) evaluations a hunt makes if nothing stops it; `start` is the size of the set it starts from."""
    total = pairs * (2 if start else 1)
    for _ in range(rounds):
        if pool <= 0:
            break
        if strategy == "exhaustive":
            total += pool * pairs
        else:
            done = 0
            for survivors, upto in _rungs(pool, pairs, k):
                total += survivors * (upto - done)
                done = upto
        total += pairs if min(k, pool) > 1 else 0
        pool -= k
    return total


def _measure(evaluate: Evaluate, sets: Sequence[Set], pairs: Sequence[int]) -> list[Measured]:
    return [Measured(tuple(pairs), tuple(scores)) for scores in evaluate(sets, pairs)]


def _finite(value: float) -> float:
    return value if math.isfinite(value) else -math.inf
