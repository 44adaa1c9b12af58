"""A model's grid: its attention layers, each with its kind and its heads, from a checkpoint's header or from sizes.

Layers are counted from 0 as in the paper: SD3's joint blocks, FLUX's double blocks and then its single blocks
(FLUX.1: 0..18 double, 19..56 single).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["joint", "double", "single"]

MAX_HEADER_BYTES = 8 * 2**20
SD3_HEAD_SIZE = 64

_NAMED_SD3 = {(24, 24, False): "sd3-medium", (24, 24, True): "sd3.5-medium", (38, 38, False): "sd3.5-large"}
_NAMED_FLUX = {(19, 38, 24): "flux1", (8, 48, 48): "flux2"}


class GridError(ValueError):
    """A file or model whose grid cannot be told; the message says which and why."""


@dataclass(frozen=True)
class Grid:
    """`model`: architecture id (DESIGN section 7). `kinds`: the kind of each layer. `heads`: heads in every layer."""

    model: str
    kinds: tuple[Kind, ...]
    heads: int

    @property
    def layers(self) -> int:
        return len(self.kinds)

    @property
    def doubles(self) -> int:
        """How many FLUX double blocks come before the single blocks; 0 for SD3."""
        return self.kinds.count("double")

    @property
    def singles(self) -> int:
        return self.kinds.count("single")

    def __str__(self) -> str:
        return f"{self.model} ({self.layers} layers x {self.heads} heads)"


def describe(grid: Grid) -> dict[str, Any]:
    """A grid as JSON data for the page: {model, layers, heads, kinds: the kind of each layer}."""
    return {"model": grid.model, "layers": grid.layers, "heads": grid.heads, "kinds": list(grid.kinds)}


def sd3_grid(layers: int, heads: int, dual: bool) -> Grid:
    """SD3's grid; `dual` where any block has the second, image-only attention of SD3.5 medium."""
    model = _NAMED_SD3.get((layers, heads, dual), f"sd3-{layers}x{heads}")
    return Grid(model, ("joint",) * layers, heads)


def flux_grid(double: int, single: int, heads: int) -> Grid:
    """FLUX's grid of `double` and then `single` blocks."""
    model = _NAMED_FLUX.get((double, single, heads), f"flux-{double}+{single}x{heads}")
    return Grid(model, ("double",) * double + ("single",) * single, heads)


def grid_from_file(path: Path) -> Grid:
    """The grid of a safetensors checkpoint, read from its header alone (up to 8 MB). GridError where it cannot be told."""
    shapes = read_header(path)
    try:
        return grid_from_shapes(shapes)
    except GridError as error:
        raise GridError(f"{path.name}: {error}") from None


