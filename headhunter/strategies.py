"""Strategies: which heads a hunt measures in a round, on which pairs, and what that costs.

A strategy is an object with `measure`, which does a round, and `evaluations` and `gradients`, which say before it what a
round costs. To add one, write a subclass of `Strategy` and name it in `STRATEGIES`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .heads import Head, HeadSet
from .measured import Measured, finite, mean

Scores = list[float]
Evaluate = Callable[[Sequence[HeadSet], Sequence[int]], list[Scores]]
"""Head sets and pair numbers -> a score for each set on each pair; higher is better. May raise `Stopped`."""

Attribute = Callable[[HeadSet, HeadSet, Sequence[int]], dict[Head, Measured]]
"""Set so far, pool, pair numbers -> how much each head, added to the set, would probably raise the score of each pair."""

SHORTLIST = 0.04
"""Share of the attributed heads that are measured, where that is more than 2k + 2; `python bench/tuning.py` measures the choice."""


@dataclass(frozen=True)
class Task:
    """What a strategy has to do in one round: find the best `k` heads of `pool` to add to `chosen`.

    `pool` holds each head at the strength that it is tried at, and no head of `chosen`. `pairs`: the numbers of all pairs.
    """

    evaluate: Evaluate
    chosen: HeadSet
    pool: HeadSet
    pairs: Sequence[int]
    k: int
    attribute: Attribute | None = None

    def measure(self, heads: Iterable[Head], pairs: Sequence[int]) -> list[Measured]:
        """Each of these heads together with the set so far."""
        return measure(self.evaluate, [self._with([head]) for head in heads], pairs)

    def measure_together(self, heads: Iterable[Head]) -> Measured:
        """All of these heads at once together with the set so far, on all pairs."""
        return measure(self.evaluate, [self._with(heads)], self.pairs)[0]

    def _with(self, heads: Iterable[Head]) -> HeadSet:
        return self.chosen | HeadSet({head: self.pool[head] for head in heads})


@dataclass(frozen=True)
class Outcome:
    """What a strategy measured: each head it tried, and, where it predicts, what was predicted for each head of the pool.

    The best k heads have been measured on all pairs.
    """

    measured: dict[Head, Measured]
    predicted: dict[Head, Measured] = field(default_factory=dict)


class Strategy(ABC):
    """See the module. `pool`, `pairs` and `k` in the costs are numbers of heads, pairs and heads a round."""

    needs_gradients: bool = False
    """Whether its tasks must have an `attribute`."""

    @abstractmethod
    def measure(self, task: Task) -> Outcome:
        """One round."""

    @abstractmethod
    def evaluations(self, pool: int, pairs: int, k: int) -> int:
        """How many (set, pair) evaluations `measure` asks for."""

    def gradients(self, pairs: int) -> int:
        """How many pairs `measure` takes gradients of."""
        return pairs if self.needs_gradients else 0

    def signed(self, predicted: Mapping[Head, float], pool: HeadSet, start: HeadSet, strength: float) -> HeadSet:
        """A set that is measured after the last round, made from what the first round predicted; empty for none."""
        return HeadSet()

    def evaluations_after(self, pairs: int) -> int:
        """How many evaluations that set takes."""
        return 0


class Exhaustive(Strategy):
    """The paper's: every head of the pool on every pair."""

    def measure(self, task: Task) -> Outcome:
        return Outcome(dict(zip(task.pool, task.measure(task.pool, task.pairs), strict=True)))

    def evaluations(self, pool: int, pairs: int, k: int) -> int:
        return pool * pairs


class Halving(Strategy):
    """Successive halving: all heads on few pairs, the better part on twice as many, the finalists on all.

    Heads are always compared on the same pairs. Karnin, Koren and Somekh, "Almost optimal exploration in multi-armed
    bandits", ICML 2013, with pairs in place of pulls.
    """

    def measure(self, task: Task) -> Outcome:
        return Outcome(halve(task, list(task.pool), 2 * task.k, {}))

    def evaluations(self, pool: int, pairs: int, k: int) -> int:
        return evaluations_of(rungs(pool, pairs, 2 * k))


class ByAttribution(Strategy):
    """Gradients say what each head would probably do; halving then measures the most promising, see `shortlist`.

    With what is predicted for every pair, few pairs say more (see `_expected`), and k + 1 finalists are enough.
    After the last round, all heads at once are measured with the first round's attributions as strengths.
    """

    needs_gradients = True

    def measure(self, task: Task) -> Outcome:
        if task.attribute is None:
            raise ValueError("this strategy needs gradients")
        predicted = task.attribute(task.chosen, task.pool, task.pairs)
        return Outcome(halve(task, shortlist(predicted, task.k), task.k + 1, predicted), predicted)

    def evaluations(self, pool: int, pairs: int, k: int) -> int:
        return evaluations_of(rungs(_shortlisted(pool, k), pairs, k + 1))

    def signed(self, predicted: Mapping[Head, float], pool: HeadSet, start: HeadSet, strength: float) -> HeadSet:
        return signed_strengths(predicted, pool, start, strength)

    def evaluations_after(self, pairs: int) -> int:
        return pairs


STRATEGIES: dict[str, Strategy] = {
    "exhaustive": Exhaustive(),
    "halving": Halving(),
    "attribution": ByAttribution(),
}


def measure(evaluate: Evaluate, sets: Sequence[HeadSet], pairs: Sequence[int]) -> list[Measured]:
    """Each set's scores; one that is nan or inf counts as the worst."""
    return [Measured(tuple(pairs), tuple(map(finite, scores))) for scores in evaluate(sets, pairs)]


