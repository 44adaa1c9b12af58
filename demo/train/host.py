"""Makes ComfyUI's own model classes importable on a CPU, so that what is trained is what the stock loaders load."""

import csv
import ctypes
import logging
import os
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]  # demo/
WORK = ROOT / ".train"  # downloads, checkpoints, caches: never committed
MODELS = ROOT / "models"
LOG = ROOT / "train" / "log"


def use_comfyui() -> None:
    """Puts the ComfyUI named by COMFYUI_PATH first on sys.path, in CPU mode with torch's own attention."""
    path = os.environ.get("COMFYUI_PATH")
    if not path or not (Path(path) / "comfy").is_dir():
        raise SystemExit("set COMFYUI_PATH to a ComfyUI folder")
    if path not in sys.path:
        sys.path.insert(0, path)
    declare_torchvision_ops()
    keep_memory()
    from comfy.cli_args import args

    args.cpu = True
    args.use_pytorch_cross_attention = True
    torch.set_num_threads(int(os.environ.get("DEMO_THREADS", "2")))


def declare_torchvision_ops() -> None:
    """Lets the CUDA build of torchvision import beside a CPU build of torch: its Python part only needs these schemas."""
    try:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    except RuntimeError:  # a matching torchvision has already declared them
        return
    _KEEP.append(library)


def keep_memory() -> None:
    """Tells glibc to keep freed memory: handing every tensor back to the kernel can cost more than the arithmetic."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.mallopt(-4, 0)  # M_MMAP_MAX: no block of its own for a large tensor
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


_KEEP: list[torch.library.Library] = []


def stopping() -> bool:
    """True once somebody has touched demo/.train/STOP: export what there is and leave."""
    return (WORK / "STOP").exists()


def note(model: str, state: dict, loss: float) -> None:
    """Appends one line to a model's loss log, demo/train/log/<model>.csv."""
    logging.getLogger("demo.train").info("%s: step %d, %.0f s, loss %.5f", model, state["step"], state["seconds"], loss)
    LOG.mkdir(parents=True, exist_ok=True)
    path = LOG / f"{model}.csv"
    new = not path.exists()
    with path.open("a", newline="") as file:
        rows = csv.writer(file)
        if new:
            rows.writerow(["step", "seconds", "loss"])
        rows.writerow([state["step"], round(state["seconds"]), f"{loss:.5f}"])
