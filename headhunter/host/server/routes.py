"""Read-only routes for the page: the grid of a checkpoint, the shipped presets, the studies, a study's report, scores and
pictures.

Names are looked up in ComfyUI's own lists; a path is never taken. What is read may be anyone's: every request is answered,
with a reason where it cannot be had, and none holds up ComfyUI's own work (see `Workers`).
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import folder_paths
from aiohttp import web

from ...checkpoint import grid_from_file
from ...families import models_for_the_page
from ...grid import GridError, UnknownModel, describe
from ...head_pictures import pictures_of, sheet_of
from ...heat import heat_of
from ...study import NoStudy, StudyError
from ..hunting.studies import Library, find_study, list_studies
from .shipped import shipped_presets

GRID_FOLDERS = ("checkpoints", "diffusion_models", "unet_gguf")
ANSWER_SECONDS = 30.0
NUMBER = re.compile(r"[0-9]{1,12}")
FORMULA = re.compile(r"\s*[=+\-@]")
PICTURES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}


@dataclass(frozen=True)
class Answer:
    """A body with its type. Headers keep a browser from seeing anything else in it."""

    body: bytes
    kind: str = "application/json"
    status: int = 200

    def response(self) -> web.Response:
        headers = {"X-Content-Type-Options": "nosniff"}
        return web.Response(body=self.body, content_type=self.kind, status=self.status, headers=headers)


class Workers:
    """A few threads of our own: a file that takes long (a study made to, a disk that is gone) holds up only its like.

    threads: how many work at once. waiting: how many requests may be under way; one more is answered at once, with 503.
    """

    def __init__(self, name: str, threads: int = 3, waiting: int = 48):
        self._pool = ThreadPoolExecutor(threads, f"headhunter-{name}")
        self._waiting = waiting
        self._under_way = 0

    async def answer(self, make: Callable[[], Any]) -> web.Response:
        """What `make` gives, made off the server's loop: JSON data, or an `Answer`."""
        if self._under_way >= self._waiting:
            return _refused("too many requests at once; ask again", 503).response()
        self._under_way += 1
        loop = asyncio.get_running_loop()
        future = self._pool.submit(_made, make)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        try:
            return (await asyncio.wait_for(asyncio.wrap_future(future), ANSWER_SECONDS)).response()
        except asyncio.TimeoutError:
            return _refused(f"no answer within {ANSWER_SECONDS:g} seconds; ask again", 503).response()

    def _done(self) -> None:
        self._under_way -= 1


def add_routes(routes: web.RouteTableDef) -> None:
    """Register the routes on a server's table."""
    files, studies = Workers("files"), Workers("studies")
    library = Library()

    @routes.get("/headhunter/grid")
    async def grid(request: web.Request) -> web.Response:
        return await files.answer(lambda: _grid(request.query.get("folder", ""), request.query.get("name", "")))

    @routes.get("/headhunter/models")
    async def models(request: web.Request) -> web.Response:
        return web.json_response(models_for_the_page())

    @routes.get("/headhunter/presets")
    async def presets(request: web.Request) -> web.Response:
        return await files.answer(shipped_presets)

    @routes.get("/headhunter/studies")
    async def listed(request: web.Request) -> web.Response:
        return await files.answer(list_studies)

    @routes.get("/headhunter/library")
    async def about(request: web.Request) -> web.Response:
        return await studies.answer(library.list)

    @routes.get("/headhunter/studies/{id}.csv")
    async def scores(request: web.Request) -> web.Response:
        return await studies.answer(lambda: _scores(request.match_info["id"]))

    @routes.get("/headhunter/studies/{id}")
    async def study(request: web.Request) -> web.Response:
        return await studies.answer(lambda: _study(request.match_info["id"]))

    @routes.get("/headhunter/studies/{id}/heat")
    async def heat(request: web.Request) -> web.Response:
        return await studies.answer(lambda: _heat(request.match_info["id"]))

    @routes.get("/headhunter/studies/{id}/pictures")
    async def pictures(request: web.Request) -> web.Response:
        return await studies.answer(lambda: _pictures(request.match_info["id"]))

    @routes.get("/headhunter/studies/{id}/sheet/{pair}")
    async def sheet(request: web.Request) -> web.Response:
        return await studies.answer(lambda: _sheet(request.match_info["id"], request.match_info["pair"]))

    @routes.get("/headhunter/studies/{id}/preview/{number}")
    async def preview(request: web.Request) -> web.Response:
        return await studies.answer(lambda: _preview(request.match_info["id"], request.match_info["number"]))


