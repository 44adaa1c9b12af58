"""Head text <-> head set, and set operations (DESIGN section 4).

    L11H15         one head                 L7H0-3      heads 0 to 3 of layer 7
    L9             a whole layer            L0-23H5     head 5 of layers 0 to 23
    *              every head               L11H15@0.5  this head at a strength of its own
    D3H5  S15H2    FLUX double block 3, single block 15 (S needs a grid; both are written back as L)

Items are separated by commas, spaces or line ends; `#` starts a comment; case does not matter; order never matters.
The same table of cases, tests/data/heads_cases.json, drives this parser and the browser's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .grid import Grid, Segment

MAX_TEXT = 100_000
MAX_NUMBER = 9_999

_ITEM = re.compile(
    r"(?:(?P<all>\*)|(?P<letter>[LDS])(?P<layer>[0-9]+)(?:-(?P<layer_end>[0-9]+))?"
    r"(?:H(?:(?P<every>\*)|(?P<head>[0-9]+)(?:-(?P<head_end>[0-9]+))?))?)(?:@(?P<strength>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_STRENGTH = re.compile(r"-?(?:[0-9]+(?:\.[0-9]{1,3})?|\.[0-9]{1,3})")
_HINT = "Heads are written like L11H15, L7H0-3, L9 (a whole layer), * (all), with @0.5 for a strength of their own"


class Head(NamedTuple):
    """A head of the paper: layer and head, both from 0."""

    layer: int
    head: int


HeadSet = dict[Head, "float | None"]
"""Heads with their own strength in -1..1, or None for the node's strength."""


class WithStrengths(frozenset[Head]):
    """A set of heads that has a strength of its own for each, -1..1; not equal to the same heads without."""

    strengths: Mapping[Head, float]

    def __new__(cls, strengths: Mapping[Head, float]) -> WithStrengths:
        made = super().__new__(cls, strengths)
        made.strengths = dict(strengths)
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WithStrengths) and self.strengths == other.strengths

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(frozenset(self.strengths.items()))


def head_set(heads: Iterable[Head]) -> HeadSet:
    """Heads as a head set: with their own strengths where they have some, else with the node's."""
    return dict(heads.strengths) if isinstance(heads, WithStrengths) else dict.fromkeys(heads)


class HeadTextError(ValueError):
    """A head text that cannot be read; names the item, its line and column (from 1), and what is allowed."""

    def __init__(self, message: str, item: str = "", line: int = 0, column: int = 0):
        place = f'"{item}" (line {line}, column {column}): ' if item else ""
        super().__init__(place + message)
        self.item, self.line, self.column = item, line, column


@dataclass(frozen=True)
class Item:
    """One item as written. `letter`: L, D, S, or "" for `*`. Ranges are inclusive; `heads` None is the whole layer."""

    letter: str
    layers: tuple[int, int]
    heads: tuple[int, int] | None
    strength: float | None
    text: str
    line: int
    column: int

    def error(self, message: str) -> HeadTextError:
        return HeadTextError(message, self.text, self.line, self.column)

    def _segment(self, grid: Grid) -> tuple[int, Segment]:
        """The first layer of the segment that the item's letter names, and the segment."""
        for first, segment in grid.numbered():
            if segment.letter == self.letter:
                return first, segment
        letters = ["L", *(segment.letter for segment in grid.segments if segment.letter)]
        raise self.error(
            f"{grid.model} has no blocks called {self.letter}; its layers are written {' or '.join(letters)}"
        )

    def cells(self, grid: Grid) -> Iterator[Head]:
        """The heads it stands for on `grid`. HeadTextError where one lies outside."""
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
        for layer in range(first, last + 1):
            for head in range(low, high + 1):
                yield Head(layer, head)


def parse_items(text: str) -> list[Item]:
    """The items of a head text, without a grid. HeadTextError names the first bad item."""
    if len(text) > MAX_TEXT:
        raise HeadTextError(f"the text has {len(text)} characters; at most {MAX_TEXT} are read")
    items = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        for match in re.finditer(r"[^\s,]+", line.split("#", 1)[0]):
            items.append(_item(match.group(), number, match.start() + 1))
    return items


