"""What a round of a hunt is: what a strategy is given, what it gives back, and what it says before of the cost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from .heads import Head, HeadSet
from .measured import Measured, finite, mean

Scores = list[float]
Evaluate = Callable[[Sequence[HeadSet], Sequence[int]], list[Scores]]
"""Head sets and pair numbers -> a score for each set on each pair; higher is better. May raise `Stopped`."""

Distort = Callable[[HeadSet, Sequence[int]], Scores]
"""A set that was measured, and pair numbers -> its distortion on each pair: how far its latent is from the unguided one of
the same noise, relative in norm."""


class Attribute(Protocol):
    """How much each head of a pool, added to a set (or in it already), would probably raise the score of each pair.

    price: what a unit of distortion is taken off a score; 0 for the score alone.
    """

    def __call__(
        self, chosen: HeadSet, pool: HeadSet, pairs: Sequence[int], price: float = 0.0
    ) -> dict[Head, Measured]: ...


class Candidate(NamedTuple):
    """A head with the strength that it is tried at: its own, or None for the group's. As a string it is head text."""

    head: Head
    strength: float | None = None

    def __str__(self) -> str:
        return HeadSet({self.head: self.strength}).item(self.head)

    @property
    def negative(self) -> bool:
        return self.strength is not None and self.strength < 0


@dataclass(frozen=True)
class Task:
    """What a strategy has to do in one round: find the best `k` heads of `pool` to add to `chosen`, or better strengths.

    `pool` holds each head at the strength that it is tried at, and no head of `chosen` unless the strategy refines; heads
    without one are tried at `strength`. `pairs`: the numbers of all pairs. `start`: the heads that the hunt began with.
    `both_signs`: each head is to be tried at minus its strength, too. `baseline`, `before`: the scores of the unguided
    pictures and of `chosen`. `failed`: how many rounds before this one have left a set that is refined as it is.
    """

    evaluate: Evaluate
    chosen: HeadSet
    pool: HeadSet
    pairs: Sequence[int]
    k: int
    attribute: Attribute | None = None
    distort: Distort | None = None
    start: HeadSet = field(default_factory=HeadSet)
    strength: float = 1.0
    both_signs: bool = False
    baseline: Measured | None = None
    before: Measured | None = None
    failed: int = 0

    @property
    def candidates(self) -> list[Candidate]:
        """Each head of the pool, and with both signs each at minus its strength after it."""
        as_given = [Candidate(head, own) for head, own in self.pool.items()]
        return (
            [signed for given in as_given for signed in (given, self.opposite(given))] if self.both_signs else as_given
        )

    def opposite(self, candidate: Candidate) -> Candidate:
        """The same head at minus its strength."""
        return Candidate(candidate.head, -round(self.strength if candidate.strength is None else candidate.strength, 3))

    def measure(self, candidates: Iterable[Candidate], pairs: Sequence[int]) -> list[Measured]:
        """Each of these heads together with the set so far."""
        return measure(self.evaluate, [self.with_all([candidate]) for candidate in candidates], pairs)

    def with_all(self, candidates: Iterable[Candidate]) -> HeadSet:
        """The set so far and all of these heads."""
        return self.chosen | HeadSet({candidate.head: candidate.strength for candidate in candidates})

    def attributions(self, price: float = 0.0) -> dict[Head, Measured]:
        """`attribute` of the whole pool on all pairs. ValueError where there is none."""
        if self.attribute is None:
            raise ValueError("this strategy needs gradients")
        return self.attribute(self.chosen, self.pool, self.pairs, price)

    def distortion(self, heads: HeadSet) -> float:
        """`distort` of a measured set, the mean over all pairs. ValueError where there is none."""
        if self.distort is None:
            raise ValueError("this strategy needs distortions")
        return mean(self.distort(heads, self.pairs))

    def gain(self, measured: Measured) -> float:
        """The mean gain over the unguided pictures."""
        assert self.baseline is not None
        return measured.minus(self.baseline).mean

    @property
    def so_far(self) -> Measured:
        """The scores of `chosen`."""
        assert self.before is not None
        return self.before


@dataclass(frozen=True)
class Step:
    """A set that a gradient led to, as it was measured. `size`: of the step, in shares of the heads' own strengths.

    `distortion`: the mean over the pairs.
    """

    size: float
    heads: HeadSet
    measured: Measured
    distortion: float


@dataclass(frozen=True)
class Outcome:
    """What a strategy measured: each candidate it tried, and, where it predicts, what was predicted for each head of the pool.

    The best k heads have been measured on all pairs. One that refines gives the sets that it measured, and which of them
    takes the place of the one before: None where none is better.
    """

    measured: dict[Candidate, Measured]
    predicted: dict[Head, Measured] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    taken: Step | None = None


class Strategy(ABC):
    """`pool`, `pairs` and `k` in the costs are numbers of heads, pairs and heads a round; `signs`: 2 where both are tried."""

    needs_gradients: bool = False
    """Whether its tasks must have an `attribute`."""
    refines: bool = False
    """Whether a round gives all heads new strengths (`Outcome.taken`), in place of adding k heads. Then tasks must have a `distort`."""

    @abstractmethod
    def measure(self, task: Task) -> Outcome:
        """One round."""

    @abstractmethod
    def evaluations(self, pool: int, pairs: int, k: int, signs: int = 1) -> int:
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


def measure(evaluate: Evaluate, sets: Sequence[HeadSet], pairs: Sequence[int]) -> list[Measured]:
    """Each set's scores; one that is nan or inf counts as the worst."""
    return [Measured(tuple(pairs), tuple(map(finite, scores))) for scores in evaluate(sets, pairs)]


def rank(measured: Mapping[Candidate, Measured]) -> list[Candidate]:
    """Candidates from best to worst: first those measured on the most pairs, then by mean, then by layer and head."""
    return best_first(measured, lambda candidate: measured[candidate].mean)


def best_first(measured: Mapping[Candidate, Measured], score: Callable[[Candidate], float]) -> list[Candidate]:
    """As `rank`, by another score; a head's strength as it is comes before its opposite."""
    return sorted(
        measured, key=lambda each: (-len(measured[each].pairs), -finite(score(each)), each.head, each.negative)
    )


def one_a_head(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The first of each head, in their order."""
    first: dict[Head, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.head, candidate)
    return list(first.values())
