"""The head grid in a real Chromium: the main gestures in both renderers, of this ComfyUI's own frontend and of the newest one.

Everything is done with mouse and keyboard, and read from the prompt that would be queued.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gridfixtures import everywhere
from gridpage import FLUX, LARGE, SD3, GridPage, soft_pag

pytestmark = [pytest.mark.live, pytest.mark.browser]
CASES = json.loads((Path(__file__).parent / "data" / "heads_cases.json").read_text(encoding="utf-8"))


WIRE = """([from, to]) => { const node = app.graph.getNodeById(to);
  app.graph.getNodeById(from).connect(0, node, node.inputs.findIndex((input) => input.name === 'heads')) }"""


def open_sd3(grid: GridPage, heads: str = "") -> None:
    grid.open([SD3, soft_pag(heads)], [(1, 0, 2, 0)])
    grid.knows(2, "sd3-medium")


@everywhere
def test_click_and_drag(grid):
    open_sd3(grid)
    grid.click(2, 11, 15)
    grid.settle(2, "L11H15")
    grid.click(2, 11, 15)
    grid.settle(2, "")
    # The first cell decides; a fast stroke skips none.
    grid.drag(2, (7, 0), (7, 3), steps=1)
    grid.settle(2, "L7H0-3")
    grid.drag(2, (7, 2), (7, 5))
    grid.settle(2, "L7H0-1")
    grid.drag(2, (7, 5), (7, 0))
    grid.settle(2, "L7H0-5")
    grid.drag(2, (9, 4), (12, 6), shift=True)
    grid.settle(2, "L7H0-5, L9H4-6, L10H4-6, L11H4-6, L12H4-6")
    # A rectangle can shrink again while it is drawn.
    grid.drag(2, (12, 5), (8, 8), (11, 5), shift=True)
    grid.settle(2, "L7H0-5, L9H4-6, L10H4-6, L11H4, L11H6, L12H4, L12H6")


def test_labels(grid):
    open_sd3(grid, "L9H3@0.5")
    grid.click(2, 9, None)
    grid.settle(2, "L9H0-2, L9H3@0.5, L9H4-23")
    grid.click(2, 9, None)
    grid.settle(2, "")
    grid.drag(2, (4, None), (6, None))
    grid.settle(2, "L4, L5, L6")
    grid.click(2, None, 5)
    rest = [f"L{layer}" if 4 <= layer <= 6 else f"L{layer}H5" for layer in range(24)]
    grid.settle(2, ", ".join(rest))
    grid.click(2, None, None)
    grid.settle(2, "*")


def test_buttons_and_the_line_below(grid):
    open_sd3(grid, "L1, L2H3")
    grid.says(2, ".hh-count", "25 heads · 2 layers")
    grid.page.mouse.move(*grid.spot(2, 2, 3))
    grid.says(2, ".hh-read", "L2 H3 · joint · strength 0.5")
    size = "() => hh.root(2).querySelector('canvas').clientHeight"
    before = grid.page.evaluate(size)
    # The shipped presets that hold a head are named without a look into the menu.
    grid.page.mouse.move(*grid.spot(2, 0, 15))
    grid.says(2, ".hh-read", "L0 H15 · joint · in “white (L0H15)”")
    assert grid.page.evaluate(size) == before, "words must not move the cells"
    grid.button(2, "Invert")
    grid.settle(2, "L0, L2H0-2, L2H4-23, " + ", ".join(f"L{layer}" for layer in range(3, 24)))
    grid.button(2, "Clear")
    grid.settle(2, "")
    grid.says(2, ".hh-count", "0 heads")


@everywhere
def test_wheel(grid):
    """It zooms, whatever was painted last; while the slider is open it changes strengths."""
    open_sd3(grid)
    at = grid.spot(2, 3, 4)
    scale = "() => app.canvas.ds.scale"
    grid.page.mouse.move(*at)
    before = grid.page.evaluate(scale)
    grid.page.mouse.wheel(0, -120)
    grid.until(f"(before) => ({scale})() !== before", before)
    assert grid.prompt()["2"]["inputs"]["heads"] == ""
    grid.bring(2)
    grid.click(2, 3, 4)
    grid.settle(2, "L3H4")
    grid.page.mouse.wheel(0, -120)
    grid.until(f"() => ({scale})() !== 1")
    grid.settle(2, "L3H4")
    grid.bring(2)
    grid.page.mouse.click(*grid.spot(2, 3, 4), button="right")
    grid.says(2, ".hh-slider", "L3 H4")
    for _ in range(3):
        grid.page.mouse.wheel(0, -100)
    grid.settle(2, "L3H4@0.65")
    grid.page.mouse.move(*grid.spot(2, 2, 16))
    grid.page.mouse.wheel(0, 100)
    grid.settle(2, "L2H16@0.45, L3H4@0.65")
    assert grid.page.evaluate(scale) == 1
    # Escape gives the wheel back.
    grid.press("Escape")
    grid.page.mouse.wheel(0, -120)
    grid.until(f"() => ({scale})() !== 1")
    grid.settle(2, "L2H16@0.45, L3H4@0.65")


def test_keyboard(grid):
    open_sd3(grid)
    grid.page.evaluate("() => hh.root(2).querySelector('canvas').focus()")
    grid.press("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft", "Space")
    # The first arrow only shows where one is: the first cell.
    grid.settle(2, "L0H2")
    grid.says(2, ".hh-read", "L0 H2 · joint")
    grid.press("ArrowDown", "4")
    grid.settle(2, "L0H2, L1H2@0.4")
    grid.press("-")
    grid.settle(2, "L0H2, L1H2@-0.4")
    grid.press("0")
    grid.settle(2, "L0H2, L1H2@1")
    grid.press("n")
    grid.settle(2, "L0H2, L1H2")
    grid.press("Delete")
    grid.settle(2, "L0H2")
    assert grid.page.evaluate("() => getComputedStyle(hh.root(2).querySelector('canvas')).boxShadow") != "none"
    grid.until("() => hh.root(2).querySelector('canvas').ariaLabel.includes(', 1 head')")
    # The keyboard gets there and away by itself.
    grid.page.evaluate("() => [...hh.root(2).querySelectorAll('.hh-bar button:not([hidden])')].at(-1).focus()")
    grid.press("Tab")
    assert grid.page.evaluate("() => document.activeElement === hh.root(2).querySelector('canvas')")


@everywhere
def test_undo_and_redo_one_step_a_gesture(grid):
    open_sd3(grid)
    states = [""]

    def did(heads: str) -> None:
        grid.settle(2, heads)
        states.append(heads)

    grid.click(2, 1, 1)
    did("L1H1")
    grid.drag(2, (7, 0), (7, 4), (9, 4))
    did("L1H1, L7H0-4, L8H4, L9H4")
    grid.drag(2, (12, 0), (13, 1), shift=True)
    did("L1H1, L7H0-4, L8H4, L9H4, L12H0-1, L13H0-1")
    # One run of the wheel, however slow this machine is; it reaches all that is selected.
    grid.page.mouse.click(*grid.spot(2, 13, 1), button="right")
    grid.page.evaluate(
        """([x, y]) => { for (let i = 0; i < 4; i++) hh.root(2).querySelector('canvas').dispatchEvent(
        new WheelEvent('wheel', { deltaY: -100, clientX: x, clientY: y, bubbles: true, cancelable: true })) }""",
        grid.spot(2, 13, 1),
    )
    did("L1H1, L7H0-4, L8H4, L9H4, L12H0-1@0.7, L13H0-1@0.7")
    grid.press("3")
    did("L1H1, L7H0-4, L8H4, L9H4, L12H0-1@0.3, L13H0-1@0.3")
    grid.button(2, "Clear")
    did("")
    for heads in reversed(states[:-1]):
        grid.undo()
        grid.settle(2, heads)
    for heads in states[1:]:
        grid.press("Control+y")
        grid.settle(2, heads)
    grid.knows(2, "sd3-medium")


@everywhere
def test_typed_text(grid):
    open_sd3(grid)
    box = grid.page.locator("textarea").first
    box.fill("l7h3 L7H0-2, L34H1")
    grid.says(2, ".hh-note", '"L34H1" (line 1, column 14): sd3-medium has no layer 34; its layers are 0 to 23')
    grid.click(2, 1, 1)
    grid.settle(2, "l7h3 L7H0-2, L34H1")
    grid.button(2, "Clear")
    grid.settle(2, "")
    box.fill("L7H0-3 # warm\nL9")
    grid.says(2, ".hh-note", "left as it was written")
    grid.says(2, ".hh-count", "28 heads · 2 layers")
    grid.click(2, 1, 1)
    grid.settle(2, "L7H0-3 # warm\nL9")
    grid.button(2, "Make it paintable")
    grid.settle(2, "L7H0-3, L9")
    grid.says(2, ".hh-note", "")
    grid.press("Control+z")
    grid.settle(2, "L7H0-3 # warm\nL9")
    box = grid.page.locator("textarea").first
    box.fill("l7h3 L7H0-2")
    grid.says(2, ".hh-note", "")
    # Shown as it is; written in canonical form with the next edit.
    grid.settle(2, "l7h3 L7H0-2")
    grid.click(2, 0, 0)
    grid.settle(2, "L0H0, L7H0-3")
    assert box.input_value() == "L0H0, L7H0-3"


def test_flux_and_large(grid):
    grid.open([FLUX, soft_pag("D3H5, S15H2"), LARGE, soft_pag("L37H37")], [(1, 0, 2, 0), (3, 0, 4, 0)])
    grid.knows(2, "flux1")
    grid.knows(4, "sd3.5-large")
    grid.bring(2)
    grid.page.mouse.move(*grid.spot(2, 34, 2))
    grid.says(2, ".hh-read", "L34 H2 · single 15 (S15) · strength 0.5")
    grid.page.mouse.move(*grid.spot(2, 18, 0))
    grid.says(2, ".hh-read", "L18 H0 · double 18 (D18)")
    grid.drag(2, (17, 1), (20, 1))
    grid.settle(2, "L3H5, L17H1, L18H1, L19H1, L20H1, L34H2")
    grid.click(2, 56, 23)
    grid.settle(2, "L3H5, L17H1, L18H1, L19H1, L20H1, L34H2, L56H23")
    grid.bring(4)
    grid.click(4, 36, 0)
    grid.settle(4, "L36H0, L37H37")


def test_a_wire(grid):
    grid.open([SD3, soft_pag(), ("PrimitiveStringMultiline", {"value": "L4H1-2"})], [(1, 0, 2, 0)])
    grid.page.evaluate(WIRE, [3, 2])
    grid.knows(2, "sd3-medium")
    grid.says(2, ".hh-note", "by wire")
    grid.says(2, ".hh-count", "2 heads · 1 layer")
    before = grid.prompt()
    grid.click(2, 1, 1)
    grid.button(2, "Clear")
    assert grid.prompt() == before
    grid.page.evaluate("() => app.graph.getNodeById(3).widgets[0].value = 'L5'")
    grid.says(2, ".hh-count", "24 heads · 1 layer")


def test_zoomed(grid):
    open_sd3(grid)
    grid.bring(2, 2.0, 200)
    grid.click(2, 20, 3)
    grid.settle(2, "L20H3")
    grid.bring(2, 0.7)
    grid.drag(2, (0, 0), (0, 2))
    grid.settle(2, "L0H0-2, L20H3")


def test_nothing_is_added_to_the_workflow_or_the_prompt(grid):
    open_sd3(grid, "L1")
    node = next(node for node in grid.workflow()["nodes"] if node["id"] == 2)
    assert len(node["widgets_values"]) == 14
    first = grid.prompt()
    assert "headhunter-grid" not in json.dumps(first)
    assert grid.prompt() == first
    assert "headhunter_grid" not in node["properties"]


def test_middle_drag_pans(grid):
    open_sd3(grid)
    x, y = grid.spot(2, 10, 10)
    before = grid.page.evaluate("() => [...app.canvas.ds.offset]")
    grid.page.mouse.move(x, y)
    grid.page.mouse.down(button="middle")
    grid.page.mouse.move(x + 40, y + 30, steps=4)
    grid.page.mouse.up(button="middle")
    grid.until(
        "([x, y]) => Math.abs(app.canvas.ds.offset[0] - x - 40) < 3 && Math.abs(app.canvas.ds.offset[1] - y - 30) < 3",
        before,
    )
    grid.page.mouse.move(x, y)
    grid.page.mouse.move(x + 80, y)
    assert abs(grid.page.evaluate("() => app.canvas.ds.offset[0]") - before[0] - 40) < 3
    grid.settle(2, "")


def test_the_shared_table_of_cases(grid):
    """The browser's parser on the table that drives Python's."""
    wrong = grid.page.evaluate(
        """async ({ grids, cases }) => {
          const { parse, canonical, format } = await import('/extensions/headhunter/heads.js');
          const { readGrid } = await import('/extensions/headhunter/grid.js');
          const all = Object.fromEntries(Object.entries(grids).map(([model, { heads, ...blocks }]) => {
            const kinds = ['joint', 'double', 'single'].flatMap((kind) => Array(blocks[kind] ?? 0).fill(kind));
            return [model, readGrid({ model, layers: kinds.length, heads, kinds })] }));
          return cases.filter(({ text, grid, canonical: expected, error }) => {
            try { const got = canonical(text, all[grid]);
              return got !== expected || canonical(got, all[grid]) !== got || format(parse(got, all[grid]), all[grid]) !== got }
            catch (e) { return !error || e.item !== error.item || e.line !== error.line || e.column !== error.column
              || !e.message.includes(error.says) } }) }""",
        CASES,
    )
    assert wrong == []
