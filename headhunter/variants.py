"""Variants: the settings that Compare Heads puts side by side, as text (docs/design.md, Variants).

    warm: L11H15                          heads with the settings that SoftPAG Guidance begins with
    soft: L11H15, L9 scale=5 strength=0.3 with settings of their own
    both: L11H15 scale=5 | L9 end=0.4     two groups, as two SoftPAG nodes in a row
    dark: sd3-medium/dark-L1H2 scale=2    a preset by its name, in place of heads; a setting is that of all of its groups
    cfg 4: cfg=4                          another CFG, alone or with heads

One variant a line: a name, a colon, then groups with `|` between them. A group is head text or a preset's name, then
settings, `name=value`, with spaces or commas between them. `#` begins a comment; blank lines do not count.
`unguided`, the model as it comes in, is always there and has no line.

Limits: 100,000 characters, 64 variants, 256 groups in all, names of 60 characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

from .grid import Grid
from .guidance import LIMIT, Group
from .heads import LINE_END, MAX_TEXT, HeadTextError, format_heads, parse, parse_items
from .presets import Preset, PresetError

UNGUIDED = "unguided"
MAX_VARIANTS = 64
MAX_NAME = 60
MAX_GROUPS = 256
CFG_RANGE = (0.0, 100.0)
_LONGEST_VALUE = 40
_WORD = re.compile(r"[^\s,]+")
_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]{1,3})?|\.[0-9]{1,3})")
_FIELDS = (
    "scale",
    "strength",
    "rescale",
    "tokens",
    "perturbation",
    "temperature",
    "mix",
    "method",
    "limit",
    "end_scale",
)
SETTINGS = ("scale", "strength", "start", "end", *_FIELDS[2:], "cfg")
"""What may stand after the heads."""
_TEXTS = ("tokens", "perturbation", "mix", "method")
_DEFAULTS = {field.name: field.default for field in fields(Group)}

Presets = Callable[[str], "Preset | None"]
"""A preset by its name; None where there is none of that name, PresetError where it cannot be used."""


class VariantError(HeadTextError):
    """A text of variants that cannot be read; names the item, its line and column (from 1), and what is allowed."""


@dataclass(frozen=True)
class Variant:
    """`groups`: on a grid their heads are canonical. `cfg`: None where it has none of its own."""

    name: str
    groups: tuple[Group, ...] = ()
    cfg: float | None = None

    @property
    def text(self) -> str:
        """What follows the colon: groups and cfg in one form, so that two variants are the same where their texts are."""
        groups = " | ".join(map(_format_group, self.groups))
        return " ".join(filter(None, (groups, "" if self.cfg is None else f"cfg={_format_number(self.cfg)}")))


@dataclass(frozen=True)
class _Piece:
    """A part of one line: where it stands, for errors. `column` from 0."""

    text: str
    line: int
    column: int

    def error(self, message: str) -> VariantError:
        return VariantError(message, self.text or " ", self.line, self.column + 1)

    def cut(self, start: int, end: int | None = None) -> _Piece:
        """Its characters from `start` to `end`, without white space around them."""
        text = self.text[start:end]
        left = len(text) - len(text.lstrip())
        return _Piece(text.strip(), self.line, self.column + start + left)


def parse_variants(text: str, cfg: float, presets: Presets, grid: Grid | None = None) -> tuple[Variant, ...]:
    """The variants of a text, in their order, `unguided` first. VariantError names the place and what is allowed.

    `cfg`: the one that variants have which say nothing of it. Without a grid, heads stay as they are written, and
    whether they are on the grid, change anything, or are the same twice is not looked at.
    """
    if len(text) > MAX_TEXT:
        raise VariantError(f"the variants have {len(text)} characters; at most {MAX_TEXT} are read")
    variants: dict[str, Variant] = {}
    groups = 0
    for line in _lines(text):
        name, rest = _named(line, variants)
        variant = _variant(name.text, rest, presets, grid)
        if variant.cfg == cfg:
            variant = replace(variant, cfg=None)
        groups += len(variant.groups)
        if len(variants) == MAX_VARIANTS or groups > MAX_GROUPS:
            raise name.error(f"at most {MAX_VARIANTS} variants and {MAX_GROUPS} groups in all are compared")
        if grid:
            _check_new(name, variant, variants.values())
        variants[name.text.casefold()] = variant
    if not variants:
        raise VariantError("there are no variants: write one a line, such as warm: L11H15 scale=3")
    return (Variant(UNGUIDED), *variants.values())


def _lines(text: str) -> Iterator[_Piece]:
    """The lines that say something, without their comments."""
    for number, line in enumerate(LINE_END.split(text), start=1):
        said = _Piece(line.partition("#")[0], number, 0).cut(0)
        if said.text:
            yield said


def _named(line: _Piece, known: dict[str, Variant]) -> tuple[_Piece, _Piece]:
    """A line's name, which no other has, and what follows its colon."""
    colon = line.text.find(":")
    if colon < 0:
        raise line.error("no name: write a name, a colon, then heads, such as warm: L11H15 scale=3")
    name = line.cut(0, colon)
    if not name.text or len(name.text) > MAX_NAME or not name.text.isprintable():
        raise name.error(f"a name has 1 to {MAX_NAME} characters that can be printed")
    if name.text.casefold() == UNGUIDED:
        raise name.error("unguided is always there, as the first; give this one another name")
    if name.text.casefold() in known:
        raise name.error("two variants have this name; give one of them another")
    return name, line.cut(colon + 1)


