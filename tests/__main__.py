"""`python tests`: sets up what is needed and runs every test; extra arguments go to pytest.

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


def main(arguments: list[str]) -> int:
    """Runs the tests and returns pytest's exit code."""
    host = setup.ensure(tools=True)
    if "--host" in arguments:
        print(json.dumps({"python": str(host.python), "comfyui": str(host.comfyui), "version": host.version}))
        return 0
    chosen = any(os.path.exists(argument.split("::")[0]) for argument in arguments)
    command = [str(host.python), "-m", "pytest", "-c", str(TESTS / "pytest.ini"), "--rootdir", str(TESTS), *arguments]
    env = os.environ | {"COMFYUI_PATH": str(host.comfyui)}
    env.pop("PYTHONPATH", None)
    return subprocess.call(command if chosen else [*command, str(TESTS)], env=env)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
