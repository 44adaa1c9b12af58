"""Texts of variants: what they mean, and what is refused, and where. `HEADHUNTER_CASES=10000` tries so many a property."""

from __future__ import annotations

import pytest
from headhunter_pack.headhunter.families import grid_named
from headhunter_pack.headhunter.grid import Grid, Segment
from headhunter_pack.headhunter.guidance import MIXES, Group
from headhunter_pack.headhunter.heads import MAX_TEXT
from headhunter_pack.headhunter.presets import Preset, PresetError
from headhunter_pack.headhunter.variants import (
    MAX_GROUPS,
    MAX_NAME,
    MAX_VARIANTS,
    SETTINGS,
    Variant,
    VariantError,
    parse_variants,
)
from hypothesis import given
from hypothesis import strategies as st
from properties import cases, within

SMALL = Grid("small", (Segment("double", 2, "D"), Segment("single", 3, "S")), 4)
GOLD = Preset("gold", "small", 5, 4, (Group("L1H2", 4.0, rescale=0.5), Group("L3", 1.0, window=(0.2, 0.8))))


def presets(name: str) -> Preset | None:
    if name == "bad one":
        raise PresetError("gold.json: not JSON")
    return GOLD if name == "golden hour/gold" else None


def read(text: str, grid: Grid | None = SMALL) -> tuple[Variant, ...]:
    return parse_variants(text, 1.0, presets, grid)


def test_what_a_line_means():
    text = """
    # several
    warm:L1H2

    w=3, u=0.2 : L1H3, l0 L1H0@-.5, scale=3,strength=.2  # as SoftPAG's
    both: D1H0 start=0.1 end=0.5 | S0H1-2 METHOD=In  Attention limit=2 cfg=4
    gold: golden hour/gold
    gold, half: golden hour/gold scale=2 end=0.6
    cfg: cfg=4.5
    same cfg: L4 cfg=1
    """
    variants = {variant.name: variant for variant in read(text)}
    assert list(variants) == ["unguided", "warm", "w=3, u=0.2", "both", "gold", "gold, half", "cfg", "same cfg"]
    assert variants["unguided"] == Variant("unguided") and variants["unguided"].text == ""
    assert variants["warm"].groups == (Group("L1H2"),) and variants["warm"].cfg is None
    assert variants["w=3, u=0.2"].groups == (Group("L0, L1H0@-0.5, L1H3", 3.0, 0.2),)
    assert variants["both"].groups == (
        Group("L1H0", window=(0.1, 0.5)),
        Group("L2H1-2", method="in attention", limit=2.0),
    )
    assert variants["both"].cfg == 4 and variants["cfg"].cfg == 4.5 and variants["cfg"].groups == ()
    assert variants["gold"].groups == GOLD.groups
    assert [(group.scale, group.window) for group in variants["gold, half"].groups] == [
        (2.0, (0.0, 0.6)),
        (2.0, (0.2, 0.6)),
    ]
    assert variants["same cfg"] == Variant("same cfg", (Group("L4"),)), "the cfg of all is none of its own"
    assert variants["both"].text == (
        "L1H0 scale=3 strength=0.5 start=0.1 end=0.5 | L2H1-2 scale=3 strength=0.5 method=in attention limit=2 cfg=4"
    )


def test_without_a_grid_heads_stay_as_they_are_written():
    first, second = read("a: S0H1 L99H3\nb: L99H3, S0H1", None)[1:]
    assert first.groups == (Group("S0H1 L99H3"),) and second.groups == (Group("L99H3, S0H1"),)


