"""The attack on the pack, with counts: `.host/venv-*/bin/python tests/attack.py` (or whatever Python runs ComfyUI and the tests).

    python tests/attack.py [--cases 10000] [--only routes,studies,properties,kills]

Everything that a stranger, a full disk or a power cut may do to studies, presets, headers, scorer files and routes: against real
servers on 127.0.0.1 that it starts itself and ends again, then the property tests with many cases, and the tests of kills, cancels,
full disks and two owners. Ends with "N handled, 0 unhandled", and with exit code 1 where anything was unhandled.

Handled: an answer within the time, as good JSON (or a picture, or a table) with a status below 500, and a reason where it refuses.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
sys.path[:] = [
    str(TESTS),
    str(ROOT),
    *(place for place in sys.path if Path(place or ".").resolve() not in (TESTS, ROOT)),
]

ANSWER_SECONDS = 20.0
NAMES = [
    "none", "con", "nul.x", "..", "../../user", "%2e%2e%2f", "a" * 300, "\U0001f98a" * 70, "\u0130", "a\0b", "a.sqlite", "x.csv", " ", "'", "-",
    "x" * 5000, "\ud7ff", "a/b", "a\\b", "%", "%00", "%zz", "..%5c..%5c", "aux", "=1+1",
]  # fmt: skip
NUMBERS = ["0", "1", "3", "-1", "x", "9" * 12, "9" * 400, "1.5", "\u0663", "%31"]


class Count:
    """What was handled, and what was not, by the part of the attack."""

    def __init__(self) -> None:
        self.handled: Counter[str] = Counter()
        self.unhandled: list[str] = []

    def add(self, part: str, trouble: str = "", number: int = 1) -> None:
        if trouble:
            self.unhandled.append(f"{part}: {trouble[:300]}")
        else:
            self.handled[part] += number

    def told(self) -> int:
        for part, number in self.handled.items():
            print(f"{number:7d}  {part}")
        for trouble in self.unhandled:
            print(f"UNHANDLED  {trouble}")
        print(f"{sum(self.handled.values())} handled, {len(self.unhandled)} unhandled")
        return 1 if self.unhandled else 0


def ask(port: int, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    """A request to 127.0.0.1; the path is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers.get_content_type(), answer.read()
    finally:
        connection.close()


def trouble(port: int, path: str) -> str:
    """What is wrong with a route's answer, or ""."""
    try:
        status, kind, body = ask(port, path)
    except (OSError, http.client.HTTPException) as error:
        return f"{path[:100]}: {type(error).__name__} {error}"
    if status >= 500 and status != 503:
        return f"{path[:100]}: {status} {body[:200]!r}"
    if kind == "application/json":
        try:
            data = json.loads(body, parse_constant=lambda name: int(name))  # NaN and Infinity are no JSON
        except ValueError:
            return f"{path[:100]}: no JSON: {body[:100]!r}"
        if status >= 400 and not data.get("error"):
            return f"{path[:100]}: {status} without a reason"
    elif status == 200 and kind not in ("text/csv", "image/jpeg", "image/png"):
        return f"{path[:100]}: {status} {kind}"
    return ""


def study_paths(names: Iterable[str]) -> list[str]:
    paths = ["/headhunter/studies"]
    for name in names:
        quoted = "/headhunter/studies/" + urllib.parse.quote(name, safe="%")
        paths += [
            quoted,
            f"{quoted}/heat",
            f"{quoted}.csv",
            *(f"{quoted}/preview/{urllib.parse.quote(one, safe='%')}" for one in NUMBERS),
        ]
    return paths


def grid_paths(files: Iterable[str]) -> list[str]:
    folders = ["", "checkpoints", "diffusion_models", "vae", "../models", "\0", "x" * 3000]
    names = [*files, *NAMES]
    query = [urllib.parse.urlencode({"folder": folder, "name": name}) for folder in folders for name in names]
    return [
        "/headhunter/grid",
        "/headhunter/models",
        "/headhunter/presets",
        *(f"/headhunter/grid?{one}" for one in query),
    ]


def strange_headers(folder: Path) -> list[str]:
    """Model files that are none, by name."""
    from headers import headed

    contents = {
        "zeros.safetensors": b"\0" * 64,
        "infinity.safetensors": headed('{"a": {"shape": [Infinity]}}'),
        "double.safetensors": headed('{"double_blocks.00000.img_attn.norm.key_norm.scale": {"shape": [4]}}'),
        "digits.safetensors": headed(
            '{"double_blocks.%s.img_attn.norm.key_norm.scale": {"shape": [4]}}' % ("9" * 5000)
        ),
        "deep.safetensors": headed("[" * 100_000),
        "cut.safetensors": (5000).to_bytes(8, "little") + b"{}",
        "empty.safetensors": b"",
        "text.gguf": b"GGUF?",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "link.safetensors").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.safetensors")
    return [*contents, "link.safetensors", "pipe.safetensors"]


