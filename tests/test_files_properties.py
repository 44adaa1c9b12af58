"""Presets, headers, scorer files and studies that nobody would write: read, or refused with a reason, within limits.

`HEADHUNTER_CASES=10000 python tests tests/test_files_properties.py` tries so many.
"""

from __future__ import annotations

import base64
import copy
import json
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import hostile
import pytest
import torch
from headers import headed, native_flux, native_sd3
from headhunter_pack.headhunter.checkpoint import grid_from_file
from headhunter_pack.headhunter.families import FAMILIES
from headhunter_pack.headhunter.grid import GridError
from headhunter_pack.headhunter.host.hunting import studies
from headhunter_pack.headhunter.host.scoring import files
from headhunter_pack.headhunter.host.server import routes
from headhunter_pack.headhunter.presets import (
    MAX_BYTES,
    PresetError,
    file_name,
    format_preset,
    parse_preset,
    read_preset,
)
from headhunter_pack.headhunter.scoring.linear import LinearHead, fold
from headhunter_pack.headhunter.scoring.taste import taste_file
from headhunter_pack.headhunter.study import StudyError, open_study, read_study
from hypothesis import given
from hypothesis import strategies as st
from properties import cases, limited, quickest, within
from reader import Reader, find_node
from safetensors.torch import save_file

# What breaks readers: edges of numbers, white space of one language alone, halves of characters, depths.
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, -0.0, 2**53 - 1, 2**53, 1e308, 5e-324, 0.1, 4, 24]),
    st.floats(allow_nan=False, allow_infinity=False),
)
# Letters of Unicode 12, which every Python and browser in use knows.
KNOWN = st.characters(max_codepoint=0x1F9FF).filter(lambda c: unicodedata.category(c) != "Cn")
TEXTS = st.one_of(
    st.text(KNOWN, max_size=12),
    st.sampled_from(
        ["", " ", "\ufeff", "\x1c", "\x85", "\u00a0", "\ud800", "a\udc00", "\0", "con", "__proto__", "x" * 201]
    ),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=8,
)
ITEMS = st.sampled_from(
    ["L1H2", "L3", "*", "L0H0-3", "l2h1@0.5", "L2@-1", "D1H0", "S0", "L9", "H", "L1-", "#x", "L4", "L0H4", "@", "L1@2", "\n", " ", ","]
)  # fmt: skip
HEADS = st.one_of(st.lists(ITEMS, max_size=6).map(" ".join), LEAVES)
GROUPS = st.fixed_dictionaries(
    {"heads": HEADS},
    optional={
        "scale": st.one_of(st.floats(-20, 100), LEAVES),
        "strength": st.one_of(st.floats(0, 1), LEAVES),
        "window": st.one_of(st.just([0.1, 0.9]), st.lists(LEAVES, max_size=3), LEAVES),
        "rescale": LEAVES,
        "tokens": st.one_of(st.sampled_from(["all", "image"]), VALUES),
        "perturbation": st.one_of(st.sampled_from(["identity", "temperature", "self_and_text", "zero"]), VALUES),
        "temperature": LEAVES,
        "mix": st.one_of(st.sampled_from(["orthogonal", "frequency"]), LEAVES),
        "end_scale": st.one_of(st.floats(0, 10), LEAVES),
        "method": st.one_of(st.just("in attention"), VALUES),
        "limit": NUMBERS,
    },
)
PRESETS = st.fixed_dictionaries(
    {
        "format": st.one_of(*[st.just("headhunter-preset/1")] * 9, VALUES),
        "name": st.one_of(st.just("a"), TEXTS, VALUES),
        "model": st.one_of(st.just("sd3-4x4"), TEXTS),
        "grid": st.one_of(*[st.just({"layers": 4, "heads": 4})] * 4, VALUES),
        "groups": st.one_of(st.lists(GROUPS, min_size=1, max_size=3), st.lists(GROUPS, min_size=1, max_size=1), VALUES),
    },
    optional={"note": TEXTS, "style": VALUES, "study": VALUES, "colour": VALUES, "checkpoint": TEXTS, "__proto__": VALUES},
)  # fmt: skip


@st.composite
def preset_texts(draw: Any) -> str:
    """A preset's JSON, most often a nearly good one; some have their text changed."""
    text = json.dumps(draw(PRESETS), ensure_ascii=draw(st.booleans()))
    kind = draw(st.integers(0, 9))
    if kind == 0:
        place = draw(st.integers(0, len(text)))
        text = (
            text[:place]
            + draw(st.sampled_from(["", "\ufeff", "}", "9" * 5000, "[" * 3000, "1e999", "NaN", "\ud800", "\x00"]))
            + text[place:]
        )
    elif kind == 1:
        text = "\ufeff" + text
    return text


