"""[grid] Reading and writing the head text of FLUX.1's 1368 heads."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from headhunter_pack.headhunter.grid import Grid
from headhunter_pack.headhunter.heads import Head, format_heads, parse
from timing import seconds

GRID = Grid("flux1", ("double",) * 19 + ("single",) * 38, 24)
REPEATS = 20


def measure(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Milliseconds to parse and to write the longest texts: every head by itself with a strength of its own."""
    heads = {
        Head(layer, head): round((layer * 24 + head) % 1000 / 1000, 3) for layer in range(57) for head in range(24)
    }
    text = format_heads(heads, GRID)
    assert parse(text, GRID) == heads
    times = {"parse": lambda: parse(text, GRID), "write": lambda: format_heads(heads, GRID)}
    found = {name: [1000 * seconds(run) for _ in range(rounds * REPEATS)] for name, run in times.items()}
    say("done")
    return {
        "heads": len(heads),
        "python": {name: {"median": median(ms), "high": max(ms)} for name, ms in found.items()},
    }


def table(part: dict[str, Any]) -> str:
    """For the terminal."""
    own = part["python"]
    return f"{part['heads']} heads, each with its strength: parse {own['parse']['median']:.1f} ms, write {own['write']['median']:.1f} ms (Python)"
