"""Files of scoring models and linear heads: found in ComfyUI's folders only, read as weights only, saved beside them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import comfy.utils
import folder_paths
import safetensors
import safetensors.torch
from torch import Tensor

from ...names import file_stem
from ...scoring.linear import LinearHead, LinearHeadError, fold
from ...scoring.taste import FORMAT, read_taste, taste_file

MODEL_FOLDERS = ("image_scorers", "clip_vision", "text_encoders")
HEAD_FOLDERS = ("image_scorers", "aesthetic")
EXTENSIONS = (".safetensors", ".sft", ".pt", ".pth", ".bin", ".ckpt")
MAX_HEAD_BYTES = 256 * 2**20


def register_folders() -> None:
    """Adds models/image_scorers and models/aesthetic to ComfyUI's folders, after any that are there already."""
    for name in ("image_scorers", "aesthetic"):
        folder_paths.add_model_folder_path(name, os.path.join(folder_paths.models_dir, name))


def file_names(folders: Sequence[str]) -> list[str]:
    """The model files in these folders, sorted, each name once."""
    names = {name for folder in folders for name in folder_paths.get_filename_list(folder)}
    return sorted(name for name in names if name.lower().endswith(EXTENSIONS))


def find_file(name: str, folders: Sequence[str]) -> Path:
    """The first of the folders' files with a listed name. ValueError for any other name: no path leaves the folders."""
    for folder in folders:
        if name in folder_paths.get_filename_list(folder) and name.lower().endswith(EXTENSIONS):
            return Path(folder_paths.get_full_path_or_raise(folder, name))
    raise ValueError(f'"{name}" is not among the files of {", ".join(f"models/{folder}" for folder in folders)}')


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A file's tensors and its metadata; pickles are read as weights only. ValueError names the file."""
    try:
        weights, metadata = comfy.utils.load_torch_file(str(path), safe_load=True, return_metadata=True)
    except Exception as error:
        raise ValueError(f"{path.name}: not a readable weights file ({error})") from error
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise ValueError(f"{path.name}: it holds no named weights")
    tensors = {name: tensor for name, tensor in weights.items() if isinstance(tensor, Tensor)}
    if not tensors:
        raise ValueError(f"{path.name}: it holds no named weights")
    return tensors, metadata or {}


def load_head(name: str) -> LinearHead:
    """An aesthetic head, or a taste saved by this pack, from a listed file. ValueError names the file and what is wrong."""
    path = find_file(name, HEAD_FOLDERS)
    size = path.stat().st_size
    if size > MAX_HEAD_BYTES:
        raise LinearHeadError(
            f"{path.name}: {size // 2**20} MB are too many for an aesthetic head; choose the head's own file"
        )
    weights, metadata = read_weights(path)
    written = metadata.get("format", "")
    if written == FORMAT:
        return read_taste(weights, metadata, path.name)
    if written.startswith("headhunter-"):
        raise LinearHeadError(f"{path.name}: its format is {written}; this version reads {FORMAT}")
    return fold(weights, path.name)


def head_stamp(name: str) -> str:
    """Changes when a head file is replaced."""
    stat = find_file(name, HEAD_FOLDERS).stat()
    return f"{stat.st_mtime_ns} {stat.st_size}"


def save_head(head: LinearHead, counts: tuple[int, int], save_as: str) -> Path:
    """Write a learned head into the first image_scorers folder; an older taste of that name is replaced.

    ValueError where another kind of file has that name, the name has nothing to keep, or it cannot be written.
    """
    path = Path(folder_paths.get_folder_paths("image_scorers")[0]) / file_name(save_as)
    if path.exists() and not _is_taste(path):
        raise ValueError(f"save_as: {path.name} is there already and is no taste of HeadHunter's; choose another name")
    half = path.with_suffix(".part")
    tensors, metadata = taste_file(head, counts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        safetensors.torch.save_file(tensors, half, metadata=metadata)
        os.replace(half, path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(
            f"save_as: {path.name} cannot be written ({getattr(error, 'strerror', None) or error})"
        ) from None
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)
    return path


def file_name(name: str) -> str:
    """`name` as a plain safetensors file name. ValueError where nothing of it can be kept."""
    stem = file_stem(name.strip().removesuffix(".safetensors"))
    if not stem:
        raise ValueError(f"save_as is {name!r}, which has no letters or digits to name a file by")
    return stem + ".safetensors"


def _is_taste(path: Path) -> bool:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("format", "").startswith("headhunter-taste/")
    except Exception:  # not a safetensors file
        return False


register_folders()