@pytest.fixture(scope="module")
def page() -> Iterator[Reader]:
    node = find_node()
    if node is None:
        pytest.skip("no node to read presets with")
    with Reader(node) as reader:
        yield reader


def read(text: str) -> str | None:
    try:
        return format_preset(parse_preset(text))
    except PresetError as error:
        assert str(error)
        return None


def same(mine: str, theirs: str) -> bool:
    return parse_preset(mine) == parse_preset(theirs) and json.loads(mine)["name"] == json.loads(theirs)["name"]


@cases()
@given(text=preset_texts())
def test_presets_in_both_languages(page, text):
    with limited():
        mine = read(text)
    theirs = page.ask("preset", text)
    quickest(0.2, chain([theirs["seconds"]], (page.ask("preset", text)["seconds"] for _ in range(4))).__next__)
    assert theirs.get("kind", "PresetError") == "PresetError", theirs
    assert (mine is None) == ("error" in theirs), (mine, theirs)
    if mine is not None:
        assert same(mine, theirs["value"])
        mine.encode()
        assert read(mine) == mine


@cases()
@given(name=st.text(KNOWN, max_size=150))
def test_file_names_in_both_languages(page, name):
    try:
        mine = file_name(name)
    except PresetError:
        mine = None
    assert page.ask("file", name).get("value") == mine
    if mine:
        assert len(mine.encode()) < 250 and mine.endswith(".json") and "/" not in mine and not mine.startswith(".")


@cases()
@given(
    data=st.one_of(
        st.binary(max_size=200), preset_texts().map(lambda text: b"\xef\xbb\xbf" + text.encode(errors="replace"))
    )
)
def test_preset_files_in_both_languages(page, tmp_path, data):
    path = tmp_path / "x.json"
    path.write_bytes(data)
    try:
        with limited():
            mine = format_preset(read_preset(path))
    except PresetError as error:
        assert "x.json" in str(error)
        mine = None
    theirs = page.ask("bytes", base64.b64encode(data).decode())
    assert (mine is None) == ("error" in theirs)
    assert mine is None or same(mine, theirs["value"])


BASE = {"format": "headhunter-preset/1", "name": "a", "model": "m", "grid": {"layers": 57, "heads": 24}}
WORST = {
    "every head, again and again": {"groups": [{"heads": "*," * 49_999}]},
    "every layer": {"groups": [{"heads": "L1\n" * 33_000}]},
    "different heads": {
        "groups": [{"heads": ",".join(f"L{i % 57}H{i // 57 % 24}@0.{i}" for i in range(999)) + " L1 " * 20_000}]
    },
    "a comment": {"groups": [{"heads": "#" + "x" * 99_000}]},
    "white space": {"groups": [{"heads": " " * 100_000}], "name": " " * 200},
    "64 groups of every head": {"groups": [{"heads": "*"}] * 64},
    "64 groups of many heads": {"groups": [{"heads": "L0-56H0-23@0.5 " * 100}] * 64},
    "64 groups of a strength for every head": {
        "groups": [
            {"heads": ",".join(f"L{n // 48}H{n % 48}@.{(n + group) % 1000:03d}" for n in range(2_540, 2_688))}
            for group in range(64)
        ],
        "grid": {"layers": 56, "heads": 48},
    },
    "64 groups of a strength for every column": {
        "groups": [{"heads": ",".join(f"L0-63H{n}@.{n + group:03d}" for n in range(63))} for group in range(100, 164)],
        "grid": {"layers": 64, "heads": 64},
    },
    "64 groups of every head at a strength": {
        "groups": [{"heads": f"*@.{group}"} for group in range(100, 164)],
        "grid": {"layers": 64, "heads": 64},
    },
    "a bad end": {"groups": [{"heads": "L1," * 33_000 + "x"}]},
    "outside at the end": {"groups": [{"heads": "L1," * 33_000 + "L57"}]},
    "a long item": {"groups": [{"heads": "L" + "1" * 99_000}]},
    "a long strength": {"groups": [{"heads": "L1@" + "1" * 99_000}]},
    "numbers": {"groups": [{"heads": "L1"}], "x": [1.5] * 50_000},
    "long numbers": {"groups": [{"heads": "L1"}], "x": "NUMBER"},
    "lists": {"groups": [{"heads": "L1"}], "x": [[]] * 60_000},
    "objects": {"groups": [{"heads": "L1"}], "x": [{"a": 1}] * 20_000},
    "names": {"groups": [{"heads": "L1", **{f"n{i}": 1 for i in range(18_000)}}]},
    "a wide grid": {"groups": [{"heads": "*"}] * 64, "grid": {"layers": 4096, "heads": 4096}},
    "a long note": {"groups": [{"heads": "L1"}], "note": "\u0001" * 20_000},
}


