"""Loads scoring models from files and runs them through ComfyUI's own image and text towers.

One file, in transformers' CLIPModel layout or in open_clip's, gives both towers. ComfyUI moves
them in and out of graphics memory. One picture is encoded at a time, so that no score depends on its batch-mates.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import comfy.clip_vision
import comfy.model_management
import comfy.sd
import comfy.utils
import torch
from comfy.clip_vision import ClipVisionModel
from comfy.model_patcher import ModelPatcher
from comfy.sd1_clip import SD1ClipModel, SD1Tokenizer, SDClipModel
from torch import Tensor

from ...scoring.base import fingerprint, make_key
from ...scoring.embedding import Kind, letterbox, normalise, scale_of
from ...scoring.pooling import PREFIX, AttentionPool, attention_pool
from ..gradients import Ordinary
from .files import read_weights

COMFY = Path(inspect.getfile(ClipVisionModel)).parent
VISION_CONFIGS = tuple(
    COMFY / f"clip_vision_{name}.json"
    for name in ("config_vitl", "config_vitl_336", "config_h", "config_g", "siglip_384", "siglip_512")
)
TEXT_CONFIGS = (
    COMFY / "sd1_clip_config.json",
    COMFY / "text_encoders" / "sd2_clip_config.json",
    COMFY / "clip_config_bigg.json",
)
SUPPORTED = "CLIP-L/14 (224 and 336), CLIP-H/14, CLIP-bigG/14, SigLIP so400m, and what ComfyUI's CLIP vision loader takes (DINOv2)"

Fit = Literal["crop", "squash", "letterbox"]


@dataclass(frozen=True, eq=False)
class VisionEncoder:
    """An image tower with its preprocessing: one image -> embedding of length 1.

    fit: how a picture becomes the tower's square: its centre cropped, squashed, or fitted with black bars. pool: SigLIP's
    pooling head; a tower that gives tokens without one is averaged over its tokens.
    """

    vision: ClipVisionModel
    weights: str
    label: str
    fit: Fit
    pool: ModelPatcher | None = None

    @property
    def key(self) -> str:
        return make_key("vision/1", weights=self.weights, fit=self.fit, pooled=self.pool is not None)

    @property
    def differentiable(self) -> bool:
        return True

    def embed_image(self, image: Tensor) -> Tensor:
        """[1, H, W, 3] in 0..1 -> float32 [D]. ValueError names the model where the embedding is not finite or 0.

        Gradients flow where the image asks for them; past the rounding to 8 bits they go straight through.
        """
        wanted = torch.is_grad_enabled() and image.requires_grad
        with torch.set_grad_enabled(wanted), Ordinary(kept="all", through_rounding=True) if wanted else nullcontext():
            return self._embed(image)

    def _embed(self, image: Tensor) -> Tensor:
        if self.fit == "letterbox":
            image = letterbox(image, self.vision.image_size)
        embeds = self.vision.encode_image(image, crop=self.fit == "crop")["image_embeds"]
        if self.pool is not None:
            comfy.model_management.load_models_gpu([self.pool])
            pool: AttentionPool = self.pool.model  # type: ignore[assignment]
            embeds = pool(embeds.to(self.pool.load_device)).to(embeds.device)
        elif embeds.ndim == 3:
            embeds = embeds.mean(dim=1)
        return normalise(embeds[0], f"{self.label}: a picture's embedding")


def is_siglip(vision: ClipVisionModel) -> bool:
    """SigLIP towers are told by their colour statistics; they see squashed pictures and give tokens."""
    return list(vision.image_mean) == [0.5, 0.5, 0.5]


def encoder_of(vision: ClipVisionModel) -> VisionEncoder:
    """The encoder of a CLIP_VISION of any ComfyUI loader: projected CLIP, DINOv2's CLS, or SigLIP's mean token."""
    fit: Fit = "squash" if is_siglip(vision) else "crop"
    return VisionEncoder(vision, fingerprint(vision.get_sd()), "the CLIP vision model", fit)


@dataclass(frozen=True, eq=False)
class ScoringModel:
    """One file's towers. `scale` is exp(logit_scale); `no_text` says why there is no text tower."""

    label: str
    kind: Kind
    weights: str
    vision: ClipVisionModel
    clip: comfy.sd.CLIP | None = None
    no_text: str = ""
    scale: float | None = None
    pool: ModelPatcher | None = None
    known: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> str:
        return make_key("model/1", kind=self.kind, weights=self.weights)

    def text_match_encoder(self) -> VisionEncoder:
        return VisionEncoder(self.vision, self.weights, self.label, "letterbox" if self.kind == "hpsv2" else "crop")

    def head_encoder(self, pooling: str = "") -> VisionEncoder:
        """The encoder under a linear head. `pooling` "tokens": SigLIP's mean token, as CLIP_VISION has it.

        ValueError where a SigLIP file has no pooling head but the linear head needs it.
        """
        if not is_siglip(self.vision):
            return VisionEncoder(self.vision, self.weights, self.label, "crop")
        if self.pool is None and pooling != "tokens":
            raise ValueError(
                f'{self.label}: the key "{PREFIX}probe" is missing, SigLIP\'s pooling head, which this aesthetic head needs'
            )
        return VisionEncoder(
            self.vision, self.weights, self.label, "squash", None if pooling == "tokens" else self.pool
        )

    @torch.no_grad()
    def embed_text(self, text: str) -> Tensor:
        """One text, without weights or embeddings in it, cut at 77 tokens -> float32 [D]. ValueError where there is no text tower."""
        if self.clip is None:
            raise ValueError(f"{self.label}: {self.no_text}")
        if text not in self.known:
            if len(self.known) >= 4096:
                self.known.clear()
            tokens = self.clip.tokenize(text, disable_weights=True)
            pooled: Tensor = self.clip.encode_from_tokens(tokens, return_pooled=True)[1]  # type: ignore[index]
            self.known[text] = normalise(pooled[0], f"{self.label}: the embedding of the text")
        return self.known[text]


