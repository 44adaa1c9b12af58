"""What the documents say: no file cites a document that is not here, links lead somewhere, lists of models are whole."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from headhunter_pack.headhunter.families import NOT_YET, supported

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve()
ADDRESS = re.compile(r"^[a-z]+:")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CITED = re.compile(r"(?<![\w./-])(?:[\w.-]+/)*[A-Za-z][\w-]*\.md\b")
MADE = {"summary.md", "readme.md"}  # written by a command or made up in a test


def files(*suffixes: str) -> list[Path]:
    """The files that git has or would take."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listing.returncode != 0:
        pytest.skip(f"not a git checkout: {listing.stderr.strip()}")
    paths = (ROOT / name for name in listing.stdout.split("\0") if name.endswith(suffixes))
    return sorted(path for path in paths if path.is_file() and path != HERE)


def left_out() -> set[str]:
    """The names at the root that .comfyignore keeps out of the archive."""
    return {line.strip().rstrip("/") for line in (ROOT / ".comfyignore").read_text(encoding="utf-8").splitlines()}


def test_no_file_cites_a_document_that_is_not_here():
    missing = []
    for path in files(".py", ".js", ".md", ".toml", ".yml", ".yaml"):
        text = re.sub(r"\w+:[^\s)]+", "", path.read_text(encoding="utf-8"))  # without addresses
        for name in CITED.findall(text):
            known = any((base / name).is_file() for base in (ROOT, path.parent))
            if not known and name not in MADE:
                missing.append(f"{path.relative_to(ROOT)}: {name}")
        missing += [f"{path.relative_to(ROOT)}: {word}" for word in re.findall(r"\bDESIGN\b(?!\.md)[^\n]{0,12}", text)]
    assert not missing


def test_a_cited_part_of_the_design_is_there():
    design = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    titles = set(re.findall(r"^#+ (.+)$", design, re.MULTILINE))
    for path in files(".py", ".js"):
        for part in re.findall(r"docs/design\.md, ([A-Z][a-z]+(?: [a-z]+)*)", path.read_text(encoding="utf-8")):
            assert part in titles, f"{path.relative_to(ROOT)} cites docs/design.md, {part}"


@pytest.mark.parametrize("path", files(".md"), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(path):
    for link in LINK.findall(path.read_text(encoding="utf-8")):
        if not ADDRESS.match(link) and not link.startswith("#"):
            assert (path.parent / link.split("#")[0]).exists(), link


def test_links_in_the_archive_are_not_dead():
    """README.md, docs/ and the help pages are in what users get; tests, demo, bench and the README's pictures are not."""
    dead = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "web").rglob("*.md"))]:
        for link in LINK.findall(path.read_text(encoding="utf-8")):
            if ADDRESS.match(link) or link.startswith("#"):
                continue
            target = (path.parent / link.split("#")[0]).resolve().relative_to(ROOT)
            patterns = left_out()
            if target.parts[0] in patterns or any(target.match(pattern) for pattern in patterns if "*" in pattern):
                dead.append(f"{path.relative_to(ROOT)}: {link}")
    assert not dead


@pytest.mark.parametrize("name", ["README.md", "docs/design.md", "web/docs/HeadHunterSoftPAG.md"])
def test_the_list_of_models_is_the_registry(name):
    """Chroma, FLUX, ...: a new family's name goes there too, and nowhere else."""
    assert supported() in (ROOT / name).read_text(encoding="utf-8")


def test_models_that_are_not_supported_yet_are_named():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(name in text for name in NOT_YET.values())


def test_nodes_list_no_models_of_their_own():
    for path in sorted((ROOT / "nodes").glob("*.py")):
        assert not re.search(r"SD3\.5|Qwen|Chroma", path.read_text(encoding="utf-8")), path.name


def test_what_compatibility_cites_is_there():
    """Each `tests/file.py::test` of docs/compatibility.md."""
    text = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    cited = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert cited
    for name, test in cited:
        path = ROOT / name
        assert path.is_file(), name
        assert f"def {test}" in path.read_text(encoding="utf-8"), f"{name}::{test}"
