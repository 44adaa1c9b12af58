"""[groups] What several groups cost: ours, ours in one evaluation, and as many stacked core guidance nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from statistics import median
from typing import Any

import baselines
from guidance import doubles, one_head
from headhunter_pack.headhunter.host.models import grid_of
from steps import step_seconds
from subjects import Subject
from timing import clock, ratio, side_by_side

COUNTS = (1, 2, 4)
GOAL = 2.35
"""The most that a step may take with the four groups, in steps without guidance: 2.25 passes of blocks, and what is around them."""
WAYS = ("ours {}", "ours {}, one evaluation", "ours {}, no prefix reuse", "core {}")


def layers_of(subject: Subject) -> list[int]:
    """The groups' layers: at L/2 and after it, of 24 at 12, 15, 18, 21."""
    count = grid_of(subject.model).layers
    half = count // 2
    return [half + number * max(1, half // 4) % max(1, count - half) for number in range(max(COUNTS))]


def cases(subject: Subject) -> dict[str, Any]:
    """The models that are compared. In one evaluation: every group has a head of the first one's layer, too, hardly
    perturbed, so that all start there.
    """
    grid, layers = grid_of(subject.model), layers_of(subject)
    made: dict[str, Any] = {"no guidance": subject.model}
    for count in COUNTS:
        mine, once, whole, core = [subject.model] * 4
        for layer in layers[:count]:
            mine = baselines.ours(mine, one_head(layer), scale=3.0 / count)
            once = baselines.ours(once, f"L{layers[0]}H0@0.001, {one_head(layer)}", scale=3.0 / count)
            whole = baselines.ours(whole, one_head(layer), reuse=False, scale=3.0 / count)
            core = baselines.skip_layer(core, [layer], doubles(grid), scale=3.0 / count)
        made |= dict(zip((way.format(count) for way in WAYS), (mine, once, whole, core), strict=True))
    return made


def measure(
    subject: Subject, cases: Mapping[str, Any], rounds: int, steps: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Step times over that without guidance.

    `blocks` is what the plan spends: block evaluations over those of a step without guidance.
    """
    times = side_by_side(
        {name: lambda model=model: step_seconds(subject, model, 1.0, steps) for name, model in cases.items()},
        rounds,
        say,
    )
    rows = [
        {"case": name, "seconds": median(times[name]), "ratio": asdict(ratio(times[name], times["no guidance"]))}
        for name in cases
    ]
    layers, count_of_layers = layers_of(subject), grid_of(subject.model).layers
    blocks = {count: 1 + sum(1 - layer / count_of_layers for layer in layers[:count]) for count in COUNTS}
    return {"model": subject.what, "layers": layers, "blocks": blocks, "clock": clock(), "goal": GOAL, "rows": rows}


def table(part: dict[str, Any]) -> str:
    """For the terminal."""
    by_name = {row["case"]: row["ratio"] for row in part["rows"]}
    heads = ("ours", "ours, one evaluation", "ours, no prefix reuse", "stacked core SkipLayerGuidanceDiT")
    lines = [f"{part['model']}, groups on layers {part['layers']}: step, over no guidance, {part['clock']}"]
    lines.append(f"{'groups':<8}{'blocks':<8}" + "".join(head.ljust(24) for head in heads))
    for count in COUNTS:
        cells = [by_name.get(way.format(count)) for way in WAYS]
        lines.append(
            f"{count:<8}{part['blocks'][count]:<8.3f}"
            + "".join(
                (f"{cell['median']:.2f} ({cell['low']:.2f} to {cell['high']:.2f})" if cell else "").ljust(24)
                for cell in cells
            )
        )
    lines.append(f"4 groups of ours: at most {part['goal']} wanted where their layers are in the last half of 24")
    return "\n".join(lines)
