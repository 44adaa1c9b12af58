"""In a worker's process: run the user's part of the graph with the host's own executor, show who one is, do jobs."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from typing import Any

import comfy.model_management
import execution
import torch

import nodes

from ...generation.generate import Generator
from ...models import grid_of
from ..identity import identity_of
from ..jobs import Maker
from .wire import received, sampling_of, versions

HOLDER = "HeadHunterWorkerHolds"


class GraphFailed(RuntimeError):
    """The part of the graph could not be run here; says which node, and why."""


_maker: list[Maker] = []


def show(host: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Run the part of the graph, and say what it gave: identity, versions, device. A later one takes the first one's place."""
    _maker.clear()
    with torch.inference_mode():
        missing = [kind for kind in request["kinds"] if kind not in nodes.NODE_CLASS_MAPPINGS]
        if missing:
            raise GraphFailed(f"the node {', '.join(missing)} is not installed there")
        theirs = versions(request["kinds"])
        if theirs != request["versions"]:  # told before anything is loaded
            return {"versions": theirs}
        given = run_part(host, request)
        made = sampling_of(request["sampling"])
        model, vae, pairs, latent = (given[name] for name in ("model", "vae", "prompts", "latent_image"))
        scorer = given.get("scorer")
        identity = identity_of(model, vae, pairs, scorer, latent, made)
        _maker.append(Maker(Generator(model, vae, latent, made), pairs, scorer, grid_of(model)))
    device = comfy.model_management.get_torch_device_name(comfy.model_management.get_torch_device())
    return {"versions": theirs, "identity": identity, "device": device}


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do a job (`sent`): its outcome as plain data, and what the generator noticed on the way."""
    maker = _maker[0]
    halved = maker.generator.halved
    with torch.inference_mode():
        outcome = maker(received(job))
    frame = maker.generator.frame
    return {
        "outcome": outcome if "chosen" in job else [asdict(picture) for picture in outcome],
        "halved": maker.generator.halved - halved,
        "frame": asdict(frame) if frame else None,
    }


def run_part(host: Any, request: dict[str, Any]) -> dict[str, Any]:
    """What the linked inputs of the user's node are given here, by name. GraphFailed names the node that failed."""
    held: list[dict[str, Any]] = []
    nodes.NODE_CLASS_MAPPINGS[HOLDER] = _holder(held)
    target = "headhunter worker"
    prompt = {**request["nodes"], target: {"class_type": HOLDER, "inputs": dict(request["links"])}}
    executor = execution.PromptExecutor(host, **_cache())
    executor.execute(prompt, target, request["extra"], [target])
    if not executor.success or not held:
        told = [data for event, data in executor.status_messages if event == "execution_error"]
        raise GraphFailed(
            "; ".join(
                f"node {error['node_id']} ({error['node_type']}): {error['exception_message'].strip()}"
                for error in told
            )
            or "the graph gave nothing"
        )
    return held[min(request["index"], len(held) - 1)]


def _cache() -> dict[str, Any]:
    """The host's ordinary cache, as its version names it."""
    known = inspect.signature(execution.PromptExecutor.__init__).parameters
    sizes = {"cache_args": {"lru": 0, "ram": 0.0, "ram_inactive": 0.0}, "cache_size": 0}
    return {name: value for name, value in sizes.items() if name in known}


def _holder(held: list[dict[str, Any]]) -> type:
    """A node that takes any inputs and keeps them, once for each run where they are lists."""

    class Holder:
        RETURN_TYPES = ()
        FUNCTION = "hold"
        OUTPUT_NODE = True
        CATEGORY = "HeadHunter"

        @classmethod
        def INPUT_TYPES(cls) -> dict[str, Any]:
            return {"required": {}}

        def hold(self, **given: Any) -> tuple[()]:
            held.append(given)
            return ()

    return Holder
