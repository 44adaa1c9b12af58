"""The engine needs no ComfyUI, and its rooms import each other one way. `python tests --fast` runs this folder alone."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "headhunter"
HOST = ENGINE / "host"
FILES = sorted(path for path in ENGINE.rglob("*.py") if HOST not in path.parents)
ALLOWED = {"torch", "PIL", "numpy", "safetensors"}  # what every ComfyUI brings; the rest is Python's own


def dotted(path: Path) -> str:
    """A file's module name, inside the pack."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """The dotted names that a file imports, relative ones resolved; also those inside functions."""
    names = set()
    package = dotted(path).split(".") if path.name == "__init__.py" else dotted(path).split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            names |= {".".join([*module, alias.name]) for alias in node.names} if node.level else {".".join(module)}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: dotted(path))
def test_imports_without_comfyui(path):
    importlib.import_module(f"headhunter_pack.{dotted(path)}")
    for name in imports(path):
        top = name.split(".")[0]
        assert top == "headhunter" or top in ALLOWED or top in sys.stdlib_module_names, f"{path.name} imports {name}"
        assert not name.startswith("headhunter.host"), f"{path.name} imports {name}: the host is above the engine"


def test_nothing_below_the_nodes_imports_them():
    """`import nodes` in the host is ComfyUI's own module of that name; the pack's would be `..nodes`."""
    for path in sorted(ENGINE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                depth = len(path.relative_to(ROOT).parts)
                assert node.level < depth, f"{path.name}, line {node.lineno}: an import from above the engine"


def test_no_circle_of_imports():
    """Module by module; what a function imports as it runs counts too."""
    names = {dotted(path): path for path in ENGINE.rglob("*.py")}
    graph = {}
    for name, path in names.items():
        reached = set()
        for target in imports(path):
            while target and target not in names:
                target = target.rpartition(".")[0]
            if target and not (
                target != name and name.startswith(f"{target}.")
            ):  # a package's own __init__ comes first
                reached.add(target)
        graph[name] = reached - {name}
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle of imports: {' -> '.join([*path[path.index(name) :], name])}"
        if name not in done:
            for target in sorted(graph[name]):
                walk(target, (*path, name))
            done.add(name)

    for name in sorted(graph):
        walk(name, ())
