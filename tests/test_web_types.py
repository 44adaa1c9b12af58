"""The page's modules without a browser: their types, read from their JSDoc by TypeScript, and what importing them does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from hosting.locate import ROOT, STORE
from hosting.lock import only_one

WEB = ROOT / "web"
ENTRY = "headhunter.js"  # the only module that does something when it is imported
MODULES = {path.relative_to(WEB).as_posix(): path.read_text(encoding="utf-8") for path in sorted(WEB.rglob("*.js"))}
IMPORT = re.compile(r'^(?:import|export)\b[^;"]*from "([^"]+)";|\bimport\("([^"]+)"\)(?=\.catch)', re.MULTILINE)
TYPESCRIPT = "7.0.2"
TIMEOUT = 240


def program(name: str) -> str:
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"no {name} found: it comes with Node.js, from nodejs.org or Debian's `npm`")
    return program


def typescript() -> Path:
    """The folder of a TypeScript of our own, installed once; its tests are skipped where the registry cannot be reached."""
    folder = STORE / f"typescript-{TYPESCRIPT}"
    npm = program("npm")
    STORE.mkdir(exist_ok=True)
    with only_one(STORE / "lock-typescript"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=STORE) as scratch:
                command = [npm, "install", "--prefix", scratch, "--no-audit", "--no-fund", f"typescript@{TYPESCRIPT}"]
                done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
                if done.returncode:
                    pytest.skip(
                        f"TypeScript {TYPESCRIPT} could not be installed from npm: {done.stderr.strip()[-300:]}"
                    )
                shutil.copytree(scratch, folder.with_name(folder.name + ".new"), symlinks=True, dirs_exist_ok=True)
            os.rename(folder.with_name(folder.name + ".new"), folder)
    return folder


def test_types():
    tsc = typescript() / "node_modules" / "typescript" / "bin" / "tsc"
    command = [program("node"), tsc, "--project", ROOT / "tests" / "tsconfig.json", "--pretty", "false"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr


def imports_of(module: str) -> list[str]:
    """The modules of this pack that a module imports, also those that it loads later."""
    folder = Path("/", module).parent
    paths = [os.path.normpath(folder / (begin or later))[1:] for begin, later in IMPORT.findall(MODULES[module])]
    return [path for path in paths if path in MODULES]


def test_imports_have_no_circles():
    assert "widget/grid_widget.js" in imports_of(ENTRY) and "menu/menu.js" in imports_of("widget/menu_loader.js")
    done: set[str] = set()

    def walk(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way, module))
        if module not in done:
            for each in imports_of(module):
                walk(each, (*way, module))
        done.add(module)

    walk(ENTRY, ())
    assert done == set(MODULES), "modules that nothing imports"


def test_importing_a_module_does_nothing(tmp_path):
    """ComfyUI imports every module as if it were an extension. Without a page none of them may so much as touch one."""
    shutil.copytree(WEB, tmp_path / "web", ignore=shutil.ignore_patterns("docs"))
    (tmp_path / "package.json").write_text('{"type": "module"}')
    modules = [f"./web/{name}" for name in MODULES if name != ENTRY]
    script = "const before = Object.keys(globalThis).length;\n"
    script += "".join(f"await import({module!r});\n" for module in modules)
    script += "if (Object.keys(globalThis).length !== before) throw new Error('something became global');\n"
    (tmp_path / "all.js").write_text(script)
    done = subprocess.run([program("node"), "all.js"], cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr


def test_each_module_holds_one_idea():
    lengths = {name: text.count("\n") for name, text in MODULES.items()}
    assert {name: length for name, length in lengths.items() if length > 250} == {}
