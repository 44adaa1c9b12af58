"""The attack on the pack, with counts: `python tests --attack`; about 25 minutes with the usual 10,000 cases.

    python tests --attack [--cases 10000] [--only routes,properties,studies,kills]

routes      every route of the pack on a real server with hostile studies and model files, one by one and many at once
properties  the property-based tests with so many generated cases each: head text, presets, headers, scorer files, studies
studies     the tests of studies: strangers' files, full disks, locks, kill -9
kills       hunts on real servers: killed again and again and resumed, cancelled, two servers on one study

Handled: a test that passed (one for each case that it generated), and an answer within 20 s as good JSON, a picture or a table,
with a status below 500, and with a reason where it refuses. What ComfyUI answers to paths that no route of the pack has is ComfyUI's
own: such requests are made, since nothing of the pack may break by them, but their answers are not judged; errors among them
(status 500) are counted in a line of their own. The servers listen on 127.0.0.1 and are ended again.

Each part says its counts and its time. The last line is "N handled, 0 unhandled"; the exit code is 1 where anything was unhandled.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

TESTS = Path(__file__).resolve().parent
ANSWER_SECONDS = 20.0
NAMES = [
    "none", "con", "nul.x", "..", "../../user", "%2e%2e%2f", "a" * 300, "\U0001f98a" * 70, "\u0130", "a\0b", "a.sqlite", "x.csv", " ", "'", "-",
    "x" * 5000, "\ud7ff", "a/b", "a\\b", "%", "%00", "%zz", "..%5c..%5c", "aux", "=1+1",
]  # fmt: skip
NUMBERS = ["0", "1", "3", "-1", "x", "9" * 12, "9" * 400, "1.5", "\u0663", "%31"]


OURS = re.compile(
    r"/headhunter/(grid|models|presets|studies)(\?.*)?|/headhunter/studies/[^/?]+(\.csv|/heat|/preview/[^/?]+)?",
    re.DOTALL,
)


class Count:
    """What was handled, and what was not, by the part of the attack."""

    def __init__(self) -> None:
        self.handled: Counter[str] = Counter()
        self.unhandled: list[str] = []
        self.notes: list[str] = []

    def add(self, what: str, trouble: str = "", number: int = 1) -> None:
        if trouble:
            self.unhandled.append(f"{what}: {trouble[:300]}")
        else:
            self.handled[what] += number

    @property
    def summary(self) -> str:
        return f"{sum(self.handled.values())} handled, {len(self.unhandled)} unhandled"

    def told(self, part: str, seconds: float) -> None:
        """Print the counts of one part."""
        for what, number in self.handled.items():
            print(f"{number:8d}  {what}")
        for note in self.notes:
            print(f"          {note}")
        for trouble in self.unhandled:
            print(f"UNHANDLED {trouble}")
        print(f"{part}: {self.summary}, {seconds:.0f} s\n", flush=True)


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
            *(f"{quoted}/preview/{urllib.parse.quote(number, safe='%')}" for number in NUMBERS),
        ]
    return paths


def grid_paths(files: Iterable[str]) -> list[str]:
    folders = ["", "checkpoints", "diffusion_models", "vae", "../models", "\0", "x" * 3000]
    names = [*files, *NAMES]
    queries = [urllib.parse.urlencode({"folder": folder, "name": name}) for folder in folders for name in names]
    return [
        "/headhunter/grid",
        "/headhunter/models",
        "/headhunter/presets",
        *(f"/headhunter/grid?{query}" for query in queries),
    ]


NOT_OURS = [
    "/headhunter", "/headhunter/", "/headhunter/studies/", "/headhunter/studies/s0/", "/headhunter/studies/s0/heat/x", "/headhunter/x%00",
    "/headhunter/../user", "/headhunter/studies/s0/preview", "/extensions/headhunter/%00.js", "/extensions/headhunter/../../x",
    "/userdata/%00?full_info=x", "/api/userdata/headhunter%2Fpresets%2F%00.json",
]  # fmt: skip


def others(count: Count, port: int) -> None:
    """Paths that no route of the pack has: ComfyUI's answers are its own."""
    errors = []
    for path in NOT_OURS:
        assert not OURS.fullmatch(path)
        status, _, _ = ask(port, path)
        if status >= 500:
            errors.append(f"{path} ({status})")
    count.add("requests to paths that are not the pack's", number=len(NOT_OURS))
    if errors:
        count.notes.append(f"of these, errors of ComfyUI's own, not counted as the pack's: {', '.join(errors)}")


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
        with Server(host(), base=base, timeout=900) as server:
            paths = study_paths([*names, *NAMES]) + grid_paths(files)
            handles = [open_files(server)]
            assert all(OURS.fullmatch(path) for path in paths)
            for path in paths:
                count.add("requests one by one", trouble(server.port, path))
            handles.append(open_files(server))
            many = random.choices(paths, k=cases)
            with ThreadPoolExecutor(16) as pool:
                for failure in pool.map(lambda path: trouble(server.port, path), many):
                    count.add("requests, 16 at once", failure)
            handles.append(open_files(server))
            grew = handles[-1] - handles[1]
            count.add("open files stay as many", f"{handles}" if grew > 8 else "")
            page_goes_on(count, server.port, [f"/headhunter/studies/{name}/heat" for name in names])
            for method in ("POST", "PUT", "DELETE"):
                status, _, _ = ask(server.port, "/headhunter/studies/s0", method)
                count.add("other methods", "" if status in (404, 405, 403) else f"{method}: {status}")
            others(count, server.port)
            log = server.log_text
            broken = [at.start() for at in re.finditer("a request could not be answered", log)]
            count.add("no error of the pack's in the log", log[broken[0] :] if broken else "")


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
        for request in pending:
            count.add("requests, 32 at once", request.result())


