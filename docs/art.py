"""`python docs/art.py`: draws the pack's icon (400 x 400) and banner (1680 x 720, 21:9) beside this file. Needs Pillow.

A grid of heads on the page's dark ground, a few of them lit: some whole, some at part of their strength, as the grid in the
page shows them.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent
GROUND = (24, 25, 31)
CELL = (48, 51, 63)
LIT = ((91, 126, 255), (122, 162, 255), (255, 183, 77))  # painted, painted, found by a hunt
FINE = 4  # drawn so much larger and scaled down, for smooth corners

ICON = {(1, 1): (0, 1.0), (1, 4): (1, 0.55), (2, 3): (2, 1.0), (3, 2): (0, 0.8), (4, 4): (0, 1.0), (4, 1): (1, 0.35)}
BANNER = {
    **{(2, column): (0, 1.0) for column in range(4, 9)},
    **{(1, 19): (2, 1.0), (3, 22): (2, 0.7), (4, 14): (1, 1.0), (4, 15): (1, 0.6), (4, 16): (1, 0.3)},
    **{(6, 3): (1, 0.5), (6, 24): (0, 0.8), (7, 11): (0, 1.0), (8, 20): (0, 0.45), (9, 6): (2, 1.0), (9, 17): (1, 0.8)},
}

Lit = dict[tuple[int, int], tuple[int, float]]
"""(row, column) -> (which colour, the part of the cell's height that is lit)."""


def grid(size: tuple[int, int], rows: int, columns: int, pitch: int, lit: Lit) -> Image.Image:
    """A picture of `rows` x `columns` cells, `pitch` pixels apart, in the middle of the ground."""
    picture = Image.new("RGB", (size[0] * FINE, size[1] * FINE), GROUND)
    draw = ImageDraw.Draw(picture)
    gap, corner = pitch // 8, pitch // 7
    left, top = (size[0] - columns * pitch + gap) / 2, (size[1] - rows * pitch + gap) / 2
    for row in range(rows):
        for column in range(columns):
            x, y = left + column * pitch, top + row * pitch
            box = [value * FINE for value in (x, y, x + pitch - gap, y + pitch - gap)]
            draw.rounded_rectangle(box, corner * FINE, CELL)
            if (row, column) in lit:
                colour, part = lit[row, column]
                draw.rounded_rectangle(
                    [box[0], box[3] - (box[3] - box[1]) * part, *box[2:]], corner * FINE, LIT[colour]
                )
    return picture.resize(size, Image.Resampling.LANCZOS)


def main() -> None:
    """Writes icon.png and banner.png."""
    grid((400, 400), 6, 6, 62, ICON).save(HERE / "icon.png", optimize=True)
    grid((1680, 720), 11, 27, 60, BANNER).save(HERE / "banner.png", optimize=True)


if __name__ == "__main__":
    main()
