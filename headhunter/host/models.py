"""The grid of a loaded model; anything but SD3 and FLUX is refused by its class name."""

from __future__ import annotations

from typing import Any

from comfy.ldm.flux.model import Flux
from comfy.ldm.modules.diffusionmodules.mmdit import MMDiT
from comfy.model_patcher import ModelPatcher

from ..grid import Grid, flux_grid, sd3_grid


class UnsupportedModel(ValueError):
    """A model that HeadHunter cannot guide."""


def transformer(model: ModelPatcher) -> MMDiT | Flux:
    """The model's SD3 or FLUX transformer, seen through torch.compile. UnsupportedModel names any other class."""
    network: Any = model.get_model_object("diffusion_model")
    network = getattr(network, "_orig_mod", network)
    if not isinstance(network, (MMDiT, Flux)):
        raise UnsupportedModel(
            f"HeadHunter guides SD3, SD3.5 and FLUX models (the classes MMDiT and Flux); this model is a {type(network).__name__}. "
            "Load the model with ComfyUI's own loaders or a GGUF loader; versions that replace the transformer, such as Nunchaku's, "
            "have no attention heads that can be reached."
        )
    return network


def grid_of(model: ModelPatcher) -> Grid:
    """The grid of a loaded model, read from its modules. UnsupportedModel as `transformer`."""
    network = transformer(model)
    if isinstance(network, MMDiT):
        blocks: Any = network.joint_blocks
        dual = any(block.x_block.x_block_self_attn for block in blocks)
        return sd3_grid(len(blocks), network.num_heads, dual)
    return flux_grid(len(network.double_blocks), len(network.single_blocks), network.num_heads)
