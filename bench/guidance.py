"""[guidance] What a guided step costs, in steps without guidance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from statistics import median
from typing import Any

import baselines
from floor import matrix_rate, operations
from headhunter_pack.headhunter.grid import Grid
from headhunter_pack.headhunter.heads import Head
from headhunter_pack.headhunter.host.guidance.blocks import Architecture
from headhunter_pack.headhunter.host.models import grid_of
from memory import peak_bytes
from steps import sampling, step_seconds
from subjects import Subject
from timing import clock, ratio, side_by_side

EVERY, AGAIN = "SoftPAG on every head", "a further pass"
IN_ATTENTION = "in attention, every head"


def starts_of(subject: Subject) -> dict[str, int]:
    """The layers at which perturbed passes start, by name."""
    layers = grid_of(subject.model).layers
    return {"0": 0, "L/4": layers // 4, "L/2": layers // 2, "3L/4": 3 * layers // 4}


def cases(subject: Subject) -> dict[str, tuple[Any, float]]:
    """The models that are compared, each with its cfg."""
    model, grid = subject.model, grid_of(subject.model)
    middle = grid.layers // 2
    made: dict[str, tuple[Any, float]] = {"no guidance": (model, 1.0), "CFG": (model, 3.0)}
    for name, layer in starts_of(subject).items():
        heads = one_head(layer)
        made[f"SoftPAG from layer {name}"] = (baselines.ours(model, heads), 1.0)
        if layer:
            made[f"SoftPAG from layer {name}, no prefix reuse"] = (baselines.ours(model, heads, reuse=False), 1.0)
    return made | {
        EVERY: (baselines.ours(model, "*"), 1.0),
        IN_ATTENTION: (baselines.ours(model, "*", method="in attention"), 1.0),
        f"{IN_ATTENTION}, limit 2": (baselines.ours(model, "*", method="in attention", limit=2.0), 1.0),
        "core SkipLayerGuidanceDiT, layer L/2": (baselines.skip_layer(model, [middle], doubles(grid)), 1.0),
        AGAIN: (baselines.extra_pass(model), 1.0),
        "attention maps, layer L/2": (baselines.attention_maps(model, Architecture.of(model).key(middle)), 1.0),
    }


def measure(
    subject: Subject, cases: Mapping[str, tuple[Any, float]], rounds: int, steps: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Rows of the table: each case's step time over that without guidance, in the same round; its floor; its peak memory.

    A row of ours at layer l has also `pass`, the perturbed pass over the conditional pass: the step's ratio minus 1; and
    `goal`, (L - l) / L + 0.03. `layer` is what SoftPAG on every head of a layer adds to that layer, over all layers:
    ours on all heads against a further pass that nothing perturbs. In attention, `pass` is what moving every head of every
    layer adds to a step.
    """
    model, grid, starts = subject.model, grid_of(subject.model), starts_of(subject)
    times = side_by_side(
        {
            name: lambda patched=patched, cfg=cfg: step_seconds(subject, patched, cfg, steps)
            for name, (patched, cfg) in cases.items()
        },
        rounds,
        say,
    )
    plain = times["no guidance"]
    rate = matrix_rate(subject.tokens, subject.width, subject.dtype, model.load_device)
    rows = []
    for name, (patched, cfg) in cases.items():
        step = ratio(times[name], plain)
        floor = cases.get(floor_of(name), cases[name])
        must = operations(sampling(subject, floor[0], cfg, 1))
        row = {
            "case": name,
            "seconds": median(times[name]),
            "ratio": asdict(step),
            "floor_seconds": must / rate,
            "over_floor": median(times[name]) * rate / must,
            "peak_bytes": peak_bytes(sampling(subject, patched, cfg, 1)),
        }
        start = next((layer for label, layer in starts.items() if name == f"SoftPAG from layer {label}"), None)
        added = asdict(ratio([own - other for own, other in zip(times[name], plain, strict=True)], plain))
        if start is not None:
            row |= {"layer": start, "pass": added, "goal": (grid.layers - start) / grid.layers + 0.03}
        elif name.startswith(IN_ATTENTION):
            row |= {"pass": added, "goal": 0.03}
        rows.append(row)
        say(f"counted {name}")
    return {
        "model": subject.what,
        "grid": [grid.layers, grid.heads],
        "dtype": str(subject.dtype),
        "tokens": subject.tokens,
        "clock": clock(),
        "matrix_product_per_second": rate,
        "rows": rows,
        "layer": layer_of(times),
    }


def layer_of(times: Mapping[str, list[float]]) -> dict[str, float] | None:
    """What SoftPAG on every head of a layer takes, over the plain layer; None where its cases were not measured."""
    if not {EVERY, AGAIN} <= set(times):
        return None
    every, again = (
        [own - other for own, other in zip(times[name], times["no guidance"], strict=True)] for name in (EVERY, AGAIN)
    )
    return asdict(ratio(every, again)) | {"goal": 1.05}


def floor_of(name: str) -> str:
    """The case whose operations are the fewest that give this case's result."""
    if name == "attention maps, layer L/2":
        return "SoftPAG from layer L/2"
    if name.startswith(IN_ATTENTION):
        return "no guidance"
    return name.removesuffix(", no prefix reuse")


def one_head(layer: int) -> str:
    """Head text of one head of a layer."""
    return f"L{Head(layer, 1).layer}H1"


def doubles(grid: Grid) -> int:
    """How many layers the host calls double blocks; SD3's are all called so."""
    return sum(kind != "single" for kind in grid.kinds)


def table(part: dict[str, Any]) -> str:
    """For the terminal."""
    lines = [
        f"{part['model']}, {part['dtype'].removeprefix('torch.')}, {part['tokens']} tokens, {part['clock']}; "
        f"a matrix product runs at {part['matrix_product_per_second'] / 1e9:.0f} GFLOP/s",
        f"{'':<46}{'step, over no guidance':<26}{'it adds (goal)':<26}{'over floor':>10}{'peak MB':>9}",
    ]
    for row in part["rows"]:
        ratios = row["ratio"]
        text = f"{ratios['median']:.2f} ({ratios['low']:.2f} to {ratios['high']:.2f})"
        goal = f"{row['pass']['median']:.3f} (at most {row['goal']:.3f})" if "pass" in row else ""
        lines.append(f"{row['case']:<46}{text:<26}{goal:<26}{row['over_floor']:>10.2f}{row['peak_bytes'] / 1e6:>9.1f}")
    layer = part["layer"]
    if layer is None:
        return "\n".join(lines)
    lines.append(
        f"SoftPAG on every head of a layer, over the plain layer: {layer['median']:.3f} ({layer['low']:.3f} to {layer['high']:.3f}), "
        f"at most {layer['goal']} wanted"
    )
    return "\n".join(lines)
