"""The demo's main path on a real ComfyUI with the shipped models, small: its files, its numbers, that it repeats and ends cleanly."""

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from headhunter_pack.demo.comparing import compare, verdict
from PIL import Image

ROOT = Path(__file__).parent.parent
SETTINGS = 8  # unguided, CFG, SoftPAG at three scales, both at three scales


def command(host, *arguments):
    """`python demo` with the Python and the ComfyUI of the tests."""
    environment = os.environ | {"COMFYUI_PATH": str(host.comfyui)}
    return {
        "args": [str(host.python), str(ROOT / "demo"), *map(str, arguments)],
        "env": environment,
        "text": True,
        "stderr": subprocess.PIPE,
    }


@pytest.fixture(scope="module")
def runs(host, tmp_path_factory):
    """The output folders of two quick runs."""
    folders = [tmp_path_factory.mktemp("demo") for _ in range(2)]
    for folder in folders:
        result = subprocess.run(**command(host, "--quick", "--out", folder), stdout=subprocess.PIPE)
        assert result.returncode == 0, result.stderr
        assert "unguided" in result.stdout and str(folder) in result.stdout
        assert "1 of 2" in result.stderr and "left" in result.stderr
    return folders


@pytest.fixture(scope="module")
def part(runs):
    """The first run's summary of the guidance."""
    return json.loads((runs[0] / "summary.json").read_text())["guidance"]


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"), dtype=np.float64) / 255


@pytest.mark.live
def test_the_summary_says_how_it_was_made(runs, part):
    summary = json.loads((runs[0] / "summary.json").read_text())
    assert summary["format"] == "headhunter-demo/1"
    assert set(summary["versions"]) == {"headhunter", "comfyui", "python", "torch"}
    assert summary["seconds"] > 0
    assert part["steps"] > 0 and part["rows"] == 1 and "squared" in part["measure"]
    assert len({caption["seed"] for caption in part["captions"]}) == 2
    assert [bool(setting["scale"]) for setting in part["settings"]] == [False, False] + [True] * 6
    assert [setting["cfg"] == 1 for setting in part["settings"]] == [True, False, True, True, True, False, False, False]


@pytest.mark.live
def test_the_numbers_are_those_of_the_pictures(runs, part):
    errors = {
        setting["name"]: [
            [
                np.square(pixels(runs[0] / file) - pixels(ROOT / "demo/data/eval" / caption["real"])).mean()
                for file in files
            ]
            for caption, files in zip(part["captions"], setting["pictures"], strict=True)
        ]
        for setting in part["settings"]
    }
    for setting in part["settings"]:
        assert setting["fidelity"] == pytest.approx(compare(errors[setting["name"]], errors["unguided"]))
        if setting["name"].startswith("both"):
            assert setting["fidelity_over_cfg"] == pytest.approx(compare(errors[setting["name"]], errors["cfg"]))
        assert setting["fidelity_coarse"]["mean"] > setting["fidelity"]["mean"]


@pytest.mark.live
def test_every_setting_has_pictures_of_its_own(runs, part):
    for caption in range(2):
        pictures = [pixels(runs[0] / setting["pictures"][caption][0]) for setting in part["settings"]]
        assert {picture.shape for picture in pictures} == {(128, 128, 3)}
        assert len({picture.tobytes() for picture in pictures}) == SETTINGS


@pytest.mark.live
def test_it_repeats_exactly(runs, part):
    for setting in part["settings"]:
        for (file,) in setting["pictures"]:
            assert np.array_equal(pixels(runs[0] / file), pixels(runs[1] / file)), file


@pytest.mark.live
def test_the_sheet_has_a_row_for_each_caption_and_a_column_for_each_setting(runs):
    width, height = Image.open(runs[0] / "sheet.png").size
    assert width > (SETTINGS + 1) * 128
    assert height > 2 * 128


@pytest.mark.live
def test_a_comparison_with_its_sheet_and_table(runs):
    parts = [json.loads((folder / "summary.json").read_text())["comparison"] for folder in runs]
    assert parts[0]["variants"] == parts[1]["variants"] and parts[0]["images"] == 24
    assert [line.split()[0] for line in parts[0]["table"].splitlines()[1:3]] == ["unguided", "hunted"]
    assert parts[0]["variants"][1]["distortion"] > 0
    assert np.array_equal(pixels(runs[0] / "comparison.png"), pixels(runs[1] / "comparison.png"))


@pytest.mark.live
@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
@pytest.mark.browser
def test_serve_opens_ready_to_paint_and_ctrl_c_ends_it(host, tmp_path, chrome):
    """The address that it prints opens the demo's model with heads chosen and presets with pictures; nothing runs by itself."""
    process = subprocess.Popen(**command(host, "--serve", "--out", tmp_path), stdout=subprocess.DEVNULL)
    try:
        line = next(line for line in process.stderr if "http://" in line)
        address = line.split("open ")[1].split()[0]
        url = address.split("/?")[0]
        context = chrome.new_context(viewport={"width": 1600, "height": 1000})
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector(".hh-count:has-text('2 heads')", timeout=60_000)
        assert page.evaluate("() => app.graph._nodes.some((n) => n.type === 'HeadHunterSoftPAG')")
        page.locator(".hh-bar .hh-main").first.click()
        page.wait_for_function("() => document.querySelectorAll('.hh-menu-row img').length >= 4")
        page.wait_for_function(
            "() => [...document.querySelectorAll('.hh-menu-row img')].every((i) => i.naturalWidth === 128)"
        )
        context.close()
        with urllib.request.urlopen(f"{url}/queue") as answer:
            assert json.load(answer) == {"queue_running": [], "queue_pending": []}
        with urllib.request.urlopen(f"{url}/history") as answer:
            assert json.load(answer) == {}
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.stderr.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url)


def test_a_folder_that_cannot_be_written_is_named(host, tmp_path):
    (tmp_path / "file").touch()
    result = subprocess.run(**command(host, "--out", tmp_path / "file"), stdout=subprocess.DEVNULL)
    assert result.returncode == 1
    assert str(tmp_path / "file") in result.stderr and "Traceback" not in result.stderr


def test_differences_are_paired_by_caption():
    unguided = [[0.1 * i, 0.1 * i + 0.02] for i in range(1, 10)]
    better = [[error - 0.01 + 0.001 * (i % 2) for error in rows] for i, rows in enumerate(unguided)]
    result = compare(better, unguided)
    assert result["mean"] == pytest.approx(-(0.51 - 0.01 + 0.001 * 4 / 9))
    assert result["difference"] == pytest.approx(0.01 - 0.001 * 4 / 9)
    assert result["difference_standard_error"] < 0.01 * result["standard_error"]
    assert (result["captions"], result["pictures"]) == (9, 18)
    assert verdict(result) == "closer"
    assert verdict(compare(unguided, better)) == "further away"
    assert verdict(compare(unguided, unguided)) == "no clear difference"
    assert verdict(compare(better[:2], unguided[:2])) == "too few pictures to say"
