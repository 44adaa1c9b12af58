from __future__ import annotations

from functools import partial

from comfy_api.v0_0_2 import io

from ..headhunter.guidance import Group
from ..headhunter.host.generation.generate import Sampling
from ..headhunter.host.hunting.compare import Asked, Judges, compare
from ..headhunter.host.models import grid_of
from ..headhunter.host.server.named import preset_named
from ..headhunter.variants import VariantError, parse_variants
from . import inputs
from .shown import shown
from .types import Prompts, Scorer


class HeadHunterCompare(io.ComfyNode):
    """Variants side by side on the same prompts and noise."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterCompare",
            display_name="Compare Heads",
            category="HeadHunter",
            **inputs.where_known(
                search_aliases=["variants", "XY plot", "side by side", "A/B test", "compare head sets"]
            ),
            description="Puts settings side by side on the same prompts and noise: a labelled sheet with the unguided picture "
            "first, and with a scorer a table of how much each one differs from it. Can be cancelled; queued again it goes on "
            "where it was, and a line that is added makes only its own pictures.",
            inputs=[
                inputs.model("SoftPAG groups that are on it already stay, in the unguided pictures too."),
                inputs.vae(),
                Prompts.Input("prompts", tooltip="The prompts and seeds that every variant is made for."),
                inputs.latent_image(),
                io.String.Input(
                    "variants",
                    default="",
                    multiline=True,
                    placeholder="warm: L11H15\nsoft: L11H15 scale=5 strength=0.3\nboth: L11H15 | L9 scale=1 end=0.4\ncfg 4: cfg=4",
                    tooltip="One a line: a name, a colon, then heads or a preset's name, then any settings of SoftPAG Guidance, "
                    "such as scale=5 strength=0.3 start=0 end=0.6, and cfg=4. Several groups in one line are divided by a "
                    "vertical bar. The unguided picture is always there, first.",
                ),
                inputs.cfg("Classifier-free guidance of the variants that say nothing of it; 1 is off."),
                inputs.steps(),
                inputs.sampler_name(),
                inputs.scheduler(),
                inputs.batch_size("Pictures generated at once, where they differ in heads and strengths alone."),
                inputs.study(
                    "A name for the record on disk (output/headhunter). Empty: named by itself, by all but the variants."
                ),
                Scorer.Input(
                    "scorer", optional=True, tooltip="What makes a picture good; without one there are no numbers."
                ),
                Scorer.Input(
                    "second_scorer",
                    optional=True,
                    tooltip="Shown beside the first, and never used to choose: what the first one may have cost.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="images", tooltip="For each prompt the unguided picture, then one for each variant."
                ),
                io.Image.Output(display_name="sheet", tooltip="All of them on one labelled sheet."),
                io.String.Output(
                    display_name="table",
                    tooltip="Each variant's score, its paired difference to the unguided pictures with the standard error, how "
                    "often it is better, and how far it moves the picture.",
                ),
                io.String.Output(display_name="report", tooltip="Everything measured, as JSON."),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, variants: str) -> bool | str:
        if variants is None:  # a wire brings the text
            return True
        try:
            parse_variants(variants, 1.0, preset_named)
        except VariantError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        model,
        vae,
        prompts,
        latent_image,
        variants: str = "",
        cfg: float = 1.0,
        steps: int = 20,
        sampler_name: str = "euler",
        scheduler: str = "simple",
        batch_size: int = 4,
        study: str = "",
        scorer=None,
        second_scorer=None,
    ) -> io.NodeOutput:
        grid = grid_of(model)
        read = parse_variants(variants, cfg, partial(preset_named, grid=grid), grid)
        asked = Asked(read, prompts, Judges(scorer, second_scorer), batch_size)
        sampling = Sampling(Group(""), cfg, steps, sampler_name, scheduler)
        node = cls.hidden.unique_id if cls.hidden else None
        made = compare(model, vae, latent_image, sampling, asked, study, node)
        told = {"text": [made.table]} | shown(grid, study=made.study)
        return io.NodeOutput(made.images, made.sheet, made.table, made.report, ui=told)
