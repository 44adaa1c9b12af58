"""Preset files: named groups with their model and source. Read strictly, as untrusted input; web/presets.js reads the same.

Limits: `MAX_BYTES` in all, `MAX_GROUPS` groups, `MAX_HEAD_TEXT` characters of head text in all groups together, `MAX_DEPTH`
levels of JSON, numbers that every reader of JSON keeps (finite, whole ones up to 2^53 - 1), and texts that UTF-8 can hold.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .grid import Grid
from .guidance import SCALE_RANGE, Group
from .heads import MAX_TEXT, HeadTextError, canonical, parse_items
from .names import file_stem

FORMAT = "headhunter-preset/1"
MAX_BYTES = 2**18
MAX_GROUPS = 64
MAX_HEAD_TEXT = MAX_TEXT
MAX_SIDE = 4096
MAX_DEPTH = 64
MAX_WHOLE = 2**53 - 1
_TEXT_LIMITS = {"name": 200, "model": 100, "checkpoint": 1_000, "style": 2_000, "source": 2_000, "note": 20_000}
_GROUP_KEYS = frozenset(Group.__dataclass_fields__)
_WHITE = re.compile(r"[\s\ufeff]*")  # what either language takes for white space


class PresetError(ValueError):
    """A preset that cannot be read or used; names the file and the field."""


@dataclass(frozen=True)
class Preset:
    """`layers`, `heads`: the grid it was made for. `extra`, `group_extras`: fields that this version does not know."""

    name: str
    model: str
    layers: int
    heads: int
    groups: tuple[Group, ...]
    checkpoint: str = ""
    style: str = ""
    source: str = ""
    note: str = ""
    study: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    group_extras: tuple[Mapping[str, Any], ...] = ()

    def check(self, grid: Grid) -> str:
        """What to warn of, or "": another model of the same size, fields that this version does not know. PresetError for another grid."""
        if (self.layers, self.heads) != (grid.layers, grid.heads):
            raise PresetError(
                f'the preset "{self.name}" is for {self.model} ({self.layers} layers x {self.heads} heads); this model is {grid}. '
                "Heads mean something else in another model: choose a preset for this one."
            )
        warnings = []
        if self.model != grid.model:
            warnings.append(f"was made for {self.model}; on {grid.model} its heads may mean something else")
        if self.unknown:
            warnings.append(
                f"has what this version of HeadHunter does not know and leaves out ({', '.join(self.unknown)}): the picture may "
                "be another one than it was made for. It is kept where the preset is saved again"
            )
        return f'the preset "{self.name}" {", and ".join(warnings)}' if warnings else ""

    @property
    def unknown(self) -> list[str]:
        """Names of the groups' fields that this version does not know, at most 10, cut where they are long."""
        return list(dict.fromkeys(name[:40] for extra in self.group_extras for name in sorted(extra)))[:10]

    def amplified(self, amount: float) -> tuple[Group, ...]:
        """The groups with their scales times `amount` (0..10), kept within what a scale may be."""
        low, high = SCALE_RANGE
        return tuple(replace(group, scale=max(low, min(high, group.scale * amount))) for group in self.groups)


