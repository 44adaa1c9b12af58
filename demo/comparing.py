"""Means, their standard errors, and differences between settings that made their pictures from the same noise."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

Errors = Sequence[Sequence[float]]  # for each caption, its rows


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error; 0 for a single value."""
    return fmean(values), stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0


def compare(errors: Errors, baseline: Errors) -> dict[str, Any]:
    """A setting's fidelity, which is its negative squared error, and how much higher it is than the baseline's.

    The rows of a caption are averaged first: captions are the independent samples that the standard errors count.
    """
    own, other = ([-fmean(rows) for rows in setting] for setting in (errors, baseline))
    mean, error = spread(own)
    difference, difference_error = spread([a - b for a, b in zip(own, other, strict=True)])
    return {
        "mean": mean,
        "standard_error": error,
        "difference": difference,
        "difference_standard_error": difference_error,
        "difference_percent": 100 * difference / -fmean(other),
        "difference_percent_standard_error": 100 * difference_error / -fmean(other),
        "captions": len(own),
        "pictures": sum(map(len, errors)),
    }


def verdict(fidelity: dict[str, Any]) -> str:
    """What a paired difference says, in a word or two: it counts beyond two standard errors."""
    if fidelity["captions"] < 8:
        return "too few pictures to say"
    if abs(fidelity["difference"]) <= 2 * fidelity["difference_standard_error"]:
        return "no clear difference"
    return "closer" if fidelity["difference"] > 0 else "further away"
