"""Tiny random SD3 and FLUX models of ComfyUI's own classes, in a real ModelPatcher, and conditioning for them."""

from __future__ import annotations

import dataclasses

import comfy.model_management
import comfy.model_patcher
import comfy.sample
import comfy.samplers
import comfy.supported_models
import torch
from comfy.ldm.flux.model import FluxParams

torch.set_num_threads(1)  # models this small gain nothing from more, and lose much beside another process

CONTEXT = 32
POOLED = 2048
TEXT_TOKENS = 5


def _patcher(config, seed: int) -> comfy.model_patcher.ModelPatcher:
    config.set_inference_dtype(torch.float32, None)
    torch.manual_seed(seed)
    model = config.get_model({}, "")
    with torch.no_grad():
        for name, parameter in model.diffusion_model.named_parameters():
            torch.nn.init.normal_(parameter, std=0.08 if parameter.ndim > 1 else 0.3)
            if any(norm in name for norm in ("ln_q", "ln_k", "query_norm", "key_norm")):
                parameter.add_(2.0)  # attention maps far from uniform
        pos = getattr(model.diffusion_model, "pos_embed", None)
        if pos is not None:
            torch.nn.init.normal_(pos, std=0.5)
    model.eval()
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, load_device=cpu, offload_device=cpu)


def sd3(depth: int = 4, dual: tuple[int, ...] = (), seed: int = 0) -> comfy.model_patcher.ModelPatcher:
    """An SD3 of `depth` blocks x `depth` heads; `dual` blocks have SD3.5 medium's second, image-only attention."""
    config = comfy.supported_models.SD3(
        {
            "in_channels": 16, "patch_size": 2, "out_channels": 16, "depth": depth, "input_size": None, "adm_in_channels": POOLED,
            "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": CONTEXT, "out_features": 64 * depth}},
            "num_patches": 64, "pos_embed_max_size": 8, "qk_norm": "rms", "pos_embed_scaling_factor": None,
            "x_block_self_attn_layers": list(dual),
        }
    )  # fmt: skip
    return _patcher(config, seed)


FLUX_FIELDS = {field.name for field in dataclasses.fields(FluxParams)}
HAS_FLUX2 = "global_modulation" in FLUX_FIELDS


def flux(
    double: int = 2, single: int = 3, heads: int = 3, seed: int = 0, **changes
) -> comfy.model_patcher.ModelPatcher:
    """A FLUX.1 of `double` + `single` blocks and `heads` heads of size 16."""
    config = {
        "image_model": "flux", "in_channels": 16, "out_channels": 16, "patch_size": 2, "vec_in_dim": 768, "context_in_dim": CONTEXT,
        "hidden_size": 16 * heads, "mlp_ratio": 2.0, "num_heads": heads, "depth": double, "depth_single_blocks": single,
        "axes_dim": [4, 6, 6], "theta": 10000, "qkv_bias": True, "guidance_embed": True,
    }  # fmt: skip
    if "txt_ids_dims" in FLUX_FIELDS:
        config["txt_ids_dims"] = []
    return _patcher(comfy.supported_models.Flux(config | changes), seed)


def flux2(seed: int = 0) -> comfy.model_patcher.ModelPatcher:
    """A FLUX.2's parts: one modulation for all blocks, no biases, gated MLPs, four axes; for hosts with HAS_FLUX2."""
    changes = {
        "global_modulation": True, "mlp_silu_act": True, "ops_bias": False, "qkv_bias": False, "vec_in_dim": None,
        "axes_dim": [4, 4, 4, 4], "mlp_ratio": 3.0,
    }  # fmt: skip
    if "txt_ids_dims" in FLUX_FIELDS:
        changes["txt_ids_dims"] = [3]
    return flux(seed=seed, **changes)


def host_node(node: type, *inputs):
    """The first output of one of ComfyUI's own nodes, whether its class is of the old or the new kind."""
    if hasattr(node, "execute"):
        return node.execute(*inputs)[0]
    return getattr(node(), node.FUNCTION)(*inputs)[0]


def conditioning(seed: int, pooled: int = POOLED, tokens: int = TEXT_TOKENS, **extra) -> list:
    """A random conditioning: text [1, tokens, CONTEXT] and pooled [1, pooled]."""
    generator = torch.Generator().manual_seed(seed)
    text = torch.randn(1, tokens, CONTEXT, generator=generator)
    return [[text, {"pooled_output": torch.randn(1, pooled, generator=generator), **extra}]]


def latent(batch: int = 1, height: int = 8, width: int = 8) -> torch.Tensor:
    return torch.zeros(batch, 16, height, width)


def sample(
    model,
    positive,
    negative=None,
    cfg: float = 1.0,
    steps: int = 3,
    seed: int = 7,
    batch: int = 1,
    sampler: str = "euler",
    latent_image: torch.Tensor | None = None,
    **kwargs,
) -> torch.Tensor:
    """Through ComfyUI's own sampler, as KSampler does; gives the latent [B, 16, H, W]."""
    image = latent(batch) if latent_image is None else latent_image
    noise = comfy.sample.prepare_noise(image, seed)
    with torch.inference_mode():
        return comfy.sample.sample(
            model, noise, steps, cfg, sampler, "simple", positive, positive if negative is None else negative, image, seed=seed,
            disable_pbar=True, **kwargs,
        )  # fmt: skip