def read_header(path: Path) -> dict[str, tuple[int, ...]]:
    """Tensor names and shapes of a safetensors file; no tensor is read. GridError where it is not one."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= MAX_HEADER_BYTES:
            raise GridError(f"{path.name}: not a safetensors file, or its header is over {MAX_HEADER_BYTES} bytes")
        raw = file.read(length)
    try:
        header = json.loads(raw)
        return {
            name: tuple(int(size) for size in entry["shape"])
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise GridError(f"{path.name}: not a safetensors file (its header is not the expected JSON)") from None


def grid_from_shapes(shapes: Mapping[str, Sequence[int]]) -> Grid:
    """The grid of a state dict's names and shapes: native keys with any prefix, or diffusers keys.

    GridError where it is neither SD3 nor FLUX.
    """
    for read in (_native_sd3, _native_flux, _diffusers_sd3, _diffusers_flux):
        grid = read(shapes)
        if grid is not None:
            return grid
    raise GridError("no SD3 or FLUX transformer in it")


def _native_sd3(shapes: Mapping[str, Sequence[int]]) -> Grid | None:
    blocks = _blocks(shapes, r"joint_blocks\.(\d+)\.context_block\.attn\.qkv\.weight")
    if not blocks:
        return None
    prefix, count = blocks
    width = _shape(shapes, prefix + "x_embedder.proj.weight", 4)[0]
    dual = any(name.startswith(prefix + "joint_blocks.") and ".x_block.attn2." in name for name in shapes)
    return sd3_grid(count, _heads(width, SD3_HEAD_SIZE), dual)


def _native_flux(shapes: Mapping[str, Sequence[int]]) -> Grid | None:
    # FLUX's key norm is called `scale` in the released files and `weight` where newer tools saved them.
    blocks = _blocks(shapes, r"double_blocks\.(\d+)\.img_attn\.norm\.key_norm\.(?:scale|weight)")
    if not blocks:
        return None
    prefix, double = blocks
    # Chroma and HunyuanVideo have double blocks too, but are other models.
    if any(
        name.startswith((prefix + "distilled_guidance_layer.", prefix + "txt_in.individual_token_refiner."))
        for name in shapes
    ):
        return None
    single = _blocks(shapes, r"single_blocks\.(\d+)\.linear1\.weight")
    norm = next(
        shape
        for name, shape in shapes.items()
        if re.fullmatch(re.escape(prefix) + r"double_blocks\.0\.img_attn\.norm\.key_norm\.(?:scale|weight)", name)
    )
    width = _shape(shapes, prefix + "img_in.weight", 2)[0]
    return flux_grid(double, single[1] if single else 0, _heads(width, norm[0] if len(norm) == 1 else 0))


def _diffusers_sd3(shapes: Mapping[str, Sequence[int]]) -> Grid | None:
    blocks = _blocks(shapes, r"transformer_blocks\.(\d+)\.attn\.add_q_proj\.weight")
    if not blocks or blocks[0] + "pos_embed.proj.weight" not in shapes:
        return None
    prefix, count = blocks
    width = _shape(shapes, prefix + "pos_embed.proj.weight", 4)[0]
    dual = any(name.startswith(prefix + "transformer_blocks.") and ".attn2." in name for name in shapes)
    return sd3_grid(count, _heads(width, SD3_HEAD_SIZE), dual)


def _diffusers_flux(shapes: Mapping[str, Sequence[int]]) -> Grid | None:
    blocks = _blocks(shapes, r"transformer_blocks\.(\d+)\.attn\.add_q_proj\.weight")
    single = _blocks(shapes, r"single_transformer_blocks\.(\d+)\.attn\.norm_q\.weight")
    if not blocks or not single or blocks[0] + "x_embedder.weight" not in shapes:
        return None
    prefix, double = blocks
    width = _shape(shapes, prefix + "x_embedder.weight", 2)[0]
    head_size = _shape(shapes, prefix + "single_transformer_blocks.0.attn.norm_q.weight", 1)[0]
    return flux_grid(double, single[1], _heads(width, head_size))


def _blocks(shapes: Mapping[str, Sequence[int]], pattern: str) -> tuple[str, int] | None:
    """The prefix before the numbered blocks that match, and how many there are; None where there are none."""
    found: dict[str, set[int]] = {}
    compiled = re.compile(r"((?:.*\.)?)" + pattern)
    for name in shapes:
        match = compiled.fullmatch(name)
        if match:
            found.setdefault(match.group(1), set()).add(int(match.group(2)))
    if not found:
        return None
    prefix, numbers = max(found.items(), key=lambda item: len(item[1]))
    if numbers != set(range(len(numbers))):
        raise GridError(f"its blocks are not numbered 0..{len(numbers) - 1} without gaps")
    return prefix, len(numbers)


def _shape(shapes: Mapping[str, Sequence[int]], name: str, dimensions: int) -> Sequence[int]:
    shape = shapes.get(name)
    if shape is None or len(shape) != dimensions or (dimensions == 2 and shape[1] == 1):
        raise GridError(
            f"{name} should have {dimensions} dimensions, but is {shape and list(shape)} (is the file quantised?)"
        )
    return shape


def _heads(width: int, head_size: int) -> int:
    if head_size < 1 or width % head_size:
        raise GridError(f"its width {width} is not a whole number of heads of size {head_size}")
    return width // head_size
