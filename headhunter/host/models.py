"""The family and the grid of a loaded model; anything that is no family's is refused by its class name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from comfy.model_patcher import ModelPatcher

from ..families import FAMILIES, NOT_YET, Family, family_named, grid_of_shapes, supported
from ..grid import Grid, GridError

HOST = "comfy."


class UnsupportedModel(ValueError):
    """A model that HeadHunter cannot guide."""


def transformer(model: ModelPatcher) -> Any:
    """The model's transformer, seen through torch.compile. UnsupportedModel names a class that is no family's."""
    network = bare(model.get_model_object("diffusion_model"))
    _family(network)
    return network


def bare(network: Any) -> Any:
    """A module without torch.compile's wrapper around it."""
    return getattr(network, "_orig_mod", network)


def family_of(model: ModelPatcher) -> Family:
    """The family of a loaded model. UnsupportedModel as `transformer`."""
    return _family(bare(model.get_model_object("diffusion_model")))


def grid_of(model: ModelPatcher) -> Grid:
    """The grid of a loaded model, read from its modules. UnsupportedModel as `transformer`."""
    network = transformer(model)
    return _family(network).grid(network)


def _family(network: Any) -> Family:
    """By class: the network's own, or, where another pack has put a class of its own over it, the host's beneath."""
    for kind in type(network).__mro__:
        dotted = f"{kind.__module__}.{kind.__qualname__}"
        family = family_named(dotted)
        if family is not None:
            return family
        if dotted.startswith(HOST):  # the host's own, and no family's: it may only look like its base
            break
    else:
        family = _by_structure(network)
        if family is not None:
            return family
    raise UnsupportedModel(_refusal(type(network)))


def _by_structure(network: Any) -> Family | None:
    """For a class of another pack that replaced the host's on the loaded module: the family whose weights it still has."""
    try:
        named: Iterable[tuple[str, Any]] = network.named_parameters()
        grid = grid_of_shapes({name: tuple(weight.shape) for name, weight in named})
    except (AttributeError, GridError):
        return None
    return next((family for family in FAMILIES if _has_blocks(family, network, grid)), None)


def _has_blocks(family: Family, network: Any, grid: Grid) -> bool:
    try:
        return family.grid(network) == grid
    except AttributeError:
        return False


def _refusal(kind: type) -> str:
    dotted = f"{kind.__module__}.{kind.__qualname__}"
    for start, name in NOT_YET.items():
        if dotted.startswith(start):
            return f"HeadHunter cannot guide {name} yet (the class {kind.__name__}). It guides {supported()}."
    return (
        f"HeadHunter guides {supported()}; this model is a {kind.__name__} ({kind.__module__}). "
        "Load the model with ComfyUI's own loaders or a GGUF loader; versions that replace the transformer, such as "
        "Nunchaku's, have no attention heads that can be reached."
    )
