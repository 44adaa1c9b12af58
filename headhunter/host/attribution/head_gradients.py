"""What each head would do to the score, for all heads at once by a gradient, in place of two passes a step for each.

To first order, adding head h to the perturbed pass changes the score S of a picture by u dS/du_h at u_h = 0, u being the
strength that the hunt tries it at. With D = uncond + c (cond - uncond) + w (cond - perturbed) (c is cfg), and while no head is
perturbed yet, the perturbed pass is the conditional one, so that the strengths can be put there instead, at half the work:

    change of S  =  u dS/du_h (perturbed pass)  =  -(w / c) u dS/dv_h (conditional pass)

The idea is known as attribution patching (https://www.neelnanda.io/mechanistic-interpretability/attribution-patching).
The gradient is taken along a whole Euler sampling, with every step recomputed when its turn comes, so that memory holds
one step at a time, and the diffusion model, the VAE and the scoring models one after the other:

    1. sample without gradients, keep x_i of each step
    2. g = dS/dx_T through the scorer and the VAE
    3. for i = T-1 .. 0: x_(i+1) again from x_i, with gradients;  dS/du += g . dx_(i+1)/du;  g <- g . dx_(i+1)/dx_i

Where a unit of distortion has a price p, S is the score less p |x_T - x_T unguided| / |x_T unguided|.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import comfy.model_management
import comfy.patcher_extension
import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...guidance import Group
from ...heads import Head, HeadSet
from ...measured import AttributionError
from ...scoring.base import Scorer, score_batch
from ...scoring.combine import components_of
from ..generation.generate import Generator
from ..generation.prompts import Pair
from ..gradients import gradients
from ..guidance.attention import Entry, Witness
from ..guidance.blocks import Architecture, Options
from ..guidance.groups import POST_CFG, add_entry
from ..guidance.perturbed_pass import perturbed_options
from ..guidance.run import may_skip_passes
from ..guidance.strengths import LayerStrengths
from .gradient_blocks import must_checkpoint, with_gradients

INSTEAD = "Choose the strategy halving, which needs no gradients."

Denoise = Callable[..., Tensor]


def check_differentiable(scorer: Scorer, strategy: str = "attribution") -> None:
    """ValueError that names the scorers which no gradient can pass, and the strategy that needs one."""
    names = [part.name for part, _ in components_of(scorer) if not part.differentiable]
    if names:
        raise ValueError(
            f"The strategy {strategy} needs gradients, and the scorer {', '.join(names)} gives none. {INSTEAD}"
        )


def _check_whole(model: ModelPatcher) -> None:
    """AttributionError where another pack may answer for the model without running it: no gradient passes what did not run."""
    wrappers = model.wrappers.get(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL)
    if wrappers or may_skip_passes(model.model_options):
        named = f" ({', '.join(map(str, wrappers))})" if wrappers else ""
        raise AttributionError(
            "A node on this model wraps its forward, as caches such as EasyCache do"
            f"{named}, and may keep gradients away: take it out of the model's chain, or choose the strategy halving."
        )


class FreeStrengths(LayerStrengths):
    """Strengths of some heads that gradients flow to: leaves [1, n], one a layer."""

    def __init__(self, strengths: Mapping[Head, float], device: torch.device):
        super().__init__([strengths])
        self.heads = sorted(strengths)
        with torch.inference_mode(False):
            self._leaves = {
                layer: (heads.to(device), u.to(device, copy=True).requires_grad_())
                for layer, (heads, u) in self._table.items()
            }

    def of(self, layer: int, device: torch.device) -> tuple[Tensor, Tensor] | None:
        return self._leaves.get(layer)

    @property
    def leaves(self) -> list[Tensor]:
        """In the order of the layers; all of them one after the other are in the order of `heads`."""
        return [u for _, u in self._leaves.values()]


class Gradients:
    """What adding each head to a set would do to the score of each pair, by gradients; it keeps nothing.

    `on_step` is called at each step. AttributionError where there is no gradient.
    """

    def __init__(self, generator: Generator, pairs: Sequence[Pair], scorer: Scorer, on_step: Callable[[], None]):
        check_differentiable(scorer)
        _check_whole(generator.model)
        self.generator = generator
        self.pairs = pairs
        self.parts = components_of(scorer)
        self.on_step = on_step
        self._checkpointed = False
        self._unguided: dict[int, Tensor] = {}

    def __call__(
        self, chosen: HeadSet, pool: HeadSet, numbers: Sequence[int], shares: Sequence[float], price: float = 0.0
    ) -> list[list[float]]:
        """For each pair a number for each head of `pool`, nan for a broken picture.

        shares: what each scorer's score counts. price: what a unit of distortion is taken off. Of a head that `chosen` holds: what
        that much more of it would do.
        """
        try:
            return self._attributions(chosen, pool, numbers, shares, price)
        except comfy.model_management.OOM_EXCEPTION as error:
            if self._checkpointed:
                raise AttributionError(
                    f"The gradient does not fit into memory: use a smaller picture. {INSTEAD}"
                ) from error
        except RuntimeError as error:
            if isinstance(error, AttributionError):
                raise
            raise AttributionError(f"The gradient could not be computed ({error}). {INSTEAD}") from error
        self._checkpointed = True
        comfy.model_management.soft_empty_cache()
        return self(chosen, pool, numbers, shares, price)

    def _attributions(
        self, chosen: HeadSet, pool: HeadSet, numbers: Sequence[int], shares: Sequence[float], price: float
    ) -> list[list[float]]:
        """Each model does its part for all pairs before the next one takes its place on the card."""
        pairs = [self.pairs[number] for number in numbers]
        trajectories = [self._trajectory(chosen, pair) for pair in pairs]
        latents = [latent for _, latent in trajectories]
        with torch.no_grad():
            pictures = [self.generator.decode(latent) for latent in latents]
        by_pixels = [self._by_pixels(picture, pair.text, shares) for picture, pair in zip(pictures, pairs, strict=True)]
        ends = [self._by_latent(latent, gradient) for latent, gradient in zip(latents, by_pixels, strict=True)]
        if not chosen:
            self._unguided |= {number: latent.cpu() for number, latent in zip(numbers, latents, strict=True)}
        if price:
            away = [self._distortion_by_latent(number, latent) for number, latent in zip(numbers, latents, strict=True)]
            ends = [end - price * slope.to(end) for end, slope in zip(ends, away, strict=True)]
        return [
            self._walk_back(chosen, pool, pair, states, end)
            for pair, (states, _), end in zip(pairs, trajectories, ends, strict=True)
        ]

    def _trajectory(self, chosen: HeadSet, pair: Pair) -> tuple[list[Tensor], Tensor]:
        """x_i [1, C, h, w] of each step on the CPU, and the sampled latent."""
        states: list[Tensor] = []
        sampler = comfy.samplers.KSAMPLER(partial(_sample, states))
        model = self.generator.guided([chosen])
        return states, self.generator.sample(model, 1, pair, sampler, self.on_step)

    def _by_pixels(self, picture: Tensor, text: str, shares: Sequence[float]) -> Tensor:
        """dS/dpixels of a picture [1, H, W, 3], nan for a broken one, which has no score."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        if not torch.isfinite(picture).all():
            return torch.full_like(picture, math.nan)
        for part, _ in self.parts:  # loads its model, which must not happen among gradients
            score_batch(part, picture, [text])
        with gradients():
            pixels = picture.clone().requires_grad_()
            scores = [score_batch(part, pixels, [text]).cpu().double().sum() for part, _ in self.parts]
            blind = [part.name for (part, _), own in zip(self.parts, scores, strict=True) if not own.requires_grad]
            if blind:
                raise AttributionError(
                    f"The scorer {', '.join(blind)} says that it gives gradients, but gives none. {INSTEAD}"
                )
            score = torch.stack([share * own for share, own in zip(shares, scores, strict=True)]).sum()
            return torch.autograd.grad(score, pixels)[0]

    def _by_latent(self, latent: Tensor, by_pixels: Tensor) -> Tensor:
        """dS/dlatent, through the VAE."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        comfy.model_management.load_models_gpu([self.generator.vae.patcher])  # not among gradients
        with gradients():
            start = latent.clone().requires_grad_()
            decoded = self.generator.decode(start)
            if not decoded.requires_grad:
                raise AttributionError(f"This VAE gives no gradient, or there is no memory for it. {INSTEAD}")
            return _pull(decoded, [start], by_pixels)[0]

    def _distortion_by_latent(self, number: int, latent: Tensor) -> Tensor:
        """d |x - x_0| / |x_0| / dx, x_0 the unguided latent of the pair; 0 at x_0."""
        if number not in self._unguided:
            self._unguided[number] = self._trajectory(HeadSet(), self.pairs[number])[1].cpu()
        unguided = self._unguided[number].to(latent)
        away = latent - unguided
        size = away.norm() * unguided.norm()
        return away / size if size else away

    def _walk_back(self, chosen: HeadSet, pool: HeadSet, pair: Pair, states: list[Tensor], end: Tensor) -> list[float]:
        """What each head of the pool would change, from dS/du along the kept steps of a sampling; see the module."""
        generator = self.generator
        sampling, group = generator.sampling, generator.sampling.group
        model = generator.model
        # In attention the heads are moved as in sampling, with its cap and window.
        in_conditional = not (group.in_attention or chosen) and sampling.cfg != 0 and _is_plain(model, group)
        there = -group.scale / sampling.cfg if in_conditional else 1.0  # what a strength becomes where it is put
        free = FreeStrengths(dict.fromkeys(pool, 0.0) | chosen.at(group.strength), model.load_device)
        passes = (1 if in_conditional or group.in_attention else 2) + (sampling.cfg != 1)
        self._checkpointed = self._checkpointed or must_checkpoint(model, states[0], passes)
        install = _in_conditional if in_conditional else add_entry
        prepared = install(with_gradients(model, self._checkpointed), Entry(group, free))
        totals = [torch.zeros_like(leaf) for leaf in free.leaves]
        sampler = comfy.samplers.KSAMPLER(partial(_walk, states, end, free.leaves, totals))
        generator.sample(prepared, 1, pair, sampler, self.on_step)
        by_strength = dict(zip(free.heads, (there * torch.cat([t.flatten() for t in totals])).tolist(), strict=True))
        return [strength * by_strength[head] for head, strength in pool.at(group.strength).items()]


def _step(model: Denoise, x: Tensor, sigmas: Tensor, i: int, extra_args: dict[str, Any]) -> Tensor:
    """Euler: x + (x - denoised) / sigma_i (sigma_(i+1) - sigma_i), as k-diffusion's sample_euler without noise."""
    denoised = model(x, sigmas[i] * x.new_ones([x.shape[0]]), **extra_args)
    return x + (x - denoised) / sigmas[i] * (sigmas[i + 1] - sigmas[i])


