"""Chroma: FLUX's blocks with one modulation for all, real CFG, and an attention mask where its text is padded."""

from __future__ import annotations

from .base import Family, Files, Size
from .flux import KEY_NORM, RUNS

PIXELS = ("nerf_blocks.",)  # Chroma Radiance works on pixels


class Chroma(Family):
    name = "Chroma"
    prefix = "chroma"
    classes = ("comfy.ldm.chroma.model.Chroma",)
    runs = RUNS
    sizes = (Size("chroma", (19, 38), 24, "Chroma"),)
    files = (
        Files(
            (r"double_blocks\.(\d+)" + KEY_NORM, r"single_blocks\.(\d+)\.linear1\.weight"),
            "img_in.weight",
            r"double_blocks\.0" + KEY_NORM,
            needs=("distilled_guidance_layer.", "img_in.weight"),
            without=PIXELS,
        ),
    )


FAMILY = Chroma()
