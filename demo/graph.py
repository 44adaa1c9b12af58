"""The demo's workflow, as saved for the browser, with one branch for each setting: every caption costs one post."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hosting.server import Server
from hosting.workflow import to_api

from .captions import Caption
from .settings import Setting

WORKFLOW = (
    Path(__file__).resolve().parent / "custom_nodes" / "headhunter_demo" / "example_workflows" / "demo_softpag.json"
)
BRANCH = ("HeadHunterSoftPAG", "KSampler", "VAEDecode", "SaveImage")  # what a setting has for itself

Prompt = dict[str, dict[str, Any]]


def load(server: Server) -> Prompt:
    """The saved workflow as a prompt for the server's API."""
    return to_api(json.loads(WORKFLOW.read_text(encoding="utf-8")), server.get("/object_info"))


def branched(
    workflow: Prompt, settings: Iterable[Setting], caption: Caption, rows: int, steps: int
) -> tuple[Prompt, dict[str, str]]:
    """The workflow for one caption, once for each setting.

    Args:
        workflow: from `load`; not changed.
        settings: one branch each, from SoftPAG to the saved picture; loaders and prompts are shared.
        caption: prompt and seed.
        rows: pictures in a batch; their noises are the seed's first, second, ...
        steps: sampling steps.

    Returns:
        The prompt, and for each setting's name the id of the node that saves its pictures.
    """
    ids = {kind: next(key for key, node in workflow.items() if node["class_type"] == kind) for kind in BRANCH}
    prompt = {key: copy.deepcopy(node) for key, node in workflow.items() if key not in ids.values()}
    sampler = workflow[ids["KSampler"]]["inputs"]
    prompt[sampler["positive"][0]]["inputs"]["text"] = caption.text
    prompt[sampler["latent_image"][0]]["inputs"]["batch_size"] = rows
    for setting in settings:
        changed = {
            "HeadHunterSoftPAG": {"heads": setting.heads, "scale": setting.scale, "strength": setting.strength},
            "KSampler": {"cfg": setting.cfg, "seed": caption.seed, "steps": steps},
            "SaveImage": {"filename_prefix": f"{caption.name}-{setting.name}"},
        }
        for kind, key in ids.items():
            node = copy.deepcopy(workflow[key])
            for name, value in node["inputs"].items():
                if isinstance(value, list) and value[0] in ids.values():
                    node["inputs"][name] = [f"{value[0]}-{setting.name}", value[1]]
            node["inputs"] |= changed.get(kind, {})
            prompt[f"{key}-{setting.name}"] = node
    return prompt, {setting.name: f"{ids['SaveImage']}-{setting.name}" for setting in settings}