def _check_new(name: _Piece, variant: Variant, others: Any) -> None:
    """VariantError where it makes the pictures that another makes."""
    if not variant.text:
        raise name.error("it is the unguided one: give it heads, a preset's name, or a cfg of its own")
    same = next((other.name for other in others if other.text == variant.text), None)
    if same:
        raise name.error(f"it has the same heads and settings as {same}; leave one of them out")


def _variant(name: str, rest: _Piece, presets: Presets, grid: Grid | None) -> Variant:
    groups: list[Group] = []
    cfg: list[float] = []
    for part in _parts(rest):
        heads, settings = _settings(part)
        if "cfg" in settings:
            if cfg:
                raise settings["cfg"].error("cfg is given twice; a variant has one cfg for all of its groups")
            cfg.append(_cfg(settings.pop("cfg")))
            if not heads.text and not settings and part.text == rest.text:
                continue  # cfg alone
        groups += _groups(heads, settings, presets, grid)
    return Variant(name, tuple(groups), *cfg)


def _parts(rest: _Piece) -> Iterator[_Piece]:
    start = 0
    for part in rest.text.split("|"):
        yield rest.cut(start, start + len(part))
        start += len(part) + 1


def _settings(part: _Piece) -> tuple[_Piece, dict[str, _Piece]]:
    """What stands before the settings, and each setting's value, which ends where the next setting begins."""
    words = list(_WORD.finditer(part.text))
    begins = [word.start() for word in words if "=" in word.group()]
    settings: dict[str, _Piece] = {}
    for start, end in pairwise([*begins, len(part.text)]):
        whole = part.cut(start, end)
        name = whole.text.partition("=")[0]
        if not name:
            raise whole.error("write a setting without a space before its =, such as scale=3")
        if name.lower() not in SETTINGS:
            raise whole.error(f"there is no setting {name[:_LONGEST_VALUE]!r}; there are {', '.join(SETTINGS)}")
        if name.lower() in settings:
            raise whole.error(f"{name} is given twice in one group")
        settings[name.lower()] = whole
    return part.cut(0, begins[0] if begins else None), settings


def _value(setting: _Piece) -> str:
    """Behind its name; commas are as good as spaces."""
    return " ".join(setting.text.partition("=")[2].replace(",", " ").split())


