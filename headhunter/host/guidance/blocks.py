"""The host's transformer blocks, and how they are reached: replacements that call the one that was there before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ...grid import Grid

Args = dict[str, Any]
Key = tuple[str, int]


def block_key(grid: Grid, layer: int) -> Key:
    """The host's name of a layer; SD3's joint blocks are double blocks there too."""
    first, segment = [(first, segment) for first, segment in grid.numbered() if first <= layer][-1]
    return ("single_block" if segment.letter == "S" else "double_block", layer - first)


class BlockHook:
    """One of our replacements of a block. `args`: img, txt (not in single blocks), transformer_options, ...

    previous: the replacement that was there before it, of this pack or another's; None for the block itself.
    """

    def __init__(self, previous: Callable | None):
        self.previous = previous

    def __call__(self, args: Args, extra: Args) -> dict[str, Tensor]:
        return self.previous(args, extra) if self.previous else extra["original_block"](args)


def foreign(replacements: Mapping[Key, Any], key: Key) -> bool:
    """Whether another pack replaces this block."""
    found = replacements.get(key)
    while isinstance(found, BlockHook):
        found = found.previous
    return found is not None


def tokens(args: Args) -> int:
    """The length of the sequence that a block attends over: text and image together."""
    # FLUX's single blocks have one stream, text and image together.
    return args["img"].shape[1] + (args["txt"].shape[1] if args.get("txt") is not None else 0)
