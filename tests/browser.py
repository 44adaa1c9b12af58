"""A real Chromium on a running ComfyUI's page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hosting.server import Server
from playwright.sync_api import ConsoleMessage, Page, sync_playwright

# Without these, Chromium looks for hosts outside; --no-sandbox since CI runs as root.
ARGUMENTS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync".split()
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Workflow.ShowMissingModelsWarning": False,
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.Minimap.Visible": False,
}


@contextmanager
def comfy_page(
    server: Server, chromium: Path, width: int = 1600, height: int = 1000, settings: dict[str, Any] | None = None
) -> Iterator[Page]:
    """The page of a server, ready for use. `page.problems` lists console errors and warnings that name this pack."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": width, "height": height})
        problems: list[str] = []

        def note(message: ConsoleMessage) -> None:
            # The page itself asks the registry who made a node, by name; there is no network here.
            ours = "headhunter" in f"{message.text} {message.location}".lower() and "api.comfy.org" not in message.text
            if message.type in ("error", "warning") and ours:
                problems.append(message.text)

        page.on("console", note)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.problems = problems  # type: ignore[attr-defined]
        server.post("/settings", SETTINGS | (settings or {}))
        page.goto(server.url)
        page.wait_for_function(
            "() => !!(window.app?.graph && window.app.extensionManager && LiteGraph.registered_node_types.KSampler)",
            timeout=60_000,
        )
        try:
            yield page
        finally:
            browser.close()


def load(page: Page, workflow: dict[str, Any]) -> None:
    """Opens a saved workflow in the page."""
    page.evaluate("(workflow) => window.app.loadGraphData(workflow)", workflow)
    page.wait_for_function("(count) => window.app.graph._nodes.length === count", arg=len(workflow["nodes"]))
    page.wait_for_timeout(500)


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
    page.wait_for_timeout(1000)
    page.screenshot(
        path=path,
        quality=None if path.suffix == ".png" else 90,
        clip={"x": bar, "y": bar, "width": width, "height": height},
    )
