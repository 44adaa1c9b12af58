"""Lets CUDA builds of torchvision and torchaudio import beside a CPU build of torch.

Where torch is a CPU build, a registry may still hand out the CUDA builds of its two companions. Their C++ parts cannot
load there; their Python parts, which are all that ComfyUI needs at start, can.
"""

from __future__ import annotations

from pathlib import Path

TORCHAUDIO = "torchaudio==2.11.0"  # the newest there is; its Python part runs with torch 2.13

CUDA_TORCHVISION = "torchvision is a CUDA build beside a CPU torch: its operators are declared on import"
CUDA_TORCHAUDIO = "torchaudio is a CUDA build beside a CPU torch: its C++ library is put aside"
NO_TORCHAUDIO = "this ComfyUI needs torchaudio at start"

HOOK = '''"""Declares torchvision's operators before its first import (HeadHunter's test set-up)."""

import sys


class _Declare:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(cls)
            import torch

            cls.library = torch.library.Library("torchvision", "DEF")
            for operator in ("nms", "qnms"):
                cls.library.define(operator + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return None


sys.meta_path.insert(0, _Declare)
'''


def needed(output: str) -> str:
    """The repair that a failed import asks for, "" where none is known."""
    if "operator torchvision::nms does not exist" in output:
        return CUDA_TORCHVISION
    if "No module named 'torchaudio'" in output:
        return NO_TORCHAUDIO
    if "_torchaudio.abi3.so" in output or "libtorchaudio" in output:
        return CUDA_TORCHAUDIO
    return ""


def site_packages(folder: Path) -> Path:
    """Where a virtual environment keeps its packages."""
    return next(iter([*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages")]))


def hook_torchvision(folder: Path) -> None:
    """Installs an import hook that costs nothing until torchvision is imported."""
    packages = site_packages(folder)
    (packages / "headhunter_torchvision_hook.py").write_text(HOOK, encoding="utf-8")
    (packages / "headhunter_torchvision_hook.pth").write_text("import headhunter_torchvision_hook\n", encoding="utf-8")


def drop_torchaudio_library(folder: Path) -> None:
    """Takes torchaudio's C++ library out of its sight; torchaudio then runs without it, by its own design."""
    library = site_packages(folder) / "torchaudio" / "lib"
    library.rename(library.with_name("lib-for-cuda"))
