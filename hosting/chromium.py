"""A Chromium for the browser tests, from Debian's packages where it is missing and can be installed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from .console import SetupError, run, say

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FAILED = "chromium-failed"
RETRY = 3600.0  # seconds before a failed installation is tried again


def find(environ: Mapping[str, str] = os.environ) -> Path | None:
    """CHROMIUM_PATH, else the first known browser on PATH."""
    named = environ.get("CHROMIUM_PATH")
    program = named or next(filter(None, (shutil.which(name, path=environ.get("PATH")) for name in NAMES)), None)
    return Path(program) if program and os.access(program, os.X_OK) else None


def reason() -> str:
    """Why there is none, for the tests that are skipped without it."""
    return "no Chromium found: install Debian's `chromium`, or set CHROMIUM_PATH"


def settled(store: Path) -> bool:
    """Whether there is nothing to try: it is there, cannot be installed here, or failed a short while ago."""
    if find() or os.name == "nt" or os.geteuid() != 0 or not shutil.which("apt-get"):
        return True
    failed = store / FAILED
    return failed.exists() and time.time() - failed.stat().st_mtime < RETRY


def install(store: Path, hold: int) -> None:
    """Tries to install Chromium as root on Debian. Never fatal: without it the browser tests are skipped."""
    if settled(store):
        return
    env = dict(os.environ) | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(["apt-get", "update", "-q"], "updating Debian's package lists (for Chromium)", env=env, hold=[hold])
        command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"]
        run(command, "installing Chromium from Debian's packages (browser tests, about a minute)", env=env, hold=[hold])
    except SetupError as error:
        (store / FAILED).write_text(str(error), encoding="utf-8")
        say(f"Chromium could not be installed; browser tests will be skipped. {error}")
