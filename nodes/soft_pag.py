from __future__ import annotations

import logging

import torch
from comfy_api.v0_0_2 import io

from ..headhunter.guidance import END_SCALE_RANGE, LIMIT, MIXES, Group
from ..headhunter.heads import HeadTextError, format_heads, parse, parse_items
from ..headhunter.host.guidance.groups import add_group
from ..headhunter.host.guidance.mask import Mask
from ..headhunter.host.models import grid_of
from ..headhunter.host.progress import tell
from . import inputs
from .shown import shown


class HeadHunterSoftPAG(io.ComfyNode):
    """Adds one group of perturbed heads to a model (arXiv 2506.10978, equations 5 to 7)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterSoftPAG",
            display_name="SoftPAG Guidance",
            category="HeadHunter",
            **inputs.where_known(
                search_aliases=["PAG", "perturbed attention guidance", "head guidance", "attention heads"],
                essentials_category="Image Generation",
            ),
            description=(
                f"Guides {inputs.SUPPORTED} by chosen attention heads: a second prediction is made with these heads softly pulled "
                "towards identity, and sampling moves away from it. Costs one more model pass a step, or none with the method in attention. "
                "Chain several nodes for several groups of heads, each with its own settings."
            ),
            inputs=[
                inputs.model("The model itself is not changed."),
                io.String.Input(
                    "heads",
                    default="",
                    multiline=True,
                    placeholder="L11H15, L7H0-3, L9, L14H7@0.5",
                    tooltip="Heads to perturb, counted from 0: L11H15 a head, L7H0-3 a run, L9 a layer, * all; FLUX also D3H5 and S15H2. "
                    "@0.5 gives a head its own strength (-1 to 1). Empty: no guidance and no cost.",
                ),
                inputs.scale(
                    "w: how hard the picture is pushed away from the perturbed prediction. 0 is off; the paper uses 3 to 5 on SD3 "
                    "and 8 on FLUX. Too high oversaturates; negative pulls towards the perturbed prediction."
                ),
                inputs.strength(
                    "u: how far each head is pulled from its own attention (0) to the perturbation (1). "
                    "Lower values keep the effect with fewer artifacts. A head's own @strength wins.",
                    default=0.5,
                ),
                inputs.fraction(
                    "start_percent",
                    0.0,
                    "Where in sampling the guidance starts, 0 to 1. Steps before it cost nothing extra.",
                ),
                inputs.fraction(
                    "end_percent",
                    1.0,
                    "Where in sampling the guidance ends, 0 to 1. Steps after it cost nothing extra.",
                ),
                inputs.fraction(
                    "rescale",
                    0.0,
                    "Brings the result's contrast back towards the unguided prediction's, per picture. 0 is off; "
                    "raise it where a high scale oversaturates. With several groups the largest one acts, once.",
                    make=inputs.SELDOM_FLOAT,
                ),
                inputs.tokens(
                    "all: text and image tokens, as the paper's head numbers mean it. image: only the picture's own tokens "
                    "are perturbed (not the text's, not Kontext's reference pictures')."
                ),
                inputs.perturbation(
                    "What a head's attention is pulled towards. identity: each token sees itself (SoftPAG). uniform: all tokens "
                    "alike. mean_query: every token asks the mean question. temperature: attention made flatter or sharper. "
                    "self_and_text: picture tokens see the text and themselves. shuffle: every token asks another's question. "
                    "zero: the head gives nothing."
                ),
                inputs.temperature(
                    "Used by the perturbation temperature alone: above 1 flattens the head's attention, below 1 sharpens it."
                ),
                inputs.SELDOM_COMBO(
                    "mix",
                    options=list(MIXES),
                    default="add",
                    tooltip="add: the paper's sum. orthogonal: leaves out the part of the guidance that only raises contrast and "
                    "saturation. apg: that, with a cap and a damping of what all steps share, for high scales. frequency: half of "
                    "the guidance on coarse structure, all of it on detail.",
                ),
                io.Boolean.Input(
                    "enabled",
                    default=True,
                    optional=True,
                    tooltip="Off: this node adds nothing, and the picture is the unguided one, bit for bit.",
                ),
                inputs.method(
                    "extra pass: the paper's, one more model pass a step. in attention: the heads are moved inside the pass that is "
                    "there, at no further cost; its own way of acting, close to the other at low strengths. It takes no rescale "
                    "and no mix but add."
                ),
                inputs.limit(
                    "In attention alone: how many times its own length a token's output may become in one head. 2 changes little at "
                    "low scales and keeps high ones usable; lower tames more, 0 is no limit."
                ),
                inputs.SELDOM_FLOAT(
                    "end_scale",
                    default=1.0,
                    min=END_SCALE_RANGE[0],
                    max=END_SCALE_RANGE[1],
                    step=0.05,
                    optional=True,
                    tooltip="What scale is multiplied by at the end of the window; in between it changes evenly. 1: it stays as it "
                    "is. 0: it fades out.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Where this group acts: 1 inside, 0 outside, soft edges in between. Any size; one for all pictures of a batch "
                    "(and all frames of a video), or one for each picture. Without it the group acts everywhere. Presets hold no mask.",
                ),
            ],
            outputs=[
                io.Model.Output(
                    display_name="model", tooltip="The model with this guidance added, for any sampler or guider."
                )
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, heads: str) -> bool | str:
        try:
            parse_items(heads or "")  # None where a wire brings the text
        except HeadTextError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        model,
        heads: str = "",
        scale: float = 3.0,
        strength: float = 0.5,
        start_percent: float = 0.0,
        end_percent: float = 1.0,
        rescale: float = 0.0,
        tokens: str = "all",
        perturbation: str = "identity",
        temperature: float = 2.0,
        mix: str = "add",
        enabled: bool = True,
        method: str = "extra pass",
        limit: float = LIMIT,
        end_scale: float = 1.0,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        grid = grid_of(model)
        chosen = parse(heads, grid)
        group = Group(
            heads=format_heads(chosen, grid),
            scale=scale,
            strength=strength,
            window=(start_percent, end_percent),
            rescale=rescale,
            tokens=tokens,  # type: ignore[arg-type]
            perturbation=perturbation,  # type: ignore[arg-type]
            temperature=temperature,
            mix=mix,  # type: ignore[arg-type]
            end_scale=end_scale,
            method=method,  # type: ignore[arg-type]
            limit=inputs.limit_of(method, limit),
        )
        area = None if mask is None else Mask.of(mask)
        empty = "its mask is empty: paint where it shall act, or take the mask off" if area and area.empty else ""
        reason = (group.does_nothing(chosen) or empty) if enabled else "switched off"
        if reason and enabled:
            logging.warning("HeadHunter: SoftPAG Guidance leaves the picture unguided: %s.", reason)
        tell(f"unguided: {reason}" if reason else "", cls.hidden.unique_id if cls.hidden else None)
        guided = add_group(model, group, mask=area) if enabled else model.clone()
        return io.NodeOutput(guided, ui=shown(grid, heads=heads))
