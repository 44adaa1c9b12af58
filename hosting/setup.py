"""`ensure()`: a ComfyUI and a Python that runs it, set up once and found again in no time."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import chromium, environment, locate
from .console import SetupError, failure, say
from .fetch import fetch
from .lock import only_one

TOOLS = locate.ROOT / "hosting" / "requirements.txt"
ENGINE = locate.ROOT / "hosting" / "engine-requirements.txt"


@dataclass(frozen=True)
class Host:
    """What the tests, the demo and the bench run on."""

    python: Path
    comfyui: Path
    version: str


def ensure(tools: bool) -> Host:
    """Finds a ComfyUI (COMFYUI_PATH, the one around this pack, else a copy from PyPI) and an environment for it.

    Args:
        tools: also what the tests need: pytest, ruff, a type checker, comfy-cli, Chromium.

    Raises:
        SetupError: what failed and what to do about it; ends the command with exit code 1.
    """
    if sys.version_info < (3, 10):  # noqa: UP036  (it is what an older Python gets to see)
        raise SetupError(f"HeadHunter needs Python 3.10 or newer; this is {sys.version.split()[0]} ({sys.executable}).")
    tools_file = TOOLS if tools else None
    own = os.environ.get("COMFYUI_PYTHON")
    comfyui = locate.present(os.environ)
    if comfyui and not own:  # the common case, a second run: no lock, no process
        plan = environment.plan(comfyui, locate.STORE, tools_file)
        if not plan.missing() and not (tools and not chromium.settled(locate.STORE)):
            return Host(plan.python, comfyui, locate.version_of(comfyui))
    try:
        locate.STORE.mkdir(exist_ok=True)
        with only_one(locate.STORE / "lock") as hold:
            return _prepare(own, tools_file, hold)
    except OSError as error:  # a full or read-only disk outside of pip
        raise failure(f"{error}", str(error)) from error


def ensure_engine() -> Path:
    """A Python with torch and pytest, for the engine's own tests: the host's where it is set up, else a small environment.

    Raises:
        SetupError: as `ensure`.
    """
    own = os.environ.get("COMFYUI_PYTHON")
    if own:
        python = Path(own).expanduser().absolute()
        check_own(python, ENGINE)
        return python
    comfyui = locate.present(os.environ)
    if comfyui:
        plan = environment.plan(comfyui, locate.STORE, TOOLS)
        if not plan.missing():
            return plan.python
    plan = environment.engine_plan(locate.STORE, ENGINE)
    if plan.missing():
        try:
            locate.STORE.mkdir(exist_ok=True)
            with only_one(locate.STORE / "lock") as hold:
                environment.build(plan, hold)
        except OSError as error:
            raise failure(f"{error}", str(error)) from error
    return plan.python


def _prepare(own: str | None, tools_file: Path | None, hold: int) -> Host:
    comfyui = locate.present(os.environ) or fetch(locate.STORE, hold)
    if own:
        python = Path(own).expanduser().absolute()
        check_own(python, tools_file)
    else:
        plan = environment.plan(comfyui, locate.STORE, tools_file)
        if plan.missing():
            say(f"setting up for ComfyUI {locate.version_of(comfyui)} in {comfyui}; the first time takes a few minutes")
            environment.build(plan, hold)
        python = plan.python
    if tools_file:
        chromium.install(locate.STORE, hold)
    say("ready")
    return Host(python, comfyui, locate.version_of(comfyui))


CHECK = """
import sys
from importlib.metadata import PackageNotFoundError, version
missing = []
for name in sys.argv[1:]:
    try:
        version(name)
    except PackageNotFoundError:
        missing.append(name)
print(*missing)
"""


def check_own(python: Path, tools_file: Path | None) -> None:
    """Checks that the user's own Python has what is needed; nothing is installed into it.

    Raises:
        SetupError: it cannot be run, or names the packages it lacks.
    """
    wanted = ["torch", *(map(environment.name_of, environment.lines_of(tools_file)) if tools_file else ())]
    try:
        result = subprocess.run([python, "-c", CHECK, *wanted], capture_output=True, text=True)
    except OSError as error:
        raise SetupError(f"HeadHunter set-up failed: COMFYUI_PYTHON={python} cannot be run: {error}") from error
    if result.returncode != 0:
        raise failure(f"COMFYUI_PYTHON={python} does not work", result.stderr)
    if result.stdout.strip():
        raise SetupError(
            f"HeadHunter set-up failed: COMFYUI_PYTHON={python} lacks {result.stdout.strip()}. Install them there "
            f"(nothing is installed into your own Python{f'; see {tools_file}' if tools_file else ''}), or unset COMFYUI_PYTHON."
        )
