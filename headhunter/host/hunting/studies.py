"""Where studies lie, and their names."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import folder_paths

from ...study import Study, read_study


def studies_folder() -> Path:
    """Where studies lie: ComfyUI's output folder, under headhunter."""
    return Path(folder_paths.get_output_directory()) / "headhunter"


def study_path(name: str, identity: dict[str, Any], kind: str = "hunt") -> Path:
    """The file of a study: by its name, or, where that is empty, by what it is. ValueError for a name that is not a plain one."""
    name = name.strip()
    if not name:
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:10]
        name = f"{kind}-{digest}"
    return studies_folder() / f"{plain_name(name)}.sqlite"


def plain_name(name: str) -> str:
    """A study's name, if it can be one: letters, digits, space, - _ and . in the middle. ValueError otherwise."""
    if not re.fullmatch(r"[\w][\w\-. ]{0,99}", name) or name.endswith((".", " ")):
        raise ValueError(f"{name!r} cannot be a study's name: use letters, digits, spaces, - and _, at most 100")
    return name


def list_studies() -> list[dict[str, Any]]:
    """Name, time of last change and size of each study on disk, newest first."""
    files = sorted(studies_folder().glob("*.sqlite"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [{"id": path.stem, "changed": path.stat().st_mtime, "bytes": path.stat().st_size} for path in files]


def find_study(name: str) -> Study:
    """A study by its name, to read. StudyError or ValueError where there is none."""
    return read_study(studies_folder() / f"{plain_name(name)}.sqlite")
