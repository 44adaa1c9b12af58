"""A real ComfyUI server with this pack in it, for as long as a `with` block lasts."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .locate import ROOT
from .setup import Host

TAIL = 4000  # characters of the log that an error shows
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class ServerError(RuntimeError):
    """The server did not start, died, or did not answer in time."""


class PromptError(RuntimeError):
    """A workflow was refused or failed while it ran; `details` is what the server said."""

    def __init__(self, text: str, details: Any) -> None:
        super().__init__(text)
        self.details = details


class Server:
    """Starts `main.py --cpu` on a free port with a base directory of its own, and stops it at the end of the block.

    Args:
        host: what to run, from `setup.ensure()`.
        pack: the pack's folder, linked into custom_nodes; None for a bare ComfyUI.
        name: the folder name it gets there.
        custom_nodes: further custom-node folders, linked under their own names.
        models: folders laid out like ComfyUI's `models/`; their files are linked into the server's.
        base: the base directory (it is kept); a temporary one if None.
        arguments: further command line arguments of ComfyUI.
        comfyui: another source tree than the host's.
        timeout: seconds to wait for the first answer.

    Raises:
        ServerError: on entering the block, when the server does not come up; with the end of its log.
    """

    def __init__(
        self,
        host: Host,
        *,
        pack: Path | None = ROOT,
        name: str = "headhunter",
        custom_nodes: Iterable[Path] = (),
        models: Iterable[Path] = (),
        base: Path | None = None,
        arguments: Iterable[str] = (),
        comfyui: Path | None = None,
        timeout: float = 180.0,
    ) -> None:
        self.host = host
        self.comfyui = comfyui or host.comfyui
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client_id = uuid.uuid4().hex
        self._links = ([(pack, name)] if pack else []) + [(folder, folder.name) for folder in custom_nodes]
        self._models = list(models)
        self._given_base = base
        self._arguments = list(arguments)
        self._timeout = timeout
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        if self._given_base is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="headhunter-server-", ignore_cleanup_errors=True)
        self.base = Path(self._scratch.name) if self._scratch else self._given_base.absolute()  # type: ignore[union-attr]
        self.log = self.base / "server.log"
        try:
            self._lay_out()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _lay_out(self) -> None:
        for folder in ("custom_nodes", "input", "output", "temp", "user", "models"):
            (self.base / folder).mkdir(parents=True, exist_ok=True)
        for target, name in self._links:
            _link(target, self.base / "custom_nodes" / name)
        for models in self._models:
            for file in models.rglob("*"):
                if file.is_file():
                    _link(file, self.base / "models" / file.relative_to(models))

    def _start(self) -> None:
        command = [
            *(self.host.python, self.comfyui / "main.py", "--cpu", "--listen", "127.0.0.1", "--port", self.port),
            *("--base-directory", self.base, "--database-url", "sqlite:///:memory:"),
            *("--disable-auto-launch", "--disable-api-nodes", *self._arguments),
        ]
        env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
        env |= {"PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}
        # The models here are tiny: a second thread gains them little, and loses much beside another process.
        env.setdefault("OMP_NUM_THREADS", "1")
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                cwd=self.comfyui,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                self.get("/system_stats")
                return
            except (OSError, ValueError):
                self._check_alive("did not start")
                if time.monotonic() > deadline:
                    raise ServerError(self._with_log(f"ComfyUI gave no answer within {self._timeout:.0f} s")) from None
                time.sleep(0.2)

    def kill(self) -> None:
        """Ends the server at once, as kill -9 or a power cut would."""
        if self._process:
            self._process.kill()
            self._process.wait()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The server does nothing at all while the block lasts, in whatever it is; not on Windows."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ends the server: politely, then not. Safe to call twice."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._scratch:
            self._scratch.cleanup()
            self._scratch = None

    @property
    def log_text(self) -> str:
        """Everything the server has written so far, without colours (newer versions colour their levels)."""
        return COLOUR.sub("", self.log.read_text(encoding="utf-8", errors="replace")) if self.log.exists() else ""

    def _with_log(self, text: str) -> str:
        return f"{text}. The end of its log:\n{self.log_text[-TAIL:]}"

    def _check_alive(self, what: str) -> None:
        if self._process is None or self._process.poll() is not None:
            code = self._process.returncode if self._process else "none"
            raise ServerError(self._with_log(f"ComfyUI {what} (exit code {code})"))

    def get_bytes(self, path: str) -> bytes:
        """The body of a GET. Raises urllib.error.HTTPError as it comes."""
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return answer.read()

    def get(self, path: str) -> Any:
        """The JSON answer of a GET."""
        return json.loads(self.get_bytes(path))

    def post(self, path: str, body: Any) -> Any:
        """The JSON answer of a POST with a JSON body; None where the answer is empty."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def queue(self, prompt: dict[str, Any]) -> str:
        """Queues a workflow in API form and returns its prompt id.

        Raises:
            PromptError: the server refuses it; with its reasons for each node.
        """
        try:
            return self.post("/prompt", {"prompt": prompt, "client_id": self.client_id})["prompt_id"]
        except urllib.error.HTTPError as error:
            answer = json.loads(error.read() or b"{}")
            raise PromptError(f"ComfyUI refused the workflow: {_reasons(answer)}", answer) from None

    def wait(self, prompt_id: str, timeout: float = 600.0) -> dict[str, Any]:
        """Waits for a queued workflow and returns its history entry.

        Raises:
            PromptError: a node failed; names it, with its exception.
            ServerError: the server died, or took longer than `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            entry = self.get(f"/history/{prompt_id}").get(prompt_id)
            if entry and entry["status"]["status_str"] == "success":
                return entry
            if entry:
                failed = [body for kind, body in entry["status"]["messages"] if kind == "execution_error"]
                text = "; ".join(
                    f"node {body['node_id']} ({body['node_type']}): {body['exception_type']}: {body['exception_message']}"
                    for body in failed
                )
                raise PromptError(f"The workflow failed: {text or entry['status']['status_str']}", entry["status"])
            self._check_alive("died while a workflow ran")
            if time.monotonic() > deadline:
                raise ServerError(self._with_log(f"The workflow was not done within {timeout:.0f} s"))
            time.sleep(0.1)

    def run(self, prompt: dict[str, Any], timeout: float = 600.0) -> dict[str, Any]:
        """`queue` and `wait`."""
        return self.wait(self.queue(prompt), timeout)

    def images(self, entry: dict[str, Any]) -> list[tuple[str, bytes]]:
        """Names and file contents of all pictures in a history entry, in the order of its nodes."""
        pictures = []
        for output in entry["outputs"].values():
            for image in output.get("images", ()):
                query = urllib.parse.urlencode({key: image[key] for key in ("filename", "subfolder", "type")})
                pictures.append((image["filename"], self.get_bytes(f"/view?{query}")))
        return pictures


def _reasons(answer: dict[str, Any]) -> str:
    """ComfyUI's refusal in one line: the general error, then each node's."""
    error = answer.get("error", {})
    parts = (
        [" ".join(filter(None, (error.get("message"), error.get("details"))))] if isinstance(error, dict) else [error]
    )
    for node, body in (answer.get("node_errors") or {}).items():
        for item in body["errors"]:
            parts.append(f"node {node} ({body['class_type']}): {item['message']}: {item['details']}")
    return "; ".join(parts)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _link(target: Path, place: Path) -> None:
    """A symbolic link in place of an older one."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        place.unlink()
    place.symlink_to(target.absolute(), target_is_directory=target.is_dir())
