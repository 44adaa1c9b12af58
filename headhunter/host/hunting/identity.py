"""What the scores of a hunt depend on, as short stable texts: the model, the VAE, the prompts, the latent.

Cheap on purpose: names, shapes, types and samples of each tensor, never all of a 24 GB model; `scoring.base.fingerprint` says what
they cannot see. Of what other packs put on a model only the names are seen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...scoring.base import Scorer, fingerprint
from ...scoring.combine import components_of
from ..generation.generate import Sampling
from ..generation.prompts import Pair
from ..guidance.attention import Entry
from ..guidance.groups import POST_CFG, entries_of

READING = 2
"""Of weights; raised when other bytes of them are looked at, so that a study says that it is older, not that its model is another."""


def identity_of(
    model: ModelPatcher,
    vae: Any,
    pairs: Sequence[Pair],
    scorer: Scorer | None,
    latent: dict[str, Any],
    sampling: Sampling,
) -> dict[str, Any]:
    """What pictures and scores depend on, as JSON data."""
    group = {name: value for name, value in asdict(sampling.group).items() if name != "heads"}
    rest = {name: value for name, value in asdict(sampling).items() if name != "group"}
    return json.loads(
        json.dumps(
            {
                "reading": READING,
                "model": model_key(model),
                "vae": tensors_key(vae.first_stage_model.state_dict()),
                "latent": latent_key(latent),
                "settings": rest | group,
                "pairs": [pair_key(pair) for pair in pairs],
                "scorers": [
                    {"name": part.name, "key": part.key, "weight": weight} for part, weight in components_of(scorer)
                ]
                if scorer
                else [],
            }
        )
    )


def model_key(model: ModelPatcher) -> str:
    """A model's weights, LoRA patches, SoftPAG groups, sampling settings, and the names of other packs' hooks."""
    weights = dict(model.model.diffusion_model.state_dict())
    prefix = "diffusion_model."
    for name, kept in model.backup.items():
        # While a LoRA is merged, the patcher keeps the original weights.
        if name.startswith(prefix) and name[len(prefix) :] in weights:
            weights[name[len(prefix) :]] = kept.weight
    sampling: Any = model.get_model_object("model_sampling")
    parts = {
        "weights": fingerprint(_plain(weights)),
        "patches": {name: _describe(patches) for name, patches in sorted(model.patches.items())},
        "groups": [_group_key(entry) for entry in entries_of(model)],
        "sampling": [type(sampling).__mro__[0].__name__, [float(sampling.percent_to_sigma(p / 10)) for p in range(11)]],
        "hooks": _hooks(model),
    }
    return _digest(parts)


def _group_key(entry: Entry) -> str | list[str]:
    return [repr(entry.group), fingerprint({"": entry.mask.pictures})] if entry.mask else repr(entry.group)


def tensors_key(tensors: Mapping[str, Tensor]) -> str:
    """A fingerprint of a state dict, such as a VAE's."""
    return fingerprint(_plain(tensors))


def pair_key(pair: Pair) -> dict[str, Any]:
    """A pair's text, seed, and a fingerprint of what its text encoder made of it."""
    return {
        "text": pair.text,
        "seed": pair.seed,
        "conditioning": _digest([_describe(pair.positive), _describe(pair.negative)]),
    }


def latent_key(latent: dict[str, Any]) -> str:
    return _digest(_describe({"samples": latent["samples"][:1], "noise_mask": latent.get("noise_mask")}))


def _hooks(model: ModelPatcher) -> list[str]:
    """Names of what other packs have put on the model; what they do cannot be seen from here."""
    options = model.model_options
    names = [
        f"{key}: {getattr(f, '__qualname__', type(f).__name__)}"
        for key, value in options.items()
        for f in _callables(value)
    ]
    transformer = options.get("transformer_options", {})
    names += [f"{kind} {sorted(map(str, patches))}" for kind, patches in transformer.get("patches_replace", {}).items()]
    names += [f"{kind} x{len(patches)}" for kind, patches in transformer.get("patches", {}).items()]
    names += [f"{kind} {sorted(map(str, keyed))}" for kind, keyed in model.wrappers.items() if keyed]
    return sorted(name for name in names if not name.startswith(f"{POST_CFG}: HeadGuidance"))


def _callables(value: Any) -> Sequence[Any]:
    return [item for item in (value if isinstance(value, list) else [value]) if callable(item)]


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Ordinary tensors; loaders of quantised files use subclasses of their own, whose storage is what counts."""
    return {name: tensor.detach().as_subclass(torch.Tensor) for name, tensor in tensors.items()}


def _describe(value: Any) -> Any:
    """Nested lists and dicts as JSON, each tensor as its fingerprint, other objects as their type's name."""
    if isinstance(value, Tensor):
        return fingerprint({"": value.as_subclass(torch.Tensor)})
    if isinstance(value, Mapping):
        return {str(key): _describe(item) for key, item in value.items() if key != "uuid"}
    if isinstance(value, (list, tuple)):
        return [_describe(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    inner = getattr(value, "weights", None)  # a LoRA adapter
    return [type(value).__name__, _describe(inner) if inner is not None else None]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
