"""What a hunt has to compute, as jobs: plain data in, plain data out, so that another process can do one as well.

A job is a chunk: a few candidates on up to 16 pairs, all of it sampled, then decoded, then scored, so that a small card
swaps models rarely. It depends on the settings alone, and so does what comes out: who does it makes no difference. The
study, the strategy and the progress stay with the one who hunts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from torch import Tensor

from ...distortion import distortion
from ...grid import Grid
from ...heads import HeadSet, format_heads, parse
from ...scoring.base import Scorer, score_batch
from ...scoring.combine import components_of
from ..attribution.head_gradients import Gradients
from ..generation.generate import Generator
from ..generation.pictures import png, preview
from ..generation.prompts import Pair


@dataclass(frozen=True)
class PictureJob:
    """A picture of each set (canonical head text) on each pair (its number).

    kept: for each set, whether its whole pictures are wanted too. scored: whether the scorer's scores are. distortions: whether
    it is how far each latent is from the unguided one.
    """

    sets: tuple[str, ...]
    pairs: tuple[int, ...]
    kept: tuple[bool, ...]
    scored: bool = True
    distortions: bool = False

    @property
    def images(self) -> int:
        return len(self.sets) * len(self.pairs)


@dataclass(frozen=True)
class GradientJob:
    """What adding each head of `pool` to `chosen` (both head texts) would do to each pair's score; see `Gradients`."""

    chosen: str
    pool: str
    pairs: tuple[int, ...]
    shares: tuple[float, ...]
    price: float = 0.0


@dataclass(frozen=True)
class Picture:
    """One picture of a set on a pair: a score for each scorer, a small JPEG, and a PNG of the whole where it was wanted.

    distortion: |x - x_unguided| / |x_unguided| of its latent, None where it was not wanted.
    """

    heads: str
    pair: int
    scores: tuple[float, ...]
    preview: bytes
    picture: bytes | None
    distortion: float | None = None


Job = PictureJob | GradientJob
Outcome = list[Any]
"""Of a PictureJob: `Picture`s, pair by pair. Of a GradientJob: a list of numbers for each pair, one for each head of the pool."""

J = TypeVar("J", bound=Job)


class Each(Protocol):
    """Does jobs, and gives each with its outcome as soon as there is one, in any order.

    What ends the jobs early (`Stopped`) comes after the outcomes of those that were begun.
    """

    def __call__(self, jobs: Iterable[J]) -> Iterator[tuple[J, Outcome]]: ...


class Maker:
    """Does jobs here, with one model. `on_step` is called at each sampling step."""

    def __init__(
        self,
        generator: Generator,
        pairs: Sequence[Pair],
        scorer: Scorer | None,
        grid: Grid,
        on_step: Callable[[], None] = lambda: None,
    ):
        self.generator = generator
        self.pairs = pairs
        self.scorer = scorer
        self.grid = grid
        self.on_step = on_step
        self._gradients: Gradients | None = None
        self._unguided: dict[int, Tensor] = {}

    def __call__(self, job: Job) -> Outcome:
        return self._screened(job) if isinstance(job, GradientJob) else self._pictures(job)

    def each(self, jobs: Iterable[J]) -> Iterator[tuple[J, Outcome]]:
        """An `Each`: one job after the other."""
        for job in jobs:
            yield job, self(job)

    def _pictures(self, job: PictureJob) -> list[Picture]:
        sets = [parse(text, self.grid) for text in job.sets]
        latents = [self.generator.latents(sets, self.pairs[pair], self.on_step) for pair in job.pairs]
        images = [self.generator.decode(latent) for latent in latents]
        away = [self._distortions(job, pair, latent) for pair, latent in zip(job.pairs, latents, strict=True)]
        parts = components_of(self.scorer) if job.scored and self.scorer else []
        made = []
        for pair, batch, distortions in zip(job.pairs, images, away, strict=True):
            texts = [self.pairs[pair].text] * len(sets)
            columns = [score_batch(part, batch, texts).tolist() for part, _ in parts]
            for index, heads in enumerate(job.sets):
                whole = png(batch[index]) if job.kept[index] else None
                scores = tuple(float(column[index]) for column in columns)
                made.append(Picture(heads, pair, scores, preview(batch[index]), whole, distortions[index]))
        return made

    def _distortions(self, job: PictureJob, pair: int, latents: Tensor) -> list[float | None]:
        """How far each of the job's latents [n, C, ..., h, w] of a pair is from the unguided one."""
        if not job.distortions:
            return [None] * len(job.sets)
        if "" in job.sets:
            self._unguided[pair] = latents[job.sets.index("")].cpu()
        elif pair not in self._unguided:
            self._unguided[pair] = self.generator.latents([HeadSet()], self.pairs[pair], self.on_step)[0].cpu()
        unguided = self._unguided[pair]
        return [distortion(latent.cpu(), unguided) for latent in latents]

    def _screened(self, job: GradientJob) -> list[list[float]]:
        if self.scorer is None:
            raise ValueError("a gradient needs a scorer")
        if self._gradients is None:
            self._gradients = Gradients(self.generator, self.pairs, self.scorer, self.on_step)
        return self._gradients(
            parse(job.chosen, self.grid), parse(job.pool, self.grid), job.pairs, job.shares, job.price
        )


def screened(
    each: Each,
    grid: Grid,
    chosen: HeadSet,
    pool: HeadSet,
    pairs: Sequence[int],
    shares: Sequence[float],
    price: float,
) -> Iterator[tuple[Sequence[int], Outcome]]:
    """A `Screen` (attribution.py) whose pairs are jobs of their own, so that several are done at once."""
    texts = format_heads(chosen, grid), format_heads(pool, grid)
    for job, rows in each(GradientJob(*texts, (pair,), tuple(shares), price) for pair in pairs):
        yield job.pairs, rows
