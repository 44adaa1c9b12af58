"""Preset files: strict reading, saving without loss, and what ships."""

import json
import logging
import os
from pathlib import Path

import folder_paths
import preset_cases
import pytest
import tiny
from comfy.cli_args import args
from headhunter_pack.headhunter.families import grid_named
from headhunter_pack.headhunter.guidance import Group
from headhunter_pack.headhunter.heads import canonical
from headhunter_pack.headhunter.host.guidance.groups import groups_of
from headhunter_pack.headhunter.presets import (
    PresetError,
    file_name,
    format_preset,
    parse_preset,
    read_preset,
    write_preset,
)
from headhunter_pack.nodes import HeadHunterPreset, HeadHunterSavePreset, HeadHunterSoftPAG
from headhunter_pack.nodes.presets import NONE, shipped_names

TABLE = preset_cases.TABLE
SHIPPED = sorted((Path(__file__).parent.parent / "presets").glob("*/*.json"))
GRIDS = {"sd3-medium": grid_named("sd3-medium"), "flux1": grid_named("flux1")}


def preset(**changes) -> dict:
    return {
        "format": "headhunter-preset/1",
        "name": "test",
        "model": "sd3-4x4",
        "grid": {"layers": 4, "heads": 4},
        "groups": [{"heads": "L1H2, L3", "scale": 2.0, "strength": 0.4, "window": [0.1, 0.9]}],
    } | changes


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_presets(path):
    shipped = read_preset(path)
    grid = GRIDS[shipped.model]
    assert path.parent.name == shipped.model
    assert shipped.check(grid) == ""
    assert all(canonical(group.heads, grid) == group.heads for group in shipped.groups)
    assert "2506.10978" in shipped.source and "never published" in shipped.note
    assert json.loads(format_preset(shipped)) == json.loads(path.read_text())


def test_one_shipped_preset_for_each_confirmed_head_and_pair():
    """The heads that the paper's figures name: 11 heads and 4 pairs of SD3, 7 heads and 4 pairs of FLUX.1-dev."""
    count = {model: len([path for path in SHIPPED if path.parent.name == model]) for model in GRIDS}
    assert count == {"sd3-medium": 15, "flux1": 11}


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["what"])
def test_table(case):
    text = preset_cases.text_of(case)
    if "error" not in case:
        assert json.loads(format_preset(parse_preset(text)))["name"] == json.loads(text)["name"]
        return
    with pytest.raises(PresetError) as caught:
        parse_preset(text)
    assert case["error"] in str(caught.value)


def test_nested_too_deeply():
    with pytest.raises(PresetError):
        parse_preset("[" * 100_000)


def test_file_errors_name_the_file(tmp_path):
    for name, content in {"a.json": b"{}", "b.json": b"\xff\xfe", "c.json": b" " * (2**20 + 1)}.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(PresetError, match=name):
            read_preset(path)


def test_unknown_fields_are_kept():
    data = preset(colour="blue", study={"rounds": 3})
    data["groups"][0]["later"] = {"x": 1}
    written = json.loads(format_preset(parse_preset(json.dumps(data))))
    assert (
        written["colour"] == "blue" and written["study"] == {"rounds": 3} and written["groups"][0]["later"] == {"x": 1}
    )
    assert parse_preset(format_preset(parse_preset(json.dumps(data)))) == parse_preset(json.dumps(data))


@pytest.mark.parametrize(("name", "expected"), preset_cases.files())
def test_file_names_stay_in_their_folder(name, expected):
    if expected is None:
        with pytest.raises(PresetError):
            file_name(name)
        return
    assert file_name(name) == expected


# The nodes.


def test_apply_a_preset():
    model, heads = HeadHunterPreset.execute(tiny.sd3(), NONE, json.dumps(preset()), 1.5).args
    assert groups_of(model) == (Group("L1H2, L3", 3.0, 0.4, (0.1, 0.9)),)
    assert heads == "L1H2, L3"


@pytest.mark.parametrize(
    ("changes", "amount", "says"),
    [
        ({"heads": ""}, 1.0, "group 2: it has no heads"),
        ({"strength": 0.0}, 1.0, "group 2: the strength of every head is 0"),
        ({"window": [0.5, 0.5]}, 1.0, "group 2: its window 0.5 to 0.5 is empty"),
        ({}, 0.0, "group 1: its scale is 0; group 2: its scale is 0"),
    ],
)
def test_a_group_that_does_nothing_is_said(caplog, changes, amount, says):
    groups = preset()["groups"]
    text = json.dumps(preset(groups=[*groups, {"heads": "L0H1"} | changes]))
    HeadHunterPreset.execute(tiny.sd3(), NONE, text, amount)
    assert len(caplog.messages) == 1 and f"unguided by {says}" in caplog.text


def test_text_wins_over_the_choice_and_none_is_an_error():
    shipped = shipped_names()[0]
    assert groups_of(HeadHunterPreset.execute(tiny.sd3(), shipped, json.dumps(preset())).args[0])
    with pytest.raises(PresetError, match="choose a preset"):
        HeadHunterPreset.execute(tiny.sd3(), NONE, " ")
    with pytest.raises(PresetError, match="no shipped preset"):
        HeadHunterPreset.execute(tiny.sd3(), "../../secret", "")
    with pytest.raises(PresetError, match="preset_json.*format"):
        HeadHunterPreset.execute(tiny.sd3(), NONE, "{}")


def test_a_preset_for_another_grid_is_refused_and_for_another_model_warned_about(caplog):
    with pytest.raises(PresetError, match=r"sd3-medium \(24 layers x 24 heads\).*sd3-4x4 \(4 layers x 4 heads\)"):
        HeadHunterPreset.execute(tiny.sd3(), next(name for name in shipped_names() if name.startswith("sd3-medium/")))
    with caplog.at_level(logging.WARNING):
        HeadHunterPreset.execute(tiny.sd3(), NONE, json.dumps(preset(model="sd3.5-tiny")))
    assert "sd3.5-tiny" in caplog.text


