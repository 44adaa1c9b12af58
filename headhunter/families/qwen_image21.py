"""Qwen-Image 2.1: one stream of text, with references spliced in, and then the picture, under block-causal attention.

Text and references see nothing of the picture, and the host keeps their keys and values for a whole sampling. So the
picture's rows alone are perturbed, whatever `tokens` says, and no block is replaced, which would switch that cache off.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from .base import Family, Files, Run, Size


class QwenImage21(Family):
    name = "Qwen-Image 2.1"
    prefix = "qwen-image21"
    classes = ("comfy.ldm.qwen_image21.model.QwenImage21Transformer2DModel",)
    runs = (Run("single", "transformer_blocks", "single_block"),)
    sizes = (Size("qwen-image21", (32,), 32, "Qwen-Image 2.1"),)
    files = (
        Files(
            (r"transformer_blocks\.(\d+)\.attn\.norm_q\.weight",),
            "txt_in.out_layer.weight",
            r"transformer_blocks\.0\.attn\.norm_q\.weight",
            needs=("txt_in.text_norm.", "txt_in.out_layer.weight", "transformer_blocks.0.img_mlp."),
        ),
    )
    indexed = True

    def heads(self, network: Any) -> int:
        return network.transformer_blocks[0].attn.heads

    def width(self, network: Any) -> int:
        return network.inner_dim

    def patch(self, network: Any) -> tuple[int, ...]:
        return (1, 1)

    def joint_length(self, picture: int, context: Any, conds: Mapping[str, Any]) -> int:
        references = sum(prod(reference.shape[-2:]) for reference in conds.get("ref_latents") or ())
        return picture + context.shape[1] + references


FAMILY = QwenImage21()
