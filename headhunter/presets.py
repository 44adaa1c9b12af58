"""Preset files (docs/design.md, Files): named groups with their model and source. Read strictly, as untrusted input."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .grid import Grid
from .guidance import SCALE_RANGE, Group
from .heads import HeadTextError, canonical, parse_items

FORMAT = "headhunter-preset/1"
MAX_BYTES = 2**20
MAX_GROUPS = 64
MAX_SIDE = 4096
_TEXT_LIMITS = {"name": 200, "model": 100, "checkpoint": 1_000, "style": 2_000, "source": 2_000, "note": 20_000}
_GROUP_KEYS = {"heads", "scale", "strength", "window", "rescale", "tokens", "perturbation", "temperature", "mix"}


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
        """Nothing where it was made for `grid`; a warning where only the size is the same. PresetError for another grid."""
        if (self.layers, self.heads) != (grid.layers, grid.heads):
            raise PresetError(
                f'the preset "{self.name}" is for {self.model} ({self.layers} layers x {self.heads} heads); this model is {grid}. '
                "Heads mean something else in another model: choose a preset for this one."
            )
        if self.model != grid.model:
            return (
                f'the preset "{self.name}" was made for {self.model}; on {grid.model} its heads may mean something else'
            )
        return ""

    def amplified(self, amount: float) -> tuple[Group, ...]:
        """The groups with their scales times `amount` (0..10), kept within what a scale may be."""
        low, high = SCALE_RANGE
        return tuple(replace(group, scale=max(low, min(high, group.scale * amount))) for group in self.groups)


def read_preset(path: Path) -> Preset:
    """A preset file. PresetError names the file and the field."""
    if path.stat().st_size > MAX_BYTES:
        raise PresetError(f"{path.name}: over {MAX_BYTES} bytes, the most that is read")
    try:
        return parse_preset(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise PresetError(f"{path.name}: not UTF-8 text") from None
    except PresetError as error:
        raise PresetError(f"{path.name}: {error}") from None


def parse_preset(text: str) -> Preset:
    """A preset's JSON text. PresetError names the field and what is allowed."""
    if len(text) > MAX_BYTES:
        raise PresetError(f"over {MAX_BYTES} characters, the most that is read")
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise PresetError("not a preset: nested too deeply") from None
    except ValueError as error:
        raise PresetError(f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise PresetError("not a preset: it should be a JSON object")
    if data.get("format") != FORMAT:
        raise PresetError(f'format is {data.get("format")!r}; this version reads "{FORMAT}"')
    texts = {name: _text(data, name, limit) for name, limit in _TEXT_LIMITS.items()}
    for name in ("name", "model"):
        if not texts[name].strip():
            raise PresetError(f"{name} is missing or empty")
    layers, heads = _grid(data.get("grid"))
    groups = data.get("groups")
    if not isinstance(groups, list) or not 1 <= len(groups) <= MAX_GROUPS:
        raise PresetError(f"groups should be a list of 1 to {MAX_GROUPS} groups")
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
    """A preset of some groups on a grid, its heads in canonical form. PresetError where there is nothing to save."""
    if not name.strip():
        raise PresetError("a preset needs a name")
    if not groups:
        raise PresetError(
            "this model has no SoftPAG groups to save: connect the model that comes out of SoftPAG Guidance"
        )
    saved = tuple(replace(group, heads=canonical(group.heads, grid)) for group in groups)
    return Preset(
        name.strip(),
        grid.model,
        grid.layers,
        grid.heads,
        saved,
        style=style,
        note=note,
        source="HeadHunter for ComfyUI",
    )


def file_name(name: str) -> str:
    """A preset's file name: its name with what no file system likes replaced. PresetError where nothing is left."""
    stem = re.sub(r"[^\w\-. ]+", "_", name, flags=re.UNICODE).strip(" ._")[:100]
    if not stem:
        raise PresetError(f"{name!r} has no letters or digits to name a file by")
    if re.fullmatch(r"(?i)con|prn|aux|nul|com[0-9]|lpt[0-9]", stem.split(".")[0]):
        stem = f"{stem}_"
    return stem + ".json"


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _group_data(group: Group) -> dict[str, Any]:
    data: dict[str, Any] = {key: getattr(group, key) for key in Group.__dataclass_fields__ if key != "temperature"}
    data["window"] = list(group.window)
    if group.perturbation == "temperature":
        data["temperature"] = group.temperature
    return data


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
        raise PresetError(f"{where}: {error}") from None
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
