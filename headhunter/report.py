"""A hunt's report, `headhunter-report/1`: what was asked, what was measured, what was chosen."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from .grid import Grid
from .heads import format_heads
from .hunt import Hunt, Round, Signed
from .measured import Measured
from .rounds import Step, rank

FORMAT = "headhunter-report/1"


def report_of(hunt: Hunt, grid: Grid, about: Mapping[str, Any]) -> dict[str, Any]:
    """The report as JSON data; `about` holds settings, pairs, scorers, times. Heads with a strength of their own show it.

    A mean is not finite where one of its pictures has no score; such candidates come last.
    """
    return {
        "format": FORMAT,
        **about,
        "grid": {
            "model": grid.model,
            "layers": grid.layers,
            "heads": grid.heads,
            "double": grid.kinds.count("double"),
            "single": grid.kinds.count("single"),
        },
        "heads": format_heads(hunt.selected, grid),
        "stopped": hunt.stopped,
        "baseline": _measured(hunt.baseline),
        "start": {"heads": [hunt.start.item(head) for head in hunt.start], "score": _measured(hunt.before)}
        if hunt.start
        else None,
        "rounds": [
            {
                "round": round.number,
                "chosen": [str(candidate) for candidate in round.chosen],
                "joint": _measured(round.joint),
                "gain": _measured(round.gain),
                "helped": round.helped,
                "candidates": [
                    {"head": str(candidate), **_measured(round.candidates[candidate])}
                    for candidate in rank(round.candidates)
                ],
                **({"attributions": _attributions(hunt, round)} if round.attributions else {}),
                **({"steps": [_step(step, grid) for step in round.steps]} if hunt.refines else {}),
            }
            for round in hunt.rounds
        ],
        **({"signed": _signed(hunt, hunt.signed, grid)} if hunt.signed else {}),
    }


def _attributions(hunt: Hunt, round: Round) -> dict[str, float]:
    """Predicted change of the mean score by head, best first."""
    best = sorted(round.attributions, key=lambda head: (-round.attributions[head], head))
    return {hunt.pool.item(head): round.attributions[head] for head in best}


def _step(step: Step, grid: Grid) -> dict[str, Any]:
    """A set that a gradient led to; `distortion` is the mean over the pairs."""
    about = {"size": step.size, "heads": format_heads(step.heads, grid), "distortion": step.distortion}
    return about | _measured(step.measured)


def _signed(hunt: Hunt, signed: Signed, grid: Grid) -> dict[str, Any]:
    """All heads with signed strengths; `against_heads` is their score minus that of the chosen heads, paired."""
    against = signed.measured.minus(hunt.rounds[-1].joint)
    return {
        "heads": format_heads(signed.heads, grid),
        "measured": _measured(signed.measured),
        "gain": _measured(signed.gain),
        "against_heads": _measured(against),
        "better": against.mean > 0,
    }


def dump(report: Mapping[str, Any]) -> str:
    """As JSON text; numbers that are not finite become null, as JSON wants it."""
    return json.dumps(_finite(report), indent=1, ensure_ascii=False, allow_nan=False)


def _measured(measured: Measured | None) -> dict[str, Any]:
    if measured is None or not measured.scores:
        return {"mean": None, "spread": None, "error": None, "pairs": 0}
    return {"mean": measured.mean, "spread": measured.spread, "error": measured.error, "pairs": len(measured.pairs)}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
