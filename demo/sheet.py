"""Draws a labelled contact sheet. A script for `painting.call`.

Job: {"path", "title", "columns": [[line, line] of each], "rows": [{"label": [line, ...], "pictures": [path of each column]}]}.
"""

import json
import sys

from PIL import Image, ImageDraw, ImageFont

CELL, GAP, LABEL, HEAD, TOP = 128, 6, 190, 58, 62  # pixels
PAPER, INK, SOFT = (255, 255, 255), (20, 20, 20), (105, 105, 105)


def draw(job: dict) -> None:
    """Writes the sheet."""
    title, text, small = (ImageFont.load_default(size) for size in (22, 16, 14))
    width = LABEL + len(job["columns"]) * (CELL + GAP) + GAP
    height = TOP + HEAD + len(job["rows"]) * (CELL + GAP) + GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP * 2, 8), job["title"][0], INK, title)
    pen.text((GAP * 2, 38), job["title"][1], SOFT, small)
    for i, lines in enumerate(job["columns"]):
        middle = LABEL + i * (CELL + GAP) + CELL // 2
        for k, line in enumerate(lines):
            pen.text(
                (middle, TOP + 2 + 18 * k),
                line,
                INK if k < len(lines) - 1 else SOFT,
                text if k == 0 else small,
                anchor="ma",
            )
    for j, row in enumerate(job["rows"]):
        y = TOP + HEAD + j * (CELL + GAP)
        for k, line in enumerate(row["label"]):
            pen.text((GAP * 2, y + 30 + 20 * k), line, INK if k == 0 else SOFT, text if k == 0 else small)
        for i, path in enumerate(row["pictures"]):
            with Image.open(path) as picture:
                sheet.paste(picture.convert("RGB").resize((CELL, CELL)), (LABEL + i * (CELL + GAP), y))
    sheet.save(job["path"], optimize=True)


if __name__ == "__main__":
    draw(json.load(sys.stdin))
    json.dump({}, sys.stdout)
