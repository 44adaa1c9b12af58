"""Hunts on workers, on a real Ray of this machine: the same scores, heads and pictures as alone, whatever becomes of a worker."""

from __future__ import annotations

import importlib.util
import os
import random
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from properties import WANTED
from test_live_hunt import demo_server, hunt, kept_in

from hosting.server import PromptError
from hosting.waiting import until

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray has no wheel for this Python"),
]
LONG = 600.0  # seconds: beside much other work a worker takes minutes to start
STRATEGIES = {
    "exhaustive": {"rounds": 1, "pool": "L0-1"},
    "halving": {"rounds": 1, "batch_size": 1},
    "attribution": {"rounds": 1},
}


@pytest.fixture(scope="module")
def ray_address():
    """A Ray of these tests' own with room for two workers, in a folder and with a token of its own."""
    import ray

    with tempfile.TemporaryDirectory(prefix="hh", dir="/tmp", ignore_cleanup_errors=True) as folder:
        Path(folder, "token").write_text(secrets.token_hex(32), encoding="utf-8")
        os.environ |= {
            "RAY_AUTH_TOKEN_PATH": f"{folder}/token",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",
            "RAY_raylet_start_wait_time_s": "600",
        }
        context = ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=2**27,
            _temp_dir=folder,
            log_to_driver=False,
        )
        try:
            yield context.address_info["address"]
        finally:
            ray.shutdown()


@pytest.fixture(scope="module")
def server(host, ray_address, tmp_path_factory):
    with demo_server(host, tmp_path_factory.mktemp("workers")) as running:
        yield running


def with_workers(study: str, address: str, count: int = 2, comfyui: str = "", **changes) -> dict:
    workers = {"address": address, "workers": count, "gpus_per_worker": 0.0, "comfyui": comfyui}
    return hunt(study, workers=["12", 0], **changes) | {"12": {"class_type": "HeadHunterWorkers", "inputs": workers}}


def everything(server, study: str) -> dict:
    """All that a study holds but what depends on the order of writing: scores, pictures, what was predicted."""
    path = server.base / "output" / "headhunter" / f"{study}.sqlite"
    with sqlite3.connect(path) as file:
        scores = set(file.execute("SELECT heads, pair, scorer, value, round, head FROM scores"))
        pictures = set(file.execute("SELECT heads, pair, kind, round, head, data FROM pictures"))
        predicted = set(file.execute("SELECT name, value FROM study WHERE name LIKE 'attribution%'"))
    report = server.get(f"/headhunter/studies/{study}")["report"]
    return {
        "scores": scores,
        "pictures": pictures,
        "predicted": predicted,
        "heads": report["heads"],
        "rounds": report["rounds"],
    }


def jobs_of(server, study: str) -> int:
    """The jobs that workers did."""
    return sum(server.get(f"/headhunter/studies/{study}")["report"]["workers"]["jobs"].values())


def workers_here() -> list[psutil.Process]:
    """The workers of this test's Ray on this machine, the second machine's too."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if "ray::Worker" in process.name() + "".join(process.cmdline())
    ]


def check_same(server, study: str, like: str) -> None:
    assert everything(server, study) == everything(server, like)
    assert jobs_of(server, study) >= 4, server.log_text[-3000:]


def run(server, prompt: dict) -> None:
    server.wait(server.queue(prompt))


@pytest.fixture(scope="module")
def alone(server):
    """The studies that workers must find too."""
    for strategy, settings in STRATEGIES.items():
        run(server, hunt(f"{strategy}-alone", strategy=strategy, **settings))


def test_cancelled_and_resumed_bit_for_bit(server, ray_address, alone):
    """The user's cancel ends the workers and leaves Ray; the hunt goes on where it was. Exhaustive."""
    import ray

    path = server.base / "output" / "headhunter" / "cancelled.sqlite"
    prompt = with_workers("cancelled", ray_address, **STRATEGIES["exhaustive"])
    prompt_id = server.queue(prompt)
    until(lambda: kept_in(path), "a first chunk", LONG, 0.02)
    server.post("/interrupt", {})
    with pytest.raises(PromptError):
        server.wait(prompt_id)
    until(lambda: ray.available_resources().get("CPU") == 2 and not workers_here(), "the workers' end", LONG)
    kept = kept_in(path)
    run(server, prompt)
    report = server.get("/headhunter/studies/cancelled")["report"]
    assert report["images_made_now"] == report["images"] - kept > 0
    check_same(server, "cancelled", "exhaustive-alone")
    assert "left out" not in server.log_text


