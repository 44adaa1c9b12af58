"""`python tests`: sets up what is needed and runs every test, files side by side on up to four cores; extra arguments go to pytest.

`python tests --fast` runs the engine's tests alone (tests/engine), without a ComfyUI: the inner loop.
`python tests --attack` runs the attack on the pack, with counts (tests/attack.py); more arguments go to it.
`python tests --host` only sets up and prints one JSON line: python, comfyui, version.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path[:1] = [str(TESTS.parent)]  # in place of tests/ itself

from hosting import setup  # noqa: E402  (after the path is right)

ENGINE = TESTS / "engine"


def main(arguments: list[str]) -> int:
    """Runs the tests and returns pytest's exit code."""
    if "--fast" in arguments:
        arguments = [argument for argument in arguments if argument != "--fast"]
        # One thread: these tensors are small, and two threads wait for each other beside other work.
        settings = {"HEADHUNTER_ENGINE_ALONE": "1", "OMP_NUM_THREADS": "1"}
        return run(setup.ensure_engine(), ENGINE, ["-m", "not slow", *arguments], settings)
    host = setup.ensure(tools=True)
    if "--host" in arguments:
        print(json.dumps({"python": str(host.python), "comfyui": str(host.comfyui), "version": host.version}))
        return 0
    if "--attack" in arguments:
        arguments = [argument for argument in arguments if argument != "--attack"]
        env = os.environ | {"COMFYUI_PATH": str(host.comfyui)}
        env.pop("PYTHONPATH", None)
        return subprocess.call([str(host.python), str(TESTS / "attack.py"), *arguments], env=env)
    settings = {"COMFYUI_PATH": str(host.comfyui)}
    if not arguments:  # a file a process: its servers, browser and models are made once; one thread each
        arguments = ["-n", str(min(4, os.cpu_count() or 1)), "--dist", "loadfile"]
        settings["OMP_NUM_THREADS"] = "1"
    return run(host.python, TESTS, arguments, settings)


def run(python: Path, folder: Path, arguments: list[str], settings: dict[str, str]) -> int:
    """pytest over a folder, or over what the arguments name in place of it."""
    named = any(os.path.exists(argument.split("::")[0]) for argument in arguments)
    command = [str(python), "-m", "pytest", "-c", str(TESTS / "pytest.ini"), "--rootdir", str(TESTS), *arguments]
    env = os.environ | settings
    env.pop("PYTHONPATH", None)
    return subprocess.call(command if named else [*command, str(folder)], env=env)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
