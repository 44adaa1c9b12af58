"""One evaluation of the model in which some entries have perturbed heads.

Everything is installed in a copy of the model options for this evaluation alone. A replacement of each touched block
sets the attention override for that block (no block number reaches attention in SD3), an apply-model wrapper tells
which batch rows belong to which entry. Both call what other packs have put there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import comfy.patcher_extension
from comfy.model_patcher import create_model_options_clone
from torch import Tensor

from ...grid import Grid
from ...guidance import Group
from ...perturbation import perturb
from .blocks import Args, BlockHook, block_key, tokens
from .prefix import PREFIX, Prefix, Skipped, joined, started
from .strengths import LayerStrengths

Options = dict[str, Any]

# Keys that we put into the transformer options of one forward.
ENTRIES = "headhunter_entries"
PICTURE_TOKENS = "headhunter_picture_tokens"
TEXT_TOKENS = "headhunter_text_tokens"


class Witness:
    """Whether any perturbed attention really ran; set in the forward, read after sampling."""

    called = False


@dataclass(frozen=True)
class Entry:
    """One prediction of the evaluation that is perturbed: its group and the strengths of its heads."""

    group: Group
    strengths: LayerStrengths


def perturbed_options(
    model_options: Options,
    entries: Sequence[Entry | None],
    grid: Grid,
    patch_size: int,
    witness: Witness,
    prefixes: Mapping[UUID, Prefix],
) -> Options:
    """A copy of the model options under which calc_cond_batch perturbs prediction i as `entries[i]` says (None: not).

    prefixes: by cond, what the conditional pass had at the first perturbed layer; empty for a pass that runs whole.
    """
    options = create_model_options_clone(model_options)
    transformer_options = options.setdefault("transformer_options", {})
    replace = transformer_options.setdefault("patches_replace", {}).setdefault("dit", {})
    layers = sorted({layer for entry in entries if entry for layer in entry.strengths.layers})
    for layer in layers:
        key = block_key(grid, layer)
        replace[key] = PerturbedBlock(replace.get(key), layer, layer == layers[0], entries, witness)
    if prefixes:
        for layer in range(layers[0]):
            key = block_key(grid, layer)
            replace[key] = Skipped(replace.get(key))
    if len(grid.segments) > 1 and any(entry and entry.group.tokens == "image" for entry in entries):
        key = block_key(grid, 0)
        replace[key] = TextRecorder(replace.get(key))
    comfy.patcher_extension.add_wrapper_with_key(
        comfy.patcher_extension.WrappersMP.APPLY_MODEL,
        "headhunter",
        partial(_apply_model, entries, patch_size, prefixes),
        transformer_options,
    )
    return options


def _apply_model(
    entries: Sequence[Entry | None],
    patch_size: int,
    prefixes: Mapping[UUID, Prefix],
    executor: Any,
    x: Tensor,
    t: Tensor,
    c_concat: Any = None,
    c_crossattn: Any = None,
    control: Any = None,
    transformer_options: Options | None = None,
    **kwargs: Any,
) -> Tensor:
    """APPLY_MODEL wrapper: keep which chunk is which entry, and how many tokens the picture has.

    Other packs read `cond_or_uncond` as 0 = conditional, 1 = unconditional; every perturbed entry is conditional.
    """
    transformer_options = transformer_options or {}
    chunks = transformer_options["cond_or_uncond"]
    height, width = x.shape[-2:]
    transformer_options = transformer_options | {
        ENTRIES: chunks,
        PICTURE_TOKENS: -(-height // patch_size) * -(-width // patch_size),
        PREFIX: joined(prefixes, transformer_options["uuids"], x.shape[0] // len(chunks)) if prefixes else None,
        "cond_or_uncond": [0 if entries[chunk] else chunk for chunk in chunks],
    }
    return executor(x, t, c_concat, c_crossattn, control, transformer_options, **kwargs)


class TextRecorder(BlockHook):
    """FLUX's first double block: keep the number of text tokens, which its single blocks are not told."""

    def __call__(self, args: Args, extra: Args) -> dict[str, Tensor]:
        args["transformer_options"][TEXT_TOKENS] = args["txt"].shape[1]
        return super().__call__(args, extra)


