"""Perturbed outputs of heads against explicit maps in float64, where tests/oracle.py does not reach: masks of every shape,
shared rows, queries that are the last rows of the sequence, and self_and_text in parts."""

from typing import get_args

import pytest
import torch
from headhunter_pack.headhunter import perturbation
from headhunter_pack.headhunter.perturbation import PERTURBATIONS, Attention, Perturbation, order, perturb, steer
from torch.nn.functional import scaled_dot_product_attention

BATCH, QUERIES, LENGTH, HEADS, SIZE = 2, 9, 14, 4, 8
PICTURE = slice(1, 7)  # of the queries
CHOSEN = torch.tensor([3, 1])
U = torch.tensor([[0.8, -0.4], [1.0, 0.5]], dtype=torch.float64)


def attend(q, k, v, mask, scale=None):
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    return scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale).transpose(1, 2)


def tensors():
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(BATCH, length, HEADS, SIZE, generator=generator, dtype=torch.float64)
        for length in (QUERIES, LENGTH, LENGTH)
    ]


def masks():
    generator = torch.Generator().manual_seed(1)
    shapes = [(BATCH, HEADS, QUERIES, LENGTH), (1, 1, 1, LENGTH), (BATCH, 1, 1, LENGTH), (1, HEADS, QUERIES, LENGTH)]
    made = {"none": None}
    for shape in shapes:
        seen = torch.rand(shape, generator=generator) < 0.7
        seen[..., 0] = True  # nobody is blind
        added = torch.zeros(shape, dtype=torch.float64).masked_fill(~seen, -torch.inf)
        made |= {f"seen {shape}": seen, f"added {shape}": added + torch.randn(shape, generator=generator)}
    return made


MASKS = masks()


def explicit(q, k, v, kind, mask, scale):
    """One row of one head at a time."""
    scale = SIZE**-0.5 if scale is None else scale
    before = LENGTH - QUERIES
    added = torch.zeros(BATCH, HEADS, QUERIES, LENGTH, dtype=torch.float64)
    if mask is not None:
        mask = (
            torch.zeros(mask.shape, dtype=torch.float64).masked_fill(~mask, -torch.inf)
            if mask.dtype == torch.bool
            else mask
        )
        added = added + mask
    rows = range(QUERIES)[PICTURE]
    out = torch.empty_like(q)
    for picture in range(BATCH):
        for head in range(HEADS):
            keys, values = k[picture, :, head], v[picture, :, head]
            for row in range(QUERIES):
                logits = scale * keys @ q[picture, row, head]
                here = added[picture, head, row]
                own = (logits + here).softmax(0) @ values
                out[picture, row, head] = own
                if head not in CHOSEN.tolist() or row not in rows:
                    continue
                if kind == "self_and_text":
                    cut = here.clone()
                    cut[[before + other for other in rows if other != row]] = -torch.inf
                    other = (logits + cut).softmax(0) @ values
                elif kind == "shuffle":
                    source = rows[order(len(rows)).tolist()[rows.index(row)]]
                    other = (scale * keys @ q[picture, source, head] + here).softmax(0) @ values
                elif kind == "zero":
                    other = torch.zeros(SIZE, dtype=torch.float64)
                elif kind == "identity":
                    other = values[before + row]
                elif kind == "uniform":
                    other = (0 * logits + here).softmax(0) @ values
                elif kind == "mean_query":
                    mean = q[picture, PICTURE, head].mean(0)
                    other = (scale * keys @ mean + here).softmax(0) @ values
                else:
                    other = (logits / 3.0 + here).softmax(0) @ values
                u = U[picture, CHOSEN.tolist().index(head)]
                out[picture, row, head] = (1 - u) * own + u * other
    return out


@pytest.mark.parametrize("scale", [None, 0.6])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_explicit_maps(kind, mask, scale):
    q, k, v = tensors()
    out = attend(q, k, v, MASKS[mask], scale)

    def backend(q, k, v, mask):
        return attend(q, k, v, mask, scale)

    perturb(out, Attention.of(out, q, k, v, CHOSEN, PICTURE, backend, 3.0, scale, MASKS[mask]), U, kind)
    assert torch.allclose(out, explicit(q, k, v, kind, MASKS[mask], scale), atol=1e-10)


@pytest.mark.parametrize("mask", MASKS)
def test_self_and_text_in_parts(mask, monkeypatch):
    """However few numbers it may hold at once, the same comes out, and it never holds more."""
    outs = []
    for most in (1, 50, 2**24):
        monkeypatch.setattr(perturbation, "LOGITS", most)
        q, k, v = tensors()
        out = attend(q, k, v, MASKS[mask])
        perturb(out, Attention.of(out, q, k, v, CHOSEN, PICTURE, attend, mask=MASKS[mask]), U, "self_and_text")
        outs.append(out)
    assert all(torch.allclose(out, outs[0], atol=1e-12) for out in outs[1:])


def test_the_names_are_the_table():
    assert get_args(Perturbation) == PERTURBATIONS


def test_self_and_text_builds_no_map_of_the_picture():
    """1024 tokens of a picture and 8 of text: what it holds at once is far under the million of a map."""
    picture, text = 1024, 8
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, text + picture, 1, 4, generator=generator) for _ in range(3))
    sizes = []

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            sizes.extend(
                t.numel() for t in (result if isinstance(result, (tuple, list)) else [result]) if torch.is_tensor(t)
            )
            return result

    out = torch.zeros_like(q)
    with Sizes():
        attention = Attention.of(out, q, k, v, torch.tensor([0]), slice(text, None), attend)
        perturb(out, attention, torch.ones(1, 1), "self_and_text")
    assert max(sizes) <= picture * (text + 1)
    assert not out[:, :text].any()


def test_the_order_of_shuffle():
    """One cycle through all rows, the same every time."""
    for rows in (1, 2, 5, 64, 4096):
        places = order(rows).tolist()
        at, seen = 0, []
        for _ in range(rows):
            seen.append(at)
            at = places[at]
        assert at == 0 and sorted(seen) == list(range(rows))
    assert order(5).tolist() == [1, 3, 4, 2, 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_half_precision(kind, dtype):
    q, k, v = (t.to(dtype) for t in tensors())
    out = attend(q, k, v, None)
    perturb(out, Attention.of(out, q, k, v, CHOSEN, PICTURE, attend, 3.0), U.float(), kind)
    exact = explicit(q.double(), k.double(), v.double(), kind, None, None)
    assert out.dtype == dtype and (out - exact).norm() / exact.norm() < 8 * torch.finfo(dtype).eps


def test_a_limit_leaves_rows_that_are_not_steered():
    """Also below 1, where it shortens what is steered: a picture does not depend on the others of its batch."""
    q, k, v = tensors()
    before = attend(q, k, v, None)
    out = before.clone()
    attention = Attention.of(out, q, k, v, CHOSEN, slice(None), attend)
    steer(out, attention, torch.tensor([[0.0, 0.0], [0.5, 0.0]], dtype=torch.float64), "uniform", limit=0.5)
    assert torch.equal(out[0], before[0]) and torch.equal(out[1, :, CHOSEN[1]], before[1, :, CHOSEN[1]])
    lengths = [values[1, :, CHOSEN[0]].norm(dim=-1) for values in (out, before)]
    assert (lengths[0] <= 0.5 * lengths[1] + 1e-12).all()
