from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..headhunter.guidance import LIMIT
from ..headhunter.host.generation.generate import Sampling
from ..headhunter.host.hunting.atlas import make_atlas
from ..headhunter.host.hunting.search import group_for
from ..headhunter.host.models import grid_of
from . import inputs
from .shown import shown
from .types import Prompts


class HeadHunterAtlas(io.ComfyNode):
    """One picture per head, to learn what heads do."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterAtlas",
            display_name="Head Atlas",
            category="HeadHunter",
            **inputs.where_known(search_aliases=["head sheet", "what heads do", "attention heads"]),
            description="Shows what heads do: one picture for each head, each layer, or each line of head text, on a labelled sheet with the "
            "unguided picture first. Can be cancelled; queued again it goes on where it was.",
            inputs=[
                inputs.model(),
                inputs.vae(),
                Prompts.Input("prompts", tooltip="The prompts and seeds; one is enough for a first look."),
                inputs.latent_image(),
                io.String.Input(
                    "heads",
                    default="*",
                    multiline=True,
                    tooltip="The heads to show, as head text; with group_by line, one set a line.",
                ),
                io.Combo.Input(
                    "group_by",
                    options=["head", "layer", "line"],
                    default="head",
                    tooltip="head: a picture for each head. layer: for each layer, with those of its heads that are named. line: for each line.",
                ),
                inputs.scale("w: how hard each head's guidance pushes."),
                inputs.strength("u: how far the heads are pulled to identity."),
                inputs.cfg("Classifier-free guidance; 1 is off."),
                inputs.steps(),
                inputs.sampler_name(),
                inputs.scheduler(),
                inputs.batch_size("Pictures generated at once."),
                io.Boolean.Input(
                    "difference", default=False, tooltip="Show what each head changes: grey where it changes nothing."
                ),
                inputs.study("A name for the record on disk (output/headhunter). Empty: named by itself."),
                inputs.method(),
                inputs.limit(),
                inputs.workers(),
            ],
            outputs=[
                io.Image.Output(
                    display_name="images",
                    tooltip="For each prompt the unguided picture, then one for each set of heads.",
                ),
                io.Image.Output(display_name="sheet", tooltip="All of them on one labelled sheet."),
                io.String.Output(display_name="labels", tooltip="The label of each picture, one a line."),
            ],
            hidden=inputs.RUN_BY_WORKERS,
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        model,
        vae,
        prompts,
        latent_image,
        heads: str = "*",
        group_by: str = "head",
        scale: float = 3.0,
        strength: float = 1.0,
        cfg: float = 1.0,
        steps: int = 20,
        sampler_name: str = "euler",
        scheduler: str = "simple",
        batch_size: int = 4,
        difference: bool = False,
        study: str = "",
        method: str = "extra pass",
        limit: float = LIMIT,
        workers=None,
    ) -> io.NodeOutput:
        sampling = Sampling(
            group_for(scale, strength, method=method, limit=inputs.limit_of(method, limit)),
            cfg,
            steps,
            sampler_name,
            scheduler,
        )
        node = cls.hidden.unique_id if cls.hidden else None
        crew = inputs.crew_of(workers, cls.hidden, "model", "vae", "prompts", "latent_image")
        atlas = make_atlas(
            model, vae, prompts, latent_image, sampling, heads, group_by, batch_size, difference, study, node, crew
        )
        told = shown(grid_of(model), heads=heads, study=atlas.study)
        return io.NodeOutput(atlas.images, atlas.sheet, atlas.labels, ui=told)
