"""Tiny random CLIP and SigLIP models of transformers' own classes, as files in both layouts, and configurations for ComfyUI's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import tiny  # noqa: F401  (one thread)
import torch
import transformers
from headhunter_pack.headhunter.host.scoring.models import ScoringModel, load_scoring_model
from safetensors.torch import save_file

WIDTH, HEADS, LAYERS, HIDDEN, PATCH, SIZE = 32, 4, 2, 48, 14, 28
TOWER = {"hidden_size": WIDTH, "intermediate_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
PICTURE = {"image_size": SIZE, "patch_size": PATCH, "num_channels": 3}
TEXT = TOWER | {
    "hidden_act": "quick_gelu",
    "max_position_embeddings": 77,
    "vocab_size": 49408,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
}


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Weights of a size that matters, exact in 16 bit, since that is how ComfyUI holds them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = 0.3 if parameter.ndim > 1 else 0.1
            values = torch.randn(parameter.shape, generator=generator) * scale
            if "norm" in name and name.endswith("weight"):
                values += 1
            parameter.copy_(values.half().float())
    model.eval()


def clip(seed: int = 0) -> transformers.CLIPModel:
    vision = TOWER | PICTURE | {"hidden_act": "quick_gelu"}
    model = transformers.CLIPModel(
        transformers.CLIPConfig(text_config=dict(TEXT), vision_config=vision, projection_dim=WIDTH)
    )
    randomise(model, seed)
    with torch.no_grad():
        model.logit_scale.fill_(3.5)
    return model


def siglip(seed: int = 0) -> transformers.SiglipVisionModel:
    config = transformers.SiglipVisionConfig(**TOWER, **PICTURE, hidden_act="gelu_pytorch_tanh")
    model = transformers.SiglipVisionModel(config)
    randomise(model, seed)
    return model


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A model's weights under the names that its files have."""
    named = {name: tensor.detach().clone().contiguous() for name, tensor in model.state_dict().items()}
    if isinstance(model, transformers.SiglipVisionModel) and not any(
        name.startswith("vision_model.") for name in named
    ):
        named = {f"vision_model.{name}": tensor for name, tensor in named.items()}
    return named


def open_clip(hf: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """transformers' layout -> open_clip's, as HPS v2 files have it."""
    out = {
        "logit_scale": hf["logit_scale"],
        "text_projection": hf["text_projection.weight"].T.contiguous(),
        "token_embedding.weight": hf["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": hf["text_model.embeddings.position_embedding.weight"],
        "visual.proj": hf["visual_projection.weight"].T.contiguous(),
        "visual.class_embedding": hf["vision_model.embeddings.class_embedding"],
        "visual.conv1.weight": hf["vision_model.embeddings.patch_embedding.weight"],
        "visual.positional_embedding": hf["vision_model.embeddings.position_embedding.weight"],
    }
    norms = {
        "ln_final": "text_model.final_layer_norm",
        "visual.ln_pre": "vision_model.pre_layrnorm",
        "visual.ln_post": "vision_model.post_layernorm",
    }
    for new, old in norms.items():
        for part in ("weight", "bias"):
            out[f"{new}.{part}"] = hf[f"{old}.{part}"]
    names = {
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
        "attn.out_proj": "self_attn.out_proj",
    }
    for new_tower, old_tower in {"": "text_model", "visual.": "vision_model"}.items():
        count = len({name.split(".")[3] for name in hf if name.startswith(f"{old_tower}.encoder.layers.")})
        for layer in range(count):
            old_block, block = f"{old_tower}.encoder.layers.{layer}", f"{new_tower}transformer.resblocks.{layer}"
            for part in ("weight", "bias"):
                for new, old in names.items():
                    out[f"{block}.{new}.{part}"] = hf[f"{old_block}.{old}.{part}"]
                out[f"{block}.attn.in_proj_{part}"] = torch.cat(
                    [hf[f"{old_block}.self_attn.{x}_proj.{part}"] for x in "qkv"]
                )
    return out


def clip_config(folder: Path, **changes) -> Path:
    return _config(
        folder / "tiny_clip.json",
        {"model_type": "clip_vision_model", "hidden_act": "quick_gelu", "projection_dim": WIDTH} | changes,
    )


def text_config(folder: Path) -> Path:
    return _config(folder / "tiny_text.json", TEXT)


def siglip_config(folder: Path) -> Path:
    mean = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return _config(
        folder / "tiny_siglip.json", {"model_type": "siglip_vision_model", "hidden_act": "gelu_pytorch_tanh"} | mean
    )


def dino_config(folder: Path) -> Path:
    extra = {
        "layer_norm_eps": 1e-6,
        "use_swiglu_ffn": False,
        "mlp_ratio": 4,
        "image_size": 518,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    return _config(folder / "tiny_dino.json", {"model_type": "dinov2"} | extra)


def _config(path: Path, config: dict) -> Path:
    path.write_text(json.dumps(TOWER | PICTURE | config))
    return path


@dataclass
class Files:
    """Writes weights into a folder and loads them as a scoring model through the pack's own loader."""

    folder: Path

    def load(
        self, tensors: dict[str, torch.Tensor], kind: str = "clip", name: str = "tiny.safetensors"
    ) -> ScoringModel:
        path = self.folder / name
        save_file(tensors, path)
        return self.read(path, kind)

    def read(self, path: Path, kind: str = "clip") -> ScoringModel:
        return load_scoring_model(
            path, kind, [clip_config(self.folder), siglip_config(self.folder)], [text_config(self.folder)]
        )


def pictures(count: int = 3, height: int = 40, width: int = 40, seed: int = 0) -> torch.Tensor:
    """Random smooth colour pictures [count, height, width, 3] in 0..1."""
    small = torch.rand(count, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    big = torch.nn.functional.interpolate(small, size=(height, width), mode="bicubic", align_corners=False)
    return big.clamp(0, 1).movedim(1, -1).contiguous()
