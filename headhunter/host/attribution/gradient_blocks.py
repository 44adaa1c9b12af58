"""A transformer whose blocks a gradient can pass, with as much kept for the backward pass as memory holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import CellType, FunctionType
from typing import Any

import comfy.model_management
import torch
from comfy.ldm.modules.attention import attention_pytorch
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ...families import Family
from ..gradients import Ordinary
from ..guidance.blocks import Architecture, Args, Options, replacements
from ..guidance.wrapped import carry_out
from ..models import family_of, grid_of, transformer

# What a block keeps for its backward pass, in numbers for each number of its input: 10 to 16 measured on small SD3 and FLUX
# blocks in float32; wider MLPs, and what 16-bit models keep in 32 bits, add to that.
KEPT_BY_A_BLOCK = 24


def with_gradients(model: ModelPatcher, checkpointed: bool) -> ModelPatcher:
    """A clone of `model` whose blocks a gradient can pass; `checkpointed` ones keep their input alone and run once more.

    Attention is PyTorch's own here: sage attention, for one, has no backward pass.
    """
    patched = model.clone()
    network = transformer(model)
    architecture = Architecture.of(model)
    options: Options = patched.model_options.setdefault("transformer_options", {})
    options["optimized_attention_override"] = _attention
    replaced = replacements(options)
    for layer in range(architecture.grid.layers):
        key = architecture.key(layer)
        run, number = architecture.place(network, layer)
        block = getattr(network, run.blocks)[number]
        replaced[key] = GradientBlock(replaced.get(key), architecture.family, block, checkpointed)
    carry_out(architecture, options)
    return patched


def _attention(_func: Callable, *args: Any, **kwargs: Any) -> Tensor:
    kwargs.pop("transformer_options", None)  # this override is in there
    return attention_pytorch(*args, **kwargs)


class GradientBlock:
    """A replacement of a block that a gradient can pass. Not one of the pack's BlockHooks: no prefix is reused past it.

    previous: another replacement. block: the host's; its family may have a way of its own to run it for a gradient.
    """

    def __init__(self, previous: Callable | None, family: Family, block: Any, checkpointed: bool):
        self.previous = previous
        self.family = family
        self.block = block
        self.checkpointed = checkpointed

    def __deepcopy__(self, memo: Any) -> GradientBlock:
        return self  # cloning a model's options must not copy the block

    def __call__(self, args: Args, extra: Args) -> dict[str, Tensor]:
        args = args | {"transformer_options": dict(args["transformer_options"])}  # as they are now, for the second run
        host = _frozen(extra["original_block"])

        def original(args: Args) -> dict[str, Any]:
            result = self.family.run_block(self.block, args)
            return host(args) if result is None else result

        extra = extra | {"original_block": original}

        def run() -> dict[str, Tensor]:
            with Ordinary(kept=[args[name] for name in ("img", "txt") if args.get(name) is not None]):
                return self.previous(args, extra) if self.previous else extra["original_block"](args)

        if not torch.is_grad_enabled() or not self.checkpointed:
            return run()
        result: Any = checkpoint(run, use_reentrant=False, preserve_rng_state=False)
        return result


def _frozen(function: Any) -> Callable:
    """A function whose closure is fixed as it is now.

    The host makes it in a loop over the blocks and its closure holds the loop's variable, which by the time of the
    backward pass is the last block.
    """
    if not getattr(function, "__closure__", None):
        return function
    cells = tuple(CellType(cell.cell_contents) for cell in function.__closure__)
    return FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, cells)


def must_checkpoint(model: ModelPatcher, latent: Tensor, passes: int) -> bool:
    """Whether what all blocks keep for a backward pass would take over half of the free memory.

    latent [B, C, h, w]; passes: predictions of a step that are run together.
    """
    network = transformer(model)
    tokens = latent.shape[0] * math.prod(latent.shape[-2:]) / math.prod(family_of(model).patch(network)[-2:]) + 512
    dtype: Any = model.model_dtype()
    each = max(2, dtype.itemsize)  # 8-bit weights are cast to 16 for the work
    kept = passes * tokens * family_of(model).width(network) * KEPT_BY_A_BLOCK * each * grid_of(model).layers
    free: Any = comfy.model_management.get_free_memory(model.load_device)
    return kept > free / 2
