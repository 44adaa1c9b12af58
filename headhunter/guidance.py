"""What one SoftPAG node adds (a group), and how predictions are mixed.

Equation 5 of the paper, with CFG as in its SD3 pipeline, summed over groups:

    prediction = uncond + cfg (cond - uncond) + sum_g w_g (cond - perturbed_g)

All predictions here are x0, of shape [B, C, ..., height, width].
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from .heads import Head
from .perturbation import PERTURBATIONS, Perturbation

Tokens = Literal["all", "image"]
Mix = Literal["add", "orthogonal", "apg", "frequency"]
Method = Literal["extra pass", "in attention"]
METHODS: tuple[Method, ...] = get_args(Method)
TOKENS: tuple[Tokens, ...] = get_args(Tokens)
MIXES: tuple[Mix, ...] = get_args(Mix)

SCALE_RANGE = (-20.0, 100.0)
END_SCALE_RANGE = (0.0, 10.0)
LIMIT_RANGE = (0.0, 100.0)
LIMIT = 2.0
"""What nodes have for it: by `python bench --part limit` it changes little up to w u / c = 1, and keeps pictures together at 30."""
TEMPERATURE_RANGE = (0.01, 100.0)


@dataclass(frozen=True)
class Group:
    """A head set with its scale, strength, window and perturbation: what one SoftPAG node adds.

    heads: head text. scale: w, -20..100. strength: u, 0..1. window: start and end of sampling, 0..1. rescale: 0..1.
    temperature: tau, 0.01..100, used by that perturbation alone. end_scale: what the scale is multiplied by at the window's
    end, 0..10. method: an extra pass, or in attention (no further pass). limit: how many times its own length a token's
    output may become in one head in attention, 0 for no limit. ValueError names the field and what is allowed.
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
    end_scale: float = 1.0
    method: Method = "extra pass"
    limit: float = 0.0

    def __post_init__(self) -> None:
        ranges = {
            "scale": SCALE_RANGE,
            "strength": (0.0, 1.0),
            "rescale": (0.0, 1.0),
            "temperature": TEMPERATURE_RANGE,
            "end_scale": END_SCALE_RANGE,
            "limit": LIMIT_RANGE,
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not _is_number(value) or not low <= value <= high:
                raise ValueError(f"{name} is {value!r}; it must be a number from {low:g} to {high:g}")
        for name, allowed in {"tokens": TOKENS, "perturbation": PERTURBATIONS, "mix": MIXES, "method": METHODS}.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(allowed)}")
        for name, alone in {"rescale": 0, "mix": "add"}.items():
            if self.in_attention and getattr(self, name) != alone:
                raise ValueError(f"{name} belongs to the method extra pass; with in attention set it to {alone}")
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
    def in_attention(self) -> bool:
        """Whether its heads are moved inside the conditional pass, at no further pass."""
        return self.method == "in attention"

    @property
    def windowed(self) -> bool:
        return self.window != (0.0, 1.0)

    @property
    def picture_alone(self) -> bool:
        """Whether the picture's rows alone are perturbed."""
        return self.tokens == "image" or self.perturbation == "self_and_text"

    def scale_at(self, percent: float) -> float:
        """The scale at a percent of sampling, 0..1: it changes linearly over the window, from `scale` to its `end_scale`-fold."""
        start, end = self.window
        along = min(1.0, max(0.0, (percent - start) / (end - start))) if end > start else 0.0
        return self.scale * (1 + (self.end_scale - 1) * along)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@dataclass(frozen=True)
class Part:
    """What one group adds in a step.

    difference: cond - perturbed, with `Momentum` where the mix is apg. scale: w at this step. mask: where the group acts,
    0..1, of a shape that spreads over the difference's; None for everywhere.
    """

    group: Group
    difference: Tensor
    scale: float
    mask: Tensor | None = None


def guide(denoised: Tensor, cond: Tensor, parts: Sequence[Part]) -> Tensor:
    """Add each group's w (cond - perturbed) to `denoised`, then rescale once by the largest rescale of the groups.

    A mask is multiplied last: inside a mask the guidance is what it would be without one, outside `denoised` stays as it is.
    """
    added = [part.scale * _MIXED[part.group.mix](part.difference, cond) for part in parts]
    amount = max(part.group.rescale for part in parts)
    masks = [part.mask for part in parts]
    whole = _sum(denoised, added)
    if all(mask is None for mask in masks):
        return rescale(whole, cond, amount) if amount else whole
    inside = _sum(denoised, [part if mask is None else mask * part for part, mask in zip(added, masks, strict=True)])
    if not amount:
        return inside
    rescaled = inside * _rescaling(whole, cond, amount)
    covered = [mask for mask in masks if mask is not None]
    if len(covered) < len(masks):
        return rescaled
    return torch.lerp(inside, rescaled, reduce(torch.maximum, covered))


