"""One record for each kind of transformer that this host has: how to make it, and what its attention looks like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import signature
from itertools import accumulate

import comfy.model_base
import comfy.supported_models
import torch
from comfy.ldm.qwen_image.model import QwenImageTransformer2DModel

from . import models
from .sampling import POOLED, TEXT_TOKENS, conditioning

PICTURE_TOKENS = 16  # a latent of 8 x 8 in patches of 2


@dataclass(frozen=True)
class Family:
    """A kind of transformer, tiny. Rows are those of the joint sequence, as attention sees it."""

    make: Callable  # (seed=0, dtype=torch.float32) -> ModelPatcher
    blocks: tuple[str, ...]  # the network's lists of blocks, in the order of their layers
    attention: str  # "module.name" of the attention function that the blocks call
    calls: tuple[int | None, ...]  # the layer of each attention call of one forward; None is any other attention
    heads: int
    text: int = TEXT_TOKENS  # rows of text, with padding or references among them; they come first
    image: int = PICTURE_TOKENS  # rows of the picture that is made; they come next
    others: int = 0  # rows of references or padding after it
    runs: tuple[
        int, ...
    ] = ()  # rows of each attention call of a layer, where it takes several; later ones see those before
    picture_alone: bool = False  # whether only the picture's rows are ever perturbed
    whole: dict = field(default_factory=dict)  # transformer options under which each forward computes all rows
    masked: bool = False  # whether its attention gets a mask
    pooled: int = POOLED
    shape: tuple[int, ...] = (16, 8, 8)  # of a latent, without the batch
    extra: dict = field(default_factory=dict)  # what its conditioning holds besides text and pooled

    @property
    def layers(self) -> int:
        return max(layer for layer in self.calls if layer is not None) + 1

    @property
    def text_rows(self) -> slice:
        return slice(0, self.text)

    @property
    def image_rows(self) -> slice:
        return slice(self.text, self.text + self.image)

    @property
    def length(self) -> int:
        return self.text + self.image + self.others

    @property
    def perturbed_rows(self) -> slice:
        """What `tokens` all means."""
        return self.image_rows if self.picture_alone else slice(None)

    @property
    def row_runs(self) -> list[tuple[int, int]]:
        """First row and end of the queries of each joint attention call of a forward."""
        ends = list(accumulate(self.runs or (self.length,)))
        return list(zip([0, *ends], ends, strict=False)) * self.layers

    def model(self, seed: int = 0, dtype: torch.dtype = torch.float32):
        return self.make(seed=seed, dtype=dtype)

    def conditioning(self, seed: int, **extra) -> list:
        return conditioning(seed, self.pooled, **(self.extra | extra))

    def latent(self, batch: int = 1) -> torch.Tensor:
        return torch.zeros(batch, *self.shape)


def _random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _padding_mask(seen: int, length: int) -> torch.Tensor:
    """[length, length], to be added to the logits: of the text's tokens only the first `seen` are seen."""
    mask = torch.zeros(length, length)
    mask[:, seen:TEXT_TOKENS] = -torch.inf
    return mask


def _sd3(dual: tuple[int, ...]) -> Family:
    calls = [call for layer in range(4) for call in ([layer, None] if layer in dual else [layer])]
    attention = "comfy.ldm.modules.diffusionmodules.mmdit.optimized_attention"
    return Family(lambda **kwargs: models.sd3(dual=dual, **kwargs), ("joint_blocks",), attention, tuple(calls), 4)


def _flux(make: Callable = models.flux, layers: int = 5, **changes) -> Family:
    settings = {"heads": 3, "pooled": 768} | changes
    return Family(
        make,
        ("double_blocks", "single_blocks"),
        "comfy.ldm.flux.math.optimized_attention",
        tuple(range(layers)),
        **settings,
    )


def _qwen_image(make: Callable = models.qwen_image, **changes) -> Family:
    attention = "comfy.ldm.qwen_image.model.optimized_attention_masked"
    return Family(make, ("transformer_blocks",), attention, tuple(range(4)), 3, shape=(16, 1, 8, 8), **changes)


