"""The demo's second part: hunts for two goals, judged on captions and noise that the hunts did not see.

Each hunt's heads are compared with the unguided pictures, the best whole layer (chosen on the hunt's own pairs), and
random sets of as many heads.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from hosting.server import Server

from .captions import Caption, captions
from .comparing import compare, verdict
from .making import make
from .painting import call
from .progress import say
from .settings import HEADS_A_LAYER, LAYERS, UNGUIDED, Setting
from .spreading import spread

FOLDER = "hunt"
ROUNDS, PAIRS, STEPS = 3, 8, 20
HELD_OUT, RANDOM_SETS = 16, 5
STRENGTH = 1.0

Errors = dict[str, list[list[float]]]  # a setting's name -> for each caption, the negative score of its rows


@dataclass(frozen=True)
class Goal:
    """What is hunted for: its scorer as a node of the API, the guidance's scale, and whether prompts ask for the warm style."""

    name: str
    title: str
    scorer: tuple[str, dict[str, Any]]
    scale: float
    warm: bool


GOALS = (
    Goal("fidelity", "closer to the caption's real picture", ("HeadHunterDemoFidelity", {}), 0.1, False),
    Goal(
        "warm",
        "warmer pictures for warm prompts",
        ("HeadHunterStatisticScorer", {"statistic": "warmth", "target": "high", "value": 0.5}),
        0.5,
        True,
    ),
)


def run(servers: Sequence[Server], out: Path, quick: bool) -> list[dict[str, Any]]:
    """Hunts for each goal, measures on captions that no hunt saw, and returns this part of the summary."""
    return spread(servers, lambda server, goal: _goal(server, out / FOLDER / goal.name, goal, quick), GOALS)


def _goal(server: Server, out: Path, goal: Goal, quick: bool) -> dict[str, Any]:
    seen, unseen = captions("tune"), captions("report")
    seen, unseen = (seen[:2], unseen[:2]) if quick else (seen[:PAIRS], unseen[:HELD_OUT])
    if goal.warm:
        seen, unseen = ([_warm(caption) for caption in some] for some in (seen, unseen))
    steps = 4 if quick else STEPS
    say(f"hunting for {goal.title}: {LAYERS * HEADS_A_LAYER} heads, {ROUNDS} rounds, {len(seen)} pairs")
    outputs = server.run(_prompt(goal, seen, steps))["outputs"]
    out.mkdir(parents=True, exist_ok=True)
    (out / "chart.png").write_bytes(server.images({"outputs": {"chart": outputs["chart"]}})[0][1])
    report = server.get(f"/headhunter/studies/demo-{goal.name}")["report"]
    heads = [name for round in report["rounds"] for name in round["chosen"]]

    layers = [_setting(goal, f"layer-{layer}", f"layer {layer}", f"L{layer}") for layer in range(LAYERS)]
    on_seen = _measure(server, out / "layers", goal, seen, [UNGUIDED, *layers], 1, steps)
    best = min(layers, key=lambda layer: fmean(row[0] for row in on_seen[layer.name]))
    every = [f"L{layer}H{head}" for layer, head in product(range(LAYERS), range(HEADS_A_LAYER))]
    chance = random.Random(0)
    sets: list[str] = []
    while len(sets) < RANDOM_SETS:
        text = ", ".join(sorted(chance.sample(every, len(heads))))
        if text not in sets and text != ", ".join(sorted(heads)):
            sets.append(text)
    settings = [
        UNGUIDED,
        _setting(goal, "hunted", "hunted", ", ".join(heads)),
        best,
        *(_setting(goal, f"random-{i}", f"random {i}", text) for i, text in enumerate(sets)),
    ]
    say(f"measuring on {len(unseen)} captions that the hunt did not see")
    errors = _measure(server, out / "held-out", goal, unseen, settings, 1, steps)
    return {
        "goal": goal.name,
        "title": goal.title,
        "scale": goal.scale,
        "strength": STRENGTH,
        "pairs": [caption.text for caption in seen],
        "held_out": [caption.text for caption in unseen],
        "rounds": [{key: round[key] for key in ("chosen", "joint", "gain", "helped")} for round in report["rounds"]],
        "baseline": report["baseline"],
        "seconds": report["seconds"],
        "results": [
            {
                "name": setting.name,
                "title": setting.title,
                "heads": setting.heads,
                "score": compare(errors[setting.name], errors[UNGUIDED.name]),
            }
            for setting in settings
        ],
    }


