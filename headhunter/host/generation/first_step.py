"""A hunt's first steps: all candidates of a pair start from the same noise, so its conditional pass is made once.

Exact but for rounding: one row is evaluated where a batch would be. Kept for each pair: the host's predictions, and what
the conditional pass had at the layers where the perturbed passes start (prefix reuse).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import comfy.model_management
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ..guidance.prefix import Prefix, shares_calls
from ..guidance.run import RUN, may_skip_passes
from .prompts import Pair


@dataclass(frozen=True)
class FirstStep:
    """What the first step of a pair gave.

    `pair` is kept alive here, since pairs are told apart by their id. starts: the layers of `prefixes`, where
    perturbed passes start. predictions: [1, C, h, w] of each of the host's conds. prefixes: of each positive cond, by layer.
    """

    pair: Pair
    starts: list[int]
    predictions: list[Tensor]
    prefixes: list[dict[int, Prefix]]


class FirstSteps:
    """The first steps of all pairs that a generator has made pictures of."""

    def __init__(self) -> None:
        self._kept: dict[int, FirstStep] = {}

    def shared(self, model: ModelPatcher, pair: Pair) -> ModelPatcher:
        """A clone for one sampling of the pair, whose rows must all start from the same noise."""
        clone = model.clone()
        clone.add_wrapper_with_key(
            WrappersMP.CALC_COND_BATCH, "headhunter", partial(self._evaluate, pair, iter([True]))
        )
        return clone

    def _evaluate(
        self, pair: Pair, first: Any, executor: Any, model: Any, conds: Any, x: Tensor, timestep: Tensor, options: Any
    ) -> list[Tensor]:
        """CALC_COND_BATCH wrapper; `first` gives True once."""
        if not next(first, False) or may_skip_passes(options) or not shares_calls(options):
            return executor(model, conds, x, timestep, options)
        run = options.get("transformer_options", {}).get(RUN)
        starts = run.starts if run else []
        uuids = [cond["uuid"] for cond in conds[0] or ()]
        kept = self._kept.get(id(pair))
        if kept is None or not set(starts) <= set(kept.starts):
            predictions = executor(model, conds, x[:1], timestep[:1], options)
            prefixes = [run.prefixes.get(uuid, {}) if run else {} for uuid in uuids]
            keep = comfy.model_management.intermediate_device()
            kept = FirstStep(
                pair, starts, [x0.to(keep) for x0 in predictions], [_moved(layers, layers, keep) for layers in prefixes]
            )
            self._kept[id(pair)] = kept
        elif starts:
            known = zip(uuids, kept.prefixes, strict=True)
            run.prefixes |= {uuid: _moved(layers, starts, x.device) for uuid, layers in known}
        return [x0.to(x.device).expand_as(x).clone() for x0 in kept.predictions]


def _moved(prefixes: Mapping[int, Prefix], wanted: Iterable[int], device: torch.device) -> dict[int, Prefix]:
    """The records at the wanted layers, where there are any, on a device."""
    return {layer: prefixes[layer].to(device) for layer in wanted if layer in prefixes}
