"""[hunt] What each search strategy costs and finds, with both methods, on the demo's trained model.

Block evaluations against the held-out gain at equal distortion, since a stronger guidance alone is what `scale` gives.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from judging import Judge
from trained import GOALS, Goal, Trained

HEADS = 16


@dataclass(frozen=True)
class Case:
    """A strategy with a method; `k` heads a round. The sets after the rounds `judged` are judged, each as a row."""

    strategy: str
    method: str
    rounds: int
    k: int
    judged: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{self.strategy}, {self.method}"


BASELINE = Case("exhaustive", "extra pass", 2, 1, (2,))
CASES = (
    BASELINE,
    Case("signed", "extra pass", 1, HEADS, (1,)),
    Case("signed", "in attention", 2, HEADS, (1, 2)),
)
MORE = (
    Case("exhaustive", "in attention", 2, 1, (2,)),
    Case("halving", "extra pass", 2, 1, (2,)),
    Case("halving", "in attention", 2, 1, (2,)),
    Case("attribution", "extra pass", 2, 1, (2,)),
    Case("attribution", "in attention", 2, 1, (2,)),
    Case("signed", "in attention", 2, 4, (1, 2)),
)
QUICK: dict[str, Any] = {"goals": ("contrast",), "seeds": 1, "pairs": 1, "steps": 2, "held_out": 2}


def measure(
    goals: Sequence[str] = ("contrast", "warmth", "saturation"),
    seeds: int = 3,
    pairs: int = 5,
    steps: int = 8,
    held_out: int = 16,
    cases: Sequence[Case] = CASES,
) -> dict[str, Any]:
    """Hunts in each case for each goal and seed (a seed draws captions and noise), judged on held-out captions.

    "fidelity" is left out unless asked for: with so few pairs no strategy's gain can be told from 0 on held-out captions.

    Returns settings, processor seconds, "rows" (one judged set each) and "table" (one line for each goal and set):
        blocks                    evaluations of one transformer block for one picture: forward 1, backward 2, recompute 1
        images                    pictures that were scored
        heads                     what it found
        gain, error               held-out score minus unguided at the goal's distortion: mean and standard error over captions
        seen                      the same on the hunt's own pairs
    and in the table also
        share                     blocks over those of exhaustive with the extra pass
        gain, spread              mean over seeds, and standard deviation over seeds
        shortfall, shortfall_error  gain of exhaustive minus this one's, paired over seeds: mean and standard error
        kept                      gain on held-out captions over that on the hunt's own pairs
    """
    started = time.process_time()
    trained = Trained(steps, held_out)
    judge = Judge(trained)
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        with trained.remembered():
            hunted = [hunt(trained, goal, seed, case, pairs) for goal in GOALS if goal.name in goals for case in cases]
        for goal, case, seen, sets in hunted:
            for row in sets:
                rows.append(row | asdict(judge.worth(goal, case.method, row.pop("set"), seen)))
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    settings = {"heads": HEADS, "pairs": pairs, "steps": steps, "held_out": held_out, "seeds": seeds}
    return {
        "settings": settings,
        "processor_seconds": round(time.process_time() - started, 1),
        "rows": rows,
        "table": _table(rows),
        "planned": planned(),
    }


def hunt(
    trained: Trained, goal: Goal, seed: int, case: Case, pairs: int
) -> tuple[Goal, Case, list[Any], list[dict[str, Any]]]:
    """One hunt: its pairs, and a row for each set that is judged, with what had been spent by then."""
    import torch
    from headhunter_pack.headhunter.host.hunting.evaluate import Evaluator
    from headhunter_pack.headhunter.host.hunting.search import Plan, search

    chosen = random.Random(seed).sample(trained.captions["tune"], pairs)
    seen = [trained.pair(text, 100_000 * (seed + 1) + i) for i, text in enumerate(chosen)]
    plan = Plan(case.rounds, case.k, "*", "", case.strategy, 4)
    sets: list[dict[str, Any]] = []
    real = Evaluator.on_round

    def after_round(evaluator: Any, so_far: Any) -> None:
        real(evaluator, so_far)
        if len(so_far.rounds) in case.judged:
            heads = so_far.selected
            row = {"goal": goal.name, "distortion": goal.distortion, "seed": seed, "strategy": case.strategy,
                   "method": case.method, "rounds": len(so_far.rounds), "k": case.k, "blocks": trained.blocks,
                   "images": evaluator.study.evaluations(), "heads": evaluator.text(heads), "set": heads}  # fmt: skip
            sets.append(row)

    Evaluator.on_round = after_round
    trained.blocks = 0
    name = f"{goal.name}-{seed}-{case.strategy}-{case.method}-{case.k}".replace(" ", "-")
    try:
        with torch.inference_mode():
            search(trained.model, trained.vae, seen, trained.scorer(goal), trained.latent(),
                   trained.sampling(goal, case.method), plan, name, None)  # fmt: skip
    finally:
        Evaluator.on_round = real
    return goal, case, seen, sets


def planned() -> list[dict[str, Any]]:
    """Passes of the whole model a step and pair that each strategy plans, for the paper's hunts on the real models."""
    from headhunter_pack.headhunter.plans import planned_passes
    from headhunter_pack.headhunter.strategies import STRATEGIES

    result = []
    for name, heads, pairs, rounds, k in (
        ("SD3-medium, style", 576, 5, 5, 3),
        ("SD3-medium, quality", 576, 20, 1, 24),
        ("FLUX.1, style", 1368, 5, 5, 3),
    ):
        passes = {strategy: planned_passes(STRATEGIES[strategy], heads, pairs, rounds, k) for strategy in STRATEGIES}
        result.append({"hunt": name, **passes, "share": passes["attribution"] / passes["exhaustive"]})
    return result


