"""Inputs that several nodes have, with their ranges in one place, and words that every node shares."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

import comfy.samplers
from comfy_api.v0_0_2 import io

from ..headhunter.families import supported
from ..headhunter.guidance import LIMIT, LIMIT_RANGE, METHODS, SCALE_RANGE, TEMPERATURE_RANGE, TOKENS
from ..headhunter.host.hunting.workers.crew import Crew
from ..headhunter.host.hunting.workers.graph import part_of
from ..headhunter.perturbation import PERTURBATIONS
from .types import Workers

SUPPORTED = supported()
AS_IN_SOFT_PAG = "As in SoftPAG Guidance."


def where_known(**keywords: Any) -> dict[str, Any]:
    """Those keywords of io.Schema that this host has: `search_aliases` and `essentials_category` came in 2026."""
    known = {field.name for field in dataclasses.fields(io.Schema)}
    return {name: value for name, value in keywords.items() if name in known}


def seldom(make: Callable[..., Any]) -> Callable[..., Any]:
    """A kind of input, marked as advanced where this host has that (io of 2026): the page then folds it away."""
    return partial(make, advanced=True) if "advanced" in signature(make).parameters else make


SELDOM_FLOAT = seldom(io.Float.Input)
SELDOM_INT = seldom(io.Int.Input)
SELDOM_COMBO = seldom(io.Combo.Input)


def model(more: str = "") -> io.Model.Input:
    return io.Model.Input("model", tooltip=f"The model: {SUPPORTED}.{f' {more}' if more else ''}")


def vae() -> io.Vae.Input:
    return io.Vae.Input("vae", tooltip="Decodes the pictures.")


def latent_image() -> io.Latent.Input:
    return io.Latent.Input(
        "latent_image", tooltip="The size of the pictures. The first of a batch; its mask is honoured."
    )


def fraction(
    name: str, default: float, tooltip: str, optional: bool = False, make: Callable[..., Any] = io.Float.Input
) -> io.Float.Input:
    """0 to 1. `make`: the kind of input, such as `SELDOM_FLOAT`."""
    return make(name, default=default, min=0.0, max=1.0, step=0.01, optional=optional, tooltip=tooltip)


def scale(tooltip: str) -> io.Float.Input:
    low, high = SCALE_RANGE
    return io.Float.Input("scale", default=3.0, min=low, max=high, step=0.1, tooltip=tooltip)


def strength(tooltip: str, default: float = 1.0) -> io.Float.Input:
    return fraction("strength", default, tooltip)


def cfg(tooltip: str) -> io.Float.Input:
    return io.Float.Input("cfg", default=1.0, min=0.0, max=100.0, step=0.1, tooltip=tooltip)


def steps(tooltip: str = "Sampling steps.") -> io.Int.Input:
    return io.Int.Input("steps", default=20, min=1, max=1000, tooltip=tooltip)


def sampler_name() -> io.Combo.Input:
    return io.Combo.Input("sampler_name", options=comfy.samplers.SAMPLER_NAMES, default="euler", tooltip="The sampler.")


def scheduler() -> io.Combo.Input:
    return io.Combo.Input(
        "scheduler", options=comfy.samplers.SCHEDULER_NAMES, default="simple", tooltip="The noise schedule."
    )


def tokens(tooltip: str = AS_IN_SOFT_PAG, optional: bool = False) -> io.Combo.Input:
    return SELDOM_COMBO("tokens", options=list(TOKENS), default="all", optional=optional, tooltip=tooltip)


def perturbation(tooltip: str = AS_IN_SOFT_PAG, optional: bool = False) -> io.Combo.Input:
    options: list[str] = list(PERTURBATIONS)
    return io.Combo.Input("perturbation", options=options, default="identity", optional=optional, tooltip=tooltip)


def temperature(tooltip: str = "Used by that perturbation alone.", optional: bool = False) -> io.Float.Input:
    low, high = TEMPERATURE_RANGE
    return SELDOM_FLOAT("temperature", default=2.0, min=low, max=high, step=0.01, optional=optional, tooltip=tooltip)


def batch_size(tooltip: str) -> io.Int.Input:
    return SELDOM_INT("batch_size", default=4, min=1, max=64, tooltip=tooltip)


def study(tooltip: str) -> io.String.Input:
    return io.String.Input("study", default="", tooltip=tooltip)


def method(tooltip: str = AS_IN_SOFT_PAG) -> io.Combo.Input:
    options: list[str] = list(METHODS)
    return io.Combo.Input("method", options=options, default=METHODS[0], optional=True, tooltip=tooltip)


def limit(tooltip: str = AS_IN_SOFT_PAG) -> io.Float.Input:
    low, high = LIMIT_RANGE
    return SELDOM_FLOAT("limit", default=LIMIT, min=low, max=high, step=0.05, optional=True, tooltip=tooltip)


def limit_of(method: str, value: float) -> float:
    """A limit belongs to the method in attention: a group of an extra pass has none, whatever the widget holds."""
    return value if method == "in attention" else 0.0


RUN_BY_WORKERS = [io.Hidden.unique_id, io.Hidden.dynprompt, io.Hidden.extra_pnginfo]
"""The hidden inputs of a node that takes workers."""


def workers() -> Any:
    return Workers.Input(
        "workers",
        optional=True,
        tooltip="From Hunt Workers (Ray): other GPUs and machines make the pictures, with the same result.",
    )


def crew_of(workers: Any, hidden: Any, *names: str) -> Crew | None:
    """The crew of a node that runs now, None where no workers are connected. names: the inputs that each worker must have."""
    return Crew(workers, part_of(hidden, names)) if workers is not None else None