def open_files(server) -> int:
    return len(os.listdir(f"/proc/{server._process.pid}/fd"))


def host():
    from hosting import locate
    from hosting.setup import Host

    comfyui = locate.present(os.environ)
    if comfyui is None:
        sys.exit("no ComfyUI found: set COMFYUI_PATH, or run `python tests` once")
    return Host(Path(sys.executable), comfyui, locate.version_of(comfyui))


def tests(count: Count, places: list[str], cases: int) -> None:
    """Some of the tests, each with so many cases; a test that passes has handled all that it generated."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "tests.xml"
        command = [sys.executable, "-m", "pytest", "-c", str(TESTS / "pytest.ini"), "--rootdir", str(TESTS), "-q"]
        command += ["-o", "timeout=7200", f"--junitxml={file}", *(str(TESTS / place) for place in places)]
        env = os.environ | {"HEADHUNTER_CASES": str(cases)}
        result = subprocess.run(command, env=env, cwd=TESTS, capture_output=True, text=True)
        if result.returncode not in (0, 1) or not file.exists():
            count.add("tests", f"pytest ended with {result.returncode}: {result.stdout[-300:]} {result.stderr[-300:]}")
            return
        tree = ElementTree.parse(file)
    generated = {name: number for name, number in map(generated_by, tree.iter("property")) if number}
    for test in tree.iter("testcase"):
        place, name = test.get("classname", ""), test.get("name", "")
        number = generated.get(name) or sum(number for _, number in map(generated_by, test.iter("property")))
        failed = [child for child in test if child.tag in ("failure", "error")]
        if test.find("skipped") is not None:
            count.notes.append(f"skipped: {place} {name}: {test.find('skipped').get('message')}"[:200])  # type: ignore[union-attr]
        elif failed:
            count.add(f"{place} {name}", failed[0].get("message") or "failed")
            print("\n".join((failed[0].text or "").splitlines()[-40:]))
        else:
            # A test of generated cases has a line of its own.
            count.add(f"{place} {name}" if number else f"{place}, tests without generated cases", number=number or 1)


def generated_by(xml_property: ElementTree.Element) -> tuple[str, int]:
    """A test's name and how many cases it generated, of a property in pytest's report: ours, or hypothesis's."""
    name, value = xml_property.get("name", ""), xml_property.get("value", "")
    if name == "cases":
        return "", int(value)
    if not name.startswith("hypothesis-statistics-"):
        return "", 0
    told = base64.b64decode(value).decode()
    return name.split("::")[-1], sum(map(int, re.findall(r"(\d+) passing", told)))


def properties(count: Count, cases: int) -> None:
    """All files of property-based tests, two at a time."""
    files = [path.relative_to(TESTS).as_posix() for path in sorted(TESTS.rglob("test_*_properties.py"))]
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(tests, count, [file], cases) for file in files]:
            done.result()


PARTS: dict[str, Callable[[Count, int], None]] = {
    "routes": routes,
    "properties": properties,
    "studies": lambda count, cases: tests(count, ["test_strange_studies.py", "engine/test_study.py"], 100),
    "kills": lambda count, cases: tests(count, ["test_live_hunt.py", "test_hunt_guards.py"], 100),
}


def main(arguments: list[str]) -> int:
    """Runs the parts; 1 where anything was unhandled."""
    parser = argparse.ArgumentParser(prog="python tests --attack", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--cases", type=int, default=10_000, help="requests, and generated cases a test (default: 10000)"
    )
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {', '.join(PARTS)}")
    chosen = parser.parse_args(arguments)
    parts = chosen.only.split(",")
    for part in parts:
        if part not in PARTS:
            parser.error(f"{part} is no part; they are {', '.join(PARTS)}")
    # The tests' own set-up: ComfyUI and the pack as it loads it.
    import conftest  # noqa: F401

    whole = Count()
    for part in parts:
        count, started = Count(), time.monotonic()
        print(f"{part}: begun", flush=True)
        try:
            PARTS[part](count, max(1, chosen.cases))
        except Exception:
            count.add(part, traceback.format_exc()[-300:])
        count.told(part, time.monotonic() - started)
        whole.handled += count.handled
        whole.unhandled += count.unhandled
    print(whole.summary)
    return 1 if whole.unhandled else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
