"""Pictures of candidates: rows of one batch are different head sets of one (prompt, seed), with the same noise.

A row's picture does not depend on its batch-mates: deterministic samplers see rows apart; stochastic ones get the noise
that a single run would get, repeated for each row; one that couples the rows of a batch (dpm_adaptive takes one error
norm over it) runs row by row.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.samplers
import torch
from comfy.k_diffusion.sampling import BrownianTreeNoiseSampler, default_noise_sampler
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...guidance import Group
from ...heads import HeadSet
from ..guidance.groups import add_group, entries_of
from .first_step import FirstSteps
from .prompts import Pair

COUPLED = {"dpm_adaptive"}


@dataclass(frozen=True)
class Sampling:
    """How pictures are made: a KSampler's settings and a group's, without heads."""

    group: Group
    cfg: float
    steps: int
    sampler_name: str
    scheduler: str
    denoise: float = 1.0


@dataclass(frozen=True)
class Frame:
    """Which frame of a video stands for it: `number`, from 0, of `count`."""

    number: int
    count: int


class Generator:
    """Makes pictures of head sets with one model, VAE and latent.

    `latent`: a LATENT; the first of a batch is used, and its noise mask is honoured.
    """

    def __init__(self, model: ModelPatcher, vae: Any, latent: dict[str, Any], sampling: Sampling):
        self.model = model
        self.vae = vae
        self.sampling = sampling
        self.halved = 0
        self.frame: Frame | None = None
        self.first_steps = FirstSteps()
        self._latent = comfy.sample.fix_empty_latent_channels(model, latent["samples"][:1])
        mask = latent.get("noise_mask")
        self._mask = None if mask is None else mask[:1]
        for entry in entries_of(model):
            if entry.mask:
                entry.mask.check(1)
        if sampling.denoise < 1 and not torch.count_nonzero(self._latent):
            raise ValueError(
                "denoise is below 1, but the latent is empty: connect an encoded picture, or set denoise to 1"
            )
        # A KSampler, for its sigmas: it knows denoise and the samplers that leave out the step before the last.
        made = comfy.samplers.KSampler(
            model, sampling.steps, model.load_device, sampling.sampler_name, sampling.scheduler, sampling.denoise
        )
        self._sigmas = made.sigmas

    def latents(self, sets: Sequence[HeadSet], pair: Pair, on_step: Callable[[], None] = lambda: None) -> Tensor:
        """Sampled latents [len(sets), C, h, w]. Out of memory halves the batch; `halved` counts how often."""
        if self.sampling.sampler_name in COUPLED and len(sets) > 1:
            return torch.cat([self.latents([heads], pair, on_step) for heads in sets])
        try:
            return self._sample(sets, pair, on_step)
        except comfy.model_management.OOM_EXCEPTION:
            if len(sets) == 1:
                raise
            self.halved += 1
        comfy.model_management.soft_empty_cache()
        middle = len(sets) // 2
        return torch.cat([self.latents(part, pair, on_step) for part in (sets[:middle], sets[middle:])])

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures [B, H, W, 3] in 0..1; of a video its middle frame, which `frame` then tells."""
        images = self.vae.decode(latents)
        if images.ndim == 5:
            frames = images.shape[1]
            self.frame = Frame(frames // 2, frames) if frames > 1 else None
            images = images[:, frames // 2]
        return images.float().clamp(0, 1).cpu()

    def noticed(self, halved: Any, frame: Any) -> None:
        """What another generator with the same settings noticed: as `halved`, and `frame` as a dict of its fields, or None."""
        self.halved += halved if isinstance(halved, int) and halved > 0 else 0
        if isinstance(frame, dict):
            self.frame = Frame(int(frame["number"]), int(frame["count"]))

    def _sample(self, sets: Sequence[HeadSet], pair: Pair, on_step: Callable[[], None]) -> Tensor:
        sampling = self.sampling
        sampler = comfy.samplers.sampler_object(sampling.sampler_name)
        sampler.extra_options = sampler.extra_options | self._row_noise(self._noise(pair), pair.seed)
        model: Any = self.guided(sets)
        if not sampling.group.in_attention:  # there each candidate has a conditional pass of its own
            model = self.first_steps.shared(model, pair)
        elif model is self.model:
            model = model.clone()
        # `guided` made a clone that nothing else holds. With it as the parent, ComfyUI would take the model for leaked.
        model.parent = self.model
        return self.sample(model, len(sets), pair, sampler, on_step)

    def guided(self, sets: Sequence[HeadSet]) -> ModelPatcher:
        """The model with a group whose rows are these head sets; the model itself where they are all empty."""
        if not any(sets):
            return self.model
        return add_group(self.model, self.sampling.group, sets)

    def sample(self, model: ModelPatcher, rows: int, pair: Pair, sampler: Any, on_step: Callable[[], None]) -> Tensor:
        """Sampled latents [rows, C, h, w] of one pair, as KSampler would make them with this model and sampler object.

        `on_step` is called at each step; the user's cancel is seen there.
        """
        noise = self._noise(pair)
        repeat = [rows] + [1] * (noise.ndim - 1)

        def callback(step: int, x0: Tensor, x: Tensor, steps: int) -> None:
            comfy.model_management.throw_exception_if_processing_interrupted()
            on_step()

        return comfy.sample.sample_custom(
            model,
            noise.repeat(repeat),
            self.sampling.cfg,
            sampler,
            self._sigmas,
            pair.positive,
            pair.negative if pair.negative is not None else pair.positive,
            self._latent.repeat(repeat),
            noise_mask=self._mask,
            callback=callback,
            disable_pbar=True,
            seed=pair.seed,
        )

    def _noise(self, pair: Pair) -> Any:
        return comfy.sample.prepare_noise(self._latent, pair.seed)

    def _row_noise(self, row: Tensor, seed: int) -> dict[str, Any]:
        """For samplers that draw noise: what a single run with this seed would draw, for every row alike."""
        name = self.sampling.sampler_name
        if not takes_noise(name):
            return {}
        like = torch.zeros_like(row, device=self.model.load_device)
        if name.startswith("dpmpp") and "_sde" in name:
            positive = self._sigmas[self._sigmas > 0]
            draw = BrownianTreeNoiseSampler(
                like, positive.min(), self._sigmas.max(), seed=seed, cpu=not name.endswith("_gpu")
            )
        else:
            draw = default_noise_sampler(like, seed=seed)
        # One row; it spreads over the batch as it is added.
        return {"noise_sampler": draw}


def takes_noise(sampler_name: str) -> bool:
    """Whether a sampler draws noise through a `noise_sampler` that can be given to it."""
    function = comfy.samplers.sampler_object(sampler_name).sampler_function
    return "noise_sampler" in inspect.signature(function).parameters
