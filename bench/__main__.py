"""`python bench`: measures what guidance and hunts cost, each ratio side by side in one run, and prints a table.

`--json FILE` writes every number; `--part NAME` (again and again) chooses; `--quick` only checks that everything works.
Runs under any Python >= 3.10 with nothing installed; the measuring happens in the host's Python.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:1] = [str(ROOT)]  # in place of bench/ itself

from hosting import setup  # noqa: E402  (after the path is right)


def main(arguments: list[str]) -> int:
    """Runs bench/run.py on the host and returns its exit code."""
    host = setup.ensure(tools=True)
    command = [str(host.python), str(ROOT / "bench" / "run.py"), *arguments]
    env = os.environ | {"COMFYUI_PATH": str(host.comfyui), "KINETO_LOG_LEVEL": "99"}  # the memory profiler is talkative
    env.pop("PYTHONPATH", None)
    try:
        return subprocess.call(command, env=env)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
