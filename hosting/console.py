"""Says what a set-up does while it does it, and ends it with one clear error."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

HEARTBEAT = 20.0  # seconds between two lines about the same step
TAIL = 15  # lines of a failed command's output that are shown
STARTED = time.monotonic()

HINTS = {
    "no space left on device": "Free some disk space (about 3 GB, 9 GB where pip takes a CUDA build), then run the command again.",
    "temporary failure in name resolution": "There seems to be no network. Check it, then run the command again.",
    "name or service not known": "There seems to be no network. Check it, then run the command again.",
    "failed to establish a new connection": "The package registry cannot be reached. Check the network, then run the command again.",
    "cannot connect to proxy": "The proxy cannot be reached. Check the network, then run the command again.",
    "timed out": "The network is too slow or gone. Check it, then run the command again.",
    "no matching distribution found": "The registry has no such package for this Python ({python}), or it cannot be reached. "
    "Check the network, or try another Python (3.10 to 3.13).",
}
AGAIN = "Run the command again; what was left half-finished is built anew."


class SetupError(SystemExit):
    """A set-up that cannot go on. As a SystemExit it ends any of the commands with its text and exit code 1."""


def say(text: str) -> None:
    """Prints one line of progress with the seconds since the start, on stderr."""
    print(f"[set-up {time.monotonic() - STARTED:4.0f} s] {text}", file=sys.stderr, flush=True)


def failure(what: str, output: str) -> SetupError:
    """The error for a failed step: what failed, the last lines of its output, what to do."""
    lines = [line for line in output.splitlines() if line.strip()][-TAIL:]
    known = (hint for sign, hint in HINTS.items() if sign in output.lower())
    hint = next(known, AGAIN).format(python=sys.version.split()[0])
    return SetupError("\n".join([f"HeadHunter set-up failed: {what}", *(f"  | {line}" for line in lines), hint]))


def run(
    command: Sequence[str | Path], what: str, *, env: Mapping[str, str] | None = None, hold: Sequence[int] = ()
) -> str:
    """Runs a command, saying so now and then, and returns its output.

    Args:
        command: program and arguments.
        what: the step in plain words ("installing torch").
        env: the whole environment; the own one if None.
        hold: file descriptors the command inherits (the lock: it lasts while any holder lives).

    Raises:
        SetupError: the command is missing or exits with another code than 0.
    """
    say(what)
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        try:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                pass_fds=tuple(hold) if os.name == "posix" else (),
            )
        except OSError as error:
            raise failure(what, str(error)) from error
        begun = time.monotonic()
        try:
            while process.poll() is None:
                try:
                    process.wait(HEARTBEAT)
                except subprocess.TimeoutExpired:
                    say(f"  still {what} ({time.monotonic() - begun:.0f} s)")
        finally:
            if process.poll() is None:  # interrupted: leave nothing running behind
                process.kill()
                process.wait()
        log.seek(0)
        output = log.read()
    if process.returncode != 0:
        raise failure(f"{what} (exit code {process.returncode})", output)
    return output