def _qwen_image21(text: int, *runs: int, **extra) -> Family:
    """Its text is causal and computed once a sampling, with its references: rows of the picture are perturbed alone."""
    attention = "comfy.ldm.qwen_image21.model.optimized_attention"
    calls = tuple(layer for layer in range(4) for _ in (*runs, PICTURE_TOKENS))
    return Family(
        models.qwen_image21, ("transformer_blocks",), attention, calls, 3, text=text, runs=(*runs, PICTURE_TOKENS),
        picture_alone=True, whole={"qwen_image21_cache": {"device": "off"}}, masked=True, shape=(64, 4, 4), extra=extra,
    )  # fmt: skip


def _next_dit(make: Callable, **changes) -> Family:
    attention = "comfy.ldm.lumina.model.optimized_attention_masked"
    refiners = (None,) * 4  # two over the text, two over the picture
    changes["extra"] = {"attention_mask": torch.ones(1, TEXT_TOKENS)}  # as its text encoder gives; 0.3.64 counts it
    return Family(make, ("layers",), attention, (*refiners, *range(4)), 4, **changes)


def _krea2(make: Callable, **changes) -> Family:
    attention = "comfy.ldm.krea2.model.optimized_attention_masked"
    fusion = (None,) * 4  # two blocks over a token's layers, two over the text
    return Family(make, ("blocks",), attention, (*fusion, *range(4)), 4, shape=(16, 1, 8, 8), **changes)


def _with_references(*sizes: tuple[int, int], frames: bool) -> dict:
    """Reference pictures of these sizes, and the rows that they add."""
    pictures = [_random(i, 1, 16, *([1] if frames else []), *size) for i, size in enumerate(sizes)]
    rows = sum(height * width // 4 for height, width in sizes)
    return {"extra": {"reference_latents": pictures}, "others": rows}


def _families() -> dict[str, Family]:
    families = {"sd3": _sd3(()), "sd3_dual": _sd3((0, 1)), "flux": _flux()}
    families["flux_kontext"] = _flux(**_with_references((8, 4), (4, 4), frames=False))
    if models.HAS_FLUX2:
        families["flux2"] = _flux(models.flux2)
        families["flux2_klein"] = _flux(models.flux2_klein, 4, shape=(128, 4, 4), text=512)
    families["chroma"] = _flux(models.chroma)
    mask = {"attention_mask": _padding_mask(3, TEXT_TOKENS + PICTURE_TOKENS)[None], "attention_mask_img_shape": (4, 4)}
    families["chroma_masked"] = _flux(models.chroma, masked=True, extra=mask)
    families["qwen_image"] = _qwen_image()
    method = {"default_ref_method": "index_timestep_zero"}  # of Qwen-Image-Edit-2511
    if "default_ref_method" not in signature(QwenImageTransformer2DModel.__init__).parameters:
        method = {}
    families["qwen_image_edit"] = _qwen_image(
        lambda **kwargs: models.qwen_image(**method, **kwargs), **_with_references((8, 4), (4, 4), frames=True)
    )
    if "attention_mask" in comfy.model_base.QwenImage.extra_conds.__code__.co_consts:  # from 0.3.76 on
        padded = torch.tensor([[1] * 3 + [0] * (TEXT_TOKENS - 3)])
        families["qwen_image_padded"] = _qwen_image(masked=True, extra={"attention_mask": padded})
    if hasattr(comfy.supported_models, "QwenImage21"):
        families["qwen_image21"] = _qwen_image21(TEXT_TOKENS, TEXT_TOKENS)
        reference = {"reference_latents": [_random(0, 1, 64, 2, 4)], "image_slots": [2]}
        families["qwen_image21_edit"] = _qwen_image21(TEXT_TOKENS + 8, 2, 8, TEXT_TOKENS - 2, **reference)
    families["lumina2"] = _next_dit(models.lumina2)
    if hasattr(comfy.supported_models, "ZImage"):
        families["z_image"] = _next_dit(models.z_image, text=32, others=32 - PICTURE_TOKENS)
    if hasattr(comfy.supported_models, "Krea2"):
        families["krea2"] = _krea2(models.krea2)
        families["krea2_edit"] = _krea2(
            lambda **kwargs: models.krea2(default_ref_method="index", **kwargs),
            **_with_references((8, 4), (4, 4), frames=True),
        )
    frames = 2
    families["wan"] = Family(
        models.wan, ("blocks",), "comfy.ldm.wan.model.optimized_attention",
        tuple(call for layer in range(4) for call in (layer, None)),  # each self attention, then its cross attention
        3, text=0, image=frames * PICTURE_TOKENS, shape=(16, frames, 8, 8),
    )  # fmt: skip
    return families


FAMILIES = _families()
