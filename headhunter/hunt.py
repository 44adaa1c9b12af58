"""HeadHunter rounds (Algorithm 1 of arXiv 2506.10978) over an `evaluate` callable.

Each round tests every remaining head together with the heads chosen so far, takes the mean score over the
(prompt, seed) pairs, and adds the best k. Beyond the paper: the unguided baseline on the same pairs, whether the k heads
together really beat the round before, and strategies that spend fewer evaluations. One of them, `attribution`, is told
by a callable what each head would probably do, and measures the most promising.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from .heads import Head, WithStrengths

Set = frozenset[Head]
Scores = list[float]
Evaluate = Callable[[Sequence[Set], Sequence[int]], list[Scores]]
"""Head sets and pair numbers -> a score for each set on each pair; higher is better. May raise `Stopped`."""

Attribute = Callable[[Set, Sequence[Head], Sequence[int]], "dict[Head, Measured]"]
"""Set so far, heads, pair numbers -> how much each head, added to the set, would probably raise the score of each pair."""

SHORTLIST = 0.04
"""Share of the screened heads that are measured, where that is more than 2k + 2; `python bench/tuning.py` measures the choice."""


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

    heads: WithStrengths
    measured: Measured
    gain: Measured


@dataclass
class Hunt:
    """What a hunt found. `heads` in the order they were chosen, those of `start` first."""

    start: Set
    baseline: Measured | None = None
    before: Measured | None = None
    rounds: list[Round] = field(default_factory=list)
    signed: Signed | None = None
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
    attribute: Attribute | None = None,
    strength: float = 1.0,
) -> Hunt:
    """Run up to `rounds` rounds of `heads_per_round` (k) on `pairs` pairs; fewer where the pool runs out.

    `attribute` screens the pool in each round: halving then measures the `shortlist` alone, in place of `strategy`. At the
    end all heads are measured at once with the first round's attributions as strengths, up to `strength` (the one that
    `evaluate` uses).

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
            raise ValueError(
                f"the unguided picture of pair {broken[0]} has no score: look at it, or take this pair out"
            )
        result.before = _measure(evaluate, [start], every)[0] if start else result.baseline
        on_round(result)
        last = result.before
        for number in range(1, rounds + 1):
            if not remaining:
                break
            predicted = attribute(chosen, remaining, every) if attribute else {}
            if predicted:
                measured = halving(
                    evaluate, chosen, shortlist(predicted, heads_per_round), every, heads_per_round, predicted
                )
            else:
                measured = strategy(evaluate, chosen, remaining, every, heads_per_round)
            best = rank(measured)[:heads_per_round]
            chosen = chosen | set(best)
            means = {head: one.mean for head, one in predicted.items()}
            joint = measured[best[0]] if len(best) == 1 else _measure(evaluate, [chosen], every)[0]
            result.rounds.append(Round(number, measured, tuple(best), joint, joint.minus(last), means))
            remaining = [head for head in remaining if head not in best]
            last = joint
            on_round(result)
        heads = signed_strengths(result.rounds[0].attributions, start, strength)
        if heads:
            measured = _measure(evaluate, [heads], every)[0]
            result.signed = Signed(heads, measured, measured.minus(result.baseline))
    except Stopped as reason:
        result.stopped = str(reason)
    return result


def rank(measured: dict[Head, Measured]) -> list[Head]:
    """Heads from best to worst: first those measured on the most pairs, then by mean, then by layer and head."""
    return sorted(measured, key=lambda head: (-len(measured[head].pairs), -_finite(measured[head].mean), head))


def shortlist(predicted: Mapping[Head, Measured], k: int) -> list[Head]:
    """The heads that are measured after a screening: the best 4 % by prediction, but at least 2k + 2; sorted."""
    best = sorted(predicted, key=lambda head: (-_finite(predicted[head].mean), head))
    return sorted(best[: _shortlisted(len(predicted), k)])


def _shortlisted(pool: int, k: int) -> int:
    return min(pool, max(2 * k + 2, math.ceil(SHORTLIST * pool)))


def signed_strengths(predicted: Mapping[Head, float], start: Set, strength: float) -> WithStrengths:
    """Each head at its attribution over the largest, times `strength`; those of `start` at `strength`. 3 decimals, 0 left out."""
    largest = max((abs(value) for value in predicted.values() if math.isfinite(value)), default=0.0)
    if not largest or not strength:
        return WithStrengths({})
    shares = {head: round(strength * _finite(value) / largest, 3) for head, value in predicted.items()}
    return WithStrengths(
        dict.fromkeys(start, strength)
        | {head: share for head, share in shares.items() if share and math.isfinite(share)}
    )


def exhaustive(
    evaluate: Evaluate, chosen: Set, pool: Sequence[Head], pairs: Sequence[int], k: int
) -> dict[Head, Measured]:
    """The paper's: every head of the pool on every pair."""
    return dict(zip(pool, _measure(evaluate, [chosen | {head} for head in pool], pairs), strict=True))


