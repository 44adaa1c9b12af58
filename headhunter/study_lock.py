"""The lock file of a study, with its owner in it, so that two hunts never mix."""

from __future__ import annotations

import errno
import os
import platform
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from .study_file import StudyError


def acquire(path: Path) -> IO[bytes]:
    """Take the study's lock file and write its owner into it. The system lets go of it when the process ends, however it ends.

    StudyError where another hunt has it; OSError where there can be no lock file.
    """
    name = path.with_name(path.name + ".lock")
    # A link is not followed: writing the owner would empty the file that it names.
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    lock = os.fdopen(os.open(name, flags, 0o666), "r+b", buffering=0)
    try:
        _lock(lock)
    except OSError as error:
        owner = _owner(lock)
        lock.close()
        if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            raise
        raise StudyError(
            f"the study {path.stem} is in use by another hunt ({owner}). Wait for it, or choose another name."
        ) from None
    with suppress(OSError):  # on a full disk the lock holds all the same
        lock.seek(0)
        lock.truncate()
        lock.write(
            f"process {os.getpid()} on {platform.node()} since {time.strftime('%Y-%m-%d %H:%M:%S')}".encode(
                errors="replace"
            )
        )
    return lock


def _owner(lock: IO[bytes]) -> str:
    with suppress(OSError):
        lock.seek(0)
        return lock.read(200).decode(errors="replace").strip() or "unknown"
    return "unknown"


def _lock(file: IO[bytes]) -> None:
    """An exclusive lock on an open file, or OSError at once."""
    if os.name == "nt":
        import msvcrt

        file.seek(2**20)  # beyond the text, which others may read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
