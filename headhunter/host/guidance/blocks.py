"""A transformer's blocks, and how they are reached: replacements that call the one that was there before.

Most of the host's transformers ask for replacements in their loop over the blocks. Where one does not, the same
replacements are carried out by wrapping its blocks' `forward` for the length of one evaluation (`wrapped.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...families import Family
from ...families.base import Run
from ...grid import Grid
from ..models import family_of, grid_of

Args = dict[str, Any]
Key = tuple[str, int]
Options = dict[str, Any]

WRAPPED = "headhunter_block"
"""In place of a hook's name, with the layer's number, where the host's loop asks for no replacements."""


@dataclass(frozen=True)
class Architecture:
    """What the pack must know of a loaded model: its family and its grid."""

    family: Family
    grid: Grid

    @classmethod
    def of(cls, model: ModelPatcher) -> Architecture:
        """UnsupportedModel where it is no family's."""
        return cls(family_of(model), grid_of(model))

    @property
    def streams(self) -> tuple[str, ...]:
        """The args of a block whose tokens attend to each other."""
        return ("img",) if self.family.cross_attention else ("img", "txt")

    @property
    def wraps(self) -> bool:
        """Whether some blocks have no hook."""
        return not all(run.hook for run in self.family.runs)

    def place(self, network: Any, layer: int) -> tuple[Run, int]:
        """The run that a layer is in, and its number there."""
        for run in self.family.runs:
            count = len(getattr(network, run.blocks))
            if layer < count:
                return run, layer
            layer -= count
        raise IndexError("no such layer")

    def key(self, layer: int) -> Key:
        """The layer's key among the host's replacements, `patches_replace["dit"]`."""
        segments = iter(self.grid.numbered())
        first, segment = next(segments)
        for following in segments:
            if following[0] > layer:
                break
            first, segment = following
        run = next(run for run in self.family.runs if run.kind == segment.kind)
        return (run.hook, layer - first) if run.hook else (WRAPPED, layer)

    def tokens(self, args: Args) -> int:
        """The length of the sequence that a block attends over."""
        return sum(args[name].shape[1] for name in self.streams if args.get(name) is not None)


class BlockHook:
    """A replacement of a block by this pack. `args`: img, txt (where there is a stream of it), transformer_options, ...

    previous: the replacement that was there before it, of this pack or another's; None for the block itself.
    """

    def __init__(self, previous: Callable | None):
        self.previous = previous

    def __call__(self, args: Args, extra: Args) -> dict[str, Tensor]:
        return self.previous(args, extra) if self.previous else extra["original_block"](args)


def replacements(options: Options) -> dict[Key, Any]:
    """The replacements of blocks in some transformer options, which may be changed."""
    return options.setdefault("patches_replace", {}).setdefault("dit", {})


def foreign(replaced: Mapping[Key, Any], key: Key) -> bool:
    """Whether another pack replaces this block."""
    hook = replaced.get(key)
    while isinstance(hook, BlockHook):
        hook = hook.previous
    return hook is not None
