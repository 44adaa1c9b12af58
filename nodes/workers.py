from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..headhunter.host.hunting.workers import plan
from . import inputs
from .types import Workers


class HeadHunterWorkers(io.ComfyNode):
    """Other GPUs and machines, on Ray, that make a hunt's pictures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HeadHunterWorkers",
            display_name="Hunt Workers (Ray)",
            category="HeadHunter",
            **inputs.where_known(search_aliases=["distributed", "multi GPU", "cluster", "ray"]),
            description="Lets a hunt or an atlas use all GPUs of this machine, or of a Ray cluster, with the same result as one. "
            "Needs Ray in ComfyUI's Python: pip install ray.",
            inputs=[
                io.String.Input(
                    "address",
                    default="auto",
                    tooltip="auto: the Ray that runs on this machine, or else one that is started for the hunt and stopped after it. "
                    "local: always started. Or the address of a cluster, such as 10.0.0.5:6379.",
                ),
                io.Int.Input(
                    "workers",
                    default=0,
                    min=0,
                    max=plan.MOST_WORKERS,
                    tooltip="How many. 0: one for each free GPU.",
                ),
                io.Float.Input(
                    "gpus_per_worker",
                    default=1.0,
                    min=0.0,
                    max=plan.MOST_GPUS,
                    step=0.05,
                    tooltip="GPUs of each worker. Below 1, several share one: 0.5 is two on each GPU. 0: workers on the CPU.",
                ),
                io.String.Input(
                    "comfyui",
                    default="",
                    tooltip="The workers' ComfyUI folder, where it is not at the same place as this one. Models are loaded from there.",
                ),
            ],
            outputs=[
                Workers.Output(
                    display_name="workers", tooltip="Connect it to workers of HeadHunter Search or Head Atlas."
                )
            ],
        )

    @classmethod
    def execute(
        cls, address: str = "auto", workers: int = 0, gpus_per_worker: float = 1.0, comfyui: str = ""
    ) -> io.NodeOutput:
        asked = plan.Workers(address, workers, gpus_per_worker, comfyui)
        plan.ray_module()  # where it is missing, that is said here, before the models are loaded
        return io.NodeOutput(asked)