def read_preset(path: Path) -> Preset:
    """A preset file. PresetError names the file and the field."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise PresetError(f"{path.name}: not a file")
        if about.st_size > MAX_BYTES:
            raise PresetError(f"{path.name}: over {MAX_BYTES} bytes, the most that is read")
        data = path.read_bytes()
    except OSError as error:
        raise PresetError(f"{path.name}: cannot be read ({error.strerror or error})") from None
    try:
        return parse_preset(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise PresetError(f"{path.name}: not UTF-8 text") from None
    except PresetError as error:
        raise PresetError(f"{path.name}: {error}") from None


def parse_preset(text: str) -> Preset:
    """A preset's JSON text. PresetError names the field and what is allowed."""
    if len(text) > MAX_BYTES:
        raise PresetError(f"over {MAX_BYTES} characters, the most that is read")
    try:
        data = json.loads(text.removeprefix("\ufeff"), parse_constant=_no_constant, parse_int=_whole, parse_float=_real)
    except RecursionError:
        raise PresetError(f"nested deeper than {MAX_DEPTH} levels, the most that is read") from None
    except PresetError:
        raise
    except ValueError as error:
        raise PresetError(f"not JSON: {error}") from None
    _check_depth(data)
    _check_characters(data)
    if not isinstance(data, dict):
        raise PresetError("not a preset: it should be a JSON object")
    if data.get("format") != FORMAT:
        raise PresetError(f'format is {data.get("format")!r}; this version reads "{FORMAT}"')
    texts = {name: _text(data, name, limit) for name, limit in _TEXT_LIMITS.items()}
    for name in ("name", "model"):
        if is_blank(texts[name]):
            raise PresetError(f"{name} is missing or empty")
    layers, heads = _grid(data.get("grid"))
    groups = data.get("groups")
    if not isinstance(groups, list) or not 1 <= len(groups) <= MAX_GROUPS:
        raise PresetError(f"groups should be a list of 1 to {MAX_GROUPS} groups")
    _check_head_text(groups)
    study = data.get("study")
    if study is not None and not isinstance(study, dict):
        raise PresetError("study should be an object")
    known = {"format", "grid", "groups", "study", *_TEXT_LIMITS}
    return Preset(
        layers=layers,
        heads=heads,
        groups=tuple(_group(item, index, layers, heads) for index, item in enumerate(groups)),
        study=study,
        extra={key: value for key, value in data.items() if key not in known},
        group_extras=tuple({key: value for key, value in item.items() if key not in _GROUP_KEYS} for item in groups),
        **texts,
    )


def format_preset(preset: Preset) -> str:
    """A preset's JSON text; unknown fields it was read with are kept."""
    extras = preset.group_extras or ({},) * len(preset.groups)
    data: dict[str, Any] = {
        "format": FORMAT,
        "name": preset.name,
        "model": preset.model,
        "grid": {"layers": preset.layers, "heads": preset.heads},
        "checkpoint": preset.checkpoint,
        "groups": [_group_data(group) | dict(extra) for group, extra in zip(preset.groups, extras, strict=True)],
        "style": preset.style,
        "source": preset.source,
        "note": preset.note,
    }
    if preset.study is not None:
        data["study"] = preset.study
    return json.dumps(data | dict(preset.extra), indent=2, ensure_ascii=False) + "\n"


def preset_of(groups: tuple[Group, ...], grid: Grid, name: str, style: str = "", note: str = "") -> Preset:
    """A preset of some groups on a grid, its heads in canonical form. PresetError where it could not be read back."""
    if is_blank(name):
        raise PresetError("a preset needs a name")
    if not groups:
        raise PresetError(
            "this model has no SoftPAG groups to save: connect the model that comes out of SoftPAG Guidance"
        )
    saved = tuple(replace(group, heads=canonical(group.heads, grid)) for group in groups)
    preset = Preset(
        strip(name),
        grid.model,
        grid.layers,
        grid.heads,
        saved,
        style=style,
        note=note,
        source="HeadHunter for ComfyUI",
    )
    saved_text(preset)
    return preset


def saved_text(preset: Preset) -> str:
    """A preset's JSON text, proved by reading it. PresetError names the field that could not be read back."""
    text = format_preset(preset)
    if parse_preset(text).groups != tuple(map(_told, preset.groups)):
        raise PresetError("its groups would be read back as others")
    if len(text.encode()) > MAX_BYTES:
        raise PresetError(f"over {MAX_BYTES} bytes, the most that is read")
    return text


def write_preset(path: Path, preset: Preset) -> None:
    """Write a preset's file whole or not at all. PresetError where it could not be read back or cannot be written."""
    text = saved_text(preset)
    half = path.with_suffix(".json.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_text(text, encoding="utf-8", newline="\n")
        os.replace(half, path)
    except OSError as error:
        raise PresetError(f"{path.name} cannot be written ({error.strerror or error})") from None
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)


def file_name(name: str) -> str:
    """A preset's file name: its name with what no file system likes replaced. PresetError where nothing is left."""
    stem = file_stem(name)
    if not stem:
        raise PresetError(f"{name[:100]!r} has no letters or digits to name a file by")
    return stem + ".json"


def is_blank(text: str) -> bool:
    """Whether a text has nothing but white space, as either language sees it."""
    return _WHITE.fullmatch(text) is not None


