"""Head text <-> head set (docs/design.md).

    L11H15         one head                 L7H0-3      heads 0 to 3 of layer 7
    L9             a whole layer            L0-23H5     head 5 of layers 0 to 23
    *              every head               L11H15@0.5  this head at a strength of its own
    D3H5  S15H2    FLUX double block 3, single block 15 (S needs a grid; both are written back as L)

Items are separated by commas, spaces or line ends; `#` starts a comment; case does not matter; order never matters.
The same table of cases, tests/data/heads_cases.json, drives this parser and the browser's.

Limits: a text of at most 100,000 characters, layers and heads up to 9,999. Any text within them is read, or refused, in
less than 0.2 s, on any grid of a model that is known: what a text covers is kept as the bits of a few long numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from .grid import Grid, Segment

MAX_TEXT = 100_000
MAX_NUMBER = 9_999

_TOKEN = re.compile(r"#[^\r\n]*|[^\s,#]+")
LINE_END = re.compile(r"\r\n|\r|\n")
_ITEM = re.compile(
    r"(?:(?P<all>\*)|(?P<letter>[A-GI-Z])(?P<layer>[0-9]+)(?:-(?P<layer_end>[0-9]+))?"
    r"(?:H(?:(?P<every>\*)|(?P<head>[0-9]+)(?:-(?P<head_end>[0-9]+))?))?)(?:@(?P<strength>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_STRENGTH = re.compile(r"-?(?:[0-9]+(?:\.[0-9]{1,3})?|\.[0-9]{1,3})")
_HINT = "Heads are written like L11H15, L7H0-3, L9 (a whole layer), * (all), with @0.5 for a strength of their own"
_SHOWN = 60  # characters of an item in an error's message


class Head(NamedTuple):
    """A head of the paper: layer and head, both from 0. As a string it is head text: `L11H15`."""

    layer: int
    head: int

    def __str__(self) -> str:
        return f"L{self.layer}H{self.head}"


class HeadTextError(ValueError):
    """A head text that cannot be read; names the item, its line and column (from 1), and what is allowed.

    `reason`: the message without the item and its place.
    """

    def __init__(self, message: str, item: str = "", line: int = 0, column: int = 0):
        shown = item if len(item) <= _SHOWN else item[:_SHOWN] + "..."
        place = f'"{shown}" (line {line}, column {column}): ' if item else ""
        super().__init__(place + message)
        self.item, self.line, self.column, self.reason = item, line, column, message


class HeadSet(Mapping[Head, "float | None"]):
    """Heads, each with a strength of its own in -1..1, or None for the node's. Sorted, immutable, hashable.

    Made from a mapping, or from heads alone: `HeadSet({Head(9, 3): 0.5})`, `HeadSet([Head(9, 3)])`. Two sets are equal
    where their heads and strengths are.

        first | second    heads of either; HeadTextError where they give one head two strengths of its own
        first - second    heads of the first that the second does not hold, whatever their strengths
        first & second    heads of both, with the first's strengths, or the second's where the first has none of its own
    """

    __slots__ = ("_hash", "_strengths")

    def __init__(self, heads: Mapping[Head, float | None] | Iterable[Head] = ()):
        strengths = heads if isinstance(heads, Mapping) else dict.fromkeys(heads)
        self._strengths = {head: strengths[head] for head in sorted(strengths)}
        self._hash: int | None = None

    def __getitem__(self, head: Head) -> float | None:
        return self._strengths[head]

    def __iter__(self) -> Iterator[Head]:
        return iter(self._strengths)

    def __len__(self) -> int:
        return len(self._strengths)

    def __contains__(self, head: object) -> bool:
        return head in self._strengths

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(tuple(self._strengths.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self._strengths == dict(other) if isinstance(other, Mapping) else NotImplemented

    def __repr__(self) -> str:
        return f"HeadSet({', '.join(map(self.item, self))})"

    def __or__(self, other: HeadSet) -> HeadSet:
        both = dict(self._strengths)
        for head, strength in other.items():
            own = both.get(head)
            if own is not None and strength is not None and own != strength:
                raise two_strengths(str(head), own, strength)
            both[head] = own if strength is None else strength
        return HeadSet(both)

    def __sub__(self, other: HeadSet) -> HeadSet:
        return HeadSet({head: strength for head, strength in self.items() if head not in other})

    def __and__(self, other: HeadSet) -> HeadSet:
        return HeadSet(
            {head: other[head] if strength is None else strength for head, strength in self.items() if head in other}
        )

    def item(self, head: Head) -> str:
        """One of its heads as head text, with its own strength if it has one."""
        return f"{head}{_at(self[head])}"

    def at(self, strength: float) -> dict[Head, float]:
        """Each head's strength, where `strength` is the node's."""
        return {head: strength if own is None else own for head, own in self.items()}


OPERATIONS: dict[str, Callable[[HeadSet, HeadSet], HeadSet]] = {
    "add": HeadSet.__or__,
    "remove": HeadSet.__sub__,
    "keep common": HeadSet.__and__,
}


class Item(NamedTuple):
    """One item as written. `letter`: L, a letter of the grid's (FLUX: D and S), or "" for `*`. Ranges are inclusive.

    `heads`: None for the whole layer. `source`: the whole text; `start`: where in it the item begins.
    """

    letter: str
    layers: tuple[int, int]
    heads: tuple[int, int] | None
    strength: float | None
    text: str
    source: str
    start: int

    def error(self, message: str) -> HeadTextError:
        return _error(message, self.text, self.source, self.start)

    def _segment(self, grid: Grid) -> tuple[int, Segment]:
        """The first layer of the segment that the item's letter names, and the segment."""
        for first, segment in grid.numbered():
            if segment.letter == self.letter:
                return first, segment
        letters = dict.fromkeys(["L", *(segment.letter for segment in grid.segments if segment.letter)])
        raise self.error(
            f"not a head: {grid.model} has no blocks called {self.letter}; "
            f"its layers are written {' or '.join(letters)}"
        )

    def on(self, grid: Grid) -> tuple[range, range]:
        """The layers and heads it stands for on `grid`. HeadTextError where some lie outside."""
        first, last = self.layers if self.letter else (0, grid.layers - 1)
        if self.letter not in ("L", ""):
            before, segment = self._segment(grid)
            if last >= segment.count:
                missing = max(first, segment.count)
                raise self.error(
                    f"{grid.model} has no {segment.kind} block {missing}; its {segment.kind} blocks are 0 to {segment.count - 1}"
                )
            first, last = first + before, last + before
        if last >= grid.layers:
            raise self.error(
                f"{grid.model} has no layer {max(first, grid.layers)}; its layers are 0 to {grid.layers - 1}"
            )
        low, high = self.heads or (0, grid.heads - 1)
        if high >= grid.heads:
            raise self.error(f"{grid.model} has no head {max(low, grid.heads)}; its heads are 0 to {grid.heads - 1}")
        return range(first, last + 1), range(low, high + 1)