def halving(
    evaluate: Evaluate,
    chosen: Set,
    pool: Sequence[Head],
    pairs: Sequence[int],
    k: int,
    predicted: Mapping[Head, Measured] | None = None,
) -> dict[Head, Measured]:
    """Successive halving: all heads on few pairs, the better part on twice as many, the finalists on all.

    Heads are always compared on the same pairs. Karnin, Koren and Somekh, "Almost optimal exploration in multi-armed
    bandits", ICML 2013, with pairs in place of pulls. With `predicted` (what is thought to happen on every pair), few
    pairs say more, and fewer finalists do: see `_expected`.
    """
    measured: dict[Head, Measured] = {}
    for survivors, upto in _rungs(len(pool), len(pairs), k, bool(predicted)):
        heads = _promising(measured, predicted or {})[:survivors] if measured else list(pool)
        done = len(measured[heads[0]].pairs) if measured else 0
        news = _measure(evaluate, [chosen | {head} for head in sorted(heads)], pairs[done:upto])
        for head, new in zip(sorted(heads), news, strict=True):
            old = measured.get(head, Measured((), ()))
            measured[head] = Measured(old.pairs + new.pairs, old.scores + new.scores)
    return measured


def _promising(measured: dict[Head, Measured], predicted: Mapping[Head, Measured]) -> list[Head]:
    return sorted(
        measured,
        key=lambda head: (-len(measured[head].pairs), -_finite(_expected(measured[head], predicted.get(head))), head),
    )


def _expected(measured: Measured, predicted: Measured | None) -> float:
    """The mean over all pairs, of which some are measured: their mean, plus what the prediction says the others differ by.

    The prediction is a control variate: measured - predicted, over the measured pairs, plus predicted, over all.
    """
    known = dict(zip(predicted.pairs, predicted.scores, strict=True)) if predicted else {}
    both = [known[pair] for pair in measured.pairs if pair in known]
    return measured.mean + fmean(known.values()) - fmean(both) if both else measured.mean


def _rungs(heads: int, pairs: int, k: int, predicted: bool = False) -> list[tuple[int, int]]:
    """(heads that go on, pairs measured by the end of it) for each rung of halving; the last has all pairs.

    2k finalists, k + 1 where there are predictions. `python bench/tuning.py` compares others.
    """
    finalists = k + 1 if predicted else 2 * k
    upto, survivors = max(1, math.ceil(pairs / 8)), heads
    rungs = [(survivors, min(upto, pairs))]
    while upto < pairs:
        upto, survivors = upto * 2, max(min(finalists, heads), math.ceil(survivors / 2))
        rungs.append((survivors, min(upto, pairs)))
    return rungs


STRATEGIES: dict[str, Strategy] = {"exhaustive": exhaustive, "halving": halving, "attribution": halving}
SCREENED = frozenset({"attribution"})
"""Strategies that measure the shortlist of an `attribute` alone."""


def planned_evaluations(strategy: str, pool: int, pairs: int, rounds: int, k: int, start: int = 0) -> int:
    """How many (set, pair) evaluations a hunt makes if nothing stops it; `start` is the size of the set it starts from."""
    total = pairs * (2 if start else 1) + (pairs if strategy in SCREENED else 0)
    for left in _pools(pool, rounds, k):
        tried = _shortlisted(left, k) if strategy in SCREENED else left
        if strategy == "exhaustive":
            total += tried * pairs
        else:
            done = 0
            for survivors, upto in _rungs(tried, pairs, k, strategy in SCREENED):
                total += survivors * (upto - done)
                done = upto
        total += pairs if min(k, left) > 1 else 0
    return total


def planned_screenings(strategy: str, pool: int, pairs: int, rounds: int, k: int) -> int:
    """How many pairs a hunt takes gradients of."""
    return pairs * len(_pools(pool, rounds, k)) if strategy in SCREENED else 0


def planned_passes(strategy: str, pool: int, pairs: int, rounds: int, k: int, start: int = 0, cfg: bool = False) -> int:
    """What a hunt costs in passes through the whole model for each sampling step; a backward pass counts two.

    A picture costs 1 pass unguided and 2 guided. A gradient costs 4 while no head is chosen (forward, forward again,
    backward), then 8, since the perturbed pass is apart. CFG adds 1 pass to each picture and 4 to each gradient. What
    prefix reuse saves, and what blocks run again to save memory, is not counted.
    """
    images = planned_evaluations(strategy, pool, pairs, rounds, k, start)
    screenings = planned_screenings(strategy, pool, pairs, rounds, k)
    light = min(pairs, screenings) if not start else 0
    return 2 * images - pairs + 8 * screenings - 4 * light + cfg * (images + 4 * screenings)


def _pools(pool: int, rounds: int, k: int) -> list[int]:
    """How many heads are left in the pool of each round."""
    return [left for left in (pool - number * k for number in range(rounds)) if left > 0]


def _measure(evaluate: Evaluate, sets: Sequence[Set], pairs: Sequence[int]) -> list[Measured]:
    return [Measured(tuple(pairs), tuple(scores)) for scores in evaluate(sets, pairs)]


def _finite(value: float) -> float:
    return value if math.isfinite(value) else -math.inf
