"""Qwen-Image 1.x, 2512 and Edit: joint blocks of a text and an image stream; reference pictures follow the picture."""

from __future__ import annotations

from typing import Any

from .base import Family, Files, Run, Size


class QwenImage(Family):
    name = "Qwen-Image"
    prefix = "qwen-image"
    classes = ("comfy.ldm.qwen_image.model.QwenImageTransformer2DModel",)
    runs = (Run("joint", "transformer_blocks", "double_block"),)
    sizes = (Size("qwen-image", (60,), 24, "Qwen-Image"),)
    files = (
        Files(  # the same keys in diffusers
            (r"transformer_blocks\.(\d+)\.attn\.add_q_proj\.weight",),
            "img_in.weight",
            r"transformer_blocks\.0\.attn\.norm_q\.weight",
            needs=("txt_norm.weight", "img_in.weight"),
        ),
    )

    def heads(self, network: Any) -> int:
        return network.transformer_blocks[0].num_attention_heads

    def width(self, network: Any) -> int:
        return network.inner_dim


FAMILY = QwenImage()