def rank(measured: Mapping[Head, Measured]) -> list[Head]:
    """Heads from best to worst: first those measured on the most pairs, then by mean, then by layer and head."""
    return _best_first(measured, lambda head: measured[head].mean)


def _best_first(measured: Mapping[Head, Measured], score: Callable[[Head], float]) -> list[Head]:
    return sorted(measured, key=lambda head: (-len(measured[head].pairs), -finite(score(head)), head))


def shortlist(predicted: Mapping[Head, Measured], k: int) -> list[Head]:
    """The heads that are measured after an attribution: the best 4 % by prediction, but at least 2k + 2; sorted."""
    best = sorted(predicted, key=lambda head: (-finite(predicted[head].mean), head))
    return sorted(best[: _shortlisted(len(predicted), k)])


def _shortlisted(pool: int, k: int) -> int:
    return min(pool, max(2 * k + 2, math.ceil(SHORTLIST * pool)))


def signed_strengths(predicted: Mapping[Head, float], pool: HeadSet, start: HeadSet, strength: float) -> HeadSet:
    """Each head of the pool at its own strength, or `strength`, times its attribution over the largest; 3 decimals, 0 left out.

    The heads of `start` stay as strong as they are. Empty where no head of the pool is left.
    """
    largest = max((abs(value) for value in predicted.values() if math.isfinite(value)), default=0.0)
    tried = pool.at(strength)
    shares = {
        head: round(tried[head] * value / largest, 3)
        for head, value in predicted.items()
        if largest and math.isfinite(value)
    }
    kept = {head: share for head, share in shares.items() if share}
    return HeadSet(start.at(strength) | kept) if kept else HeadSet()


def halve(task: Task, pool: list[Head], finalists: int, predicted: Mapping[Head, Measured]) -> dict[Head, Measured]:
    """The heads of `pool` by successive halving. `predicted`: what is thought to happen on every pair, or nothing."""
    measured: dict[Head, Measured] = {}
    done = 0
    for survivors, upto in rungs(len(pool), len(task.pairs), finalists):
        promising = _best_first(measured, lambda head: _expected(measured[head], predicted.get(head)))
        heads = sorted(promising[:survivors] if measured else pool)
        for head, new in zip(heads, task.measure(heads, task.pairs[done:upto]), strict=True):
            old = measured.get(head, Measured((), ()))
            measured[head] = Measured(old.pairs + new.pairs, old.scores + new.scores)
        done = upto
    return measured


def _expected(measured: Measured, predicted: Measured | None) -> float:
    """The mean over all pairs, of which some are measured: their mean, plus what the prediction says the others differ by.

    The prediction is a control variate: measured - predicted, over the measured pairs, plus predicted, over all.
    """
    known = dict(zip(predicted.pairs, predicted.scores, strict=True)) if predicted else {}
    both = [known[pair] for pair in measured.pairs if pair in known]
    return measured.mean + mean(list(known.values())) - mean(both) if both else measured.mean


def rungs(heads: int, pairs: int, finalists: int) -> list[tuple[int, int]]:
    """The steps of halving: (how many heads are measured in it, on how many of the pairs each has then been measured).

    The last has all pairs and `finalists` heads. `python bench/tuning.py` compares other numbers.
    """
    upto, survivors = max(1, math.ceil(pairs / 8)), heads
    steps = [(survivors, min(upto, pairs))]
    while upto < pairs:
        upto, survivors = upto * 2, max(min(finalists, heads), math.ceil(survivors / 2))
        steps.append((survivors, min(upto, pairs)))
    return steps


def evaluations_of(steps: Sequence[tuple[int, int]]) -> int:
    """How many evaluations the steps of halving take."""
    before = [0, *(upto for _, upto in steps)]
    return sum(heads * (upto - done) for (heads, upto), done in zip(steps, before, strict=False))


def planned_evaluations(strategy: Strategy, pool: int, pairs: int, rounds: int, k: int, start: int = 0) -> int:
    """How many (set, pair) evaluations a hunt makes if nothing stops it; `start` is the size of the set it starts from."""
    total = pairs * (2 if start else 1) + strategy.evaluations_after(pairs)
    for left in _pools(pool, rounds, k):
        total += strategy.evaluations(left, pairs, k) + (pairs if min(k, left) > 1 else 0)
    return total


def planned_gradients(strategy: Strategy, pool: int, pairs: int, rounds: int, k: int) -> int:
    """How many pairs a hunt takes gradients of, over all rounds."""
    return strategy.gradients(pairs) * len(_pools(pool, rounds, k))


def planned_passes(
    strategy: Strategy,
    pool: int,
    pairs: int,
    rounds: int,
    k: int,
    start: int = 0,
    cfg: bool = False,
    in_attention: bool = False,
) -> int:
    """What a hunt costs in passes through the whole model for each sampling step; a backward pass counts two.

    A picture costs 1 pass unguided and 2 guided. A gradient costs 4 while no head is chosen (forward, forward again,
    backward), then 8, since the perturbed pass is apart. In attention a picture costs 1 and a gradient 4. CFG adds 1 pass
    to each picture and 4 to each gradient. What prefix reuse saves, and what blocks run again to save memory, is not
    counted.
    """
    images = planned_evaluations(strategy, pool, pairs, rounds, k, start)
    gradients = planned_gradients(strategy, pool, pairs, rounds, k)
    if in_attention:
        return images + 4 * gradients + cfg * (images + 4 * gradients)
    light = min(pairs, gradients) if not start else 0
    return 2 * images - pairs + 8 * gradients - 4 * light + cfg * (images + 4 * gradients)


def _pools(pool: int, rounds: int, k: int) -> list[int]:
    """How many heads are left in the pool of each round."""
    return [left for left in (pool - number * k for number in range(rounds)) if left > 0]
