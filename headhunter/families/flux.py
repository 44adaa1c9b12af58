"""FLUX.1, FLUX.2 and FLUX.2 Klein: double blocks of a text and an image stream, then single blocks of one stream."""

from __future__ import annotations

from .base import Family, Files, Run, Size

KEY_NORM = r"\.img_attn\.norm\.key_norm\.(?:scale|weight)"  # `scale` in the released files, `weight` in newer tools'
OTHERS = ("distilled_guidance_layer.", "txt_in.individual_token_refiner.")  # Chroma, HunyuanVideo

RUNS = (
    Run("double", "double_blocks", "double_block", "D"),
    Run("single", "single_blocks", "single_block", "S"),
)


class Flux(Family):
    name = "FLUX"
    prefix = "flux"
    classes = ("comfy.ldm.flux.model.Flux",)
    runs = RUNS
    sizes = (
        Size("flux1", (19, 38), 24, "FLUX.1"),
        Size("flux2", (8, 48), 48, "FLUX.2"),
        Size("flux2-klein-4b", (5, 20), 24, "FLUX.2 Klein 4B"),
        Size("flux2-klein-9b", (8, 24), 32, "FLUX.2 Klein 9B"),
    )
    files = (
        Files(
            (r"double_blocks\.(\d+)" + KEY_NORM, r"single_blocks\.(\d+)\.linear1\.weight"),
            "img_in.weight",
            r"double_blocks\.0" + KEY_NORM,
            without=OTHERS,
        ),
        Files(  # diffusers
            (
                r"transformer_blocks\.(\d+)\.attn\.add_q_proj\.weight",
                r"single_transformer_blocks\.(\d+)\.attn\.norm_q\.weight",
            ),
            "x_embedder.weight",
            r"single_transformer_blocks\.0\.attn\.norm_q\.weight",
            needs=("x_embedder.weight", "single_transformer_blocks."),
            without=OTHERS,
        ),
        Files(  # diffusers, FLUX.2
            (
                r"transformer_blocks\.(\d+)\.attn\.add_q_proj\.weight",
                r"single_transformer_blocks\.(\d+)\.attn\.to_qkv_mlp_proj\.weight",
            ),
            "x_embedder.weight",
            r"single_transformer_blocks\.0\.attn\.norm_q\.weight",
            needs=("x_embedder.weight", "single_transformer_blocks.0.attn.to_qkv_mlp_proj."),
            without=OTHERS,
        ),
    )


FAMILY = Flux()
