"""Pictures of variants: each as a chain of SoftPAG nodes and a KSampler would make it, from the same noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...grid import Grid
from ...guidance import Group
from ...heads import HeadSet, parse
from ...variants import Variant
from ..guidance.groups import add_group
from ..models import grid_of
from .first_step import FirstSteps
from .generate import Generator, Sampling
from .prompts import Pair


class VariantGenerator:
    """Makes pictures of variants with one model, VAE and latent. `sampling`: a KSampler's settings; its group is not used.

    Variants that differ in heads and strengths alone are rows of one batch. Those with the same cfg share the conditional
    pass of the first step, but for those that act in it.
    """

    def __init__(self, model: ModelPatcher, vae: Any, latent: dict[str, Any], sampling: Sampling):
        self.model = model
        self.sampling = sampling
        self.halved = 0
        self.plain = Generator(model, vae, latent, sampling)
        self._given = vae, latent
        self._grid = grid_of(model)
        self._shared: tuple[Pair | None, dict[float, FirstSteps]] = None, {}

    def latents(self, variants: Sequence[Variant], pair: Pair, on_step: Callable[[], None] = lambda: None) -> Tensor:
        """Sampled latents [len(variants), C, h, w]."""
        if self._shared[0] is not pair:
            self._shared = pair, {}  # of one pair alone: with their prefixes they are large
        rows: dict[int, Tensor] = {}
        for places in _alike(variants):
            some = [variants[place] for place in places]
            generator, sets = self._generator(some)
            made = generator.latents(sets, pair, on_step)
            self.halved += generator.halved
            rows |= dict(zip(places, made.split(1), strict=True))
        return torch.cat([rows[place] for place in range(len(variants))])

    def _generator(self, variants: Sequence[Variant]) -> tuple[Generator, list[HeadSet]]:
        """For variants that are alike: one whose candidates are their last groups' heads, on a model that has the others."""
        cfg = self.sampling.cfg if variants[0].cfg is None else variants[0].cfg
        model, group = self.model, Group("")
        sets = [HeadSet() for _ in variants]
        for place, group in enumerate(variants[0].groups):
            sets = [_strong(variant.groups[place], self._grid) for variant in variants]
            if place < len(variants[0].groups) - 1:
                model = add_group(model, group, sets)
        generator = Generator(model, *self._given, replace(self.sampling, group=group, cfg=cfg))
        if not any(group.in_attention for group in variants[0].groups):
            generator.first_steps = self._shared[1].setdefault(cfg, FirstSteps())
        return generator, sets


def _alike(variants: Sequence[Variant]) -> Iterator[list[int]]:
    """Places of the variants that may be rows of one batch."""
    kinds: dict[Any, list[int]] = {}
    for place, variant in enumerate(variants):
        groups = tuple(replace(group, heads="", strength=1.0) for group in variant.groups)
        kinds.setdefault((variant.cfg, groups), []).append(place)
    return iter(kinds.values())


def _strong(group: Group, grid: Grid) -> HeadSet:
    """Its heads, each with the strength that it has in the group."""
    return HeadSet(group.strengths(parse(group.heads, grid)))
