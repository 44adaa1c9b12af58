"""This pack's replacements of blocks: what each does to the block's input, its attention or its place in a pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import torch
from torch import Tensor

from .attention import Entry, PerturbedAttention, Witness
from .blocks import Architecture, Args, BlockHook
from .forward import check_calls, forward_of, joint_sequence, with_override


class Probe(BlockHook):
    """The first block: adds to `ran` the conds whose forwards really run."""

    def __init__(self, previous: Callable | None, ran: set[UUID]):
        super().__init__(previous)
        self.ran = ran

    def __call__(self, args: Args, extra: Args) -> dict[str, Tensor]:
        if not torch.compiler.is_compiling():
            self.ran.update((args.get("transformer_options") or {}).get("uuids", ()))
        return super().__call__(args, extra)


class Recorder(BlockHook):
    """A block whose input is recorded where the forward asks for this layer's."""

    def __init__(self, previous: Callable | None, layer: int, streams: Sequence[str]):
        super().__init__(previous)
        self.layer = layer
        self.streams = streams

    def __call__(self, args: Args, extra: Args) -> dict[str, Tensor]:
        forward = forward_of(args)
        recording = forward.recordings.get(self.layer) if forward is not None else None
        if recording is not None:
            recording.take(args, self.streams)
        return super().__call__(args, extra)


class Skipped(BlockHook):
    """A block before the first perturbed one: returns its input where a record will take its place."""

    def __call__(self, args: Args, extra: Args) -> dict[str, Tensor]:
        forward = forward_of(args)
        if forward is None or forward.starts_from(args) is None:
            return super().__call__(args, extra)
        return {name: args[name] for name in ("img", "txt") if name in args}


class TextRecorder(BlockHook):
    """The first block of a transformer whose later blocks have one stream: keeps the number of text tokens for them."""

    def __call__(self, args: Args, extra: Args) -> dict[str, Tensor]:
        forward = forward_of(args)
        if forward is not None:
            forward.text = args["txt"].shape[1]
        return super().__call__(args, extra)


class PerturbedBlock(BlockHook):
    """A block whose joint attention is perturbed; the first of a pass may start from the conditional pass's record."""

    def __init__(
        self,
        previous: Callable | None,
        architecture: Architecture,
        layer: int,
        first: bool,
        entries: Sequence[Entry | None],
        witness: Witness,
    ):
        super().__init__(previous)
        self.architecture = architecture
        self.layer = layer
        self.first = first
        self.entries = entries
        self.witness = witness

    def __call__(self, args: Args, extra: Args) -> dict[str, Tensor]:
        forward = forward_of(args)
        if forward is None:  # without transformer options nothing can be perturbed, which is said after sampling
            return super().__call__(args, extra)
        prefix = forward.starts_from(args) if self.first else None
        if prefix is not None:
            args = prefix.put(args)
        length, picture, first_only = joint_sequence(forward, args)
        options = args["transformer_options"]
        joint = PerturbedAttention(
            options.get("optimized_attention_override"),
            length,
            length,
            picture,
            first_only,
            self.layer,
            self.entries,
            forward.chunks,
            self.witness,
        )
        result = super().__call__(args | {"transformer_options": with_override(options, joint)}, extra)
        check_calls(self.layer, joint.calls)
        if not torch.compiler.is_compiling():
            forward.ran.add(self.layer)
        return result
