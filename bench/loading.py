"""Makes the host's ComfyUI and this pack importable in this process, as `headhunter_pack`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def load() -> None:
    """Call once, before anything of comfy is imported. Needs COMFYUI_PATH. Without a GPU, ComfyUI is told to use the CPU."""
    import torch

    sys.path.append(str(ROOT))  # after ComfyUI, whose `nodes` must come first
    from hosting.importing import load_pack, use_comfyui

    base = tempfile.mkdtemp(prefix="headhunter-bench-")
    use_comfyui(Path(os.environ["COMFYUI_PATH"]), base, cpu=not torch.cuda.is_available())
    # One thread: two wait for each other, and beside anything else on the machine their times spread tenfold.
    torch.set_num_threads(1)
    load_pack()
