from __future__ import annotations

import math

from comfy_api.v0_0_2 import io

from ..headhunter.host.guidance.guider import HeadHunterGuider as Guider
from . import inputs


class HeadHunterGuider(io.ComfyNode):
    """CFG and all SoftPAG groups of a model, at the least cost."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterGuider",
            display_name="HeadHunter Guider",
            category="HeadHunter",
            **inputs.where_known(search_aliases=["PAG guider", "CFG guider", "head guidance"]),
            description=(
                "A guider for SamplerCustomAdvanced that evaluates the prompt, the negative prompt and all SoftPAG groups at the "
                "least cost. Gives what CFGGuider gives with the same model."
            ),
            inputs=[
                io.Model.Input("model", tooltip="A model, usually with SoftPAG Guidance on it."),
                io.Conditioning.Input(
                    "positive", tooltip="What the picture should show. Its prediction is the one that is perturbed."
                ),
                inputs.cfg(
                    "Classifier-free guidance. 1 needs no negative and costs no extra pass (usual for FLUX); any other value needs one."
                ),
                io.Conditioning.Input(
                    "negative",
                    optional=True,
                    tooltip="What the picture should not show. Needed where cfg is not 1; unused at 1.",
                ),
            ],
            outputs=[io.Guider.Output(display_name="guider", tooltip="The guider, for SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, model, positive, cfg: float = 1.0, negative=None) -> io.NodeOutput:
        if negative is None and not math.isclose(cfg, 1.0):
            raise ValueError(f"cfg is {cfg:g}, which needs a negative: connect one, or set cfg to 1.")
        return io.NodeOutput(Guider(model, positive, negative, cfg))
