"""Groups that act in attention: their heads are moved inside the conditional pass itself, at no further pass.

Each chosen head's output h becomes h + (w u / c) (h - h'), h' its output under the perturbation and c the cfg in force, so
that to first order the guided prediction is what the extra pass gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import torch
from torch import Tensor

from ...perturbation import steer
from .attention import (
    Call,
    Entry,
    IndexedAttention,
    JointCall,
    PerturbedAttention,
    Push,
    Steering,
    Witness,
)
from .blocks import Architecture, Args, BlockHook, Options, replacements
from .forward import check_calls, forward_of, joint_sequence, with_override
from .hooks import TextRecorder
from .mask import Mask


class Steered:
    """The groups of one sampling that act in attention.

    positives: the conds whose predictions are steered, and their copies in extra passes.
    """

    def __init__(self, live: Sequence[Entry], guider: Any, witness: Witness):
        self.live = live
        self.witness = witness
        self.guider = guider
        self.positives: set[UUID] = set()
        self.active: list[tuple[Entry, float]] = []
        self.latent: Sequence[int] = ()

    def begin(self, active: Sequence[Entry], scales: Sequence[float], latent: Sequence[int]) -> None:
        """A step begins in which these groups act, on a latent of this shape.

        RuntimeError where the guider has no positive conditioning, ValueError where its prediction has no share in the result.
        """
        self.latent = latent
        self.positives = {cond["uuid"] for cond in getattr(self.guider, "conds", {}).get("positive", ())}
        if not active:
            self.active = []
            return
        if not self.positives:
            raise RuntimeError(
                "HeadHunter: this guider has no conditioning called positive, so no heads can be moved in its pass. Use CFGGuider, "
                "BasicGuider or HeadHunter Guider, or the method extra pass."
            )
        cfg = getattr(self.guider, "cfg", getattr(self.guider, "cfg1", 1.0))
        if cfg == 0:
            raise ValueError(
                "HeadHunter: with cfg 0 the conditional prediction is not used, so heads in it cannot guide."
            )
        self.active = [(entry, scale / cfg) for entry, scale in zip(active, scales, strict=True)]

    def of(self, options: Options, x: Tensor, patch: Sequence[int]) -> Steering | None:
        """What moves heads in a forward of latents `x` in tokens of `patch`; None where nothing does.

        ValueError where a group has a mask and `x` is a part of the picture.
        """
        chunks = [uuid in self.positives for uuid in options.get("uuids", ())]
        if not self.active or not any(chunks):
            return None
        rows = x.shape[0] // len(chunks)
        pushes = [Push(entry, factor, self._share(entry.mask, x, rows, patch)) for entry, factor in self.active]
        return Steering(pushes, chunks, self.witness)

    def _share(self, mask: Mask | None, x: Tensor, rows: int, patch: Sequence[int]) -> Tensor | None:
        """How much of a group's change each row of the picture gets: [N, R]; None for all of it."""
        if mask is None:
            return None
        if x.shape[-2:] != self.latent[-2:] or (mask.count > 1 and rows != self.latent[0]):
            raise ValueError(
                "HeadHunter: a mask in attention needs the whole picture in one pass, and here the host evaluates a part of it (the "
                "conditioning has an area, or the model context windows): use the method extra pass, or take the mask off."
            )
        return mask.rows(x, patch)

    def hook(self, architecture: Architecture, transformer_options: Options) -> None:
        """Hook the blocks of all layers that may be steered in this sampling."""
        if architecture.family.indexed:
            return
        replaced = replacements(transformer_options)
        for layer in {layer for entry in self.live for layer in entry.strengths.layers}:
            key = architecture.key(layer)
            replaced[key] = SteeredBlock(replaced.get(key), layer)
        if len(architecture.grid.segments) > 1 and any(entry.picture_alone for entry in self.live):
            key = architecture.key(0)
            replaced[key] = TextRecorder(replaced.get(key))


class SteeredBlock(BlockHook):
    """A block whose heads are moved where its forward says so."""

    def __init__(self, previous: Callable | None, layer: int):
        super().__init__(previous)
        self.layer = layer

    def __call__(self, args: Args, extra: Args) -> dict[str, Tensor]:
        forward = forward_of(args)
        if forward is None or forward.steering is None:
            return super().__call__(args, extra)
        length, picture, first_only = joint_sequence(forward, args)
        options = args["transformer_options"]
        override = options.get("optimized_attention_override")
        perturbed = override if isinstance(override, PerturbedAttention) else None
        joint = SteeredAttention(
            perturbed.previous if perturbed else override,
            length,
            length,
            picture,
            first_only,
            self.layer,
            forward.steering,
        )
        if perturbed:  # an extra pass starts from the steered conditional
            perturbed.previous = joint
        else:
            args = args | {"transformer_options": with_override(options, joint)}
        result = super().__call__(args, extra)
        check_calls(self.layer, joint.calls)
        if not torch.compiler.is_compiling():
            forward.ran.add(self.layer)
        return result


class SteeredAttention(JointCall):
    """The joint attention of one block whose heads are moved."""

    def __init__(
        self,
        previous: Callable | None,
        queries: int,
        length: int,
        picture: slice,
        first_only: bool,
        layer: int,
        steering: Steering,
    ):
        super().__init__(previous, queries, length, picture, first_only)
        self.layer = layer
        self.steering = steering

    def change(self, result: Tensor, call: Call) -> None:
        batch = result.shape[0] // len(self.steering.chunks)
        for index, conditional in enumerate(self.steering.chunks):
            if not conditional:
                continue
            part = slice(index * batch, (index + 1) * batch)
            for push in self.steering.pushes:
                entry, group = push.entry, push.entry.group
                strengths = entry.strengths.of(self.layer, result.device)
                if strengths is None:
                    continue
                heads, u = strengths
                attention = call.of(part, entry, heads, self.picture)
                steer(result[part], attention, push.factor * u, group.perturbation, group.limit, push.share)
                self.steering.witness.called = True


def steered_by_index(options: Options, steering: Steering, length: int, picture: int) -> IndexedAttention:
    """The override that moves heads in families that are reached by the number of the block."""
    previous = options.get("optimized_attention_override")
    joint = partial(SteeredAttention, previous, picture, length, slice(None), False)
    return IndexedAttention(previous, {layer: joint(layer, steering) for layer in steering.layers})