@dataclass(frozen=True)
class Parts:
    """A file's weights under transformers' names."""

    vision: dict[str, Tensor]
    text: dict[str, Tensor]
    logit_scale: float | None


def split(weights: Mapping[str, Tensor], label: str) -> Parts:
    """A CLIP file of either layout taken apart. ValueError where there is no image tower in it."""
    weights = {name.removeprefix("module."): tensor for name, tensor in weights.items()}
    scale = weights.get("logit_scale")
    if "visual.transformer.resblocks.0.attn.in_proj_weight" in weights:
        vision = {name: tensor for name, tensor in weights.items() if name.startswith("visual.")}
        text = {name: tensor for name, tensor in weights.items() if not name.startswith("visual.")}
        vision = comfy.clip_vision.convert_to_transformers(vision, "visual.")
        text = comfy.utils.clip_text_transformers_convert(text, "", "")
    else:
        vision, text = dict(weights), dict(weights)
    vision = _under(vision, "vision_model.", "visual_projection.")
    text = _under(text, "text_model.", "text_projection.")
    if not vision:
        has = (
            "a text tower only"
            if text or any("resblocks" in name for name in weights)
            else f'keys such as "{next(iter(weights))}"'
        )
        raise ValueError(
            f'{label}: no image tower: there are no keys "vision_model.*" or "visual.*" in it, but {has}. Supported are {SUPPORTED}'
        )
    return Parts(vision, text, None if scale is None else scale.float().item())


