"""A study as colours for a grid: each head's mean score against the unguided pictures of the same pairs, round by round.

Read from the study's scores alone, so that a running, a cancelled and a finished hunt look alike.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from .scoring.combine import spreads
from .study import Study

NUMBER = (int, float)
ABOUT = {
    "grid?": (dict, type(None)),
    "scorers?": [{"name": str, "unit": NUMBER, "weight": NUMBER}],
}
REPORT = {"rounds?": [{"round": int, "chosen": [str]}]}


def heat_of(study: Study) -> dict[str, Any]:
    """As JSON data:

        {grid, scorers, baseline, rounds: [{round, chosen: [head text], heads: {head text: [score, pairs, preview]}}]}

    score: mean over the pairs scored so far, minus the baseline's on the same pairs; of several scorers the combined score
    (scoring/combine.py); null where there is none (an atlas). preview: a number for the preview route, or null. baseline: the mean
    raw score of the unguided pictures, null before it is known and for several scorers.
    """
    about = study.shaped("about", ABOUT)
    report = study.shaped("report", REPORT)
    scorers = about.get("scorers", [])
    factors = _factors(study, scorers)
    rounds: dict[int, dict[str, list[Any]]] = {}
    for number, head, scorer, difference, pairs in study.differences():
        entry = rounds.setdefault(number, {}).setdefault(head, [0.0, pairs, None])
        if difference is None or scorer >= len(factors):
            entry[0] = None
        elif entry[0] is not None:
            entry[0] += factors[scorer] * difference
    for preview in study.first_previews():
        rounds.setdefault(preview["round"], {}).setdefault(preview["head"], [None, 0, None])[2] = preview["number"]
    chosen = {round["round"]: round["chosen"] for round in report.get("rounds", [])}
    baseline = study.baseline(0) if len(factors) == 1 else []
    mean = sum(baseline) / len(baseline) if baseline else None
    return {
        "grid": about.get("grid"),
        "scorers": [scorer["name"] for scorer in scorers],
        "baseline": mean if mean is not None and math.isfinite(mean) else None,
        "rounds": [
            {
                "round": number,
                "chosen": chosen.get(number, []),
                "heads": {head: [_short(entry[0]), *entry[1:]] for head, entry in heads.items()},
            }
            for number, heads in sorted(rounds.items())
        ],
    }


def _factors(study: Study, scorers: list[dict[str, Any]]) -> list[float]:
    """What each scorer's difference is multiplied by: 1 for a single one (raw scores), weight / spread for several."""
    if len(scorers) < 2:
        return [1.0]
    baseline = [study.baseline(index) for index in range(len(scorers))]
    if not all(baseline) or not all(0 < scorer["unit"] for scorer in scorers):
        return []
    # One by one: a broken picture may have no score of one scorer.
    scale = [
        spreads(torch.tensor([one]), [scorer["unit"]]).item() for one, scorer in zip(baseline, scorers, strict=True)
    ]
    return [scorer["weight"] / one for scorer, one in zip(scorers, scale, strict=True)]


def _short(value: float | None) -> float | None:
    """To 6 digits, to keep the answer small; null where it is not a number."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None
