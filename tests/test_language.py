"""Words in the page: the locale files say what the nodes say, and every node has a help page that names all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
LOCALE = ROOT / "locales" / "en"
DOCS = ROOT / "web" / "docs"
SPECIAL = re.compile(
    r"[@|{}]"
)  # vue-i18n's own characters: a text with one is left out, and the page shows the node's own
UNBOUNDED = 2**63  # a seed's range says nothing

pytestmark = pytest.mark.live


def nodes(server) -> dict[str, Any]:
    return {
        name: node
        for name, node in server.get("/object_info").items()
        if name.startswith("HeadHunter") and "Demo" not in name
    }


def inputs_of(node: dict[str, Any]) -> dict[str, list[Any]]:
    return node["input"].get("required", {}) | node["input"].get("optional", {})


def words(**texts: str) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text and not SPECIAL.search(text)}


def locale_of(node: dict[str, Any]) -> dict[str, Any]:
    """What nodeDefs.json says of a node (ComfyUI's docs, custom node i18n)."""
    outputs = zip(node["output_name"], node["output_tooltips"], strict=True)
    return words(display_name=node["display_name"], description=node["description"]) | {
        "inputs": {
            name: words(name=name, tooltip=spec[1].get("tooltip", "")) for name, spec in inputs_of(node).items()
        },
        "outputs": {str(index): words(name=name, tooltip=text) for index, (name, text) in enumerate(outputs)},
    }


def test_locales_say_what_the_nodes_say(server, request):
    """`python tests -k locales --write-pictures` writes them anew."""
    expected = {
        "main.json": {"nodeCategories": {"HeadHunter": "HeadHunter"}},
        "nodeDefs.json": {name: locale_of(node) for name, node in sorted(nodes(server).items())},
    }
    for name, told in expected.items():
        path = LOCALE / name
        if request.config.getoption("--write-pictures"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        assert json.loads(path.read_text(encoding="utf-8")) == told, "run `python tests -k locales --write-pictures`"


def test_the_server_hands_the_locales_out(server):
    told = server.get("/i18n")["en"]
    assert told["nodeCategories"]["HeadHunter"] == "HeadHunter"
    assert set(nodes(server)) <= set(told["nodeDefs"])


def number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def test_every_input_is_named_in_its_help_page_with_its_range(server):
    missing = []
    for name, node in nodes(server).items():
        text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
        rows = [line for line in text.splitlines() if line.startswith("|")]
        if not text.startswith(f"# {node['display_name']}\n"):
            missing.append(f"{name}: its title")
        if f"]({name}.jpg)" not in text:
            missing.append(f"{name}: its picture")
        for key, (kind, options) in inputs_of(node).items():
            said = [row for row in rows if re.search(rf"\b{key}\b", row.split("|")[1])]
            if not said:
                missing.append(f"{name}.{key}")
                continue
            row = " ".join(said)
            if kind in ("FLOAT", "INT") and abs(options["max"]) < UNBOUNDED:
                ends = number(options["min"]), number(options["max"])
                plain = row.replace(",", "")
                if not re.search(rf"(?<![\d.]){re.escape(ends[0])} to {re.escape(ends[1])}(?![\d.])", plain):
                    missing.append(f"{name}.{key}: {ends[0]} to {ends[1]}")
            choices = options.get("options") if kind == "COMBO" else kind if isinstance(kind, list) else None
            if choices and len(choices) <= 6 and key not in ("file", "head_file"):
                missing += [f"{name}.{key}: {choice}" for choice in choices if str(choice) not in row]
    assert not missing


def test_pictures_of_the_help_pages_are_served_and_small(server):
    for page in sorted(DOCS.glob("*.md")):
        for file in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            assert re.fullmatch(r"[\w.-]+", file), f"{page.name}: {file} is not beside it"
            data = server.get_bytes(f"/extensions/headhunter/docs/{file}")
            assert data == (DOCS / file).read_bytes() and len(data) < 120_000


def test_the_template_browser_lists_the_examples_and_their_pictures(server):
    names = sorted(path.stem for path in (ROOT / "example_workflows").glob("*.json"))
    assert sorted(server.get("/workflow_templates")["headhunter"]) == names
    for name in names:
        data = server.get_bytes(f"/api/workflow_templates/headhunter/{name}.json")
        assert data == (ROOT / "example_workflows" / f"{name}.json").read_bytes()
        assert server.get_bytes(f"/api/workflow_templates/headhunter/{name}.jpg")[:2] == b"\xff\xd8"
