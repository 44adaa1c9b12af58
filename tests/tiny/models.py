"""The makers: each gives a ModelPatcher with a transformer of ComfyUI's own class and random weights.

The sizes are small but keep what the real models have: several heads, grouped keys and values, refiners, references.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import comfy.ldm.wan.vae
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import comfy.utils
import pytest
import torch
from comfy.ldm.chroma.model import ChromaParams
from comfy.ldm.flux.model import FluxParams

from .sampling import CONTEXT, POOLED

torch.set_num_threads(1)  # models this small gain nothing from more, and lose much beside another process

DEMO_VAE = Path(__file__).resolve().parents[2] / "demo" / "models" / "vae" / "headhunter_demo_vae.safetensors"
QK_NORMS = (
    "ln_q",
    "ln_k",
    "query_norm",
    "key_norm",
    "norm_q",
    "norm_k",
    "norm_added_q",
    "q_norm",
    "k_norm",
    "qnorm",
    "knorm",
)
FLUX_FIELDS = {field.name for field in dataclasses.fields(FluxParams)}
CHROMA_FIELDS = {field.name for field in dataclasses.fields(ChromaParams)}
HAS_FLUX2 = "global_modulation" in FLUX_FIELDS


def _patcher(config, seed: int, dtype: torch.dtype = torch.float32) -> comfy.model_patcher.ModelPatcher:
    config.set_inference_dtype(dtype, None)
    torch.manual_seed(seed)
    model = config.get_model({}, "")
    with torch.no_grad():
        for name, parameter in model.diffusion_model.named_parameters():
            torch.nn.init.normal_(parameter, std=0.08 if parameter.ndim > 1 else 0.3)
            if any(norm in name for norm in QK_NORMS):
                parameter.add_(2.0)  # attention maps far from uniform
        pos = getattr(model.diffusion_model, "pos_embed", None)
        if pos is not None:
            torch.nn.init.normal_(pos, std=0.5)
    model.eval()
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, load_device=cpu, offload_device=cpu)


def sd3(
    depth: int = 4, dual: tuple[int, ...] = (), seed: int = 0, dtype=torch.float32
) -> comfy.model_patcher.ModelPatcher:
    """An SD3 of `depth` blocks x `depth` heads; `dual` blocks have SD3.5 medium's second, image-only attention."""
    config = comfy.supported_models.SD3(
        {
            "in_channels": 16, "patch_size": 2, "out_channels": 16, "depth": depth, "input_size": None, "adm_in_channels": POOLED,
            "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": CONTEXT, "out_features": 64 * depth}},
            "num_patches": 64, "pos_embed_max_size": 8, "qk_norm": "rms", "pos_embed_scaling_factor": None,
            "x_block_self_attn_layers": list(dual),
        }
    )  # fmt: skip
    return _patcher(config, seed, dtype)


def _flux_config(double: int, single: int, heads: int, **changes) -> dict:
    config = {
        "image_model": "flux", "in_channels": 16, "out_channels": 16, "patch_size": 2, "vec_in_dim": 768, "context_in_dim": CONTEXT,
        "hidden_size": 16 * heads, "mlp_ratio": 2.0, "num_heads": heads, "depth": double, "depth_single_blocks": single,
        "axes_dim": [4, 6, 6], "theta": 10000, "qkv_bias": True, "guidance_embed": True,
    }  # fmt: skip
    if "txt_ids_dims" in FLUX_FIELDS:
        config["txt_ids_dims"] = []
    return config | changes


def flux(
    double: int = 2, single: int = 3, heads: int = 3, seed: int = 0, dtype=torch.float32, **changes
) -> comfy.model_patcher.ModelPatcher:
    """A FLUX.1 of `double` + `single` blocks and `heads` heads of size 16."""
    return _patcher(comfy.supported_models.Flux(_flux_config(double, single, heads, **changes)), seed, dtype)


