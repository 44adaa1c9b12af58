"""Heads stay with a workflow however it is handed on: saved, dropped as a picture, copied, in a subgraph, muted, without our JavaScript."""

from __future__ import annotations

import base64
import io
import json

import pytest
from gridfixtures import DEMO, everywhere
from gridpage import SD3, soft_pag
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hosting import browser

pytestmark = [pytest.mark.live, pytest.mark.browser]
HEADS = "L1H10@0.35, L7H0-3, L9"
CHAIN = [(1, 0, 2, 0), (2, 0, 3, 0)]
SAVE = ("HeadHunterSavePreset", {"name": "x"})


def queued(grid) -> list[str]:
    """The heads of all SoftPAG nodes in the prompt."""
    return [node["inputs"]["heads"] for node in grid.prompt().values() if node["class_type"] == "HeadHunterSoftPAG"]


def open_chain(grid) -> dict:
    grid.open([SD3, soft_pag(HEADS), SAVE], CHAIN)
    grid.knows(2, "sd3-medium")
    return grid.workflow()


def test_saved_and_loaded(grid):
    saved = json.loads(json.dumps(open_chain(grid)))
    before = grid.prompt()
    grid.open([SD3], [])
    grid.load(saved)
    grid.knows(2, "sd3-medium")
    assert grid.prompt() == before and queued(grid) == [HEADS]
    grid.click(2, 0, 0)
    grid.settle(2, "L0H0, " + HEADS)


def test_dropped_as_a_picture(grid):
    saved = open_chain(grid)
    data = PngInfo()
    data.add_text("workflow", json.dumps(saved))
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=data)
    grid.open([SD3], [])
    grid.page.evaluate(
        """(data) => { const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)), files = new DataTransfer();
        files.items.add(new File([bytes], 'picture.png', { type: 'image/png' }));
        const at = { dataTransfer: files, bubbles: true, cancelable: true, clientX: 700, clientY: 900 };
        for (const name of ['dragenter', 'dragover', 'drop']) app.canvas.canvas.dispatchEvent(new DragEvent(name, at)) }""",
        base64.b64encode(file.getvalue()).decode(),
    )
    grid.until("() => app.graph._nodes.length === 3")
    grid.knows(2, "sd3-medium")
    grid.settle(2, HEADS)


def test_copied_and_pasted(grid):
    open_chain(grid)
    grid.page.evaluate("() => { app.canvas.selectItems([app.graph.getNodeById(2)]); app.canvas.canvas.focus() }")
    grid.page.mouse.move(700, 930)
    grid.press("Control+c", "Control+v")
    grid.until("() => app.graph._nodes.length === 4")
    pasted = int(
        grid.page.evaluate("() => app.graph._nodes.find((n) => n.type === 'HeadHunterSoftPAG' && n.id != 2).id")
    )
    grid.settle_alone(pasted, HEADS)
    grid.page.evaluate(
        """(id) => { const g = app.graph; g.getNodeById(1).connect(0, g.getNodeById(id), 0);
        g.getNodeById(id).connect(0, g.getNodeById(3), 0); g.remove(g.getNodeById(2)); g.getNodeById(id).pos = [340, 40] }""",
        pasted,
    )
    grid.knows(pasted, "sd3-medium")
    grid.click(pasted, 0, 0)
    grid.settle(pasted, "L0H0, " + HEADS)


