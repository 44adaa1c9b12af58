"""The registry: every file of this folder that defines a `FAMILY` is one."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from ..grid import Grid, UnknownModel, describe
from .base import Family, Shapes

__all__ = [
    "FAMILIES",
    "NOT_YET",
    "Family",
    "family_named",
    "grid_named",
    "grid_of_shapes",
    "models_for_the_page",
    "supported",
]


def _families() -> tuple[Family, ...]:
    modules = (importlib.import_module(f".{info.name}", __name__) for info in pkgutil.iter_modules(__path__))
    return tuple(module.FAMILY for module in modules if hasattr(module, "FAMILY"))


FAMILIES = _families()

NOT_YET = {
    "comfy.ldm.flux3.": "FLUX.3 Klein",
    "comfy.ldm.moss": "MOSS-Image",
}
"""Families that are known by name alone: how the dotted names of their classes begin."""


def supported() -> str:
    """The families in a sentence: "Chroma, FLUX, ... and Z-Image"."""
    names = sorted((family.name for family in FAMILIES), key=str.lower)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def family_named(dotted: str) -> Family | None:
    """The family of a class, by its dotted name."""
    return next((family for family in FAMILIES if dotted in family.classes), None)


def grid_named(model: str) -> Grid:
    """The grid of a size that has a name, by its architecture id. KeyError where there is none."""
    for family in FAMILIES:
        for size in family.sizes:
            if size.id == model:
                return family.grid_of_size(size.counts, size.heads)
    raise KeyError(model)


def grid_of_shapes(shapes: Shapes) -> Grid:
    """The grid of a state dict's names and shapes, whatever their prefix. UnknownModel where it is no family's."""
    for family in FAMILIES:
        grid = family.grid_of_file(shapes)
        if grid is not None:
            return grid
    raise UnknownModel(f"no transformer in it that HeadHunter knows ({supported()})")


def models_for_the_page() -> dict[str, Any]:
    """{families: [{name, letters: {letter: kind}}], grids: [{label, grid}]}: what the page offers where no model tells."""
    return {
        "families": [
            {"name": family.name, "letters": {run.letter: run.kind for run in family.runs if run.letter}}
            for family in FAMILIES
        ],
        "grids": [
            {"label": size.label, "grid": describe(family.grid_of_size(size.counts, size.heads))}
            for family in FAMILIES
            for size in family.sizes
            if size.label
        ],
    }