def _flux2_changes() -> dict:
    changes = {
        "global_modulation": True, "mlp_silu_act": True, "ops_bias": False, "qkv_bias": False, "vec_in_dim": None,
        "axes_dim": [4, 4, 4, 4], "mlp_ratio": 3.0,
    }  # fmt: skip
    if "txt_ids_dims" in FLUX_FIELDS:
        changes["txt_ids_dims"] = [3]
    return changes


def flux2(seed: int = 0, dtype=torch.float32) -> comfy.model_patcher.ModelPatcher:
    """A FLUX.2's parts: one modulation for all blocks, no biases, gated MLPs, four axes; for hosts with HAS_FLUX2."""
    return flux(seed=seed, dtype=dtype, **_flux2_changes())


def flux2_klein(seed: int = 0, dtype=torch.float32) -> comfy.model_patcher.ModelPatcher:
    """A FLUX.2 Klein: FLUX.2's parts without an embedded guidance, 128 latent channels in patches of 1, text padded to 512."""
    changes = _flux2_changes() | {
        "image_model": "flux2", "in_channels": 128, "out_channels": 128, "patch_size": 1, "guidance_embed": False,
        "default_ref_method": "index", "ref_index_scale": 10.0,
    }  # fmt: skip
    return _patcher(comfy.supported_models.Flux2(_flux_config(1, 3, 3, **changes)), seed, dtype)


def chroma(seed: int = 0, dtype=torch.float32) -> comfy.model_patcher.ModelPatcher:
    """A Chroma: FLUX's blocks, of which one small network makes all modulations."""
    config = _flux_config(
        2, 3, 3, image_model="chroma", in_channels=64, out_channels=64, in_dim=64, out_dim=48, hidden_dim=64, n_layers=2
    )
    fields = CHROMA_FIELDS | {"image_model"}
    config = {name: value for name, value in (config | {"vec_in_dim": None}).items() if name in fields}
    return _patcher(comfy.supported_models.Chroma(config), seed, dtype)


def qwen_image(seed: int = 0, dtype=torch.float32, **changes) -> comfy.model_patcher.ModelPatcher:
    """A Qwen-Image of 4 blocks x 3 heads."""
    config = {
        "image_model": "qwen_image", "in_channels": 64, "out_channels": 16, "num_layers": 4, "attention_head_dim": 16,
        "num_attention_heads": 3, "joint_attention_dim": CONTEXT, "axes_dims_rope": (4, 6, 6),
    }  # fmt: skip
    return _patcher(comfy.supported_models.QwenImage(config | changes), seed, dtype)


def qwen_image21(seed: int = 0, dtype=torch.float32) -> comfy.model_patcher.ModelPatcher:
    """A Qwen-Image 2.1 of 4 blocks x 3 heads: 64 latent channels in patches of 1."""
    config = {
        "image_model": "qwen_image21", "num_layers": 4, "attention_head_dim": 16, "num_attention_heads": 3,
        "context_in_dim": CONTEXT, "axes_dims_rope": (4, 6, 6),
    }  # fmt: skip
    return _patcher(comfy.supported_models.QwenImage21(config), seed, dtype)


def _next_dit(heads: int, kv_heads: int, size: int, axes: list[int], **changes) -> dict:
    return {
        "image_model": "lumina2", "patch_size": 2, "in_channels": 16, "dim": heads * size, "cap_feat_dim": CONTEXT, "n_layers": 4,
        "n_refiner_layers": 2, "qk_norm": True, "n_heads": heads, "n_kv_heads": kv_heads, "axes_dims": axes,
        "axes_lens": [300, 512, 512], "multiple_of": 32, "ffn_dim_multiplier": 1.0,
    } | changes  # fmt: skip


def lumina2(seed: int = 0, dtype=torch.float32) -> comfy.model_patcher.ModelPatcher:
    """A Lumina 2 of 4 layers x 4 heads, 2 for keys and values."""
    return _patcher(comfy.supported_models.Lumina2(_next_dit(4, 2, 16, [4, 6, 6])), seed, dtype)


