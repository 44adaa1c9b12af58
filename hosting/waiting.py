"""Waits for a condition, not for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T], what: str, timeout: float = 120.0, between: float = 0.05) -> T:
    """Asks again and again until the answer is true, and returns it.

    Raises:
        TimeoutError: it was not within `timeout` seconds; says `what` was waited for.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:.0f} s")
        time.sleep(between)
