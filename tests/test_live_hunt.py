"""A hunt through the HTTP API of a real server, on the demo's trained model: killed, resumed, watched, read by routes."""

import asyncio
import csv
import io
import json
import sqlite3
import sys
import threading
import urllib.error
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from headhunter_pack.headhunter.study import StudyError, read_study
from huntfixtures import CAPTIONS
from properties import WANTED

from hosting.server import PromptError, Server
from hosting.waiting import until

DEMO = Path(__file__).parent.parent / "demo"
KILLED_AT = [4, 12, 20, 28, 36, 44] if WANTED else [14]  # evaluations kept; more of them under `python tests --attack`
pytestmark = pytest.mark.live


def hunt(study: str, **changes) -> dict:
    """A prompt in API form: two captions, the brightness as scorer, 16 heads, 2 rounds of 1."""
    search = {
        "model": ["1", 0], "vae": ["2", 0], "prompts": ["6", 0], "scorer": ["7", 0], "latent_image": ["8", 0],
        "rounds": 2, "heads_per_round": 1, "scale": 0.5, "strength": 1.0, "cfg": 1.0, "steps": 4, "sampler_name": "euler",
        "scheduler": "simple", "pool": "*", "start_from": "", "strategy": "exhaustive", "batch_size": 2, "study": study,
    }  # fmt: skip
    prompt = {
        "1": ("UNETLoader", {"unet_name": "headhunter_demo_sd3.safetensors", "weight_dtype": "default"}),
        "2": ("VAELoader", {"vae_name": "headhunter_demo_vae.safetensors"}),
        "3": ("HeadHunterDemoWords", {"text": CAPTIONS[0]}),
        "4": ("HeadHunterDemoWords", {"text": CAPTIONS[1]}),
        "5": ("HeadHunterPrompt", {"positive": ["3", 0], "text": CAPTIONS[0], "seed": 1}),
        "6": ("HeadHunterPrompt", {"positive": ["4", 0], "text": CAPTIONS[1], "seed": 2, "previous": ["5", 0]}),
        "7": ("HeadHunterStatisticScorer", {"statistic": "brightness", "target": "high", "value": 0.5}),
        "8": ("EmptySD3LatentImage", {"width": 128, "height": 128, "batch_size": 1}),
        "9": ("HeadHunterSearch", search | changes),
        "10": ("PreviewAny", {"source": ["9", 1]}),
        "11": ("SaveImage", {"images": ["9", 3], "filename_prefix": "chart"}),
    }
    return {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in prompt.items()}


def demo_server(host, base: Path, arguments: Iterable[object] = ()) -> Server:
    return Server(
        host,
        models=[DEMO / "models"],
        custom_nodes=(DEMO / "custom_nodes").iterdir(),
        base=base,
        arguments=map(str, arguments),
        timeout=900,  # beside much other work a start takes minutes
    )


def report_of(server: Server, study: str) -> dict:
    return server.get(f"/headhunter/studies/{study}")["report"]


@contextmanager
def events(server: Server):
    """Everything the server sends to the client that queued, while the block lasts."""
    received: list[dict] = []
    connected, stop = threading.Event(), threading.Event()

    async def listen():
        url = f"{server.url}/ws?clientId={server.client_id}"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            while not stop.is_set():
                try:
                    message = await socket.receive(timeout=0.2)
                except asyncio.TimeoutError:
                    continue
                if message.type == aiohttp.WSMsgType.TEXT:
                    received.append(json.loads(message.data))
                    connected.set()  # the server greets every client with the status of its queue

    thread = threading.Thread(target=lambda: asyncio.run(listen()))
    thread.start()
    try:
        assert connected.wait(60), server.log_text[-2000:]
        yield received
    finally:
        stop.set()
        thread.join()


def kept_in(path: Path) -> int:
    """The evaluations that a study keeps so far."""
    try:
        with read_study(path) as study:
            return study.evaluations()
    except (StudyError, sqlite3.Error):  # not there yet, or it is being made this moment
        return 0