@pytest.mark.parametrize("what", WORST)
def test_any_preset_within_the_limits_is_read_quickly(page, what):
    """0.2 s of CPU, in Python and in the page, which also shows its heads."""
    text = json.dumps(BASE | WORST[what]).replace('"NUMBER"', "0." + "9" * 200_000)
    assert len(text) <= MAX_BYTES
    page.ask("preset", json.dumps(BASE | {"groups": [{"heads": "L1"}]}))  # the first takes the compiler's time too

    def read() -> None:
        with suppress(PresetError):
            parse_preset(text)

    within(0.2, read, megabytes=128)
    quickest(0.2, lambda: page.ask("preset", text)["seconds"])
    quickest(0.2, lambda: page.ask("union", text)["seconds"])


# Checkpoint headers.

KEYS = [
    *native_sd3(2), *native_flux(2, 2, 48, 16), "img_in.weight", "double_blocks.0.img_attn.norm.key_norm.scale",
    *(f"{files.width}" for family in FAMILIES for files in family.files),
]  # fmt: skip
NAMES = st.one_of(
    st.sampled_from(KEYS),
    st.sampled_from(KEYS).map(lambda key: "model.diffusion_model." + key),
    st.tuples(st.sampled_from(KEYS), st.sampled_from(["00", "9" * 5000, "-1", "\u0663", "1e3", "", "99999"])).map(lambda pair: pair[0].replace("0", pair[1], 1)),
    TEXTS,
)  # fmt: skip
SHAPES = st.one_of(
    st.lists(st.sampled_from([0, 1, 16, 64, 48, 3072, 2**40, 2**63, -1, 1.5, True, None]), max_size=5), VALUES
)
ENTRIES = st.one_of(SHAPES.map(lambda shape: {"dtype": "BF16", "shape": shape, "data_offsets": [0, 0]}), VALUES)
STARTS = [native_sd3(2), native_flux(2, 3, 48, 16), {}]


@st.composite
def header_files(draw: Any) -> bytes:
    header: dict[str, Any] = {name: {"shape": list(shape)} for name, shape in draw(st.sampled_from(STARTS)).items()}
    header |= draw(st.dictionaries(NAMES, ENTRIES, max_size=4))
    for name in list(header):
        if draw(st.integers(0, 19)) == 0:
            del header[name]
    text = json.dumps(header)
    if draw(st.integers(0, 5)) == 0:
        place = draw(st.integers(0, len(text)))
        text = (
            text[:place]
            + draw(st.sampled_from(["Infinity", '"a": 1,', "[" * 2000, "9" * 5000, "\0", "{"]))
            + text[place:]
        )
    data = headed(text)
    if draw(st.integers(0, 9)) == 0:
        data = data[: draw(st.integers(0, len(data)))]
    return data


@cases()
@given(data=header_files())
def test_headers(tmp_path, data):
    path = tmp_path / "strange.safetensors"
    path.write_bytes(data)
    try:
        with limited():
            grid = grid_from_file(path)
        assert grid.layers >= 1 and grid.heads >= 1
    except GridError as error:
        assert "strange.safetensors" in str(error) and len(str(error)) < 2000


@pytest.mark.parametrize(
    "name",
    [
        "joint_blocks." * 100_000,
        "." * 2**20,
        "double_blocks." + "1" * 2**20,
        "a.double_blocks.0." * 50_000,
        "x.0" * 400_000,
    ],
)
def test_a_long_name_is_read_in_time(tmp_path, name):
    path = tmp_path / "strange.safetensors"
    path.write_bytes(headed(json.dumps({name: {"shape": [1]}})))
    with limited(2.0, 512), pytest.raises(GridError, match="strange.safetensors"):
        grid_from_file(path)


def test_a_name_twice(tmp_path):
    path = tmp_path / "strange.safetensors"
    good = json.dumps({name: {"shape": list(shape)} for name, shape in native_sd3(2).items()})
    path.write_bytes(headed(good))
    assert grid_from_file(path).model == "sd3-2x2"
    path.write_bytes(headed(good[:-1] + ', "x_embedder.proj.weight": {"shape": [64, 16, 2, 2]}}'))
    with pytest.raises(GridError, match="strange.safetensors"):
        grid_from_file(path)
    path.write_bytes((10**6).to_bytes(8, "little") + good.encode() + b" " * 100)
    with pytest.raises(GridError, match="strange.safetensors: cut short"):
        grid_from_file(path)


# Scorer files.

TENSOR_NAMES = st.sampled_from(
    ["weight", "bias", "layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias", "probe", "x", "", "layers.00.weight", "\u0663.weight"]
)  # fmt: skip
TENSORS = st.builds(
    lambda shape, value, dtype: torch.full(shape, value).to(dtype),
    st.lists(st.sampled_from([0, 1, 2, 8, 16]), max_size=3),
    st.sampled_from([0.0, 1.0, -0.5, float("nan"), float("inf"), 1e38]),
    st.sampled_from(
        [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool, torch.float8_e4m3fn]
    ),
)
METADATA = st.dictionaries(
    st.sampled_from(["format", "dim", "liked", "pooling", "x"]),
    st.sampled_from(["headhunter-taste/1", "headhunter-taste/2", "8", "", "tokens", "\u0663", "x" * 1000]),
    max_size=4,
)


