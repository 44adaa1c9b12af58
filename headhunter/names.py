"""Names of files that a person types: what every file system can hold."""

from __future__ import annotations

import re

MAX_CHARACTERS = 100
MAX_BYTES = 200
"""Of a name without its ending; most disks hold 255 of the whole."""

_DEVICE = re.compile(r"(?i)con|prn|aux|nul|(com|lpt)[0-9\u00b9\u00b2\u00b3]")


def is_device(name: str) -> bool:
    """Whether Windows keeps a name, with whatever ending, for a device."""
    return _DEVICE.fullmatch(name.split(".")[0].rstrip(" ")) is not None


def file_stem(name: str) -> str:
    """`name` as a file's name without its ending: what no file system likes is replaced; "" where nothing is left."""
    stem = re.sub(r"[^\w\-. ]+", "_", name, flags=re.UNICODE).strip(" ._")[:MAX_CHARACTERS]
    stem = stem.encode("utf-8", "ignore")[:MAX_BYTES].decode("utf-8", "ignore")
    return f"{stem}_" if is_device(stem) else stem
