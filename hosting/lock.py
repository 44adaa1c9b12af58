"""One set-up at a time: a lock that the system itself gives back when its holders die."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .console import SetupError, say

PATIENCE = 1800.0  # seconds to wait for another set-up


def _try(fd: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def only_one(path: Path, patience: float = PATIENCE) -> Iterator[int]:
    """Holds the lock file `path` and yields its descriptor, to hand on to commands that must keep the lock alive.

    The lock belongs to the open file, not to its existence: a killed set-up leaves no stale lock, and a pip that
    outlives its killed parent still holds it.

    Raises:
        SetupError: another set-up holds the lock for longer than `patience` seconds.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        waited_from = time.monotonic()
        told = False
        while not _try(fd):
            if not told:
                say(f"another set-up is at work (lock {path}); waiting for it")
                told = True
            if time.monotonic() - waited_from > patience:
                raise SetupError(
                    f"HeadHunter set-up failed: another set-up has held {path} for {patience:.0f} s. End it and run the command again."
                )
            time.sleep(0.2)
        yield fd
    finally:
        os.close(fd)
