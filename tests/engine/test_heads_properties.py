"""Head text on generated cases: both parsers, formatting, set operations with and without a model.

`HEADHUNTER_CASES=10000 python tests tests/engine/test_heads_properties.py` tries so many a test; see properties.py.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from itertools import chain
from pathlib import Path

import pytest
from headhunter_pack.headhunter.families import grid_named
from headhunter_pack.headhunter.grid import Grid, Segment, describe
from headhunter_pack.headhunter.head_symbols import combine
from headhunter_pack.headhunter.heads import (
    MAX_TEXT,
    OPERATIONS,
    Head,
    HeadSet,
    HeadTextError,
    canonical,
    format_heads,
    parse,
)
from hypothesis import given
from hypothesis import strategies as st
from properties import cases, limited, quickest, within
from reader import find_node

ROOT = Path(__file__).resolve().parents[2]
FLUX2 = grid_named("flux2")
TALL = Grid("tall", (Segment("joint", 60),), 24)
SMALL = Grid("small", (Segment("double", 2, "D"), Segment("single", 3, "S")), 4)
GRIDS = [SMALL, grid_named("sd3-medium"), grid_named("flux1"), FLUX2, TALL]


def ranges(most: int) -> st.SearchStrategy[str]:
    """A number, or a range, seldom a reversed one; now and then with zeros before it."""
    number = st.tuples(st.sampled_from(["", "", "", "0", "00000000000"]), st.integers(0, most)).map(
        lambda parts: f"{parts[0]}{parts[1]}"
    )
    return number | st.tuples(number, number).map("-".join)


def items(letters: str, layers: int, heads: int, strengths: list[str]) -> st.SearchStrategy[str]:
    """An item, most often one that a grid of so many layers and heads has."""
    own = st.sampled_from(["", "", *(f"@{strength}" for strength in strengths)])
    head = st.just("") | st.just("H*") | ranges(heads - 1).map("H{}".format)
    layer = st.tuples(st.sampled_from(letters), ranges(layers - 1), head).map("".join)
    return st.tuples(layer | layer | layer | st.just("*"), own).map("".join)


def texts(item: st.SearchStrategy[str], most: int = 12) -> st.SearchStrategy[str]:
    separator = st.sampled_from([",", " ", ", ", "\n", "\r\n", "\t", " # said a person\n"])
    return st.lists(st.tuples(item, separator).map("".join), max_size=most).map("".join)


STRENGTHS = ["0.5", "-0.25", ".5", "0", "-0", "1", "0.125"]
WILD = st.text(st.sampled_from("LDSHldsh0123456789-*@.,# \n\r\t\x1c\x85\ufeff\u2028x\U0001f600"), max_size=30)
ANY_TEXT = st.one_of(
    texts(items("LLLDSldsX", 6, 5, STRENGTHS)),
    texts(items("LLDSdX", 60, 50, STRENGTHS)),
    texts(items("L", 12_000, 12_000, ["2", "0.5", "0.0001", "x"]) | WILD, 4),
    WILD,
)


@cases()
@given(text=ANY_TEXT, grid=st.sampled_from(GRIDS))
def test_any_text_is_read_or_refused_at_its_place(text, grid):
    try:
        with limited():
            heads = parse(text, grid)
    except HeadTextError as error:
        if error.item:
            line = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[error.line - 1]
            assert line[error.column - 1 :].startswith(error.item)
        return
    with limited():
        assert parse(format_heads(heads, grid), grid) == heads
    assert canonical(format_heads(heads, grid), grid) == format_heads(heads, grid)
    # Order never matters.
    lines = [line.split("#")[0].replace(",", " ").split() for line in re.split("[\r\n]", text)]
    words = [word for line in lines for word in line]
    random.Random(0).shuffle(words)
    assert parse(" ".join(words), grid) == heads


def sets(grid: Grid) -> st.SearchStrategy[HeadSet]:
    head = st.builds(Head, st.integers(0, grid.layers - 1), st.integers(0, grid.heads - 1))
    strength = st.none() | st.integers(-1000, 1000).map(lambda thousandths: thousandths / 1000)
    return st.dictionaries(head, strength, max_size=30).map(HeadSet)


@cases()
@given(sets(SMALL), sets(SMALL))
def test_set_operations_are_those_of_each_head(first, second):
    assert parse(format_heads(first, SMALL), SMALL) == first
    assert (first == second) == (dict(first) == dict(second)) and (hash(first) == hash(second) or first != second)
    assert list(first) == sorted(first)
    assert dict(first - second) == {head: own for head, own in first.items() if head not in second}
    common = {head: second[head] if own is None else own for head, own in first.items() if head in second}
    assert dict(first & second) == common
    two = [head for head in common if None not in (first[head], second[head]) and first[head] != second[head]]
    if two:
        with pytest.raises(HeadTextError, match="one head has one strength"):
            _ = first | second
    else:
        either = {
            head: first.get(head) if first.get(head) is not None else second.get(head) for head in [*first, *second]
        }
        assert dict(first | second) == either


# Every grid that has the heads which these texts name.
NAMED = texts(items("L", 4, 3, ["0.5", "-0.25"]), 5)
HOSTS = [
    Grid(f"{layers}x{heads}", (Segment("joint", layers),), heads) for layers, heads in [(4, 3), (4, 5), (5, 3), (9, 7)]
]


def combined(first: str, second: str, operation: str, grid: Grid | None) -> tuple[str | None, str]:
    """The result, or None and why not."""
    try:
        with limited():
            return combine(first, second, operation, grid), ""
    except HeadTextError as error:
        return None, str(error)


@cases()
@given(NAMED, NAMED, st.sampled_from(list(OPERATIONS)))
def test_without_a_model_the_result_is_that_of_every_model_or_asks_for_it(first, second, operation):
    result, reason = combined(first, second, operation, None)
    if "needs the model's grid" in reason:
        return
    for grid in HOSTS:
        expected, contradiction = combined(first, second, operation, grid)
        assert (result is None) == (expected is None), (grid, reason, contradiction)
        if result is not None:
            assert canonical(result, grid) == expected, grid


def overlapping(grid: Grid, length: int, end: str, spread: float = 1.0) -> str:
    """Thousands of overlapping ranges."""
    chance, parts, size = random.Random(0), [], 0
    while size < length - 30:
        layers = sorted(chance.randrange(round(grid.layers * spread)) for _ in range(2))
        heads = sorted(chance.randrange(round(grid.heads * spread)) for _ in range(2))
        parts.append(f"L{layers[0]}-{layers[1]}H{heads[0]}-{heads[1]}{end}")
        size += len(parts[-1]) + 1
    return ",".join(parts)


def every_head(layers: int, heads: int, again: int) -> str:
    """Each head with its own strength, of the 2,001 that there are, from the last; again in other spellings."""
    size = layers * heads
    words = []
    for number in range(size * again):
        layer, head = divmod(size - 1 - number % size, heads)
        strength = number % size % 2_001 - 1_000
        words.append(
            f"L{'0' * (number // size)}{layer}H{head}@{'-' * (strength < 0)}{abs(strength) / 1000:.3f}".replace(
                "@0.", "@."
            ).replace("@-0.", "@-.")
        )
    text = ",".join(words)
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT].rsplit(",", 1)[0]


LARGE_TEXTS = {
    "stars": "*," * (MAX_TEXT // 2),
    "stars with strengths": ",".join(f"*@0.{number % 1000:03d}" for number in range(14_000)),
    "one star with a strength in many spellings": ",".join(["*@.5", "*@0.5", "*@0.50", "*@.50", "*@.500", "*"] * 2_800),
    "all layers": "L0-9999",
    "layers": " ".join(f"L{number}" for number in range(9_999)),
    "short items": ",".join(
        f"{letter}{layer:02d}H{head}" for letter in "Ll" for layer in range(56) for head in range(48)
    ),
    "ranges": overlapping(FLUX2, MAX_TEXT, ""),
    "ranges with strengths": overlapping(FLUX2, MAX_TEXT, "@.5"),
    "ranges of few heads": overlapping(Grid("", (Segment("", 3),), 8_000), MAX_TEXT, ""),
    "ranges of few layers": overlapping(Grid("", (Segment("", 8_000),), 3), MAX_TEXT, ""),
    "a strength for every head": every_head(24, 24, 3),
    "a strength for every head of a large grid": every_head(56, 48, 9),
    "a strength for every layer, again and again": ",".join(
        f"L{'0' * (number // 24)}{number % 24}@.{number % 24 + 100}" for number in range(3_500)
    ),
    "a strength for every column, again and again": ",".join(
        f"L0-23H{'0' * (number // 24)}{number % 24}@.{number % 24 + 100}" for number in range(2_700)
    ),
    "one strength, again and again": ",".join(f"L{n % 24}H{'0' * (n // 576)}{n // 24 % 24}@.5" for n in range(8_000)),
    "contradicting at the end": overlapping(FLUX2, MAX_TEXT, "@.5") + ",*@.25",
    "line ends": "\r\n" * (MAX_TEXT // 2),
    "comments": "#\n" * (MAX_TEXT // 2),
    "one long comment": "#" * MAX_TEXT,
    "zeros": "L" + "0" * (MAX_TEXT - 2) + "1",
    "digits": "L" + "9" * (MAX_TEXT - 1),
    "a long strength": "*@" + "1" * (MAX_TEXT - 2),
    "a long word": "L1H1-" * (MAX_TEXT // 5),
    "faces": "\U0001f600" * MAX_TEXT,
    "too long": "L1," * 50_000,
}


def read(work):
    """What it gives, or None where the text is refused, which must be in few words."""
    try:
        return work()
    except HeadTextError as error:
        assert len(str(error)) < 500
        return None


@pytest.mark.parametrize("grid", [FLUX2, TALL], ids=str)
@pytest.mark.parametrize("name", LARGE_TEXTS)
def test_large_texts_are_read_in_a_fifth_of_a_second(name, grid):
    heads = within(0.2, lambda: read(lambda: parse(LARGE_TEXTS[name], grid)))
    if heads is not None:
        within(0.2, lambda: format_heads(heads, grid))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", LARGE_TEXTS)
def test_large_texts_without_a_model(name, operation):
    # Two texts are read, and a third is written.
    text = within(0.4, lambda: read(lambda: combine(LARGE_TEXTS[name], LARGE_TEXTS[name], operation, None)))
    assert text is None or len(text) <= MAX_TEXT


SCRIPT = """
import { readFileSync } from "node:fs";
import { format, parse, HeadTextError } from "./heads.js";
const { grids, cases, tries } = JSON.parse(readFileSync(0, "utf8"));
const read = (text, grid) => {
  const begun = process.cpuUsage();
  let result;
  try {
    const heads = parse(text, grid);
    result = { written: format(heads, grid), heads: heads.size };
  } catch (error) {
    if (!(error instanceof HeadTextError)) throw new Error(`${JSON.stringify(text)}: ${error.stack}`);
    result = { error: error.message, item: error.item, line: error.line, column: error.column };
  }
  const { user, system } = process.cpuUsage(begun);
  return { result, seconds: (user + system) / 1e6 };
};
const results = cases.map(([text, name]) => {
  const tried = Array.from({ length: tries }, () => read(text, grids[name]));
  return { ...tried[0].result, seconds: Math.min(...tried.map(({ seconds }) => seconds)) };
});
process.stdout.write(JSON.stringify(results));
"""


@pytest.fixture(scope="module")
def in_javascript(tmp_path_factory):
    """Reads cases, (text, grid) each, with the page's parser, in one process of node."""
    node = find_node()
    if node is None:
        pytest.skip("no node found, which runs the page's parser")
    folder = tmp_path_factory.mktemp("node") / "web"
    shutil.copytree(ROOT / "web", folder, ignore=shutil.ignore_patterns("docs"))
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (folder / "read.js").write_text(SCRIPT, encoding="utf-8")

    def read(rows, tries):
        grids = {grid.model: describe(grid) for _, grid in rows}
        data = json.dumps({"grids": grids, "cases": [(text, grid.model) for text, grid in rows], "tries": tries})
        run = subprocess.run(
            [node, "read.js"], cwd=folder, input=data, capture_output=True, text=True, encoding="utf-8"
        )
        assert run.returncode == 0, run.stderr[-2000:]
        return json.loads(run.stdout)

    return read


