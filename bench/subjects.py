"""The models that are measured: the demo's trained one, and random weights in the sizes of the real ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import torch
from comfy.ldm.flux.model import FluxParams

NAMES = ("tiny", "sd3", "flux")
DEMO = Path(__file__).resolve().parent.parent / "demo" / "models"


@dataclass(frozen=True)
class Subject:
    """A model with what it is sampled on. tokens: text and image together. layers: of its grid."""

    name: str
    what: str
    model: Any
    positive: Any
    negative: Any
    latent: torch.Tensor
    layers: int
    width: int
    tokens: int

    @property
    def dtype(self) -> torch.dtype:
        return self.model.model.get_dtype()


def subjects(quick: bool) -> dict[str, Callable[[], Subject]]:
    """By name; each is made when it is its turn, since two large ones may not fit at once.

    On a GPU: SD3 medium and FLUX.1 at 1024 px in bfloat16. Elsewhere: SD3 medium whole at 256 px, FLUX.1 in its width
    with 2 double and 6 single blocks at 256 px, both in bfloat16 where the CPU multiplies it fast.
    """
    if quick:
        return {"tiny": tiny}
    if torch.cuda.is_available():
        return {"tiny": tiny, "sd3": lambda: sd3(24, 128), "flux": lambda: flux(19, 38, 128)}
    return {"tiny": tiny, "sd3": lambda: sd3(24, 32), "flux": lambda: flux(2, 6, 32)}


def tiny() -> Subject:
    """The demo's trained SD3: 4 layers x 4 heads, 128 px."""
    model = comfy.sd.load_diffusion_model(str(DEMO / "diffusion_models" / "headhunter_demo_sd3.safetensors"))
    network = model.model.diffusion_model
    context, pooled = network.context_embedder, network.y_embedder.mlp[0]
    what = "trained SD3 of 4 x 4 heads, 128 px"
    return _subject("tiny", what, model, context.in_features, pooled.in_features, 16, 4, context.out_features, 12)


def sd3_config(depth: int) -> Any:
    """The host's configuration of an SD3 of depth x depth heads; 24 is SD3 medium."""
    return comfy.supported_models.SD3(
        {
            "in_channels": 16, "patch_size": 2, "out_channels": 16, "depth": depth, "input_size": None, "adm_in_channels": 2048,
            "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": 4096, "out_features": 64 * depth}},
            "num_patches": 36864, "pos_embed_max_size": 192, "pos_embed_scaling_factor": None, "qk_norm": None,
        }
    )  # fmt: skip


def sd3(depth: int, side: int) -> Subject:
    """Random weights in SD3 medium's size: 24 x 24 heads."""
    config = sd3_config(depth)
    return _subject(
        "sd3", f"SD3 medium's size, {side * 8} px", _random(config), 4096, 2048, side, depth, 64 * depth, 154
    )


def flux_config(double: int, single: int) -> Any:
    """The host's configuration of a FLUX.1 with 24 heads of size 128; 19 and 38 blocks are FLUX.1 dev."""
    config = {
        "image_model": "flux", "in_channels": 16, "out_channels": 16, "patch_size": 2, "vec_in_dim": 768, "context_in_dim": 4096,
        "hidden_size": 3072, "mlp_ratio": 4.0, "num_heads": 24, "depth": double, "depth_single_blocks": single,
        "axes_dim": [16, 56, 56], "theta": 10000, "qkv_bias": True, "guidance_embed": True,
    }  # fmt: skip
    if "txt_ids_dims" in {field.name for field in dataclasses.fields(FluxParams)}:
        config["txt_ids_dims"] = []
    return comfy.supported_models.Flux(config)


def flux(double: int, single: int, side: int) -> Subject:
    """Random weights in FLUX.1's width: 24 heads of size 128."""
    what = f"FLUX.1's width, {double} double and {single} single blocks, {side * 8} px"
    model = _random(flux_config(double, single))
    return _subject("flux", what, model, 4096, 768, side, double + single, 3072, 256)


NOISE = 2**20
"""Numbers that are drawn; tensors of billions of weights repeat them, since drawing each takes minutes and no time depends on it."""


def _random(config: Any) -> Any:
    device = comfy.model_management.get_torch_device()
    config.set_inference_dtype(torch.bfloat16, None)
    noise = 0.02 * torch.randn(NOISE, generator=torch.Generator().manual_seed(0))
    noise = noise.to(device, torch.bfloat16)
    with torch.inference_mode():
        model = config.get_model({}, "", device=device)
        for tensor in (*model.diffusion_model.parameters(), *model.diffusion_model.buffers()):
            for part in tensor.view(-1).split(NOISE):
                part.copy_(noise[: part.numel()])
    return comfy.model_patcher.ModelPatcher(model.eval(), load_device=device, offload_device=torch.device("cpu"))


def _subject(
    name: str, what: str, model: Any, context: int, pooled: int, side: int, layers: int, width: int, text: int
) -> Subject:
    generator = torch.Generator().manual_seed(1)

    def conditioning() -> Any:
        cond = torch.randn(1, text, context, generator=generator)
        return [[cond, {"pooled_output": torch.randn(1, pooled, generator=generator)}]]

    tokens = text + (side // 2) ** 2
    latent = torch.zeros(1, 16, side, side)
    return Subject(name, what, model, conditioning(), conditioning(), latent, layers, width, tokens)