def _made(make: Callable[[], Any]) -> Answer:
    """An answer in every case: 404 where there is no such thing, 400 for a bad name, 422 for a file that cannot be read."""
    try:
        value = make()
        return value if isinstance(value, Answer) else Answer(json.dumps(value, allow_nan=False).encode())
    except NoStudy as error:
        return _refused(str(error), 404)
    except StudyError as error:
        return _refused(str(error), 422)
    except (GridError, ValueError) as error:
        return _refused(str(error), 400)
    except OSError as error:
        return _refused(f"it cannot be read ({error.strerror or error})", 422)
    except (RecursionError, OverflowError, MemoryError) as error:
        return _refused(f"it is too large to be read ({type(error).__name__})", 422)
    except Exception as error:  # a bug of ours; the request is answered all the same
        logging.exception("HeadHunter: a request could not be answered")
        return _refused(f"{type(error).__name__}: {error}", 500)


def _refused(why: str, status: int) -> Answer:
    return Answer(json.dumps({"error": why}).encode(), status=status)


def _grid(folder: str, name: str) -> dict[str, Any]:
    """The grid of a listed file (in any of the folders where `folder` is empty), with its size and time of change.

    Where the header cannot be read (GGUF, .ckpt, another model), `error` says why and there is no grid; `wrong` where it can,
    and is of a model that is no family's.
    """
    if folder and folder not in GRID_FOLDERS:
        raise GridError(f"folder must be one of {', '.join(GRID_FOLDERS)}, or empty for any of them")
    known = [
        listed for listed in ([folder] if folder else GRID_FOLDERS) if listed in folder_paths.folder_names_and_paths
    ]
    holder = next((listed for listed in known if name in folder_paths.get_filename_list(listed)), None)
    if holder is None:
        raise GridError(f"ComfyUI lists no file {name[:200]!r} in {folder or ' or '.join(known)}")
    try:
        path = Path(folder_paths.get_full_path_or_raise(holder, name))
        about = path.stat()
    except OSError:  # a broken link, or gone since it was listed
        return {"name": name, "error": f"{name}: there is no such file any more, or it is no plain file"}
    file = {"name": name, "bytes": about.st_size, "changed": about.st_mtime}
    try:
        return describe(grid_from_file(path)) | file
    except GridError as error:
        return file | {"error": str(error), "wrong": isinstance(error, UnknownModel)}


def _heat(name: str) -> dict[str, Any]:
    with find_study(name) as study:
        return {"id": name} | heat_of(study)


def _pictures(name: str) -> dict[str, Any]:
    with find_study(name) as study:
        return {"id": name} | pictures_of(study)


def _sheet(name: str, pair: str) -> Answer:
    if not NUMBER.fullmatch(pair):
        raise ValueError("a pair has a number")
    with find_study(name) as study:
        return Answer(sheet_of(study, int(pair)), "image/jpeg")


def _study(name: str) -> dict[str, Any]:
    with find_study(name) as study:
        return {
            "id": name,
            "created": study.get("created"),
            "identity": study.get("identity"),
            "about": study.get("about"),
            "report": study.get("report"),
            "images": study.evaluations(),
            "previews": study.previews(),
        }


def _scores(name: str) -> Answer:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["round", "head", "heads", "pair", "prompt", "seed", "scorer", "score"])
    with find_study(name) as study:
        for row in study.table():
            writer.writerow([_safe(cell) for cell in row])
    return Answer(text.getvalue().encode(errors="replace"), "text/csv")


def _safe(cell: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets a quote before it."""
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell


def _preview(name: str, number: str) -> Answer:
    """A preview as what its first bytes say it is."""
    if not NUMBER.fullmatch(number):
        raise ValueError("a preview has a number")
    with find_study(name) as study:
        data = study.preview(int(number))
    if data is None:
        raise NoStudy(f"the study {name} has no preview {int(number)}")
    kind = next((kind for start, kind in PICTURES.items() if data.startswith(start)), None)
    if kind is None:
        raise StudyError(f"preview {int(number)} of the study {name} is no JPEG or PNG picture")
    return Answer(data, kind)


def install() -> None:
    """On the running server, where there is one."""
    try:
        from server import PromptServer
    except ImportError:
        return
    instance = getattr(PromptServer, "instance", None)
    if instance is not None:
        add_routes(instance.routes)
