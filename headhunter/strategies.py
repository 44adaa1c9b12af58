"""Strategies: which heads a hunt measures in a round, on which pairs, and what that costs.

A strategy is an object with `measure`, which does a round, and `evaluations` and `gradients`, which say before it what a
round costs (rounds.py). To add one, write a subclass of `Strategy` and name it in `STRATEGIES`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .heads import Head, HeadSet
from .measured import Measured, finite, mean
from .rounds import Candidate, Outcome, Strategy, Task, best_first, one_a_head
from .signed import Signed, signed_strengths

SHORTLIST = 0.04
"""Share of the attributed heads that are measured, where that is more than 2k + 2; `python bench/tuning.py` measures the choice."""


class Exhaustive(Strategy):
    """The paper's: every head of the pool on every pair."""

    def measure(self, task: Task) -> Outcome:
        return Outcome(dict(zip(task.candidates, task.measure(task.candidates, task.pairs), strict=True)))

    def evaluations(self, pool: int, pairs: int, k: int, signs: int = 1) -> int:
        return signs * pool * pairs


class Halving(Strategy):
    """Successive halving: all heads on few pairs, the better part on twice as many, the finalists on all.

    Heads are always compared on the same pairs. Of both signs of a head, the better one goes on. Karnin, Koren and Somekh,
    "Almost optimal exploration in multi-armed bandits", ICML 2013, with pairs in place of pulls.
    """

    def measure(self, task: Task) -> Outcome:
        return Outcome(halve(task, task.candidates, 2 * task.k, {}))

    def evaluations(self, pool: int, pairs: int, k: int, signs: int = 1) -> int:
        steps = rungs(pool, pairs, 2 * k)
        return evaluations_of(steps) + (signs - 1) * pool * steps[0][1]


class ByAttribution(Strategy):
    """Gradients say what each head would probably do; halving then measures the most promising, see `shortlist`.

    With what is predicted for every pair, few pairs say more (see `_expected`), and k + 1 finalists are enough. Of both
    signs of a head, the one that is predicted to help is measured. After the last round, all heads at once are measured
    with the first round's attributions as strengths.
    """

    needs_gradients = True

    def measure(self, task: Task) -> Outcome:
        predicted = task.attributions()
        by_candidate = dict(_helping(task, head, gain) for head, gain in predicted.items())
        measured = halve(task, shortlist(by_candidate, task.k), task.k + 1, by_candidate)
        return Outcome(measured, predicted)

    def evaluations(self, pool: int, pairs: int, k: int, signs: int = 1) -> int:
        return evaluations_of(rungs(_shortlisted(pool, k), pairs, k + 1))

    def signed(self, predicted: Mapping[Head, float], pool: HeadSet, start: HeadSet, strength: float) -> HeadSet:
        return signed_strengths(predicted, pool, start, strength)

    def evaluations_after(self, pairs: int) -> int:
        return pairs


STRATEGIES: dict[str, Strategy] = {
    "exhaustive": Exhaustive(),
    "halving": Halving(),
    "attribution": ByAttribution(),
    "signed": Signed(),
}


def _helping(task: Task, head: Head, predicted: Measured) -> tuple[Candidate, Measured]:
    """A head as it is tried, and what is predicted for that: at minus its strength where it helps so, and may be tried so."""
    candidate = Candidate(head, task.pool[head])
    if not task.both_signs or not predicted.mean < 0:
        return candidate, predicted
    return task.opposite(candidate), Measured(predicted.pairs, tuple(-score for score in predicted.scores))


def shortlist(predicted: Mapping[Candidate, Measured], k: int) -> list[Candidate]:
    """What is measured after an attribution: the best 4 % by prediction, but at least 2k + 2; sorted by head."""
    best = sorted(predicted, key=lambda each: (-finite(predicted[each].mean), each.head))
    return sorted(best[: _shortlisted(len(predicted), k)], key=lambda each: each.head)


def _shortlisted(pool: int, k: int) -> int:
    return min(pool, max(2 * k + 2, math.ceil(SHORTLIST * pool)))


def halve(
    task: Task, candidates: list[Candidate], finalists: int, predicted: Mapping[Candidate, Measured]
) -> dict[Candidate, Measured]:
    """The candidates by successive halving. `predicted`: what is thought to happen on every pair, or nothing."""
    measured: dict[Candidate, Measured] = {}
    done = 0
    for survivors, upto in rungs(len(one_a_head(candidates)), len(task.pairs), finalists):
        promising = best_first(measured, lambda each: _expected(measured[each], predicted.get(each)))
        going_on = set(one_a_head(promising)[:survivors])
        left = [each for each in candidates if each in going_on] if measured else candidates
        for candidate, new in zip(left, task.measure(left, task.pairs[done:upto]), strict=True):
            old = measured.get(candidate, Measured((), ()))
            measured[candidate] = Measured(old.pairs + new.pairs, old.scores + new.scores)
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
