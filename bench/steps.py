"""One sampling through ComfyUI's own sampler, and the time of each of its steps."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

import comfy.sample
import torch
from comfy.patcher_extension import WrappersMP
from subjects import Subject
from timing import seconds


def sampling(subject: Subject, model: Any, cfg: float, steps: int) -> Callable[[], Any]:
    """A callable that samples the subject's latent with a patched model; plain euler."""
    noise = comfy.sample.prepare_noise(subject.latent, 0)

    def run() -> Any:
        with torch.inference_mode():
            return comfy.sample.sample(
                model,
                noise,
                steps,
                cfg,
                "euler",
                "simple",
                subject.positive,
                subject.negative,
                subject.latent,
                disable_pbar=True,
                seed=0,
            )

    return run


def step_seconds(subject: Subject, model: Any, cfg: float, steps: int) -> float:
    """Median time of a step: all that the model's guider does for one prediction."""
    times: list[float] = []

    def timed(executor: Any, *args: Any, **kwargs: Any) -> Any:
        result = []
        times.append(seconds(lambda: result.append(executor(*args, **kwargs))))
        return result[0]

    clone = model.clone()
    clone.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, "bench", timed)
    sampling(subject, clone, cfg, steps)()
    return median(times)
