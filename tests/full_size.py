"""Names and shapes of tensors in files of full-size models, as many as tell the family: by architecture id."""

from __future__ import annotations

FULL_SIZE = {
    "chroma": (
        {f"double_blocks.{i}.img_attn.norm.key_norm.scale": (128,) for i in range(19)}
        | {f"single_blocks.{i}.linear1.weight": (21504, 3072) for i in range(38)}
        | {"img_in.weight": (3072, 64), "distilled_guidance_layer.norms.0.scale": (5120,)}
    ),
    "qwen-image": (
        {f"transformer_blocks.{i}.attn.add_q_proj.weight": (3072, 3072) for i in range(60)}
        | {f"transformer_blocks.{i}.attn.norm_q.weight": (128,) for i in range(60)}
        | {"img_in.weight": (3072, 64), "txt_norm.weight": (3584,)}
    ),
    "z-image": (
        {f"layers.{i}.attention.q_norm.weight": (128,) for i in range(30)} | {"cap_embedder.1.weight": (3840, 2560)}
    ),
    "lumina2": (
        {f"layers.{i}.attention.q_norm.weight": (96,) for i in range(26)} | {"cap_embedder.1.weight": (2304, 2304)}
    ),
    "krea2": (
        {f"blocks.{i}.attn.qknorm.qnorm.scale": (128,) for i in range(28)}
        | {"first.weight": (6144, 64), "txtfusion.projector.weight": (1, 12)}
    ),
    "wan-14b": (
        {f"blocks.{i}.self_attn.norm_q.weight": (5120,) for i in range(40)}
        | {"patch_embedding.weight": (5120, 16, 1, 2, 2), "head.modulation": (1, 2, 5120)}
    ),
    "wan-1.3b": (
        {f"blocks.{i}.self_attn.norm_q.weight": (1536,) for i in range(30)}
        | {"patch_embedding.weight": (1536, 16, 1, 2, 2), "head.modulation": (1, 2, 1536)}
    ),
    "flux2-klein-9b": (
        {f"double_blocks.{i}.img_attn.norm.key_norm.scale": (128,) for i in range(8)}
        | {f"single_blocks.{i}.linear1.weight": (1, 4096) for i in range(24)}
        | {"img_in.weight": (4096, 128)}
    ),
}
