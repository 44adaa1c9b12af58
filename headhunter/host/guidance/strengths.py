"""A head set as tensors: which heads of a layer are perturbed, and how strongly, for each batch row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ...heads import Head


class LayerStrengths:
    """Strengths of some heads, by layer, on any device.

    `rows`: one mapping of heads to u for the whole batch, or one for each batch row (a hunt's candidates).
    """

    def __init__(self, rows: Sequence[Mapping[Head, float]]):
        self.layers = sorted({head.layer for row in rows for head in row})
        self._table: dict[int, tuple[Tensor, Tensor]] = {}
        for layer in self.layers:
            heads = sorted({head.head for row in rows for head in row if head.layer == layer})
            table = [[row.get(Head(layer, head), 0.0) for head in heads] for row in rows]
            self._table[layer] = torch.tensor(heads), torch.tensor(table, dtype=torch.float32)
        self._moved: dict[tuple[int, torch.device], tuple[Tensor, Tensor]] = {}

    @property
    def first(self) -> int:
        """The first layer that has heads."""
        return self.layers[0]

    @property
    def largest(self) -> float:
        """The largest |u| of any head."""
        return max((float(u.abs().max()) for _, u in self._table.values()), default=0.0)

    def of(self, layer: int, device: torch.device) -> tuple[Tensor, Tensor] | None:
        """Head numbers [n] and u [rows, n] of a layer, or None where it has none; moved once to each device."""
        if layer not in self._table:
            return None
        key = (layer, device)
        if key not in self._moved:
            heads, u = self._table[layer]
            self._moved[key] = heads.to(device), u.to(device)
        return self._moved[key]
