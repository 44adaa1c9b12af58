"""Labelled sheets of pictures, drawn with Pillow, on pages that can be read: no endless strips."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product

from PIL import Image, ImageDraw

from .chart import ACCENT, BACKGROUND, DIM, TEXT, font

PAGE_RATIO = 4 / 3
"""Width over height that a page comes as near to as its parts let it."""
SMALLEST, LARGEST = 72, 320
"""Pixels of a tile's side."""
PAGE_SIDE, PAGE_PIXELS = 3600, 16_000_000
"""Of a page; more only where the smallest tiles need it."""
_GAP = 6
_BETWEEN = 24


def sheet(
    pictures: Sequence[tuple[str, Image.Image]],
    columns: int,
    tile: int,
    highlight: Mapping[str, str] | None = None,
    title: str = "",
) -> Image.Image:
    """Labelled pictures, each at most `tile` pixels a side: the first alone in its row, the others in rows of `columns`.

    `highlight` colours some labels. `title`: beside the first picture.
    """
    size = label_size(tile)
    label = size + 8
    high = _height(tile, [picture for _, picture in pictures])
    rows = 1 + math.ceil((len(pictures) - 1) / columns)
    image = Image.new("RGB", (columns * (tile + _GAP) + _GAP, rows * (high + label + _GAP) + _GAP), BACKGROUND)
    draw = ImageDraw.Draw(image)
    for index, (name, picture) in enumerate(pictures):
        place = index + columns - 1 if index else 0
        x, y = _GAP + place % columns * (tile + _GAP), _GAP + place // columns * (high + label + _GAP)
        _text(draw, (x + 1, y + 2), name, (highlight or {}).get(name, TEXT), size, tile)
        _paste(image, picture, (x, y + label, tile, high))
    if title and columns > 1:
        _text(draw, (2 * _GAP + tile + 1, _GAP + label), title, DIM, size, image.width - 2 * _GAP - tile)
    return image


def table_sheet(
    columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Image.Image]]], most: int = LARGEST
) -> Image.Image:
    """A column a name, a row a label (a prompt): each row's pictures in the columns' order, the first column's name in colour.

    Where there are too many columns or rows for a page, it is cut into blocks, each with the first column before its
    own, which are put on the page as `packed` does. `most`: pixels of a tile's side.
    """
    wide, high = _blocks(len(columns) - 1, len(rows))
    tile = tile_for(1 + wide, len(rows) * (len(columns) + len(columns) // wide), most)
    blocks = []
    for top in range(0, len(rows), high):
        for left in range(1, max(2, len(columns)), wide):
            names = [columns[0], *columns[left : left + wide]]
            some = [(label, [row[0], *row[left : left + wide]]) for label, row in rows[top : top + high]]
            blocks.append(_block(names, some, tile))
    return packed(blocks)


def packed(parts: Sequence[Image.Image]) -> Image.Image:
    """Parts side by side and below each other, in their order, as many a row as bring the page nearest to 4:3."""
    width, height = max(part.width for part in parts), max(part.height for part in parts)
    columns, _ = _side_by_side(len(parts), (width + _BETWEEN) / (height + _BETWEEN))
    lines = [parts[first : first + columns] for first in range(0, len(parts), columns)]
    widths = [max(line[i].width for line in lines if i < len(line)) for i in range(columns)]
    heights = [max(part.height for part in line) for line in lines]
    size = sum(widths) + _BETWEEN * (columns - 1), sum(heights) + _BETWEEN * (len(lines) - 1)
    page = Image.new("RGB", size, BACKGROUND)
    for number, line in enumerate(lines):
        for place, part in enumerate(line):
            at = sum(widths[:place]) + _BETWEEN * place, sum(heights[:number]) + _BETWEEN * number
            page.paste(part, at)
    return page


def tile_for(columns: int, cells: int, most: int = LARGEST) -> int:
    """Pixels of a tile's side, for so many columns side by side, and so many tiles on the page."""
    return max(SMALLEST, min(most, PAGE_SIDE // columns, math.isqrt(PAGE_PIXELS // cells)))


def label_size(tile: int) -> int:
    """Pixels of a label's letters."""
    return max(11, min(20, tile // 8))


def _side_by_side(parts: int, ratio: float) -> tuple[int, float]:
    """How many of equal parts (width / height: `ratio`) to put in a row, and how far the page is from 4:3 then (0: not at all)."""

    def misfit(columns: int) -> float:
        return abs(math.log(columns * ratio / math.ceil(parts / columns) / PAGE_RATIO))

    best = min(range(1, parts + 1), key=misfit)
    return best, misfit(best)


def _blocks(columns: int, rows: int) -> tuple[int, int]:
    """Columns (without the first) and rows of a block: as few blocks as make a page that can be read."""
    cuts = sorted(product(range(1, min(columns, 8) + 1), range(1, min(rows, 32) + 1)), key=math.prod)
    sizes = [(math.ceil(columns / across), math.ceil(rows / down)) for across, down in cuts]
    misfits: dict[tuple[int, int], float] = {}
    for wide, high in sizes:
        count = math.ceil(columns / wide) * math.ceil(rows / high)
        misfits[wide, high] = _side_by_side(count, (1 + wide) / high)[1]
        if misfits[wide, high] <= math.log(2):
            return wide, high
    return min(misfits, key=lambda size: misfits[size])


def _block(names: Sequence[str], rows: Sequence[tuple[str, Sequence[Image.Image]]], tile: int) -> Image.Image:
    """Names above the columns, each row's label above its pictures."""
    size = label_size(tile)
    label = size + 8
    high = _height(tile, [picture for _, pictures in rows for picture in pictures])
    width = len(names) * (tile + _GAP) + _GAP
    line = label + high + _GAP
    image = Image.new("RGB", (width, label + len(rows) * line + _GAP), BACKGROUND)
    draw = ImageDraw.Draw(image)
    for place, name in enumerate(names):
        x = _GAP + place * (tile + _GAP)
        _text(draw, (x + 1, _GAP), name, TEXT if place else ACCENT, size, tile)
        for number, (_, pictures) in enumerate(rows):
            _paste(image, pictures[place], (x, 2 * label + number * line, tile, high))
    for number, (text, _) in enumerate(rows):
        _text(draw, (_GAP + 1, label + number * line + 4), text, DIM, max(11, size - 3), width - 2 * _GAP)
    return image


def _height(tile: int, pictures: Sequence[Image.Image]) -> int:
    """Of a tile, so that every picture fits, but those that are more than twice as high as wide."""
    ratio = max((picture.height / picture.width for picture in pictures), default=1.0)
    return max(1, round(tile * min(ratio, 2.0)))


def _paste(image: Image.Image, picture: Image.Image, box: tuple[int, int, int, int]) -> None:
    """A picture, fitted into a box (left, top, width, height), in its middle from left to right."""
    x, y, width, height = box
    factor = min(width / picture.width, height / picture.height)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    image.paste(picture.resize(size, Image.Resampling.LANCZOS), (x + (width - size[0]) // 2, y))


def _text(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, colour: str, size: int, width: int) -> None:
    """One line, cut where it is wider than `width` pixels."""
    letters = font(size)
    text = " ".join(text.split())[:500]
    if draw.textlength(text, letters) > width:
        while text and draw.textlength(text + "...", letters) > width:
            text = text[:-1]
        text += "..."
    draw.text(at, text, colour, letters)
