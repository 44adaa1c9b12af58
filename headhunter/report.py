"""A hunt's report, `headhunter-report/1`: what was asked, what was measured, what was chosen."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from .grid import Grid
from .heads import format_heads, head_set
from .hunt import Hunt, Measured, Round, Signed, rank

FORMAT = "headhunter-report/1"


def report_of(hunt: Hunt, grid: Grid, heads: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """The report as JSON data. `heads` is the result's head text; `about` holds settings, pairs, scorers, times."""
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
        "heads": heads,
        "stopped": hunt.stopped,
        "baseline": _measured(hunt.baseline),
        "start": {"heads": [_name(head) for head in sorted(hunt.start)], "score": _measured(hunt.before)}
        if hunt.start
        else None,
        "rounds": [
            {
                "round": round.number,
                "chosen": [_name(head) for head in round.chosen],
                "joint": _measured(round.joint),
                "gain": _measured(round.gain),
                "helped": round.helped,
                "candidates": [
                    {"head": _name(head), **_measured(round.candidates[head])} for head in rank(round.candidates)
                ],
                **({"attributions": _attributions(round)} if round.attributions else {}),
            }
            for round in hunt.rounds
        ],
        **({"signed": _signed(hunt, hunt.signed, grid)} if hunt.signed else {}),
    }


def _attributions(round: Round) -> dict[str, float]:
    """Predicted change of the mean score by head, best first."""
    best = sorted(round.attributions, key=lambda head: (-round.attributions[head], head))
    return {_name(head): round.attributions[head] for head in best}


def _signed(hunt: Hunt, signed: Signed, grid: Grid) -> dict[str, Any]:
    """All heads with signed strengths; `against_heads` is their score minus that of the heads found, paired."""
    against = signed.measured.minus(hunt.rounds[-1].joint)
    return {
        "heads": format_heads(head_set(signed.heads), grid),
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


def _name(head: tuple[int, int]) -> str:
    return f"L{head[0]}H{head[1]}"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
