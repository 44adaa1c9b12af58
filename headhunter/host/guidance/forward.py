"""What travels through one forward of the transformer: one object, under one key of the transformer options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from ..models import bare
from .attention import JointCall, Steering
from .blocks import Architecture, Args, Options
from .prefix import Prefix, Recording

KEY = "headhunter"


class AttentionMismatch(RuntimeError):
    """A layer's joint attention did not run exactly once: something replaces the blocks in a way that is not understood."""


@dataclass
class Forward:
    """One forward, in which some chunks of the batch may have perturbed heads.

    architecture: the model's. recordings: what it is to record, by layer. steering: what moves its heads, or None. prefix:
    what it starts from, or None. chunks: for each chunk of the batch, which prediction it is. picture: tokens of the
    latent. network: the transformer. text: how many text tokens its blocks told of. ran: hooked layers whose blocks ran.
    """

    architecture: Architecture
    recordings: Mapping[int, Recording] = field(default_factory=dict)
    steering: Steering | None = None
    prefix: Prefix | None = None
    chunks: Sequence[int] = ()
    picture: int = 0
    network: Any = None
    text: int | None = None
    ran: set[int] = field(default_factory=set)

    def see(self, network: Any, x: Tensor) -> None:
        """Take note of the transformer and of the latent's size."""
        self.network = network
        self.picture = picture_tokens(self.architecture, network, x)

    def image_rows(self, total: int, text: int | None) -> slice:
        """The picture's own tokens in a joint sequence of `total`."""
        return self.architecture.family.image_rows(self.network, total, text, self.picture)

    def starts_from(self, args: Args) -> Prefix | None:
        """The prefix, where a block with these args has the rows and tokens that it was recorded with."""
        prefix = self.prefix
        return prefix if prefix is not None and prefix.fits(args["img"], self.architecture.tokens(args)) else None

    def count(self, joints: Mapping[int, JointCall]) -> None:
        """Take note of how often joint attention ran, in a family where no block tells. AttentionMismatch as `check_calls`."""
        for layer, joint in joints.items():
            if joint.calls:
                check_calls(layer, joint.calls)
                self.ran.add(layer)

    def check(self, layers: Sequence[int]) -> None:
        """AttentionMismatch where blocks of some hooked layers ran, and of others not."""
        missing = [layer for layer in layers if layer not in self.ran]
        if self.ran and missing:
            raise AttentionMismatch(_mismatch(missing[0], "did not run, while other layers' did"))


def forward_of(args: Args) -> Forward | None:
    """The forward that a block is called in; None where another pack calls it without transformer options."""
    return (args.get("transformer_options") or {}).get(KEY)


def joint_sequence(forward: Forward, args: Args) -> tuple[int, slice, bool]:
    """Of a block's joint attention: its tokens, the picture's rows, and whether calls after the first are others.

    Cross attention over as many text tokens looks the same, and comes after.
    """
    length = forward.architecture.tokens(args)
    crossed = forward.architecture.family.cross_attention and args["txt"].shape[1] == length
    return length, forward.image_rows(length, _text(forward, args)), crossed


def _text(forward: Forward, args: Args) -> int | None:
    """How many text tokens come before the picture."""
    if forward.architecture.family.cross_attention:
        return None
    if args.get("txt") is not None:
        return args["txt"].shape[1]
    if forward.text is not None:
        return forward.text
    where = args["transformer_options"].get("img_slice")
    return where[0] if where else None


def check_calls(layer: int, calls: int) -> None:
    """AttentionMismatch where a hooked layer's joint attention ran any number of times but once."""
    if calls != 1 and not torch.compiler.is_compiling():
        raise AttentionMismatch(_mismatch(layer, f"ran {calls} times in one pass" if calls else "did not run"))


def _mismatch(layer: int, seen: str) -> str:
    return (
        f"HeadHunter: the joint attention of layer L{layer} {seen}; it must run exactly once, or other heads than the chosen "
        "ones would be perturbed. The likely cause is a node that replaces the model's blocks, such as WaveSpeed's First "
        "Block Cache or TeaCache: take it out of the model's chain."
    )


def picture_tokens(architecture: Architecture, network: Any, x: Tensor) -> int:
    """Tokens of a latent [B, C, h, w] or [B, C, frames, h, w]."""
    patch = architecture.family.patch(bare(network))
    sizes = x.shape[2:]
    patch = (1,) * (len(sizes) - len(patch)) + patch[-len(sizes) :]
    return prod(-(-size // side) for size, side in zip(sizes, patch, strict=True))


def with_override(options: Options, override: Any) -> Options:
    """Transformer options with an attention override in place of the one that is there."""
    return options | {"optimized_attention_override": override}


def same_backend(options: Options) -> Options:
    """Transformer options under which a pass runs the attention backend that a perturbed pass runs.

    Newer hosts leave the backend that a checkpoint asks for wherever an override is set; a difference of two backends'
    roundings would otherwise end up in cond - perturbed.
    """
    return with_override(options, partial(_plain, options.get("optimized_attention_override")))


def _plain(previous: Any, func: Any, *args: Any, **kwargs: Any) -> Tensor:
    return func(*args, **kwargs) if previous is None else previous(func, *args, **kwargs)
