"""What each search strategy costs and finds, on the demo's trained model: block evaluations against the held-out score."""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "demo" / "models"
STRATEGIES = ("exhaustive", "halving", "attribution")
HEADS = 16
QUICK: dict[str, Any] = {"goals": ("warmth",), "seeds": 1, "pairs": 2, "rounds": 1, "steps": 2, "held_out": 2}


@dataclass(frozen=True)
class Goal:
    """A statistic of the pictures, or "fidelity" to the real ones; and the guidance's scale while hunting."""

    name: str
    scale: float


GOALS = (Goal("fidelity", 0.1), Goal("warmth", 0.5), Goal("contrast", 0.5))


def measure(
    goals: Sequence[str] = ("warmth", "contrast"),
    seeds: int = 3,
    pairs: int = 8,
    rounds: int = 2,
    heads_per_round: int = 1,
    steps: int = 8,
    held_out: int = 24,
    strategies: Sequence[str] = STRATEGIES,
) -> dict[str, Any]:
    """Hunts with each strategy for each goal and seed (a seed draws captions and noise), judged on held-out captions.

    "fidelity" is left out unless asked for: with so few pairs no strategy's gain can be told from 0 on held-out captions.

    Returns settings, "rows" (one hunt each) and "table" (one line for each goal and strategy):
        blocks, screening_blocks  evaluations of one transformer block for one picture: forward 1, backward 2, recompute 1
        images, seconds           pictures that were generated; wall time of the hunt
        heads                     what it found
        gain, error               held-out score minus unguided, paired over captions: mean and standard error
        signed_gain               the same for all heads with signed strengths (attribution alone)
        signed_blocks             what these alone need: the unguided pictures, one gradient each, one guided set (counted, not run apart)
    and in the table also
        share, signed_share       blocks over those of exhaustive
        gain, spread              mean over seeds, and standard deviation over seeds
        shortfall, shortfall_error  gain of exhaustive minus this one's, paired over seeds: mean and standard error
    """
    bench = Bench(steps, held_out)
    rows = [
        bench.hunt(goal, seed, strategy, pairs, rounds, heads_per_round)
        for goal in GOALS
        if goal.name in goals
        for seed in range(seeds)
        for strategy in strategies
    ]
    settings = {
        "heads": HEADS, "pairs": pairs, "rounds": rounds, "heads_per_round": heads_per_round, "steps": steps,
        "held_out": held_out, "seeds": seeds,
    }  # fmt: skip
    return {"settings": settings, "rows": rows, "table": _table(rows, strategies), "planned": planned()}


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


def _table(rows: Sequence[dict[str, Any]], strategies: Sequence[str]) -> list[dict[str, Any]]:
    table = []
    for goal in dict.fromkeys(row["goal"] for row in rows):
        by = {one: [row for row in rows if row["goal"] == goal and row["strategy"] == one] for one in strategies}
        full = by.get("exhaustive") or by[strategies[0]]
        for strategy, own in by.items():
            gains = [row["gain"] for row in own]
            shortfalls = [other["gain"] - row["gain"] for other, row in zip(full, own, strict=True)]
            table.append(
                {
                    "goal": goal,
                    "strategy": strategy,
                    **{
                        key: fmean(row[key] for row in own)
                        for key in ("blocks", "screening_blocks", "images", "seconds")
                    },
                    "share": fmean(row["blocks"] for row in own) / fmean(row["blocks"] for row in full),
                    "gain": fmean(gains),
                    "spread": stdev(gains) if len(gains) > 1 else 0.0,
                    "shortfall": fmean(shortfalls),
                    "shortfall_error": stdev(shortfalls) / len(shortfalls) ** 0.5 if len(shortfalls) > 1 else 0.0,
                    "signed_gain": fmean(row["signed_gain"] for row in own) if "signed_gain" in own[0] else None,
                    "signed_share": fmean(row["signed_blocks"] for row in own) / fmean(row["blocks"] for row in full)
                    if "signed_blocks" in own[0]
                    else None,
                }
            )
    return table


