"""Image statistics as scorers: no model, one line of arithmetic each.

R, G, B are display values in 0..1 and Y = 0.2126 R + 0.7152 G + 0.0722 B. A picture whose long side is over 512 is first
reduced to 512 by area averaging, so that a statistic means the same at any size. Computed in float64 on the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn import functional

from .base import make_key, score_rows

Target = Literal["high", "low", "near"]
TARGETS: tuple[Target, ...] = get_args(Target)
LONG_SIDE = 512


def brightness(rgb: Tensor) -> Tensor:
    """mean(Y): 0 black, 1 white."""
    return _luma(rgb).mean()


def contrast(rgb: Tensor) -> Tensor:
    """2 std(Y): 0 one flat tone, 1 half black and half white (RMS contrast)."""
    return 2 * _root(_luma(rgb).var(correction=0))


def saturation(rgb: Tensor) -> Tensor:
    """mean((max - min) / max) over R, G, B, 0 where max is 0: 0 grey, 1 pure colours (HSV)."""
    high, low = rgb.amax(0), rgb.amin(0)
    return torch.where(high > 0, (high - low) / torch.where(high > 0, high, 1), 0).mean()


def colourfulness(rgb: Tensor) -> Tensor:
    """sqrt(var(rg) + var(yb)) + 0.3 sqrt(mean(rg)^2 + mean(yb)^2), rg = R - G, yb = (R + G) / 2 - B.

    0 grey, 0.06 slightly, 0.23 quite, 0.43 extremely colourful; pure colours reach 1.2. (Hasler and Suesstrunk 2003, divided by 255.)
    """
    rg, yb = rgb[0] - rgb[1], (rgb[0] + rgb[1]) / 2 - rgb[2]
    spread = rg.var(correction=0) + yb.var(correction=0)
    return _root(spread) + 0.3 * _root(rg.mean() ** 2 + yb.mean() ** 2)


def warmth(rgb: Tensor) -> Tensor:
    """(1 + mean(R - B)) / 2: 0 pure blue, 0.5 neutral, 1 pure red or yellow."""
    return (1 + (rgb[0] - rgb[2]).mean()) / 2


def sharpness(rgb: Tensor) -> Tensor:
    """s / (s + 0.1) with s = std(Laplacian of Y): 0 flat, about 0.2 soft, 0.5 crisp, under 1. Noise raises it too."""
    y = _luma(rgb)[None, None]
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]], dtype=y.dtype)[None, None]
    edges = functional.conv2d(functional.pad(y, (1, 1, 1, 1), mode="replicate"), kernel)
    spread = _root(edges.var(correction=0))
    return spread / (spread + 0.1)


def detail(rgb: Tensor) -> Tensor:
    """Share of Y's variance at over 1/8 cycle a pixel (waves shorter than 8 pixels): 0 smooth, 0.95 white noise, at most 1."""
    y = _luma(rgb)
    y = y - y.mean()
    energy = torch.fft.fft2(y).abs().square()
    rows, columns = (torch.fft.fftfreq(size, dtype=y.dtype) for size in y.shape)
    fine = rows[:, None] ** 2 + columns**2 > 1 / 64
    flat = y.var(correction=0) < 1e-10
    return torch.where(flat, 0, (energy * fine).sum() / torch.where(flat, 1, energy.sum()))


def entropy(rgb: Tensor) -> Tensor:
    """-sum(p log2 p) / 8 over Y's 256-level histogram: 0 one level, 1 all levels alike. A level between two counts in both."""
    level = _luma(rgb).reshape(-1).clamp(0, 1) * 255
    low = level.detach().floor().clamp(max=254)
    share = level - low
    histogram = torch.zeros(256, dtype=level.dtype)
    histogram = histogram.index_add(0, low.long(), 1 - share).index_add(0, low.long() + 1, share)
    p = histogram / level.numel()
    return -torch.where(p > 0, p * torch.log2(torch.where(p > 0, p, 1)), 0).sum() / 8


class Statistic(NamedTuple):
    """A statistic of rgb [3, H, W] float64 in 0..1, and its typical difference between two pictures."""

    measure: Callable[[Tensor], Tensor]
    unit: float


STATISTICS: dict[str, Statistic] = {
    "brightness": Statistic(brightness, 0.05),
    "contrast": Statistic(contrast, 0.05),
    "saturation": Statistic(saturation, 0.05),
    "colourfulness": Statistic(colourfulness, 0.05),
    "warmth": Statistic(warmth, 0.02),
    "sharpness": Statistic(sharpness, 0.05),
    "detail": Statistic(detail, 0.05),
    "entropy": Statistic(entropy, 0.02),
}


@dataclass(frozen=True)
class StatisticScorer:
    """A statistic s as a score: s (high), -s (low), or -|s - value| (near). ValueError names a bad setting."""

    statistic: str
    target: Target = "high"
    value: float = 0.5
    differentiable = True

    def __post_init__(self) -> None:
        if self.statistic not in STATISTICS:
            raise ValueError(f"statistic is {self.statistic!r}; it must be one of {', '.join(STATISTICS)}")
        if self.target not in TARGETS:
            raise ValueError(f"target is {self.target!r}; it must be one of {', '.join(TARGETS)}")
        if not math.isfinite(self.value):
            raise ValueError(f"value is {self.value}; it must be a finite number")

    @property
    def name(self) -> str:
        return f"{self.statistic} {self.target}" + (f" {self.value:g}" if self.target == "near" else "")

    @property
    def key(self) -> str:
        value = float(self.value) if self.target == "near" else None
        return make_key("statistic/1", statistic=self.statistic, target=self.target, value=value)

    @property
    def unit(self) -> float:
        return STATISTICS[self.statistic].unit

    def score(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        return score_rows(lambda image, _text: self._one(image), images, texts)

    def _one(self, image: Tensor) -> Tensor:
        measured = STATISTICS[self.statistic].measure(prepare(image))
        if self.target == "near":
            return -(measured - self.value).abs()
        return measured if self.target == "high" else -measured


def prepare(image: Tensor) -> Tensor:
    """[1, H, W, 3] -> rgb [3, h, w], float64 in 0..1 on the CPU, the long side at most 512."""
    rgb = image.cpu().double().movedim(-1, 1).clamp(0, 1)
    height, width = rgb.shape[-2:]
    ratio = LONG_SIDE / max(height, width)
    if ratio < 1:
        rgb = functional.interpolate(
            rgb, size=(max(1, round(height * ratio)), max(1, round(width * ratio))), mode="area"
        )
    return rgb[0]


def _luma(rgb: Tensor) -> Tensor:
    """Y [H, W] of rgb [3, H, W]: the Rec. 709 weights on display values."""
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]


def _root(x: Tensor) -> Tensor:
    """sqrt with gradient 0 at 0, so that a flat picture gives no NaN."""
    return torch.where(x > 0, torch.sqrt(torch.where(x > 0, x, 1)), 0)