def _item(text: str, line: int, column: int) -> Item:
    def error(message: str) -> HeadTextError:
        return HeadTextError(message, text, line, column)

    match = _ITEM.fullmatch(text)
    if not match:
        raise error(f"not a head. {_HINT}")
    part = match.groupdict()

    def read_range(first: str, last: str | None, what: str) -> tuple[int, int]:
        low, high = int(first[:9]), int((last or first)[:9])
        if max(low, high) > MAX_NUMBER:
            raise error(f"{what} {max(low, high)} is over {MAX_NUMBER}, the most that is read")
        if high < low:
            raise error(f"the {what} range {low}-{high} is reversed; write {high}-{low}")
        return low, high

    strength = None
    if part["strength"] is not None:
        if not _STRENGTH.fullmatch(part["strength"]) or not -1 <= float(part["strength"]) <= 1:
            raise error("the strength after @ is a decimal from -1 to 1 with at most 3 places, as in @0.5 or @-0.25")
        strength = float(part["strength"]) or 0.0
    if part["all"]:
        return Item("", (0, MAX_NUMBER), None, strength, text, line, column)
    layers = read_range(part["layer"], part["layer_end"], "layer")
    heads = read_range(part["head"], part["head_end"], "head") if part["head"] is not None else None
    return Item(part["letter"].upper(), layers, heads, strength, text, line, column)


def parse(text: str, grid: Grid) -> HeadSet:
    """The head set of a text on a grid. HeadTextError names the bad item, its place and what is allowed."""
    heads: HeadSet = {}
    for item in parse_items(text):
        for head in item.cells(grid):
            own = heads.get(head)
            if own is not None and item.strength is not None and own != item.strength:
                raise item.error(
                    f"L{head.layer}H{head.head} already has the strength {_number(own)}; one head has one strength"
                )
            heads[head] = own if item.strength is None else item.strength
    return heads


def format_heads(heads: Mapping[Head, float | None], grid: Grid) -> str:
    """The canonical text: sorted, one item a run of heads in one layer with one strength; `L9` a layer, `*` all."""
    strengths = set(heads.values())
    if len(heads) == grid.layers * grid.heads and len(strengths) == 1:
        return "*" + _at(strengths.pop())
    items = []
    for layer in sorted({head.layer for head in heads}):
        row = {head.head: strength for head, strength in heads.items() if head.layer == layer}
        if len(row) == grid.heads and len(set(row.values())) == 1:
            items.append(f"L{layer}" + _at(next(iter(row.values()))))
        else:
            items += [f"L{layer}H{run}" for run in _runs(row)]
    return ", ".join(items)


def canonical(text: str, grid: Grid) -> str:
    """A head text in canonical form. HeadTextError as `parse`."""
    return format_heads(parse(text, grid), grid)


def _runs(row: Mapping[int, float | None]) -> Iterator[str]:
    """`0-3@0.5`, `7`, ...: the runs of neighbouring heads with one strength."""
    run: list[int] = []
    for head in sorted(row):
        if run and (head != run[-1] + 1 or row[head] != row[run[0]]):
            yield _run(run, row[run[0]])
            run = []
        run.append(head)
    if run:
        yield _run(run, row[run[0]])


def _run(run: list[int], strength: float | None) -> str:
    return (f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}") + _at(strength)


def _at(strength: float | None) -> str:
    return "" if strength is None else f"@{_number(strength)}"


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


Operation = Callable[[HeadSet, HeadSet], HeadSet]


def add(first: HeadSet, second: HeadSet) -> HeadSet:
    """Heads of either set. ValueError where they give one head two strengths of its own."""
    both = dict(first)
    for head, strength in second.items():
        own = both.get(head)
        if own is not None and strength is not None and own != strength:
            raise HeadTextError(
                f"L{head.layer}H{head.head} has the strength {_number(own)} in the first set and {_number(strength)} in the second; "
                "one head has one strength"
            )
        both[head] = own if strength is None else strength
    return both


def remove(first: HeadSet, second: HeadSet) -> HeadSet:
    """Heads of the first set that the second does not hold, whatever their strengths."""
    return {head: strength for head, strength in first.items() if head not in second}


def keep_common(first: HeadSet, second: HeadSet) -> HeadSet:
    """Heads of both sets, with the first set's strengths, or the second's where the first has none of its own."""
    return {head: second[head] if strength is None else strength for head, strength in first.items() if head in second}