@torch.no_grad()
def _sample(
    states: list[Tensor],
    model: Denoise,
    x: Tensor,
    sigmas: Tensor,
    extra_args: Any = None,
    callback: Any = None,
    disable: Any = None,
) -> Tensor:
    """Sampler function: Euler, keeping x_0 .. x_T in `states`."""
    states.append(x.cpu())
    for i in range(len(sigmas) - 1):
        x = _step(model, x, sigmas, i, extra_args or {})
        states.append(x.cpu())
        callback({"i": i, "denoised": x, "x": x})
    return x


def _walk(
    states: list[Tensor],
    end: Tensor,
    leaves: list[Tensor],
    totals: list[Tensor],
    model: Any,
    x: Tensor,
    sigmas: Tensor,
    extra_args: Any = None,
    callback: Any = None,
    disable: Any = None,
) -> Tensor:
    """Sampler function: the kept steps backwards, adding dS/du to `totals`. `end`: dS by the latent that comes out."""
    base = model.inner_model.inner_model  # KSamplerX0Inpaint -> guider -> BaseModel
    last = len(sigmas) - 1
    with gradients():
        state = _leaf(states[-1], x)
        latent = base.process_latent_out(base.model_sampling.inverse_noise_scaling(sigmas[-1], state).float())
        g = _pull(latent, [state], end.to(latent))[0]
        reached = False
        for i in reversed(range(last)):
            state = _leaf(states[i], x)
            following = _step(model, state, sigmas, i, extra_args or {})
            g, *parts = _pull(following, [state, *leaves], g)
            for total, part in zip(totals, parts, strict=True):
                if part is not None:
                    reached = True
                    total += part
            del following
            callback({"i": last - 1 - i, "denoised": state.detach(), "x": state.detach()})
    if not reached:
        raise AttributionError(f"No gradient reached the heads: something on the model keeps it away. {INSTEAD}")
    return states[-1].to(x)


