"""What one SoftPAG node adds (a group), and how predictions are mixed.

Equation 5 of the paper, with CFG as in its SD3 pipeline, summed over groups:

    prediction = uncond + cfg (cond - uncond) + sum_g w_g (cond - perturbed_g)

All predictions here are x0, of shape [B, C, ...].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from .heads import Head
from .perturbation import PERTURBATIONS, Perturbation

Tokens = Literal["all", "image"]
Mix = Literal["add", "orthogonal"]
TOKENS: tuple[Tokens, ...] = get_args(Tokens)
MIXES: tuple[Mix, ...] = get_args(Mix)

SCALE_RANGE = (-20.0, 100.0)
TEMPERATURE_RANGE = (0.01, 100.0)


@dataclass(frozen=True)
class Group:
    """A head set with its scale, strength, window and perturbation: what one SoftPAG node adds.

    heads: head text. scale: w, -20..100. strength: u, 0..1. window: start and end of sampling, 0..1. rescale: 0..1.
    temperature: tau, 0.01..100, used by that perturbation alone. ValueError names the field and what is allowed.
    """

    heads: str
    scale: float = 3.0
    strength: float = 0.5
    window: tuple[float, float] = (0.0, 1.0)
    rescale: float = 0.0
    tokens: Tokens = "all"
    perturbation: Perturbation = "identity"
    temperature: float = 2.0
    mix: Mix = "add"

    def __post_init__(self) -> None:
        ranges = {"scale": SCALE_RANGE, "strength": (0.0, 1.0), "rescale": (0.0, 1.0), "temperature": TEMPERATURE_RANGE}
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not _is_number(value) or not low <= value <= high:
                raise ValueError(f"{name} is {value!r}; it must be a number from {low:g} to {high:g}")
        for name, allowed in {"tokens": TOKENS, "perturbation": PERTURBATIONS, "mix": MIXES}.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(allowed)}")
        if not isinstance(self.heads, str):
            raise ValueError(f"heads is {self.heads!r}; it must be head text, such as L11H15")
        window = self.window
        if len(window) != 2 or not all(_is_number(value) for value in window) or not 0 <= window[0] <= window[1] <= 1:
            raise ValueError(
                f"the window is {list(window)}; it must be a start and an end from 0 to 1, the start first"
            )

    def strengths(self, heads: Mapping[Head, float | None]) -> dict[Head, float]:
        """Each head's u: its own where it has one, else the group's. Heads at 0 are left out: they change nothing."""
        own = {head: self.strength if strength is None else strength for head, strength in heads.items()}
        return {head: strength for head, strength in own.items() if strength != 0}

    def does_nothing(self, heads: Mapping[Head, float | None]) -> str:
        """Why it cannot guide with these heads, and what to do; "" where it can."""
        if not heads:
            return "it has no heads: paint heads or choose a preset"
        if self.scale == 0:
            return "its scale is 0"
        if not self.strengths(heads):
            return "the strength of every head is 0: raise strength, or the heads' own"
        if self.window[0] == self.window[1]:
            return f"its window {self.window[0]:g} to {self.window[1]:g} is empty: raise end_percent"
        return ""

    @property
    def windowed(self) -> bool:
        return self.window != (0.0, 1.0)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def guide(denoised: Tensor, cond: Tensor, groups: Sequence[Group], differences: Sequence[Tensor]) -> Tensor:
    """Add each group's w (cond - perturbed) to `denoised`, then rescale once by the largest rescale of the groups.

    `differences` are cond - perturbed, one a group.
    """
    result = denoised
    for group, difference in zip(groups, differences, strict=True):
        if group.mix == "orthogonal":
            difference = orthogonal(difference, cond)
        result = result + group.scale * difference
    amount = max(group.rescale for group in groups)
    return rescale(result, cond, amount) if amount else result


def orthogonal(difference: Tensor, cond: Tensor) -> Tensor:
    """`difference` without its part parallel to `cond`, per sample (arXiv 2410.02416, eta = 0)."""
    dims = tuple(range(1, cond.ndim))
    along, norm = (difference * cond).sum(dims, keepdim=True), (cond * cond).sum(dims, keepdim=True)
    return difference - torch.where(norm > 0, along / norm, 0) * cond


def rescale(result: Tensor, cond: Tensor, amount: float) -> Tensor:
    """Pull the spread of `result` towards that of `cond`, per sample: times r std(cond) / std(result) + 1 - r.

    arXiv 2305.08891, section 3.4; r is `amount`, 0..1.
    """
    dims = tuple(range(1, cond.ndim))
    spread = result.std(dims, keepdim=True)
    factor = torch.where(spread > 0, cond.std(dims, keepdim=True) / spread, 1)
    return result * (amount * factor + (1 - amount))
