"""The grid knows the model before the first run, and says so where it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from full_size import FULL_SIZE
from gridpage import FLUX, SD3, GridPage, soft_pag
from headhunter_pack.headhunter.families import grid_named
from headhunter_pack.headhunter.grid import describe
from headhunter_pack.headhunter.heads import Head, format_heads

pytestmark = [pytest.mark.live, pytest.mark.browser]
LORA = ("LoraLoaderModelOnly", {"lora_name": "style.safetensors"})
SHIFT = ("ModelSamplingSD3", {})
ODD = ("UNETLoader", {"unet_name": "odd.ckpt"})


def test_through_other_nodes(grid):
    grid.open(
        [FLUX, LORA, SHIFT, ("Reroute", {}), soft_pag(), SD3], [(1, 0, 2, 0), (2, 0, 3, 0), (3, 0, 4, 0), (4, 0, 5, 0)]
    )
    grid.knows(5, "flux1")
    grid.page.evaluate("() => app.graph.getNodeById(6).connect(0, app.graph.getNodeById(2), 0)")
    grid.knows(5, "sd3-medium")
    grid.page.evaluate("() => { app.graph.getNodeById(6).widgets[0].value = 'large.safetensors' }")
    grid.knows(5, "sd3.5-large")


def test_into_and_out_of_subgraphs(grid):
    grid.open([FLUX, LORA, soft_pag("L1")], [(1, 0, 2, 0), (2, 0, 3, 0)])
    grid.knows(3, "flux1")
    # The loader and the LoRA in one subgraph, the grid in another.
    grid.page.evaluate(
        """() => { const g = app.graph, at = (id) => g.getNodeById(id);
        g.convertToSubgraph(new Set([at(1), at(2)]));
        g.convertToSubgraph(new Set([at(3)])) }"""
    )
    inside = "() => { const s = app.graph._nodes.find((n) => n.subgraph?._nodes.some((n) => n.type === 'HeadHunterSoftPAG')); app.canvas.%s }"
    grid.page.evaluate(inside % "openSubgraph(s.subgraph, s)")
    grid.page.evaluate(
        "() => { window.inner = app.canvas.graph._nodes.find((n) => n.type === 'HeadHunterSoftPAG').id }"
    )
    number = int(grid.page.evaluate("() => inner"))
    grid.knows(number, "flux1")
    grid.page.evaluate("() => app.canvas.setGraph(app.canvas.graph.rootGraph)")


def test_unknown_models_can_be_chosen(grid):
    grid.open([soft_pag("L1H2")])
    grid.says(1, ".hh-note", "No model is connected")
    grid.button(1, "FLUX.1")
    grid.knows(1, "flux1")
    grid.says(1, ".hh-note", "Shown as flux1, which was chosen by hand.")
    grid.click(1, 30, 3)
    grid.settle_alone(1, "L1H2, L30H3")
    # The choice is in the workflow, and one step of undo.
    grid.load(grid.workflow())
    grid.knows(1, "flux1")
    grid.button(1, "another")
    grid.says(1, ".hh-note", "No model is connected")
    grid.undo()
    grid.knows(1, "flux1")


def test_a_file_that_does_not_tell_is_remembered_after_a_run(grid):
    grid.page.evaluate("() => localStorage.removeItem('headhunter.grids')")
    grid.page.reload()
    grid.again()
    grid.open([ODD, soft_pag("L1"), ("HeadHunterSavePreset", {"name": "odd"})], [(1, 0, 2, 0), (2, 0, 3, 0)])
    grid.says(2, ".hh-note", "odd.ckpt: not a safetensors file")
    grid.page.evaluate("() => app.queuePrompt(0)")
    grid.knows(2, "sd3-4x4")
    # Also in a new page, before any run.
    grid.page.reload()
    grid.again()
    grid.open([ODD, soft_pag("L2H1")], [(1, 0, 2, 0)])
    grid.knows(2, "sd3-4x4")
    grid.says(2, ".hh-note", "")


@pytest.mark.parametrize(
    ("loader", "says"),
    [
        (("UNETLoader", {"unet_name": "gone.safetensors"}), "ComfyUI lists no file gone.safetensors."),
        (
            ("CheckpointLoaderSimple", {"ckpt_name": "sdxl.safetensors"}),
            "sdxl.safetensors: no transformer in it that HeadHunter knows",
        ),
    ],
)
def test_a_missing_or_wrong_model_says_so_and_offers_nothing(grid, loader, says):
    grid.open([loader, soft_pag("L1")], [(1, 0, 2, 0)])
    grid.says(2, ".hh-note", says)
    assert grid.page.locator(".hh-note.hh-error").count() == 1
    assert grid.page.locator(".hh-note button").count() == 0


@pytest.mark.parametrize("model", FULL_SIZE)
def test_the_rows_and_letters_of_every_family(grid, model):
    """From the file's header to what a click on the last cell, and a text with the family's letters, write."""
    made = grid_named(model)
    grid.page.evaluate("(grid) => { hh.known[grid.model] = grid }", describe(made))
    text = ", ".join(f"{segment.letter}{segment.count - 1}H0" for segment in made.segments if segment.letter) or "L0H0"
    grid.open([("UNETLoader", {"unet_name": f"{model}.safetensors"}), soft_pag(text)], [(1, 0, 2, 0)])
    grid.knows(2, model)
    grid.click(2, made.layers - 1, made.heads - 1)
    ends = [first + segment.count - 1 for first, segment in made.numbered() if segment.letter]
    corner = Head(made.layers - 1, made.heads - 1)
    heads = {Head(layer, 0): None for layer in ends or [0]} | {corner: None}
    grid.settle_alone(2, format_heads(heads, made))


# A model that no page has heard of: whatever the server says is drawn, read and named.

LONG = {"model": "long", "layers": 60, "heads": 24, "segments": [{"kind": "joint", "letter": None, "count": 60}]}
MANY = {
    "model": "many", "layers": 40, "heads": 32,
    "segments": [
        {"kind": "intro", "letter": None, "count": 2}, {"kind": "cross", "letter": "X", "count": 12},
        {"kind": "self", "letter": "M", "count": 24}, {"kind": "outro", "letter": "O", "count": 2},
    ],
}  # fmt: skip


@pytest.fixture
def new_models(grid) -> Iterator[GridPage]:
    """A page whose server also offers models of other families."""
    answer: dict[str, Any] = {
        "families": [],
        "grids": [{"label": f"The {model['model']}", "grid": model} for model in (LONG, MANY)],
    }
    grid.page.route("**/headhunter/models", lambda route: route.fulfill(json=answer))
    grid.page.reload()
    grid.again()
    grid.page.evaluate("(grids) => { for (const grid of grids) hh.known[grid.model] = grid }", [LONG, MANY])
    yield grid
    grid.page.unroute("**/headhunter/models")
    grid.page.reload()
    grid.again()


def test_a_single_segment_without_a_letter(new_models, tmp_path):
    new_models.open([soft_pag("L59H23, L0")])
    new_models.button(1, "The long 60×24")
    new_models.knows(1, "long")
    new_models.page.mouse.move(*new_models.spot(1, 59, 23))
    new_models.says(1, ".hh-read", "L59 H23 · joint · strength 0.5")
    new_models.click(1, 59, 22)
    new_models.settle_alone(1, "L0, L59H22-23")
    typed(new_models, "S1H2")
    new_models.says(
        1, ".hh-note", '"S1H2" (line 1, column 1): not a head: long has no blocks called S; its layers are written L'
    )
    new_models.page.screenshot(path=tmp_path / "long.png")


def test_any_segments_and_letters(new_models, tmp_path):
    new_models.open([soft_pag("X3H5 m0-1h2, O1, L0H1")])
    new_models.button(1, "The many")
    new_models.knows(1, "many")
    for (layer, head), words in {
        (5, 5): "L5 H5 · cross 3 (X3) · strength 0.5",
        (14, 2): "L14 H2 · self 0 (M0)",
        (39, 31): "L39 H31 · outro 1 (O1)",
        (1, 0): "L1 H0 · intro 1",
    }.items():
        new_models.page.mouse.move(*new_models.spot(1, layer, head))
        new_models.says(1, ".hh-read", words)
    # Each divider is crossed without a gap.
    new_models.drag(1, (1, 7), (2, 7))
    new_models.settle_alone(1, "L0H1, L1H7, L2H7, L5H5, L14H2, L15H2, L39")
    new_models.drag(1, (36, 7), (39, 7))
    new_models.settle_alone(1, "L0H1, L1H7, L2H7, L5H5, L14H2, L15H2, L36H7, L37H7, L38H7, L39")
    new_models.page.screenshot(path=tmp_path / "many.png")
    typed(new_models, "D3H5")
    new_models.says(1, ".hh-note", "many has no blocks called D; its layers are written L or X or M or O")
    typed(new_models, "X12H1")
    new_models.says(1, ".hh-note", "many has no cross block 12; its cross blocks are 0 to 11")


def typed(grid: GridPage, text: str) -> None:
    grid.page.evaluate("(text) => { hh.find(1).widgets.find((w) => w.name === 'heads').value = text }", text)


def test_grids_kept_before_there_were_segments(grid):
    """In this browser, a study or a preset: the kinds of the layers alone."""
    read = """async (data) => (await import('/extensions/headhunter/grid.js')).readGrid(data)"""
    flux = {"model": "flux1", "layers": 57, "heads": 24, "kinds": ["double"] * 19 + ["single"] * 38}
    segments = [{"kind": "double", "letter": "D", "count": 19}, {"kind": "single", "letter": "S", "count": 38}]
    assert grid.page.evaluate(read, flux)["segments"] == segments
    sd3 = {"model": "sd3-medium", "layers": 24, "heads": 24, "kinds": ["joint"] * 24}
    assert grid.page.evaluate(read, sd3)["segments"] == [{"kind": "joint", "letter": None, "count": 24}]
    wrong = [
        {"layers": 25},
        {"kinds": None},
        {"heads": 0},
        {"segments": [{"kind": "x", "letter": "L", "count": 24}]},
        {"segments": []},
    ]
    assert [grid.page.evaluate(read, sd3 | change) for change in wrong] == [None] * len(wrong)