def _error(message: str, item: str, source: str, start: int) -> HeadTextError:
    lines = LINE_END.split(source[:start])
    return HeadTextError(message, item, len(lines), len(lines[-1]) + 1)


def parse_items(text: str) -> list[Item]:
    """The items of a head text, each once, without a grid. HeadTextError names the first bad item."""
    if len(text) > MAX_TEXT:
        raise HeadTextError(f"the text has {len(text)} characters; at most {MAX_TEXT} are read")
    items: dict[str, Item] = {}
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token not in items and token[0] != "#":
            items[token] = _item(token, text, match.start())
    return list(items.values())


def _item(text: str, source: str, start: int) -> Item:
    match = _ITEM.fullmatch(text)
    if not match:
        raise _error(f"not a head. {_HINT}", text, source, start)
    every, letter, layer, layer_end, _, head, head_end, written = match.groups()
    strength = None
    if written is not None:
        if not _STRENGTH.fullmatch(written) or not -1 <= float(written) <= 1:
            message = "the strength after @ is a decimal from -1 to 1 with at most 3 places, as in @0.5 or @-0.25"
            raise _error(message, text, source, start)
        strength = float(written) or 0.0
    try:
        layers = (0, MAX_NUMBER) if every else _range(layer, layer_end, "layer")
        heads = None if head is None else _range(head, head_end, "head")
    except ValueError as error:
        raise _error(str(error), text, source, start) from None
    return Item("" if every else letter.upper(), layers, heads, strength, text, source, start)


def _range(first: str, last: str | None, what: str) -> tuple[int, int]:
    """Both ends of a range as written. ValueError where one is too large, or they are in the wrong order."""
    low = _whole(first, what)
    high = low if last is None else _whole(last, what)
    if high < low:
        raise ValueError(f"the {what} range {low}-{high} is reversed; write {high}-{low}")
    return low, high


def _whole(digits: str, what: str) -> int:
    digits = digits.lstrip("0") or "0"
    # Looked at before it is read: Python refuses to read a number of thousands of digits.
    if len(digits) > len(str(MAX_NUMBER)):
        shown = digits if len(digits) <= 20 else f"{digits[:20]}..."
        raise ValueError(f"{what} {shown} is over {MAX_NUMBER}, the most that is read")
    return int(digits)