class Bench:
    """The demo's models, captions and scorers, and a count of block evaluations."""

    def __init__(self, steps: int, held_out: int):
        import comfy.sd
        import comfy.utils
        import torch

        sys.path.insert(0, str(ROOT / "demo" / "custom_nodes" / "headhunter_demo"))
        from words import Words

        torch.set_num_threads(1)
        self.model = comfy.sd.load_diffusion_model(str(MODELS / "diffusion_models" / "headhunter_demo_sd3.safetensors"))
        self.vae = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(MODELS / "vae" / "headhunter_demo_vae.safetensors")))
        self.words = Words(MODELS / "headhunter_demo" / "words.safetensors")
        rows = json.loads((ROOT / "demo" / "data" / "eval" / "captions.json").read_text(encoding="utf-8"))
        self.captions = {split: [row["text"] for row in rows if row["split"] == split] for split in ("tune", "report")}
        self.steps = steps
        self.scratch = Path(tempfile.mkdtemp(prefix="headhunter-bench-"))
        self.blocks = 0
        self.unseen = [self.pair(text, 5000 + i) for i, text in enumerate(self.captions["report"][:held_out])]
        self.scores: dict[tuple[str, str], list[float]] = {}
        for block in self.model.model.diffusion_model.joint_blocks:
            block.x_block.norm1.register_forward_hook(self._count)

    def _count(self, _module: Any, inputs: Any, _output: Any) -> None:
        import torch

        # What runs with gradients is run backwards too, which costs twice a forward.
        self.blocks += inputs[0].shape[0] * (3 if torch.is_grad_enabled() else 1)

    def hunt(self, goal: Goal, seed: int, strategy: str, pairs: int, rounds: int, k: int) -> dict[str, Any]:
        """One hunt, and how what it found does on the held-out captions."""
        import comfy.samplers  # noqa: F401
        import torch
        from headhunter_pack.headhunter.heads import parse
        from headhunter_pack.headhunter.host.attribution.attribution import Attribution
        from headhunter_pack.headhunter.host.hunting.search import Plan, search
        from headhunter_pack.headhunter.host.models import grid_of

        chance = random.Random(seed)
        chosen = chance.sample(self.captions["tune"], pairs)
        seen = [self.pair(text, 100_000 * (seed + 1) + i) for i, text in enumerate(chosen)]
        plan = Plan(rounds, k, "*", "", strategy, 4)
        screening = 0
        real = Attribution._screen

        def counted(*args: Any) -> Any:
            nonlocal screening
            before = self.blocks
            result = real(*args)
            screening += self.blocks - before
            return result

        Attribution._screen = counted
        self.blocks = 0
        started = time.monotonic()
        try:
            with torch.inference_mode():
                found = search(
                    self.model, self.vae, seen, self.scorer(goal), self.latent(), self.sampling(goal), plan,
                    f"{goal.name}-{seed}-{strategy}", None,
                )  # fmt: skip
        finally:
            Attribution._screen = real
        seconds, blocks = time.monotonic() - started, self.blocks
        report = json.loads(found.report)
        grid = grid_of(self.model)
        mean, error = self._gain(goal, parse(found.heads, grid))
        row = {
            "goal": goal.name, "seed": seed, "strategy": strategy, "blocks": blocks, "screening_blocks": screening,
            "images": report["images"], "seconds": round(seconds, 1), "heads": found.heads, "gain": mean, "error": error,
        }  # fmt: skip
        if "signed" in report:
            row["signed"] = report["signed"]
            row["signed_blocks"] = (1 + 4 + 2) * pairs * self.steps * grid.layers
            row["signed_gain"], row["signed_error"] = self._gain(goal, parse(report["signed"]["heads"], grid))
        print(json.dumps(row), file=sys.stderr, flush=True)
        return row

    def _gain(self, goal: Goal, heads: Any) -> tuple[float, float]:
        differences = [
            a - b for a, b in zip(self._unseen_scores(goal, heads), self._unseen_scores(goal, {}), strict=True)
        ]
        return fmean(differences), stdev(differences) / len(differences) ** 0.5

    def _unseen_scores(self, goal: Goal, heads: Any) -> list[float]:
        import torch
        from headhunter_pack.headhunter.heads import HeadSet
        from headhunter_pack.headhunter.host.generation.generate import Generator

        key = goal.name, str(sorted(heads.items()))
        if key not in self.scores:
            sampling = self.sampling(goal)
            generator, scorer = Generator(self.model, self.vae, self.latent(), sampling), self.scorer(goal)
            strengths = {head: sampling.group.strength if own is None else own for head, own in heads.items()}
            with torch.inference_mode():
                self.scores[key] = [
                    float(scorer.score(generator.decode(generator.latents([HeadSet(strengths)], pair)), [pair.text]))
                    for pair in self.unseen
                ]
        return self.scores[key]

    def pair(self, text: str, seed: int) -> Any:
        from headhunter_pack.headhunter.host.generation.prompts import Pair

        context, pooled = self.words.encode(text)
        return Pair(text, seed, [[context, {"pooled_output": pooled}]])

    def latent(self) -> dict[str, Any]:
        import torch

        return {"samples": torch.zeros(1, 16, 16, 16)}

    def sampling(self, goal: Goal) -> Any:
        from headhunter_pack.headhunter.host.generation.generate import Sampling
        from headhunter_pack.headhunter.host.hunting.search import group_for

        return Sampling(group_for(goal.scale, 1.0, "all", "identity", 2.0), 1.0, self.steps, "euler", "simple")

    def scorer(self, goal: Goal) -> Any:
        from headhunter_pack.headhunter.scoring.statistics import StatisticScorer

        if goal.name != "fidelity":
            return StatisticScorer(goal.name)
        from fidelity import FidelityScorer

        return FidelityScorer()


def text(result: dict[str, Any]) -> str:
    """The results for the terminal."""
    lines = [
        f"{'goal':<9} {'strategy':<12} {'blocks':>8} {'share':>6} {'images':>7} {'seconds':>8}  held-out gain +- spread    short of exhaustive   signed (share)"
    ]
    for row in result["table"]:
        signed = "" if row["signed_gain"] is None else f"{row['signed_gain']:+.2e} ({row['signed_share']:.2f})"
        lines.append(
            f"{row['goal']:<9} {row['strategy']:<12} {row['blocks']:8.0f} {row['share']:6.2f} {row['images']:7.0f} {row['seconds']:8.1f}"
            f"  {row['gain']:+.2e} +- {row['spread']:.1e}  {row['shortfall']:+.2e} +- {row['shortfall_error']:.1e}  {signed}"
        )
    for row in result["planned"]:
        lines.append(f"{row['hunt']}: 1/{1 / row['share']:.0f} of exhaustive's {row['exhaustive']} passes a step")
    return "\n".join(lines)
