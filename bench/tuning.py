"""How the numbers in headhunter/strategies.py were chosen: halving's rungs, the shortlist of a screening, its steps.

`python bench/tuning.py` measures every head and its attribution on the demo's 32 tuning captions (some minutes), then
replays many hunts of one round on draws of them: what each choice costs, and what it loses against exhaustive.
"""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import correlation, fmean, pstdev, stdev

ROOT = Path(__file__).resolve().parent.parent
SCREENING_STEPS = (1, 2, 4)  # the hunt's steps divided by these
DRAWS = 400
Rows = Sequence[Sequence[float]]  # for each pair, a number for each head


def collect(steps: int = 12) -> dict[str, dict[str, Rows]]:
    """For each goal: "effects" of each head on each pair, and "attributions 1", "2", "4" with all steps, half, a quarter."""
    import torch
    import trained
    from headhunter_pack.headhunter.heads import Head, HeadSet
    from headhunter_pack.headhunter.host.attribution.attribution import Attribution
    from headhunter_pack.headhunter.host.generation.generate import Generator
    from headhunter_pack.headhunter.host.models import grid_of
    from headhunter_pack.headhunter.host.progress import Progress
    from headhunter_pack.headhunter.study import open_study

    bench = trained.Trained(steps, 0)
    grid = grid_of(bench.model)
    pool = [Head(layer, head) for layer in range(grid.layers) for head in range(grid.heads)]
    pairs = [bench.pair(text, 100 + i) for i, text in enumerate(bench.captions["tune"])]
    measured: dict[str, dict[str, Rows]] = {}
    for goal in trained.GOALS:
        scorer, effects = bench.scorer(goal), []
        bench.steps = steps
        generator = Generator(bench.model, bench.vae, bench.latent(), bench.sampling(goal))
        with torch.inference_mode():
            for pair in pairs:
                images = generator.decode(generator.latents([HeadSet(), *(HeadSet([head]) for head in pool)], pair))
                base, *scores = scorer.score(images, [pair.text] * len(images)).tolist()
                effects.append([score - base for score in scores])
            measured[goal.name] = {"effects": effects}
            for part in SCREENING_STEPS:
                bench.steps = steps // part
                generator = Generator(bench.model, bench.vae, bench.latent(), bench.sampling(goal))
                with open_study(bench.scratch / f"{goal.name}-{part}.sqlite", {}) as study:
                    attribute = Attribution(generator, pairs, scorer, study, grid, Progress(None, "", 1, 1))
                    values = attribute(HeadSet(), HeadSet(pool), list(range(len(pairs))))
                columns = [values[head].scores for head in pool]
                measured[goal.name][f"attributions {part}"] = list(zip(*columns, strict=True))
        print(f"measured {goal.name}", file=sys.stderr, flush=True)
    return measured


def rungs(heads: int, pairs: int, first: float, cut: int, finalists: int) -> list[tuple[int, int]]:
    """As headhunter.strategies.rungs, with its numbers free: pairs / first to begin with, 1 / cut go on, finalists at the end."""
    upto, survivors = max(1, math.ceil(pairs / first)), heads
    made = [(survivors, min(upto, pairs))]
    while upto < pairs:
        upto, survivors = upto * 2, max(min(finalists, heads), math.ceil(survivors / cut))
        made.append((survivors, min(upto, pairs)))
    return made


def halve(
    effects: Rows, predicted: Rows | None, heads: Sequence[int], made: Sequence[tuple[int, int]], k: int
) -> tuple[list[int], int]:
    """The best k heads by halving with these rungs, and the evaluations; `predicted` as control variates."""
    alive, done, cost = list(heads), 0, 0

    def expected(head: int) -> float:
        mean = fmean(row[head] for row in effects[:done])
        if predicted is None:
            return mean
        return mean + fmean(row[head] for row in predicted) - fmean(row[head] for row in predicted[:done])

    for survivors, upto in made:
        if done:
            alive = sorted(alive, key=lambda head: -expected(head))[:survivors]
        cost += len(alive) * (upto - done)
        done = upto
    return sorted(alive, key=lambda head: -expected(head))[:k], cost


@dataclass(frozen=True)
class Choice:
    """What a hunt of one round measures: see `rungs` for its halving."""

    finalists: Callable[[int], int]  # of k
    first: float = 8
    cut: int = 2
    shortlist: Callable[[int], int] | None = None  # of k, the heads that are measured at all; None: every head
    control: bool = False  # the attributions also serve as control variates


HALVINGS = {
    "pairs / 8, 2k finalists (in use)": Choice(lambda k: 2 * k),
    "pairs / 4, 2k finalists": Choice(lambda k: 2 * k, first=4),
    "pairs / 16, 2k finalists": Choice(lambda k: 2 * k, first=16),
    "pairs / 8, k + 1 finalists": Choice(lambda k: k + 1),
    "pairs / 8, a third goes on": Choice(lambda k: 2 * k, cut=3),
    "pairs / 4, a third goes on, k + 1": Choice(lambda k: k + 1, first=4, cut=3),
}