OPERATIONS: dict[str, Operation] = {"add": add, "remove": remove, "keep common": keep_common}


def combine(first: str, second: str, operation: str, grid: Grid | None) -> str:
    """Combine two head texts by `add`, `remove` or `keep common`.

    With a grid the result is canonical. Without one, whole layers and `*` stay symbols (`L9`, `*`), and what cannot
    be answered that way (`*` minus a head, `S15H2`) is a HeadTextError that asks for the model.
    """
    if grid is not None:
        return format_heads(OPERATIONS[operation](parse(first, grid), parse(second, grid)), grid)
    return _format_symbols(_combine_symbols(_symbols(first), _symbols(second), operation))


# Without a grid: a whole layer is the head ALL of that layer, every head is the head ALL of the layer ALL.
ALL = -1
MAX_SYMBOLS = 20_000
_EVERYTHING = Head(ALL, ALL)
_NEEDS_GRID = "needs the model's grid: connect the model"


def _symbols(text: str) -> HeadSet:
    heads: HeadSet = {}
    source: dict[Head, Item] = {}
    for item in parse_items(text):
        if item.letter in ("D", "S"):
            raise item.error(_NEEDS_GRID)
        low, high = item.heads or (ALL, ALL)
        first, last = item.layers if item.letter else (ALL, ALL)
        if len(heads) + (last - first + 1) * (high - low + 1) > MAX_SYMBOLS:
            raise item.error(f"more than {MAX_SYMBOLS} heads; {_NEEDS_GRID}")
        for head in (Head(layer, head) for layer in range(first, last + 1) for head in range(low, high + 1)):
            own = heads.get(head)
            if own is not None and item.strength is not None and own != item.strength:
                raise item.error(f"{_symbol(head)} already has the strength {_number(own)}; one head has one strength")
            heads[head] = own if item.strength is None else item.strength
            source[head] = item
    return _simplify(heads, lambda head, message: source[head].error(message))


def _wholes(head: Head) -> Iterator[Head]:
    """What covers a head: its layer and `*`, nearest first."""
    if head != _EVERYTHING:
        if head.head != ALL:
            yield Head(head.layer, ALL)
        yield _EVERYTHING


def _simplify(heads: HeadSet, error: Callable[[Head, str], HeadTextError]) -> HeadSet:
    """Without the parts that their wholes already say; an error where a part and its whole have two strengths."""
    result: HeadSet = {}
    for head, strength in heads.items():
        wholes = [whole for whole in _wholes(head) if whole in heads]
        for whole in wholes:
            own = heads[whole]
            if strength is not None and own is not None and own != strength:
                raise error(
                    head,
                    f"{_symbol(whole)} has the strength {_number(own)}, {_symbol(head)} {_number(strength)}; one head has one strength",
                )
        if not any(strength in (None, heads[whole]) for whole in wholes):
            result[head] = strength
    return result


def _combine_symbols(first: HeadSet, second: HeadSet, operation: str) -> HeadSet:
    result: HeadSet = {}
    if operation == "add":
        result = add(first, second)
    else:
        parts: dict[Head, list[Head]] = {}
        for part in second:
            for whole in _wholes(part):
                parts.setdefault(whole, []).append(part)
        for head, strength in first.items():
            covers = [other for other in (head, *_wholes(head)) if other in second]
            inner = parts.get(head, [])
            if operation == "remove":
                if not covers and inner:
                    raise HeadTextError(f"{_symbol(head)} without {_symbol(inner[0])} {_NEEDS_GRID}")
                if not covers:
                    result[head] = strength
                continue
            for kept in [head] if covers else inner:
                own = second[covers[0] if covers else kept]
                result = add(result, {kept: own if strength is None else strength})
    return _simplify(result, lambda head, message: HeadTextError(message))


def _symbol(head: Head) -> str:
    if head == _EVERYTHING:
        return "*"
    return f"L{head.layer}" + ("" if head.head == ALL else f"H{head.head}")


def _format_symbols(heads: HeadSet) -> str:
    items = []
    for layer in sorted({head.layer for head in heads}):
        row = {head.head: strength for head, strength in heads.items() if head.layer == layer}
        if ALL in row:
            items.append(_symbol(Head(layer, ALL)) + _at(row.pop(ALL)))
        items += [f"L{layer}H{run}" for run in _runs(row)]
    return ", ".join(items)
