from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..headhunter.head_symbols import combine
from ..headhunter.heads import OPERATIONS, HeadTextError, parse_items
from ..headhunter.host.models import grid_of
from .shown import shown


class HeadHunterEditHeads(io.ComfyNode):
    """Set operations on head texts."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterEditHeads",
            display_name="Combine Head Sets",
            category="HeadHunter",
            description="Adds, removes or intersects two sets of heads. With a model connected the result is checked against its grid.",
            inputs=[
                io.String.Input(
                    "first", default="", multiline=True, tooltip="The first head text, such as L9, L11H15@0.5."
                ),
                io.String.Input("second", default="", multiline=True, tooltip="The second head text."),
                io.Combo.Input(
                    "operation",
                    options=list(OPERATIONS),
                    default="add",
                    tooltip="add: heads of either set. remove: the first without the second. keep common: heads of both.",
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="Tells the grid. Needed where the result depends on it, as in all heads (*) without one, or S15H2.",
                ),
            ],
            outputs=[io.String.Output(display_name="heads", tooltip="The resulting head text.")],
        )

    @classmethod
    def validate_inputs(cls, first: str, second: str) -> bool | str:
        for name, text in {"first": first, "second": second}.items():
            try:
                parse_items(text or "")  # None where a wire brings the text
            except HeadTextError as error:
                return f"{name}: {error}"
        return True

    @classmethod
    def execute(cls, first: str = "", second: str = "", operation: str = "add", model=None) -> io.NodeOutput:
        if operation not in OPERATIONS:
            raise ValueError(f"operation is {operation!r}; it must be one of {', '.join(OPERATIONS)}")
        grid = grid_of(model) if model is not None else None
        heads = combine(first, second, operation, grid)
        return io.NodeOutput(heads, ui=shown(grid, heads=first, result=heads))