def test_save_and_apply_again_loses_nothing():
    model = HeadHunterSoftPAG.execute(
        tiny.sd3(), "l1h2 L3H0-3", 2.5, 0.4, 0.1, 0.9, 0.2, "image", "temperature", 3.0, "apg", 0.25
    )[0]
    model = HeadHunterSoftPAG.execute(model, "*@0.25", -1.0)[0]
    text = HeadHunterSavePreset.execute(model, "round trip", "warm", "a note").args[0]
    saved = Path(folder_paths.get_user_directory()) / "default" / "headhunter" / "presets" / "round trip.json"
    assert saved.read_text(encoding="utf-8") == text
    assert groups_of(HeadHunterPreset.execute(tiny.sd3(), NONE, text).args[0]) == groups_of(model)
    assert json.loads(text)["model"] == "sd3-4x4" and json.loads(text)["style"] == "warm"
    data = json.loads(text) | {"colour": "blue"}
    saved.write_text(json.dumps(data), encoding="utf-8")
    HeadHunterSavePreset.execute(model, "round trip")
    assert json.loads(saved.read_text(encoding="utf-8"))["colour"] == "blue"


def test_saving_what_cannot_be_saved():
    model = HeadHunterSoftPAG.execute(tiny.sd3(), "L1")[0]
    with pytest.raises(PresetError, match="needs a name"):
        HeadHunterSavePreset.execute(model, " ")
    with pytest.raises(PresetError, match="no SoftPAG groups"):
        HeadHunterSavePreset.execute(tiny.sd3(), "empty")
    HeadHunterSavePreset.execute(model, "a/b")
    with pytest.raises(PresetError, match="another name"):
        HeadHunterSavePreset.execute(model, "a:b")


def test_a_temperature_that_nothing_uses_is_no_cause_to_refuse():
    model = HeadHunterSoftPAG.execute(tiny.sd3(), "L1", temperature=3.0)[0]
    saved = HeadHunterSavePreset.execute(model, "an unused temperature")[0]
    assert "temperature" not in json.loads(saved)["groups"][0]


def test_multi_user_is_refused(monkeypatch):
    monkeypatch.setattr(args, "multi_user", True)
    with pytest.raises(PresetError, match="--multi-user"):
        HeadHunterSavePreset.execute(HeadHunterSoftPAG.execute(tiny.sd3(), "L1")[0], "mine")


def test_what_could_not_be_read_back_is_not_saved():
    model = HeadHunterSoftPAG.execute(tiny.sd3(), "L1")[0]
    many = model
    for _ in range(64):
        many = HeadHunterSoftPAG.execute(many, "L1")[0]
    folder = Path(folder_paths.get_user_directory()) / "default" / "headhunter" / "presets"
    for case, what, arguments in [
        (model, "name has 201 characters", ("x" * 201,)),
        (model, "note has 20001 characters", ("long", "", "x" * 20_001)),
        (model, "style has 2001 characters", ("long", "x" * 2_001)),
        (model, "half a character", ("half", "", "a\ud800")),
        (model, "half a character", ("half \ud800",)),
        (model, "needs a name", ("\ufeff\x1c",)),
        (many, "list of 1 to 64 groups", ("many",)),
    ]:
        with pytest.raises(PresetError, match=what):
            HeadHunterSavePreset.execute(case, *arguments)
    assert not list(folder.glob("*.part")) and not list(folder.glob("long*")) and not list(folder.glob("half*"))


def test_a_preset_that_cannot_be_written(tmp_path):
    whole = parse_preset(json.dumps(preset()))
    (tmp_path / "a.json").mkdir()
    with pytest.raises(PresetError, match="a.json cannot be written"):
        write_preset(tmp_path / "a.json", whole)
    (tmp_path / "file").write_text("")
    with pytest.raises(PresetError, match="b.json cannot be written"):
        write_preset(tmp_path / "file" / "b.json", whole)
    assert not list(tmp_path.glob("*.part"))
    name = "\U00020000" * 100
    write_preset(tmp_path / file_name(name), whole)  # a name that is as long as a disk takes


def test_what_is_no_preset_file(tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("link.json", "folder.json", "pipe.json", "none.json"):
        with pytest.raises(PresetError, match=name):
            read_preset(tmp_path / name)


def test_a_file_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(preset()), encoding="utf-8-sig")
    assert read_preset(path) == parse_preset(json.dumps(preset()))


def test_fields_of_a_later_version_are_kept_and_said(caplog):
    """A group may say more than this version knows: it acts without it, says so, and saves it again."""
    data = preset(name="later")
    data["groups"][0] |= {"shape": "round", "taper": 2.5}
    with caplog.at_level(logging.WARNING):
        model = HeadHunterPreset.execute(tiny.sd3(), NONE, json.dumps(data)).args[0]
    assert "does not know" in caplog.text and "shape, taper" in caplog.text
    folder = Path(folder_paths.get_user_directory()) / "default" / "headhunter" / "presets"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "later.json").write_text(json.dumps(data), encoding="utf-8")
    HeadHunterSavePreset.execute(model, "later")
    assert json.loads((folder / "later.json").read_text(encoding="utf-8"))["groups"][0]["taper"] == 2.5
    HeadHunterSavePreset.execute(HeadHunterSoftPAG.execute(tiny.sd3(), "L1")[0], "later")
    assert "taper" not in (folder / "later.json").read_text(encoding="utf-8"), "the group is another one now"
