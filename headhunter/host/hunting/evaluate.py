"""Evaluating candidates: generate, decode and score in chunks, each chunk written to the study as it is done.

A chunk is a few candidates on up to 16 pairs. All of it is sampled, then decoded, then scored, so that a small card
swaps models rarely. Chunks depend on the settings alone. What a study holds is never evaluated again; a chunk that was
not finished is run again from its beginning.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence

import torch

from ...grid import Grid
from ...heads import HeadSet, format_heads
from ...hunt import Hunt
from ...measured import Stopped, mean
from ...rounds import Scores
from ...scoring.base import Scorer, score_batch
from ...scoring.combine import combine, components_of
from ...study import Row, Study
from ..generation.generate import Generator
from ..generation.pictures import from_bytes, png, preview
from ..generation.prompts import Pair
from ..progress import Progress, duration
from .distortion import Distortions
from .kept import kept_picture

PAIRS_IN_A_CHUNK = 16
Known = dict[tuple[HeadSet, int], tuple[float, ...]]
"""Each scorer's score of a head set on a pair."""


class Evaluator:
    """An `evaluate` for the hunt: head sets and pair numbers -> scores. Raises `Stopped` at `max_images` (0: no limit).

    `distortions`: where the hunt asks for those of the sets that it measures.
    """

    def __init__(
        self,
        generator: Generator,
        pairs: Sequence[Pair],
        scorer: Scorer,
        study: Study,
        grid: Grid,
        batch_size: int,
        max_images: int,
        progress: Progress,
        distortions: Distortions | None = None,
    ):
        self.generator = generator
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
        for some, numbers in self._chunks(sets, pairs):
            held = self._held(some, numbers)
            images = len(some) * len(numbers)
            made = len(held) < images
            if made:
                self._check_limit(images)
                held = self._run(some, numbers)
            known |= held
            self._report(some, known)
            self.progress.finished(images, made)
            self._announce()
        return self._scores(sets, pairs, known)

    def _held(self, sets: Sequence[HeadSet], pairs: Sequence[int]) -> Known:
        """What the study holds of a chunk."""
        stored = {(heads, pair): self.study.scores(self.text(heads), pair) for heads in sets for pair in pairs}
        return {key: scores for key, scores in stored.items() if scores is not None}

    def text(self, heads: HeadSet) -> str:
        """A set's canonical head text: its name in the study."""
        return format_heads(heads, self.grid)

    def pictures(self, heads: HeadSet) -> list[torch.Tensor]:
        """The set's pictures on every pair, [H, W, 3] each; those that the study does not hold are made and kept."""
        result = []
        for number, pair in enumerate(self.pairs):
            image = kept_picture(self.study, self.text(heads), number)
            if image is None:
                made = self.generator.decode(self.generator.latents([heads], pair))[0]
                data = png(made)
                self.study.add([Row(self.text(heads), number, self.progress.round, "", (), preview(made), data)])
                image = from_bytes(data)
            result.append(image)
        return result

    def _chunks(
        self, sets: Sequence[HeadSet], pairs: Sequence[int]
    ) -> Iterator[tuple[Sequence[HeadSet], Sequence[int]]]:
        """Sets with the same first layer go together, so that prefix reuse skips all the blocks before it."""
        by_layer: dict[int, list[HeadSet]] = {}
        for heads in sets:
            by_layer.setdefault(next((head.layer for head in heads), 0), []).append(heads)
        for _, some in sorted(by_layer.items()):
            for first in range(0, len(some), self.batch_size):
                for low in range(0, len(pairs), PAIRS_IN_A_CHUNK):
                    yield some[first : first + self.batch_size], pairs[low : low + PAIRS_IN_A_CHUNK]

    def _run(self, sets: Sequence[HeadSet], pairs: Sequence[int]) -> Known:
        """Generate, decode and score one chunk, and write it to the study."""
        latents = [self.generator.latents(sets, self.pairs[pair], self.progress.send) for pair in pairs]
        if self.distortions:
            for pair, latent in zip(pairs, latents, strict=True):
                self.distortions.note(sets, pair, latent)
        images = [self.generator.decode(latent) for latent in latents]
        rows = []
        for pair, batch in zip(pairs, images, strict=True):
            texts = [self.pairs[pair].text] * len(sets)
            columns = [score_batch(part, batch, texts).tolist() for part, _ in self.parts]
            for index, heads in enumerate(sets):
                head = self.text(heads - self._chosen) if len(heads - self._chosen) == 1 else ""
                kept = png(batch[index]) if not head else None
                scores = tuple(float(column[index]) for column in columns)
                rows.append(Row(self.text(heads), pair, self.progress.round, head, scores, preview(batch[index]), kept))
        self.study.add(rows)
        self._evaluated += len(rows)
        by_text = {self.text(heads): heads for heads in sets}
        return {(by_text[row.heads], row.pair): row.scores for row in rows}

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

    def _check_limit(self, more: int) -> None:
        if self.max_images and self._evaluated + more > self.max_images:
            raise Stopped(
                f"max_images is {self.max_images}: {self._evaluated} images have been made, the next {more} would be over it. "
                "Raise it and queue again to go on."
            )

    def _announce(self) -> None:
        """After the first images: how many there will be, and how long they will take."""
        left = self.progress.seconds_left
        if self._announced or left is None:
            return
        self._announced = True
        logging.info("HeadHunter: %d images planned, about %s.", self.progress.total, duration(left))
        self.progress.send(now=True)
