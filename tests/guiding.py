"""Tiny models, guided and sampled as a workflow does: what several tests of the guidance use."""

from __future__ import annotations

from contextlib import contextmanager

import comfy.controlnet
import comfy.ops
import comfy.patcher_extension
import comfy.samplers
import tiny
import torch
from comfy.cldm.mmdit import ControlNet
from comfy_extras.nodes_custom_sampler import RandomNoise, SamplerCustomAdvanced
from headhunter_pack.nodes import HeadHunterSoftPAG

MODELS = {
    "sd3": (lambda: tiny.sd3(), tiny.POOLED),
    "dual": (lambda: tiny.sd3(dual=(0, 1)), tiny.POOLED),
    "flux": (lambda: tiny.flux(), 768),
}


def soft_pag(model, heads="L1, L3H0", scale=3.0, strength=0.6, **settings):
    return HeadHunterSoftPAG.execute(model, heads, scale, strength, **settings)[0]


def counted(model, calls: list[int]):
    """A clone whose forwards each append their number of batch rows."""

    def count(executor, x, *args, **kwargs):
        calls.append(x.shape[0])
        return executor(x, *args, **kwargs)

    clone = model.clone()
    clone.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.APPLY_MODEL, "test count", count)
    return clone


@contextmanager
def reaching(blocks):
    """How many batch rows go through each block."""
    rows = [0] * len(blocks)

    def counter(index):
        def count(_module, args, kwargs):
            rows[index] += next(t for t in (*args, *kwargs.values()) if torch.is_tensor(t)).shape[0]

        return count

    handles = [block.register_forward_pre_hook(counter(i), with_kwargs=True) for i, block in enumerate(blocks)]
    try:
        yield rows
    finally:
        for handle in handles:
            handle.remove()


def custom(guider, steps=3, seed=7, latent=None):
    """Through SamplerCustomAdvanced, as a workflow does; gives the latent."""
    noise = tiny.host_node(RandomNoise, seed)
    model = guider.model_patcher
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", steps)
    latent = {"samples": tiny.latent()} if latent is None else latent
    with torch.inference_mode():
        return tiny.host_node(
            SamplerCustomAdvanced, noise, guider, comfy.samplers.sampler_object("euler"), sigmas, latent
        )["samples"]


def close(out, reference, tolerance=1e-5):
    return (out - reference).norm() / reference.norm() < tolerance


def with_controlnet(model, positive):
    """`positive` with a real SD3 ControlNet of random weights, and a list that gets an item at each of its forwards."""
    config = model.model.model_config.unet_config
    network = ControlNet(num_blocks=2, operations=comfy.ops.disable_weight_init, device="cpu", **config)
    with torch.no_grad():
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
        torch.nn.init.normal_(network.pos_embed)
    calls: list[int] = []
    network.register_forward_hook(lambda *_: calls.append(1))
    control = comfy.controlnet.ControlNet(network, compression_ratio=1, load_device=torch.device("cpu"))
    hint = torch.rand(1, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    control = control.set_cond_hint(hint, 1.0, (0.0, 1.0))
    return [[positive[0][0], positive[0][1] | {"control": control, "control_apply_to_uncond": False}]], calls
