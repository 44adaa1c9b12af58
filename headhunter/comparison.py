"""What a comparison says: each variant's scores against the unguided pictures of the same pairs, and its distortion.

As a table for people, and as `headhunter-comparison/1`, JSON data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

import torch

from .grid import Grid, describe
from .scoring.base import Scorer
from .scoring.combine import combine, components_of
from .variants import Variant

FORMAT = "headhunter-comparison/1"

Scores = Sequence[Sequence[float]]
"""[pairs][columns]: every scorer's score, nan where a picture has none."""


@dataclass(frozen=True)
class Judge:
    """A scorer, read from the columns that hold its parts' raw scores, the first of them at `first`.

    A single scorer's scores are as they are; of a combined one they are against the unguided picture
    (scoring/combine.py). `objective`: False for one that is only read along.
    """

    name: str
    first: int
    weights: tuple[float, ...]
    units: tuple[float, ...]
    objective: bool

    def scores(self, rows: Scores, unguided: Scores) -> list[float]:
        """One number a pair."""
        columns = range(self.first, self.first + len(self.weights))
        if len(columns) == 1:
            return [row[self.first] for row in rows]
        own, base = (
            torch.tensor([[row[i] for row in some] for i in columns], dtype=torch.float64) for some in (rows, unguided)
        )
        return combine(own, base, self.weights, self.units).tolist()


def judges_of(scorer: Scorer | None, second: Scorer | None) -> list[Judge]:
    """Those of the scorers that are there; the second is read along."""
    judges: list[Judge] = []
    first = 0
    for judge, objective in ((scorer, True), (second, False)):
        if judge is None:
            continue
        parts = components_of(judge)
        name = " + ".join(part.name for part, _ in parts)
        weights, units = tuple(weight for _, weight in parts), tuple(part.unit for part, _ in parts)
        judges.append(Judge(name, first, weights, units, objective))
        first += len(parts)
    return judges


@dataclass(frozen=True)
class Paired:
    """Scores of a variant, and how they differ from the unguided pictures', over the pairs where both have one.

    mean, difference: of the scores and of the paired differences; None where no pair has both. error: the standard
    error of `difference`; None for fewer than two pairs. wins: pairs on which the variant scores higher.
    """

    pairs: int
    mean: float | None
    difference: float | None
    error: float | None
    wins: int


def paired(scores: Sequence[float], unguided: Sequence[float]) -> Paired:
    """Paired by place; a pair where either has no score (nan or inf) is left out."""
    both = [(score, base) for score, base in zip(scores, unguided, strict=True) if math.isfinite(score + base)]
    if not both:
        return Paired(0, None, None, None, 0)
    differences = [score - base for score, base in both]
    error = stdev(differences) / math.sqrt(len(both)) if len(both) > 1 else None
    wins = sum(difference > 0 for difference in differences)
    return Paired(len(both), fmean(score for score, _ in both), fmean(differences), error, wins)


@dataclass(frozen=True)
class Outcome:
    """A variant with what was measured: one `Paired` a judge, and its mean distortion over the pairs that have one.

    Distortion: norm of the difference to the unguided latent of the same noise over that latent's norm.
    """

    variant: Variant
    judged: tuple[Paired, ...]
    distortion: float | None


def outcomes(variants: Sequence[Variant], rows: Sequence[Scores], judges: Sequence[Judge]) -> list[Outcome]:
    """One a variant. `rows`: each variant's scores, the unguided first; the last column is the distortion."""
    result = []
    for variant, own in zip(variants, rows, strict=True):
        judged = tuple(paired(judge.scores(own, rows[0]), judge.scores(rows[0], rows[0])) for judge in judges)
        distortions = [row[-1] for row in own if math.isfinite(row[-1])]
        result.append(Outcome(variant, judged, fmean(distortions) if distortions else None))
    return result


def best_of(outcomes: Sequence[Outcome], judges: Sequence[Judge]) -> str | None:
    """The variant with the largest mean difference by the objective; None where none is above the unguided pictures."""
    place = next((index for index, judge in enumerate(judges) if judge.objective), None)
    if place is None:
        return None
    best = max(outcomes, key=lambda outcome: outcome.judged[place].difference or 0.0)
    return best.variant.name if (best.judged[place].difference or 0.0) > 0 else None


def table(outcomes: Sequence[Outcome], judges: Sequence[Judge]) -> str:
    """Plain text, one line a variant, the columns aligned."""
    rows = [["variant"]]
    for judge in judges:
        rows[0] += [judge.name if judge.objective else f"{judge.name} (read along)", "against unguided", "better"]
    rows[0].append("distortion")
    for place, outcome in enumerate(outcomes):
        row = [outcome.variant.name]
        for judged in outcome.judged:
            against, wins = ("", "") if place == 0 else (_against(judged), f"{judged.wins} of {judged.pairs}")
            row += [_number(judged.mean), against, wins]
        rows.append([*row, "" if place == 0 else _number(outcome.distortion, 3)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def report_of(
    outcomes: Sequence[Outcome], judges: Sequence[Judge], grid: Grid, about: Mapping[str, Any]
) -> dict[str, Any]:
    """`headhunter-comparison/1` as JSON data; `about` holds settings, pairs, counts and times."""
    return {
        "format": FORMAT,
        **about,
        "grid": describe(grid),
        "judges": [{"name": judge.name, "objective": judge.objective} for judge in judges],
        "best": best_of(outcomes, judges),
        "variants": [
            {
                "name": outcome.variant.name,
                "text": outcome.variant.text,
                "cfg": outcome.variant.cfg,
                "groups": [asdict(group) for group in outcome.variant.groups],
                "judged": [asdict(judged) for judged in outcome.judged],
                "distortion": outcome.distortion,
            }
            for outcome in outcomes
        ],
    }


def _number(value: float | None, digits: int = 5) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def _against(judged: Paired) -> str:
    if judged.difference is None:
        return "-"
    error = "" if judged.error is None else f" +- {judged.error:.2g}"
    return f"{judged.difference:+.3g}{error}"
