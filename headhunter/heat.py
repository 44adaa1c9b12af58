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
    "kind?": str,
    "grid?": (dict, type(None)),
    "scorers?": [{"name": str, "unit": NUMBER, "weight": NUMBER}],
    "beside?": int,
    "variants?": [{"key": str, "name": str, "heads": str}],
}
"""What a study says of itself. scorers: those that count. beside: columns of scores after theirs that do not.

kind: "hunt" where it says nothing, "atlas" or "comparison". variants: those of a comparison; its scores and pictures are
kept under their keys.
"""
REPORT = {"rounds?": [{"round": int, "chosen": [str], "steps?": list, "attributions?": dict}]}


def heat_of(study: Study) -> dict[str, Any]:
    """As JSON data:

        {grid, scorers, baseline, rounds: [{round, chosen: [head text], heads: {head text: [score, pairs, preview]}}]}

    score: mean over the pairs scored so far, minus the baseline's on the same pairs; of several scorers the combined score;
    null where there is none (an atlas). A head with a picture that has no score counts as the worst of its round. Where both
    signs of a head were tried, each has an entry. Of a round that gives all heads new strengths: what the gradient says of
    each head, on 0 pairs. Of a comparison: its variants' heads, in one round.
    preview: a number for the preview route, or null. baseline: the mean raw score of the unguided pictures, null before
    it is known and for several scorers.
    """
    about = study.shaped("about", ABOUT)
    report = study.shaped("report", REPORT)
    scorers = about.get("scorers", [])
    factors = _factors(study, scorers)
    beside = range(len(scorers), len(scorers) + about.get("beside", 0))
    rounds: dict[int, dict[str, list[Any]]] = {}
    for number, head, scorer, difference, pairs in study.differences():
        if scorer in beside:
            continue
        entry = rounds.setdefault(number, {}).setdefault(head, [0.0, pairs, None])
        if scorer >= len(factors):
            entry[0] = None
        elif entry[0] is not None:
            entry[0] += factors[scorer] * (math.nan if difference is None else difference)
    for heads in rounds.values():
        scores = [entry[0] for entry in heads.values() if entry[0] is not None]
        worst = min(filter(math.isfinite, scores), default=None)
        for entry in heads.values():
            if entry[0] is not None and not math.isfinite(entry[0]):
                entry[0] = worst
    for preview in study.first_previews():
        rounds.setdefault(preview["round"], {}).setdefault(preview["head"], [None, 0, None])[2] = preview["number"]
    if "variants" in about:
        rounds = {number: _by_heads(heads, about["variants"]) for number, heads in rounds.items()}
    chosen = {round["round"]: round["chosen"] for round in report.get("rounds", [])}
    refined = [round for round in report.get("rounds", []) if "steps" in round]
    for round in refined:
        slopes = round.get("attributions", {}).items()
        rounds[round["round"]] = {head: [value, 0, None] for head, value in slopes if isinstance(value, NUMBER)}
    chosen |= {round["round"]: [] for round in refined[:-1]}  # the last one's set took their place
    baseline = study.baseline(0) if len(factors) == 1 and 0 not in beside else []
    return {
        "grid": about.get("grid"),
        "scorers": [scorer["name"] for scorer in scorers],
        "baseline": _short(sum(baseline) / len(baseline)) if baseline else None,
        "rounds": [
            {
                "round": number,
                "chosen": chosen.get(number, []),
                "heads": {head: [_short(entry[0]), *entry[1:]] for head, entry in heads.items()},
            }
            for number, heads in sorted(rounds.items())
        ],
    }


def _by_heads(entries: dict[str, list[Any]], variants: list[dict[str, str]]) -> dict[str, list[Any]]:
    """A comparison's entries by their variants' heads; of several with the same heads the first that is listed."""
    named: dict[str, list[Any]] = {}
    for variant in variants:
        if variant["heads"] and variant["key"] in entries:
            named.setdefault(variant["heads"], entries[variant["key"]])
    return named


def _factors(study: Study, scorers: list[dict[str, Any]]) -> list[float]:
    """What each scorer's difference is multiplied by: 1 for a single one (raw scores), weight / spread for several."""
    if len(scorers) < 2:
        return [1.0]
    baseline = [study.baseline(index) for index in range(len(scorers))]
    if not all(baseline) or len({len(scores) for scores in baseline}) > 1:
        return []
    if not all(scorer["unit"] > 0 for scorer in scorers):
        return []
    scale = spreads(torch.tensor(baseline), [scorer["unit"] for scorer in scorers]).tolist()
    return [scorer["weight"] / spread for scorer, spread in zip(scorers, scale, strict=True)]


def _short(value: float | None) -> float | None:
    """To 6 digits, to keep the answer small; null where it is not a number."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None
