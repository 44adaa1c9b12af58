"""The grid knows the model before the first run, and says so where it cannot."""

from __future__ import annotations

import pytest
from gridpage import FLUX, SD3, soft_pag

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
    grid.says(1, ".hh-note", "Shown as flux1")
    grid.click(1, 30, 3)
    grid.settle_alone(1, "L1H2, L30H3")
    # The choice is in the workflow, and one step of undo.
    grid.load(grid.workflow())
    grid.knows(1, "flux1")
    grid.button(1, "another")
    grid.says(1, ".hh-note", "No model is connected")
    grid.press("Control+z")
    grid.knows(1, "flux1")


def test_a_file_that_does_not_tell_is_remembered_after_a_run(grid):
    grid.page.evaluate("() => localStorage.removeItem('headhunter.grids')")
    grid.page.reload()
    grid.again()
    grid.open([ODD, soft_pag("L1"), ("HeadHunterSavePreset", {"name": "odd"})], [(1, 0, 2, 0), (2, 0, 3, 0)])
    grid.says(2, ".hh-note", "odd.ckpt does not tell its grid")
    grid.page.evaluate("() => app.queuePrompt(0)")
    grid.knows(2, "sd3-4x4")
    # Also in a new page, before any run.
    grid.page.reload()
    grid.again()
    grid.open([ODD, soft_pag("L2H1")], [(1, 0, 2, 0)])
    grid.knows(2, "sd3-4x4")
    grid.says(2, ".hh-note", "")


def test_a_file_that_is_not_there(grid):
    grid.open([("UNETLoader", {"unet_name": "gone.safetensors"}), soft_pag("L1")], [(1, 0, 2, 0)])
    grid.says(2, ".hh-note", "gone.safetensors")
    grid.button(2, "SD3 / SD3.5 medium")
    grid.knows(2, "sd3-medium")
