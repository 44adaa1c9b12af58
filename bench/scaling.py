"""[scaling] What hunts on the real models cost on one card: operations counted on models without weights, hours from a rate.

Nothing here is measured on the real models. The operations of one pass are counted (torch's counter, meta device), the
passes are those that the strategies plan (headhunter/plans.py), and the rate is an assumption that is printed with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from floor import operations
from headhunter_pack.headhunter.host.attribution.gradient_blocks import KEPT_BY_A_BLOCK
from headhunter_pack.headhunter.plans import planned_evaluations, planned_passes
from headhunter_pack.headhunter.strategies import STRATEGIES
from subjects import flux_config, sd3_config

CARDS = {"24 GB card, RTX 4090": 165e12, "24 GB card, RTX 3090": 71e12}
"""Dense bfloat16 operations a second with float32 accumulation, as NVIDIA states them."""
SHARE = 0.5
"""Of that rate, how much a transformer reaches: an assumption."""


@dataclass(frozen=True)
class Search:
    """One of the paper's searches (arXiv 2506.10978), on one model and resolution."""

    name: str
    model: str
    side: int  # of the latent
    heads: int
    pairs: int
    rounds: int
    k: int
    steps: int


SEARCHES = (
    Search("SD3-medium, a style, 1024 px", "sd3", 128, 576, 5, 5, 3, 20),
    Search("SD3-medium, general quality, 1024 px", "sd3", 128, 576, 20, 1, 24, 20),
    Search("SD3-medium, a style, 512 px", "sd3", 64, 576, 5, 5, 3, 20),
    Search("FLUX.1-dev, a style, 512 px", "flux", 64, 1368, 5, 5, 3, 15),
)


def measure(say: Callable[[str], None]) -> dict[str, Any]:
    """For each search: operations of a pass, and for each strategy its images, passes and hours on each card.

    The paper's count is `pairs * heads * rounds` images, two whole passes a step each.
    """
    rows = []
    for search in SEARCHES:
        operations = operations_of_a_pass(search.model, search.side)
        paper = search.pairs * search.heads * search.rounds
        plans = {"the paper": (paper, 2 * paper)}
        for name, strategy in STRATEGIES.items():
            numbers = (strategy, search.heads, search.pairs, search.rounds, search.k)
            plans[name] = planned_evaluations(*numbers), planned_passes(*numbers)
        rows.append(
            {
                "search": search.name,
                "heads": search.heads,
                "steps": search.steps,
                "operations_of_a_pass": operations,
                "plans": {
                    name: {
                        "images": images,
                        "passes": passes,
                        "share": passes / plans["exhaustive"][1],
                        "hours": {
                            card: passes * search.steps * operations / (rate * SHARE) / 3600
                            for card, rate in CARDS.items()
                        },
                    }
                    for name, (images, passes) in plans.items()
                },
            }
        )
        say(search.name)
    memory = {
        name: memory_of(*what)
        for name, what in {"SD3-medium, 1024 px": ("sd3", 128), "FLUX.1-dev, 512 px": ("flux", 64)}.items()
    }
    return {"rows": rows, "cards": CARDS, "share_of_the_rate": SHARE, "memory": memory}


def network_of(kind: str) -> Any:
    """The host's transformer without weights."""
    config = sd3_config(24) if kind == "sd3" else flux_config(19, 38)
    config.set_inference_dtype(torch.bfloat16, None)
    return config.get_model({}, "", device=torch.device("meta")).diffusion_model


def memory_of(kind: str, side: int) -> dict[str, float]:
    """Bytes in bfloat16: the weights; for a gradient the input of every block, and what one block keeps while it runs again."""
    network = network_of(kind)
    weights = sum(parameter.numel() for parameter in network.parameters()) * 2
    layers, width = (24, 1536) if kind == "sd3" else (57, 3072)
    inputs_of_a_block = ((side // 2) ** 2 + (154 if kind == "sd3" else 512)) * width * 2
    return {
        "weights": weights,
        "block_inputs": layers * inputs_of_a_block,
        "one_block": KEPT_BY_A_BLOCK * inputs_of_a_block,
    }


def operations_of_a_pass(kind: str, side: int) -> int:
    """Floating point operations of one forward of one picture, text included: 154 tokens on SD3, 512 on FLUX."""
    meta = torch.device("meta")
    context, pooled = (
        (torch.empty(1, 154, 4096, device=meta), 2048)
        if kind == "sd3"
        else (torch.empty(1, 512, 4096, device=meta), 768)
    )
    network = network_of(kind)
    inputs = {
        "y": torch.empty(1, pooled, device=meta).bfloat16(),
        "transformer_options": {"optimized_attention_override": attend},
    }
    if kind == "flux":
        inputs["guidance"] = torch.ones(1, device=meta).bfloat16()
    x, t = torch.empty(1, 16, side, side, device=meta).bfloat16(), torch.ones(1, device=meta).bfloat16()
    with torch.inference_mode():
        return operations(lambda: network(x, t, context=context.bfloat16(), **inputs))


def attend(func: Any, q: Any, k: Any, v: Any, heads: int, *args: Any, skip_reshape: bool = False, **kwargs: Any) -> Any:
    """Plain attention: the host's choice for a CPU asks for free memory, which a meta tensor has not."""
    if not skip_reshape:
        q, k, v = ((t if t.ndim == 4 else t.unflatten(-1, (heads, -1))).transpose(1, 2) for t in (q, k, v))
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    return out.transpose(1, 2).flatten(2)


def table(part: dict[str, Any]) -> str:
    """For the terminal and docs/scaling.md."""
    cards = list(part["cards"])
    lines = [
        f"hours at {part['share_of_the_rate']:.0%} of the stated rate of "
        + ", ".join(f"{card} ({part['cards'][card] / 1e12:.0f} TFLOP/s)" for card in cards),
        "",
        "| search | strategy | images | passes a step | of exhaustive | "
        + " | ".join(f"hours, {card.split(', ')[1]}" for card in cards)
        + " |",
        "|---|---|---|---|---|" + "---|" * len(cards),
    ]
    for row in part["rows"]:
        for name, plan in row["plans"].items():
            share = f"1/{1 / plan['share']:.0f}" if plan["share"] < 0.5 else f"{plan['share']:.2f}"
            hours = " | ".join(f"{plan['hours'][card]:.2f}" for card in cards)
            lines.append(f"| {row['search']} | {name} | {plan['images']} | {plan['passes']} | {share} | {hours} |")
    lines += [
        "",
        "| memory, GB in bfloat16 | weights | a gradient: all block inputs | a gradient: one block |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {sizes['weights'] / 1e9:.1f} | {sizes['block_inputs'] / 1e9:.2f} | {sizes['one_block'] / 1e9:.2f} |"
        for name, sizes in part["memory"].items()
    ]
    return "\n".join(lines)
