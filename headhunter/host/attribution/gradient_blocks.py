"""A transformer whose blocks a gradient can pass, with as much kept for the backward pass as memory holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import CellType, FunctionType
from typing import Any

import comfy.model_management
import torch
from comfy.ldm.modules.attention import attention_pytorch
from comfy.ldm.modules.diffusionmodules.mmdit import MMDiT, block_mixing
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ...grid import Grid
from ..gradients import Ordinary
from ..guidance.blocks import Args, block_key
from ..guidance.perturbed_pass import Options
from ..models import family_of, grid_of, transformer

# What a block keeps for its backward pass, in numbers for each number of its input: 10 to 16 measured on small SD3 and FLUX
# blocks in float32; wider MLPs, and what 16-bit models keep in 32 bits, add to that.
KEPT_BY_A_BLOCK = 24


def with_gradients(model: ModelPatcher, grid: Grid, checkpointed: bool) -> ModelPatcher:
    """A clone of `model` whose blocks a gradient can pass; `checkpointed` ones keep their input alone and run once more.

    Attention is PyTorch's own here: sage attention, for one, has no backward pass.
    """
    patched = model.clone()
    network = transformer(model)
    options: Options = patched.model_options.setdefault("transformer_options", {})
    options["optimized_attention_override"] = _attention
    replace = options.setdefault("patches_replace", {}).setdefault("dit", {})
    for layer in range(grid.layers):
        key = block_key(grid, layer)
        block = network.joint_blocks[layer] if isinstance(network, MMDiT) else None
        replace[key] = GradientBlock(replace.get(key), block, checkpointed)
    return patched


def _attention(_func: Callable, *args: Any, **kwargs: Any) -> Tensor:
    kwargs.pop("transformer_options", None)  # this override is in there
    return attention_pytorch(*args, **kwargs)


class GradientBlock:
    """A replacement of a block that a gradient can pass. Not one of the pack's BlockHooks: no prefix is reused past it.

    previous: another replacement; block: an SD3 block, whose own checkpoint is left out, since it is decided here, for
    the whole model, whether blocks run again; None elsewhere.
    """

    def __init__(self, previous: Callable | None, block: Any, checkpointed: bool):
        self.previous = previous
        self.block = block
        self.checkpointed = checkpointed

    def __deepcopy__(self, memo: Any) -> GradientBlock:
        return self  # cloning a model's options must not copy the block

    def __call__(self, args: Args, extra: Args) -> dict[str, Tensor]:
        args = args | {"transformer_options": dict(args["transformer_options"])}  # as they are now, for the second run
        original = self._mixed if self.block is not None else _frozen(extra["original_block"])
        extra = extra | {"original_block": original}

        def run() -> dict[str, Tensor]:
            with Ordinary(kept=[args[name] for name in ("img", "txt") if args.get(name) is not None]):
                return self.previous(args, extra) if self.previous else extra["original_block"](args)

        if not torch.is_grad_enabled() or not self.checkpointed:
            return run()
        result: Any = checkpoint(run, use_reentrant=False, preserve_rng_state=False)
        return result

    def _mixed(self, args: Args) -> dict[str, Any]:
        txt, img = block_mixing(
            args["txt"],
            args["img"],
            context_block=self.block.context_block,
            x_block=self.block.x_block,
            c=args["vec"],
            transformer_options=args["transformer_options"],
            use_checkpoint=False,
        )
        return {"txt": txt, "img": img}


def _frozen(function: Any) -> Callable:
    """A function with what its closure holds now: FLUX's forward makes one in a loop over its blocks, of the loop's variable."""
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
