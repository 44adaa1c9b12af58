"""Head text and set operations; the table of cases is shared with the browser's parser."""

import json
from pathlib import Path

import pytest
from headhunter_pack.headhunter.families import grid_named, sd3
from headhunter_pack.headhunter.head_symbols import combine
from headhunter_pack.headhunter.heads import Head, HeadTextError, canonical, format_heads, parse, parse_items

TABLE = json.loads((Path(__file__).parent / "data" / "heads_cases.json").read_text(encoding="utf-8"))
GRIDS = {"sd3-medium": grid_named("sd3-medium"), "sd3.5-large": grid_named("sd3.5-large"), "flux1": grid_named("flux1")}
SD3 = GRIDS["sd3-medium"]


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: repr(case["text"])[:40])
def test_table(case):
    grid = GRIDS[case["grid"]]
    if "canonical" in case:
        assert canonical(case["text"], grid) == case["canonical"]
        assert canonical(case["canonical"], grid) == case["canonical"]
        return
    with pytest.raises(HeadTextError) as caught:
        parse(case["text"], grid)
    expected = case["error"]
    assert (caught.value.item, caught.value.line, caught.value.column) == (
        expected["item"],
        expected["line"],
        expected["column"],
    )
    assert expected["says"] in str(caught.value)
    assert f'"{expected["item"]}" (line {expected["line"]}, column {expected["column"]})' in str(caught.value)


def test_order_never_matters():
    words = ["L9", "L9H3@0.5", "L2H1-4", "L2H2@-0.25"]
    assert len({canonical(" ".join(words[i:] + words[:i]), SD3) for i in range(4)}) == 1


def test_format_of_any_set_reads_back():
    heads = {
        Head(layer, head): strength
        for layer, head, strength in [(0, 0, None), (0, 1, 0.5), (0, 2, 0.5), (5, 23, -0.125), (23, 7, 0.0)]
    }
    assert parse(format_heads(heads, SD3), SD3) == heads


def test_text_limit():
    with pytest.raises(HeadTextError, match="at most"):
        parse_items("L1," * 50_000)


@pytest.mark.parametrize(
    ("first", "operation", "second", "expected"),
    [
        ("L9H1-4", "add", "L9H5", "L9H1-5"),
        ("L9", "remove", "L9H3", "L9H0-2, L9H4-23"),
        ("*", "remove", "L1-23", "L0"),
        ("L9@0.5", "remove", "L9H0-21@0.1", "L9H22-23@0.5"),
        ("L9@0.5", "keep common", "L9H3 L8", "L9H3@0.5"),
        ("L9", "keep common", "L9H3@0.25", "L9H3@0.25"),
        ("L1", "keep common", "L2", ""),
    ],
)
def test_operations_with_a_grid(first, operation, second, expected):
    assert combine(first, second, operation, SD3) == expected


@pytest.mark.parametrize(
    ("first", "operation", "second", "expected"),
    [
        ("L9", "add", "L9H3", "L9"),
        ("L9", "add", "L9H3@0.5", "L9, L9H3@0.5"),
        ("*", "add", "L9", "*"),
        ("L2H1 L2H3", "add", "L2H2", "L2H1-3"),
        ("L3H1-2 L4", "remove", "L3", "L4"),
        ("L9 L1H1", "remove", "*", ""),
        ("L9H1-4", "remove", "L9H2", "L9H1, L9H3-4"),
        ("*", "keep common", "L3 L4H1@0.5", "L3, L4H1@0.5"),
        ("L3H1@0.25", "keep common", "*", "L3H1@0.25"),
        ("L3", "keep common", "L4", ""),
        ("L200H100", "add", "", "L200H100"),
    ],
)
def test_operations_without_a_grid(first, operation, second, expected):
    assert combine(first, second, operation, None) == expected
    on_grid = SD3 if "200" not in first else sd3.FAMILY.grid_of_size((300,), 300)
    assert canonical(combine(first, second, operation, None), on_grid) == combine(first, second, operation, on_grid)


@pytest.mark.parametrize(
    ("first", "operation", "second", "says"),
    [
        ("*", "remove", "L3H1", "needs the model's grid"),
        ("L3", "remove", "L3H1", "needs the model's grid"),
        ("S15H2", "add", "L1", "needs the model's grid"),
        ("L0-9999", "add", "L0-9999H0-9999", "needs the model's grid"),
        ("L9@0.5", "add", "L9H3@0.25", "one head has one strength"),
        ("L9H3@0.5", "add", "L9H3@0.25", "one head has one strength"),
    ],
)
def test_what_needs_a_grid_or_contradicts_says_so(first, operation, second, says):
    with pytest.raises(HeadTextError, match=says):
        combine(first, second, operation, None)
