"""What a workers node says, and Ray itself, which is imported nowhere else."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import Any

MOST_WORKERS = 1024
MOST_GPUS = 16.0


class NoRay(RuntimeError):
    """Ray is not installed, or cannot be imported; says what to do."""


class NoWorkers(RuntimeError):
    """There can be no worker at all, and why."""


@dataclass(frozen=True)
class Workers:
    """Where workers are and how many. ValueError names the field and what is allowed.

    address: of a Ray cluster ("host:6379", "ray://host:10001"); "auto": the one on this machine, or else a new one here;
    "local": always a new one here. workers: 0 is one for each free GPU. gpus_per_worker: a share below 1 puts several on one
    GPU; 0 is the CPU. comfyui: the workers' ComfyUI folder; empty is where it is here.
    """

    address: str = "auto"
    workers: int = 0
    gpus_per_worker: float = 1.0
    comfyui: str = ""

    def __post_init__(self) -> None:
        if not self.address.strip():
            raise ValueError(
                "address is empty: write auto, local, or the address of a Ray cluster, such as 10.0.0.5:6379"
            )
        if not 0 <= self.workers <= MOST_WORKERS:
            raise ValueError(f"workers is {self.workers}; it must be a number from 0 to {MOST_WORKERS}")
        whole = self.gpus_per_worker <= 1 or float(self.gpus_per_worker).is_integer()
        if not 0 <= self.gpus_per_worker <= MOST_GPUS or not whole:
            raise ValueError(
                f"gpus_per_worker is {self.gpus_per_worker:g}; it must be from 0 to 1, or a whole number up to {MOST_GPUS:g}"
            )
        if not self.gpus_per_worker and not self.workers:
            raise ValueError(
                "workers is 0, which is one for each free GPU, but gpus_per_worker is 0: set how many workers there should be"
            )


def ray_module() -> Any:
    """The module `ray`. NoRay names the command that installs it."""
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise NoRay(
            "Hunt Workers needs Ray, which is not installed for ComfyUI's Python "
            f'({error}). Install it with: "{sys.executable}" -m pip install ray    then start ComfyUI again.'
        ) from error