def _cfg(setting: _Piece) -> float:
    low, high = CFG_RANGE
    text = _value(setting)
    if not _NUMBER.fullmatch(text) or not low <= float(text) <= high:
        raise setting.error(f"cfg must be a decimal from {low:g} to {high:g} with at most 3 places")
    return float(text)


def _read(name: str, setting: _Piece) -> Any:
    """A setting's value, checked by itself, as the group would."""
    text = _value(setting)
    if len(text) > _LONGEST_VALUE:
        raise setting.error(f"{name} has no value of {len(text)} characters")
    number = name not in _TEXTS
    value = float(text) if number and _NUMBER.fullmatch(text) else text.lower()
    field = {"start": {"window": (value, 1.0)}, "end": {"window": (0.0, value)}}.get(name, {name: value})
    try:
        Group("", **field)
    except ValueError as error:
        places = "; decimals with at most 3 places are read" if number and isinstance(value, str) else ""
        raise setting.error(f"{error}{places}") from None
    return value


def _groups(heads: _Piece, settings: dict[str, _Piece], presets: Presets, grid: Grid | None) -> list[Group]:
    """The groups of one part: one of heads, or those of a preset, with the settings on each."""
    changed = {name: _read(name, setting) for name, setting in settings.items()}
    if changed.get("method") == "in attention":
        changed.setdefault("limit", LIMIT)  # as SoftPAG Guidance begins with
    groups = []
    for group in _named_groups(heads, presets):
        start, end = group.window
        given = {name: value for name, value in changed.items() if name not in ("start", "end")}
        window = (changed.get("start", start), changed.get("end", end))
        try:
            group = replace(group, **given, window=window)
        except ValueError as error:
            raise heads.error(str(error)) from None
        groups.append(_placed(group, heads, grid) if grid else group)
    return groups


def _named_groups(heads: _Piece, presets: Presets) -> Sequence[Group]:
    """The text as head text where it is some, else as a preset's name."""
    if not heads.text.strip(", "):
        raise heads.error("no heads: write heads such as L11H15, or a preset's name, before the settings")
    try:
        parse_items(heads.text)
        return (Group(heads.text),)
    except HeadTextError as error:
        try:
            preset = presets(heads.text.strip(", "))
        except PresetError as refused:
            raise heads.error(str(refused)) from None
        if preset is None:
            raise _moved(error, heads, ", and there is no preset of that name") from None
        return preset.groups


def _placed(group: Group, heads: _Piece, grid: Grid) -> Group:
    """The group with canonical heads. VariantError where it has some outside the grid, or changes nothing."""
    try:
        chosen = parse(group.heads, grid)
    except HeadTextError as error:
        raise _moved(error, heads) if group.heads == heads.text else heads.error(f"its heads: {error}") from None
    reason = group.does_nothing(chosen)
    if reason:
        raise heads.error(f"it would change nothing: {reason}")
    return replace(group, heads=format_heads(chosen, grid))


def _moved(error: HeadTextError, heads: _Piece, more: str = "") -> VariantError:
    """An error of the heads alone, at its place in the whole text."""
    return VariantError(f"{error.reason}{more}", error.item, heads.line, heads.column + max(1, error.column))


def _format_group(group: Group) -> str:
    """Heads, scale and strength, and what else is not as SoftPAG Guidance begins with."""
    start, end = group.window
    given: dict[str, Any] = {"scale": group.scale, "strength": group.strength}
    given |= {"start": start} if start != 0 else {}
    given |= {"end": end} if end != 1 else {}
    given |= {name: getattr(group, name) for name in _FIELDS[2:] if getattr(group, name) != _DEFAULTS[name]}
    if group.perturbation != "temperature":
        given.pop("temperature", None)  # nothing uses it
    texts = (f"{name}={value if isinstance(value, str) else _format_number(value)}" for name, value in given.items())
    return " ".join([group.heads, *texts])


def _format_number(value: float) -> str:
    """`3`, `0.25`: whole and exact, since variants are told apart by it."""
    return repr(float(value)).removesuffix(".0")
