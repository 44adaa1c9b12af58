"""What the registry and the Manager read: pyproject.toml, requirements.txt, and what ends up in the archive."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from hosting import locate

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10; pip brings its own
    from pip._vendor import tomli as tomllib

ROOT = locate.ROOT


def comfy(folder: Path, home: Path, *arguments: str) -> str:
    """Runs comfy-cli in a folder, with a home of its own and no telemetry, and returns what it printed."""
    tools = Path(sys.executable).parent
    path = os.pathsep.join([str(tools), os.environ.get("PATH", "")])  # it calls `ruff` by name
    env = os.environ | {"HOME": str(home), "PATH": path, "DO_NOT_TRACK": "1"}
    command = [str(tools / "comfy"), "--skip-prompt", *arguments]
    result = subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def submitted(tmp_path_factory) -> Path:
    """The files of the pack that git has or would take, in a repository of their own, without the demo's weights."""
    folder = tmp_path_factory.mktemp("submitted")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if listing.returncode != 0:
        pytest.skip(f"not a git checkout: {listing.stderr.strip()}")
    for name in filter(None, listing.stdout.split("\0")):
        source = ROOT / name
        if source.is_file() and source.stat().st_size < 1_000_000:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "-A", "-f"], cwd=folder, check=True)
    return folder


def test_comfy_node_validate_passes_without_a_warning(submitted, tmp_path):
    said = comfy(submitted, tmp_path, "node", "validate")
    assert "All validation checks passed successfully" in said
    assert "arning" not in said  # with warnings it still exits with 0


def test_archive_holds_the_pack_and_no_tests(submitted, tmp_path):
    comfy(submitted, tmp_path, "node", "pack")
    with zipfile.ZipFile(submitted / "node.zip") as archive:
        names = set(archive.namelist())
    assert {"__init__.py", "pyproject.toml", "requirements.txt", "LICENSE", "nodes/__init__.py"} <= names
    assert not {name.split("/")[0] for name in names} & {"hosting", "tests", "demo", "bench", ".ci", ".host", ".github"}


def test_pyproject_says_what_the_registry_needs():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, registry = told["project"], told["tool"]["comfy"]
    assert project["name"] == "headhunter-softpag"  # also the folder name after an install: not to change
    assert str(Version(project["version"])) == project["version"]
    assert (registry["PublisherId"], registry["DisplayName"]) == ("headhunter", "HeadHunter")
    assert project["dependencies"] == []
    assert (ROOT / project["license"]["file"]).read_text(encoding="utf-8").startswith("MIT License")
    assert project["urls"]["Repository"].startswith("https://github.com/")


def test_needed_comfyui_is_the_same_everywhere():
    import headhunter_pack

    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared = Requirement("comfyui" + told["tool"]["comfy"]["requires-comfyui"]).specifier
    oldest = ".".join(map(str, headhunter_pack.NEEDED))
    assert str(declared) == f">={oldest}"


def test_requirements_hold_comments_only():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert lines and all(line.startswith("#") or not line.strip() for line in lines)