def test_killed_and_resumed(host, tmp_path, record_property):
    """kill -9 in the middle; the same hunt again goes on, repeats no finished evaluation, and finds the same heads."""
    base = tmp_path / "base"
    path = base / "output" / "headhunter" / "killed.sqlite"
    total, kept = 2 + 16 * 2 + 15 * 2, 0
    for wanted in KILLED_AT:
        with demo_server(host, base) as server:
            server.queue(hunt("killed"))
            until(lambda wanted=wanted: kept_in(path) >= wanted, f"{wanted} kept evaluations", between=0.02)
            server.kill()
        with read_study(path) as study:
            assert study.evaluations() >= max(kept, wanted)
            kept = study.evaluations()
        assert kept < total, "the hunt was over before it could be killed"
    record_property("cases", len(KILLED_AT))
    with demo_server(host, base) as server:
        server.wait(server.queue(hunt("killed")))
        resumed = report_of(server, "killed")
        assert resumed["images"] == total and resumed["images_made_now"] == total - kept
        server.wait(server.queue(hunt("whole")))
        whole = report_of(server, "whole")
        assert whole["images_made_now"] == total
        assert whole["heads"] == resumed["heads"] and whole["rounds"] == resumed["rounds"]


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be paused there")
def test_two_servers_on_one_study(host, tmp_path):
    """The second is told that the first is at it, and disturbs nothing; afterwards it finds everything done."""
    output = tmp_path / "one" / "output"
    path = output / "headhunter" / "shared.sqlite"
    work = hunt("shared", rounds=1, pool="L0")
    sharing = demo_server(host, tmp_path / "two", ["--output-directory", output])
    with demo_server(host, tmp_path / "one") as first, sharing as second:
        running = first.queue(work)
        until(lambda: kept_in(path) >= 2, "the first evaluations", between=0.02)
        with first.paused():
            assert kept_in(path) < 10, "the hunt was over before it could be paused"
            with pytest.raises(PromptError, match="in use by another hunt"):
                second.wait(second.queue(work))
        first.wait(running)
        done = report_of(first, "shared")
        assert done["images_made_now"] == 10
        second.wait(second.queue(work))
        again = report_of(second, "shared")
        assert again["images_made_now"] == 0
        assert again["heads"] == done["heads"] and again["rounds"] == done["rounds"]


def test_watched_cancelled_and_read(host, tmp_path):
    with demo_server(host, tmp_path / "base") as server:
        with events(server) as seen:
            result = server.wait(server.queue(hunt("seen")))
        progress = [event["data"] for event in seen if event["type"] == "headhunter.progress"]
        names = {"node", "study", "round", "rounds", "candidate", "score", "best", "done", "total", "seconds_left"}
        assert len(progress) >= 3 and all(set(data) == names for data in progress)
        assert {data["study"] for data in progress} == {"seen"} and {data["node"] for data in progress} == {"9"}
        assert progress[-1]["total"] == 64 and progress[-1]["done"] > progress[0]["done"]
        assert any(data["seconds_left"] is not None for data in progress)
        clock = {kind: body["timestamp"] / 1000 for kind, body in result["status"]["messages"]}
        ran = clock["execution_success"] - clock["execution_start"]
        assert len(progress) <= 4 * ran + 6, "more than a few events a second"
        assert any(event["type"] == "progress" and event["data"].get("max") == 64 for event in seen)

        # The report, the chart and the heads are outputs of the workflow too.
        report = report_of(server, "seen")
        assert json.loads(result["outputs"]["10"]["text"][0]) == report
        assert result["outputs"]["9"]["text"] == [report["heads"]]

        # The routes.
        study = server.get("/headhunter/studies/seen")
        assert study["images"] == 64 and len(study["previews"]) == 64
        assert server.get_bytes(f"/headhunter/studies/seen/preview/{study['previews'][3]['number']}")[:2] == b"\xff\xd8"
        rows = list(csv.DictReader(io.StringIO(server.get_bytes("/headhunter/studies/seen.csv").decode())))
        assert (
            len(rows) == 64 and rows[0]["prompt"] == CAPTIONS[0] and rows[0]["scorer"] and float(rows[0]["score"]) > 0
        )
        assert [entry["id"] for entry in server.get("/headhunter/studies")] == ["seen"]
        grid = server.get("/headhunter/grid?folder=diffusion_models&name=headhunter_demo_sd3.safetensors")
        assert grid["model"] == "sd3-4x4" and grid["kinds"] == ["joint"] * 4

        # Names only, never paths.
        for path, status in {
            "/headhunter/studies/none": 404,
            "/headhunter/studies/..%2F..%2Fuser": 400,
            "/headhunter/studies/seen/preview/9999": 404,
            "/headhunter/studies/seen/preview/x": 400,
            "/headhunter/grid?folder=vae&name=headhunter_demo_vae.safetensors": 400,
            "/headhunter/grid?folder=diffusion_models&name=../vae/headhunter_demo_vae.safetensors": 400,
        }.items():
            with pytest.raises(urllib.error.HTTPError) as caught:
                server.get(path)
            assert caught.value.code == status and json.loads(caught.value.read())["error"]

        # The user's cancel keeps what is done.
        prompt_id = server.queue(hunt("cancelled", pool="L0-1", rounds=1))
        until(
            lambda: (
                "cancelled" in [entry["id"] for entry in server.get("/headhunter/studies")]
                and server.get("/headhunter/studies/cancelled")["images"]
            ),
            "a first finished image",
        )
        server.post("/interrupt", {})
        with pytest.raises(PromptError):
            server.wait(prompt_id)
        kept = server.get("/headhunter/studies/cancelled")["images"]
        total = 2 + 8 * 2
        assert 0 < kept < total
        server.wait(server.queue(hunt("cancelled", pool="L0-1", rounds=1)))
        report = report_of(server, "cancelled")
        assert report["images"] == total and report["images_made_now"] == total - kept