def _table(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    table = []
    for goal in dict.fromkeys(row["goal"] for row in rows):
        by: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in rows:
            if row["goal"] == goal:
                by.setdefault((row["strategy"], row["method"], row["rounds"], row["k"]), []).append(row)
        base = by.get((BASELINE.strategy, BASELINE.method, BASELINE.rounds, BASELINE.k)) or next(iter(by.values()))
        table += [_line(goal, *what, own, base) for what, own in by.items()]
    return table


def _line(
    goal: str,
    strategy: str,
    method: str,
    rounds: int,
    k: int,
    own: Sequence[dict[str, Any]],
    base: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    gains = [row["gain"] for row in own]
    short = [other["gain"] - row["gain"] for other, row in zip(base, own, strict=True)]
    return {
        "goal": goal,
        "strategy": strategy,
        "method": method,
        "rounds": rounds,
        "k": k,
        **{key: fmean(row[key] for row in own) for key in ("blocks", "images", "error", "distortion")},
        "share": fmean(row["blocks"] for row in own) / fmean(row["blocks"] for row in base),
        "gain": fmean(gains),
        "spread": stdev(gains) if len(gains) > 1 else 0.0,
        "shortfall": fmean(short),
        "shortfall_error": stdev(short) / len(short) ** 0.5 if len(short) > 1 else 0.0,
        "kept": fmean(gains) / fmean(row["seen"] for row in own),
    }


def text(result: dict[str, Any]) -> str:
    """The results for the terminal, README and docs."""
    about = result["settings"]
    lines = [
        f"{about['heads']} heads, {about['pairs']} pairs, {about['steps']} steps, {about['seeds']} seeds; judged on "
        f"{about['held_out']} captions that no hunt saw; {result['processor_seconds']:.0f} s of processor time",
        "",
        "| goal (distortion) | strategy, method | rounds x heads | block evaluations | of exhaustive | held-out gain, +- spread over seeds "
        "| exhaustive minus this, +- error | kept of the gain on the pairs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in result["table"]:
        lines.append(
            f"| {row['goal']} ({row['distortion']:.2f}) | {row['strategy']}, {row['method']} | {row['rounds']} x {row['k']} "
            f"| {row['blocks']:.0f} | {row['share']:.2f} | {row['gain']:+.4f} +- {row['spread']:.4f} "
            f"| {row['shortfall']:+.4f} +- {row['shortfall_error']:.4f} | {row['kept']:.2f} |"
        )
    lines.append("")
    for row in result["planned"]:
        lines.append(f"{row['hunt']}: 1/{1 / row['share']:.0f} of exhaustive's {row['exhaustive']} passes a step")
    return "\n".join(lines)
