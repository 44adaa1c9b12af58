"""A user's own presets, in ComfyUI's userdata under headhunter/presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import folder_paths
from comfy.cli_args import args

from ...presets import Preset, PresetError, file_name, read_preset, write_preset


def presets_folder() -> Path:
    """The default user's."""
    return Path(folder_paths.get_user_directory()) / "default" / "headhunter" / "presets"


def save_preset(preset: Preset) -> Path:
    """Write a preset for the default user and return its path; an older file of that name keeps its unknown fields (those of a
    group where the group is still the same).

    PresetError where it could not be read back or cannot be written,
    under --multi-user (a node does not know its user), or where the name is taken by a file that cannot be read.
    """
    if args.multi_user:
        raise PresetError(
            "this ComfyUI runs with --multi-user, and a node cannot know whose preset this is. "
            "Take the preset's text from the preset_json output, or save it from the grid's menu in the browser."
        )
    path = presets_folder() / file_name(preset.name)
    if path.exists():
        older = read_preset(path)
        if older.name != preset.name:
            raise PresetError(f'the preset "{older.name}" already has the file {path.name}; choose another name')
        preset = replace(
            preset,
            extra=dict(older.extra) | dict(preset.extra),
            group_extras=_kept(older, preset) or preset.group_extras,
        )
    write_preset(path, preset)
    return path


def _kept(older: Preset, preset: Preset) -> tuple[Mapping[str, Any], ...]:
    """What the older file's groups have besides, for those that are the same; empty where none has."""
    if not older.unknown or preset.group_extras:
        return ()
    extras = dict(enumerate(zip(older.groups, older.group_extras, strict=True)))
    return tuple(
        extras[index][1] if index in extras and extras[index][0] == group else {}
        for index, group in enumerate(preset.groups)
    )
