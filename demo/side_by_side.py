"""The demo's third part: settings side by side, by Compare Heads, as the template demo_compare has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hosting.server import Server
from hosting.workflow import to_api

from .graph import WORKFLOW
from .progress import say

TEMPLATE = WORKFLOW.with_name("demo_compare.json")
STUDY = "demo-comparison"
SHEET = "comparison.png"


def run(server: Server, out: Path, quick: bool) -> dict[str, Any]:
    """Makes the comparison, writes its sheet, and returns its report with the table."""
    prompt = to_api(json.loads(TEMPLATE.read_text(encoding="utf-8")), server.get("/object_info"))
    node = next(key for key, entry in prompt.items() if entry["class_type"] == "HeadHunterCompare")
    prompt[node]["inputs"] |= {"study": STUDY, **({"steps": 4} if quick else {})}
    lines = prompt[node]["inputs"]["variants"].splitlines()
    say(f"comparing {sum(':' in line and line[0] != '#' for line in lines)} settings with the unguided pictures")
    entry = server.run(prompt)
    (out / SHEET).write_bytes(server.images(entry)[0][1])
    report = server.get(f"/headhunter/studies/{STUDY}")["report"]
    return report | {"table": entry["outputs"][node]["text"][0]}


def report(comparison: dict[str, Any]) -> str:
    """The table with a line above it, for the terminal."""
    prompts = len(comparison["pairs"])
    return f"Heads of a hunt for warmth, and others, on {prompts} warm captions that it did not see:\n{comparison['table']}"
