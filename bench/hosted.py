"""The host of this process as the tests' servers want it; and their folder on the path."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from hosting.locate import version_of  # noqa: E402  (after the path is right)
from hosting.setup import Host  # noqa: E402


def host() -> Host:
    """This Python, and the ComfyUI of COMFYUI_PATH."""
    folder = Path(os.environ["COMFYUI_PATH"])
    return Host(Path(sys.executable), folder, version_of(folder))
