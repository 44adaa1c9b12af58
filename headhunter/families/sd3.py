"""SD3 and SD3.5: joint blocks of a text and an image stream; SD3.5 medium's first blocks attend over the image once more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .base import Family, Files, Run, Size

HEAD_SIZE = 64


class SD3(Family):
    name = "SD3 / SD3.5"
    prefix = "sd3"
    classes = (
        "comfy.ldm.modules.diffusionmodules.mmdit.OpenAISignatureMMDITWrapper",
        "comfy.ldm.modules.diffusionmodules.mmdit.MMDiT",
    )
    runs = (Run("joint", "joint_blocks", "double_block"),)
    sizes = (
        Size("sd3-medium", (24,), 24, "SD3 / SD3.5 medium"),
        Size("sd3.5-large", (38,), 38, "SD3.5 large"),
    )
    files = (
        Files(
            (r"joint_blocks\.(\d+)\.context_block\.attn\.qkv\.weight",),
            "x_embedder.proj.weight",
            HEAD_SIZE,
            dimensions=4,
        ),
        Files(  # diffusers
            (r"transformer_blocks\.(\d+)\.attn\.add_q_proj\.weight",),
            "pos_embed.proj.weight",
            HEAD_SIZE,
            dimensions=4,
            needs=("pos_embed.proj.weight",),
        ),
    )

    def model_id(self, counts: tuple[int, ...], heads: int, names: Iterable[str]) -> str:
        model = super().model_id(counts, heads, names)
        dual = any(".x_block.attn2." in name or ".attn2." in name for name in names)
        return "sd3.5-medium" if model == "sd3-medium" and dual else model

    def run_block(self, block: Any, args: dict[str, Any]) -> dict[str, Any]:
        """Without the host's own checkpoint: what runs again for a gradient is decided for the whole model."""
        options = args["transformer_options"]
        txt, img = block(args["txt"], args["img"], c=args["vec"], transformer_options=options, use_checkpoint=False)
        return {"txt": txt, "img": img}


FAMILY = SD3()
