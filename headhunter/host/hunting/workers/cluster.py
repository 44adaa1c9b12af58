"""Ray as the crew uses it: connect or start, place, ask, wait, end."""

from __future__ import annotations

import logging
import math
import os
import socket
from collections.abc import Sequence
from typing import Any

import folder_paths

from . import actor
from .arguments import worker_arguments
from .plan import NoWorkers, Workers, ray_module

STORE_BYTES = 512 * 2**20  # of a Ray that is started here, for what is on its way; more goes to disk
TOKEN = (
    "If it asks for a token, as it should, start ComfyUI with RAY_AUTH_MODE=token in its environment and the cluster's token in "
    "~/.ray/auth_token."
)


class Cluster:
    """A connection to Ray. One that is started here is stopped at the end, one that is joined stays as it was found.

    NoRay and NoWorkers say why there can be none.
    """

    def __init__(self, plan: Workers):
        self.plan = plan
        self.ray = ray_module()
        errors = self.ray.exceptions
        self.Ended: tuple[type[Exception], ...] = errors.ActorDiedError, errors.RayTaskError
        self.Lost: type[Exception] = errors.RayError
        self._ours = not self.ray.is_initialized()  # someone else's connection in this process is used, and left alone
        if self._ours:
            self._connect(plan.address.strip())

    def _connect(self, address: str) -> None:
        settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING}
        try:
            if address == "auto":
                try:
                    self.ray.init(address="auto", **settings)
                    return
                except ConnectionError:
                    address = "local"
            if address == "local":
                os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
                settings |= {"include_dashboard": False, "object_store_memory": STORE_BYTES}
            self.ray.init(address=address, **settings)
        except Exception as error:
            hint = "" if os.environ.get("RAY_AUTH_MODE") == "token" else f" {TOKEN}"
            raise NoWorkers(f"No Ray could be had at {address} ({type(error).__name__}: {error}).{hint}") from error

    def answers(self) -> bool:
        """Whether Ray's head can be reached. Ray ends this whole process where it could not for a minute."""
        if self.plan.address.startswith("ray://"):  # there a server of Ray's stands between
            return True
        host, _, port = self.ray.get_runtime_context().gcs_address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
        except OSError:
            return False
        return True

    def free(self) -> int:
        """How many workers the free GPUs are enough for."""
        share = self.plan.gpus_per_worker
        return math.floor(self.ray.available_resources().get("GPU", 0) / share + 1e-6) if share else 0

    def put(self, value: Any) -> Any:
        """Something that every worker gets. NoWorkers where it cannot travel."""
        try:
            return self.ray.put(value)
        except Exception as error:
            raise NoWorkers(f"This workflow cannot be sent to workers ({type(error).__name__}: {error}).") from error

    def start(self, kind: type, restarts: int) -> Any:
        """A handle of a new worker, which Ray places where there is room, and starts again where it dies."""
        here = os.path.dirname(os.path.abspath(folder_paths.__file__))
        there = self.plan.comfyui.strip()
        arguments = worker_arguments(bool(there), cpu=not self.plan.gpus_per_worker)
        self.ray.cloudpickle.register_pickle_by_value(actor)
        try:
            made = self.ray.remote(kind).options(num_cpus=1, num_gpus=self.plan.gpus_per_worker, max_restarts=restarts)
            return made.remote(there or here, arguments)
        finally:
            self.ray.cloudpickle.unregister_pickle_by_value(actor)

    def call(self, method: Any) -> Any:
        """Ask something that may wait for a worker to be placed, also anew."""
        return method.options(max_task_retries=-1).remote()

    def ready(self, members: Sequence[Any], seconds: float) -> list[Any]:
        """Those of the members whose call is answered, within so many seconds."""
        calls = {member.call: member for member in members if member.call is not None}
        if not calls:
            return []
        ready, _ = self.ray.wait(list(calls), num_returns=1, timeout=seconds)
        if ready:  # whoever else is ready too
            ready, _ = self.ray.wait(list(calls), num_returns=len(calls), timeout=0)
        return [calls[call] for call in ready]

    def get(self, call: Any) -> Any:
        """The answer of a call. `Ended`: the worker is of no use any more; `Lost`: it or its answer is gone, and Ray starts it again."""
        return self.ray.get(call)

    def reason(self, error: Exception) -> str:
        """The first line of what Ray says."""
        return str(error).strip().split("\n")[0][:200]

    def end(self, handle: Any) -> None:
        self.ray.kill(handle, no_restart=True)

    def close(self, handles: Sequence[Any]) -> None:
        """End these workers, and the connection if it was made here."""
        for handle in handles:
            self.end(handle)
        if self._ours:
            self.ray.shutdown()
