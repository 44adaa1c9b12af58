"""Z-Image and Lumina 2: one stream of padded text, references and the padded picture, after refiners of each.

The host's loop asks for no replacements (and before 0.4 it numbers no block), so the blocks' `forward` is wrapped.
"""

from __future__ import annotations

from typing import Any

from .base import Family, Files, Run, Size


class Lumina(Family):
    name = "Z-Image / Lumina 2"
    prefix = "lumina"
    classes = ("comfy.ldm.lumina.model.NextDiT",)
    runs = (Run("joint", "layers"),)
    sizes = (Size("z-image", (30,), 30, "Z-Image"), Size("lumina2", (26,), 24, "Lumina 2"))
    files = (
        Files(
            (r"layers\.(\d+)\.attention\.q_norm\.weight",),
            "cap_embedder.1.weight",
            r"layers\.0\.attention\.q_norm\.weight",
            needs=("cap_embedder.1.weight",),
            without=("dec_net.",),  # the one that works on pixels
        ),
        Files(  # diffusers
            (r"layers\.(\d+)\.attention\.norm_q\.weight",),
            "cap_embedder.1.weight",
            r"layers\.0\.attention\.norm_q\.weight",
            needs=("cap_embedder.1.weight", "context_refiner."),
            without=("dec_net.",),
        ),
    )

    def heads(self, network: Any) -> int:
        return network.n_heads

    def width(self, network: Any) -> int:
        return network.dim

    def image_rows(self, network: Any, total: int, text: int | None, picture: int) -> slice:
        """The picture comes last, before its own padding."""
        multiple = getattr(network, "pad_tokens_multiple", None) or 1
        start = total - -(-picture // multiple) * multiple
        return slice(start, start + picture)


FAMILY = Lumina()
