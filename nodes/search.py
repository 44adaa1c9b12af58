from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..headhunter.guidance import LIMIT
from ..headhunter.host.generation.generate import Sampling
from ..headhunter.host.hunting.search import Plan, group_for, search
from ..headhunter.host.models import grid_of
from ..headhunter.strategies import STRATEGIES
from . import inputs
from .shown import shown
from .types import Prompts, Scorer


class HeadHunterSearch(io.ComfyNode):
    """HeadHunter (Algorithm 1 of arXiv 2506.10978) on a model, with a scoring node as its objective."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterSearch",
            display_name="HeadHunter Search",
            category="HeadHunter",
            **inputs.where_known(
                search_aliases=["find heads", "head search", "hunt", "optimise heads"],
                essentials_category="Image Generation",
            ),
            description=(
                "Hunts for the heads that serve a goal: tries every head on every prompt, scores the pictures, adds the best, and tries the "
                "rest together with them. Long work: it can be cancelled or killed at any time and goes on where it was when queued again."
            ),
            inputs=[
                inputs.model("Heads that SoftPAG nodes have put on it stay as they are."),
                io.Vae.Input("vae", tooltip="Decodes the pictures that are scored."),
                Prompts.Input("prompts", tooltip="The prompts and seeds that each candidate is tried on."),
                Scorer.Input("scorer", tooltip="What makes a picture good: any scoring node, or several combined."),
                io.Latent.Input(
                    "latent_image",
                    tooltip="The size of the pictures, or a picture to start from (with denoise). The first of a batch; its mask is honoured.",
                ),
                io.Int.Input(
                    "rounds",
                    default=5,
                    min=1,
                    max=100,
                    tooltip="Greedy rounds. The paper: 5 for a style, 1 for general quality. For signed: gradient steps.",
                ),
                io.Int.Input(
                    "heads_per_round",
                    default=3,
                    min=1,
                    max=500,
                    tooltip="Heads added each round. The paper: 3 for a style, 24 for general quality. For signed: the most heads "
                    "that it keeps, those with the largest strengths.",
                ),
                inputs.scale("w while hunting. The paper: 3 on SD3, 8 on FLUX."),
                inputs.strength(
                    "u while hunting. The paper: 1 for a style (lower it afterwards), 0.25 for general quality."
                ),
                inputs.cfg("CFG while hunting. 1 is off, as in the paper."),
                inputs.steps("Sampling steps. The paper: 20 on SD3, 15 on FLUX."),
                inputs.sampler_name(),
                inputs.scheduler(),
                io.String.Input(
                    "pool",
                    default="*",
                    multiline=True,
                    tooltip="The heads that are tried, as head text. * is all of them.",
                ),
                io.String.Input(
                    "start_from",
                    default="",
                    multiline=True,
                    tooltip="Heads to begin with, so that an earlier hunt goes on.",
                ),
                io.Combo.Input(
                    "strategy",
                    options=list(STRATEGIES),
                    default="exhaustive",
                    tooltip="exhaustive: the paper's, every head on every prompt. halving: all heads on few prompts, the better ones on more; "
                    "several times cheaper with many prompts. attribution: one backward pass for each prompt tells what every head "
                    "would probably do, and only the best few are tried; the cheapest by far for a whole model, but it needs more "
                    "memory, and a scorer that gives gradients (all of this pack's do). signed: all heads at once, each as strongly as that "
                    "gradient says, some negatively; each round is one gradient step. In attention the first three try, or weigh, both "
                    "signs of each head.",
                ),
                inputs.batch_size("Candidates generated at once. Halved by itself where memory runs out."),
                inputs.study(
                    "A name for the record on disk (output/headhunter). Empty: named by itself; the same hunt goes on where it was."
                ),
                inputs.fraction(
                    "denoise", 1.0, "Below 1: start from latent_image's picture.", True, inputs.SELDOM_FLOAT
                ),
                inputs.tokens(optional=True),
                inputs.perturbation(optional=True),
                inputs.temperature(optional=True),
                inputs.SELDOM_INT(
                    "max_images",
                    default=0,
                    min=0,
                    max=10_000_000,
                    optional=True,
                    tooltip="Ends the hunt in good order at so many pictures. 0: no limit.",
                ),
                inputs.method(
                    "As in SoftPAG Guidance. Hunt with the method that the heads will be used with: they differ."
                ),
                inputs.limit(),
                inputs.workers(),
            ],
            outputs=[
                io.String.Output(
                    display_name="heads", tooltip="The heads found, as head text: connect it to SoftPAG Guidance."
                ),
                io.String.Output(display_name="report", tooltip="Everything measured, as JSON."),
                io.Image.Output(
                    display_name="images",
                    tooltip="The unguided pictures, then those of each round's set, on every prompt.",
                ),
                io.Image.Output(display_name="chart", tooltip="Score by round, and round 1's scores on the grid."),
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
        scorer,
        latent_image,
        rounds: int = 5,
        heads_per_round: int = 3,
        scale: float = 3.0,
        strength: float = 1.0,
        cfg: float = 1.0,
        steps: int = 20,
        sampler_name: str = "euler",
        scheduler: str = "simple",
        pool: str = "*",
        start_from: str = "",
        strategy: str = "exhaustive",
        batch_size: int = 4,
        study: str = "",
        denoise: float = 1.0,
        tokens: str = "all",
        perturbation: str = "identity",
        temperature: float = 2.0,
        max_images: int = 0,
        method: str = "extra pass",
        limit: float = LIMIT,
        workers=None,
    ) -> io.NodeOutput:
        group = group_for(
            scale,
            strength,
            tokens=tokens,
            perturbation=perturbation,
            temperature=temperature,
            method=method,
            limit=inputs.limit_of(method, limit),
        )
        sampling = Sampling(group, cfg, steps, sampler_name, scheduler, denoise)
        plan = Plan(rounds, heads_per_round, pool, start_from, strategy, batch_size, max_images)
        node = cls.hidden.unique_id if cls.hidden else None
        crew = inputs.crew_of(workers, cls.hidden, "model", "vae", "prompts", "scorer", "latent_image")
        results = search(model, vae, prompts, scorer, latent_image, sampling, plan, study, node, crew)
        told = shown(grid_of(model), heads=pool, study=results.study)
        return io.NodeOutput(
            results.heads,
            results.report,
            results.images,
            results.chart,
            ui={"text": [results.heads, *filter(None, [results.note])]} | told,
        )
