"""The attention override of one block in one forward: the backend's own output, then a change of the selected heads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from ...guidance import Group
from ...perturbation import Attention, perturb
from .mask import Mask
from .strengths import LayerStrengths


class Witness:
    """Whether any perturbed attention really ran; set in the forward, read after sampling."""

    called = False


@dataclass(frozen=True)
class Entry:
    """A group with the strengths of its heads: in an extra pass, one prediction of an evaluation. mask: where it acts."""

    group: Group
    strengths: LayerStrengths
    mask: Mask | None = None

    @property
    def picture_alone(self) -> bool:
        """Whether the picture's rows alone are changed; a mask in attention says nothing of others."""
        return self.group.picture_alone or (self.mask is not None and self.group.in_attention)


@dataclass(frozen=True)
class Push:
    """How a group moves its heads in one forward. factor: w / c. share [N, R]: how much of it each row of the picture gets."""

    entry: Entry
    factor: float
    share: Tensor | None


@dataclass(frozen=True)
class Steering:
    """What moves heads in one forward, and which chunks of the batch are conditional."""

    pushes: Sequence[Push]
    chunks: Sequence[bool]
    witness: Witness

    @property
    def layers(self) -> list[int]:
        """Those with a head that is moved."""
        return sorted({layer for push in self.pushes for layer in push.entry.strengths.layers})


@dataclass(frozen=True)
class Call:
    """One call of the joint attention: its q, k, v [B, L, H, D], its mask [B or 1, H or 1, L or 1, L], and how it was made.

    out: what the backend, the host's (or an earlier override's), gave, [B, L, H, D]. settings: what it was given besides its
    tensors.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    mask: Tensor | None
    out: Tensor
    backend: Callable[..., Tensor]
    settings: Mapping[str, Any]

    def of(self, part: slice, entry: Entry, heads: Tensor, picture: slice) -> Attention:
        """What a group changes of it: some heads of the batch rows `part`."""
        mask = self.mask[part] if self.mask is not None and self.mask.shape[0] > 1 else self.mask
        rows = picture if entry.picture_alone else slice(None)
        qkv = self.q[part], self.k[part], self.v[part]
        scale = self.settings.get("scale")  # in place of 1/sqrt(D), where the host says so
        return Attention.of(self.out[part], *qkv, heads, rows, self.attend, entry.group.temperature, scale, mask)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """The backend's attention of q [B, L', n, D] over k and v [B, L, n, D]: [B, L', n, D]."""
        heads_second = (t.transpose(1, 2) for t in (q, k, v))
        shaped = {"skip_reshape": True, "skip_output_reshape": True}
        return self.backend(*heads_second, q.shape[2], mask=mask, **shaped, **self.settings).transpose(1, 2)


class JointCall(ABC):
    """An override, for the host to call in place of its attention, that changes the output of the joint attention.

    previous: an override that was there before. queries, length: rows and tokens of the joint attention; any other (the
    second one of SD3.5 medium, cross attention) stays as it is. picture: the image's rows. first_only: later calls of this
    length are none of ours. calls: how often the joint attention has run.
    """

    def __init__(self, previous: Callable | None, queries: int, length: int, picture: slice, first_only: bool):
        self.previous = previous
        self.queries = queries
        self.length = length
        self.picture = picture
        self.first_only = first_only
        self.calls = 0

    @abstractmethod
    def change(self, result: Tensor, call: Call) -> None:
        """Change the call's output `result` [B, L, H, D] in place."""

    def __call__(
        self,
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
        backend = func if self.previous is None else partial(self.previous, func)
        settings = {"attn_precision": attn_precision, **kwargs}
        shaped = {"skip_reshape": skip_reshape, "skip_output_reshape": skip_output_reshape}
        out = backend(q, k, v, heads, mask=mask, **shaped, **settings)
        q, k, v = (_heads_third(t, heads, skip_reshape) for t in (q, k, v))
        joint = q.shape[1] == self.queries and k.shape[1] == v.shape[1] == self.length
        if not joint or (self.first_only and self.calls):
            return out
        self.calls += 1
        k, v = (_every_head(t, heads) for t in (k, v))
        before = _heads_third(out, heads, skip_output_reshape)
        result = before.clone()  # since an override of another pack may keep what it returned
        self.change(result, Call(q, k, v, _full(mask), before, backend, settings))
        return result.transpose(1, 2) if skip_output_reshape else result.flatten(2)


class PerturbedAttention(JointCall):
    """The joint attention of a perturbed pass: chunk i of the batch as `entries[chunks[i]]` says (None: not)."""

    def __init__(
        self,
        previous: Callable | None,
        queries: int,
        length: int,
        picture: slice,
        first_only: bool,
        layer: int,
        entries: Sequence[Entry | None],
        chunks: Sequence[int],
        witness: Witness,
    ):
        super().__init__(previous, queries, length, picture, first_only)
        self.layer = layer
        self.entries = entries
        self.chunks = chunks
        self.witness = witness

    def change(self, result: Tensor, call: Call) -> None:
        batch = result.shape[0] // len(self.chunks)
        for index, chunk in enumerate(self.chunks):
            entry = self.entries[chunk]
            strengths = entry.strengths.of(self.layer, result.device) if entry else None
            if entry is None or strengths is None:
                continue
            heads, u = strengths
            part = slice(index * batch, (index + 1) * batch)
            perturb(result[part], call.of(part, entry, heads, self.picture), u, entry.group.perturbation)
            self.witness.called = True


class IndexedAttention:
    """The override of a whole forward, for families whose attention knows the number of its block and nothing else.

    previous: an override that was there before. layers: the joint attention of each changed layer.
    """

    def __init__(self, previous: Callable | None, layers: Mapping[int, JointCall]):
        self.previous = previous
        self.layers = layers

    def __call__(self, func: Callable, *args: Any, **kwargs: Any) -> Tensor:
        layer: Any = (kwargs.get("transformer_options") or {}).get("block_index")
        joint = self.layers.get(layer)
        if joint is not None:
            return joint(func, *args, **kwargs)
        return func(*args, **kwargs) if self.previous is None else self.previous(func, *args, **kwargs)


def _heads_third(t: Tensor, heads: int, heads_second: bool) -> Tensor:
    """[B, H, L, D], [B, L, H*D] or [B, L, H, D] -> a view [B, L, H, D]."""
    if heads_second:
        return t.transpose(1, 2)
    return t if t.ndim == 4 else t.unflatten(-1, (heads, -1))


def _every_head(t: Tensor, heads: int) -> Tensor:
    """Keys or values that several heads share, once for each head."""
    return t if t.shape[2] == heads else t.repeat_interleave(heads // t.shape[2], dim=2)


def _full(mask: Tensor | None) -> Tensor | None:
    """The host's masks, [L, L], [B, L, L] or [B, H, L, L], with four dimensions."""
    if mask is None or mask.ndim == 4:
        return mask
    return mask[None, None] if mask.ndim == 2 else mask[:, None]
