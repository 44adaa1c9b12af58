"""An atlas: one picture for each head, layer or line of head text, on each pair, beside the unguided one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from PIL import Image
from torch import Tensor

from ...chart import ACCENT
from ...grid import Grid, describe
from ...heads import HeadSet, HeadTextError, format_heads, parse
from ...sheets import packed, sheet, tile_for
from ...study import Row, Study, open_study
from ...variants import UNGUIDED
from ..generation.generate import Generator, Sampling
from ..generation.pictures import from_pil, to_pil
from ..generation.prompts import Pair, check_pairs
from ..models import grid_of
from ..progress import Progress
from .checks import check_acts
from .identity import identity_of
from .jobs import Each, Maker, PictureJob
from .kept import kept_picture
from .studies import study_path
from .workers.crew import Crew, hands


@dataclass(frozen=True)
class Atlas:
    """images [n, H, W, 3]: for each pair the unguided one, then each set's. sheet [1, H, W, 3].

    labels: one line an image. study: its name.
    """

    images: Tensor
    sheet: Tensor
    labels: str
    study: str


def sets_of(text: str, group_by: str, grid: Grid) -> list[tuple[str, HeadSet]]:
    """(label, heads) by `head`, by `layer`, or by `line` of the text. HeadTextError names what is wrong, ValueError an empty text."""
    if group_by == "line":
        sets = []
        for number, line in enumerate(text.splitlines(), start=1):
            try:
                heads = parse(line, grid)
            except HeadTextError as error:
                # The line is parsed by itself; the place is that in the whole text.
                raise HeadTextError(str(error).replace("(line 1,", f"(line {number},", 1)) from None
            if heads:
                sets.append((format_heads(heads, grid), heads))
    else:
        heads = parse(text, grid)
        if group_by == "layer":
            rows = groupby(heads.items(), lambda item: item[0].layer)
            groups = [HeadSet(dict(row)) for _, row in rows]
        else:
            groups = [HeadSet({head: strength}) for head, strength in heads.items()]
        sets = [(format_heads(group, grid), group) for group in groups]
    if not sets:
        raise ValueError("heads is empty: * is every head")
    return sets


def make_atlas(
    model: ModelPatcher,
    vae: Any,
    pairs: Sequence[Pair],
    latent: dict[str, Any],
    sampling: Sampling,
    text: str,
    group_by: str,
    batch_size: int,
    difference: bool,
    study_name: str,
    node: str | None,
    crew: Crew | None = None,
) -> Atlas:
    """Make the pictures that the study does not hold yet, and the labelled sheet. The user's cancel keeps what is done."""
    grid = grid_of(model)
    check_pairs(pairs, sampling.cfg)
    guided = sets_of(text, group_by, grid)
    check_acts(sampling.group, [heads for _, heads in guided], "heads")
    sets = [(UNGUIDED, HeadSet()), *guided]
    generator = Generator(model, vae, latent, sampling)
    identity = identity_of(model, vae, pairs, None, latent, sampling) | {"atlas": True}
    with open_study(study_path(study_name, identity, "atlas"), identity) as study:
        study.put("about", {"kind": "atlas", "grid": describe(grid), "scorers": []})
        progress = Progress(node, study.path.stem, len(sets) * len(pairs), 1, round=1)
        with hands(crew, Maker(generator, pairs, None, grid, progress.send), progress, identity) as each:
            _fill(study, each, [format_heads(heads, grid) for _, heads in sets], len(pairs), batch_size, progress)
        progress.send(now=True)
        images = [[_picture(study, grid, heads, number) for _, heads in sets] for number in range(len(pairs))]
    labels = [f"{name}, pair {number}" if len(pairs) > 1 else name for number in range(len(pairs)) for name, _ in sets]
    if difference:
        images = [[row[0], *(_difference(image, row[0]) for image in row[1:])] for row in images]
    flat = [image for row in images for image in row]
    # As many columns as a layer has heads, so that the sheet of all heads is the grid.
    page = _sheet(sets, images, pairs, grid.heads if group_by == "head" else 8)
    return Atlas(torch.stack(flat), from_pil(page)[None], "\n".join(labels), study.path.stem)


def _fill(study: Study, each: Each, sets: Sequence[str], pairs: int, batch_size: int, progress: Progress) -> None:
    """Make what the study does not hold of `sets` (head texts) on all pairs."""
    jobs = []
    for number in range(pairs):
        missing = [heads for heads in sets if study.picture(heads, number) is None]
        progress.finished(len(sets) - len(missing), made=False)
        for first in range(0, len(missing), batch_size):
            some = tuple(missing[first : first + batch_size])
            jobs.append(PictureJob(some, (number,), (True,) * len(some), scored=False))
    for job, made in each(jobs):
        study.add(
            Row(picture.heads, picture.pair, 0, picture.heads, (), picture.preview, picture.picture) for picture in made
        )
        progress.candidate = job.sets[-1]
        progress.finished(job.images, made=True)


def _picture(study: Study, grid: Grid, heads: HeadSet, number: int) -> Tensor:
    image = kept_picture(study, format_heads(heads, grid), number)
    assert image is not None
    return image


def _difference(image: Tensor, base: Tensor) -> Tensor:
    """What changed: grey where nothing did."""
    return ((image - base) / 2 + 0.5).clamp(0, 1)


def _sheet(
    sets: Sequence[tuple[str, HeadSet]], images: list[list[Tensor]], pairs: Sequence[Pair], most_columns: int
) -> Image.Image:
    """For each pair the unguided picture, then the others in rows, on one page."""
    columns = min(most_columns, len(sets) - 1)
    tile = tile_for(columns, len(sets) * len(pairs))
    parts = []
    for row, pair in zip(images, pairs, strict=True):
        named = [(name, to_pil(image)) for (name, _), image in zip(sets, row, strict=True)]
        parts.append(sheet(named, columns, tile, {UNGUIDED: ACCENT}, pair.text if len(pairs) > 1 else ""))
    return packed(parts)
