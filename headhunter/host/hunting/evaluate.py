"""Evaluating candidates in chunks (jobs.py), each chunk written to the study as it is done.

Chunks depend on the settings alone. What a study holds is never evaluated again; a chunk that was not finished is run
again from its beginning.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Sequence

import torch

from ...grid import Grid
from ...heads import HeadSet, format_heads
from ...hunt import Hunt
from ...measured import Stopped, mean
from ...rounds import Scores
from ...scoring.base import Scorer
from ...scoring.combine import combine, components_of
from ...study import Row, Study
from ..generation.pictures import from_bytes
from ..generation.prompts import Pair
from ..progress import Progress, duration
from .distortion import Distortions
from .jobs import Each, Picture, PictureJob
from .kept import kept_picture

PAIRS_IN_A_CHUNK = 16
Chunk = tuple[Sequence[HeadSet], Sequence[int]]
"""Head sets and the pairs that they are evaluated on."""
Known = dict[tuple[HeadSet, int], tuple[float, ...]]
"""Each scorer's score of a head set on a pair."""


def chunks_of(sets: Sequence[HeadSet], pairs: Sequence[int], batch_size: int) -> Iterator[Chunk]:
    """Sets with the same first layer go together, so that prefix reuse skips all the blocks before it."""
    by_layer: dict[int, list[HeadSet]] = {}
    for heads in sets:
        by_layer.setdefault(next((head.layer for head in heads), 0), []).append(heads)
    for _, some in sorted(by_layer.items()):
        for first in range(0, len(some), batch_size):
            for low in range(0, len(pairs), PAIRS_IN_A_CHUNK):
                yield some[first : first + batch_size], pairs[low : low + PAIRS_IN_A_CHUNK]


