"""What is in the headers of checkpoints: names and shapes of weights, in ComfyUI's own names and in diffusers'."""

from __future__ import annotations


def native_sd3(depth: int, dual: int = 0) -> dict[str, tuple[int, ...]]:
    width = 64 * depth
    shapes = {"x_embedder.proj.weight": (width, 16, 2, 2)}
    for i in range(depth):
        shapes[f"joint_blocks.{i}.context_block.attn.qkv.weight"] = (3 * width, width)
        if i < dual:
            shapes[f"joint_blocks.{i}.x_block.attn2.qkv.weight"] = (3 * width, width)
    return shapes


def native_flux(
    double: int, single: int, width: int, head: int = 128, norm: str = "scale"
) -> dict[str, tuple[int, ...]]:
    shapes = {"img_in.weight": (width, 64)}
    shapes |= {f"double_blocks.{i}.img_attn.norm.key_norm.{norm}": (head,) for i in range(double)}
    return shapes | {f"single_blocks.{i}.linear1.weight": (7 * width, width) for i in range(single)}


def diffusers_sd3(depth: int, dual: int = 0) -> dict[str, tuple[int, ...]]:
    shapes = {"pos_embed.proj.weight": (64 * depth, 16, 2, 2)}
    shapes |= {f"transformer_blocks.{i}.attn.add_q_proj.weight": (64 * depth, 64 * depth) for i in range(depth)}
    return shapes | {f"transformer_blocks.{i}.attn2.to_q.weight": (64 * depth, 64 * depth) for i in range(dual)}


def diffusers_flux(double: int, single: int, width: int) -> dict[str, tuple[int, ...]]:
    shapes = {"x_embedder.weight": (width, 64)}
    shapes |= {f"transformer_blocks.{i}.attn.add_q_proj.weight": (width, width) for i in range(double)}
    return shapes | {f"single_transformer_blocks.{i}.attn.norm_q.weight": (128,) for i in range(single)}


def headed(header: str) -> bytes:
    """A safetensors file of that header."""
    return len(header.encode()).to_bytes(8, "little") + header.encode()
