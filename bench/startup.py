"""[startup] What the pack adds to ComfyUI's start."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from hosted import host

from hosting.locate import ROOT
from hosting.server import Server


def measure(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds until the server answers, with the pack and without, in turns; and the import time that ComfyUI itself reports."""
    starts: dict[str, list[float]] = {"with": [], "without": []}
    imports = []
    for number in range(rounds):
        for name, pack in sorted({"with": ROOT, "without": None}.items(), reverse=bool(number % 2)):
            started = time.perf_counter()
            with Server(host(), pack=pack) as server:
                starts[name].append(time.perf_counter() - started)
                reported = re.search(r"([\d.]+) seconds: .*headhunter", server.log_text)
                if pack and reported:
                    imports.append(float(reported[1]))
        say(f"round {number + 1} of {rounds}")
    return {
        "seconds": starts,
        "import_seconds": imports,
        "difference": median(starts["with"]) - median(starts["without"]),
    }


def table(part: dict[str, Any]) -> str:
    """For the terminal."""
    told = {
        name: f"{median(times):.2f} s ({min(times):.2f} to {max(times):.2f})" for name, times in part["seconds"].items()
    }
    own = f"{max(part['import_seconds']):.1f} s at most" if part["import_seconds"] else "not reported"
    return f"until ComfyUI answers: with the pack {told['with']}, without {told['without']}; its import as ComfyUI reports it: {own}"
