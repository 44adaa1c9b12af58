"""The numbers of a comparison, against numpy, and the pages of its pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from headhunter_pack.headhunter.comparison import Judge, Paired, best_of, outcomes, paired, report_of, table
from headhunter_pack.headhunter.grid import Grid, Segment
from headhunter_pack.headhunter.guidance import Group
from headhunter_pack.headhunter.report import dump
from headhunter_pack.headhunter.sheets import SMALLEST, packed, sheet, table_sheet, tile_for
from headhunter_pack.headhunter.variants import Variant
from PIL import Image

GRID = Grid("small", (Segment("joint", 3),), 3)
VARIANTS = [Variant("unguided"), Variant("warm", (Group("L1"),)), Variant("cold", (Group("L2"),), 4.0)]
SCORE, SECOND = Judge("score", 0, (1.0,), (0.1,), True), Judge("second", 1, (1.0,), (0.1,), False)


def test_paired_differences():
    rng = np.random.default_rng(0)
    base = rng.normal(size=9)
    own = base + rng.normal(0.1, 0.2, size=9)
    result = paired(own.tolist(), base.tolist())
    assert (result.pairs, result.wins) == (9, (own > base).sum())
    assert result.mean == pytest.approx(own.mean()) and result.difference == pytest.approx((own - base).mean())
    assert result.error == pytest.approx((own - base).std(ddof=1) / 3)


def test_pairs_without_a_score_are_left_out():
    result = paired([1.0, math.nan, 3.0, math.inf], [0.5, 1.0, math.nan, 1.0])
    assert result == Paired(1, 1.0, 0.5, None, 1)
    assert paired([math.nan], [1.0]) == Paired(0, None, None, None, 0)


def rows(*pairs):
    """Scores of VARIANTS: [score, second, distortion] of each pair."""
    return [list(map(list, zip(*pairs, strict=True)))[place] for place in range(3)]


def test_the_best_is_the_objectives_and_never_the_seconds():
    measured = rows([(1, 5, 0), (1.5, 4, 0.25), (0.5, 9, 0.5)], [(2, 5, 0), (2.25, 4, 0.5), (2.5, 9, 0.5)])
    measured_outcomes = outcomes(VARIANTS, measured, [SCORE, SECOND])
    assert best_of(measured_outcomes, [SCORE, SECOND]) == "warm" and measured_outcomes[1].judged[0].wins == 2
    assert [outcome.distortion for outcome in measured_outcomes] == [0.0, 0.375, 0.5]
    second_alone = outcomes(VARIANTS, measured, [SECOND])
    assert best_of(second_alone, [SECOND]) is None
    worse = rows([(1, 0, 0), (0.5, 0, 0.2), (math.nan, 0, 0.2)])
    assert best_of(outcomes(VARIANTS, worse, [SCORE]), [SCORE]) is None


def test_a_table_of_text():
    measured = rows(
        [(1, 5, 0), (1.5, 4, 0.25), (math.nan, 9, math.nan)], [(2, 5, 0), (2.25, 4, 0.5), (math.nan, 9, math.nan)]
    )
    measured_outcomes = outcomes(VARIANTS, measured, [SCORE, SECOND])
    assert table(measured_outcomes, [SCORE, SECOND]).splitlines() == [
        "variant   score  against unguided  better  second (read along)  against unguided  better  distortion",
        "unguided    1.5                                              5",
        "warm      1.875    +0.375 +- 0.12  2 of 2                    4           -1 +- 0  0 of 2       0.375",
        "cold          -                 -  0 of 0                    9           +4 +- 0  2 of 2           -",
    ]
    assert "NaN" not in dump(report_of(measured_outcomes, [SCORE], GRID, {}))


def picture(width, height, colour="#808080"):
    return Image.new("RGB", (width, height), colour)


@pytest.mark.parametrize("variants", [1, 3, 8, 20])
@pytest.mark.parametrize("prompts", [1, 2, 5, 60])
def test_a_page_is_no_strip(variants, prompts):
    names = [f"variant {number}" for number in range(variants + 1)]
    page = table_sheet(names, [("a prompt", [picture(16, 16)] * len(names))] * prompts)
    assert 0.2 < page.width / page.height < 5
    tiles = prompts * (len(names) + len(names) // 2)
    assert page.width * page.height < max(24_000_000, 3 * tiles * (SMALLEST + 30) ** 2)


def test_every_picture_is_on_the_page_once_and_the_unguided_one_in_each_block():
    colours = [[(1 + row, 1 + column, 200) for column in range(20)] for row in range(9)]
    pictures = [("prompt", [picture(8, 8, colour) for colour in line]) for line in colours]
    page = table_sheet(["unguided", *(f"v{i}" for i in range(19))], pictures)
    pixels = {colour: count for count, colour in page.getcolors(page.width * page.height)}
    counts = [[pixels.get(colour, 0) for colour in line] for line in colours]
    once = counts[0][1]
    assert once > 40**2 and all(count == once for line in counts for count in line[1:])
    assert all(line[0] % once == 0 and line[0] >= once for line in counts)


def test_parts_are_packed_into_a_page():
    """Four prompts of an atlas of a layer were 1310 x 7104 pixels below each other."""
    named = [("unguided", picture(64, 64)), *((f"L1H{i}", picture(64, 64)) for i in range(16))]
    part = sheet(named, 4, tile_for(4, 68), title="a prompt")
    page = packed([part] * 4)
    assert part.size == (1310, 1776) and page.size == (1310 * 3 + 48, 1776 * 2 + 24)
    assert packed([part]).size == part.size
