"""A comparison: variants on the same pairs, the unguided pictures beside them, with numbers where there is a scorer.

Its study belongs to the model, the prompts, the sampler and the scorers, not to the variants: those that are added later
go into the same one, and only their pictures are made.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...comparison import Judge, Outcome, judges_of, outcomes, report_of, table
from ...distortion import distortion
from ...grid import Grid, describe
from ...heads import format_heads, parse
from ...heat import ABOUT
from ...report import dump
from ...scoring.base import Scorer, score_batch
from ...scoring.combine import components_of
from ...sheets import LARGEST, table_sheet
from ...study import Row, Study, StudyError, open_study
from ...variants import UNGUIDED, Variant
from ..generation.generate import Sampling
from ..generation.pictures import from_pil, png, preview, to_pil
from ..generation.prompts import Pair, check_pairs
from ..generation.variants import VariantGenerator
from ..models import grid_of
from ..progress import Progress
from .identity import identity_of
from .kept import kept_picture
from .studies import study_path

DISTORTION = {"name": "distortion", "key": "distortion/1", "weight": 0.0}
"""The last column of the scores: it is measured as the scorers are, and counts for nothing."""


@dataclass(frozen=True)
class Judges:
    """The scorers of a comparison: the objective, and one that is read along."""

    scorer: Scorer | None = None
    second: Scorer | None = None

    @property
    def counted(self) -> list[tuple[Scorer, float]]:
        """The objective's components with their weights."""
        return list(components_of(self.scorer)) if self.scorer else []

    @property
    def parts(self) -> list[tuple[Scorer, float]]:
        """The components of both, in the order of their columns."""
        return [*self.counted, *(components_of(self.second) if self.second else ())]


@dataclass(frozen=True)
class Asked:
    """What is compared: variants of one model's grid, the unguided one first, on pairs."""

    variants: Sequence[Variant]
    pairs: Sequence[Pair]
    judges: Judges
    batch_size: int


@dataclass(frozen=True)
class Comparison:
    """images [n, H, W, 3]: for each pair the unguided one, then each variant's. sheet [1, H, W, 3].

    table: plain text. report: JSON text. study: its name.
    """

    images: Tensor
    sheet: Tensor
    table: str
    report: str
    study: str


def compare(
    model: ModelPatcher,
    vae: Any,
    latent: dict[str, Any],
    sampling: Sampling,
    asked: Asked,
    study_name: str,
    node: str | None,
) -> Comparison:
    """Make the pictures that the study does not hold yet, score them, and compare. The user's cancel keeps what is done.

    `sampling`: a KSampler's settings; its group is not used. ValueError and StudyError name what is wrong.
    """
    for variant in asked.variants:
        check_pairs(asked.pairs, sampling.cfg if variant.cfg is None else variant.cfg)
    generator = VariantGenerator(model, vae, latent, sampling)
    identity = _identity(model, vae, latent, sampling, asked)
    with open_study(study_path(study_name, identity, "comparison"), identity) as study:
        _describe(study, grid_of(model), asked)
        progress = Progress(node, study.path.stem, len(asked.variants) * len(asked.pairs), 1, round=1)
        for number in range(len(asked.pairs)):
            _fill(study, generator, asked, number, progress)
        progress.send(now=True)
        return _results(study, generator, asked, progress)


def _identity(
    model: ModelPatcher, vae: Any, latent: dict[str, Any], sampling: Sampling, asked: Asked
) -> dict[str, Any]:
    """What pictures and scores depend on, beside a variant's own settings, as JSON data."""
    scorers = [{"name": part.name, "key": part.key, "weight": weight} for part, weight in asked.judges.parts]
    settings = {name: getattr(sampling, name) for name in ("cfg", "steps", "sampler_name", "scheduler")}
    own = {"settings": settings, "scorers": [*scorers, DISTORTION], "comparison": True}
    return json.loads(json.dumps(identity_of(model, vae, asked.pairs, None, latent, sampling) | own))


def _results(study: Study, generator: VariantGenerator, asked: Asked, progress: Progress) -> Comparison:
    judges = judges_of(asked.judges.scorer, asked.judges.second)
    outcomes = _outcomes(study, asked, judges)
    identity = study.get("identity")
    frame = generator.plain.frame
    about = {
        "study": study.path.stem,
        "settings": identity["settings"],
        "pairs": identity["pairs"],
        "images": progress.total,
        "images_made_now": progress.made,
        "seconds": round(progress.seconds, 1),
        "batch_halved": generator.halved,
        "frame": asdict(frame) if frame else None,
    }
    report = dump(report_of(outcomes, judges, grid_of(generator.model), about))
    study.put("report", json.loads(report))
    numbers = range(len(asked.pairs))
    images = [[_picture(study, variant.text, number) for variant in asked.variants] for number in numbers]
    flat = torch.stack([image for row in images for image in row])
    return Comparison(flat, _sheet(asked, images), table(outcomes, judges), report, study.path.stem)