def _sum(first: Tensor, others: Sequence[Tensor]) -> Tensor:
    return reduce(torch.add, others, first)


def add(difference: Tensor, cond: Tensor) -> Tensor:
    """The difference as it is (the paper's equation 5)."""
    return difference


def orthogonal(difference: Tensor, cond: Tensor) -> Tensor:
    """`difference` without its part parallel to `cond`, per sample (arXiv 2410.02416, eta = 0)."""
    dims = tuple(range(1, cond.ndim))
    along, norm = (difference * cond).sum(dims, keepdim=True), (cond * cond).sum(dims, keepdim=True)
    return difference - torch.where(norm > 0, along / norm, 0) * cond


APG_CAP = 15 / 256
"""The most that the root mean square of a difference may be: as a norm 15 in SDXL's latents of 4 x 128 x 128."""
APG_MOMENTUM = -0.5
"""beta: how much of what came before is added to a difference; below 0, so that what all steps share is damped.

As public implementations set it (stable-diffusion.cpp's pull request 593); diffusers and ComfyUI's APG leave it off unless
asked. The paper's own table of settings could not be read.
"""


def apg(difference: Tensor, cond: Tensor) -> Tensor:
    """`difference` times min(1, r / its norm), then its orthogonal part, per sample (APG, arXiv 2410.02416)."""
    dims = tuple(range(1, cond.ndim))
    size = difference.square().mean(dims, keepdim=True).sqrt()
    return orthogonal(difference * torch.where(size > APG_CAP, APG_CAP / size, 1), cond)


class Momentum:
    """APG's momentum of one group in one sampling: difference + beta times the same at the noise level before.

    Each noise level counts once, however often a sampler evaluates there: only what came at higher noise is added, the
    nearest level's. A sampler that goes back to more noise so goes on from what came before that. `LEVELS` levels are
    kept (beta^4 is 0.06); one that goes back further starts anew.
    """

    LEVELS = 4

    def __init__(self) -> None:
        self._sums: deque[tuple[float, Tensor]] = deque(maxlen=self.LEVELS)

    def add(self, difference: Tensor, sigma: float) -> Tensor:
        """The sum at the noise level `sigma`, which is kept."""
        while self._sums and self._sums[-1][0] <= sigma:
            self._sums.pop()
        total = difference + APG_MOMENTUM * self._sums[-1][1] if self._sums else difference
        self._sums.append((sigma, total.detach()))
        return total


LOW_WEIGHT, HIGH_WEIGHT = 0.5, 1.0
"""Of coarse and fine structure, relative to the scale."""
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def frequency(difference: Tensor, cond: Tensor) -> Tensor:
    """`difference` with its low frequencies at `LOW_WEIGHT`, the rest at `HIGH_WEIGHT` (as FDG, arXiv 2506.19713).

    Low is what a binomial filter of 5 x 5 latent pixels leaves, the edge repeated: the first level of a Laplacian pyramid,
    not subsampled, of each frame of a video.
    """
    low = _low(difference)
    return LOW_WEIGHT * low + HIGH_WEIGHT * (difference - low)


def _low(x: Tensor) -> Tensor:
    line = x.new_tensor(BINOMIAL)
    planes = functional.pad(x.reshape(-1, 1, *x.shape[-2:]), (2, 2, 2, 2), mode="replicate")
    return functional.conv2d(planes, torch.outer(line, line)[None, None]).reshape(x.shape)


_MIXED: dict[Mix, Callable[[Tensor, Tensor], Tensor]] = {
    "add": add,
    "orthogonal": orthogonal,
    "apg": apg,
    "frequency": frequency,
}


def rescale(result: Tensor, cond: Tensor, amount: float) -> Tensor:
    """Pull the spread of `result` towards that of `cond`, per sample: times r std(cond) / std(result) + 1 - r.

    arXiv 2305.08891, section 3.4; r is `amount`, 0..1.
    """
    return result * _rescaling(result, cond, amount)


def _rescaling(result: Tensor, cond: Tensor, amount: float) -> Tensor:
    dims = tuple(range(1, cond.ndim))
    spread = result.std(dims, keepdim=True)
    factor = torch.where(spread > 0, cond.std(dims, keepdim=True) / spread, 1)
    return amount * factor + (1 - amount)
