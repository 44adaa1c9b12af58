"""Linear heads on image embeddings: score = w . x + b, x the L2-normalised embedding.

The LAION aesthetic predictors have no activation between their layers, so any chain of them is one vector and one
number: W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .base import ImageEncoder, fingerprint, is_differentiable, make_key, probe_image, score_rows

ACTIVATIONS = ("relu", "gelu", "silu", "swish", "tanh", "sigmoid")
UNIT_STEP = 0.02
"""A typical difference of two pictures' normalised embeddings along one direction."""


class LinearHeadError(ValueError):
    """Weights that are no chain of linear layers from an embedding to one number."""


@dataclass(frozen=True, eq=False)
class LinearHead:
    """score = weight . x + bias. weight: float64 [D].

    pooling: "tokens" where it was learned on SigLIP's mean token. probe: what its own encoder makes of `probe_image`, if
    known. source: what identifies it; empty: its weights do.
    """

    weight: Tensor
    bias: float
    label: str = "head"
    pooling: str = ""
    probe: Tensor | None = None
    source: str = ""

    def __post_init__(self) -> None:
        finite = torch.isfinite(self.weight).all() and abs(self.bias) < float("inf")
        if self.weight.ndim != 1 or self.weight.numel() < 2 or not finite or not self.weight.any():
            raise LinearHeadError(
                f"{self.label}: the folded weights must be finite numbers, not all 0; they are {list(self.weight.shape)}"
            )

    @property
    def unit(self) -> float:
        return UNIT_STEP * torch.linalg.vector_norm(self.weight).item()

    @property
    def key(self) -> str:
        return self.source or fingerprint(
            {"weight": self.weight, "bias": torch.tensor([self.bias], dtype=torch.float64)}
        )

    def __call__(self, embedding: Tensor) -> Tensor:
        """[D] of length 1 -> scalar, float64 on the CPU."""
        # On the CPU: some devices (MPS, DirectML) have no float64.
        return (embedding.cpu().double() * self.weight.cpu()).sum() + self.bias


def fold(layers: Mapping[str, Tensor], label: str) -> LinearHead:
    """Fold a chain of `*.weight` [out, in] and `*.bias` [out] to one head, in float64.

    Layers are taken in the order of the numbers in their names. LinearHeadError names the file (`label`) and the key:
    an activation in the file's name, a tensor that is no linear layer, sizes that do not fit, or more than one output.
    """
    hint = next((word for word in ACTIVATIONS if word in label.lower()), None)
    if hint:
        raise LinearHeadError(
            f'{label}: the name says "{hint}", an activation between its layers; only purely linear heads can be folded '
            "(take the linearMSE file instead)"
        )
    prefixes = sorted({_prefix(name, label) for name in layers}, key=_natural)
    weight: Tensor | None = None
    bias = torch.zeros(0, dtype=torch.float64)
    for prefix in prefixes:
        w, b = _layer(layers, prefix, label)
        if weight is None:
            weight, bias = w, b
            continue
        if w.shape[1] != weight.shape[0]:
            raise LinearHeadError(
                f'{label}: "{prefix}weight" takes {w.shape[1]} numbers but the layer before it gives {weight.shape[0]}: '
                "not a chain of linear layers"
            )
        weight, bias = w @ weight, w @ bias + b
    if weight is None:
        raise LinearHeadError(f"{label}: there are no weights in it")
    if weight.shape[0] != 1:
        raise LinearHeadError(f'{label}: "{prefixes[-1]}weight" gives {weight.shape[0]} numbers; a score is one number')
    return LinearHead(weight[0], bias.item(), label)


def _prefix(name: str, label: str) -> str:
    """`layers.0.` of `layers.0.weight`; "" of `weight`."""
    match = re.fullmatch(r"((?:.*\.)?)(?:weight|bias)", name)
    if not match:
        raise LinearHeadError(f'{label}: "{name}" is no linear layer\'s weight or bias; this is no aesthetic head')
    return match[1]


def _layer(layers: Mapping[str, Tensor], prefix: str, label: str) -> tuple[Tensor, Tensor]:
    for part in ("weight", "bias"):
        if prefix + part not in layers:
            raise LinearHeadError(f'{label}: the key "{prefix}{part}" is missing')
    w, b = layers[prefix + "weight"].detach().cpu().double(), layers[prefix + "bias"].detach().cpu().double()
    if w.ndim != 2 or b.shape != w.shape[:1]:
        raise LinearHeadError(
            f'{label}: "{prefix}weight" {list(w.shape)} and its bias {list(b.shape)} are no linear layer'
        )
    return w, b


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


@dataclass(frozen=True, eq=False)
class LinearScorer:
    """A linear head on an encoder's embedding. ValueError where the head is for another one."""

    encoder: ImageEncoder
    head: LinearHead
    title: str = "aesthetic"

    def __post_init__(self) -> None:
        probe = self.head.probe
        size = self.head.weight.numel()
        own = self.encoder.embed_image(probe_image())
        if own.numel() != size:
            raise ValueError(
                f"{self.head.label} is for embeddings of {size} numbers, and {self.encoder.label} gives {own.numel()}. "
                "768 is CLIP-L/14, 1024 CLIP-H/14 or DINOv2 large, 1152 SigLIP so400m, 1280 CLIP-bigG/14"
            )
        if probe is not None and (own.cpu() * probe).sum() < 0.99:
            raise ValueError(
                f"{self.head.label} was learned with another image model than {self.encoder.label}; load the one it was learned with"
            )

    @property
    def differentiable(self) -> bool:
        return is_differentiable(self.encoder)

    @property
    def name(self) -> str:
        return self.title

    @property
    def key(self) -> str:
        return make_key("linear/1", encoder=self.encoder.key, head=self.head.key)

    @property
    def unit(self) -> float:
        return self.head.unit

    def score(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        return score_rows(lambda image, _text: self.head(self.encoder.embed_image(image)), images, texts)
