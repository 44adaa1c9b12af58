"""`python demo --tune`: how the constants in settings.py were chosen. Measures on the tuning captions, which no report uses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from hosting.server import Server

from . import table
from .captions import captions
from .comparing import compare
from .making import make
from .painting import call
from .progress import say
from .settings import HEADS_A_LAYER, LAYERS, UNGUIDED, Setting

ROWS, STEPS, CAPTIONS = 1, 20, 16
FIRST_SCALE, TOGETHER = 0.2, (1, 2, 3)  # the scale of single heads; how many of the best go together
SCALES, STRENGTHS, CFGS = (0.1, 0.2, 0.4), (0.5,), (1.2, 1.5, 2.0)

Results = list[dict[str, Any]]  # settings with their fidelity


def run(servers: Sequence[Server], out: Path, quick: bool) -> None:
    """Every single head; the best ones together, and CFG; the best set at lower strengths. Prints and saves each table."""
    tables: dict[str, Results] = {}

    def measure(title: str, settings: Sequence[Setting]) -> Results:
        tables[title] = _measure(servers, out, quick, settings)
        print(f"\n{title}:\n{table.table(tables[title])}\n", flush=True)
        (out / "tuning.json").write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")
        return sorted(tables[title][1:], key=lambda result: -result["fidelity"]["mean"])

    names = [f"L{layer}H{head}" for layer, head in product(range(LAYERS), range(HEADS_A_LAYER))]
    singles = measure("Single heads", [_softpag(name, FIRST_SCALE, 1.0) for name in names])
    sets = [", ".join(sorted(result["heads"] for result in singles[:count])) for count in TOGETHER]
    guided = [_softpag(heads, w, 1.0) for heads, w in product(sets, SCALES)]
    best = measure(
        "The best heads together, and CFG", guided + [Setting(f"cfg-{cfg:g}", f"CFG {cfg:g}", cfg) for cfg in CFGS]
    )
    heads = next(result["heads"] for result in best if result["heads"])
    measure("The best set at lower strengths", [_softpag(heads, w, u) for w, u in product(SCALES, STRENGTHS)])


def _softpag(heads: str, w: float, u: float) -> Setting:
    return Setting(f"{heads.replace(', ', '+')}-{w:g}-{u:g}", f"{heads} w={w:g} u={u:g}", 1.0, heads, w, u)


def _measure(servers: Sequence[Server], out: Path, quick: bool, settings: Sequence[Setting]) -> Results:
    chosen, rows, steps = (captions("tune")[:2], 1, 6) if quick else (captions("tune")[:CAPTIONS], ROWS, STEPS)
    settings = [UNGUIDED, *settings]
    say(f"{len(chosen)} tuning captions, {len(settings)} settings, {rows} pictures each, {steps} steps")
    made = make(servers, chosen, settings, rows, steps, out / "tuning")
    errors = call(servers[0].host, "fidelity.py", {"real": [caption.real for caption in chosen], "made": made})["fine"]
    return [
        asdict(setting) | {"fidelity": compare(errors[setting.name], errors[UNGUIDED.name])} for setting in settings
    ]
