"""Two nodes for the demo's ComfyUI: words to conditioning for the tiny SD3 in demo/models, and a scorer that knows the truth."""

from pathlib import Path

from comfy_api.v0_0_2 import ComfyExtension, io

from .fidelity import FidelityScorer
from .words import Words

WORDS = Path(__file__).resolve().parents[2] / "models" / "headhunter_demo" / "words.safetensors"


class HeadHunterDemoWords(io.ComfyNode):
    """Conditioning from a caption, in place of a text encoder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterDemoWords",
            display_name="Demo Words",
            category="HeadHunter/demo",
            description="Turns a caption into conditioning for the demo's tiny SD3, in place of a text encoder.",
            inputs=[
                io.String.Input(
                    "text",
                    default="fox face, google style, blue background",
                    multiline=True,
                    tooltip="A thing, and if you like a style (google style, twitter style), a tint (warm, cool, dark, grey) "
                    "and a background (white, blue, green, pink, yellow, purple background), in any order. "
                    "Empty: the unconditional, for the negative input.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="conditioning", tooltip="For KSampler's positive or negative.")
            ],
        )

    @classmethod
    def execute(cls, text: str) -> io.NodeOutput:
        context, pooled = Words(WORDS).encode(text)
        return io.NodeOutput([[context, {"pooled_output": pooled}]])


class HeadHunterDemoFidelity(io.ComfyNode):
    """How close a picture is to the real picture of its caption."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterDemoFidelity",
            display_name="Demo Fidelity Scorer",
            category="HeadHunter/demo",
            description="Scores a picture by the real picture of its caption, which the demo ships for its evaluation captions.",
            inputs=[],
            outputs=[
                io.Custom("HEADHUNTER_SCORER").Output(
                    display_name="scorer", tooltip="For a hunt on the demo's captions."
                )
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(FidelityScorer())


class HeadHunterDemo(ComfyExtension):
    """The demo's node pack."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [HeadHunterDemoWords, HeadHunterDemoFidelity]


async def comfy_entrypoint() -> HeadHunterDemo:
    """What ComfyUI calls to learn the nodes."""
    return HeadHunterDemo()
