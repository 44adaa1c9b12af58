"""Makes a ComfyUI, and this pack as ComfyUI loads it, importable in this process."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from .locate import ROOT

PACK = "headhunter_pack"


def use_comfyui(folder: Path, base: Path | str, cpu: bool = True) -> None:
    """Puts ComfyUI first on the path, and gives it its settings before it reads them. Call before any import of comfy.

    Args:
        folder: its source tree.
        base: where it keeps models, output and users' files.
        cpu: whether it must not look for a GPU.
    """
    sys.path.insert(0, str(folder))
    from comfy.cli_args import args

    args.cpu = cpu
    args.base_directory = str(base)
    args.database_url = "sqlite:///:memory:"


def load_pack() -> None:
    """Imports the pack as ComfyUI's loader does: from its file, under a name that is not its folder's."""
    spec = importlib.util.spec_from_file_location(
        PACK, str(ROOT / "__init__.py"), submodule_search_locations=[str(ROOT)]
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACK] = module
    spec.loader.exec_module(module)
