"""A head grid in an open page, worked with mouse and keyboard; what it did is read from the prompt that would be queued."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from hosting import browser
from hosting.server import Server

SD3 = ("CheckpointLoaderSimple", {"ckpt_name": "sd3.safetensors"})
LARGE = ("CheckpointLoaderSimple", {"ckpt_name": "large.safetensors"})
FLUX = ("UNETLoader", {"unet_name": "flux1-dev.safetensors"})


def soft_pag(heads: str = "") -> tuple[str, dict[str, str]]:
    return "HeadHunterSoftPAG", {"heads": heads}


# A small library in the page: elements of a node's grid, and the place of a cell on the screen.
LIBRARY = """async () => {
  const { layoutOf } = await import('/extensions/headhunter/widget/layout.js');
  const { readGrid } = await import('/extensions/headhunter/grid.js');
  const find = (id) => { for (const graph of [app.rootGraph ?? app.graph, ...((app.rootGraph ?? app.graph).subgraphs?.values() ?? [])])
    { const node = graph.getNodeById(id); if (node?.widgets?.some((w) => w.type === 'headhunter-grid')) return node } };
  const root = (id) => find(id).widgets.find((w) => w.type === 'headhunter-grid').element;
  const joint = (layers, heads) => ({ layers, heads, segments: [{ kind: 'joint', letter: null, count: layers }] });
  const flux = { layers: 57, heads: 24, segments: [{ kind: 'double', letter: 'D', count: 19 }, { kind: 'single', letter: 'S', count: 38 }] };
  const known = { 'sd3-medium': joint(24, 24), 'sd3.5-large': joint(38, 38), flux1: flux, 'sd3-4x4': joint(4, 4) };
  window.hh = {
    root, find, known,
    text: (id, part) => { const e = root(id).querySelector(part); return !e || e.hidden || e.closest('[hidden]') ? '' : e.textContent },
    spot: (id, layer, head) => {
      const canvas = root(id).querySelector('canvas');
      const model = Object.keys(known).find((name) => canvas.ariaLabel.includes(name + ' '));
      const l = layoutOf(readGrid({ model, ...known[model] }), canvas.clientWidth, canvas.clientHeight);
      const x = head === null ? l.left - 12 : l.x(head) + l.cellWidth / 2;
      const y = layer === null ? l.top / 2 : l.y(layer) + l.cellHeight / 2;
      const box = canvas.getBoundingClientRect();
      return [box.left + x * box.width / canvas.clientWidth, box.top + y * box.height / canvas.clientHeight];
    },
    colour: (id, layer, head) => {
      const canvas = root(id).querySelector('canvas'), [x, y] = hh.spot(id, layer, head), box = canvas.getBoundingClientRect();
      const at = [(x - box.left) / box.width * canvas.width, (y - box.top) / box.height * canvas.height];
      return [...canvas.getContext('2d').getImageData(...at.map(Math.round), 1, 1).data];
    },
  } }"""

TRACKER = "app.extensionManager?.workflow?.activeWorkflow?.changeTracker"
"""ComfyUI's record of steps that can be undone, in the page."""