@pytest.mark.parametrize(
    ("text", "line", "column", "why"),
    [
        ("", 0, 0, "there are no variants: write one a line"),
        ("# a: L1\n \n", 0, 0, "there are no variants"),
        ("a: L1\n  L2H1 scale=3", 2, 3, "no name: write a name, a colon"),
        (" : L1", 1, 2, "a name has 1 to 60 characters"),
        (f"{'x' * (MAX_NAME + 1)}: L1", 1, 1, "a name has 1 to 60"),
        ("a\x07: L1", 1, 1, "that can be printed"),
        ("\ud800: L1", 1, 1, "that can be printed"),
        ("Unguided: L1", 1, 1, "always there"),
        ("a: L1\nA: L2", 2, 1, "two variants have this name"),
        ("a: L1 scale=3\nb: L1H0-3 strength=.5", 2, 1, "the same heads and settings as a"),
        ("a: cfg=1", 1, 1, "it is the unguided one"),
        ("a:", 1, 3, "no heads: write heads"),
        ("a: scale=3", 1, 4, "no heads"),
        ("a: L1 |", 1, 8, "no heads"),
        ("a: L1 | | L2", 1, 9, "no heads"),
        ("a: cfg=3 | L2", 1, 4, "no heads"),
        ("a: L1, L9H1", 1, 8, "small has no layer 9; its layers are 0 to 4"),
        ("a: L1 | L1H2 L1H2@2", 1, 14, "the strength after @ is a decimal"),
        ("a: L2 |  H3", 1, 10, "not a head.*, and there is no preset of that name"),
        ("a:  bad one scale=2", 1, 5, "gold.json: not JSON"),
        ("a: golden hour/gold method=in attention", 1, 4, "rescale belongs to the method extra pass"),
        ("a: L1 scael=3", 1, 7, "there is no setting 'scael'; there are scale, strength, start, end, "),
        ("a: L1 scale=3 scale=4", 1, 15, "scale is given twice"),
        ("a: L1 cfg=3 | L2 cfg=3", 1, 18, "cfg is given twice"),
        ("a: L1 scale=3 L2", 1, 7, "scale is '3 l2'; it must be a number from -20 to 100; decimals"),
        ("a: L1 scale=1e1", 1, 7, "scale is '1e1'; it must be a number from -20 to 100"),
        ("a: L1 scale=0.1234", 1, 7, "at most 3 places"),
        ("a: L1 scale = 3", 1, 13, "without a space before its ="),
        ("a: L1 scale=", 1, 7, "scale is ''; it must be"),
        ("a: L1 scale=nan", 1, 7, "scale is 'nan'"),
        ("a: L1 strength=1.5", 1, 7, "strength is 1.5; it must be a number from 0 to 1"),
        ("a: L1 end=2", 1, 7, r"the window is \[0.0, 2.0\]"),
        ("a: L1 start=0.5 end=0.4", 1, 4, r"the window is \[0.5, 0.4\]"),
        ("a: L1 mix=sum", 1, 7, f"mix is 'sum'; it must be one of {', '.join(MIXES)}"),
        (f"a: L1 mix={'x' * 500}", 1, 7, "mix has no value of 500 characters"),
        ("a: L1 cfg=101", 1, 7, "cfg must be a decimal from 0 to 100"),
        ("a: L1 scale=0", 1, 4, "it would change nothing: its scale is 0"),
        ("a: L1@0 cfg=2", 1, 4, "it would change nothing: the strength of every head is 0"),
        ("\n".join(f"v{i}: L1 scale={i + 1}" for i in range(MAX_VARIANTS + 1)), MAX_VARIANTS + 1, 1, "at most 64 variants"),
        (f"a: {'|'.join(['L1'] * (MAX_GROUPS + 1))}", 1, 1, "256 groups in all"),
        ("#" * (MAX_TEXT + 1), 0, 0, "at most 100000 are read"),
    ],
)  # fmt: skip
def test_what_is_refused_and_where(text, line, column, why):
    with pytest.raises(VariantError, match=why) as caught:
        read(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert len(str(caught.value)) < 700


HEADS = st.sampled_from(
    ["L1H2", "L0-3H1", "*", "L1H2@-0.25", "D1", "S2H3", "L1, L2H0 L3", "golden hour/gold", "bad one", "L9", "H", ""]
)
VALUE = st.sampled_from(
    ["3", "0.5", ".25", "-1", "1", "0", "in attention", "Extra  Pass", "image", "uniform", "apg", "x", "1e9", ""]
)
SETTING = st.tuples(st.sampled_from([*SETTINGS, *SETTINGS, "seed", "Scale"]), VALUE).map("=".join)
GROUP = st.tuples(HEADS, st.lists(SETTING, max_size=3).map(" ".join)).map(" ".join)
LINE = st.tuples(
    st.text("ab :=|#\u00e9\U0001f600", max_size=4), st.sampled_from([":", ": ", ""]), st.lists(GROUP, max_size=3).map(" | ".join)
).map("".join)  # fmt: skip
WILD = st.text(st.sampled_from("aLH01-*@.,#:|= \n\r\t\x1c\x85\ufeff\u2028\ud800scfg"), max_size=40)
ANY_TEXT = st.lists(LINE | WILD, max_size=5).map("\n".join) | st.text(max_size=60)


@cases()
@given(text=ANY_TEXT, grid=st.sampled_from([SMALL, grid_named("flux1"), None]))
def test_any_text_is_read_or_refused_at_its_place(text, grid):
    def attempt():
        try:
            return read(text, grid)
        except VariantError as error:
            return error

    outcome = within(0.2, attempt)
    if isinstance(outcome, VariantError):
        if outcome.line:
            lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            assert lines[outcome.line - 1][outcome.column - 1 :].startswith(outcome.item.strip())
        return
    assert (
        outcome[0] == Variant("unguided") and len({variant.name.casefold() for variant in outcome}) == len(outcome) > 1
    )
    if grid:
        again = read("\n".join(f"{variant.name}: {variant.text}" for variant in outcome[1:]), grid)
        assert again == outcome
        assert len({variant.text for variant in outcome}) == len(outcome)


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"v{i}: {'*|' * 3}* scale={i + 1}" for i in range(64)),
        "a: " + "L0-9999H0-9999 " * 6000,
        "a: " + "scale=1 " * 12000,
        "a: L1 " + "x" * 99_000,
        "a" * 50_000 + ":" * 49_000,
        "a: |" + "|" * 99_000,
        "\n".join(["a: L1"] * 16_000),
    ],
    ids=lambda text: text[:12],
)
def test_large_texts_are_read_or_refused_quickly(text):
    def attempt():
        try:
            parse_variants(text, 1.0, presets, grid_named("flux1"))
        except VariantError as error:
            assert len(str(error)) < 700

    within(2.0, attempt)
