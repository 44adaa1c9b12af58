"""The measuring itself, in the host's Python: called by bench/__main__.py."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import loading

FORMAT = "headhunter-bench/1"
PARTS = ("guidance", "groups", "overhead", "limit", "hunt", "scaling", "grid", "startup", "workers")
STARTED = time.monotonic()


def say(text: str) -> None:
    """One line of progress on stderr, with the seconds since the start."""
    print(f"[bench {time.monotonic() - STARTED:4.0f} s] {text}", file=sys.stderr, flush=True)


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python bench", description="What guidance and hunts cost, each ratio side by side in one run."
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; may be given again")
    parser.add_argument(
        "--model",
        action="append",
        choices=("tiny", "sd3", "flux"),
        help="only this model; may be given again (default: all; groups: tiny and sd3)",
    )
    parser.add_argument(
        "--case",
        action="append",
        metavar="TEXT",
        help="guidance, groups: only cases whose name has this text, and no guidance; may be given again",
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="repeats of each case, half as many on large models (default: 5)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="the tiny model, one round, small hunts: a check, not a measurement"
    )
    parser.add_argument(
        "--every-strategy", action="store_true", help="hunts with every strategy and both methods: some times as long"
    )
    return parser.parse_args()


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    import torch
    from comfyui_version import __version__ as comfyui

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    hardware = {
        "gpu": gpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cpu": platform.processor() or platform.machine(),
    }
    return hardware | {"python": platform.python_version(), "torch": torch.__version__, "comfyui": comfyui}


def main() -> int:
    """Measures what the command line asks for; prints tables, and writes the JSON file."""
    chosen = options()
    loading.load()
    rounds = 1 if chosen.quick else chosen.rounds
    wanted = chosen.part or PARTS
    result: dict[str, Any] = {"format": FORMAT, "machine": machine()}
    print(f"ComfyUI {result['machine']['comfyui']}, torch {result['machine']['torch']}, "
          f"{result['machine']['gpu'] or str(result['machine']['cores']) + ' CPU cores'}")  # fmt: skip
    for name, part in parts_on_models().items():
        if name in wanted:
            result[name] = on_models(name, part, rounds, chosen)
    for name, measure in parts_of_their_own(rounds, chosen).items():
        if name in wanted:
            say(name)
            result[name], text = measure()
            show(name, text)
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        say(f"written to {chosen.json}")
    return 0


def parts_on_models() -> dict[str, ModuleType]:
    """The parts that are measured on each of several models."""
    import groups
    import guidance

    return {"guidance": guidance, "groups": groups}


def on_models(name: str, part: ModuleType, rounds: int, chosen: argparse.Namespace) -> dict[str, Any]:
    """A part's results by model, each shown as it is there."""
    import subjects
    import timing

    wanted = chosen.model or {"guidance": subjects.NAMES, "groups": subjects.NAMES[:2]}[name]
    results = {}
    for key, make in subjects.subjects(chosen.quick).items():
        if key not in wanted:
            continue
        say(f"{name}: making the model {key}")
        subject = make()
        steps = 2 if chosen.quick or key != "tiny" else 8
        repeats = rounds if key == "tiny" else rounds // 2 + 1
        cases = timing.chosen(part.cases(subject), chosen.case)
        results[key] = part.measure(subject, cases, repeats, steps, prefixed(f"{name}, {key}"))
        show(name, part.table(results[key]))
        del subject, cases  # before the next model is made: two may not fit
    return results


def parts_of_their_own(rounds: int, chosen: argparse.Namespace) -> dict[str, Callable[[], tuple[Any, str]]]:
    """The parts that bring what they measure: each gives its results and their text."""
    import grid
    import hunt
    import limit
    import overhead
    import scaling
    import startup
    import workers

    hunts = (hunt.QUICK if chosen.quick else {}) | ({"cases": hunt.CASES + hunt.MORE} if chosen.every_strategy else {})
    limits = limit.QUICK if chosen.quick else {}
    return {
        "overhead": lambda: both(overhead.measure(rounds, prefixed("overhead")), overhead.table),
        "limit": lambda: both(limit.measure(prefixed("limit"), **limits), limit.table),
        "hunt": lambda: both(hunt.measure(**hunts), hunt.text),
        "scaling": lambda: both(scaling.measure(prefixed("scaling")), scaling.table),
        "grid": lambda: both(grid.measure(rounds, prefixed("grid")), grid.table),
        "startup": lambda: both(startup.measure(rounds, prefixed("startup")), startup.table),
        "workers": lambda: both(workers.measure(chosen.quick, prefixed("workers")), workers.table),
    }


def both(part: Any, text: Callable[[Any], str]) -> tuple[Any, str]:
    """A part and its text."""
    return part, text(part)


def prefixed(name: str) -> Callable[[str], None]:
    """`say` with a name before it."""
    return lambda text: say(f"{name}: {text}")


def show(name: str, text: str) -> None:
    """A table under its name."""
    print(f"\n[{name}] {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
