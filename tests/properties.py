"""What the property-based tests share: how many cases they try, and what a case may cost.

    @cases()                       # 300 generated cases, the same ones every time
    @given(text=texts)
    def test_it(text):
        with limited():            # 0.2 s of CPU, 64 MB
            parse(text, grid)

`HEADHUNTER_CASES=10000 python tests tests/test_heads.py` tries so many cases a test instead, new ones every time; a case
that fails is printed in its smallest form, with a line (`@reproduce_failure`) that repeats it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, configuration, settings

WANTED = os.environ.get("HEADHUNTER_CASES", "")
DEFAULT = 300

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
    """AssertionError where what runs inside takes more CPU time, or makes the process grow by more memory."""
    begun, peak = time.thread_time(), _peak()
    yield
    took, grew = time.thread_time() - begun, _peak() - peak
    assert took < seconds, f"it took {took:.3f} s of CPU; {seconds:g} s are allowed"
    assert grew < megabytes, f"it took {grew:.0f} MB of memory; {megabytes:g} MB are allowed"


def _peak() -> float:
    """The most memory that this process has ever had, in MB; 0 on Windows, which does not tell."""
    if sys.platform == "win32":
        return 0.0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
