"""Fixtures of the grid's tests: a server with models of all grids, and a page of it in each renderer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import browser
import pytest
from gridpage import GridPage, flux_shapes, header_only, sd3_shapes
from hosting import frontend
from hosting.server import Server
from playwright.sync_api import Browser

DEMO = Path(__file__).parent.parent / "demo"
ALL = ["own-classic", "own-nodes2", "newest-classic", "newest-nodes2"]
TWO = ["own-classic", "newest-nodes2"]


@pytest.fixture(scope="module")
def chrome(chromium_path) -> Iterator[Browser]:
    """One browser for a file of tests; Playwright can hold one at a time."""
    with browser.launched(chromium_path) as running:
        yield running


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """Files with the names and headers of real models, besides the demo's."""
    folder = tmp_path_factory.mktemp("models")
    header_only(folder / "checkpoints" / "sd3.safetensors", sd3_shapes(24))
    header_only(folder / "checkpoints" / "large.safetensors", sd3_shapes(38))
    header_only(folder / "diffusion_models" / "flux1-dev.safetensors", flux_shapes())
    (folder / "loras").mkdir()
    (folder / "loras" / "style.safetensors").touch()
    return folder


@pytest.fixture(scope="module")
def serve(host, models) -> Iterator[Callable[[str], Server]]:
    """The server with its own frontend ("own") or the newest one ("newest"); one at a time."""
    with ExitStack() as stack:
        running: dict[str, Server] = {}

        def start(which: str) -> Server:
            if which not in running:
                arguments = []
                if which == "newest":
                    try:
                        arguments = ["--front-end-root", str(frontend.newest())]
                    except OSError as error:
                        pytest.skip(str(error))
                stack.close()
                running.clear()
                nodes = (DEMO / "custom_nodes").iterdir()
                running[which] = stack.enter_context(
                    Server(host, models=[models, DEMO / "models"], custom_nodes=nodes, arguments=arguments)
                )
            return running[which]

        yield start


def _opened(serve: Callable[[str], Server], chrome: Browser, which: str) -> Iterator[GridPage]:
    front, renderer = which.split("-")
    server = serve(front)
    with browser.open_page(chrome, server, 1500, 1000, {"Comfy.VueNodes.Enabled": renderer == "nodes2"}) as page:
        yield GridPage(page, server)


@pytest.fixture(scope="module", params=ALL)
def page(request, serve, chrome) -> Iterator[GridPage]:
    """One page for all tests of a frontend and renderer; each opens its own workflow in it."""
    yield from _opened(serve, chrome, request.param)


@pytest.fixture(scope="module", params=TWO)
def page_of_two(request, serve, chrome) -> Iterator[GridPage]:
    """As `page`, in fewer combinations."""
    yield from _opened(serve, chrome, request.param)


def _quiet(page: GridPage) -> Iterator[GridPage]:
    yield page
    page.press("Escape")
    page.page.mouse.move(5, 500)
    problems, page.page.problems[:] = list(page.page.problems), []  # type: ignore[attr-defined]
    assert problems == [], "the console complains"


@pytest.fixture
def grid(page) -> Iterator[GridPage]:
    """The page in all combinations; its console must stay quiet."""
    yield from _quiet(page)


@pytest.fixture
def some_grid(page_of_two) -> Iterator[GridPage]:
    """The page in fewer combinations; its console must stay quiet."""
    yield from _quiet(page_of_two)
