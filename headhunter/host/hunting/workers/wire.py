"""What travels between the one who hunts and its workers, as plain data, and what both must have in common."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from comfyui_version import __version__ as comfyui

from ....guidance import Group
from ...generation.generate import Sampling
from ..jobs import GradientJob, Job, PictureJob

PACK = Path(__file__).resolve().parents[4]


def _digest(files: Sequence[Path], root: Path) -> str:
    summed = hashlib.sha256()
    for file in files:
        summed.update(str(file.relative_to(root).as_posix()).encode() + b"\0" + file.read_bytes())
    return summed.hexdigest()[:12]


OURS = _digest(sorted((PACK / "headhunter").rglob("*.py")), PACK)
"""Of the files as they were when they were loaded: an update on disk changes nothing of what runs."""


def sent(job: Job) -> dict[str, Any]:
    """A job as plain data."""
    return asdict(job)


def received(job: dict[str, Any]) -> Job:
    """The job that `sent` made of it."""
    return GradientJob(**job) if "chosen" in job else PictureJob(**job)


def sampling_of(settings: dict[str, Any]) -> Sampling:
    """A `Sampling` from what `asdict` makes of it."""
    rest = {name: value for name, value in settings.items() if name != "group"}
    return Sampling(Group(**settings["group"]), **rest)


def versions(kinds: Sequence[str]) -> dict[str, str]:
    """What the nodes of these kinds are made of: ComfyUI, HeadHunter, and the file of each node of another pack."""
    import nodes  # the host has loaded it long before; a program that only uses our nodes has not

    versions = {"ComfyUI": comfyui, "HeadHunter": OURS}
    for kind in kinds:
        node = nodes.NODE_CLASS_MAPPINGS[kind]
        module = str(getattr(node, "RELATIVE_PYTHON_MODULE", None) or "nodes")
        if not module.startswith("custom_nodes."):
            continue
        file = Path(inspect.getsourcefile(node) or "")
        if file.is_file() and PACK not in file.resolve().parents:
            versions[f"the pack of the node {kind}"] = _digest([file], file.parent)
    return versions