def _under(weights: Mapping[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    own = {name: tensor.contiguous() for name, tensor in weights.items() if name.startswith(prefixes)}
    return {name: tensor for name, tensor in own.items() if not name.endswith("position_ids")}


def vision_config(weights: Mapping[str, Tensor], label: str, configs: Sequence[Path] = VISION_CONFIGS) -> Path:
    """Which of ComfyUI's configurations fits an image tower, by layers, width and positions. ValueError where none does."""
    name = "vision_model.embeddings.position_embedding.weight"
    if name not in weights:
        raise ValueError(f'{label}: the key "{name}" is missing')
    size = (_layers(weights, "vision_model"), weights[name].shape[1], weights[name].shape[0])
    for path in configs:
        config = json.loads(path.read_text(encoding="utf-8"))
        positions = (config["image_size"] // config["patch_size"]) ** 2 + (config["model_type"] == "clip_vision_model")
        if size == (config["num_hidden_layers"], config["hidden_size"], positions):
            return path
    raise ValueError(
        f'{label}: an image tower of {size[0]} layers, width {size[1]} and {size[2]} positions ("{name}") is not supported; '
        f"{SUPPORTED} are"
    )


def _layers(weights: Mapping[str, Tensor], tower: str) -> int:
    prefix = f"{tower}.encoder.layers."
    return len({name[len(prefix) :].split(".")[0] for name in weights if name.startswith(prefix)})


def check_keys(expected: Mapping[str, Tensor], given: Mapping[str, Tensor], label: str) -> None:
    """ValueError that names the first key that a tower needs and the file lacks, or has in another size."""
    for name, tensor in expected.items():
        if name not in given:
            raise ValueError(f'{label}: the key "{name}" is missing')
        if given[name].shape != tensor.shape:
            raise ValueError(f'{label}: "{name}" is {list(given[name].shape)} and should be {list(tensor.shape)}')


def check_finite(weights: Mapping[str, Tensor], label: str) -> None:
    """ValueError that names the first tensor with a value that is not finite, or a projection that is all 0."""
    for name, tensor in weights.items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        low, high = torch.aminmax(tensor if tensor.element_size() > 1 else tensor.float())
        if not torch.isfinite(low) or not torch.isfinite(high):
            raise ValueError(f'{label}: "{name}" has values that are not finite numbers; the file is broken')
        if low == high == 0 and name.endswith("_projection.weight"):
            raise ValueError(f'{label}: "{name}" is all 0; the file is incomplete')


def text_config(weights: Mapping[str, Tensor], configs: Sequence[Path] = TEXT_CONFIGS) -> Path | None:
    """Which of ComfyUI's configurations fits a text tower, by layers and width; None where none does."""
    size = (_layers(weights, "text_model"), weights["text_model.embeddings.token_embedding.weight"].shape[1])
    for path in configs:
        config = json.loads(path.read_text(encoding="utf-8"))
        if size == (config["num_hidden_layers"], config["hidden_size"]):
            return path
    return None


def load_scoring_model(
    path: Path, kind: Kind, vision_configs: Sequence[Path] = VISION_CONFIGS, text_configs: Sequence[Path] = TEXT_CONFIGS
) -> ScoringModel:
    """Both towers of a file; `kind` is the formula, which no layout can tell. ValueError names the file and the key.

    A missing text tower is an error only where text is scored. The configurations say which towers are known.
    """
    label = path.name
    weights, _ = read_weights(path)
    key = fingerprint(weights)
    other = _other_vision(weights, label)
    if other is not None:
        return ScoringModel(
            label, kind, key, other, no_text="this model knows pictures only, so it cannot match a text"
        )
    parts = split(weights, label)
    vision = _clip_vision(parts.vision, vision_config(parts.vision, label, vision_configs), label)
    clip, no_text = _clip_text(parts.text, label, text_configs)
    scale = None if parts.logit_scale is None else scale_of(parts.logit_scale, label)
    return ScoringModel(label, kind, key, vision, clip, no_text, scale, _pool(parts.vision, vision, label))


def _clip_vision(weights: dict[str, Tensor], config: Path, label: str) -> ClipVisionModel:
    check_finite(weights, label)
    vision = ClipVisionModel(str(config))
    check_keys(vision.get_sd(), weights, label)
    vision.load_sd({name: tensor for name, tensor in weights.items() if not name.startswith(PREFIX)})
    return vision


def _other_vision(weights: dict[str, Tensor], label: str) -> ClipVisionModel | None:
    """DINO towers, through ComfyUI's own detection; None for any CLIP or SigLIP."""
    if not any(name.startswith(("encoder.layer.", "layer.")) for name in weights):
        return None
    check_finite(weights, label)
    vision = comfy.clip_vision.load_clipvision_from_sd(dict(weights))
    if vision is None:
        raise ValueError(
            f'{label}: an image tower with keys such as "{next(iter(weights))}" is not supported; {SUPPORTED} are'
        )
    check_keys(vision.get_sd(), weights, label)
    return vision


class _TextTower:
    """What comfy.sd.CLIP wants: the class of a model and of its tokenizer.

    ComfyUI's own CLIP-L target gives the pooled text unprojected; all of these are projected. What pads a text does not
    matter: the pooled token comes before it.
    """

    tokenizer = SD1Tokenizer

    def __init__(self, config: Path):
        self.params: dict[str, object] = {}
        tower = partial(SDClipModel, textmodel_json_config=str(config), return_projected_pooled=True)
        self.clip = partial(SD1ClipModel, clip_model=tower)  # type: ignore[arg-type]


def _clip_text(weights: dict[str, Tensor], label: str, configs: Sequence[Path]) -> tuple[comfy.sd.CLIP | None, str]:
    """The text tower, or why there is none."""
    if "text_model.embeddings.token_embedding.weight" not in weights:
        return (
            None,
            'there is no text tower in this file (no keys "text_model.*"); text needs a full CLIP file with both towers',
        )
    if "text_projection.weight" not in weights:
        return (
            None,
            'the key "text_projection.weight" is missing, so its texts and pictures cannot be compared; load a full CLIP file',
        )
    config = text_config(weights, configs)
    if config is None:
        return None, "its text tower has a size that is not supported; those of CLIP-L, CLIP-H and CLIP-bigG are"
    check_finite(weights, label)
    size = comfy.utils.calculate_parameters(weights)
    at_once = (
        "state_dict" in inspect.signature(comfy.sd.CLIP.__init__).parameters
    )  # newer ComfyUIs load while they build
    try:
        loaded: dict[str, Any] = {"state_dict": [dict(weights)]} if at_once else {}
        clip = comfy.sd.CLIP(_TextTower(config), parameters=size, **loaded)
        check_keys(getattr(clip.cond_stage_model, clip.cond_stage_model.clip).transformer.state_dict(), weights, label)
        if not at_once:
            clip.load_sd(weights)
    except RuntimeError as error:
        raise ValueError(f"{label}: its text tower does not fit: {error}") from error
    return clip, ""


def _pool(weights: Mapping[str, Tensor], vision: ClipVisionModel, label: str) -> ModelPatcher | None:
    heads = vision.model.vision_model.encoder.layers[0].self_attn.heads
    pool = attention_pool(weights, heads, label)
    if pool is None:
        return None
    return ModelPatcher(pool, load_device=vision.patcher.load_device, offload_device=vision.patcher.offload_device)
