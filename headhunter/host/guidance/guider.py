"""A guider that evaluates the conditional, the unconditional and all groups in as few block evaluations as it can."""

from __future__ import annotations

from typing import Any

import comfy.samplers
from comfy.model_patcher import ModelPatcher, create_model_options_clone
from torch import Tensor

from .blocks import Options
from .prefix import SLOT
from .run import RUN, may_skip_passes


class HeadHunterGuider(comfy.samplers.CFGGuider):
    """CFG and the groups on the model; the same result as the stock CFGGuider gives with that model, for less.

    One evaluation of all rows, or the host's own first and then the groups, each from its first perturbed layer on (prefix
    reuse), whichever spends fewer block evaluations. Where another pack answers for the model (a cache) or has taken
    the host's evaluation slot, this is the stock CFGGuider, and the groups are evaluated after CFG.
    """

    def __init__(self, model: ModelPatcher, positive: Any, negative: Any | None, cfg: float):
        super().__init__(model)
        self.inner_set_conds(
            {"positive": positive} if negative is None else {"positive": positive, "negative": negative}
        )
        self.set_cfg(cfg)

    def predict_noise(
        self, x: Tensor, timestep: Tensor, model_options: Options | None = None, seed: int | None = None
    ) -> Tensor:
        model_options = model_options or {}
        run = model_options.get("transformer_options", {}).get(RUN)
        apart = SLOT in model_options or may_skip_passes(model_options)
        # With prefix reuse the conditional pass comes first and saves blocks; without, one call with all rows saves calls.
        if run is not None and not apart and not run.starts:
            # The slot is set in a copy for this one prediction, so that the host's own order of hooks is kept.
            def together(args: dict[str, Any]) -> list[Tensor]:
                return run.evaluate_together(args | {"model_options": model_options})

            call_options = create_model_options_clone(model_options)
            call_options[SLOT] = together
            return super().predict_noise(x, timestep, call_options, seed)
        return super().predict_noise(x, timestep, model_options, seed)
