"""Progress of long work: one bar over all of it, a text line under the node, and live events to the page.

Event `headhunter.progress`, to the client that queued, at most four a second:

    {node, study, round, rounds, candidate, score, best, done, total, seconds_left}

node: execution id ("1:2:3" inside subgraphs). study: its name. round: from 1; 0 is the baseline. candidate: head text of
the last finished candidate, score its mean so far, best the best mean of this round. done, total: images.
seconds_left: null until the first images are done.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import comfy.utils

EVENT = "headhunter.progress"
SECONDS_BETWEEN = 0.25
SCREENING = 3  # images: 4 to 8 passes a step against 2 for a guided image


@dataclass
class Progress:
    """Counts images. `done` are those that are finished, whether now or by an earlier run of the same study.

    `screening` pairs (by gradients) are planned beside them, each of which takes about as long as SCREENING images.
    workers: who works in place of this process, in a few words. jobs: what each of them has done. notes: what a user should know
    afterwards.
    """

    node: str | None
    study: str
    total: int
    rounds: int
    screening: int = 0
    round: int = 0
    candidate: str = ""
    score: float | None = None
    best: float | None = None
    done: int = 0
    made: int = 0
    screened_pairs: int = 0
    screened_now: int = 0
    seconds: float = 0.0
    workers: str = ""
    jobs: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    _sent: float = 0.0
    _started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._bar = comfy.utils.ProgressBar(max(1, self.total + SCREENING * self.screening), node_id=self.node)

    def finished(self, images: int, made: bool) -> None:
        """`images` more are done; `made` tells those generated now from those the study held. The user's cancel is seen here."""
        self.done += images
        if made:
            self.made += images
        self._moved(made)

    def screened(self, pairs: int, made: bool) -> None:
        """The gradients of `pairs` more are there; `made` as for images."""
        self.screened_pairs += pairs
        if made:
            self.screened_now += pairs
        self._moved(made)

    def began(self) -> None:
        """Work begins now: what was waited for before it says nothing about how long the rest takes."""
        if not self.made and not self.screened_now:
            self._started = time.monotonic()

    def _moved(self, made: bool) -> None:
        if made:
            self.seconds = time.monotonic() - self._started
        total = self.total + SCREENING * self.screening
        self._bar.update_absolute(min(self.done + SCREENING * self.screened_pairs, total), total)
        self.send()

    @property
    def seconds_left(self) -> float | None:
        """From the work done so far; None before the first."""
        work = self.made + SCREENING * self.screened_now
        left = max(0, self.total - self.done) + SCREENING * max(0, self.screening - self.screened_pairs)
        return self.seconds / work * left if work else None

    def send(self, now: bool = False) -> None:
        """The event and the text line, unless one was sent a moment ago."""
        clock = time.monotonic()
        if not now and clock - self._sent < SECONDS_BETWEEN:
            return
        self._sent = clock
        server = _server()
        if server is None or self.node is None:
            return
        left = self.seconds_left
        message = {
            name: getattr(self, name)
            for name in ("node", "study", "round", "rounds", "candidate", "score", "best", "done", "total")
        }
        server.send_sync(EVENT, message | {"seconds_left": None if left is None else round(left, 1)}, server.client_id)
        server.send_progress_text(self.line(), self.node)

    def line(self) -> str:
        """One line for people: what is being tried, how far it is, how long it takes."""
        where = "baseline" if self.round == 0 else f"round {self.round} of {self.rounds}"
        parts = [where, f"{self.done} of {self.total} images"]
        if self.candidate:  # all heads at once may be a long text
            parts.insert(1, self.candidate if len(self.candidate) <= 60 else f"{self.candidate[:57]}...")
        if self.workers:
            rate = f", {60 * self.made / self.seconds:.3g} images a minute" if self.made and self.seconds else ""
            parts.append(f"{self.workers}{rate}")
        if self.seconds_left and self.done < self.total:  # at the end nothing is left to be said
            parts.append(f"{duration(self.seconds_left)} left")
        return ", ".join(parts)


def tell(text: str, node: str | None) -> None:
    """A line of text under a node, where there is a server and the node has an id."""
    server = _server()
    if server is not None and node is not None:
        server.send_progress_text(text, node)


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _server() -> Any:
    """The running server, or None where nodes are called from Python."""
    try:
        from server import PromptServer
    except ImportError:
        return None
    return getattr(PromptServer, "instance", None)
