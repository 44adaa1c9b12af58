"""The demo's first part: the same prompts and noise unguided, with CFG, with SoftPAG, with both, against the real pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hosting.server import Server

from . import table
from .captions import captions
from .comparing import compare
from .making import Pictures, make
from .painting import call
from .progress import say
from .settings import CFG_ALONE, UNGUIDED, Setting, compared

FOLDER = "pictures"
CAPTIONS, ROWS, STEPS = 32, 1, 20  # captions; pictures of each caption and setting; sampling steps
SHEET_ROWS = 12
MEASURE = (
    "Fidelity is the negative mean squared difference between a made picture and the real picture of its caption, over all pixels and "
    "the three colours, each 0 to 1; fidelity_coarse is the same after averaging squares of 4 x 4 pixels. Pictures of one caption are "
    "averaged first; the standard errors are over captions. difference is to the unguided picture of the same caption and noise, "
    "paired: positive is closer to the real pictures; in fidelity_over_cfg it is to CFG alone. The captions were held out from training and from choosing the settings."
)


def run(servers: Sequence[Server], out: Path, quick: bool) -> dict[str, Any]:
    """Makes and measures the pictures, draws the sheet, and returns this part of the summary."""
    chosen, rows, steps = (captions("report")[:2], 1, 6) if quick else (captions("report")[:CAPTIONS], ROWS, STEPS)
    settings = compared()
    say(f"{len(chosen)} captions, {len(settings)} settings, {rows} pictures each, {steps} steps")
    made = make(servers, chosen, settings, rows, steps, out / FOLDER)
    say("measuring against the real pictures")
    real = [caption.real for caption in chosen]
    errors = call(servers[0].host, "fidelity.py", {"real": real, "made": made})
    results = [
        asdict(setting)
        | _fidelities(setting, errors)
        | {"pictures": [[file.relative_to(out).as_posix() for file in files] for files in made[setting.name]]}
        for setting in settings
    ]
    part = {
        "measure": MEASURE,
        "steps": steps,
        "rows": rows,
        "captions": [{"text": caption.text, "seed": caption.seed, "real": caption.real.name} for caption in chosen],
        "settings": results,
    }
    call(servers[0].host, "sheet.py", _sheet(out / "sheet.png", part, made, real))
    return part


def _fidelities(setting: Setting, errors: dict[str, Any]) -> dict[str, Any]:
    """A setting against unguided; with both kinds of guidance, also against CFG alone."""
    fine, coarse = errors["fine"], errors["coarse"]
    compared_with = {
        "fidelity": compare(fine[setting.name], fine[UNGUIDED.name]),
        "fidelity_coarse": compare(coarse[setting.name], coarse[UNGUIDED.name]),
    }
    if setting.scale and setting.cfg != 1:
        compared_with["fidelity_over_cfg"] = compare(fine[setting.name], fine[CFG_ALONE.name])
    return compared_with


def _sheet(path: Path, part: dict[str, Any], made: Pictures, real: list[Path]) -> dict[str, Any]:
    """The job for sheet.py: the first captions, the first row of each setting."""
    heads = " and ".join(sorted({setting["heads"] for setting in part["settings"] if setting["heads"]}))
    columns = [["real picture", "", ""]]
    for setting in part["settings"]:
        first, _, second = setting["title"].rpartition(" w=")
        columns.append([first or setting["title"], f"w = {second}" if first else "", table.percent(setting)])
    rows = [
        {
            "label": _label(caption["text"]),
            "pictures": [real[i], *(made[setting["name"]][i][0] for setting in part["settings"])],
        }
        for i, caption in enumerate(part["captions"][:SHEET_ROWS])
    ]
    title = [
        f"SoftPAG on heads {heads} of the demo's tiny SD3: one noise in each row",
        f"w: SoftPAG's scale. Below each name: squared error against the real pictures, less (+) or more (-) than unguided, "
        f"over all {len(part['captions'])} captions",
    ]
    return {"path": path, "title": title, "columns": columns, "rows": rows}


def _label(text: str) -> list[str]:
    """A caption in lines: the thing, its style and tint, its background."""
    parts = text.split(", ")
    return [parts[0], ", ".join(parts[1:-1]), parts[-1]]


def report(part: dict[str, Any]) -> str:
    """The table and the sentences for the terminal."""
    return f"{table.table(part['settings'])}\n\n{table.sentences(part['settings'])}"
