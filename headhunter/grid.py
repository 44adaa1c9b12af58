"""A model's grid: its attention layers in runs of one kind, each layer with the same number of heads.

Layers are counted from 0 as in the paper, over all runs: FLUX's double blocks and then its single blocks (FLUX.1: 0..18
double, 19..56 single).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


class GridError(ValueError):
    """A file or model whose grid cannot be told; the message says which and why."""


class UnknownModel(GridError):
    """A file that can be read, of a model that is no family's."""


@dataclass(frozen=True)
class Segment:
    """A run of layers of one kind. `letter`: what numbers them by themselves in head text (FLUX: D and S), or ""."""

    kind: str
    count: int
    letter: str = ""


@dataclass(frozen=True)
class Grid:
    """`model`: architecture id (docs/design.md). `segments`: its layers, in order. `heads`: heads in every layer."""

    model: str
    segments: tuple[Segment, ...]
    heads: int

    @property
    def layers(self) -> int:
        return sum(segment.count for segment in self.segments)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each layer."""
        return tuple(segment.kind for segment in self.segments for _ in range(segment.count))

    def numbered(self) -> Iterator[tuple[int, Segment]]:
        """Each segment with the number of its first layer."""
        first = 0
        for segment in self.segments:
            yield first, segment
            first += segment.count

    def __str__(self) -> str:
        return f"{self.model} ({self.layers} layers x {self.heads} heads)"


def describe(grid: Grid) -> dict[str, Any]:
    """A grid as JSON data for the page: {model, layers, heads, kinds: one a layer, segments: [{kind, letter, count}]}."""
    return {
        "model": grid.model,
        "layers": grid.layers,
        "heads": grid.heads,
        "kinds": list(grid.kinds),
        "segments": [
            {"kind": segment.kind, "letter": segment.letter or None, "count": segment.count}
            for segment in grid.segments
        ],
    }