def strip(text: str) -> str:
    """Without white space at its ends, as either language sees it."""
    start = _WHITE.match(text)
    end = len(text)
    while end and _WHITE.fullmatch(text[end - 1]):
        end -= 1
    return text[start.end() if start else 0 : end]


def _whole(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > MAX_WHOLE:
        raise PresetError(f"{text[:20]} is a larger number than every reader keeps; at most {MAX_WHOLE} is read")
    return int(text)


def _real(text: str) -> float:
    value = float(text)
    if value - value != 0 or (value == int(value) and abs(value) > MAX_WHOLE):
        raise PresetError(f"{text[:20]} is a larger number than every reader keeps; at most {MAX_WHOLE} is read")
    return value


def _check_depth(data: object) -> None:
    level: list[object] = [data]
    for _ in range(MAX_DEPTH + 1):
        level = [
            item
            for value in level
            if isinstance(value, (dict, list))
            for item in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise PresetError(f"nested deeper than {MAX_DEPTH} levels, the most that is read")


def _check_characters(data: object) -> None:
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise PresetError(f"it has half a character ({half}), which no file can hold") from None


def _check_head_text(groups: list[object]) -> None:
    texts = [group.get("heads") for group in groups if isinstance(group, dict)]
    total = sum(len(text) for text in texts if isinstance(text, str))
    if total > MAX_HEAD_TEXT:
        raise PresetError(f"its groups have {total} characters of head text; at most {MAX_HEAD_TEXT} are read")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number that JSON has")


def _group_data(group: Group) -> dict[str, Any]:
    """Without what says nothing: older readers do not know an end scale or a method."""
    data: dict[str, Any] = {key: getattr(group, key) for key in Group.__dataclass_fields__}
    data["window"] = list(group.window)
    silent = {
        "temperature": group.perturbation != "temperature",
        "end_scale": group.end_scale == 1,
        "method": not group.in_attention,
        "limit": group.limit == 0,
    }
    return {key: value for key, value in data.items() if not silent.get(key)}


def _told(group: Group) -> Group:
    """A group as its text tells it: a temperature that nothing uses is not written."""
    return group if group.perturbation == "temperature" else replace(group, temperature=Group.temperature)


def _text(data: Mapping[str, Any], name: str, limit: int) -> str:
    value = data.get(name, "")
    if not isinstance(value, str):
        raise PresetError(f"{name} should be text")
    if len(value) > limit:
        raise PresetError(f"{name} has {len(value)} characters; at most {limit} are read")
    return value


def _grid(value: object) -> tuple[int, int]:
    if isinstance(value, dict):
        sides = value.get("layers"), value.get("heads")
        # 24.0 is the same JSON number as 24.
        if all(type(side) in (int, float) and 1 <= side <= MAX_SIDE and side == int(side) for side in sides):  # type: ignore
            return int(sides[0]), int(sides[1])  # type: ignore[arg-type]
    raise PresetError(f'grid should be {{"layers": n, "heads": m}}, each from 1 to {MAX_SIDE}')


def _group(value: object, index: int, layers: int, heads: int) -> Group:
    where = f"groups[{index}]"
    if not isinstance(value, dict):
        raise PresetError(f"{where} should be an object")
    if "heads" not in value:
        raise PresetError(f"{where}.heads is missing")
    fields = {key: value[key] for key in _GROUP_KEYS if key in value}
    window = fields.get("window", [0.0, 1.0])
    if not isinstance(window, list):
        raise PresetError(f"{where}.window should be a list of a start and an end from 0 to 1")
    fields["window"] = tuple(window)
    try:
        group = Group(**fields)
    except ValueError as error:
        raise PresetError(f"{where}: {str(error)[:500]}") from None
    try:
        _check_bounds(group.heads, layers, heads)
    except HeadTextError as error:
        raise PresetError(f"{where}.heads: {error}") from None
    return group


def _check_bounds(text: str, layers: int, heads: int) -> None:
    """Every item must lie inside the preset's grid; which layers are double or single the model alone knows."""
    for item in parse_items(text):
        if item.letter and item.layers[1] >= layers:
            raise item.error(f"the preset's grid has layers 0 to {layers - 1}")
        if item.heads and item.heads[1] >= heads:
            raise item.error(f"the preset's grid has heads 0 to {heads - 1}")
