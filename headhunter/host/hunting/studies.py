"""Where studies lie, and their names."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import folder_paths

from ...library import summary_of
from ...names import MAX_BYTES, MAX_CHARACTERS, is_device
from ...study import Study, StudyError, read_study

MOST_READ = 200
READING_SECONDS = 8.0


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
    """A study's name, if every file system and route can hold it. ValueError says why it cannot."""
    why = ""
    if not re.fullmatch(r"\w[\w\-. ]*", name):
        why = "use letters, digits, spaces, - and _, a letter, digit or _ first"
    elif name.endswith((".", " ", ".csv")):
        why = "it must not end with a dot, a space or .csv"
    elif len(name) > MAX_CHARACTERS or len(name.encode()) > MAX_BYTES:
        why = f"it is too long; at most {MAX_CHARACTERS} characters, and {MAX_BYTES} bytes"
    elif is_device(name):
        why = "Windows keeps that name for a device"
    if why:
        raise ValueError(f"{name[:100]!r} cannot be a study's name: {why}")
    return name


def list_studies() -> list[dict[str, Any]]:
    """Name, time of last change and size of each study on disk, newest first; what cannot be one is left out."""
    studies = []
    with suppress(FileNotFoundError), os.scandir(studies_folder()) as entries:
        for entry in entries:
            name = entry.name.removesuffix(".sqlite")
            with suppress(OSError, ValueError):  # a broken link, or a name that no route can ask for
                if name != entry.name and entry.is_file():
                    about = entry.stat()
                    studies.append({"id": plain_name(name), "changed": about.st_mtime, "bytes": about.st_size})
    return sorted(studies, key=lambda study: study["changed"], reverse=True)


class Library:
    """What each study on disk is about, newest first. One that has not changed is read once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, float, int], dict[str, Any]] = {}

    def list(self) -> list[dict[str, Any]]:
        """As `list_studies`, each with its summary, or with an `error` that says why it has none.

        At most `MOST_READ`, for at most `READING_SECONDS`: the older ones are there with their names alone.
        """
        until = time.monotonic() + READING_SECONDS
        listed = list_studies()
        keys = [(entry["id"], entry["changed"], entry["bytes"]) for entry in listed]
        kept = {key: self._known[key] for key in keys if key in self._known}
        for key in keys[:MOST_READ]:
            if time.monotonic() > until:
                break
            if key not in kept:
                kept[key] = self._read(key[0])
        self._known = kept
        return [entry | kept.get(key, {}) for entry, key in zip(listed, keys, strict=True)]

    def _read(self, name: str) -> dict[str, Any]:
        try:
            with find_study(name) as study:
                return summary_of(study)
        except (StudyError, ValueError, OSError, RecursionError, OverflowError) as error:
            return {"error": str(error)}


def find_study(name: str) -> Study:
    """A study by its name, to read. StudyError or ValueError where there is none."""
    return read_study(studies_folder() / f"{plain_name(name)}.sqlite")
