"""The host of this process, as `hosting.server` wants it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hosting.locate import version_of
from hosting.setup import Host


def host() -> Host:
    """This Python, and the ComfyUI of COMFYUI_PATH."""
    folder = Path(os.environ["COMFYUI_PATH"])
    return Host(Path(sys.executable), folder, version_of(folder))
