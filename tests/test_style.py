"""ruff over everything written here, the type checker over the pack."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from hosting import locate

ROOT = locate.ROOT


def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a tool of the tests' environment in the pack's root."""
    command = [str(Path(sys.executable).parent / name), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_ruff():
    folders = ("headhunter", "nodes", "hosting", "tests", "demo", "bench", "__init__.py")
    result = tool("ruff", "check", "--output-format=concise", *(place for place in folders if (ROOT / place).exists()))
    assert result.returncode == 0, result.stdout + result.stderr


def test_types(host, tmp_path):
    # Two environments with ComfyUI but without the pack's root: there `import nodes` must mean ComfyUI's.
    paths = [str(host.comfyui)]
    settings = {
        "extends": str(ROOT / "pyproject.toml"),
        "include": [str(ROOT / "headhunter"), str(ROOT / "nodes")],
        "extraPaths": paths,  # for ComfyUI's own files
        "executionEnvironments": [{"root": str(ROOT / room), "extraPaths": paths} for room in ("headhunter", "nodes")],
    }
    (tmp_path / "types.json").write_text(json.dumps(settings), encoding="utf-8")
    result = tool("basedpyright", "--project", tmp_path / "types.json", "--pythonpath", sys.executable)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "No source files found" not in result.stdout + result.stderr
