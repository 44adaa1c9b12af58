"""Read-only routes for the page (docs/design.md): the grid of a checkpoint, the shipped presets, the studies, a study's report,
scores and previews.

Names are looked up in ComfyUI's own lists; a path is never taken.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import folder_paths
from aiohttp import web

from ...checkpoint import grid_from_file
from ...families import models_for_the_page
from ...grid import GridError, describe
from ...heat import heat_of
from ...study import StudyError
from ..hunting.studies import find_study, list_studies
from .shipped import shipped_presets

GRID_FOLDERS = ("checkpoints", "diffusion_models", "unet_gguf")


def add_routes(routes: web.RouteTableDef) -> None:
    """Register the routes on a server's table."""

    @routes.get("/headhunter/grid")
    async def grid(request: web.Request) -> web.Response:
        return await _answer(lambda: _grid(request.query.get("folder", ""), request.query.get("name", "")))

    @routes.get("/headhunter/models")
    async def models(request: web.Request) -> web.Response:
        return web.json_response(models_for_the_page())

    @routes.get("/headhunter/presets")
    async def presets(request: web.Request) -> web.Response:
        return await _answer(shipped_presets)

    @routes.get("/headhunter/studies")
    async def studies(request: web.Request) -> web.Response:
        return await _answer(list_studies)

    @routes.get("/headhunter/studies/{id}.csv")
    async def scores(request: web.Request) -> web.Response:
        return await _answer(lambda: _scores(request.match_info["id"]), "text/csv")

    @routes.get("/headhunter/studies/{id}")
    async def study(request: web.Request) -> web.Response:
        return await _answer(lambda: _study(request.match_info["id"]))

    @routes.get("/headhunter/studies/{id}/heat")
    async def heat(request: web.Request) -> web.Response:
        return await _answer(lambda: _heat(request.match_info["id"]))

    @routes.get("/headhunter/studies/{id}/preview/{number}")
    async def preview(request: web.Request) -> web.Response:
        return await _answer(lambda: _preview(request.match_info["id"], request.match_info["number"]), "image/jpeg")


async def _answer(make: Callable[[], Any], kind: str = "application/json") -> web.Response:
    """What `make` gives, made off the server's loop; 404 or 400 with a reason where it cannot be had."""
    try:
        body = await asyncio.to_thread(make)
    except StudyError as error:
        return web.json_response({"error": str(error)}, status=404)
    except (GridError, ValueError) as error:
        return web.json_response({"error": str(error)}, status=400)
    if kind == "application/json":
        return web.json_response(body)
    return web.Response(body=body, content_type=kind)


def _grid(folder: str, name: str) -> dict[str, Any]:
    """The grid of a listed file (in any of the folders where `folder` is empty), with its size and time of change.

    Where the header cannot be read (GGUF, .ckpt, another model), `error` says why and there is no grid.
    """
    if folder and folder not in GRID_FOLDERS:
        raise GridError(f"folder must be one of {', '.join(GRID_FOLDERS)}, or empty for any of them")
    known = [one for one in ([folder] if folder else GRID_FOLDERS) if one in folder_paths.folder_names_and_paths]
    found = next((one for one in known if name in folder_paths.get_filename_list(one)), None)
    if found is None:
        raise GridError(f"ComfyUI lists no file {name!r} in {folder or ' or '.join(known)}")
    path = Path(folder_paths.get_full_path_or_raise(found, name))
    file = {"name": name, "bytes": path.stat().st_size, "changed": path.stat().st_mtime}
    try:
        return describe(grid_from_file(path)) | file
    except GridError as error:
        return file | {"error": str(error)}


def _heat(name: str) -> dict[str, Any]:
    with find_study(name) as study:
        return {"id": name} | heat_of(study)


def _study(name: str) -> dict[str, Any]:
    with find_study(name) as study:
        return {
            "id": name,
            "created": study.get("created"),
            "identity": study.get("identity"),
            "report": study.get("report"),
            "images": study.evaluations(),
            "previews": study.previews(),
        }


def _scores(name: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["round", "head", "heads", "pair", "prompt", "seed", "scorer", "score"])
    with find_study(name) as study:
        for row in study.table():
            writer.writerow([_safe(cell) for cell in row])
    return text.getvalue().encode()


def _safe(cell: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets a quote before it."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell


def _preview(name: str, number: str) -> bytes:
    if not number.isdecimal() or len(number) > 12:
        raise ValueError("a preview has a number")
    with find_study(name) as study:
        data = study.preview(int(number))
    if data is None:
        raise StudyError(f"the study {name} has no preview {number}")
    return data


def install() -> None:
    """On the running server, where there is one."""
    try:
        from server import PromptServer
    except ImportError:
        return
    instance = getattr(PromptServer, "instance", None)
    if instance is not None:
        add_routes(instance.routes)