@dataclass
class Cells:
    """Cells of a table with `width` columns, with strengths, as the bits of long numbers: bit `row * width + column`.

    inside: the cells that are in. strong: those with a strength of their own. by: them, by strength.
    """

    width: int
    inside: int = 0
    strong: int = 0
    by: dict[float, int] = field(default_factory=dict)

    def add(self, rows: range, columns: range, strength: float | None) -> tuple[int, int] | None:
        """Add a rectangle. Where a cell in it has another strength already, nothing is added, and that cell given."""
        cells = self.rectangle(rows, columns)
        if strength is not None:
            clash = cells & self.strong & ~self.by.get(strength, 0)
            if clash:
                return self.first(clash)
            self.strong |= cells
            self.by[strength] = self.by.get(strength, 0) | cells
        self.inside |= cells
        return None

    def rectangle(self, rows: range, columns: range) -> int:
        cells, height = ((1 << len(columns)) - 1) << columns.start, 1
        while height < len(rows):
            cells |= cells << height * self.width
            height *= 2
        return (cells & ((1 << len(rows) * self.width) - 1)) << rows.start * self.width

    def first(self, cells: int) -> tuple[int, int]:
        """Row and column of the first of some cells."""
        return divmod((cells & -cells).bit_length() - 1, self.width)

    def strength_of(self, row: int, column: int) -> float | None:
        bit = 1 << row * self.width + column
        return next((strength for strength, cells in self.by.items() if cells & bit), None)

    def strengths(self) -> dict[int, float | None]:
        """Strength, or None, of every cell that is in, by the cell's bit; not sorted."""
        strengths: dict[int, float | None] = dict.fromkeys(_bits(self.inside & ~self.strong))
        for strength, cells in self.by.items():
            strengths |= dict.fromkeys(_bits(cells), strength)
        return strengths


def _bits(number: int) -> Iterator[int]:
    """Which bits of a number are set, from the lowest."""
    digits = bin(number)[:1:-1]
    bit = digits.find("1")
    while bit >= 0:
        yield bit
        bit = digits.find("1", bit + 1)


def parse(text: str, grid: Grid) -> HeadSet:
    """The head set of a text on a grid. HeadTextError names the bad item, its place and what is allowed."""
    cells = Cells(grid.heads)
    for item in parse_items(text):
        clash = cells.add(*item.on(grid), item.strength)
        if clash:
            raise already(item, str(Head(*clash)), cells.strength_of(*clash))
    return HeadSet({Head(*divmod(bit, grid.heads)): strength for bit, strength in cells.strengths().items()})


def already(item: Item, head: str, strength: float | None) -> HeadTextError:
    """The error where an item gives a head a second strength."""
    return item.error(f"{head} already has the strength {number(strength or 0.0)}; one head has one strength")


def two_strengths(head: str, first: float, second: float) -> HeadTextError:
    """The error where two sets give one head a strength each."""
    return HeadTextError(
        f"{head} has the strength {number(first)} in the first set and {number(second)} in the second; "
        "one head has one strength"
    )


def format_heads(heads: Mapping[Head, float | None], grid: Grid) -> str:
    """The canonical text: sorted, one item a run of heads in one layer with one strength; `L9` a layer, `*` all."""
    strengths = set(heads.values())
    if len(heads) == grid.layers * grid.heads and len(strengths) == 1:
        return "*" + _at(strengths.pop())
    items = []
    for layer, row in groupby(sorted(heads), lambda head: head.layer):
        strengths_of = {head.head: heads[head] for head in row}
        if len(strengths_of) == grid.heads and len(set(strengths_of.values())) == 1:
            items.append(f"L{layer}" + _at(strengths_of[0]))
        else:
            items += [f"L{layer}H{run}" for run in runs(strengths_of)]
    return ", ".join(items)


def canonical(text: str, grid: Grid) -> str:
    """A head text in canonical form. HeadTextError as `parse`."""
    return format_heads(parse(text, grid), grid)


def runs(row: Mapping[int, float | None]) -> Iterator[str]:
    """`0-3@0.5`, `7`, ...: the runs of neighbouring heads with one strength; `row` is sorted."""
    # Within a run, a head's number grows as its place does.
    for (strength, _), run in groupby(enumerate(row), lambda placed: (row[placed[1]], placed[1] - placed[0])):
        heads = [head for _, head in run]
        yield (f"{heads[0]}-{heads[-1]}" if len(heads) > 1 else f"{heads[0]}") + _at(strength)


def _at(strength: float | None) -> str:
    return "" if strength is None else f"@{number(strength)}"


def number(value: float) -> str:
    """`0.5`, `-0.125`, `1`: a strength as head text writes it."""
    return f"{value:.3f}".rstrip("0").rstrip(".")
