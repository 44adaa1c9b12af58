"""A user's own presets, in ComfyUI's userdata under headhunter/presets."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import folder_paths
from comfy.cli_args import args

from ...presets import Preset, PresetError, file_name, format_preset, read_preset


def save_preset(preset: Preset) -> Path:
    """Write a preset for the default user and return its path; an older file of that name keeps its unknown fields.

    PresetError under --multi-user (a node does not know its user), or where the name is taken by a file that cannot be read.
    """
    if args.multi_user:
        raise PresetError(
            "this ComfyUI runs with --multi-user, and a node cannot know whose preset this is. "
            "Take the preset's text from the preset_json output, or save it from the grid's menu in the browser."
        )
    folder = Path(folder_paths.get_user_directory()) / "default" / "headhunter" / "presets"
    path = folder / file_name(preset.name)
    if path.exists():
        older = read_preset(path)
        if older.name != preset.name:
            raise PresetError(f'the preset "{older.name}" already has the file {path.name}; choose another name')
        preset = replace(preset, extra=dict(older.extra) | dict(preset.extra))
    folder.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".json.part")
    half.write_text(format_preset(preset), encoding="utf-8")
    os.replace(half, path)
    return path