def in_python(text: str, grid: Grid) -> dict:
    try:
        heads = parse(text, grid)
    except HeadTextError as error:
        return {"error": str(error), "item": error.item, "line": error.line, "column": error.column}
    return {"written": format_heads(heads, grid), "heads": len(heads)}


def compare(in_javascript, rows, tries):
    """Each text is read alike, and written back, within 0.2 s of CPU in the quickest of so many tries."""
    for (text, grid), result in zip(rows, in_javascript(rows, tries), strict=True):
        seconds = result.pop("seconds")
        assert result == in_python(text, grid), (text[:500], grid.model)
        quickest(
            0.2, chain([seconds], (in_javascript([(text, grid)], tries)[0]["seconds"] for _ in range(3))).__next__, 4
        )


def test_both_parsers_agree(in_javascript, record_property):
    rows: list[tuple[str, Grid]] = []

    @cases()
    @given(text=ANY_TEXT, grid=st.sampled_from(GRIDS))
    def collect(text, grid):
        rows.append((text, grid))

    collect()
    record_property("cases", len(rows))
    compare(in_javascript, rows, 1)


@pytest.mark.slow
def test_both_parsers_agree_on_large_texts(in_javascript):
    rows = [(text, grid) for text in LARGE_TEXTS.values() for grid in (FLUX2, TALL)]
    compare(in_javascript, rows, 5)
