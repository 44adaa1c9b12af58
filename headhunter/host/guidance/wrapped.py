"""Replacements of blocks in transformers whose loop asks for none (Z-Image, Lumina 2, Krea 2).

The blocks' `forward` is wrapped while one evaluation runs, and put back in any case: nothing stays on the module, which
other models in the workflow share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from comfy.patcher_extension import WrappersMP, add_wrapper_with_key
from torch import Tensor
from torch.nn import Module

from ...families import Family
from ..models import bare
from .blocks import WRAPPED, Architecture, Args, Options
from .evaluation import Evaluation

KEY = "headhunter_blocks"


def carry_out(architecture: Architecture, transformer_options: Options) -> None:
    """See to it that replacements under `WRAPPED` are called, where the family has blocks without a hook."""
    wrappers = transformer_options.get("wrappers", {}).get(WrappersMP.APPLY_MODEL, {})
    if architecture.wraps and KEY not in wrappers:
        add_wrapper_with_key(WrappersMP.APPLY_MODEL, KEY, _Carrier(architecture.family), transformer_options)


class _Carrier:
    """APPLY_MODEL wrapper."""

    def __init__(self, family: Family):
        self.family = family

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        evaluation = Evaluation.of(*args, **kwargs)
        with _wrapped(self.family, evaluation.network, evaluation.options):
            return evaluation.run(evaluation.options)


@contextmanager
def _wrapped(family: Family, network: Any, options: Options) -> Iterator[None]:
    replaced = options.get("patches_replace", {}).get("dit", {})
    with ExitStack() as stack:
        layer = 0
        for run in family.runs:
            for block in getattr(network, run.blocks):
                if (WRAPPED, layer) in replaced:
                    stack.enter_context(_forward_replaced(bare(block), replaced[WRAPPED, layer]))
                layer += 1
        yield


@contextmanager
def _forward_replaced(block: Module, replacement: Callable[[Args, Args], dict[str, Any]]) -> Iterator[None]:
    """`replacement` in place of a block whose first argument and whose result are the whole sequence."""
    before = vars(block).get("forward")
    original = block.forward

    def forward(img: Tensor, *rest: Any, **named: Any) -> Tensor:
        def original_block(args: Args) -> dict[str, Tensor]:
            given = named | {name: args[name] for name in ("transformer_options",) if name in named}
            return {"img": original(args["img"], *rest, **given)}

        args = {"img": img, "transformer_options": named.get("transformer_options")}
        return replacement(args, {"original_block": original_block})["img"]

    block.forward = forward
    try:
        yield
    finally:
        if before is None:
            del block.forward
        else:
            block.forward = before
