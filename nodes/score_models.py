"""Loading a scoring model, and the scorers that run on one."""

from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..headhunter.host.scoring.files import HEAD_FOLDERS, MODEL_FOLDERS, file_names, find_file, head_stamp, load_head
from ..headhunter.host.scoring.models import load_scoring_model
from ..headhunter.scoring.embedding import KINDS, TextScorer
from ..headhunter.scoring.linear import LinearScorer
from . import inputs, types


class HeadHunterLoadScoringModel(io.ComfyNode):
    """Both towers of one file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterLoadScoringModel",
            display_name="Load Scoring Model",
            category="HeadHunter",
            **inputs.where_known(search_aliases=["CLIP score", "PickScore", "HPS"]),
            description=(
                "Loads a model that compares pictures with texts, or judges pictures: PickScore, HPS v2, full CLIP-L, CLIP-H and "
                "bigG files, SigLIP so400m for the Aesthetic Scorer. ComfyUI manages its memory."
            ),
            inputs=[
                io.Combo.Input(
                    "file",
                    options=file_names(MODEL_FOLDERS),
                    tooltip="A file in models/image_scorers, clip_vision or text_encoders (the first folder that has the name). For "
                    "texts it must hold both towers and text_projection: most files in clip_vision and text_encoders hold one tower.",
                ),
                io.Combo.Input(
                    "kind",
                    options=list(KINDS),
                    default="clip",
                    tooltip="The text score's formula, which the file cannot tell. clip: cos(x, t). pickscore: exp(logit_scale) cos(x, t), "
                    "about 18 to 23. hpsv2: cos(x, t), about 0.2 to 0.3, of the whole picture with black bars; the others see its centre.",
                ),
            ],
            outputs=[
                types.ScoringModel.Output(
                    display_name="scoring_model", tooltip="For the Text Match Scorer or the Aesthetic Scorer."
                )
            ],
        )

    @classmethod
    def execute(cls, file: str, kind: str = "clip") -> io.NodeOutput:
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
        return io.NodeOutput(load_scoring_model(find_file(file, MODEL_FOLDERS), kind))  # type: ignore[arg-type]


class HeadHunterTextScorer(io.ComfyNode):
    """How well a picture matches a text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterTextScorer",
            display_name="Text Match Scorer",
            category="HeadHunter",
            **inputs.where_known(search_aliases=["CLIP score", "prompt score"]),
            description="Scores how well a picture matches a text, by the loaded model's formula, or one text against another.",
            inputs=[
                types.ScoringModel.Input("scoring_model", tooltip="From Load Scoring Model; a file with both towers."),
                io.String.Input(
                    "text",
                    default="",
                    multiline=True,
                    tooltip="What every picture should match, such as: golden hour photograph. Empty: each prompt's own text. "
                    "At most 77 tokens are read; weights such as (x:1.2) are plain text here.",
                ),
                io.String.Input(
                    "negative",
                    default="",
                    multiline=True,
                    tooltip="Not empty: the prompt pair, score = softmax(s [cos(x, text), cos(x, negative)])[0], 0 to 1, with "
                    "s = exp(logit_scale) of the file, else 100. Such as: Good photo. against: Bad photo.",
                ),
            ],
            outputs=[
                types.Scorer.Output(
                    display_name="scorer", tooltip="For HeadHunter Search, Combine Scorers or Score Images."
                )
            ],
        )

    @classmethod
    def execute(cls, scoring_model, text: str = "", negative: str = "") -> io.NodeOutput:
        return io.NodeOutput(TextScorer(scoring_model, text, negative))


class HeadHunterAestheticScorer(io.ComfyNode):
    """A linear head on the image tower."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterAestheticScorer",
            display_name="Aesthetic Scorer",
            category="HeadHunter",
            **inputs.where_known(search_aliases=["aesthetic score", "LAION aesthetic"]),
            description=(
                "Scores beauty as a linear head learned it: LAION's aesthetic predictors, or a taste of your own. "
                "It does not know the prompt."
            ),
            inputs=[
                types.ScoringModel.Input(
                    "scoring_model",
                    tooltip="The image model that the head was made for: CLIP-L/14 for LAION v1 and v2, SigLIP so400m 384 for v2.5, "
                    "the one of the Taste Scorer for a taste. The kind does not matter here.",
                ),
                io.Combo.Input(
                    "head_file",
                    options=file_names(HEAD_FOLDERS),
                    tooltip="A file of linear layers in models/image_scorers or models/aesthetic, folded to score = w . x + b, x the "
                    "picture's embedding of length 1. LAION's run from about 1 to 10. Heads with an activation (relu) are refused.",
                ),
            ],
            outputs=[
                types.Scorer.Output(
                    display_name="scorer", tooltip="For HeadHunter Search, Combine Scorers or Score Images."
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, head_file: str, **kwargs) -> str:
        return head_stamp(head_file)  # a taste may be saved again under its name

    @classmethod
    def execute(cls, scoring_model, head_file: str) -> io.NodeOutput:
        head = load_head(head_file)
        return io.NodeOutput(LinearScorer(scoring_model.head_encoder(head.pooling), head))
