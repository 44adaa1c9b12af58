"""Krea 2: one stream of text, the picture and its references. The host's loop asks for no replacements of its blocks."""

from __future__ import annotations

from typing import Any

from .base import Family, Files, Run, Size


class Krea2(Family):
    name = "Krea 2"
    prefix = "krea2"
    classes = ("comfy.ldm.krea2.model.SingleStreamDiT",)
    runs = (Run("single", "blocks"),)
    sizes = (Size("krea2", (28,), 48, "Krea 2"),)
    files = (
        Files(
            (r"blocks\.(\d+)\.attn\.qknorm\.qnorm\.scale",),
            "first.weight",
            r"blocks\.0\.attn\.qknorm\.qnorm\.scale",
            needs=("txtfusion.projector.weight",),
        ),
    )

    def heads(self, network: Any) -> int:
        return network.heads

    def width(self, network: Any) -> int:
        return network.first.out_features

    def patch(self, network: Any) -> tuple[int, ...]:
        return (network.patch, network.patch)


FAMILY = Krea2()
