"""The page's JavaScript without a page: one node process that reads what it is given and answers."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parent / "reader.mjs"


class Reader:
    """Use as a context manager. `ask` gives {value} or {error, kind}, and the seconds of CPU that it took."""

    def __init__(self, node: str):
        self._node = node

    def __enter__(self) -> Reader:
        command = [self._node, "--max-old-space-size=512", str(SCRIPT)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def ask(self, what: str, value: str) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"do": what, "value": value}).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"node ended on {value[:200]!r}"
        return json.loads(line)


def find_node() -> str | None:
    """A node: the system's, or the one that Playwright brings along."""
    installed = shutil.which("node")
    if installed:
        return installed
    try:
        import playwright
    except ImportError:
        return None
    brought = Path(playwright.__file__).parent / "driver" / "node"
    return str(brought) if brought.exists() else None
