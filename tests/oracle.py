"""The paper's method the slow way, independent of the pack: explicit attention maps in float64, interpolated, mixed.

The oracle swaps ComfyUI's attention function for one that builds softmax(Q K^T) and knows the layer by counting calls,
and samples with an Euler loop of its own. It shares no code with the pack.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field

import comfy.ldm.flux.math
import comfy.ldm.modules.diffusionmodules.mmdit as mmdit
import comfy.samplers
import tiny
import torch


@dataclass
class Perturbed:
    """What one perturbed pass does: u of (layer, head), and A'."""

    u: dict[tuple[int, int], float]
    scale: float
    kind: str = "identity"
    tau: float = 2.0
    rows: slice = field(default_factory=lambda: slice(None))


def attention_map_output(q, k, v, layer: int | None, perturbed: Perturbed | None) -> torch.Tensor:
    """q, k, v [B, H, L, D] -> [B, H, L, D] by explicit maps in float64."""
    q, k, v = (t.double() for t in (q, k, v))
    logits = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    weights = logits.softmax(-1)
    for head in range(q.shape[1]):
        u = perturbed.u.get((layer, head), 0.0) if perturbed else 0.0
        if not u:
            continue
        length = q.shape[2]
        if perturbed.kind == "identity":
            other = torch.eye(length, dtype=torch.float64).expand_as(weights[:, head])
        elif perturbed.kind == "uniform":
            other = torch.full_like(weights[:, head], 1 / length)
        elif perturbed.kind == "mean_query":
            mean = q[:, head].mean(1, keepdim=True)
            other = (mean @ k[:, head].transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1).expand_as(weights[:, head])
        else:
            other = (weights[:, head].log() / perturbed.tau).softmax(-1)
        mixed = (1 - u) * weights[:, head] + u * other
        weights = weights.clone()
        weights[:, head, perturbed.rows] = mixed[:, perturbed.rows]
    return weights @ v


@contextmanager
def explicit_attention(dual: tuple[int, ...], perturbed: Perturbed | None):
    """ComfyUI's attention replaced, for one forward, by explicit maps; a dual block's second call is left unperturbed."""
    layers = iter([])
    originals = mmdit.optimized_attention, comfy.ldm.flux.math.optimized_attention

    def start(count_layers: int) -> None:
        nonlocal layers
        order = []
        for layer in range(count_layers):
            order += [layer, None] if layer in dual else [layer]
        layers = iter(order)

    def attention(q, k, v, heads, mask=None, skip_reshape=False, **kwargs):
        assert mask is None
        layer = next(layers)
        if not skip_reshape:
            q, k, v = (t.reshape(t.shape[0], t.shape[1], heads, -1).transpose(1, 2) for t in (q, k, v))
        out = attention_map_output(q, k, v, layer, perturbed)
        return out.transpose(1, 2).flatten(2).to(q.dtype)

    mmdit.optimized_attention = comfy.ldm.flux.math.optimized_attention = attention
    try:
        yield start
    finally:
        mmdit.optimized_attention, comfy.ldm.flux.math.optimized_attention = originals


def sample(
    model,
    positive,
    negative,
    cfg: float,
    passes: list[Perturbed],
    steps: int = 3,
    seed: int = 7,
    dual: tuple[int, ...] = (),
    batch: int = 1,
):
    """Euler on the flow, x0 = uncond + cfg (cond - uncond) + sum of scale (cond - perturbed); gives the latent."""
    network = model.model.diffusion_model
    count = (
        len(network.joint_blocks)
        if hasattr(network, "joint_blocks")
        else len(network.double_blocks) + len(network.single_blocks)
    )

    def euler(wrapped, x, sigmas, extra_args=None, callback=None, disable=None):
        guider = wrapped.inner_model
        options = {"transformer_options": {}}

        def predict(cond, perturbed):
            with explicit_attention(dual, perturbed) as start:
                start(count)
                return comfy.samplers.calc_cond_batch(
                    guider.inner_model, [cond], x, sigma[None].expand(x.shape[0]), options
                )[0]

        for sigma, following in zip(sigmas[:-1], sigmas[1:], strict=True):
            cond = predict(guider.conds["positive"], None)
            result = cond
            if cfg != 1:
                uncond = predict(guider.conds["negative"], None)
                result = uncond + cfg * (cond - uncond)
            for perturbed in passes:
                result = result + perturbed.scale * (cond - predict(guider.conds["positive"], perturbed))
            x = x + (x - result) / sigma * (following - sigma)
        return x

    image = tiny.latent(batch)
    noise = comfy.sample.prepare_noise(image, seed)
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", steps)
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(cfg)
    with torch.inference_mode():
        return guider.sample(noise, image, comfy.samplers.KSAMPLER(euler), sigmas, disable_pbar=True, seed=seed)
