"""A hunt's report, `headhunter-report/1`: what was asked, what was measured, what was chosen."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from .grid import Grid
from .hunt import Hunt, Measured, rank

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
            "double": grid.doubles,
            "single": grid.singles,
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
            }
            for round in hunt.rounds
        ],
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
