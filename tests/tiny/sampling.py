"""Conditioning, latents and ComfyUI's own sampler, for tiny models."""

from __future__ import annotations

import comfy.model_management
import comfy.sample
import pytest
import torch

CONTEXT = 32
POOLED = 2048
TEXT_TOKENS = 5


def host_node(node: type, *inputs):
    """The first output of one of ComfyUI's own nodes, whether its class is of the old or the new kind."""
    if hasattr(node, "execute"):
        return node.execute(*inputs)[0]
    return getattr(node(), node.FUNCTION)(*inputs)[0]


def conditioning(seed: int, pooled: int = POOLED, tokens: int = TEXT_TOKENS, width: int = CONTEXT, **extra) -> list:
    """A random conditioning: text [1, tokens, width] and pooled [1, pooled]."""
    generator = torch.Generator().manual_seed(seed)
    text = torch.randn(1, tokens, width, generator=generator)
    return [[text, {"pooled_output": torch.randn(1, pooled, generator=generator), **extra}]]


def latent(batch: int = 1, height: int = 8, width: int = 8) -> torch.Tensor:
    return torch.zeros(batch, 16, height, width)


def allow_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models in float64 run: the rotary embeddings of 2026 hosts take none, but those that they train with do."""
    monkeypatch.setattr(comfy.model_management, "in_training", True, raising=False)


def sample(
    model,
    positive,
    negative=None,
    cfg: float = 1.0,
    steps: int = 3,
    seed: int = 7,
    batch: int = 1,
    sampler: str = "euler",
    latent_image: torch.Tensor | None = None,
    **kwargs,
) -> torch.Tensor:
    """Through ComfyUI's own sampler, as KSampler does; gives the latent, of the empty one's shape."""
    image = latent(batch) if latent_image is None else latent_image
    noise = comfy.sample.prepare_noise(image, seed)
    with torch.inference_mode():
        return comfy.sample.sample(
            model, noise, steps, cfg, sampler, "simple", positive, positive if negative is None else negative, image, seed=seed,
            disable_pbar=True, **kwargs,
        )  # fmt: skip
