"""SoftPAG and its siblings on the outputs of selected attention heads; no attention map is ever built.

Equation 7 of the paper, A' = (1 - u) A + u I, needs no map: per head ((1-u)A + uI) V = (1-u) AV + u V, so it is an
interpolation of the attention's output. The same holds for every other A', each given here as the output that the head
would have under it: one function a perturbation, in `OUTPUTS`.

Shapes: q, k, v and outputs are [B, L, n, D]: batch rows, tokens, heads, head size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Perturbation = Literal["identity", "uniform", "mean_query", "temperature", "self_and_text", "shuffle", "zero"]

Attend = Callable[[Tensor, Tensor, Tensor, "Tensor | None"], Tensor]
"""Attention of q [B, L', n, D] over k and v [B, L, n, D] under a mask, by the host's backend; gives [B, L', n, D]."""

LOGITS = 2**24
"""How many numbers of a map to the other tokens `self_and_text` holds at once: 64 MB."""


@dataclass(frozen=True)
class Attention:
    """One attention call, and what of it is perturbed.

    own [B, R, n, D]: what the heads `heads` [n] gave for the query rows `rows`. q [B, L, H, D]: the last L rows of the
    sequence. k, v [B, L' >= L, H, D]: the whole sequence. temperature: tau, used by that perturbation alone. qk_scale:
    replaces 1/sqrt(D) where the host says so. mask [B or 1, H or 1, L or 1, L']: what each query row may see, True or
    added to the logits.
    """

    own: Tensor
    q: Tensor
    k: Tensor
    v: Tensor
    heads: Tensor
    rows: slice
    attend: Attend
    temperature: float
    qk_scale: float | None
    mask: Tensor | None

    @classmethod
    def of(
        cls,
        out: Tensor,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        heads: Tensor,
        rows: slice,
        attend: Attend,
        temperature: float = 2.0,
        qk_scale: float | None = None,
        mask: Tensor | None = None,
    ) -> Attention:
        """That of some heads and rows of a call whose output is `out` [B, L, H, D]."""
        own = out[:, rows].index_select(2, heads)
        return cls(own, q, k, v, heads, rows, attend, temperature, qk_scale, mask)

    @property
    def queries(self) -> Tensor:
        """[B, R, n, D]."""
        return self.q[:, self.rows].index_select(2, self.heads)

    @property
    def keys(self) -> Tensor:
        """[B, L', n, D]."""
        return self.k.index_select(2, self.heads)

    @property
    def values(self) -> Tensor:
        """[B, L', n, D]."""
        return self.v.index_select(2, self.heads)

    @property
    def seen(self) -> Tensor | None:
        """The part of the mask that is about these heads and rows: [B or 1, n or 1, R or 1, L']."""
        mask = self.mask
        if mask is None:
            return None
        mask = mask if mask.shape[1] == 1 else mask.index_select(1, self.heads)
        return mask if mask.shape[2] == 1 else mask[:, :, self.rows]

    @property
    def columns(self) -> slice:
        """The rows' own places in the sequence."""
        start, stop, _ = self.rows.indices(self.q.shape[1])
        before = self.k.shape[1] - self.q.shape[1]
        return slice(before + start, before + stop)


def identity(a: Attention) -> Tensor:
    """I V = V: each token sees itself alone, whatever the mask (the paper's equation 6; PAG, arXiv 2403.17377)."""
    return a.v[:, a.columns].index_select(2, a.heads)


def uniform(a: Attention) -> Tensor:
    """Every entry 1/N: the mean of V, or of what may be seen (equation 8)."""
    if a.mask is None:
        return a.values.mean(dim=1, keepdim=True)
    return a.attend(torch.zeros_like(a.queries), a.keys, a.values, a.seen)


def mean_query(a: Attention) -> Tensor:
    """softmax(mean(q) K^T / sqrt d) V, the mean over the perturbed rows alone (equations 9, 10; SEG, arXiv 2408.00760)."""
    queries = a.queries
    mean = queries.mean(dim=1, keepdim=True)
    if a.mask is not None:
        return a.attend(mean.expand_as(queries), a.keys, a.values, a.seen)
    q, k, v = (t.transpose(1, 2) for t in (mean, a.keys, a.values))
    return functional.scaled_dot_product_attention(q, k, v, scale=a.qk_scale).transpose(1, 2)


def temperature(a: Attention) -> Tensor:
    """softmax(log A / tau) V, by dividing the queries by tau (equation 11)."""
    return a.attend(a.queries / a.temperature, a.keys, a.values, a.seen)


def self_and_text(a: Attention) -> Tensor:
    """The picture's rows see themselves and what is not the picture, renormalised (diffusers' PAG of SD3, its PR 8861).

    `a.rows` are the picture's. What is not the picture: text, references, padding. No map from the picture to itself is
    built, and of the one to the other tokens at most `LOGITS` numbers at once.
    """
    columns, seen = a.columns, a.seen
    scale = a.q.shape[-1] ** -0.5 if a.qk_scale is None else a.qk_scale
    q, k, v = (t.transpose(1, 2) for t in (a.queries * scale, a.keys, a.values))
    (other_k, own_k), (other_v, own_v) = (_apart(t, columns, 2) for t in (k, v))
    exact = torch.promote_types(q.dtype, torch.float32)
    step = max(1, LOGITS // (q.shape[0] * q.shape[1] * (other_k.shape[2] + 1)))
    parts = []
    for start in range(0, q.shape[2], step):
        part = slice(start, start + step)
        to_self = (q[:, :, part].to(exact) * own_k[:, :, part].to(exact)).sum(-1, keepdim=True)
        logits = torch.cat([(q[:, :, part] @ other_k.transpose(-1, -2)).to(exact), to_self], dim=-1)
        if seen is not None:
            logits = logits + _mask_of(seen, columns, part)
        weights = logits.softmax(dim=-1).to(v.dtype)
        parts.append(weights[..., :-1] @ other_v + weights[..., -1:] * own_v[:, :, part])
    return torch.cat(parts, dim=2).transpose(1, 2)


def _apart(t: Tensor, columns: slice, dim: int) -> tuple[Tensor, Tensor]:
    """What is outside of `columns` along a dimension, and what is in them."""
    start, length = columns.start, columns.stop - columns.start
    after = t.shape[dim] - columns.stop
    outside = torch.cat([t.narrow(dim, 0, start), t.narrow(dim, columns.stop, after)], dim)
    return outside, t.narrow(dim, start, length)


def _mask_of(seen: Tensor, columns: slice, part: slice) -> Tensor:
    """What is added to the logits of the picture's rows `part`: [B or 1, n or 1, rows or 1, other tokens and itself]."""
    if seen.dtype == torch.bool:
        seen = torch.zeros(seen.shape, device=seen.device).masked_fill(~seen, -torch.inf)
    others, picture = _apart(seen, columns, 3)
    if seen.shape[2] == 1:  # one row for all
        itself = picture.transpose(-1, -2)[:, :, part]
        return torch.cat([others.expand(-1, -1, itself.shape[2], -1), itself], dim=-1)
    itself = picture.diagonal(dim1=-2, dim2=-1)[..., part, None]
    return torch.cat([others[:, :, part], itself], dim=-1)


def shuffle(a: Attention) -> Tensor:
    """P A V: each token gets what another token would (token perturbation guidance, arXiv 2506.10036, in one head).

    Queries, keys and values of a head over tokens in another order give its rows in that order; keys and values alone
    would change nothing, as attention does not know their order. The order is among the perturbed rows, see `order`.
    """
    where = order(a.own.shape[1], a.own.device)
    if a.mask is None:
        return a.own.index_select(1, where)
    return a.attend(a.queries.index_select(1, where), a.keys, a.values, a.seen)


def order(rows: int, device: torch.device | None = None) -> Tensor:
    """Which other row each of `rows` rows is exchanged for: [rows], one cycle through all of them.

    The cycle follows a hash of the rows' numbers, no generator: the same for all pictures of a batch, heads, layers, steps
    and devices, and in a compiled graph.
    """
    key = torch.arange(1, rows + 1, device=device)
    for _ in range(2):  # a mixing of 32 bits, in which no two numbers become one
        key = ((key >> 16) ^ key) * 0x45D9F3B & 0xFFFFFFFF
    cycle = ((key >> 16) ^ key).argsort()
    return torch.empty_like(cycle).scatter_(0, cycle, cycle.roll(-1))


def zero(a: Attention) -> Tensor:
    """0 V: the head gives nothing."""
    return a.v.new_zeros(1, 1, 1, 1)


OUTPUTS: dict[Perturbation, Callable[[Attention], Tensor]] = {
    "identity": identity,
    "uniform": uniform,
    "mean_query": mean_query,
    "temperature": temperature,
    "self_and_text": self_and_text,
    "shuffle": shuffle,
    "zero": zero,
}
"""What the heads would give under A' alone (u = 1): [B, R or 1, n, D], or a single number. New ones come last."""

PERTURBATIONS: tuple[Perturbation, ...] = tuple(OUTPUTS)


def perturb(out: Tensor, attention: Attention, strengths: Tensor, kind: Perturbation) -> None:
    """Interpolate `out` [B, L, H, D] in place towards A' on an attention's heads and rows: lerp(out, other, u).

    `strengths` [B or 1, n]: u, so every batch row may have its own.
    """
    own, other = attention.own, _other(attention, kind)
    moved = torch.lerp(own, other.expand_as(own), _each(strengths, own).expand_as(own))
    out[:, attention.rows].index_copy_(2, attention.heads, moved)


def steer(
    out: Tensor,
    attention: Attention,
    amounts: Tensor,
    kind: Perturbation,
    limit: float = 0.0,
    share: Tensor | None = None,
) -> None:
    """Add a (h - h') to `out` [B, L, H, D] in place on an attention's heads and rows, h what they gave there.

    `amounts` [B or 1, n]: a, which is w u / c. `limit`: how many times its own length a token's output may become in one
    head (as NAG caps it, arXiv 2505.21179), 0 for no limit. `share` [B or 1, R]: how much of that each row gets, 0..1,
    None for all of it.
    """
    own = attention.own
    each = _each(amounts, own)
    added = each * (own - _other(attention, kind))
    if limit:
        length, moved = own.norm(dim=-1, keepdim=True), own + added
        grown = moved.norm(dim=-1, keepdim=True)
        over = (grown > limit * length) & (each != 0)  # a row that is not steered stays, also under a limit below 1
        added = torch.where(over, moved * (limit * length / grown) - own, added)
    if share is not None:
        added = added * share[:, :, None, None].to(own.dtype)
    out[:, attention.rows].index_add_(2, attention.heads, added)


def _other(attention: Attention, kind: Perturbation) -> Tensor:
    return OUTPUTS[kind](attention).to(attention.own.dtype)


def _each(values: Tensor, own: Tensor) -> Tensor:
    """Values of batch rows and heads [B or 1, n], beside outputs [B, R, n, D]."""
    return values[:, None, :, None].to(own.dtype)
