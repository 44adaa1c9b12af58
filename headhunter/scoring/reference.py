"""Likeness to reference pictures: the mean or the largest cosine of image embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from .base import ImageEncoder, fingerprint, is_differentiable, make_key, score_rows

Reduce = Literal["mean", "max"]
REDUCES: tuple[Reduce, ...] = get_args(Reduce)


def embed_all(encoder: ImageEncoder, images: Tensor) -> Tensor:
    """[N, H, W, 3] -> float32 [N, D] on the CPU, rows of length 1; one image at a time. ValueError where there is none."""
    if not len(images):
        raise ValueError("there are no pictures in this batch")
    return torch.stack([encoder.embed_image(images[row : row + 1]).cpu() for row in range(images.shape[0])])


@dataclass(frozen=True, eq=False)
class ReferenceScorer:
    """mean or max over the references r of x . r, all of length 1; -1..1.

    references: [N, D]. source: what identifies the reference pictures (`content_key`); empty: their embeddings do.
    """

    encoder: ImageEncoder
    references: Tensor
    reduce: Reduce = "mean"
    source: str = ""
    unit = 0.02

    def __post_init__(self) -> None:
        if self.reduce not in REDUCES:
            raise ValueError(f"reduce is {self.reduce!r}; it must be one of {', '.join(REDUCES)}")
        if self.references.ndim != 2 or not len(self.references):
            raise ValueError("there are no reference pictures")

    @property
    def differentiable(self) -> bool:
        return is_differentiable(self.encoder)

    @property
    def name(self) -> str:
        return f"reference ({self.reduce})"

    @property
    def key(self) -> str:
        source = self.source or fingerprint({str(number): row for number, row in enumerate(self.references)})
        return make_key("reference/1", encoder=self.encoder.key, references=source, reduce=self.reduce)

    def score(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        return score_rows(lambda image, _text: self._one(image), images, texts)

    def _one(self, image: Tensor) -> Tensor:
        x = self.encoder.embed_image(image)
        cosines = (self.references.to(x.device) * x).sum(dim=1)
        return cosines.mean() if self.reduce == "mean" else cosines.amax()
