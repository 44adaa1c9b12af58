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
REPORT = {
    "rounds?": [{"round": int, "chosen": [str], "steps?": list, "attributions?": dict}],
    "heads?": str,
    "settings?": {"group?": dict},
}


def heat_of(study: Study) -> dict[str, Any]:
    """As JSON data:

        {grid, scorers, baseline, found, rounds: [{round, chosen: [head text], heads: {head text: [score, pairs, preview, added]}}]}

    score: mean over the pairs scored so far, minus the baseline's on the same pairs; of several scorers the combined score;
    null where there is none (an atlas). added: the same against the set that the round began with; null where that is the
    unguided pictures. A head with a picture that has no score counts as the worst of its round. Where both
    signs of a head were tried, each has an entry. Of a round that gives all heads new strengths: what the gradient says of
    each head, on 0 pairs. Of a comparison: its variants' heads, in one round.
    preview: a number for the preview route, or null. baseline: the mean raw score of the unguided pictures, null before
    it is known and for several scorers. found: {heads, group}, the hunt's heads so far and the settings of its group; null
    before the first round is done.
    """
    about = study.shaped("about", ABOUT)
    report = study.shaped("report", REPORT)
    scorers = about.get("scorers", [])
    factors = _factors(study, scorers)
    chosen = {round["round"]: round["chosen"] for round in report.get("rounds", [])}
    beside = range(len(scorers), len(scorers) + about.get("beside", 0))
    rounds = _rounds(study, factors, beside, chosen)
    if "variants" in about:
        rounds = {number: _by_heads(heads, about["variants"]) for number, heads in rounds.items()}
    refined = [round for round in report.get("rounds", []) if "steps" in round]
    for round in refined:
        slopes = round.get("attributions", {}).items()
        rounds[round["round"]] = {head: [value, 0, None, None] for head, value in slopes if isinstance(value, NUMBER)}
    chosen |= {round["round"]: [] for round in refined[:-1]}  # the last one's set took their place
    baseline = study.baseline(0) if len(factors) == 1 and 0 not in beside else []
    return {
        "grid": about.get("grid"),
        "scorers": [scorer["name"] for scorer in scorers],
        "baseline": _short(sum(baseline) / len(baseline)) if baseline else None,
        "found": found_in(report),
        "rounds": [
            {
                "round": number,
                "chosen": chosen.get(number, []),
                "heads": {
                    head: [_short(score), pairs, preview, _short(added)]
                    for head, (score, pairs, preview, added) in heads.items()
                },
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


def found_in(report: dict[str, Any]) -> dict[str, Any] | None:
    """The heads that a hunt's report ends with, and the settings of its group, for a SoftPAG node; None where it has none."""
    if not report.get("rounds") or not report.get("heads"):
        return None
    return {"heads": report["heads"], "group": report.get("settings", {}).get("group", {})}


def _rounds(
    study: Study, factors: list[float], beside: range, chosen: dict[int, list[str]]
) -> dict[int, dict[str, list[Any]]]:
    """Each round's candidates with [score, pairs, preview, added]; scorers in `beside` do not count."""
    rounds: dict[int, dict[str, list[Any]]] = {}
    for (number, head), (score, pairs) in _means(study.differences(), factors, beside).items():
        rounds.setdefault(number, {})[head] = [score, pairs, None, None]
    for number, heads in rounds.items():
        before = study.set_of(number - 1, chosen.get(number - 1, []))
        added = _means(study.differences(number, before), factors, beside) if before else {}
        for head, entry in heads.items():
            entry[3] = added.get((number, head), (None, 0))[0]
    for preview in study.first_previews():
        entry = rounds.setdefault(preview["round"], {}).setdefault(preview["head"], [None, 0, None, None])
        entry[2] = preview["number"]
    return rounds


def _means(
    rows: list[tuple[Any, ...]], factors: list[float], beside: range
) -> dict[tuple[int, str], tuple[float | None, int]]:
    """(round, candidate) -> its mean difference over all scorers, and the pairs. A mean without a score is the worst of its
    round; None where no scorer is known."""
    means: dict[tuple[int, str], tuple[float | None, int]] = {}
    for number, head, scorer, difference, pairs in rows:
        if scorer in beside:
            continue
        so_far = means.get((number, head), (0.0, pairs))[0]
        if scorer >= len(factors) or so_far is None:
            means[number, head] = (None, pairs)
        else:
            means[number, head] = (so_far + factors[scorer] * (math.nan if difference is None else difference), pairs)
    worst: dict[int, float] = {}
    for (number, _), (score, _) in means.items():
        if score is not None and math.isfinite(score):
            worst[number] = min(score, worst.get(number, score))
    return {
        (number, head): (worst.get(number) if score is not None and not math.isfinite(score) else score, pairs)
        for (number, head), (score, pairs) in means.items()
    }


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
