"""HunyuanVideo, as a contributor would add it: one file (used by tests/test_families.py; not shipped)."""

from __future__ import annotations

from typing import Any

from .base import Family, Files, Run, Size


class HunyuanVideo(Family):
    name = "HunyuanVideo"
    prefix = "hunyuan-video"
    classes = ("comfy.ldm.hunyuan_video.model.HunyuanVideo",)
    runs = (
        Run("pair", "double_blocks", "double_block", "P"),
        Run("one", "single_blocks", "single_block", "O"),
    )
    sizes = (Size("hunyuan-video", (20, 40), 24, "HunyuanVideo"),)
    files = (
        Files(
            (r"double_blocks\.(\d+)\.img_attn\.norm\.key_norm\.scale", r"single_blocks\.(\d+)\.linear1\.weight"),
            "img_in.proj.weight",
            128,
            dimensions=5,
            needs=("txt_in.individual_token_refiner.",),
        ),
    )

    def image_rows(self, network: Any, total: int, text: int | None, picture: int) -> slice:
        return slice(0, picture)


FAMILY = HunyuanVideo()
