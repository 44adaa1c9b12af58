"""A ComfyUI tree that differs in a few files, made of links to the real one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath


def shadow(tree: Path, target: Path, changed: Mapping[str, str]) -> Path:
    """Makes `target` look like `tree` with some files' text changed; the real tree is only read.

    Args:
        tree: a ComfyUI source tree.
        target: a folder that does not exist yet.
        changed: path inside the tree -> new text.

    Returns:
        `target`.
    """
    target.mkdir()
    for entry in tree.iterdir():
        inside = {
            str(PurePosixPath(*PurePosixPath(path).parts[1:])): text
            for path, text in changed.items()
            if PurePosixPath(path).parts[0] == entry.name
        }
        if "." in inside:
            (target / entry.name).write_text(inside["."], encoding="utf-8")
        elif inside:
            shadow(entry, target / entry.name, inside)
        elif entry.suffix == ".py":  # copied: Python puts the folder of a script's real path on sys.path
            shutil.copyfile(entry, target / entry.name)
        elif entry.name != "__pycache__":
            (target / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())
    return target
