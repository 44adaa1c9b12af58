"""`python bench --quick`: every part runs, and writes what README and docs read. Its numbers are not tested: benchmarks are no tests."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = ("guidance", "groups", "overhead", "limit", "hunt", "scaling", "grid")


@pytest.fixture(scope="module")
def result(host, tmp_path_factory):
    """The JSON file of a quick run of the parts that need no server."""
    file = tmp_path_factory.mktemp("bench") / "bench.json"
    parts = [word for name in PARTS for word in ("--part", name)]
    command = [str(host.python), str(ROOT / "bench"), "--quick", *parts, "--json", str(file)]
    env = os.environ | {"COMFYUI_PATH": str(host.comfyui)}
    run = subprocess.run(command, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-4000:]
    assert all(f"[{name}]" in run.stdout for name in PARTS)
    return json.loads(file.read_text())


def test_guidance(result):
    part = result["guidance"]["tiny"]
    rows = {row["case"]: row for row in part["rows"]}
    assert rows["no guidance"]["ratio"] == {"median": 1.0, "low": 1.0, "high": 1.0}
    starts = [row["layer"] for row in part["rows"] if "layer" in row]
    assert starts == [0, 1, 2, 3]
    assert [row["goal"] for row in part["rows"] if "layer" in row] == [1.03, 0.78, 0.53, 0.28]
    # What must be done is counted, not timed: a later start needs fewer operations, and explicit maps more memory.
    floors = [rows[f"SoftPAG from layer {name}"]["floor_seconds"] for name in ("0", "L/4", "L/2", "3L/4")]
    assert floors == sorted(floors, reverse=True) and floors[0] < 2.1 * rows["no guidance"]["floor_seconds"]
    assert rows["attention maps, layer L/2"]["floor_seconds"] == rows["SoftPAG from layer L/2"]["floor_seconds"]
    assert part["layer"]["goal"] == 1.05
    # In attention nothing is evaluated twice.
    steered = rows["in attention, every head"]
    assert steered["goal"] == 0.03 and steered["floor_seconds"] == rows["no guidance"]["floor_seconds"]


def test_groups(result):
    part = result["groups"]["tiny"]
    ways = ("ours {}", "ours {}, one evaluation", "ours {}, no prefix reuse", "core {}")
    assert [row["case"] for row in part["rows"]] == ["no guidance"] + [way.format(n) for n in (1, 2, 4) for way in ways]
    assert part["blocks"]["1"] == 1.5 and part["goal"] == 2.35


def test_overhead(result):
    rows = {row["case"]: row for row in result["overhead"]["rows"]}
    assert not rows["no guidance"]["functions"] and rows["SoftPAG on one head of layer L/2"]["passes"] == 1.5
    named = {function["function"] for function in rows["in attention, every head"]["functions"]}
    assert "perturbation.steer" in named and not any(name.startswith("samplers.") for name in named)


def test_limit(result):
    part = result["limit"]
    free, tight = (
        next(row for row in part["rows"] if row["heads"] == "every head" and row["limit"] == limit) for limit in (0, 1)
    )
    assert 0 < tight["distortion"] < free["distortion"]
    assert Path(part["sheet"]).read_bytes()[:4] == b"\x89PNG"


def test_hunt(result):
    """What is counted, and that all are judged at one distortion; what they find is not tested."""
    table = result["hunt"]["table"]
    kinds = [(row["strategy"], row["method"], row["rounds"]) for row in table]
    assert kinds[0] == ("exhaustive", "extra pass", 2)
    assert {("signed", "extra pass", 1), ("signed", "in attention", 1), ("signed", "in attention", 2)} <= set(kinds)
    # The unguided picture and 16 + 15 sets; a gradient is four passes, and two sets are measured in each round.
    blocks = {kind: row["blocks"] for kind, row in zip(kinds, table, strict=True)}
    assert blocks["signed", "in attention", 1] == 4 * 2 * (1 + 4 + 2)
    assert blocks["signed", "in attention", 2] == 4 * 2 * (1 + 8 + 4) < blocks["exhaustive", "extra pass", 2]
    assert table[0]["images"] == 32 and all(0.15 < row["distortion"] < 0.25 for row in table)


def test_scaling(result):
    rows = {row["search"]: row for row in result["scaling"]["rows"]}
    style = rows["SD3-medium, a style, 1024 px"]["plans"]
    assert style["the paper"]["images"] == 14400
    for name in ("SD3-medium, a style, 1024 px", "FLUX.1-dev, a style, 512 px"):
        assert rows[name]["plans"]["attribution"]["share"] <= 1 / 30


def test_grid(result):
    assert result["grid"]["heads"] == 1368
