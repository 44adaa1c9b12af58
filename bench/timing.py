"""Times of several cases, measured side by side: in turns, each round in another order, as ratios within a round."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch


@dataclass(frozen=True)
class Ratio:
    """Median, lowest and highest of a case's ratios to the baseline of the same round."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f} to {self.high:.3f})"


def clock() -> str:
    """What `seconds` gives."""
    return "wall time" if torch.cuda.is_available() else "processor time"


def seconds(run: Callable[[], Any]) -> float:
    """Time of one call: on a GPU wall time, its work included; on a CPU the processor's, which other programs hardly change."""
    if not torch.cuda.is_available():
        started = time.process_time()
        run()
        return time.process_time() - started
    torch.cuda.synchronize()
    started = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def chosen(cases: Mapping[str, Any], texts: Sequence[str] | None) -> dict[str, Any]:
    """The cases whose names have one of some texts, and no guidance; all without texts. ValueError where a text is in none."""
    for text in texts or ():
        if not any(text in name for name in cases):
            raise ValueError(f"no case has {text!r} in its name; there are: {', '.join(cases)}")
    return {
        name: case
        for name, case in cases.items()
        if not texts or name == "no guidance" or any(text in name for text in texts)
    }


def side_by_side(
    cases: Mapping[str, Callable[[], float]], rounds: int, say: Callable[[str], None]
) -> dict[str, list[float]]:
    """Runs each case (which gives its own seconds) once a round, after one round that is not counted."""
    names = list(cases)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-1, rounds):
        for place in range(len(names)):
            name = names[(place + max(number, 0)) % len(names)]
            value = cases[name]()
            if number >= 0:
                times[name].append(value)
        say("warm" if number < 0 else f"round {number + 1} of {rounds}")
    return times


def ratio(times: list[float], baseline: list[float]) -> Ratio:
    """Of the same rounds."""
    ratios = [own / base for own, base in zip(times, baseline, strict=True)]
    return Ratio(median(ratios), min(ratios), max(ratios))
