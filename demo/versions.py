"""What a summary names, so that its numbers can be made again."""

from __future__ import annotations

import re
from pathlib import Path

from hosting.server import Server

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def versions(server: Server) -> dict[str, str]:
    """Versions of the pack, and of ComfyUI, Python and torch as the server reports them."""
    version = re.search(r'^version = "(.+)"', PROJECT.read_text(encoding="utf-8"), re.MULTILINE)
    system = server.get("/system_stats")["system"]
    return {
        "headhunter": version.group(1) if version else "unknown",
        "comfyui": server.host.version,
        "python": system["python_version"].split()[0],
        "torch": system["pytorch_version"],
    }
