"""The pack in a real ComfyUI: its nodes are there and explained; a ComfyUI that is too old gets one clear line."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
import logging
import re
from pathlib import Path

import pytest

from hosting import locate, shadow
from hosting.server import Server

NODES = {
    "HeadHunterSoftPAG",
    "HeadHunterGuider",
    "HeadHunterEditHeads",
    "HeadHunterPreset",
    "HeadHunterSavePreset",
}
ROOT = locate.ROOT
LOADED = re.compile(r"^(\[INFO\])?\s*\d+\.\d+ seconds: \S+$")  # ComfyUI's table of import times names every pack


def about_the_pack(log: str) -> list[str]:
    """The lines of a server's log that name this pack, without the table of import times."""
    return [line for line in log.splitlines() if "headhunter" in line.lower() and not LOADED.match(line)]


def test_entrypoint_lists_every_node(host):
    import headhunter_pack

    extension = asyncio.run(headhunter_pack.comfy_entrypoint())
    nodes = {node.GET_SCHEMA().node_id: node for node in asyncio.run(extension.get_node_list())}
    assert NODES <= set(nodes)
    assert all(node.GET_SCHEMA().category == "HeadHunter" for node in nodes.values())


def test_nodes_are_found_by_other_words_where_this_comfyui_has_them(host):
    from comfy_api.v0_0_2 import io
    from headhunter_pack.nodes import NODES

    known = {field.name for field in dataclasses.fields(io.Schema)}
    for node in NODES:
        schema = node.GET_SCHEMA()
        assert "search_aliases" not in known or schema.search_aliases, schema.node_id
    if "essentials_category" in known:
        assert any(node.GET_SCHEMA().essentials_category for node in NODES)


def test_seldom_inputs_are_marked_where_this_comfyui_has_that(host):
    from comfy_api.v0_0_2 import io
    from headhunter_pack.nodes import inputs

    def newer(id, advanced=None):
        return advanced

    assert inputs.seldom(newer)("x") is True
    assert inputs.seldom(lambda id: "as it was")("x") == "as it was"
    marked = getattr(inputs.tokens(), "advanced", None)
    assert marked is (True if hasattr(io.Combo.Input("x"), "advanced") else None)


@pytest.mark.parametrize(("name", "served"), [("headhunter", True), ("head hunter", False), ("köpfe", False)])
def test_a_folder_that_the_page_is_not_served_from_is_named_in_the_log(host, tmp_path, caplog, name, served):
    (tmp_path / name).symlink_to(ROOT)
    spec = importlib.util.spec_from_file_location(f"pack_{served}", str(tmp_path / name / "__init__.py"))
    assert spec and spec.loader
    with caplog.at_level(logging.WARNING):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    told = [record.getMessage() for record in caplog.records if "HeadHunter" in record.getMessage()]
    assert len(told) == (0 if served else 1)
    assert served or (repr(name) in told[0] and "custom_nodes" in told[0])


@pytest.mark.live
def test_object_info_has_every_node(server):
    info = server.get("/object_info")
    assert NODES <= set(info)
    assert all(info[node]["python_module"] == "custom_nodes.headhunter" for node in NODES)


@pytest.mark.live
def test_every_node_input_and_output_is_explained(server):
    unexplained = []
    for name, node in server.get("/object_info").items():
        if not name.startswith("HeadHunter"):
            continue
        if not node["description"]:
            unexplained.append(name)
        for group in ("required", "optional"):
            for key, spec in node["input"].get(group, {}).items():
                if len(spec) < 2 or not spec[1].get("tooltip"):
                    unexplained.append(f"{name}.{key}")
        tooltips = node.get("output_tooltips") or [None] * len(node["output"])
        unexplained += [f"{name} -> {key}" for key, text in zip(node["output_name"], tooltips, strict=True) if not text]
    assert not unexplained


@pytest.mark.live
def test_log_says_nothing_of_the_pack(server):
    server.get("/object_info")
    assert "custom_nodes/headhunter" in server.log_text.replace("\\", "/")
    log = server.log_text
    for place in (server.host.comfyui, server.base, locate.STORE):  # their own names may hold the pack's
        log = log.replace(str(place), "")
    assert about_the_pack(log) == []


def old_version(comfyui: Path) -> dict[str, str]:
    return {"comfyui_version.py": '__version__ = "0.3.63"\n'}


def no_override(comfyui: Path) -> dict[str, str]:
    path = "comfy/ldm/modules/attention.py"
    text = (comfyui / path).read_text(encoding="utf-8")
    assert "optimized_attention_override" in text
    return {path: text.replace("optimized_attention_override", "another_name")}


@pytest.mark.live
@pytest.mark.parametrize(
    ("change", "reason"), [(old_version, "found ComfyUI 0.3.63:"), (no_override, "without the attention override")]
)
def test_too_old_a_comfyui_gets_one_line_and_runs(host, tmp_path, change, reason):
    tree = shadow.shadow(host.comfyui, tmp_path / "comfyui", change(host.comfyui))
    with Server(host, comfyui=tree, name="the_pack") as server:
        assert not NODES & set(server.get("/object_info"))
        assert "KSampler" in server.get("/object_info")
        said = [line for line in server.log_text.replace(str(ROOT), "").splitlines() if "HeadHunter" in line]
        assert len(said) == 1
        assert "HeadHunter needs ComfyUI 0.3.64 or newer" in said[0] and reason in said[0]
        others = [line for line in server.log_text.splitlines() if "the_pack" in line]
        assert len(others) == 1 and LOADED.match(others[0])
