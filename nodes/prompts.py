from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..headhunter.host.generation.prompts import Pair, pairs_from_text
from . import inputs
from .types import Prompts

MAX_SEED = 2**64 - 1


class HeadHunterPrompts(io.ComfyNode):
    """(prompt, seed) pairs from text (docs/design.md)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterPrompts",
            display_name="Hunt Prompts",
            category="HeadHunter",
            **inputs.where_known(search_aliases=["prompt list", "style prompts"]),
            description="The prompts that every head is tried on. A style goes before each content: style, content.",
            inputs=[
                io.Clip.Input(
                    "clip", tooltip="The model's text encoder. Each prompt is encoded once for the whole hunt."
                ),
                io.String.Input(
                    "contents",
                    default="",
                    multiline=True,
                    tooltip="One prompt a line; blank lines are ignored. 5 to 20 different ones make a hunt's result hold for others.",
                ),
                io.String.Input(
                    "style", default="", tooltip="The style to hunt for, such as golden hour. Empty: contents alone."
                ),
                io.String.Input(
                    "negative",
                    default="",
                    multiline=True,
                    tooltip="Negative prompt, used where the hunt's cfg is not 1.",
                ),
                io.Float.Input(
                    "guidance",
                    default=3.5,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="FLUX's embedded guidance, as in FluxGuidance. The paper searched at 0. Other models ignore it.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    tooltip="The first seed; each prompt and repeat gets the next one.",
                    min=0,
                    max=MAX_SEED,
                    control_after_generate=False,
                ),
                io.Int.Input(
                    "seeds_per_prompt",
                    default=1,
                    min=1,
                    max=64,
                    tooltip="Pictures of each prompt, with seeds of their own.",
                ),
            ],
            outputs=[
                Prompts.Output(display_name="prompts", tooltip="The pairs of prompt and seed, for a hunt or an atlas.")
            ],
        )

    @classmethod
    def execute(
        cls,
        clip,
        contents: str = "",
        style: str = "",
        negative: str = "",
        guidance: float = 3.5,
        seed: int = 0,
        seeds_per_prompt: int = 1,
    ) -> io.NodeOutput:
        return io.NodeOutput(pairs_from_text(clip, contents, style, negative, guidance, seed, seeds_per_prompt))


class HeadHunterPrompt(io.ComfyNode):
    """One (prompt, seed) pair from any conditioning."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterPrompt",
            display_name="Hunt Prompt from Conditioning",
            category="HeadHunter",
            **inputs.where_known(search_aliases=["prompt list", "conditioning to hunt"]),
            description="Adds one prompt of any kind (ControlNet, regions, another encoder) to a hunt. Chain several for several prompts.",
            inputs=[
                io.Conditioning.Input("positive", tooltip="The prompt's conditioning."),
                io.String.Input(
                    "text", default="", tooltip="What the picture should show, in words: text scorers compare with it."
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    tooltip="The seed of this prompt's noise.",
                    min=0,
                    max=MAX_SEED,
                    control_after_generate=False,
                ),
                io.Conditioning.Input("negative", optional=True, tooltip="Needed where the hunt's cfg is not 1."),
                Prompts.Input("previous", optional=True, tooltip="Prompts that this one is added to."),
            ],
            outputs=[Prompts.Output(display_name="prompts", tooltip="The previous prompts and this one.")],
        )

    @classmethod
    def execute(
        cls, positive, text: str = "", seed: int = 0, negative=None, previous: list[Pair] | None = None
    ) -> io.NodeOutput:
        return io.NodeOutput([*(previous or []), Pair(text, seed, positive, negative)])
