"""Wan 2.1 and 2.2: self attention over the video's tokens alone; text comes by cross attention, which stays as it is."""

from __future__ import annotations

from typing import Any

from .base import Family, Files, Run, Size

OTHERS = (  # its siblings with parts of their own
    "vace_patch_embedding.",
    "control_adapter.",
    "casual_audio_encoder.",
    "audio_proj.",
    "face_adapter.",
    "patch_embedding_mask.",
    "patch_embedding_pose.",
    "patch_embedding_global.",
)


class Wan(Family):
    name = "Wan 2.x"
    prefix = "wan"
    classes = ("comfy.ldm.wan.model.WanModel",)
    runs = (Run("self", "blocks", "double_block"),)
    sizes = (
        Size("wan-14b", (40,), 40, "Wan 14B"),
        Size("wan-5b", (30,), 24, "Wan 5B"),
        Size("wan-1.3b", (30,), 12, "Wan 1.3B"),
    )
    files = (
        Files(
            (r"blocks\.(\d+)\.self_attn\.norm_q\.weight",),
            "head.modulation",
            128,
            dimensions=3,
            axis=2,
            needs=("patch_embedding.weight", "head.modulation"),
            without=OTHERS,
        ),
    )
    cross_attention = True

    def width(self, network: Any) -> int:
        return network.dim

    def image_rows(self, network: Any, total: int, text: int | None, picture: int) -> slice:
        """Some models put a reference frame before the video; context frames may follow it."""
        start = total - picture if getattr(network, "ref_conv", None) is not None else 0
        return slice(start, start + picture)


FAMILY = Wan()
