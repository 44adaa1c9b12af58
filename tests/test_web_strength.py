"""Strengths of many heads at once: keys, wheel and slider act on what the line under the grid names, and on the selection."""

from __future__ import annotations

import pytest
from gridfixtures import everywhere
from gridpage import SD3, GridPage, soft_pag

pytestmark = [pytest.mark.live, pytest.mark.browser]


def open_sd3(grid: GridPage, heads: str = "") -> None:
    grid.open([SD3, soft_pag(heads)], [(1, 0, 2, 0)])
    grid.knows(2, "sd3-medium")


def slide(grid: GridPage, value: str) -> None:
    """As a hand does: the slider's thumb is moved, then let go."""
    slider = grid.page.locator(".hh-slider:not([hidden]) input")
    slider.focus()
    slider.fill(value)


@everywhere
def test_keys_act_on_what_the_line_names(grid):
    open_sd3(grid, "L2H3, L5")
    grid.click(2, 9, 9)
    grid.settle(2, "L2H3, L5, L9H9")
    # The cell under the pointer, not the one that was clicked last.
    grid.page.mouse.move(*grid.spot(2, 2, 3))
    grid.says(2, ".hh-read", "L2 H3")
    grid.press("4")
    grid.settle(2, "L2H3@0.4, L5, L9H9")
    # A layer's label: those of its heads that are painted, here all.
    grid.page.mouse.move(*grid.spot(2, 5, None))
    grid.says(2, ".hh-read", "L5 · the whole layer")
    grid.press("7", "-")
    grid.settle(2, "L2H3@0.4, L5@-0.7, L9H9")
    # A head's label reaches the painted ones alone.
    grid.page.mouse.move(*grid.spot(2, None, 3))
    grid.press("n")
    grid.settle(2, "L2H3, L5H0-2@-0.7, L5H3, L5H4-23@-0.7, L9H9")


def test_a_rectangle_is_changed_together(grid):
    open_sd3(grid, "L9H9")
    grid.drag(2, (2, 2), (3, 4), shift=True)
    grid.settle(2, "L2H2-4, L3H2-4, L9H9")
    grid.says(2, ".hh-read", "one of 6 selected")
    grid.press("3")
    grid.settle(2, "L2H2-4@0.3, L3H2-4@0.3, L9H9")
    # A cell outside is itself alone.
    grid.page.mouse.move(*grid.spot(2, 9, 9))
    grid.press("8")
    grid.settle(2, "L2H2-4@0.3, L3H2-4@0.3, L9H9@0.8")
    # With control a rectangle is selected and nothing painted: what is in it and painted is changed.
    grid.page.keyboard.down("Control")
    grid.drag(2, (3, 3), (9, 9))
    grid.page.keyboard.up("Control")
    grid.settle(2, "L2H2-4@0.3, L3H2-4@0.3, L9H9@0.8")
    grid.press("n")
    grid.settle(2, "L2H2-4@0.3, L3H2@0.3, L3H3-4, L9H9")
    # Escape lets go of the selection, and then of the keyboard.
    grid.press("Escape", "5")
    grid.settle(2, "L2H2-4@0.3, L3H2@0.3, L3H3-4, L9H9@0.5")


@everywhere
def test_the_slider(grid):
    open_sd3(grid, "L4H4-5, L6H6")
    grid.page.mouse.click(*grid.spot(2, 4, 4), button="right")
    grid.says(2, ".hh-slider", "L4 H4")
    assert grid.page.locator(".litecontextmenu, .p-contextmenu").count() == 0
    slide(grid, "0.25")
    grid.settle(2, "L4H4@0.25, L4H5, L6H6")
    grid.press("Escape")
    grid.says(2, ".hh-slider", "")
    # The button: all that is painted, one step of undo.
    grid.button(2, "Strength")
    grid.says(2, ".hh-slider", "3 heads")
    grid.says(2, ".hh-slider", "mixed")
    slide(grid, "-0.5")
    grid.settle(2, "L4H4-5@-0.5, L6H6@-0.5")
    grid.button(2, "node’s")
    grid.settle(2, "L4H4-5, L6H6")
    grid.press("Escape")
    grid.press("Control+z")
    grid.settle(2, "L4H4-5@-0.5, L6H6@-0.5")
    grid.press("Control+z")
    grid.settle(2, "L4H4@0.25, L4H5, L6H6")


def test_a_long_press_opens_the_slider_and_paints_nothing(grid):
    open_sd3(grid, "L4H4")
    x, y = grid.spot(2, 7, 7)
    grid.page.evaluate(
        """([x, y]) => hh.root(2).querySelector('canvas').dispatchEvent(new PointerEvent('pointerdown', { pointerId: 1,
        pointerType: 'touch', isPrimary: true, button: 0, buttons: 1, clientX: x, clientY: y, bubbles: true, cancelable: true }))""",
        [x, y],
    )
    grid.says(2, ".hh-slider", "L7 H7")
    grid.settle(2, "L4H4")
    grid.press("Escape")


def test_the_last_view_stays_when_the_model_is_disconnected(grid):
    open_sd3(grid, "L4H4")
    grid.page.evaluate("() => app.graph.getNodeById(2).disconnectInput(0)")
    grid.says(2, ".hh-note", "No model is connected. Shown as sd3-medium, as it was.")
    grid.click(2, 5, 5)
    grid.settle_alone(2, "L4H4, L5H5")
    grid.button(2, "another")
    grid.says(2, ".hh-note", "No model is connected, or its loader names no file")


def test_a_preset_node_draws_the_grid_of_its_preset(grid):
    grid.open([("HeadHunterPreset", {"preset": "flux1/golden-hour-L38H18"})])
    grid.says(1, ".hh-note", "No model is connected: drawn on that of the preset, flux1.")
    grid.says(1, ".hh-count", "1 head · 1 layer")
    grid.page.mouse.move(*grid.spot(1, 38, 18))
    grid.says(1, ".hh-read", "L38 H18 · single 19 (S19)")


def test_a_new_node_says_what_to_do_and_hints_name_the_keys(grid):
    open_sd3(grid)
    grid.says(2, ".hh-read", "drag over cells to paint them, or take a preset")
    hint = grid.text(2, ".hh-hint")
    assert "−" in hint and " n " in hint and "right click" in hint
    grid.click(2, 1, 1)
    grid.page.mouse.move(5, 500)
    grid.press("Escape")
    grid.says(2, ".hh-read", "24 layers × 24 heads")


def test_the_first_button_keeps_its_colour(grid):
    open_sd3(grid)
    button = grid.page.locator(".hh-bar button.hh-main").first
    colour = "(b) => getComputedStyle(b).backgroundColor.match(/[\\d.]+/g).slice(0, 3).map(Number)"
    before = button.evaluate(colour)
    button.hover()
    red, _, blue = button.evaluate(colour)
    scale = 255 if max(before) > 1 >= max(red, blue) else 1  # mixed colours are written in parts of 1
    assert blue * scale > 200 and blue > red + 60 / 255 * (255 if scale == 1 else 1), "it is grey while hovered"