def _setting(goal: Goal, name: str, title: str, heads: str) -> Setting:
    return Setting(name, title, 1.0, heads, goal.scale, STRENGTH)


def _warm(caption: Caption) -> Caption:
    """The same thing in the same style on the same background, with the tint warm."""
    parts = caption.text.split(", ")
    return replace(caption, text=", ".join([parts[0], parts[1], "warm", parts[-1]]), name=f"{caption.name}-warm")


def _prompt(goal: Goal, seen: Sequence[Caption], steps: int) -> dict[str, dict[str, Any]]:
    """The hunt in API form."""
    nodes: dict[str, tuple[str, dict[str, Any]]] = {
        "unet": ("UNETLoader", {"unet_name": "headhunter_demo_sd3.safetensors", "weight_dtype": "default"}),
        "vae": ("VAELoader", {"vae_name": "headhunter_demo_vae.safetensors"}),
        "latent": ("EmptySD3LatentImage", {"width": 128, "height": 128, "batch_size": 1}),
        "scorer": goal.scorer,
    }
    for i, caption in enumerate(seen):
        nodes[f"words{i}"] = ("HeadHunterDemoWords", {"text": caption.text})
        inputs = {"positive": [f"words{i}", 0], "text": caption.text, "seed": caption.seed}
        nodes[f"pair{i}"] = ("HeadHunterPrompt", inputs | ({"previous": [f"pair{i - 1}", 0]} if i else {}))
    links = {"model": ["unet", 0], "vae": ["vae", 0], "scorer": ["scorer", 0], "latent_image": ["latent", 0]}
    search = {
        "rounds": ROUNDS,
        "heads_per_round": 1,
        "scale": goal.scale,
        "strength": STRENGTH,
        "cfg": 1.0,
        "steps": steps,
        "sampler_name": "euler",
        "scheduler": "simple",
        "pool": "*",
        "start_from": "",
        "strategy": "exhaustive",
        "batch_size": 4,
        "study": f"demo-{goal.name}",
    }
    nodes["search"] = ("HeadHunterSearch", links | {"prompts": [f"pair{len(seen) - 1}", 0]} | search)
    nodes["chart"] = ("SaveImage", {"images": ["search", 3], "filename_prefix": f"hunt-{goal.name}"})
    return {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()}


def _measure(
    server: Server,
    folder: Path,
    goal: Goal,
    chosen: Sequence[Caption],
    settings: Sequence[Setting],
    rows: int,
    steps: int,
) -> Errors:
    """The goal's score of each setting's pictures, negative, so that lower is better as it is for errors."""
    made = make([server], chosen, settings, rows, steps, folder)
    if not goal.warm:
        return call(server.host, "fidelity.py", {"real": [caption.real for caption in chosen], "made": made})["fine"]
    scores = call(server.host, "scores.py", {"statistic": "warmth", "made": made})
    return {name: [[-score for score in rows] for rows in captions] for name, captions in scores.items()}


def report(goals: Sequence[dict[str, Any]]) -> str:
    """What each hunt found and how it did on what it did not see, for the terminal."""
    lines = []
    for goal in goals:
        unseen = len(goal["held_out"])
        lines.append(
            f"Hunt for {goal['title']} (w={goal['scale']:g}, {goal['seconds']:.0f} s), on {unseen} unseen captions:"
        )
        for row in goal["results"]:
            score = row["score"]
            lines.append(
                f"  {row['title']:<10} {row['heads']:<20} {score['mean']:+.5f}  "
                f"{score['difference']:+.5f} +- {score['difference_standard_error']:.5f}  {_word(row, score)}"
            )
        lines.append("")
    return "\n".join(lines).rstrip()


def _word(row: dict[str, Any], score: dict[str, Any]) -> str:
    if not row["heads"]:
        return "the baseline"
    return {"closer": "better", "further away": "worse"}.get(verdict(score), verdict(score))
