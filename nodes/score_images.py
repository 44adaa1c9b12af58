from __future__ import annotations

from comfy_api.v0_0_2 import io
from torch import Tensor

from ..headhunter.scoring.combine import table
from . import inputs, types


class HeadHunterScore(io.ComfyNode):
    """Scores pictures, for tuning a scorer before a hunt."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterScore",
            display_name="Score Images",
            category="HeadHunter",
            **inputs.where_known(search_aliases=["rate images", "score table"]),
            description="Scores each picture of a batch and shows a table: try a scorer on pictures you know before a hunt of hours.",
            inputs=[
                io.Image.Input("images", tooltip="The pictures, as a batch; each is scored by itself."),
                types.Scorer.Input("scorer", tooltip="The scorer to try. Of a combination every part is shown."),
                io.String.Input(
                    "text",
                    default="",
                    multiline=True,
                    tooltip="The pictures' prompt, for a Text Match Scorer without a text of its own. Other scorers do not read it.",
                ),
            ],
            outputs=[
                io.Float.Output(
                    display_name="scores",
                    is_output_list=True,
                    tooltip="One number a picture, higher is better: the raw score, or for a combination sum of weight * score / unit.",
                ),
                io.String.Output(
                    display_name="table", tooltip="Each picture's raw scores, and in units of a typical difference."
                ),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images: Tensor, scorer, text: str = "") -> io.NodeOutput:
        scores, shown = table(scorer, images[..., :3], [text] * len(images))
        return io.NodeOutput(scores, shown, ui={"text": [shown]})
