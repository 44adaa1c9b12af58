"""Lets the tests import the real ComfyUI, on the CPU, and this pack the way ComfyUI loads it.

Without a ComfyUI, and under `python tests --fast`, only the engine can be imported: tests/engine needs no more.

Tests write `from headhunter_pack.headhunter import heads` and `import comfy.samplers`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# The pack's root, where hosting/ lies, comes last: with it first, as `python -m pytest` has it, `import nodes` inside
# ComfyUI would find the pack's nodes/ instead of ComfyUI's nodes.py.
sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != ROOT] + [str(ROOT)]

from hosting import chromium, importing, locate  # noqa: E402  (after the path is right)
from hosting.server import Server  # noqa: E402
from hosting.setup import Host  # noqa: E402

COMFYUI = None if "HEADHUNTER_ENGINE_ALONE" in os.environ else locate.present(os.environ)
pytest_plugins = ["familyfixtures", "gridfixtures", "huntfixtures"] if COMFYUI else []
SCRATCH = tempfile.TemporaryDirectory(prefix="headhunter-tests-", ignore_cleanup_errors=True)

if COMFYUI:
    importing.use_comfyui(COMFYUI, SCRATCH.name)
importing.load_pack()
collect_ignore = [] if COMFYUI else [path.name for path in Path(__file__).parent.glob("test_*.py")]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-pictures", action="store_true", help="write the pictures of the example workflows and docs anew"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser on a busy machine may let a key or a frame fall: tests of the page are run again once, and the report says which."""
    for item in items:
        if item.path.name.startswith("test_web_"):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_report_header() -> str:
    """Which ComfyUI the tests run on."""
    if COMFYUI is None:
        return "ComfyUI: none, only the tests of the engine (tests/engine) can run"
    return f"ComfyUI: {locate.version_of(COMFYUI)} in {COMFYUI}"


def pytest_unconfigure() -> None:
    SCRATCH.cleanup()


@pytest.fixture(scope="session")
def host() -> Host:
    """The ComfyUI and the Python that the tests run on."""
    assert COMFYUI, "no ComfyUI found: run `python tests`"
    return Host(Path(sys.executable), COMFYUI, locate.version_of(COMFYUI))


@pytest.fixture(scope="session")
def server(host: Host) -> Iterator[Server]:
    """One running ComfyUI with the pack in it, shared by all tests that only talk to it."""
    with Server(host) as running:
        yield running


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """The browser for tests that need one; they are skipped, with a reason, where there is none."""
    path = chromium.find()
    if path is None:
        pytest.skip(chromium.reason())
    return path
