"""Scorers that need no scoring model of their own: likeness, taste, statistics, and combinations."""

from __future__ import annotations

from dataclasses import replace

from comfy_api.v0_0_2 import io
from torch import Tensor

from ..headhunter.host.scoring.files import save_head
from ..headhunter.host.scoring.models import encoder_of, is_siglip
from ..headhunter.scoring.base import content_key, probe_image
from ..headhunter.scoring.combine import combine_scorers
from ..headhunter.scoring.linear import LinearScorer
from ..headhunter.scoring.reference import REDUCES, ReferenceScorer, embed_all
from ..headhunter.scoring.statistics import STATISTICS, TARGETS, StatisticScorer
from ..headhunter.scoring.taste import learn
from . import inputs, types

_ENCODER = (
    "from ComfyUI's Load CLIP Vision: CLIP-L, CLIP-H or bigG (meaning and style), DINOv2 (form and layout; its CLS token), or SigLIP "
    "(ComfyUI loads it without its pooling head, so the mean of its tokens is used). CLIP and DINOv2 see the picture's centre square, "
    "SigLIP the whole, squashed."
)


class HeadHunterReferenceScorer(io.ComfyNode):
    """Likeness to reference pictures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterReferenceScorer",
            display_name="Reference Image Scorer",
            category="HeadHunter",
            **inputs.where_known(search_aliases=["image similarity", "like these pictures"]),
            description="Scores how much a picture is like your reference pictures: the cosine of their image embeddings.",
            inputs=[
                io.ClipVision.Input("clip_vision", tooltip=f"The image model that compares, {_ENCODER}"),
                io.Image.Input("references", tooltip="One or more pictures to be like, as a batch."),
                io.Combo.Input(
                    "reduce",
                    options=list(REDUCES),
                    default="mean",
                    tooltip="score = mean or max over the references r of cos(x, r), -1 to 1. mean: like all of them, for one style. "
                    "max: like any of them, for references that differ.",
                ),
            ],
            outputs=[
                types.Scorer.Output(
                    display_name="scorer", tooltip="For HeadHunter Search, Combine Scorers or Score Images."
                )
            ],
        )

    @classmethod
    def execute(cls, clip_vision, references: Tensor, reduce: str = "mean") -> io.NodeOutput:
        encoder = encoder_of(clip_vision)
        references = references[..., :3]
        scorer = ReferenceScorer(encoder, embed_all(encoder, references), reduce, content_key(references))  # type: ignore[arg-type]
        return io.NodeOutput(scorer)


class HeadHunterTasteScorer(io.ComfyNode):
    """Learns a linear head from liked and disliked pictures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterTasteScorer",
            display_name="Taste Scorer",
            category="HeadHunter",
            **inputs.where_known(search_aliases=["liked pictures", "personal style"]),
            description="Learns your taste from pictures you like and, better, also some you do not like. Takes seconds.",
            inputs=[
                io.ClipVision.Input("clip_vision", tooltip=f"The image model whose embeddings are judged, {_ENCODER}"),
                io.Image.Input(
                    "liked",
                    tooltip="Pictures you like, as a batch; 5 to 50 do. Without disliked ones: score = cos(x, their mean).",
                ),
                io.String.Input(
                    "save_as",
                    default="",
                    tooltip="A plain name: the taste is saved in models/image_scorers as <name>.safetensors, for the Aesthetic Scorer. "
                    "A taste of that name is replaced, any other file is not. Empty: not saved.",
                ),
                io.Image.Input(
                    "disliked",
                    optional=True,
                    tooltip="Pictures you do not like, best of the same subjects. With them: score = w . x + b by ridge regression, about "
                    "1 for liked and -1 for disliked, both sets weighing half.",
                ),
            ],
            outputs=[
                types.Scorer.Output(
                    display_name="scorer", tooltip="Your taste, for HeadHunter Search and the other scorer inputs."
                )
            ],
        )

    @classmethod
    def execute(cls, clip_vision, liked: Tensor, save_as: str = "", disliked: Tensor | None = None) -> io.NodeOutput:
        encoder = encoder_of(clip_vision)
        against = None if disliked is None else embed_all(encoder, disliked[..., :3])
        head = learn(embed_all(encoder, liked[..., :3]), against)
        probe = encoder.embed_image(probe_image()).cpu()
        source = f"taste/1 {content_key(liked[..., :3])} {'' if disliked is None else content_key(disliked[..., :3])}".strip()
        head = replace(head, probe=probe, pooling="tokens" if is_siglip(clip_vision) else "", source=source)
        if save_as.strip():
            save_head(head, (len(liked), 0 if disliked is None else len(disliked)), save_as)
        return io.NodeOutput(LinearScorer(encoder, head, "taste"))


