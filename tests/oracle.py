"""The paper's method the slow way, independent of the pack: explicit attention maps in float64, interpolated, mixed.

The oracle swaps the attention function that a network's blocks look up for one that builds softmax(Q K^T + mask), knows
the layer by counting calls (`tiny.Family.calls`), and samples with an Euler loop of its own. It shares no code with the pack.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import comfy.sample
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


def added_to_logits(mask: torch.Tensor | None) -> torch.Tensor:
    """A mask as attention takes it, [Q, K], [B, Q, K] or [B, H, Q, K], boolean or added, as [B, H, Q, K] in float64."""
    if mask is None:
        return torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    if mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, dtype=torch.float64).masked_fill(~mask, -torch.inf)
    if mask.ndim == 2:
        mask = mask[None]
    return (mask[:, None] if mask.ndim == 3 else mask).double()


def attention_map_output(q, k, v, mask, layer: int | None, perturbed: Perturbed | None) -> torch.Tensor:
    """q [B, H, Q, D], k and v [B, H or fewer, K, D], mask see `added_to_logits` -> [B, H, Q, D] by explicit maps."""
    q, k, v = (t.double() for t in (q, k, v))
    k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], dim=1) for t in (k, v))
    logits = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    mask = added_to_logits(mask).expand_as(logits)
    weights = (logits + mask).softmax(-1)
    for head in range(q.shape[1]):
        u = perturbed.u.get((layer, head), 0.0) if perturbed else 0.0
        if not u:
            continue
        if perturbed.kind == "identity":
            other = torch.eye(q.shape[2], dtype=torch.float64).expand_as(weights[:, head])
        elif perturbed.kind == "uniform":
            other = mask[:, head].softmax(-1)  # the same weight for all that may be seen
        elif perturbed.kind == "mean_query":
            mean = q[:, head, perturbed.rows].mean(1, keepdim=True)
            other = (mean @ k[:, head].transpose(-1, -2) / q.shape[-1] ** 0.5 + mask[:, head]).softmax(-1)
        else:
            other = (logits[:, head] / perturbed.tau + mask[:, head]).softmax(-1)
        mixed = (1 - u) * weights[:, head] + u * other
        weights[:, head, perturbed.rows] = mixed[:, perturbed.rows]
    return weights @ v


@contextmanager
def explicit_attention(family: tiny.Family, perturbed: Perturbed | None) -> Iterator[None]:
    """The network's attention replaced, for one forward, by explicit maps; only joint attention is perturbed.

    AssertionError: the forward's attention is not what `family` says: how often, how long a sequence, whether masked.
    """
    calls = iter(family.calls)
    module, _, name = family.attention.rpartition(".")
    namespace = importlib.import_module(module)
    original = getattr(namespace, name)

    def attention(q, k, v, heads, mask=None, attn_precision=None, skip_reshape=False, **kwargs):
        layer = next(calls, "none left")
        assert layer != "none left", "more attention calls than the family has"
        if not skip_reshape:
            q, k, v = (t.reshape(t.shape[0], t.shape[1], heads, -1).transpose(1, 2) for t in (q, k, v))
        if layer is not None:
            assert (q.shape[2], k.shape[2], q.shape[1]) == (family.length, family.length, family.heads)
            assert (mask is not None) is family.masked
        out = attention_map_output(q, k, v, mask, layer, perturbed)
        return out.transpose(1, 2).flatten(2).to(q.dtype)

    setattr(namespace, name, attention)
    try:
        yield
    finally:
        setattr(namespace, name, original)
    assert next(calls, "none left") == "none left", "fewer attention calls than the family has"


def sample(
    family: tiny.Family,
    model,
    positive,
    negative,
    cfg: float,
    passes: list[Perturbed],
    steps: int = 3,
    seed: int = 7,
    batch: int = 1,
) -> torch.Tensor:
    """Euler on the flow, x0 = uncond + cfg (cond - uncond) + sum of scale (cond - perturbed); gives the latent."""

    def euler(wrapped, x, sigmas, extra_args=None, callback=None, disable=None):
        guider = wrapped.inner_model
        options = {"transformer_options": {}}

        def predict(cond, perturbed):
            with explicit_attention(family, perturbed):
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

    image = family.latent(batch)
    noise = comfy.sample.prepare_noise(image, seed)
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", steps)
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(cfg)
    with torch.inference_mode():
        return guider.sample(noise, image, comfy.samplers.KSAMPLER(euler), sigmas, disable_pbar=True, seed=seed)