@st.composite
def scorer_files(draw: Any) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    if draw(st.booleans()):
        tensors, metadata = taste_file(LinearHead(torch.arange(1.0, 9.0, dtype=torch.float64), 0.5), (3, 2))
    else:
        tensors, metadata = {"layers.0.weight": torch.ones(2, 8), "layers.0.bias": torch.ones(2), "layers.2.weight": torch.ones(1, 2), "layers.2.bias": torch.zeros(1)}, {}  # fmt: skip
    tensors |= draw(st.dictionaries(TENSOR_NAMES, TENSORS, max_size=2))
    for name in list(tensors):
        if draw(st.integers(0, 9)) == 0:
            del tensors[name]
    return tensors, metadata | draw(METADATA)


@cases()
@given(made=scorer_files(), cut=st.one_of(st.none(), st.none(), st.integers(0, 400)), junk=st.binary(max_size=8))
def test_scorer_files(tmp_path, monkeypatch, made, cut, junk):
    """A head that scores with finite numbers, or a ValueError that names the file."""
    path = tmp_path / "odd.safetensors"
    tensors, metadata = made
    with suppress(Exception):  # some cannot be written at all: then the file before is read again
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata)
    if not path.exists():
        return
    if cut is not None:
        data = path.read_bytes()
        path.write_bytes(data[:cut] + junk + data[cut + len(junk) :])
    monkeypatch.setattr(files, "find_file", lambda name, folders: path)
    try:
        with limited(0.5):
            head = files.load_head("odd.safetensors")
        assert torch.isfinite(head.weight).all() and abs(head.bias) < float("inf")
        assert head.unit > 0
        assert torch.isfinite(head(torch.nn.functional.normalize(torch.ones(head.weight.numel()), dim=0)))
    except ValueError as error:
        assert "odd.safetensors" in str(error), error


@cases()
@given(layers=st.dictionaries(TENSOR_NAMES, TENSORS, max_size=5))
def test_folding(layers):
    try:
        with limited():
            head = fold(layers, "odd.pth")
        assert torch.isfinite(head.weight).all()
    except ValueError as error:
        assert "odd.pth" in str(error), error


# Studies.


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """Each hostile study, made once."""
    with tempfile.TemporaryDirectory() as folder:
        for number, make in enumerate(hostile.ALL.values()):
            make(Path(folder) / f"{number}.sqlite")
        yield Path(folder)


CHANGES = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=64)), max_size=6)
STORED = st.one_of(
    VALUES, st.fixed_dictionaries({}, optional={"rounds": VALUES, "scorers": VALUES, "pairs": VALUES, "grid": VALUES})
)


@cases()
@given(
    number=st.integers(0, len(hostile.ALL) - 1),
    changes=CHANGES,
    stored=STORED,
    name=st.sampled_from(["report", "about", "identity", "created"]),
)
def test_studies(made, tmp_path, monkeypatch, number, changes, stored, name):
    """Any study with any bytes of it changed: each route answers, with a reason where it refuses."""
    monkeypatch.setattr(studies, "studies_folder", lambda: tmp_path)
    path = tmp_path / "x.sqlite"
    source = made / f"{number}.sqlite"
    for old in (
        path,
        path.with_name("x.sqlite-journal"),
        path.with_name("x.sqlite-wal"),
        path.with_name("x.sqlite-shm"),
    ):
        old.unlink(missing_ok=True)
    if not source.is_file():
        source = made / "0.sqlite"
    shutil.copyfile(source, path)
    if len(changes) % 2:
        with suppress(Exception):
            hostile.holding(name, json.dumps(stored))(tmp_path / "y.sqlite")
            (tmp_path / "y.sqlite").replace(path)
    data = bytearray(path.read_bytes())
    for place, new in copy.copy(changes) if not len(changes) % 2 else []:
        start = int(place * len(data))
        data[start : start + len(new)] = new
    path.write_bytes(data)
    for make in (routes._study, routes._heat, routes._scores):
        with limited(1.0, 128):
            answer = routes._made(lambda make=make: make("x"))
        assert answer.status in (200, 404, 422), answer
        assert answer.status == 200 or json.loads(answer.body)["error"]
    answer = routes._made(lambda: routes._preview("x", "1"))
    assert answer.status in (200, 404, 422)
    for opened in (read_study, lambda path: open_study(path, hostile.IDENTITY)):
        with suppress(StudyError):
            opened(path).close()
