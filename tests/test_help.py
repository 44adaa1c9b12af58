"""The help pages' pictures in a real page, and that queueing twice sends the same prompt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

from hosting import browser

pytestmark = [pytest.mark.live, pytest.mark.browser]
DOCS = Path(__file__).parent.parent / "web" / "docs"
NODES = sorted(path.stem for path in DOCS.glob("*.md"))
LOADERS = {"MODEL": ("UNETLoader", {"unet_name": "headhunter_demo_sd3.safetensors"})}
SHOWN = {
    "HeadHunterSoftPAG": {"heads": "L0H3, L2H2@0.25, L3"},
    "HeadHunterEditHeads": {"first": "L1, L2H1", "second": "L1H3"},
}


@pytest.fixture(scope="module")
def page(serve, chrome: Browser) -> Iterator[Page]:
    with browser.open_page(chrome, serve("own")) as opened:
        yield opened


ADD = """async ([name, values, loader]) => {
  const graph = new app.graph.constructor();
  const node = LiteGraph.createNode(name);
  graph.add(node);
  node.pos = [0, 0];
  for (const [key, value] of Object.entries(values)) node.widgets.find((w) => w.name === key).value = value;
  const slot = node.inputs.findIndex((input) => input.type === 'MODEL');
  if (loader && slot >= 0) { const from = LiteGraph.createNode(loader[0]); graph.add(from); from.pos = [-2000, 0];
    for (const [key, value] of Object.entries(loader[1])) from.widgets.find((w) => w.name === key).value = value;
    from.connect(0, node, slot) }
  await app.loadGraphData(graph.serialize(), true, true, null);
}"""


@pytest.mark.parametrize("name", NODES)
def test_its_picture_shows_without_a_network(page, name, request):
    """`python tests -k without_a_network --write-pictures` draws them anew."""
    if request.config.getoption("--write-pictures"):
        draw(page, name, DOCS / f"{name}.jpg")
    shown = page.evaluate(
        """async (name) => { const base = '/extensions/headhunter/docs/'; // where ComfyUI's help panel looks for what is beside a page
        const text = await (await fetch(`${base}${name}.md`)).text();
        const pictures = [...text.matchAll(/!\\[([^\\]]+)\\]\\(([^)]+)\\)/g)].map(([, alt, file]) => Object.assign(new Image(), { alt, src: base + file }));
        await Promise.all(pictures.map((picture) => picture.decode()));
        return pictures.map((picture) => [picture.naturalWidth, picture.alt]) }""",
        name,
    )
    assert shown and all(width > 100 and len(alt) > 3 for width, alt in shown)


def draw(page: Page, name: str, path: Path) -> None:
    page.evaluate(ADD, [name, SHOWN.get(name, {}), list(LOADERS["MODEL"])])
    page.wait_for_function("(name) => app.graph._nodes.some((node) => node.type === name)", arg=name)
    page.wait_for_timeout(700)
    width, height = page.evaluate(
        """(name) => { const node = app.graph._nodes.find((one) => one.type === name), ds = app.canvas.ds;
        const box = app.canvas.canvas.getBoundingClientRect();
        ds.scale = 1; ds.offset[0] = 300 - box.left - node.pos[0]; ds.offset[1] = 160 - box.top - node.pos[1];
        app.canvas.deselectAll?.(); app.canvas.setDirty(true, true); return [node.size[0], node.size[1]] }""",
        name,
    )
    page.set_viewport_size({"width": 1600, "height": int(height) + 420})
    page.wait_for_timeout(700)
    page.screenshot(
        path=path,
        quality=82,
        clip={"x": 284, "y": 160 - 30 - 14, "width": int(width) + 32, "height": int(height) + 30 + 28},
    )


def test_queueing_twice_sends_the_same(page):
    sent: list[dict] = []

    def take(route: Route) -> None:
        if route.request.method != "POST":
            return route.fallback()
        sent.append(json.loads(route.request.post_data or "{}")["prompt"])
        return route.fulfill(json={"prompt_id": str(len(sent)), "number": len(sent), "node_errors": {}})

    page.route("**/prompt", take)
    try:
        page.evaluate(
            """async (names) => { const graph = new app.graph.constructor();
            for (const name of names) graph.add(LiteGraph.createNode(name));
            await app.loadGraphData(graph.serialize(), true, true, null) }""",
            NODES,
        )
        page.wait_for_function("(count) => app.graph._nodes.length === count", arg=len(NODES))
        for _ in range(2):
            page.evaluate("() => app.queuePrompt(0)")
    finally:
        page.unroute("**/prompt")
    first, second = sent
    assert {node["class_type"] for node in first.values()} == set(NODES)
    assert first == second
