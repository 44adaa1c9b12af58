"""Prefix reuse: the perturbed pass starts at the first perturbed block, from what the conditional pass had there.

Both passes see the same x and the same prompt, so every block before the first perturbed one gives the same result in
both. What enters that block is recorded in the conditional pass; in the perturbed pass the blocks before it return their
input, and the record is put in place. Exact: no number changes.

Groups of heads that start at different layers have a perturbed pass each, from a record of its own layer on.

Nothing is recorded, and the perturbed pass runs whole, where the two passes may differ: see `reusable` and `joined`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import torch
from torch import Tensor

from .blocks import Architecture, Args, Options, foreign

# In the transformer options: False switches prefix reuse off, for comparison.
REUSE = "headhunter_prefix_reuse"
SLOT = "sampler_calc_cond_batch_function"
AFTER_BLOCKS = ("double_block", "single_block")
"""Patches that the host runs after a block, outside of its replacement."""


@dataclass(frozen=True)
class Prefix:
    """What enters `layer`: img [B, L, D], and txt [B, Ltxt, D] (None where the block has one stream)."""

    layer: int
    img: Tensor
    txt: Tensor | None

    @property
    def tokens(self) -> int:
        return self.img.shape[1] + (0 if self.txt is None else self.txt.shape[1])

    def fits(self, img: Tensor, tokens: int) -> bool:
        """Whether a block of a forward has as many rows and tokens, on the same device."""
        return self.img.shape[0] == img.shape[0] and self.tokens == tokens and self.img.device == img.device

    def to(self, device: torch.device) -> Prefix:
        """The same on another device."""
        return Prefix(self.layer, self.img.to(device), None if self.txt is None else self.txt.to(device))

    def put(self, args: Args) -> Args:
        """A block's args with the record in place of its input."""
        return args | {"img": self.img} | ({} if self.txt is None else {"txt": self.txt})


class Recording:
    """What one forward is to record of one layer: its input, of those of its chunks that are conditional."""

    def __init__(self, layer: int, chunks: Sequence[bool]):
        self.layer = layer
        self.chunks = chunks
        self.img: Tensor | None = None
        self.txt: Tensor | None = None

    def take(self, args: Args, streams: Sequence[str]) -> None:
        """Copies, since some of the host's blocks add in place."""
        self.img = self._rows(args["img"])
        self.txt = self._rows(args["txt"]) if "txt" in streams and args.get("txt") is not None else None

    def _rows(self, t: Tensor) -> Tensor:
        return torch.cat([rows for rows, wanted in zip(t.chunk(len(self.chunks)), self.chunks, strict=True) if wanted])

    def prefixes(self, uuids: Sequence[UUID]) -> dict[UUID, Prefix]:
        """The record of each conditional cond, by its uuid; empty where the block did not run."""
        wanted = [uuid for uuid, chosen in zip(uuids, self.chunks, strict=True) if chosen]
        if self.img is None:
            return {}
        imgs = self.img.chunk(len(wanted))
        txts = [None] * len(wanted) if self.txt is None else self.txt.chunk(len(wanted))
        return {uuid: Prefix(self.layer, img, txt) for uuid, img, txt in zip(wanted, imgs, txts, strict=True)}


def reusable(model_options: Options, architecture: Architecture, layers: Iterable[int]) -> list[int]:
    """Those of `layers` at which the conditional pass may be recorded for perturbed passes that start there, in order.

    Not where the family's blocks are not replaced; where another pack replaces a block before it, adds something after
    blocks or evaluates the conds in its own way; in context windows (a cond then runs several times a step), or on several GPUs.
    """
    options = model_options.get("transformer_options", {})
    wanted = sorted({layer for layer in layers if layer > 0})
    if not wanted or options.get(REUSE) is False or not shares_calls(model_options) or architecture.family.indexed:
        return []
    if any(options.get("patches", {}).get(name) for name in AFTER_BLOCKS):
        return []
    replaced = options.get("patches_replace", {}).get("dit", {})
    last = next((layer for layer in range(wanted[-1]) if foreign(replaced, architecture.key(layer))), wanted[-1])
    return [layer for layer in wanted if layer <= last]


def shares_calls(model_options: Options) -> bool:
    """Whether each cond is evaluated by the host itself, once a step, whole, and on one device."""
    slot, handler = model_options.get(SLOT), model_options.get("context_handler")
    return slot is None and handler is None and "multigpu_clones" not in model_options


def joined(prefixes: Mapping[UUID, Prefix], uuids: Sequence[UUID], rows: int) -> Prefix | None:
    """The records of a forward's chunks as one; None where one is missing, or they have different tokens.

    rows: of each chunk; a record of one row stands for all of them (a hunt's first step).
    """
    parts = [prefixes[uuid] for uuid in uuids if uuid in prefixes]
    if not parts or len(parts) < len(uuids):
        return None
    if len({(part.layer, part.txt is None) for part in parts}) > 1 or len({part.img.shape[1:] for part in parts}) > 1:
        return None
    txts = [part.txt for part in parts if part.txt is not None]
    if len({txt.shape[1:] for txt in txts}) > 1:
        return None
    # cat copies: the record is used again where a second call shares it, and some blocks add in place.
    return Prefix(parts[0].layer, _rows([part.img for part in parts], rows), _rows(txts, rows) if txts else None)


def _rows(parts: Sequence[Tensor], rows: int) -> Tensor:
    return torch.cat([part.expand(rows, -1, -1) if part.shape[0] == 1 else part for part in parts])
