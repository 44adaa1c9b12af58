"""[workers] Hunts on Ray: images a minute without it and with 1 and 2 workers, what a chunk costs, memory; then many GPUs, simulated.

The first part is measured, on the demo's model, with one thread for each worker. The second is arithmetic: the real plan of a
hunt (its rounds, rungs and chunks, by the engine itself), given to workers one chunk after the other.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import spread
from hosted import host

from hosting.locate import ROOT
from hosting.server import Server

CAPTIONS = ["fox face, google style, warm, blue background", "fox face, twitter style, dark, green background"]
CHUNK_BYTES = 120_000  # of what a chunk of previews and scores is
CALLS = 200


def measure(quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Hunts alone, with one worker and with two, in one run; a call's own cost; memory; and the simulation."""
    import ray

    with tempfile.TemporaryDirectory(prefix="hh", dir="/tmp", ignore_cleanup_errors=True) as folder:
        Path(folder, "token").write_text(secrets.token_hex(32), encoding="utf-8")
        os.environ |= {"RAY_AUTH_TOKEN_PATH": f"{folder}/token", "OMP_NUM_THREADS": "1"}
        context = ray.init(address="local", num_cpus=2, include_dashboard=False, _temp_dir=folder, log_to_driver=False)
        try:
            call = seconds_of_a_call(ray)
            rows = hunts(context.address_info["address"], 1 if quick else 4, say)
        finally:
            ray.shutdown()
    return {"call_seconds": call, "rows": rows, "many": spread.measure(call)}


def seconds_of_a_call(ray: Any) -> float:
    """Mean seconds of a call of a process that gives a chunk's bytes back."""

    class Echo:
        def chunk(self) -> bytes:
            return bytes(CHUNK_BYTES)

    echo = ray.remote(Echo).options(num_cpus=1).remote()
    ray.get(echo.chunk.remote())
    started = time.perf_counter()
    for _ in range(CALLS):
        ray.get(echo.chunk.remote())
    seconds = (time.perf_counter() - started) / CALLS
    ray.kill(echo)
    return seconds


def hunts(address: str, layers: int, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """One hunt, alone and on 1 and 2 workers: seconds from the first worker on, seconds until then, memory."""
    demo = ROOT / "demo"
    rows = []
    with Server(host(), models=[demo / "models"], custom_nodes=(demo / "custom_nodes").iterdir()) as server:
        for workers in (0, 1, 2):
            study = f"bench-{workers}"
            started = time.perf_counter()
            prompt_id = server.queue(prompt(study, workers, address, layers))
            peak: dict[int, int] = {}
            while prompt_id not in server.get(f"/history/{prompt_id}"):
                remember_memory(peak)
                time.sleep(0.2)
            server.wait(prompt_id)
            whole = time.perf_counter() - started
            report = server.get(f"/headhunter/studies/{study}")["report"]
            rows.append(
                {
                    "workers": workers,
                    "images": report["images"],
                    "seconds": report["seconds"],
                    "waited": whole - report["seconds"],
                    "memory": max(peak.values(), default=0),
                }
            )
            say(f"{workers} workers")
    return rows


def remember_memory(peak: dict[int, int]) -> None:
    """The most memory that each worker of ours has held so far, in bytes."""
    for process in psutil.Process().children(recursive=True):
        try:
            if "ray::Worker" in "".join(process.cmdline()):
                peak[process.pid] = max(peak.get(process.pid, 0), process.memory_info().rss)
        except psutil.Error:  # it ended as it was looked at
            continue


def prompt(study: str, workers: int, address: str, layers: int) -> dict[str, Any]:
    """A hunt on the demo's model, in API form: two captions, one round over the heads of some layers."""
    search = {
        "model": ["1", 0], "vae": ["2", 0], "prompts": ["6", 0], "scorer": ["7", 0], "latent_image": ["8", 0], "rounds": 1,
        "heads_per_round": 1, "scale": 0.5, "strength": 1.0, "cfg": 1.0, "steps": 12, "sampler_name": "euler",
        "scheduler": "simple", "pool": f"L0-{layers - 1}", "start_from": "", "strategy": "exhaustive", "batch_size": 2,
        "study": study,
    }  # fmt: skip
    nodes = {
        "1": ("UNETLoader", {"unet_name": "headhunter_demo_sd3.safetensors", "weight_dtype": "default"}),
        "2": ("VAELoader", {"vae_name": "headhunter_demo_vae.safetensors"}),
        "3": ("HeadHunterDemoWords", {"text": CAPTIONS[0]}),
        "4": ("HeadHunterDemoWords", {"text": CAPTIONS[1]}),
        "5": ("HeadHunterPrompt", {"positive": ["3", 0], "text": CAPTIONS[0], "seed": 1}),
        "6": ("HeadHunterPrompt", {"positive": ["4", 0], "text": CAPTIONS[1], "seed": 2, "previous": ["5", 0]}),
        "7": ("HeadHunterStatisticScorer", {"statistic": "brightness", "target": "high", "value": 0.5}),
        "8": ("EmptySD3LatentImage", {"width": 128, "height": 128, "batch_size": 1}),
        "9": ("HeadHunterSearch", search | ({"workers": ["10", 0]} if workers else {})),
    }
    if workers:
        asked = {"address": address, "workers": workers, "gpus_per_worker": 0.0, "comfyui": ""}
        nodes["10"] = ("HeadHunterWorkers", asked)
    return {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()}


def table(part: dict[str, Any]) -> str:
    """For the terminal and docs/scaling.md."""
    lines = [
        "| workers | images | images a minute | seconds until the first | most memory of a worker, GB |",
        "|---|---|---|---|---|",
    ]
    for row in part["rows"]:
        rate = 60 * row["images"] / row["seconds"]
        memory = f"{row['memory'] / 1e9:.2f}" if row["workers"] else "-"
        name = row["workers"] or "none (no Ray)"
        lines.append(f"| {name} | {row['images']} | {rate:.0f} | {row['waited']:.0f} | {memory} |")
    call = f"a call that gives a chunk's {CHUNK_BYTES // 1000} kB back: {1000 * part['call_seconds']:.1f} ms"
    return "\n".join([*lines, "", call, "", spread.table(part["many"])])
