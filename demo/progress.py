"""What the terminal shows while the demo works."""

from __future__ import annotations

import sys
import threading
import time

STARTED = time.monotonic()


def say(text: str) -> None:
    """Prints one line of progress with the seconds since the start, on stderr."""
    print(f"[demo {time.monotonic() - STARTED:4.0f} s] {text}", file=sys.stderr, flush=True)


class Steps:
    """Counts equal steps and says how long the rest will take."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.started, self.lock = total, 0, time.monotonic(), threading.Lock()

    def step(self, what: str) -> None:
        """One more is done."""
        with self.lock:
            self.done += 1
        left = (time.monotonic() - self.started) / self.done * (self.total - self.done)
        say(f"{self.done} of {self.total}: {what}" + (f"; {duration(left)} left" if self.done < self.total else ""))


def duration(seconds: float) -> str:
    """'40 s', '3 min 20 s': to the next ten seconds."""
    tens = max(1, -(-seconds // 10)) * 10
    minutes, rest = divmod(int(tens), 60)
    return " ".join(filter(None, (f"{minutes} min" if minutes else "", f"{rest} s" if rest else "")))
