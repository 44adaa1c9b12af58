"""What the property-based tests share: how many cases they try, and what a case may cost.

    @cases()                       # 300 generated cases, the same ones every time
    @given(text=texts)
    def test_it(text):
        with limited():            # 0.2 s of CPU, 64 MB; `within` tries a single large case several times
            parse(text, grid)

`HEADHUNTER_CASES=10000 python tests tests/engine/test_heads_properties.py` tries so many cases a test instead, new ones every time; a case
that fails is printed in its smallest form, with a line (`@reproduce_failure`) that repeats it.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, configuration, settings

WANTED = os.environ.get("HEADHUNTER_CASES", "")
DEFAULT = 50 if "HEADHUNTER_ENGINE_ALONE" in os.environ else 300  # few under `python tests --fast`
Result = TypeVar("Result")

# Hypothesis keeps its notes in the current folder otherwise.
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "headhunter-hypothesis")


def cases(share: float = 1.0) -> settings:
    """Settings of one test. `share`: its part of the usual number of cases, below 1 where a case is slow."""
    return settings(
        max_examples=max(1, round(int(WANTED or DEFAULT) * share)),
        derandomize=not WANTED,
        database=None,
        deadline=None,  # `limited` looks at CPU time, which a busy machine does not change
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    )


@contextmanager
def limited(seconds: float = 0.2, megabytes: float = 64.0) -> Iterator[None]:
    """AssertionError where what runs inside takes more CPU time, or makes the process grow by more memory.

    Python's garbage collector waits for the end: what it looks through is all that the process holds.
    """
    collects = gc.isenabled()
    gc.disable()
    begun, peak = time.thread_time(), _peak()
    try:
        yield
        took, grew = time.thread_time() - begun, _peak() - peak
    finally:
        if collects:
            gc.enable()
    assert took < seconds, f"it took {took:.3f} s of CPU; {seconds:g} s are allowed"
    assert grew < megabytes, f"it took {grew:.0f} MB of memory; {megabytes:g} MB are allowed"


def within(seconds: float, work: Callable[[], Result], tries: int = 5, megabytes: float = 64.0) -> Result:
    """What `work` gives, if one of its tries is within the limit: other work on the same core makes CPU time longer.

    A machine that is slower than the one the limits were set on is given as much more; see `slowness`.
    """
    for attempt in range(tries):
        try:
            with limited(seconds * (slowness() if attempt else 1), megabytes):
                result = work()
            return result
        except AssertionError:
            if attempt == tries - 1:
                raise
    raise AssertionError("no tries")


def quickest(seconds: float, measure: Callable[[], float], tries: int = 5) -> None:
    """AssertionError where none of some measurements, in seconds of CPU of another process, is within the limit."""
    times: list[float] = []
    for attempt in range(tries):
        times.append(measure())
        if times[-1] < seconds * (slowness() if attempt else 1):
            return
    raise AssertionError(f"it took {min(times):.3f} s of CPU at best; {seconds:g} s are allowed")


def slowness() -> float:
    """CPU time of a fixed loop over what it takes where the limits were set, 11 ms with nothing else on the core; at least 1."""
    begun, number = time.thread_time(), 0
    for number in range(400_000):
        number ^= 1
    return max(1.0, (time.thread_time() - begun) / 0.011)


def _peak() -> float:
    """The most memory that this process has ever had, in MB; 0 on Windows, which does not tell."""
    if sys.platform == "win32":
        return 0.0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
