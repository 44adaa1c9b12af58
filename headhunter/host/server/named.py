"""Presets by their names: the user's own, and those that come with the pack."""

from __future__ import annotations

import logging
from pathlib import Path

from comfy.cli_args import args

from ...grid import Grid
from ...names import MAX_CHARACTERS, file_stem
from ...presets import Preset, read_preset
from .shipped import SHIPPED, shipped_names
from .userdata import presets_folder


def preset_named(name: str, grid: Grid | None = None) -> Preset | None:
    """A preset of the user's own by its name or its file's, or a shipped one as model/name; None where there is none.

    PresetError where it cannot be read, or is for another grid; a warning where it is for another model. Under
    --multi-user only the shipped ones are found: a node does not know its user.
    """
    path = _own(name) or (SHIPPED / f"{name}.json" if name in shipped_names() else None)
    if path is None:
        return None
    preset = read_preset(path)
    warning = preset.check(grid) if grid else ""
    if warning:
        logging.warning("HeadHunter: %s", warning)
    return preset


def _own(name: str) -> Path | None:
    stem = file_stem(name) if len(name) <= 2 * MAX_CHARACTERS else ""
    path = presets_folder() / f"{stem}.json"
    return path if stem and not args.multi_user and path.is_file() and _means(path, name, stem) else None


def _means(path: Path, name: str, stem: str) -> bool:
    """Whether the file is that of this name: two names may be written as one file's."""
    return name == stem or read_preset(path).name == name