def replay(measured: dict[str, dict[str, Rows]]) -> str:
    """The tables: cost as a share of exhaustive's evaluations; loss in standard deviations of the heads' true effects."""
    return "\n".join(
        [
            "rank correlation of the mean attribution with the mean effect (of two halves of the effects with each other)",
            *(_correlations(goal, part) for goal, part in measured.items()),
            "halving, all heads",
            *(_line(name, measured.values(), choice) for name, choice in HALVINGS.items()),
            "a shortlist by attribution, then halving",
            *(_line(name, measured.values(), choice) for name, choice in _shortlists().items()),
        ]
    )


def _correlations(goal: str, part: dict[str, Rows]) -> str:
    effects = part["effects"]
    halves = [
        rank_correlation(*(means([effects[i] for i in side]) for side in split(len(effects), draw)))
        for draw in range(50)
    ]
    values = [rank_correlation(means(part[f"attributions {n}"]), means(effects)) for n in SCREENING_STEPS]
    told = ", ".join(f"steps / {n} {value:.2f}" for n, value in zip(SCREENING_STEPS, values, strict=True))
    return f"  {goal:<9} {told}  ({fmean(halves):.2f})"


def _shortlists() -> dict[str, Choice]:
    counts = {"k": lambda k: k, "2k": lambda k: 2 * k, "2k + 2": lambda k: 2 * k + 2, "4k": lambda k: 4 * k}
    endings = {
        "2k finalists": (lambda k: 2 * k, False),
        "k + 1 finalists": (lambda k: k + 1, False),
        "2k finalists, control variates": (lambda k: 2 * k, True),
        "k + 1 finalists, control variates": (lambda k: k + 1, True),
    }
    choices = {
        f"{size}, {name}": Choice(finalists, shortlist=count, control=control)
        for size, count in counts.items()
        for name, (finalists, control) in endings.items()
    }
    in_use = "2k + 2, k + 1 finalists, control variates"
    return {f"{name} (in use)" if name == in_use else name: choice for name, choice in choices.items()}


def _draw(part: dict[str, Rows], k: int, draw: int, choice: Choice) -> tuple[float, float]:
    """One hunt of one round on 8 or 16 drawn pairs: (evaluations over exhaustive's, loss of true effect a head)."""
    chance = random.Random(draw)
    count = (8, 16)[draw % 2]
    chosen = chance.sample(range(len(part["effects"])), count)
    effects, attributions = ([part[name][i] for i in chosen] for name in ("effects", "attributions 1"))
    true = means(part["effects"])
    heads = list(range(len(true)))
    full = _best(means(effects), k)
    tried = _best(means(attributions), choice.shortlist(k)) if choice.shortlist else heads
    made = rungs(len(tried), count, choice.first, choice.cut, choice.finalists(k))
    best, cost = halve(effects, attributions if choice.control else None, tried, made, k)
    lost = (sum(true[head] for head in full) - sum(true[head] for head in best)) / k / pstdev(true)
    return cost / (count * len(heads)), lost


def _best(values: Sequence[float], count: int) -> list[int]:
    return sorted(range(len(values)), key=lambda head: -values[head])[:count]


def _line(name: str, parts: Iterable[dict[str, Rows]], choice: Choice) -> str:
    results = [_draw(part, k, draw, choice) for part in parts for k in (1, 2, 3) for draw in range(DRAWS)]
    costs, losses = zip(*results, strict=True)
    return (
        f"  {name:<44} cost {fmean(costs):.3f}  lost {fmean(losses):+.3f} +- {stdev(losses) / len(losses) ** 0.5:.3f}"
    )


def means(rows: Rows) -> list[float]:
    """Mean over the pairs, for each head."""
    return [fmean(column) for column in zip(*rows, strict=True)]


def split(count: int, draw: int) -> tuple[list[int], list[int]]:
    """Two random halves of some pairs."""
    order = random.Random(draw).sample(range(count), count)
    return order[: count // 2], order[count // 2 :]


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's."""
    ranks = [[sorted(values).index(value) for value in values] for values in (a, b)]
    return correlation(*ranks)


def main() -> int:
    if "HEADHUNTER_TUNING" not in os.environ:
        sys.path.insert(0, str(ROOT))
        from hosting import setup

        host = setup.ensure(tools=False)
        own = {"COMFYUI_PATH": str(host.comfyui), "HEADHUNTER_TUNING": "1", "OMP_NUM_THREADS": "1"}
        return subprocess.call([str(host.python), *sys.argv], env=os.environ | own)
    import loading

    loading.load()
    print(replay(collect()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