class HeadHunterStatisticScorer(io.ComfyNode):
    """A statistic of the pixels as a score."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterStatisticScorer",
            display_name="Image Statistic Scorer",
            category="HeadHunter",
            **inputs.where_known(search_aliases=["brightness", "contrast", "saturation", "sharpness"]),
            description="Scores a measurement of the pixels, such as brightness or colourfulness. Needs no model, costs next to nothing.",
            inputs=[
                io.Combo.Input(
                    "statistic",
                    options=list(STATISTICS),
                    default="brightness",
                    tooltip="Y is the luma; all are about 0 to 1. brightness: mean Y. contrast: 2 std(Y). saturation: mean "
                    "(max - min) / max. colourfulness: Hasler-Suesstrunk / 255 (0.43 is extreme). warmth: (1 + mean(R - B)) / 2. "
                    "sharpness: s / (s + 0.1), s = std(Laplacian). detail: share of Y's variance in waves under 8 pixels. "
                    "entropy: of Y's histogram / 8 bits.",
                ),
                io.Combo.Input(
                    "target",
                    options=list(TARGETS),
                    default="high",
                    tooltip="high: score = statistic. low: score = -statistic. near: score = -|statistic - value|.",
                ),
                io.Float.Input(
                    "value",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="What near aims at, 0 to 1; measure pictures you like with Score Images to find it. Not used by high and low.",
                ),
            ],
            outputs=[
                types.Scorer.Output(
                    display_name="scorer", tooltip="For HeadHunter Search, Combine Scorers or Score Images."
                )
            ],
        )

    @classmethod
    def execute(cls, statistic: str = "brightness", target: str = "high", value: float = 0.5) -> io.NodeOutput:
        return io.NodeOutput(StatisticScorer(statistic, target, value))  # type: ignore[arg-type]


class HeadHunterCombineScorers(io.ComfyNode):
    """A weighted sum of scorers in comparable units (docs/design.md)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        weight = "-100 to 100: 0 is off, negative asks for less of it. The scores are put on one scale first: 1 and 1 weigh the same."
        return io.Schema(
            node_id="HeadHunterCombineScorers",
            display_name="Combine Scorers",
            category="HeadHunter",
            **inputs.where_known(search_aliases=["weighted score", "add scorers"]),
            description=(
                "Adds two scorers with weights; chain it for more. In a hunt: sum of w (score - unguided picture's score) / s, "
                "s the spread of the unguided pictures' scores (a typical difference where there are fewer than 4)."
            ),
            inputs=[
                types.Scorer.Input("first", tooltip="A scorer, or a combination."),
                io.Float.Input(
                    "weight_1",
                    default=1.0,
                    min=-100.0,
                    max=100.0,
                    step=0.1,
                    tooltip=f"The first scorer's weight, {weight}",
                ),
                types.Scorer.Input("second", tooltip="Another scorer, or a combination."),
                io.Float.Input(
                    "weight_2",
                    default=1.0,
                    min=-100.0,
                    max=100.0,
                    step=0.1,
                    tooltip=f"The second scorer's weight, {weight}",
                ),
            ],
            outputs=[
                types.Scorer.Output(
                    display_name="scorer", tooltip="The combination, for HeadHunter Search or Score Images."
                )
            ],
        )

    @classmethod
    def execute(cls, first, weight_1: float, second, weight_2: float = 1.0) -> io.NodeOutput:
        return io.NodeOutput(combine_scorers([(first, weight_1), (second, weight_2)]))