def _leaf(state: Tensor, like: Tensor) -> Tensor:
    return state.to(like, copy=True).detach().requires_grad_()


def _pull(outcome: Tensor, sources: Sequence[Tensor], g: Tensor) -> list[Any]:
    """g . d outcome / d source, for each source, None where there is no way. Scaled inside, so that 16 bits hold it."""
    size = g.abs().amax().clamp(min=torch.finfo(torch.float32).tiny)
    pulled = torch.autograd.grad(outcome, sources, (g / size).to(outcome), allow_unused=True)
    return [None if gradient is None else gradient.float() * size.to(gradient.device) for gradient in pulled]


def _is_plain(model: ModelPatcher, group: Group) -> bool:
    """Whether the prediction is the formula above and nothing else, at every step."""
    hooks = ("sampler_cfg_function", "sampler_calc_cond_batch_function", POST_CFG)
    changed = any(model.model_options.get(hook) for hook in hooks)
    plain = group.mix == "add" and group.rescale == 0 and group.end_scale == 1
    return plain and not changed and not group.windowed


def _in_conditional(model: ModelPatcher, entry: Entry) -> ModelPatcher:
    """A clone whose conditional prediction runs with the entry's strengths."""
    patched = model.clone()
    wrapper = partial(_perturb_conditional, entry, Architecture.of(model))
    patched.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.CALC_COND_BATCH, "headhunter_attribution", wrapper)
    return patched


def _perturb_conditional(
    entry: Entry,
    architecture: Architecture,
    executor: Any,
    model: Any,
    conds: list,
    x: Tensor,
    sigma: Tensor,
    options: Options,
) -> list[Tensor]:
    """CALC_COND_BATCH wrapper: the host asks for [conditional, unconditional]."""
    entries = [entry, *[None] * (len(conds) - 1)]
    options = perturbed_options(options, entries, architecture, Witness(), {})
    return executor(model, conds, x, sigma, options)
