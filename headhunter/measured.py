"""What the parts of a hunt hand to each other: the scores of a head set on some pairs, and the ways in which a hunt ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev


class Stopped(Exception):
    """Ends a hunt in good order, since a limit was reached; what is known by then is kept."""


class AttributionError(RuntimeError):
    """No gradient can be had; says why, and what to use instead."""


@dataclass(frozen=True)
class Measured:
    """Scores of one head set on some pairs, each finite or -inf: the worst, for a picture that has no score.

    `mean` is the paper's objective; `error` is the standard error of that mean.
    """

    pairs: tuple[int, ...]
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        return mean(self.scores)

    @property
    def spread(self) -> float:
        """Standard deviation over the pairs; 0 for a single pair, nan where a score is not finite."""
        if not all(map(math.isfinite, self.scores)):
            return math.nan
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
        return Measured(tuple(pair for pair, _ in both), tuple(difference for _, difference in both))


def mean(values: Sequence[float]) -> float:
    """The mean; where a value is not finite, what their sum is: -inf, inf or nan. `fmean` would raise an error."""
    return fmean(values) if all(map(math.isfinite, values)) else sum(values)


def finite(value: float) -> float:
    """The value, or -inf, which comes last in any order, where it is nan or inf."""
    return value if math.isfinite(value) else -math.inf
