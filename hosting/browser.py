"""A real Chromium on a running ComfyUI's page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, sync_playwright

from .server import Server

# Without these, Chromium looks for hosts outside; --no-sandbox since CI runs as root.
ARGUMENTS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync".split()
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.InstalledVersion": "1.30.0",
    "Comfy.Workflow.ShowMissingModelsWarning": False,
    "Comfy.Workflow.ShowMissingNodesWarning": False,
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.Minimap.Visible": False,
    "Comfy.VueNodes.Enabled": False,
    "Comfy.VueNodes.AutoScaleLayout": False,
    "Comfy.ColorPalette": "dark",
}


STILL_FRAMES = 20  # for which nothing changes, before the page counts as steady


@contextmanager
def launched(chromium: Path) -> Iterator[Browser]:
    """A browser, for as long as the block lasts; one at a time."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def comfy_page(
    server: Server, chromium: Path, width: int = 1600, height: int = 1000, settings: dict[str, Any] | None = None
) -> Iterator[Page]:
    """A browser of its own on a server's page; as `open_page`."""
    with launched(chromium) as browser, open_page(browser, server, width, height, settings) as page:
        yield page


@contextmanager
def open_page(
    browser: Browser,
    server: Server,
    width: int = 1600,
    height: int = 1000,
    settings: dict[str, Any] | None = None,
    ratio: float = 1,
) -> Iterator[Page]:
    """The page of a server, ready for use. `page.problems` lists console errors and warnings that name this pack.

    Nothing outside of the server can be reached from it, whatever the machine's network.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=ratio)
    try:
        context.route(lambda url: not url.startswith((server.url, "data:", "blob:")), lambda route: route.abort())
        page = context.new_page()
        problems: list[str] = []

        def note(message: ConsoleMessage) -> None:
            # The page itself asks the registry who made a node, by name; there is no network here.
            ours = "headhunter" in f"{message.text} {message.location}".lower() and "api.comfy.org" not in message.text
            if message.type in ("error", "warning") and ours:
                problems.append(f"{message.type}: {message.text} {message.location}")

        page.on("console", note)

        def note_error(error: Error) -> None:
            if "headhunter" in f"{error} {error.stack}".lower():
                problems.append(str(error))

        page.on("pageerror", note_error)
        page.problems = problems  # type: ignore[attr-defined]
        server.post("/settings", SETTINGS | (settings or {}))
        page.goto(server.url)
        ready(page)
        yield page
    finally:
        context.close()


def ready(page: Page) -> None:
    """Waits until the page has ComfyUI's nodes; after opening or reloading it."""
    page.wait_for_function(
        "() => !!(window.app?.graph && window.app.extensionManager && LiteGraph.registered_node_types.KSampler)",
        timeout=60_000,
    )


def load(page: Page, workflow: dict[str, Any]) -> None:
    """Opens a saved workflow in the page."""
    page.evaluate("(workflow) => window.app.loadGraphData(workflow)", workflow)
    page.wait_for_function("(count) => window.app.graph._nodes.length === count", arg=len(workflow["nodes"]))
    steady(page)


def steady(page: Page) -> None:
    """Waits until the page stands still: fonts and pictures are there, and no node, element of a node or view has moved or
    changed its words for a number of frames."""
    page.evaluate(
        """async (frames) => {
          await document.fonts.ready;
          const box = (e) => { const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height, e.width, e.height] };
          let before = '', same = 0;
          while (same < frames) {
            await new Promise(requestAnimationFrame);
            const { ds, canvas } = app.canvas, elements = [...document.querySelectorAll('.dom-widget, [data-node-id], .hh-grid, .hh-grid canvas')];
            const now = JSON.stringify([ds.scale, [...ds.offset], box(canvas), [...document.images].every((i) => i.complete),
              app.canvas.graph._nodes.map((n) => [n.id, [...n.pos], [...n.size]]), elements.map((e) => [box(e), e.innerText])]);
            same = now === before ? same + 1 : 0;
            before = now;
          } }""",
        STILL_FRAMES,
    )


def picture(page: Page, path: Path, scale: float = 0.62) -> None:
    """Writes a picture of the whole open graph, at `scale` pixels a graph unit."""
    left, top, right, bottom = page.evaluate(
        """() => { const b = [1e9, 1e9, -1e9, -1e9];
        for (const n of window.app.graph._nodes) { const [x, y, w, h] = n.getBounding();
          b[0] = Math.min(b[0], x); b[1] = Math.min(b[1], y); b[2] = Math.max(b[2], x + w); b[3] = Math.max(b[3], y + h) }
        return b }"""
    )
    margin = 24
    width, height = int((right - left) * scale) + 2 * margin, int((bottom - top) * scale) + 2 * margin
    # The page's own bars cover the canvas's edges; the graph is put beside them, and only it is taken.
    bar = 160
    page.set_viewport_size({"width": width + 2 * bar, "height": height + 2 * bar})
    page.evaluate(
        """([x, y, scale]) => { const ds = window.app.canvas.ds; ds.scale = scale; ds.offset[0] = x; ds.offset[1] = y;
        window.app.canvas.setDirty(true, true) }""",
        [(bar + margin) / scale - left, (bar + margin) / scale - top, scale],
    )
    steady(page)
    page.screenshot(
        path=path,
        quality=None if path.suffix == ".png" else 90,
        clip={"x": bar, "y": bar, "width": width, "height": height},
    )