@everywhere
def test_in_a_subgraph_and_promoted(grid):
    open_chain(grid)
    grid.page.evaluate("() => { app.graph.convertToSubgraph(new Set([app.graph.getNodeById(2)])) }")
    assert queued(grid) == [HEADS]
    enter = """() => { const s = app.graph._nodes.find((n) => n.subgraph); app.canvas.openSubgraph(s.subgraph, s);
      return s.subgraph._nodes[0].id }"""
    inner = int(grid.page.evaluate(enter))
    grid.until("(id) => app.canvas.graph.getNodeById(id) && hh.root(id).isConnected", inner)
    grid.knows(inner, "sd3-medium")
    grid.click(inner, 0, 0)
    grid.until(
        "async () => Object.values((await app.graphToPrompt()).output).some((n) => n.inputs.heads?.startsWith('L0H0, '))"
    )
    assert queued(grid) == ["L0H0, " + HEADS]
    # Promoted: the value comes from outside, and the grid inside shows it without changing it.
    grid.page.evaluate(
        """(id) => { const sub = app.canvas.graph, node = sub.getNodeById(id), slot = sub.addInput('heads', 'STRING');
        const input = node.inputs.find((i) => (i.widget?.name ?? i.name) === 'heads'); slot.connect(input, node) }""",
        inner,
    )
    grid.says(inner, ".hh-note", "by wire")
    grid.page.evaluate("() => app.canvas.setGraph(app.canvas.graph.rootGraph)")
    grid.page.evaluate(
        """() => { const s = app.graph._nodes.find((n) => n.subgraph); const w = s.widgets.find((w) => w.name === 'heads');
        w.value = 'L5'; w.callback?.('L5') }"""
    )
    assert queued(grid) == ["L5"]
    saved = grid.workflow()
    grid.page.evaluate(enter)
    grid.knows(inner, "sd3-medium")
    grid.says(inner, ".hh-count", "24 heads · 1 layer")
    grid.click(inner, 1, 1)
    grid.page.evaluate("() => app.canvas.setGraph(app.canvas.graph.rootGraph)")
    assert queued(grid) == ["L5"]
    grid.load(saved)
    grid.until("() => app.graph._nodes.some((n) => n.subgraph)")
    assert queued(grid) == ["L5"]


def test_muted_and_back(grid):
    open_chain(grid)
    for mode in (2, 4):
        grid.page.evaluate("(mode) => { app.graph.getNodeById(2).mode = mode }", mode)
        assert queued(grid) == []
        grid.load(grid.workflow())
        grid.knows(2, "sd3-medium")
        grid.page.evaluate("() => { app.graph.getNodeById(2).mode = 0 }")
        assert queued(grid) == [HEADS]


def test_without_our_javascript(grid):
    """The text alone carries the heads, there and back."""
    saved = open_chain(grid)
    expected = grid.prompt()
    bare = grid.page.context.new_page()
    bare.route("**/extensions/headhunter/**", lambda route: route.fulfill(content_type="text/javascript", body=""))
    bare.goto(grid.server.url)
    browser.ready(bare)
    back, prompt = bare.evaluate(
        """async (data) => { await app.loadGraphData(data, true, true, null);
        return [JSON.stringify(app.graph.serialize()), (await app.graphToPrompt()).output] }""",
        saved,
    )
    assert prompt == expected
    bare.close()
    grid.page.bring_to_front()
    grid.load(json.loads(back))
    grid.knows(2, "sd3-medium")
    assert grid.prompt() == expected
    # The server has the last word: it takes the same prompt with no page at all.
    assert grid.server.post("/prompt", {"prompt": expected})["node_errors"] == {}


def test_a_presets_heads_are_shown(grid):
    text = (DEMO.parent / "presets" / "sd3-medium" / "dark-lighting-and-shearing-L1H10-L11H15.json").read_text()
    grid.open([SD3, ("HeadHunterPreset", {"preset_json": text})], [(1, 0, 2, 0)])
    grid.knows(2, "sd3-medium")
    grid.says(2, ".hh-count", "2 heads · 2 layers")
    grid.says(2, ".hh-note", "the preset's heads")
    before = grid.page.evaluate("() => app.graph.getNodeById(2).widgets.map((w) => w.value)")
    grid.click(2, 0, 0)
    assert grid.page.evaluate("() => app.graph.getNodeById(2).widgets.map((w) => w.value)") == before


def test_a_shipped_presets_heads_are_shown_when_it_is_chosen(grid):
    """Before any run; one for another model says so."""
    grid.open([SD3, ("HeadHunterPreset", {"preset": "none", "preset_json": ""})], [(1, 0, 2, 0)])
    grid.knows(2, "sd3-medium")
    grid.says(2, ".hh-count", "0 heads")
    choose = "(name) => { hh.find(2).widgets.find((w) => w.name === 'preset').value = name }"
    grid.page.evaluate(choose, "sd3-medium/dark-lighting-and-shearing-L1H10-L11H15")
    grid.says(2, ".hh-count", "2 heads · 2 layers")
    grid.says(2, ".hh-note", "the preset's heads")
    grid.page.evaluate(choose, "flux1/golden-hour-L38H18")
    grid.says(2, ".hh-note", "This preset is for flux1 (57 layers x 24 heads)")
    grid.says(2, ".hh-count", "0 heads")
    grid.page.evaluate(choose, "none")
    grid.says(2, ".hh-note", "the preset's heads")
    grid.says(2, ".hh-count", "0 heads")
