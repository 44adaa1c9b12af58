"""Makes the host's ComfyUI and this pack importable in this process, as `headhunter_pack`."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def load() -> None:
    """Call once, before anything of comfy is imported. Needs COMFYUI_PATH. Without a GPU, ComfyUI is told to use the CPU."""
    sys.path.insert(0, os.environ["COMFYUI_PATH"])
    import torch
    from comfy.cli_args import args

    args.cpu = not torch.cuda.is_available()
    # One thread: two wait for each other, and beside anything else on the machine their times spread tenfold.
    torch.set_num_threads(1)
    args.base_directory = tempfile.mkdtemp(prefix="headhunter-bench-")
    args.database_url = "sqlite:///:memory:"
    spec = importlib.util.spec_from_file_location(
        "headhunter_pack", str(ROOT / "__init__.py"), submodule_search_locations=[str(ROOT)]
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
