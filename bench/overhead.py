"""[overhead] Where our own work in a guided step goes, on the demo's model, whose passes are so short that it counts."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import baselines
import subjects
from steps import sampling, step_seconds
from timing import clock, ratio, side_by_side

STEPS = 20
SHOWN = 8
"""Functions in a table."""
PACK = Path(__file__).resolve().parent.parent / "headhunter"


def measure(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Step times over an unguided step, what each case adds to the passes that it needs, and our functions' share of it.

    `passes`: of blocks, over an unguided step's. `functions`: microseconds a step, under a profiler, which makes Python dearer
    than it is: `python` in the function itself, `torch` in the operations that it calls.
    """
    subject = subjects.tiny()
    model, layers = subject.model, subject.layers
    middle = layers // 2
    cases = {
        "no guidance": (model, 1.0),
        "a further pass": (baselines.extra_pass(model), 2.0),
        "SoftPAG on one head of layer 0": (baselines.ours(model, "L0H1"), 2.0),
        "SoftPAG on one head of layer L/2": (baselines.ours(model, f"L{middle}H1"), 1 + (layers - middle) / layers),
        "SoftPAG on every head": (baselines.ours(model, "*"), 2.0),
        "in attention, one head": (baselines.ours(model, f"L{middle}H1", method="in attention"), 1.0),
        "in attention, every head": (baselines.ours(model, "*", method="in attention"), 1.0),
    }
    times = side_by_side(
        {
            name: lambda patched=patched: step_seconds(subject, patched, 1.0, STEPS)
            for name, (patched, _) in cases.items()
        },
        rounds,
        say,
    )
    plain = times["no guidance"]
    rows = [
        {
            "case": name,
            "ratio": asdict(ratio(times[name], plain)),
            "passes": passes,
            "functions": functions(subject, patched),
        }
        for name, (patched, passes) in cases.items()
    ]
    return {"model": subject.what, "clock": clock(), "microseconds": 1e6 * min(plain), "rows": rows}


def functions(subject: subjects.Subject, model: Any) -> list[dict[str, Any]]:
    """Our functions that take the most of a step, the dearest first."""
    run = sampling(subject, model, 1.0, STEPS)
    run()
    profile = cProfile.Profile(time.process_time)
    profile.runcall(run)
    seconds: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for (file, _, name), (_, _, own, _, callers) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if Path(file).is_relative_to(PACK):
            seconds[f"{Path(file).stem}.{name}"][0] += own
        elif file == "~":  # an operation in C: its time goes to whoever calls it
            for (caller, _, called_in), (_, _, part, _) in callers.items():
                if Path(caller).is_relative_to(PACK):
                    seconds[f"{Path(caller).stem}.{called_in}"][1] += part
    step = 1e6 / STEPS
    rows = [{"function": name, "python": a * step, "torch": b * step} for name, (a, b) in seconds.items()]
    return sorted(rows, key=lambda row: -row["python"] - row["torch"])


def table(part: dict[str, Any]) -> str:
    """For the terminal."""
    lines = [
        f"{part['model']}: an unguided step takes {part['microseconds']:.0f} us of {part['clock']}",
        f"{'':<36}{'step, over no guidance':<28}{'over its passes':>16}",
    ]
    for row in part["rows"]:
        ratios = row["ratio"]
        text = f"{ratios['median']:.3f} ({ratios['low']:.3f} to {ratios['high']:.3f})"
        lines.append(f"{row['case']:<36}{text:<28}{ratios['median'] - row['passes']:>+16.3f}")
    for row in part["rows"]:
        if not row["functions"]:
            continue
        whole = [sum(function[kind] for function in row["functions"]) for kind in ("python", "torch")]
        lines.append(
            f"{row['case']}, under a profiler: our Python {whole[0]:.0f} us a step, operations it calls {whole[1]:.0f} us"
        )
        for function in row["functions"][:SHOWN]:
            lines.append(f"    {function['function']:<44}{function['python']:>7.0f}{function['torch']:>7.0f}")
    return "\n".join(lines)
