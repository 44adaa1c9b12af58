from __future__ import annotations

import logging

from comfy_api.v0_0_2 import io

from ..headhunter.heads import Head, format_heads, parse
from ..headhunter.host.guidance.groups import add_group, groups_of, masked_groups
from ..headhunter.host.models import grid_of
from ..headhunter.host.progress import tell
from ..headhunter.host.server.shipped import SHIPPED, shipped_names
from ..headhunter.host.server.userdata import save_preset
from ..headhunter.presets import Preset, PresetError, format_preset, parse_preset, preset_of, read_preset
from . import inputs
from .shown import shown

NONE = "none"


class HeadHunterPreset(io.ComfyNode):
    """Applies a preset's groups to a model (docs/design.md, Files)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterPreset",
            display_name="Apply Head Preset",
            category="HeadHunter",
            **inputs.where_known(
                search_aliases=["head style", "load heads", "PAG preset"], essentials_category="Image Generation"
            ),
            description="Applies a saved set of heads, with its scale and strength, to the model it was made for.",
            inputs=[
                inputs.model("It must have the preset's grid. The model itself is not changed."),
                io.Combo.Input(
                    "preset",
                    options=[NONE, *shipped_names()],
                    default=NONE,
                    tooltip="A preset that comes with the pack, as model/name. Used where preset_json is empty.",
                ),
                io.String.Input(
                    "preset_json",
                    default="",
                    multiline=True,
                    tooltip="A preset's own text, as Save Head Preset gives it. Wins over the choice above, so that a shared workflow carries it.",
                ),
                io.Float.Input(
                    "amount",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    tooltip="Multiplies the preset's scale: 0 is off, 1 is as saved, 10 is the most.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="The model with the preset's guidance added."),
                io.String.Output(display_name="heads", tooltip="All heads of the preset, as head text."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, model, preset: str = NONE, preset_json: str = "", amount: float = 1.0) -> io.NodeOutput:
        chosen = _choose(preset, preset_json)
        grid, masked = grid_of(model), masked_groups(model)
        warning = chosen.check(grid)
        if warning:
            logging.warning("HeadHunter: %s", warning)
        every: dict[Head, float | None] = {}
        idle = []
        for number, group in enumerate(chosen.amplified(amount), start=1):
            heads = parse(group.heads, grid)
            reason = group.does_nothing(heads)
            if reason:
                idle.append(f"group {number}: {reason}")
            every |= {
                head: strength if every.get(head, strength) == strength else None for head, strength in heads.items()
            }
            model = add_group(model, group)
        if idle:
            logging.warning(
                'HeadHunter: the preset "%s" leaves the picture unguided by %s.', chosen.name, "; ".join(idle)
            )
        told = [f"unguided by {'; '.join(idle)}"] if idle else []
        if masked:
            told.append(
                f"the preset acts everywhere: presets hold no mask, and that of the model's {masked} stays its own"
            )
        tell(", ".join(told), cls.hidden.unique_id if cls.hidden else None)
        heads = format_heads(every, grid)
        return io.NodeOutput(model, heads, ui=shown(grid, heads=heads))


def _choose(name: str, text: str) -> Preset:
    if text.strip():
        try:
            return parse_preset(text)
        except PresetError as error:
            raise PresetError(f"preset_json: {error}") from None
    if name == NONE:
        raise PresetError("choose a preset, or paste a preset's text into preset_json")
    if name not in shipped_names():
        raise PresetError(
            f'there is no shipped preset "{name}"; paste its text into preset_json, or choose one of the list'
        )
    return read_preset(SHIPPED / f"{name}.json")


class HeadHunterSavePreset(io.ComfyNode):
    """Saves a model's groups as a preset (docs/design.md, Files)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterSavePreset",
            display_name="Save Head Preset",
            category="HeadHunter",
            **inputs.where_known(search_aliases=["save heads", "export heads", "share heads"]),
            description="Saves all SoftPAG groups of a model as a preset in your user folder, and gives its text.",
            inputs=[
                io.Model.Input(
                    "model", tooltip="The model that comes out of SoftPAG Guidance; all groups on it are saved."
                ),
                io.String.Input(
                    "name", default="", tooltip="The preset's name. A preset of yours with this name is replaced."
                ),
                io.String.Input(
                    "style", default="", tooltip="The style it is for, such as golden hour. Presets are grouped by it."
                ),
                io.String.Input(
                    "note",
                    default="",
                    multiline=True,
                    tooltip="Anything worth knowing: prompts, sampler, what to watch for.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="preset_json",
                    tooltip="The preset's text, for Apply Head Preset or a file of your own.",
                )
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, model, name: str = "", style: str = "", note: str = "") -> io.NodeOutput:
        preset = preset_of(groups_of(model), grid_of(model), name, style, note)
        path = save_preset(preset)
        told = [f"Saved as headhunter/presets/{path.name}"]
        masked = masked_groups(model)
        if masked:
            told.append(f"Without the mask of {masked}: presets hold none, and the saved heads act everywhere.")
            logging.warning('HeadHunter: the preset "%s" is saved without the mask of %s.', preset.name, masked)
        return io.NodeOutput(format_preset(preset), ui={"text": told})
