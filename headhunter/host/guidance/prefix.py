"""Prefix reuse: the perturbed pass starts at the first perturbed block, from what the conditional pass had there.

Both passes see the same x and the same prompt, so every block before the first perturbed one gives the same result in
both. What enters that block is recorded in the conditional pass; in the perturbed pass the blocks before it return their
input, and the record is put in place. Exact: no number changes.

Nothing is recorded, and the perturbed pass runs whole, where the two passes may differ: see `may_reuse` and `joined`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import torch
from torch import Tensor

from ...grid import Grid
from .blocks import Args, BlockHook, block_key, foreign, tokens

# In the transformer options: False switches prefix reuse off, for comparison.
REUSE = "headhunter_prefix_reuse"
# In the transformer options of one forward: what it records, and what it starts from.
RECORDING = "headhunter_recording"
PREFIX = "headhunter_prefix"
SLOT = "sampler_calc_cond_batch_function"

Options = dict[str, Any]


@dataclass(frozen=True)
class Prefix:
    """What enters `layer`: img [B, L, D], and txt [B, Ltxt, D] (None where the block has one stream)."""

    layer: int
    img: Tensor
    txt: Tensor | None

    def fits(self, args: Args) -> bool:
        """Whether a block of this forward has the same rows and tokens on the same device as the recorded one."""
        img = args["img"]
        length = self.img.shape[1] + (0 if self.txt is None else self.txt.shape[1])
        return self.img.shape[0] == img.shape[0] and length == tokens(args) and self.img.device == img.device

    def to(self, device: torch.device) -> Prefix:
        """The same on another device."""
        return Prefix(self.layer, self.img.to(device), None if self.txt is None else self.txt.to(device))

    def put(self, args: Args) -> Args:
        """A block's args with the record in place of its input."""
        return args | {"img": self.img} | ({} if self.txt is None else {"txt": self.txt})


class Recording:
    """What one forward is to record: the input of `layer`, of those of its chunks that are conditional."""

    def __init__(self, layer: int, chunks: Sequence[bool]):
        self.layer = layer
        self.chunks = chunks
        self.img: Tensor | None = None
        self.txt: Tensor | None = None

    def take(self, args: Args) -> None:
        """Copies, since some of the host's blocks add in place."""
        self.img = self._rows(args["img"])
        self.txt = None if args.get("txt") is None else self._rows(args["txt"])

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


class Recorder(BlockHook):
    """A block whose input is recorded where the forward asks for this layer's."""

    def __init__(self, previous: Callable | None, layer: int):
        super().__init__(previous)
        self.layer = layer

    def __call__(self, args: Args, extra: Args) -> dict[str, Tensor]:
        recording = args["transformer_options"].get(RECORDING)
        if recording is not None and recording.layer == self.layer:
            recording.take(args)
        return super().__call__(args, extra)


class Skipped(BlockHook):
    """A block before the first perturbed one: returns its input where a record will take its place."""

    def __call__(self, args: Args, extra: Args) -> dict[str, Tensor]:
        prefix = args["transformer_options"].get(PREFIX)
        if prefix is None or not prefix.fits(args):
            return super().__call__(args, extra)
        return {name: args[name] for name in ("img", "txt") if name in args}


def started(args: Args) -> Args:
    """The args of the first perturbed block, with the record in place where this forward has one."""
    prefix = args["transformer_options"].get(PREFIX)
    return prefix.put(args) if prefix is not None and prefix.fits(args) else args


def may_reuse(model_options: Options, grid: Grid, layer: int) -> bool:
    """Whether the conditional pass may be recorded for a perturbed pass that starts at `layer`.

    Not where another pack replaces a block before it or evaluates the conds in its own way, in context windows (a cond
    then runs several times a step), or on several GPUs.
    """
    options = model_options.get("transformer_options", {})
    if layer == 0 or options.get(REUSE) is False or not shares_calls(model_options):
        return False
    replacements = options.get("patches_replace", {}).get("dit", {})
    return not any(foreign(replacements, block_key(grid, earlier)) for earlier in range(layer))


def shares_calls(model_options: Options) -> bool:
    """Whether each cond is evaluated by the host itself, once a step, whole, and on one device."""
    slot, handler = model_options.get(SLOT), model_options.get("context_handler")
    return slot is None and handler is None and "multigpu_clones" not in model_options


def joined(prefixes: Mapping[UUID, Prefix], uuids: Sequence[UUID], rows: int) -> Prefix | None:
    """The records of a forward's chunks as one; None where one is missing, or they have different tokens.

    rows: of each chunk; a record of one row stands for all of them (a hunt's first step).
    """
    parts = [prefixes.get(uuid) for uuid in uuids]
    if any(part is None for part in parts):
        return None
    found = [part for part in parts if part is not None]
    if len({(part.layer, part.txt is None) for part in found}) > 1 or len({part.img.shape[1:] for part in found}) > 1:
        return None
    txts = [part.txt for part in found if part.txt is not None]
    if len({txt.shape[1:] for txt in txts}) > 1:
        return None
    # cat copies: the record is used again where a second call shares it, and some blocks add in place.
    return Prefix(found[0].layer, _rows([part.img for part in found], rows), _rows(txts, rows) if txts else None)


def _rows(parts: Sequence[Tensor], rows: int) -> Tensor:
    return torch.cat([part.expand(rows, -1, -1) if part.shape[0] == 1 else part for part in parts])
