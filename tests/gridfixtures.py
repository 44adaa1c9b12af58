"""Fixtures of the grid's tests: a server with models of all grids, and a page of it in each renderer.

A page is own-classic, ComfyUI's own frontend drawn by LiteGraph, unless a test is marked `everywhere`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from full_size import FULL_SIZE
from gridpage import GridPage, flux_shapes, header_only, sd3_shapes
from playwright.sync_api import Browser
from safetensors.torch import load_file

from hosting import browser, frontend
from hosting.server import Server

DEMO = Path(__file__).parent.parent / "demo"
ALL = ["own-classic", "own-nodes2", "newest-classic", "newest-nodes2"]
TWO = ["own-classic", "newest-nodes2"]
everywhere = pytest.mark.parametrize("page", ALL, indirect=True, scope="module")


@pytest.fixture(scope="module")
def chrome(chromium_path) -> Iterator[Browser]:
    """One browser for a file of tests; Playwright can hold one at a time."""
    with browser.launched(chromium_path) as running:
        yield running


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """Files with the names and headers of real models, besides the demo's; and one whose header tells nothing."""
    folder = tmp_path_factory.mktemp("models")
    header_only(folder / "checkpoints" / "sd3.safetensors", sd3_shapes(24))
    header_only(folder / "checkpoints" / "large.safetensors", sd3_shapes(38))
    header_only(folder / "diffusion_models" / "flux1-dev.safetensors", flux_shapes())
    header_only(
        folder / "checkpoints" / "sdxl.safetensors", {"model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3)}
    )
    for model, shapes in FULL_SIZE.items():
        header_only(folder / "diffusion_models" / f"{model}.safetensors", shapes)
    weights = load_file(DEMO / "models" / "diffusion_models" / "headhunter_demo_sd3.safetensors")
    torch.save(weights, folder / "diffusion_models" / "odd.ckpt")
    (folder / "loras").mkdir()
    (folder / "loras" / "style.safetensors").touch()
    return folder


@pytest.fixture(scope="session")
def servers(host, models) -> Iterator[Callable[[str], Server]]:
    """The server with its own frontend ("own") or the newest one ("newest"), started when it is first wanted."""
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
                nodes = (DEMO / "custom_nodes").iterdir()
                running[which] = stack.enter_context(
                    Server(host, models=[models, DEMO / "models"], custom_nodes=nodes, arguments=arguments)
                )
            return running[which]

        yield start


@pytest.fixture(scope="module")
def serve(servers) -> Callable[[str], Server]:
    """As `servers`; each file of tests finds them without studies and presets of the files before."""
    clean: set[str] = set()

    def start(which: str) -> Server:
        server = servers(which)
        if which not in clean:
            for kept in (server.base / "output" / "headhunter", server.base / "user" / "default" / "headhunter"):
                shutil.rmtree(kept, ignore_errors=True)
            clean.add(which)
        return server

    return start


def _opened(serve: Callable[[str], Server], chrome: Browser, which: str) -> Iterator[GridPage]:
    front, renderer = which.split("-")
    server = serve(front)
    settings = {"Comfy.VueNodes.Enabled": renderer == "nodes2"}
    with browser.open_page(chrome, server, 1500, 1000, settings) as page:
        yield GridPage(page, server)


@pytest.fixture(scope="module", params=ALL[:1])
def page(request, serve, chrome) -> Iterator[GridPage]:
    """One page for all tests of a frontend and renderer; each opens its own workflow in it."""
    yield from _opened(serve, chrome, request.param)


@pytest.fixture(scope="module", params=TWO)
def page_of_two(request, serve, chrome) -> Iterator[GridPage]:
    """A page of each frontend, in either renderer."""
    yield from _opened(serve, chrome, request.param)


def _quiet(page: GridPage) -> Iterator[GridPage]:
    yield page
    page.press("Escape")
    page.page.mouse.move(5, 500)
    problems, page.page.problems[:] = list(page.page.problems), []  # type: ignore[attr-defined]
    assert problems == [], "the console complains"


@pytest.fixture
def grid(page) -> Iterator[GridPage]:
    """The page; its console must stay quiet."""
    yield from _quiet(page)


@pytest.fixture
def some_grid(page_of_two) -> Iterator[GridPage]:
    """As `grid`, in both frontends."""
    yield from _quiet(page_of_two)