def z_image(seed: int = 0, dtype=torch.float32) -> comfy.model_patcher.ModelPatcher:
    """A Z-Image of 4 layers x 4 heads; its time embedding fixes the width to 256 or more. Text and picture padded to 32."""
    config = _next_dit(
        4, 4, 64, [16, 24, 24], rope_theta=256.0, z_image_modulation=True, time_scale=1000.0, pad_tokens_multiple=32
    )
    return _patcher(comfy.supported_models.ZImage(config), seed, dtype)


def krea2(seed: int = 0, dtype=torch.float32, **changes) -> comfy.model_patcher.ModelPatcher:
    """A Krea 2 of 4 blocks x 4 heads, 2 for keys and values; its text is 2 layers of width CONTEXT / 2."""
    config = {
        "image_model": "krea2", "features": 64, "channels": 16, "patch": 2, "layers": 4, "heads": 4, "kvheads": 2, "tdim": 32,
        "txtdim": CONTEXT // 2, "txtlayers": 2, "txtheads": 2, "txtkvheads": 2, "multiplier": 1,
    }  # fmt: skip
    return _patcher(comfy.supported_models.Krea2(config | changes), seed, dtype)


def wan(seed: int = 0, dtype=torch.float32) -> comfy.model_patcher.ModelPatcher:
    """A Wan 2.1 text-to-video of 4 blocks x 3 heads of size 128, which is every Wan's."""
    config = {
        "image_model": "wan2.1", "model_type": "t2v", "dim": 384, "out_dim": 16, "num_heads": 3, "ffn_dim": 64, "num_layers": 4,
        "patch_size": (1, 2, 2), "freq_dim": 32, "window_size": (-1, -1), "qk_norm": True, "cross_attn_norm": True, "eps": 1e-6,
        "in_dim": 16, "text_dim": CONTEXT,
    }  # fmt: skip
    return _patcher(comfy.supported_models.WAN21_T2V(config), seed, dtype)


def video_vae(seed: int = 0) -> comfy.sd.VAE:
    """The VAE that Wan, Qwen-Image and Krea 2 share, of random weights and few channels; 2 latent frames make 5 pictures."""
    torch.manual_seed(seed)
    settings = {
        "dim_mult": [1, 2, 4, 4],
        "num_res_blocks": 2,
        "attn_scales": [],
        "temperal_downsample": [False, True, True],
    }
    made = comfy.ldm.wan.vae.WanVAE(dim=8, z_dim=16, dropout=0.0, **settings)
    weights = {
        name: torch.randn(weight.shape) * (0.15 if weight.ndim > 1 else 0.3)
        for name, weight in made.state_dict().items()
    }
    weights |= {name: torch.ones_like(weight) for name, weight in weights.items() if name.endswith("gamma")}
    try:
        return comfy.sd.VAE(sd=weights)
    except RuntimeError:
        pytest.skip("this ComfyUI loads a Wan VAE of one size alone")


def picture_vae(channels: int) -> comfy.sd.VAE:
    """The demo's trained VAE, its first and last convolution widened to latents of `channels` channels."""
    try:
        return comfy.sd.VAE(sd=_widened(channels))
    except RuntimeError:
        pytest.skip(
            f"this ComfyUI loads no small VAE of {channels} channels but FLUX.2's own; FLUX.2 runs with 16 as flux2"
        )


def _widened(channels: int) -> dict[str, torch.Tensor]:
    weights = comfy.utils.load_torch_file(str(DEMO_VAE))
    share = channels // 16
    weights["taesd_decoder.1.weight"] = weights["taesd_decoder.1.weight"].repeat(1, share, 1, 1) / share**0.5
    last = max(int(name.split(".")[1]) for name in weights if name.startswith("taesd_encoder."))
    for name in (f"taesd_encoder.{last}.weight", f"taesd_encoder.{last}.bias"):
        weights[name] = weights[name].repeat(share, *[1] * (weights[name].ndim - 1))
    return weights