@pytest.mark.parametrize("number", range(10 if WANTED else 1))
def test_a_killed_worker_costs_nothing(server, ray_address, alone, number):
    """kill -9: Ray starts it again, and its chunk is done by whoever is free. Halving."""
    path = server.base / "output" / "headhunter" / f"killed-{number}.sqlite"
    prompt_id = server.queue(with_workers(path.stem, ray_address, strategy="halving", **STRATEGIES["halving"]))
    until(lambda: kept_in(path) > number, "the first chunks", LONG, 0.02)
    victim = random.Random(number).choice(workers_here())
    victim.send_signal(signal.SIGKILL)
    server.wait(prompt_id)
    check_same(server, path.stem, "halving-alone")
    assert "is gone; Ray starts it again" in server.log_text


@pytest.fixture
def second_machine(server, ray_address, tmp_path):
    """A second Ray node, of another name and network, on which ComfyUI has no diffusion models; as root on Linux."""
    if sys.platform != "linux" or os.geteuid() or not all(map(shutil.which, ("ip", "unshare", "hostname"))):
        pytest.skip("needs root on Linux, for a network of its own")
    name = f"hh{os.getpid()}"
    address = f"10.213.{os.getpid() % 250}"
    hidden = server.base / "models" / "diffusion_models"
    node = (
        f"hostname {name} && mount --bind {tmp_path} {hidden} && exec {Path(sys.executable).parent / 'ray'} start --block "
        f"--address={ray_address} --node-ip-address={address}.2 --num-cpus=1 --object-store-memory=100000000 --disable-usage-stats"
    )
    commands = [
        f"ip netns add {name}", f"ip link add {name} type veth peer name eth0 netns {name}", f"ip addr add {address}.1/24 dev {name}",
        f"ip link set {name} up", f"ip -n {name} addr add {address}.2/24 dev eth0", f"ip -n {name} link set eth0 up",
        f"ip -n {name} link set lo up", f"ip -n {name} route add default via {address}.1",
    ]  # fmt: skip
    running = None
    try:
        for command in commands:
            made = subprocess.run(command.split(), capture_output=True, text=True)
            if made.returncode:
                pytest.skip(f"no network of its own: {made.stderr.strip()}")
        log = (tmp_path / "node.log").open("w")
        running = subprocess.Popen(
            ["ip", "netns", "exec", name, "unshare", "-m", "-u", "sh", "-c", node], stdout=log, stderr=log
        )
        yield name
    finally:
        if running:
            for process in [*psutil.Process(running.pid).children(recursive=True), psutil.Process(running.pid)]:
                process.kill()
            running.wait()
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


def test_a_machine_that_lacks_a_file_is_refused_by_name(server, ray_address, alone, second_machine):
    """The hunt goes on with the other. Attribution."""
    import ray

    class Idle:  # inside, so that Ray carries it there as it stands
        def ready(self) -> bool:
            return True

    taken = ray.remote(Idle).options(num_cpus=1).remote()  # so that Ray has room for one worker on each machine
    ray.get(taken.ready.remote())
    until(lambda: sum(node["Alive"] for node in ray.nodes()) == 2, "the second machine", LONG)
    run(server, with_workers("refused", ray_address, strategy="attribution", **STRATEGIES["attribution"]))
    ray.kill(taken)
    check_same(server, "refused", "attribution-alone")
    (note,) = server.get("/headhunter/studies/refused")["report"]["workers"]["notes"]
    assert note.startswith(f"A worker on {second_machine} is left out") and "headhunter_demo_sd3.safetensors" in note
