"""SoftPAG and its siblings on the outputs of selected attention heads; no attention map is ever built.

Equation 7 of the paper, A' = (1 - u) A + u I, needs no map: per head ((1-u)A + uI) V = (1-u) AV + u V, so it is an
interpolation of the attention's output. The same holds for the paper's other A' (its appendix C), each given here as
the output that the head would have under it:

    identity     I V = V                              equation 6 (PAG)
    uniform      every entry 1/N: the mean of V       equation 8
    mean_query   softmax(mean(q) K^T / sqrt d) V      equations 9, 10
    temperature  softmax(log A / tau) V               equation 11, by dividing the queries by tau

Shapes: q, k, v and outputs are [B, L, n, D]: batch rows, tokens, heads, head size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

Perturbation = Literal["identity", "uniform", "mean_query", "temperature"]
PERTURBATIONS: tuple[Perturbation, ...] = get_args(Perturbation)

Attend = Callable[[Tensor, Tensor, Tensor, "Tensor | None"], Tensor]
"""Attention of q [B, L', n, D] over k and v [B, L, n, D] under a mask, by the host's backend; gives [B, L', n, D]."""


def perturbed_output(
    kind: Perturbation,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: Tensor,
    rows: slice,
    attend: Attend,
    temperature: float,
    qk_scale: float | None,
    mask: Tensor | None,
) -> Tensor:
    """What the heads `heads` [n] would give under A' alone (u = 1) for the query rows `rows`: [B, rows or 1, n, D].

    `temperature` is tau, used by that kind alone; `qk_scale` replaces 1/sqrt(D) where the host says so. `mask`, as in
    `perturb`, holds for every A' but identity, whose rows see nothing but themselves.
    """
    v = v.index_select(2, heads)
    if kind == "identity":
        return v[:, rows]
    if kind == "uniform" and mask is None:
        return v.mean(dim=1, keepdim=True)
    q, k = q.index_select(2, heads)[:, rows], k.index_select(2, heads)
    mask = None if mask is None else _of(mask, heads, rows)
    if kind == "uniform":  # equal logits: the mean over what may be seen
        return attend(torch.zeros_like(q), k, v, mask)
    if kind == "temperature":
        return attend(q / temperature, k, v, mask)
    mean = q.mean(dim=1, keepdim=True)
    if mask is not None:
        return attend(mean.expand_as(q), k, v, mask)
    one = functional.scaled_dot_product_attention(
        mean.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), scale=qk_scale
    )
    return one.transpose(1, 2)


def _of(mask: Tensor, heads: Tensor, rows: slice) -> Tensor:
    """The part of a mask [B or 1, H or 1, L or 1, L] that is about some heads and query rows."""
    mask = mask if mask.shape[1] == 1 else mask.index_select(1, heads)
    return mask if mask.shape[2] == 1 else mask[:, :, rows]


def perturb(
    out: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: Tensor,
    strengths: Tensor,
    rows: slice,
    kind: Perturbation,
    attend: Attend,
    temperature: float = 2.0,
    qk_scale: float | None = None,
    mask: Tensor | None = None,
) -> None:
    """Interpolate `out` [B, L, H, D] in place towards A' on some heads and query rows: lerp(out, other, u).

    `heads` [n] are head numbers; `strengths` [B or 1, n] their u, so every batch row may have its own. q, k, v are
    [B, L, H, D]; keys and values always span the whole sequence, the mean query is taken over `rows`. `mask`
    [B or 1, H or 1, L or 1, L]: what each query row may see, as the host's attention takes it.
    """
    other = perturbed_output(kind, q, k, v, heads, rows, attend, temperature, qk_scale, mask)
    target = out[:, rows]
    part = target.index_select(2, heads)
    weight = strengths[:, None, :, None].to(part.dtype)
    target.index_copy_(2, heads, torch.lerp(part, other.to(part.dtype).expand_as(part), weight.expand_as(part)))