def routes(count: Count, cases: int) -> None:
    """Every route with bad names, on a server with hostile studies and models; many at once; what else it does goes on."""
    import hostile

    from hosting.server import Server

    random.seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        studies = base / "output" / "headhunter"
        studies.mkdir(parents=True)
        names = []
        for number, make in enumerate(hostile.ALL.values()):
            make(studies / f"s{number}.sqlite")
            names.append(f"s{number}")
            count.add("hostile studies made")
        files = strange_headers(base / "models" / "diffusion_models")
        with Server(host(), base=base) as server:
            paths = study_paths([*names, *NAMES]) + grid_paths(files)
            handles = [open_files(server)]
            for path in paths:
                count.add("requests one by one", trouble(server.port, path))
            handles.append(open_files(server))
            many = random.choices(paths, k=min(cases, 2000))
            with ThreadPoolExecutor(16) as pool:
                for found in pool.map(lambda path: trouble(server.port, path), many):
                    count.add("requests, 16 at once", found)
            handles.append(open_files(server))
            grew = handles[-1] - handles[1]
            count.add("open files stay as many", f"{handles}" if grew > 8 else "")
            page_goes_on(count, server.port, [f"/headhunter/studies/{name}/heat" for name in names])
            for method in ("POST", "PUT", "DELETE"):
                status, _, _ = ask(server.port, "/headhunter/studies/s0", method)
                count.add("other methods", "" if status in (404, 405, 403) else f"{method}: {status}")
            log = server.log_text
            count.add("no traceback in the log", "a request could not be answered" in log and log[-300:] or "")


def page_goes_on(count: Count, port: int, slow: list[str]) -> None:
    """While many hostile studies are asked for, ComfyUI answers its own page."""
    with ThreadPoolExecutor(32) as pool:
        pending = [pool.submit(trouble, port, path) for path in slow * 4]
        for _ in range(20):
            started = time.monotonic()
            status, _, _ = ask(port, "/system_stats")
            took = time.monotonic() - started
            count.add("the page goes on", "" if status == 200 and took < 5 else f"{status} after {took:.1f} s")
            time.sleep(0.05)
        for one in pending:
            count.add("requests, 32 at once", one.result())


def open_files(server) -> int:
    return len(os.listdir(f"/proc/{server._process.pid}/fd"))


def host():
    from hosting import locate
    from hosting.setup import Host

    comfyui = locate.present(os.environ)
    if comfyui is None:
        sys.exit("no ComfyUI found: set COMFYUI_PATH, or run `python tests` once")
    return Host(Path(sys.executable), comfyui, locate.version_of(comfyui))


def tests(count: Count, part: str, places: list[str], cases: int, *arguments: str) -> None:
    """Some of the tests, each with so many cases; a test that passes has handled all of its own."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(TESTS / "pytest.ini"),
        "--rootdir",
        str(TESTS),
        "-q",
        "-rA",
        "--no-header",
    ]
    command += ["-o", "timeout=7200", *arguments, *(str(TESTS / place) for place in places)]
    env = os.environ | {"HEADHUNTER_CASES": str(cases)}
    result = subprocess.run(command, env=env, cwd=TESTS, capture_output=True, text=True, timeout=6 * 3600)
    lines = re.findall(r"^(PASSED|FAILED|ERROR|SKIPPED) (.*)$", result.stdout, re.MULTILINE)
    if result.returncode not in (0, 1) or not lines:
        count.add(part, f"pytest ended with {result.returncode}: {result.stdout[-300:]} {result.stderr[-300:]}")
    generated = cases_of(places)
    for outcome, name in lines:
        function = re.sub(r"\[.*", "", name.split("::")[-1].split(" - ")[0])
        if outcome == "SKIPPED":
            print(f"skipped  {name[:200]}")
        else:
            number = cases if function in generated else 1
            count.add(part, "" if outcome == "PASSED" else name, number)


def cases_of(places: Iterable[str]) -> set[str]:
    """Names of the tests that generate their cases."""
    found: set[str] = set()
    for place in places:
        text = (TESTS / place.split("::")[0]).read_text(encoding="utf-8")
        found |= set(re.findall(r"@cases\(\)\n@given\((?:.|\n)*?\)\ndef (\w+)", text))
    return found


PARTS: dict[str, Callable[[Count, int], None]] = {
    "routes": routes,
    "studies": lambda count, cases: tests(
        count, "studies from strangers, full disks, locks", ["test_strange_studies.py", "test_study.py"], 100
    ),
    "properties": lambda count, cases: tests(
        count, "generated cases", [path.name for path in sorted(TESTS.glob("test_*_properties.py"))], cases
    ),
    "kills": lambda count, cases: tests(count, "kills, cancels, two servers", ["test_live_hunt.py"], 100),
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cases", type=int, default=10_000, help="generated cases a test (default: 10000)")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {', '.join(PARTS)}")
    chosen = parser.parse_args(arguments)
    count = Count()
    # The tests' own set-up: ComfyUI and the pack as it loads it.
    import conftest  # noqa: F401

    for part in chosen.only.split(","):
        started = time.monotonic()
        PARTS[part](count, max(1, chosen.cases))
        print(f"{part}: {time.monotonic() - started:.0f} s", flush=True)
    return count.told()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