def _describe(study: Study, grid: Grid, asked: Asked) -> None:
    """For the page: what it is, which columns count, and every variant that the study has pictures of."""
    known = {entry["key"]: entry for entry in study.shaped("about", ABOUT).get("variants", [])}
    known |= {
        variant.text: {"key": variant.text, "name": variant.name, "heads": _heads(variant, grid)}
        for variant in asked.variants
    }
    judges = asked.judges
    about = {
        "kind": "comparison",
        "grid": describe(grid),
        "scorers": [{"name": part.name, "unit": part.unit, "weight": weight} for part, weight in judges.counted],
        "beside": len(judges.parts) - len(judges.counted) + 1,
        "variants": list(known.values()),
    }
    study.put("about", about)


def _heads(variant: Variant, grid: Grid) -> str:
    """All heads of a variant's groups, canonical, without strengths."""
    return format_heads({head: None for group in variant.groups for head in parse(group.heads, grid)}, grid)


def _fill(study: Study, generator: VariantGenerator, asked: Asked, number: int, progress: Progress) -> None:
    """One pair's pictures, in chunks of `batch_size`, each written as it is done."""
    pair = asked.pairs[number]
    missing = [variant for variant in asked.variants if study.scores(variant.text, number) is None]
    progress.finished(len(asked.variants) - len(missing), made=False)
    base = _kept_latent(study, number)
    if missing and missing[0].text and base is None:
        raise StudyError(f"{study.path.name} is damaged: the unguided latent of pair {number} is missing")
    for first in range(0, len(missing), asked.batch_size):
        some = missing[first : first + asked.batch_size]
        latents = generator.latents(some, pair, progress.send)
        if base is None:
            base = latents[0].flatten()  # the unguided one comes first
        images = generator.plain.decode(latents)
        columns = [score_batch(part, images, [pair.text] * len(some)).tolist() for part, _ in asked.judges.parts]
        columns.append([_distortion(latent.flatten(), base) for latent in latents])
        rows = []
        for place, (variant, image) in enumerate(zip(some, images, strict=True)):
            scores = tuple(float(column[place]) for column in columns)
            kept = latents[place].float().cpu().numpy().tobytes() if not variant.text else None
            rows.append(Row(variant.text, number, 1, variant.text, scores, preview(image), png(image), kept))
        study.add(rows)
        progress.candidate = some[-1].name
        progress.finished(len(some), made=True)


def _kept_latent(study: Study, pair: int) -> Tensor | None:
    """The unguided latent of a pair, flat; None where it has not been made."""
    data = study.latent("", pair)
    return None if data is None else torch.from_numpy(np.frombuffer(data[: len(data) // 4 * 4], np.float32).copy())


def _distortion(latent: Tensor, base: Tensor) -> float:
    """Norm of the difference to the unguided latent of the same noise, over that latent's norm. StudyError where they do not fit."""
    if latent.shape != base.shape:
        raise StudyError("the study is damaged: an unguided latent in it has another size than these pictures' latents")
    return distortion(latent, base)


def _outcomes(study: Study, asked: Asked, judges: Sequence[Judge]) -> list[Outcome]:
    missing = (math.nan,) * (len(asked.judges.parts) + 1)
    rows = [
        [study.scores(variant.text, number) or missing for number in range(len(asked.pairs))]
        for variant in asked.variants
    ]
    return outcomes(asked.variants, rows, judges)


def _picture(study: Study, text: str, pair: int) -> Tensor:
    image = kept_picture(study, text, pair)
    if image is None:
        raise StudyError(f"{study.path.name} is damaged: its picture of {text or UNGUIDED} on pair {pair} is missing")
    return image


def _sheet(asked: Asked, images: Sequence[Sequence[Tensor]]) -> Tensor:
    """[1, H, W, 3]: a column a variant, a row a prompt; tiles no larger than the pictures where those are small."""
    names = [variant.name for variant in asked.variants]
    rows = [(pair.text, [to_pil(image) for image in row]) for pair, row in zip(asked.pairs, images, strict=True)]
    most = min(LARGEST, max(192, *images[0][0].shape[:2]))
    return from_pil(table_sheet(names, rows, most))[None]