class PerturbedBlock(BlockHook):
    """A block whose joint attention is perturbed; the first of a pass may start from the conditional pass's record."""

    def __init__(
        self,
        previous: Callable | None,
        layer: int,
        first: bool,
        entries: Sequence[Entry | None],
        witness: Witness,
    ):
        super().__init__(previous)
        self.layer = layer
        self.first = first
        self.entries = entries
        self.witness = witness

    def __call__(self, args: Args, extra: Args) -> dict[str, Tensor]:
        if self.first:
            args = started(args)
        options = dict(args["transformer_options"])
        text = args["txt"].shape[1] if "txt" in args else options.get(TEXT_TOKENS, 0)
        options["optimized_attention_override"] = partial(
            _attention,
            options.get("optimized_attention_override"),
            self.layer,
            self.entries,
            self.witness,
            options,
            tokens(args),
            text,
        )
        return super().__call__(args | {"transformer_options": options}, extra)


def _attention(
    previous: Callable | None,
    layer: int,
    entries: Sequence[Entry | None],
    witness: Witness,
    options: Options,
    length: int,
    text: int,
    func: Callable,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    mask: Tensor | None = None,
    attn_precision: Any = None,
    skip_reshape: bool = False,
    skip_output_reshape: bool = False,
    **kwargs: Any,
) -> Tensor:
    """Attention override: the backend's own output (or an earlier override's), then SoftPAG on the selected heads."""
    attend = func if previous is None else partial(previous, func)
    out = attend(
        q,
        k,
        v,
        heads,
        mask=mask,
        attn_precision=attn_precision,
        skip_reshape=skip_reshape,
        skip_output_reshape=skip_output_reshape,
        **kwargs,
    )
    q, k, v = (_heads_third(t, heads, skip_reshape) for t in (q, k, v))
    # SD3.5 medium's second attention sees the image alone and stays as it is; so does any other pack's cross attention.
    if not q.shape[1] == k.shape[1] == v.shape[1] == length:
        return out

    def attend_again(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        few = attend(
            q.transpose(1, 2),
            k.transpose(1, 2),
            v.transpose(1, 2),
            q.shape[2],
            attn_precision=attn_precision,
            skip_reshape=True,
            skip_output_reshape=True,
            **kwargs,
        )
        return few.transpose(1, 2)

    # A copy, since an override of another pack may keep what it returned.
    result = _heads_third(out, heads, skip_output_reshape).clone()
    chunks = options[ENTRIES]
    batch = result.shape[0] // len(chunks)
    for index, chunk in enumerate(chunks):
        entry = entries[chunk]
        found = entry and entry.strengths.of(layer, result.device)
        if not entry or not found:
            continue
        group, (numbers, strengths) = entry.group, found
        if mask is not None and group.perturbation != "identity":
            raise RuntimeError(
                f"The perturbation {group.perturbation} cannot be used where the model gets an attention mask; use identity."
            )
        rows = slice(text, text + options[PICTURE_TOKENS]) if group.tokens == "image" else slice(None)
        part = slice(index * batch, (index + 1) * batch)
        perturb(
            result[part],
            q[part],
            k[part],
            v[part],
            numbers,
            strengths,
            rows,
            group.perturbation,
            attend_again,
            group.temperature,
            kwargs.get("scale"),
        )
        witness.called = True
    return result.transpose(1, 2) if skip_output_reshape else result.flatten(2)


def _heads_third(t: Tensor, heads: int, heads_second: bool) -> Tensor:
    """[B, H, L, D], [B, L, H*D] or [B, L, H, D] -> a view [B, L, H, D]."""
    if heads_second:
        return t.transpose(1, 2)
    return t if t.ndim == 4 else t.unflatten(-1, (heads, -1))
