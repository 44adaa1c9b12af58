"""Combining two head texts, also where no model tells the grid.

Without a grid, `L9` may be any number of heads and `*` any number of layers. So the texts are read on a table of the
layers and heads that they name, with one more column for all other heads and one more row for all other layers. What holds
for its cells holds on every grid. A result that the text of heads cannot say without a grid (`*` without L3H1, S15H2) is
an error that asks for the model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .grid import Grid
from .heads import (
    MAX_TEXT,
    OPERATIONS,
    Cells,
    Head,
    HeadTextError,
    Item,
    already,
    format_heads,
    number,
    parse,
    parse_items,
    runs,
    two_strengths,
)

MAX_CELLS = 2**15
"""Of the table. The largest model of today has 56 layers of 48 heads, which are 2,793 cells."""

OUT = math.inf
"""In place of the strength of a cell that is not in a set."""

_NEEDS_GRID = "needs the model's grid: connect the model"


def combine(first: str, second: str, operation: str, grid: Grid | None) -> str:
    """Combine two head texts by `add`, `remove` or `keep common`, see `HeadSet`.

    With a grid the result is canonical. Without one it may hold `*` beside other items, and is the same as with every grid
    that has the heads which the texts name. HeadTextError names what is wrong, or asks for the model.
    """
    if grid is not None:
        return format_heads(OPERATIONS[operation](parse(first, grid), parse(second, grid)), grid)
    texts = [parse_items(first), parse_items(second)]
    table = _Table(texts)
    return table.text(_OPERATIONS[operation](table, *map(table.read, texts)))


class _Table:
    """The layers and heads that some texts name; the last row is any other layer, the last column any other head."""

    def __init__(self, texts: Sequence[Sequence[Item]]):
        self.layers = self.heads = 0
        for item in (item for items in texts for item in items):
            if item.letter not in ("L", ""):
                raise item.error(_NEEDS_GRID)
            if item.letter:
                self.layers = max(self.layers, item.layers[1] + 1)
            if item.heads:
                self.heads = max(self.heads, item.heads[1] + 1)
        if (self.layers + 1) * (self.heads + 1) > MAX_CELLS:
            raise HeadTextError(f"combining heads up to {Head(self.layers - 1, self.heads - 1)} {_NEEDS_GRID}")

    def read(self, items: Sequence[Item]) -> Cells:
        cells = Cells(self.heads + 1)
        for item in items:
            layers = range(item.layers[0], item.layers[1] + 1) if item.letter else range(self.layers + 1)
            heads = range(item.heads[0], item.heads[1] + 1) if item.heads else range(self.heads + 1)
            clash = cells.add(layers, heads, item.strength)
            if clash:
                raise already(item, self.name(*clash), cells.strength_of(*clash))
        return cells

    def name(self, layer: int, head: int) -> str:
        if layer == self.layers:
            return "*"
        return f"L{layer}" if head == self.heads else str(Head(layer, head))

    def add(self, first: Cells, second: Cells) -> Cells:
        by = dict(first.by)
        for strength, cells in second.by.items():
            clash = cells & first.strong & ~first.by.get(strength, 0)
            if clash:
                place = first.first(clash)
                raise two_strengths(self.name(*place), first.strength_of(*place) or 0.0, strength)
            by[strength] = by.get(strength, 0) | cells
        return Cells(first.width, first.inside | second.inside, first.strong | second.strong, by)

    def remove(self, first: Cells, second: Cells) -> Cells:
        return self._within(first, first.inside & ~second.inside)

    def keep_common(self, first: Cells, second: Cells) -> Cells:
        both = first.inside & second.inside
        theirs = self._within(second, both & ~first.strong)
        return self.add(self._within(first, both), theirs)

    def _within(self, cells: Cells, allowed: int) -> Cells:
        by = {strength: some & allowed for strength, some in cells.by.items()}
        return Cells(cells.width, cells.inside & allowed, cells.strong & allowed, by)

    def text(self, cells: Cells) -> str:
        """Head text of the cells, without items that others say already. HeadTextError where there is none."""
        width, strengths = self.heads + 1, cells.strengths()
        table = [strengths.get(bit, OUT) for bit in range((self.layers + 1) * width)]
        rows = [table[first : first + width] for first in range(0, len(table), width)]
        other_layers = rows[-1][-1]
        items = [] if other_layers == OUT else [_item("*", other_layers)]
        for layer, row in enumerate(rows[:-1]):
            other_heads = row[-1]
            _check("*", other_layers, f"L{layer}", other_heads)
            if other_heads != other_layers:
                items.append(_item(f"L{layer}", other_heads))
            parts = {head: strength for head, strength in enumerate(row) if strength != other_heads}
            for head, strength in parts.items():
                _check(f"L{layer}", other_heads, str(Head(layer, head)), strength)
            items += [f"L{layer}H{run}" for run in runs(parts)]
        text = ", ".join(items)
        if len(text) > MAX_TEXT:
            raise HeadTextError(f"a text of the result is too long to be read again; it {_NEEDS_GRID}")
        return text


def _check(whole: str, strength: float | None, part: str, own: float | None) -> None:
    """HeadTextError where head text cannot say that a part is out, or has another strength, while its whole is in."""
    if strength in (own, OUT) or (strength is None and own != OUT):
        return
    if own == OUT:
        raise HeadTextError(f"{whole} without {part} {_NEEDS_GRID}")
    raise HeadTextError(f"{whole} with another strength than {part} {_NEEDS_GRID}")


def _item(name: str, strength: float | None) -> str:
    return name if strength is None else f"{name}@{number(strength)}"


_OPERATIONS = {"add": _Table.add, "remove": _Table.remove, "keep common": _Table.keep_common}
