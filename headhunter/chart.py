"""Pictures of a hunt, drawn with Pillow: scores by round, the heat map of a round."""

from __future__ import annotations

import math
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont

from .grid import Grid
from .heads import Head
from .hunt import Hunt
from .rounds import rank

BACKGROUND, PANEL, LINE, TEXT, DIM = "#1c1c21", "#26262c", "#3c3c45", "#ececf0", "#9a9aa6"
BLUE, ORANGE, MIDDLE = (79, 143, 230), (240, 140, 50), (58, 58, 66)
ACCENT = "#f2c14e"

GAP = 10
"""Between two segments of a grid, in pixels."""


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font."""
    return ImageFont.load_default(size)


def ramp(value: float) -> tuple[int, int, int]:
    """-1..1 -> blue, grey, orange: a diverging ramp that the colour-blind can read (blue and orange differ for all).

    nan is shown as the worst: it comes from a picture that has no score.
    """
    value = -1.0 if math.isnan(value) else max(-1.0, min(1.0, value))
    end = ORANGE if value > 0 else BLUE
    share = abs(value) ** 0.8
    return tuple(round(low + (high - low) * share) for low, high in zip(MIDDLE, end, strict=True))  # type: ignore[return-value]


def hunt_chart(hunt: Hunt, grid: Grid, title: str) -> Image.Image:
    """Score by round with its spread on the left, round 1's scores against the baseline on the grid on the right."""
    cell_w = max(14, min(60, 720 // grid.heads))
    cell_h = max(11, min(44, 620 // grid.layers))
    map_w, map_h = grid.heads * cell_w, grid.layers * cell_h + GAP * (len(grid.segments) - 1)
    width, height = 660 + max(map_w, 380) + 50, max(560, map_h + 270)
    image = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(image)
    draw.text((28, 20), title, TEXT, font(22))
    names = ", ".join(hunt.selected.item(head) for head in hunt.heads)
    subtitle = (names or "no heads yet") if len(names) <= 110 else names[:107] + "..."
    draw.text((28, 52), subtitle, DIM, font(15))
    _scores(draw, hunt, (28, 92, 560, height - 92 - 40))
    _heat(draw, hunt, grid, (660, 120), (cell_w, cell_h))
    return image


def _scores(draw: ImageDraw.ImageDraw, hunt: Hunt, box: tuple[int, int, int, int]) -> None:
    """Mean score of the set after each round, with its standard error, and the best candidate of the round."""
    left, top, width, height = box
    points = [
        (name, measured) for name, measured in _steps(hunt) if measured is not None and math.isfinite(measured.mean)
    ]
    draw.text((left, top), "Score of the set, mean with standard error", TEXT, font(16))
    if not points:
        draw.text((left, top + 40), "nothing has been measured yet", DIM, font(15))
        return
    lows = [measured.mean - measured.error for _, measured in points]
    highs = [measured.mean + measured.error for _, measured in points]
    low, high = min(lows), max(highs)
    margin = (high - low) * 0.12 or abs(high) * 0.05 or 1.0
    low, high = low - margin, high + margin
    plot = (left + 70, top + 34, left + width, top + height - 34)
    draw.rectangle(plot, PANEL)

    def y(value: float) -> float:
        return plot[3] - (value - low) / (high - low) * (plot[3] - plot[1])

    for tick in _ticks(low, high):
        draw.line((plot[0], y(tick), plot[2], y(tick)), LINE)
        draw.text((plot[0] - 8, y(tick)), f"{tick:.4g}", DIM, font(13), anchor="rm")
    xs = [plot[0] + (plot[2] - plot[0]) * (index + 0.5) / len(points) for index in range(len(points))]
    base = y(points[0][1].mean)
    for x in range(int(plot[0]), int(plot[2]), 10):
        draw.line((x, base, x + 5, base), DIM)
    ends = [(x, y(measured.mean)) for x, (_, measured) in zip(xs, points, strict=True)]
    for start, end in pairwise(ends):
        draw.line((*start, *end), ORANGE, 3)
    helped = {f"round {round.number}": round.helped for round in hunt.rounds}
    for x, (name, measured) in zip(xs, points, strict=True):
        up, down = y(measured.mean + measured.error), y(measured.mean - measured.error)
        draw.line((x, up, x, down), TEXT, 2)
        for end in (up, down):
            draw.line((x - 6, end, x + 6, end), TEXT, 2)
        colour = ORANGE if helped.get(name, True) else BLUE
        draw.ellipse((x - 6, y(measured.mean) - 6, x + 6, y(measured.mean) + 6), colour, TEXT)
        draw.text((x, plot[3] + 8), name, TEXT, font(13), anchor="mt")
        if not helped.get(name, True):
            draw.text((x, plot[3] + 24), "did not help", BLUE, font(12), anchor="mt")


def _steps(hunt: Hunt):
    yield "unguided", hunt.baseline
    if hunt.start:
        yield "start", hunt.before
    for round in hunt.rounds:
        yield f"round {round.number}", round.joint


def _heat(draw: ImageDraw.ImageDraw, hunt: Hunt, grid: Grid, corner: tuple[int, int], cell: tuple[int, int]) -> None:
    left, top = corner
    draw.text((left, top - 28), "Round 1: each head against the set before it", TEXT, font(16))
    values, predicted = _first_round(hunt)
    largest = max((abs(value) for value in values.values() if math.isfinite(value)), default=0.0) or 1.0
    chosen = _marks(hunt)
    top += 18
    every = max(1, math.ceil(34 / cell[0]))
    for head in range(0, grid.heads, every):
        draw.text((left + (head + 0.5) * cell[0], top - 4), f"H{head}", DIM, font(11), anchor="mb")
    rows = max(1, math.ceil(16 / cell[1]))
    firsts = [first for first, _ in grid.numbered()]
    for layer in range(grid.layers):
        y = top + layer * cell[1] + GAP * (sum(first <= layer for first in firsts) - 1)
        if layer % rows == 0 or layer in firsts:
            draw.text((left - 6, y + cell[1] / 2), f"L{layer}", DIM, font(11), anchor="rm")
        for head in range(grid.heads):
            x = left + head * cell[0]
            place = Head(layer, head)
            colour = ramp(values[place] / largest) if place in values else None
            box = (x + 1, y + 1, x + cell[0] - 2, y + cell[1] - 2)
            draw.rectangle(box, None if place in predicted else colour, LINE)
            if place in predicted:
                draw.ellipse(_middle(box, min(cell) * 0.5), colour)
            if place in chosen:
                draw.rectangle((x, y, x + cell[0] - 1, y + cell[1] - 1), None, ACCENT, 2)
                draw.text(
                    (x + cell[0] / 2, y + cell[1] / 2),
                    chosen[place],
                    TEXT,
                    font(min(13, cell[1] - 1)),
                    anchor="mm",
                )
    bottom = top + grid.layers * cell[1] + 34
    _legend(draw, (left, bottom), min(260, grid.heads * cell[0]), largest, bool(predicted))
    if any(mark.startswith("-") for mark in chosen.values()):
        draw.text((left + 24, bottom + 67), "-: at a negative strength", DIM, font(13), anchor="lm")


def _first_round(hunt: Hunt) -> tuple[dict[Head, float], set[Head]]:
    """What each head did against the set before, at its better sign, or was predicted to do; and which are predicted."""
    if not hunt.rounds or not hunt.before:
        return {}, set()
    first = hunt.rounds[0]
    values: dict[Head, float] = {}
    for candidate in reversed(rank(first.candidates)):  # the better sign last
        values[candidate.head] = first.candidates[candidate].minus(hunt.before).mean
    predicted = set(first.attributions) - set(values)
    return values | {head: first.attributions[head] for head in predicted}, predicted


def _marks(hunt: Hunt) -> dict[Head, str]:
    """The round that chose each head, with a minus where it has a negative strength; of a set that is refined the last round."""
    rounds = hunt.rounds[-1:] if hunt.refines else hunt.rounds
    return {chosen.head: f"{'-' * chosen.negative}{round.number}" for round in rounds for chosen in round.chosen}


def _middle(box: tuple[float, float, float, float], size: float) -> tuple[float, float, float, float]:
    """A square of this size in the middle of a box."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return x - size / 2, y - size / 2, x + size / 2, y + size / 2


def _legend(draw: ImageDraw.ImageDraw, corner: tuple[int, int], width: int, largest: float, predicted: bool) -> None:
    left, top = corner
    for x in range(width):
        draw.line((left + x, top, left + x, top + 12), ramp(2 * x / max(1, width - 1) - 1))
    for share, anchor in ((0.0, "lt"), (0.5, "mt"), (1.0, "rt")):
        value = (2 * share - 1) * largest
        draw.text((left + share * width, top + 16), f"{value:+.3g}" if value else "0", DIM, font(12), anchor=anchor)
    draw.rectangle((left, top + 42, left + 16, top + 56), None, ACCENT, 2)
    draw.text((left + 24, top + 49), "chosen, with its round", DIM, font(13), anchor="lm")
    if predicted:
        draw.ellipse((left + 184, top + 43, left + 196, top + 55), MIDDLE, DIM)
        draw.text((left + 204, top + 49), "predicted, not measured", DIM, font(13), anchor="lm")


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers between two."""
    raw = (high - low) / 5
    step = 10 ** math.floor(math.log10(raw))
    step *= next(factor for factor in (1, 2, 5, 10) if raw <= factor * step)
    first = math.ceil(low / step)
    return [index * step for index in range(first, math.floor(high / step) + 1)]
