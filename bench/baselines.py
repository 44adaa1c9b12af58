"""What ours is compared with: the same predictions made in other ways."""

from __future__ import annotations

from typing import Any

import comfy.samplers
import torch
from comfy_extras.nodes_slg import SkipLayerGuidanceDiT
from headhunter_pack.headhunter.host.guidance.prefix import REUSE
from headhunter_pack.nodes import HeadHunterSoftPAG


def ours(model: Any, heads: str, reuse: bool = True, scale: float = 3.0, **settings: Any) -> Any:
    """SoftPAG Guidance, with prefix reuse or without."""
    guided = HeadHunterSoftPAG.execute(model, heads, scale, 0.5, **settings)[0]
    if not reuse:
        guided.model_options.setdefault("transformer_options", {})[REUSE] = False
    return guided


def skip_layer(model: Any, layers: list[int], doubles: int, scale: float = 3.0) -> Any:
    """Core SkipLayerGuidanceDiT in all steps. `layers` in this pack's numbering; `doubles`: how many come before the single blocks."""
    double = ", ".join(str(layer) for layer in layers if layer < doubles)
    single = ", ".join(str(layer - doubles) for layer in layers if layer >= doubles)
    settings = {
        "scale": scale,
        "start_percent": 0.0,
        "end_percent": 1.0,
        "double_layers": double,
        "single_layers": single,
    }
    return SkipLayerGuidanceDiT.execute(model, **settings)[0]


def extra_pass(model: Any) -> Any:
    """A second conditional evaluation that nothing perturbs: what any guidance by a further pass costs without reuse."""

    def after_cfg(args: dict[str, Any]) -> torch.Tensor:
        (again,) = comfy.samplers.calc_cond_batch(
            args["model"], [args["cond"]], args["input"], args["sigma"], args["model_options"]
        )
        return args["denoised"] + 3.0 * (args["cond_denoised"] - again)

    clone = model.clone()
    clone.set_model_sampler_post_cfg_function(after_cfg)
    return clone


def attention_maps(model: Any, key: tuple[str, int], u: float = 0.5) -> Any:
    """A further pass in which one layer's attention is done with explicit maps, as the paper's code does it:

    softmax(QK^T) of all heads, a whole identity beside it, their mixture, and its product with V.
    """

    def with_maps(
        func: Any, q: Any, k: Any, v: Any, heads: int, *args: Any, skip_reshape: bool = False, **kwargs: Any
    ) -> Any:
        def apart(t: torch.Tensor) -> torch.Tensor:
            return t if skip_reshape else (t if t.ndim == 4 else t.unflatten(-1, (heads, -1))).transpose(1, 2)

        q, k, v = apart(q), apart(k), apart(v)
        weights = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, dim=-1)
        identity = torch.eye(q.shape[2], dtype=q.dtype, device=q.device).repeat(*q.shape[:2], 1, 1)
        out = ((1 - u) * weights + u * identity) @ v
        return out.transpose(1, 2).flatten(2)

    def block(args: dict[str, Any], extra: dict[str, Any]) -> Any:
        options = args["transformer_options"] | {"optimized_attention_override": with_maps}
        return extra["original_block"](args | {"transformer_options": options})

    def after_cfg(args: dict[str, Any]) -> torch.Tensor:
        options = comfy.model_patcher.set_model_options_patch_replace(args["model_options"].copy(), block, "dit", *key)
        (maps,) = comfy.samplers.calc_cond_batch(args["model"], [args["cond"]], args["input"], args["sigma"], options)
        return args["denoised"] + 3.0 * (args["cond_denoised"] - maps)

    clone = model.clone()
    clone.set_model_sampler_post_cfg_function(after_cfg)
    return clone
