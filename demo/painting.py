"""Runs the two scripts that need numpy and Pillow in the host's Python."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from hosting.setup import Host


def call(host: Host, script: str, job: Any) -> Any:
    """Runs demo/`script` with a JSON job on its stdin and returns the JSON it prints.

    Raises:
        RuntimeError: the script failed; with the end of what it said.
    """
    command = [str(host.python), str(Path(__file__).resolve().parent / script)]
    result = subprocess.run(
        command, input=json.dumps(job, default=str), capture_output=True, text=True, encoding="utf-8"
    )
    if result.returncode != 0:
        raise RuntimeError(f"{script} ended with exit code {result.returncode}:\n{result.stderr[-2000:]}")
    return json.loads(result.stdout)
