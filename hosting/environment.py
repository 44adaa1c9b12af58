"""A virtual environment that a ComfyUI tree runs in, built once for each set of its requirements."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from . import repair
from .console import SetupError, failure, run, say
from .locate import version_of

FORMAT = 1  # raise it when the steps below change: every environment is then built anew
TORCH = "torch==2.13.0"
TORCHVISION = "torchvision==0.28.0"
BESIDE_TORCH = {"torch", "torchvision", "torchaudio"}  # installed by themselves, to one torch and no second CUDA
EXTRA = ["requests"]  # ComfyUI imports it but counts on another package to bring it
NEEDED_BYTES = 3 * 10**9
MARKER = "headhunter-complete.json"  # written last; an environment without it is half-finished


def name_of(line: str) -> str:
    """The package a requirements line asks for, in the registry's spelling; "" for comments and blank lines."""
    match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", line.split("#")[0])
    return re.sub(r"[-_.]+", "-", match.group(1)).lower() if match else ""


def lines_of(path: Path) -> list[str]:
    """The requirements in a file, without comments and blank lines."""
    return [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines() if name_of(line)]


def _digest(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]


def python_in(folder: Path) -> Path:
    """The Python of a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@dataclass(frozen=True)
class Plan:
    """What an environment must hold: decided from files alone, so that a second run costs nothing."""

    comfyui: Path
    folder: Path
    host: list[str]  # requirement lines of the ComfyUI
    tools: list[str]  # requirement lines of the tests; empty where none are asked for

    @property
    def python(self) -> Path:
        return python_in(self.folder)

    def missing(self) -> str:
        """What is still to do: "all", "tools" or "" (nothing)."""
        try:
            holds = json.loads((self.folder / MARKER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return "all"
        if not self.python.exists():  # its base Python went away
            return "all"
        return "tools" if self.tools and holds.get("tools") != _digest(self.tools) else ""

    def mark(self, tools: bool) -> None:
        """Records, in one step, that the environment is whole."""
        text = json.dumps({"comfyui": str(self.comfyui), "tools": _digest(self.tools) if tools else None})
        scratch = self.folder / (MARKER + ".new")
        scratch.write_text(text, encoding="utf-8")
        os.replace(scratch, self.folder / MARKER)


def plan(comfyui: Path, store: Path, tools_file: Path | None) -> Plan:
    """Reads what a ComfyUI needs.

    Args:
        comfyui: its source tree.
        store: the folder that environments lie in.
        tools_file: requirements of the tests, None without them.

    Raises:
        SetupError: the tree has no readable requirements.txt.
    """
    try:
        host = [line for line in lines_of(comfyui / "requirements.txt") if name_of(line) not in BESIDE_TORCH] + EXTRA
    except OSError as error:
        raise SetupError(
            f"HeadHunter set-up failed: {comfyui} has no readable requirements.txt ({error}). Is it a whole ComfyUI?"
        ) from error
    key = _digest([FORMAT, sys.version_info[:3], TORCH, TORCHVISION, version_of(comfyui), host])
    return Plan(comfyui, store / f"venv-{key}", host, lines_of(tools_file) if tools_file else [])


def make_venv(folder: Path, hold: int) -> None:
    """An empty virtual environment in place of whatever was there."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        run(
            [sys.executable, "-m", "venv", folder],
            f"making a virtual environment in {folder}",
            env=_clean(),
            hold=[hold],
        )
    except SetupError as error:
        if "ensurepip" in str(error):
            raise SetupError(
                f"{error}\nThis Python cannot make virtual environments. On Debian: apt-get install python3-venv"
            ) from error
        raise


def _clean() -> dict[str, str]:
    """The environment for pip: nothing of the caller's own packages, no questions."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in ("PYTHONPATH", "PYTHONHOME", "PIP_REQUIRE_VIRTUALENV")
    }
    return kept | {"PYTHONNOUSERSITE": "1", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def pip_install(python: Path, what: str, hold: int, *arguments: str) -> None:
    """pip install, into the environment of `python`. Raises SetupError with pip's last words."""
    # Not compiled here: Python compiles what is imported, a small part of it, and that halves the time.
    command = [python, "-m", "pip", "install", "--retries=2", "--no-compile", *arguments]
    run(command, f"installing {what}", env=_clean(), hold=[hold])


def build(plan: Plan, hold: int) -> None:
    """Brings an environment to what its plan says. Whatever is killed on the way is seen by `Plan.missing`.

    Raises:
        SetupError: no disk space, no network, or a package that cannot be had; or a ComfyUI that does not import.
    """
    todo = plan.missing()
    if todo == "all":
        free = shutil.disk_usage(plan.folder.parent).free
        if free < NEEDED_BYTES:
            raise SetupError(
                f"HeadHunter set-up failed: {plan.folder.parent} has {free / 1e9:.1f} GB free, "
                f"{NEEDED_BYTES / 1e9:.0f} GB are needed. Free some disk space and run the command again."
            )
        make_venv(plan.folder, hold)
        pip_install(
            plan.python,
            f"{TORCH} and what ComfyUI {version_of(plan.comfyui)} requires (about a minute)",
            hold,
            TORCH,
            *plan.host,
        )
        pip_install(plan.python, TORCHVISION, hold, "--no-deps", TORCHVISION)
        make_importable(plan, hold)
        if plan.tools:
            pip_install(plan.python, "test tools", hold, *plan.tools)
    elif todo == "tools":
        (plan.folder / MARKER).unlink()  # a pip killed from here on leaves an environment that is built anew
        pip_install(plan.python, "test tools", hold, *plan.tools)
    if todo:
        plan.mark(bool(plan.tools))


PROBE = """
import sys
sys.path.insert(0, sys.argv[1])
import torchvision
from comfy.cli_args import args
args.cpu = True
import comfy.sd
"""


def make_importable(plan: Plan, hold: int) -> None:
    """Imports ComfyUI's core in the new environment and repairs what is known to stop it on a machine with no GPU."""
    tried: set[str] = set()
    while True:
        try:
            run([plan.python, "-c", PROBE, plan.comfyui], "checking that ComfyUI imports", env=_clean(), hold=[hold])
            return
        except SetupError as error:
            step = repair.needed(str(error))
            if not step or step in tried:
                raise failure(
                    f"ComfyUI {version_of(plan.comfyui)} in {plan.comfyui} does not import", str(error)
                ) from None
            tried.add(step)
        say(f"repairing: {step}")
        if step == repair.NO_TORCHAUDIO:
            pip_install(plan.python, repair.TORCHAUDIO, hold, "--no-deps", repair.TORCHAUDIO)
        elif step == repair.CUDA_TORCHAUDIO:
            repair.drop_torchaudio_library(plan.folder)
        else:
            repair.hook_torchvision(plan.folder)
