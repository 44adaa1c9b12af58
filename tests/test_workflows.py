"""Every example workflow: the real server accepts it, the real page opens it, and its picture is as the page draws it."""

import json
from pathlib import Path
from typing import Any

import pytest
from gridpage import flux_shapes, header_only, sd3_shapes

from hosting import browser
from hosting.server import PromptError, Server
from hosting.workflow import to_api

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "example_workflows").glob("*.json"))
DEMO = sorted((ROOT / "demo" / "custom_nodes").glob("*/example_workflows/*.json"))
DUAL = {f"joint_blocks.{i}.x_block.attn2.qkv.weight": (4608, 1536) for i in range(13)}
HEADERS = {
    "checkpoints/sd3.5_medium.safetensors": sd3_shapes(24) | DUAL,
    "checkpoints/sd3_medium_incl_clips_t5xxlfp8.safetensors": sd3_shapes(24),
    "diffusion_models/flux1-dev.safetensors": flux_shapes(),
}
NEWER = {"ImageCompare"}  # core nodes of 2026
READABLE = 0.6  # of a zoom; below it ComfyUI draws nodes as empty boxes
MODEL_NAMES = {
    "text_encoders": ["clip_l.safetensors", "t5xxl_fp16.safetensors"],
    "vae": ["ae.safetensors"],
    "image_scorers": ["PickScore_v1.safetensors"],
}


@pytest.fixture(scope="module")
def stocked(host, tmp_path_factory):
    """A server with the demo's models, and files without weights under the names of the real ones."""
    models = tmp_path_factory.mktemp("models")
    for name, shapes in HEADERS.items():
        header_only(models / name, shapes)
    for folder, names in MODEL_NAMES.items():
        (models / folder).mkdir()
        for name in names:
            (models / folder / name).touch()
    demo = ROOT / "demo"
    with Server(host, models=[models, demo / "models"], custom_nodes=(demo / "custom_nodes").iterdir()) as running:
        yield running


def opened(path: Path, info: dict[str, Any]) -> dict[str, Any]:
    """A saved workflow; skipped where this ComfyUI is older than one of its core nodes."""
    workflow = json.loads(path.read_text(encoding="utf-8"))
    missing = NEWER & {node["type"] for node in workflow["nodes"]} - set(info)
    if missing:
        pytest.skip(f"this ComfyUI has no {', '.join(missing)}")
    return workflow


@pytest.mark.live
@pytest.mark.parametrize("path", EXAMPLES + DEMO, ids=lambda path: path.stem)
def test_the_server_accepts_it(stocked, path):
    info = stocked.get("/object_info")
    prompt = to_api(opened(path, info), info)
    for node in prompt.values():
        if node["class_type"] == "HeadHunterSearch" and path in DEMO:
            node["inputs"] |= {"rounds": 1, "steps": 2, "pool": "L0-1"}  # as it is but for its length
        if node["class_type"] == "HeadHunterCompare":
            node["inputs"] |= {"steps": 2}
    prompt_id = stocked.queue(prompt)
    if path in DEMO:
        assert len(stocked.images(stocked.wait(prompt_id))) > 0
        return
    # Validated; it then stops at the first loader, whose file has no weights here.
    with pytest.raises(
        PromptError, match=r"CheckpointLoaderSimple|UNETLoader|DualCLIPLoader|VAELoader|LoadScoringModel"
    ):
        stocked.wait(prompt_id)


@pytest.mark.live
def test_a_wrong_workflow_is_refused_with_the_place(stocked):
    path = next(path for path in EXAMPLES if "softpag" in path.stem)
    prompt = to_api(json.loads(path.read_text(encoding="utf-8")), stocked.get("/object_info"))
    node = next(node for node in prompt.values() if node["class_type"] == "HeadHunterSoftPAG")
    node["inputs"]["heads"] = "L1,\nL7H3-1"
    with pytest.raises(PromptError, match=r"L7H3-1.*line 2, column 1.*reversed"):
        stocked.queue(prompt)


@pytest.mark.live
@pytest.mark.browser
@pytest.mark.parametrize("path", EXAMPLES + DEMO, ids=lambda path: path.stem)
def test_the_page_opens_it(stocked, chromium_path, path, request, tmp_path):
    workflow = opened(path, stocked.get("/object_info"))
    with browser.comfy_page(stocked, chromium_path) as page:
        browser.load(page, workflow)
        queued = page.evaluate("async () => (await window.app.graphToPrompt()).output")
        expected = to_api(workflow, stocked.get("/object_info"))
        assert queued.keys() == expected.keys()
        for key, node in expected.items():
            # A node's own JavaScript may add widgets that the server does not ask for (PreviewAny's text).
            assert {name: queued[key]["inputs"][name] for name in node["inputs"]} == node["inputs"]
        width, height = page.evaluate(
            """() => { const b = [1e9, 1e9, -1e9, -1e9]; for (const n of app.graph._nodes) { const [x, y, w, h] = n.getBounding();
            b[0] = Math.min(b[0], x); b[1] = Math.min(b[1], y); b[2] = Math.max(b[2], x + w); b[3] = Math.max(b[3], y + h) }
            return [b[2] - b[0], b[3] - b[1]] }"""
        )
        assert min(1440 / width, 860 / height) > READABLE, f"it opens too small to be read: {width:.0f} x {height:.0f}"
        target = path.with_suffix(".jpg") if request.config.getoption("--write-pictures") else tmp_path / "graph.jpg"
        browser.picture(page, target)
        assert page.problems == []
    assert path.with_suffix(".jpg").exists(), "no picture: run `python tests -k opens_it --write-pictures`"