class Evaluator:
    """An `evaluate` for the hunt: head sets and pair numbers -> scores. Raises `Stopped` at `max_images` (0: no limit).

    `each` does the chunks, here or elsewhere. `distortions`: where the hunt asks for those of the sets that it measures.
    """

    def __init__(
        self,
        each: Each,
        pairs: Sequence[Pair],
        scorer: Scorer,
        study: Study,
        grid: Grid,
        batch_size: int,
        max_images: int,
        progress: Progress,
        distortions: Distortions | None = None,
    ):
        self.each = each
        self.pairs = pairs
        self.parts = components_of(scorer)
        self.study = study
        self.grid = grid
        self.batch_size = batch_size
        self.max_images = max_images
        self.progress = progress
        self.distortions = distortions
        self._chosen = HeadSet()
        self._combined = len(self.parts) > 1
        self._evaluated = study.evaluations()
        self._announced = False

    def on_round(self, hunt: Hunt) -> None:
        """Called by the hunt between rounds: what the next candidates are added to."""
        self._chosen = hunt.base
        self.progress.round = len(hunt.rounds) + 1
        self.progress.best = None

    def __call__(self, sets: Sequence[HeadSet], pairs: Sequence[int]) -> list[Scores]:
        known: Known = {}
        missing: list[Chunk] = []
        for chunk in chunks_of(sets, pairs, self.batch_size):
            held = self._held(*chunk)
            if len(held) == len(chunk[0]) * len(chunk[1]):
                known |= held
                self._finished(chunk, known, made=False)
            else:
                missing.append(chunk)
        chunks = {self._job(*chunk): chunk for chunk in missing}
        for job, made in self.each(self._within_limit(chunks)):
            known |= self._keep(made, chunks[job])
            self._finished(chunks[job], known, made=True)
        return self._scores(sets, pairs, known)

    def _finished(self, chunk: Chunk, known: Known, made: bool) -> None:
        sets, pairs = chunk
        self._report(sets, known)
        self.progress.finished(len(sets) * len(pairs), made)
        self._announce()

    def _held(self, sets: Sequence[HeadSet], pairs: Sequence[int]) -> Known:
        """What the study holds of a chunk."""
        stored = {(heads, pair): self.study.scores(self.text(heads), pair) for heads in sets for pair in pairs}
        return {key: scores for key, scores in stored.items() if scores is not None}

    def text(self, heads: HeadSet) -> str:
        """A set's canonical head text: its name in the study."""
        return format_heads(heads, self.grid)

    def pictures(self, heads: HeadSet) -> list[torch.Tensor]:
        """The set's pictures on every pair, [H, W, 3] each; those that the study does not hold are made and kept."""
        text = self.text(heads)
        images = {number: kept_picture(self.study, text, number) for number in range(len(self.pairs))}
        jobs = [
            PictureJob((text,), (number,), (True,), scored=False) for number, image in images.items() if image is None
        ]
        for job, (made,) in self.each(jobs):
            self.study.add([Row(text, made.pair, self.progress.round, "", (), made.preview, made.picture)])
            images[job.pairs[0]] = from_bytes(made.picture)
        return [image for image in images.values() if image is not None]

    def _job(self, sets: Sequence[HeadSet], pairs: Sequence[int]) -> PictureJob:
        """Whole pictures are kept of sets that are no candidate: the baseline and each round's set."""
        kept = tuple(not self._candidate(heads) for heads in sets)
        return PictureJob(tuple(map(self.text, sets)), tuple(pairs), kept, distortions=self.distortions is not None)

    def _candidate(self, heads: HeadSet) -> str:
        """The head that a set tries beside the chosen ones, "" where it is none or several."""
        tried = heads - self._chosen
        return self.text(tried) if len(tried) == 1 else ""

    def _keep(self, made: Sequence[Picture], chunk: Chunk) -> Known:
        """Write a finished chunk to the study."""
        by_text = {self.text(heads): heads for heads in chunk[0]}
        self.study.add(
            Row(
                picture.heads,
                picture.pair,
                self.progress.round,
                self._candidate(by_text[picture.heads]),
                picture.scores,
                picture.preview,
                picture.picture,
            )
            for picture in made
        )
        if self.distortions:
            for picture in made:
                self.distortions.keep(picture)
        self._evaluated += len(made)
        return {(by_text[picture.heads], picture.pair): picture.scores for picture in made}

    def _scores(self, sets: Sequence[HeadSet], pairs: Sequence[int], known: Known) -> list[Scores]:
        """Raw scores of a single scorer; of several, the combined score against the baseline (scoring/combine.py)."""
        if not self._combined:
            return [[known[heads, pair][0] for pair in pairs] for heads in sets]
        if not any(sets):
            # The baseline against itself; nan where a scorer has no score for it.
            return [
                [0.0 if all(map(math.isfinite, known[heads, pair])) else math.nan for pair in pairs] for heads in sets
            ]
        baseline = [self.study.scores("", pair) for pair in range(len(self.pairs))]
        raw = torch.full((len(self.parts), len(sets), len(self.pairs)), math.nan, dtype=torch.float64)
        for row, heads in enumerate(sets):
            for pair in pairs:
                raw[:, row, pair] = torch.tensor(known[heads, pair], dtype=torch.float64)
        base = torch.tensor(baseline, dtype=torch.float64).T
        total = combine(raw, base, [weight for _, weight in self.parts], [part.unit for part, _ in self.parts])
        return total[:, list(pairs)].tolist()

    def _report(self, sets: Sequence[HeadSet], known: Known) -> None:
        """What the live view shows: the last candidate and its mean score so far."""
        for heads in sets:
            numbers = [pair for pair in range(len(self.pairs)) if (heads, pair) in known]
            score = mean(self._scores([heads], numbers, known)[0])
            self.progress.score = score if math.isfinite(score) else None
            self.progress.candidate = self.text(heads - self._chosen)
            if heads - self._chosen and math.isfinite(score):
                self.progress.best = score if self.progress.best is None else max(score, self.progress.best)

    def _within_limit(self, jobs: Iterable[PictureJob]) -> Iterator[PictureJob]:
        """The jobs, one after the other; `Stopped` in place of the first that would be over the limit."""
        begun = self._evaluated
        for job in jobs:
            if self.max_images and begun + job.images > self.max_images:
                raise Stopped(
                    f"max_images is {self.max_images}: {begun} images have been made, the next {job.images} would be over it. "
                    "Raise it and queue again to go on."
                )
            begun += job.images
            yield job

    def _announce(self) -> None:
        """After the first images: how many there will be, and how long they will take."""
        left = self.progress.seconds_left
        if self._announced or left is None:
            return
        self._announced = True
        logging.info("HeadHunter: %d images planned, about %s.", self.progress.total, duration(left))
        self.progress.send(now=True)
