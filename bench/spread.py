"""What hunts on many GPUs take: the hunt's own plan, its chunks handed to workers one after the other. Arithmetic, nothing is run.

The engine itself runs the hunt, on scores that are drawn by chance, so that rounds, rungs and chunks are those of a real one. Each
time it asks for scores is a barrier: the next question depends on the answers. Assumptions are printed with the table.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from typing import Any

from headhunter_pack.headhunter.heads import Head, HeadSet
from headhunter_pack.headhunter.host.hunting.evaluate import chunks_of
from headhunter_pack.headhunter.hunt import hunt
from headhunter_pack.headhunter.measured import Measured
from headhunter_pack.headhunter.strategies import STRATEGIES
from scaling import CARDS, SEARCHES, SHARE, operations_of_a_pass

GPUS = (1, 2, 4, 8, 16, 32, 64)
CARD = "24 GB card, RTX 4090"
BATCH = 4
UNEVEN = 0.1  # standard deviation of a chunk's time, of its mean
LOADING = 90.0  # seconds until a worker has its models


class Makespan:
    """Seconds that jobs take on some workers, each job to whoever is free first."""

    def __init__(self, workers: int, call: float):
        self.workers = workers
        self.call = call
        self.seconds = LOADING if workers > 1 else 0.0
        self.busy = 0.0
        self._uneven = random.Random(0)

    def run(self, jobs: Sequence[float]) -> None:
        """All of these, then a barrier."""
        free = [0.0] * self.workers
        for job in jobs:
            own = job * max(0.2, self._uneven.gauss(1, UNEVEN)) + (self.call if self.workers > 1 else 0)
            self.busy += own
            heapq.heappush(free, heapq.heappop(free) + own)
        self.seconds += max(free)


def simulated(name: str, search: Any, workers: int, a_pass: float, call: float) -> Makespan:
    """A hunt with the strategy `name`. a_pass: seconds of a pass for all steps of a picture."""
    made, chance = Makespan(workers, call), random.Random(1)
    layers = search.heads // 24

    def evaluate(sets: Sequence[HeadSet], pairs: Sequence[int]) -> list[list[float]]:
        passes = [(2 if any(some) else 1) * len(some) * len(numbers) for some, numbers in chunks_of(sets, pairs, BATCH)]
        made.run([a_pass * each for each in passes])
        return [[chance.random() for _ in pairs] for _ in sets]

    def attribute(chosen: HeadSet, pool: HeadSet, pairs: Sequence[int], price: float = 0.0) -> dict[Head, Measured]:
        made.run([a_pass * (8 if chosen else 4)] * len(pairs))
        return {head: Measured(tuple(pairs), tuple(chance.random() for _ in pairs)) for head in pool}

    pool = HeadSet([Head(layer, head) for layer in range(layers) for head in range(24)])
    tools: Any = {
        "attribute": attribute,
        "distort": lambda heads, pairs: [1.0] * len(pairs),
    }  # distortions come with the pictures
    hunt(evaluate, pool, search.pairs, search.rounds, search.k, STRATEGIES[name], **tools)
    return made


def measure(call: float) -> list[dict[str, Any]]:
    """For FLUX.1's style hunt and SD3's quality hunt, each strategy and number of GPUs: hours, and how busy the workers are."""
    rows = []
    for search in (SEARCHES[3], SEARCHES[1]):
        a_pass = search.steps * operations_of_a_pass(search.model, search.side) / (CARDS[CARD] * SHARE)
        for name in STRATEGIES:
            runs = {gpus: simulated(name, search, gpus, a_pass, call) for gpus in GPUS}
            rows.append(
                {
                    "search": search.name,
                    "strategy": name,
                    "hours": {gpus: run.seconds / 3600 for gpus, run in runs.items()},
                    "busy": {gpus: run.busy / (run.seconds * gpus) for gpus, run in runs.items()},
                }
            )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Hours, and in brackets how much of the time the GPUs work."""
    lines = [
        f"simulated on {CARD} at {SHARE:.0%} of its rate: batches of {BATCH}, chunks that differ by {UNEVEN:.0%}, {LOADING:.0f} s to load",
        "",
        "| search | strategy | " + " | ".join(f"{gpus} GPU{'s' * (gpus > 1)}" for gpus in GPUS) + " |",
        "|---|---|" + "---|" * len(GPUS),
    ]
    for row in rows:
        cells = [f"{row['hours'][gpus]:.2f} h ({row['busy'][gpus]:.0%})" for gpus in GPUS]
        lines.append(f"| {row['search']} | {row['strategy']} | {' | '.join(cells)} |")
    return "\n".join(lines)
