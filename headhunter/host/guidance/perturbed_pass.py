"""One evaluation of the model in which some entries have perturbed heads.

Everything is installed in a copy of the model options for this evaluation alone. A replacement of each touched block
sets the attention override for that block (in many families no block number reaches attention), an apply-model wrapper
tells which batch rows belong to which entry. Both call what other packs have put there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from comfy.model_patcher import create_model_options_clone
from comfy.patcher_extension import WrappersMP, add_wrapper_with_key
from torch import Tensor

from .attention import Entry, IndexedAttention, JointCall, PerturbedAttention, Witness
from .blocks import Architecture, Options, replacements
from .evaluation import Evaluation
from .forward import KEY, Forward, same_backend, with_override
from .hooks import PerturbedBlock, Skipped, TextRecorder
from .prefix import Prefix, joined
from .wrapped import carry_out


def perturbed_options(
    model_options: Options,
    entries: Sequence[Entry | None],
    architecture: Architecture,
    witness: Witness,
    prefixes: Mapping[UUID, Prefix],
) -> Options:
    """A copy of the model options under which calc_cond_batch perturbs prediction i as `entries[i]` says (None: not).

    prefixes: by cond, what the conditional pass had at the first perturbed layer; empty for a pass that runs whole.
    """
    options = create_model_options_clone(model_options)
    transformer_options = options.setdefault("transformer_options", {})
    layers = sorted({layer for entry in entries if entry for layer in entry.strengths.layers})
    if not architecture.family.indexed:
        _replace_blocks(transformer_options, entries, architecture, layers, witness, bool(prefixes))
    wrapper = partial(_apply_model, entries, architecture, layers, prefixes, witness)
    add_wrapper_with_key(WrappersMP.APPLY_MODEL, "headhunter", wrapper, transformer_options)
    return options


def _replace_blocks(
    transformer_options: Options,
    entries: Sequence[Entry | None],
    architecture: Architecture,
    layers: Sequence[int],
    witness: Witness,
    starts_late: bool,
) -> None:
    replaced = replacements(transformer_options)
    for layer in layers:
        key = architecture.key(layer)
        replaced[key] = PerturbedBlock(replaced.get(key), architecture, layer, layer == layers[0], entries, witness)
    if starts_late:
        for layer in range(layers[0]):
            key = architecture.key(layer)
            replaced[key] = Skipped(replaced.get(key))
    if len(architecture.grid.segments) > 1 and any(entry and entry.picture_alone for entry in entries):
        key = architecture.key(0)
        replaced[key] = TextRecorder(replaced.get(key))
    carry_out(architecture, transformer_options)


def _apply_model(
    entries: Sequence[Entry | None],
    architecture: Architecture,
    layers: Sequence[int],
    prefixes: Mapping[UUID, Prefix],
    witness: Witness,
    *args: Any,
    **kwargs: Any,
) -> Tensor:
    """APPLY_MODEL wrapper: tell the blocks which chunk is which entry, and how many tokens the picture has.

    Other packs read `cond_or_uncond` as 0 = conditional, 1 = unconditional; every perturbed entry is conditional.
    """
    evaluation = Evaluation.of(*args, **kwargs)
    chunks = evaluation.options["cond_or_uncond"]
    rows = evaluation.x.shape[0] // len(chunks)
    earlier: Forward | None = evaluation.options.get(KEY)
    forward = Forward(
        architecture,
        steering=earlier.steering if earlier else None,
        prefix=joined(prefixes, evaluation.options["uuids"], rows) if prefixes else None,
        chunks=chunks,
    )
    forward.see(evaluation.network, evaluation.x)
    options = same_backend(evaluation.options) | {
        KEY: forward,
        "cond_or_uncond": [0 if entries[chunk] else chunk for chunk in chunks],
    }
    joints: Mapping[int, JointCall] = {}
    if architecture.family.indexed:
        length = architecture.family.joint_length(forward.picture, evaluation.context, evaluation.conds)
        override = _indexed(options, entries, forward, layers, length, witness)
        options, joints = with_override(options, override), override.layers
    result = evaluation.run(options)
    forward.count(joints)
    forward.check(layers)
    return result


def _indexed(
    options: Options,
    entries: Sequence[Entry | None],
    forward: Forward,
    layers: Sequence[int],
    length: int,
    witness: Witness,
) -> IndexedAttention:
    """The override of a forward whose attention knows its block's number alone: the picture's rows of each layer."""
    previous = options.get("optimized_attention_override")
    joint = partial(PerturbedAttention, previous, forward.picture, length, slice(None), False)
    return IndexedAttention(previous, {layer: joint(layer, entries, forward.chunks, witness) for layer in layers})
