"""The grid of a model file, from its header alone: no tensor is read."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from .families import grid_of_shapes
from .grid import Grid, GridError

MAX_HEADER_BYTES = 8 * 2**20
MAX_SIZE = 2**40
"""Of one dimension of a tensor."""


def grid_from_file(path: Path) -> Grid:
    """The grid of a safetensors file, read from its header (up to 8 MB). GridError names the file and why it has none: UnknownModel where
    its model is no family's."""
    shapes = read_header(path)
    try:
        return grid_of_shapes(shapes)
    except GridError as error:
        raise type(error)(f"{path.name}: {error}") from None


def read_header(path: Path) -> dict[str, tuple[int, ...]]:
    """Tensor names and shapes of a safetensors file. GridError names the file where it is not one, or cannot be read."""
    raw = _raw_header(path)
    try:
        header = json.loads(raw, object_pairs_hook=_distinct)
        return {name: _shape(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise GridError(f"{path.name}: not a safetensors file (its header is not the expected JSON)") from None


def _raw_header(path: Path) -> bytes:
    """The header's bytes. Opened without waiting, since reading a named pipe would never end."""
    try:
        with os.fdopen(
            os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb"
        ) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise GridError(f"{path.name}: not a file")
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= MAX_HEADER_BYTES:
                raise GridError(f"{path.name}: not a safetensors file, or its header is over {MAX_HEADER_BYTES} bytes")
            raw = file.read(length)
            if len(raw) < length:
                raise GridError(f"{path.name}: cut short: its header has {len(raw)} of {length} bytes")
            return raw
    except OSError as error:
        raise GridError(f"{path.name}: cannot be read ({error.strerror or error})") from None


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object whose names are all different, as safetensors wants them; of two that are alike neither can be believed."""
    by_name = dict(pairs)
    if len(by_name) < len(pairs):
        raise ValueError("a name twice")
    return by_name


def _shape(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(size) is int and 0 <= size <= MAX_SIZE for size in value):
        raise ValueError("not a shape")
    return tuple(value)