class GridPage:
    """A page with grids. Ids are node ids. `settle` waits for what is asked of it, never for a time."""

    def __init__(self, page: Page, server: Server):
        self.page, self.server = page, server
        self.view = (1.0, 60.0, 90.0)
        page.evaluate(LIBRARY)

    # The graph

    def open(
        self, nodes: Sequence[tuple[str, Mapping[str, Any]]], links: Sequence[tuple[int, int, int, int]] = ()
    ) -> None:
        """Opens a new workflow of nodes (type, widget values) with ids from 1, in a row, and links (from, slot, to, slot)."""
        self.page.evaluate(
            """async ([nodes, links]) => {
              const graph = new app.graph.constructor();
              let x = 20;
              nodes.forEach(([type, values], index) => {
                const node = LiteGraph.createNode(type);
                node.id = index + 1;
                graph.add(node);
                node.pos = [x, 40];
                x += node.size[0] + 30;
                for (const [name, value] of Object.entries(values)) node.widgets.find((w) => w.name === name).value = value;
              });
              for (const [from, slot, to, input] of links) graph.getNodeById(from).connect(slot, graph.getNodeById(to), input);
              const data = graph.serialize();
              await app.loadGraphData(data, true, true, null);
            }""",
            [[[kind, dict(values)] for kind, values in nodes], list(links)],
        )
        self.show()

    def load(self, workflow: Mapping[str, Any]) -> None:
        self.page.evaluate("(data) => app.loadGraphData(data, true, true, null)", dict(workflow))

    def show(self, scale: float = 1.0, x: float = 60.0, y: float = 90.0) -> None:
        """Moves the view so that the graph's origin lies at (x, y) on the screen, against what the page itself may want."""
        self.view = (scale, x, y)
        self.page.evaluate(
            """async ([scale, x, y]) => { let held = 0;
            while (held < 12) {
              const box = app.canvas.canvas.getBoundingClientRect(), ds = app.canvas.ds;
              const [left, top] = [(x - box.left) / scale, (y - box.top) / scale];
              held = ds.scale === scale && ds.offset[0] === left && ds.offset[1] === top ? held + 1 : 0;
              ds.scale = scale; ds.offset[0] = left; ds.offset[1] = top;
              app.canvas.setDirty(true, true);
              await new Promise(requestAnimationFrame) } }""",
            self.view,
        )
        self.steady()

    def bring(self, id: int, scale: float = 1.0, left: float = 420, bottom: float = 975) -> None:
        """Moves the view so that a grid lies there; Nodes 2.0 may have put its node anywhere."""
        # First by the node, since the classic renderer hides what is out of sight; then by what is seen.
        x, y = self.page.evaluate("(id) => [...hh.find(id).pos]", id)
        self.show(scale, left - x * scale, 100 - y * scale)
        x, y = self.page.evaluate(
            "(id) => { const r = hh.root(id).getBoundingClientRect(); return [r.left, r.bottom] }", id
        )
        self.show(scale, self.view[1] + left - x, self.view[2] + bottom - y)

    def steady(self) -> None:
        """Until the grids have stood still for three frames."""
        self.page.evaluate(
            """async () => { let before = '', same = 0;
            while (same < 3) { await new Promise(requestAnimationFrame);
              const now = [...document.querySelectorAll('.hh-grid canvas')].map((c) => { const b = c.getBoundingClientRect();
                return [b.x, b.y, b.width, b.height, c.width, c.height, c.ariaLabel].join() }).join(';');
              same = now === before ? same + 1 : 0; before = now } }"""
        )

    def workflow(self) -> dict[str, Any]:
        # As text: a missing field would come back as None, which is not the same to ComfyUI.
        return json.loads(self.page.evaluate("() => JSON.stringify(app.graph.serialize())"))

    def prompt(self) -> dict[str, Any]:
        """What would be queued."""
        return self.page.evaluate("async () => (await app.graphToPrompt()).output")

    def undo(self) -> None:
        """One step back, by the keys, once the page has taken the step; pressed again where a busy page let the keys fall.

        ComfyUI takes steps and keys in a later frame, and passes keys on to a text field that has the focus.
        """
        steps = f"() => {TRACKER}?.undoQueue.length ?? 0"
        self.page.locator(".hh-menu").wait_for(state="detached")
        self.until(
            f"""() => {{ const taken = {TRACKER}?.activeState, ids = (nodes) => nodes.map(({{ id }}) => Number(id)).sort().join();
            return taken && {TRACKER}.undoQueue.length > 0 && ids(taken.nodes) === ids(app.graph._nodes) }}""",
            says=lambda: f"no step was taken: {self.page.evaluate(steps)} steps to undo",
        )
        before = self.page.evaluate(steps)
        for _ in range(3):
            self.page.evaluate("() => document.activeElement?.blur()")
            self.page.keyboard.press("Control+z")
            for _ in range(40):
                if self.page.evaluate(steps) != before:
                    return
                self.page.wait_for_timeout(50)
        raise AssertionError(f"the keys were not taken; {before} steps to undo")

    # What is seen

    def settle(self, id: int, heads: str, field: str = "heads") -> None:
        """Waits until the prompt that would be queued has these heads; the error says which it has."""
        self.until(
            "async ([id, field, heads]) => (await app.graphToPrompt()).output[id]?.inputs[field] === heads",
            [id, field, heads],
            lambda: f"queued {self.prompt()[str(id)]['inputs'][field]!r}, expected {heads!r}",
        )

    def settle_alone(self, id: int, heads: str, field: str = "heads") -> None:
        """As `settle`, for a node that no output needs, so that no prompt holds it."""
        self.until(
            "([id, field, heads]) => hh.find(id).widgets.find((w) => w.name === field).value === heads",
            [id, field, heads],
        )

    def again(self) -> None:
        """After a reload."""
        browser.ready(self.page)
        self.page.evaluate(LIBRARY)

    def until(self, condition: str, argument: Any = None, says: Any = None, timeout: float = 15_000) -> None:
        """Waits until a function in the page gives something true; it may be async (Playwright's own waiting takes any promise for true)."""
        held = self.page.evaluate(
            f"""async ([argument, timeout]) => {{ const check = {condition}, end = performance.now() + timeout;
            for (;;) {{ if (await check(argument)) return true; if (performance.now() > end) return false;
            await new Promise((done) => setTimeout(done, 40)) }} }}""",
            [argument, timeout],
        )
        assert held, says() if says else f"never: {condition} {argument}"

    def text(self, id: int, part: str) -> str:
        return self.page.evaluate("([id, part]) => hh.text(id, part)", [id, part])

    def says(self, id: int, part: str, words: str) -> None:
        """Waits until a part of the grid (`.hh-note`, `.hh-count`, `.hh-read`) says some words; "": until it says nothing."""
        self.until(
            "([id, part, words]) => words ? hh.text(id, part).includes(words) : !hh.text(id, part)",
            [id, part, words],
            lambda: f"{part} says {self.text(id, part)!r}, expected {words!r}",
        )

    def knows(self, id: int, model: str) -> None:
        """Waits until the grid is that model's, and brings it into sight."""
        # The classic renderer takes what is out of sight out of the page, where a grid looks at nothing.
        if not self.page.evaluate("(id) => hh.root(id).isConnected", id):
            self.bring(id)
        self.until(
            "([id, model]) => hh.root(id).querySelector('canvas').ariaLabel?.includes(model + ' ')",
            [id, model],
            lambda: f"{self.text(id, '.hh-note')!r}, expected the grid of {model}",
        )
        self.bring(id)

    def colour(self, id: int, layer: int, head: int) -> tuple[int, ...]:
        """The cell's colour in its middle, RGBA."""
        return tuple(self.page.evaluate("(args) => hh.colour(...args)", [id, layer, head]))

    # Hands

    def spot(self, id: int, layer: int | None, head: int | None) -> tuple[float, float]:
        """Where a cell is on the screen; layer None is a head's label, head None a layer's."""
        x, y = self.page.evaluate("(args) => hh.spot(...args)", [id, layer, head])
        return x, y

    def click(self, id: int, layer: int | None, head: int | None) -> None:
        self.page.mouse.click(*self.spot(id, layer, head))

    def drag(self, id: int, *cells: tuple[int | None, int | None], shift: bool = False, steps: int = 4) -> None:
        self.page.mouse.move(*self.spot(id, *cells[0]))
        if shift:
            self.page.keyboard.down("Shift")
        self.page.mouse.down()
        for cell in cells[1:]:
            self.page.mouse.move(*self.spot(id, *cell), steps=steps)
        self.page.mouse.up()
        if shift:
            self.page.keyboard.up("Shift")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def button(self, id: int, name: str) -> None:
        x, y = self.page.evaluate(
            """([id, name]) => { const b = [...hh.root(id).querySelectorAll('button')].find((b) => b.textContent.startsWith(name))
            .getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] }""",
            [id, name],
        )
        self.page.mouse.click(x, y)


def header_only(path: Path, shapes: Mapping[str, Sequence[int]]) -> None:
    """A safetensors file of which there is only the header: all that a grid is read from."""
    entries = {name: {"dtype": "F16", "shape": list(shape), "data_offsets": [0, 0]} for name, shape in shapes.items()}
    header = json.dumps(entries).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def sd3_shapes(depth: int) -> dict[str, tuple[int, ...]]:
    width = 64 * depth
    blocks = {f"joint_blocks.{i}.context_block.attn.qkv.weight": (3 * width, width) for i in range(depth)}
    return {"x_embedder.proj.weight": (width, 16, 2, 2), **blocks}


def flux_shapes() -> dict[str, tuple[int, ...]]:
    double = {f"double_blocks.{i}.img_attn.norm.key_norm.scale": (128,) for i in range(19)}
    single = {f"single_blocks.{i}.linear1.weight": (21504, 3072) for i in range(38)}
    return {"img_in.weight": (3072, 64), **double, **single}
