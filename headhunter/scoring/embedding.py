"""Text match in a shared embedding space: the formulas of CLIP, PickScore and HPS, and the prompt pair.

With x the image's and t the text's embedding, both of length 1:

    clip      x . t                                               CLIP's cosine
    pickscore exp(logit_scale) x . t                              PickScore (arXiv 2305.01569)
    hpsv2     x . t, on the letterboxed picture                   HPS v2 and v2.1 (arXiv 2306.09341)
    pair      softmax(s [x . positive, x . negative])[0]          CLIP-IQA (arXiv 2207.12396), s = exp(logit_scale), else 100
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor
from torch.nn import functional

from .base import ImageEncoder, TextEncoder, is_differentiable, make_key, probe_image, score_rows

Kind = Literal["clip", "pickscore", "hpsv2"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DEFAULT_SCALE = 100.0
UNITS = {"clip": 0.01, "pickscore": 0.5, "hpsv2": 0.01, "pair": 0.05}


def normalise(embedding: Tensor, what: str) -> Tensor:
    """[D] -> float32 [D] of length 1. ValueError names `what` where it has no finite, non-zero length."""
    embedding = embedding.float()
    length = torch.linalg.vector_norm(embedding)
    if not torch.isfinite(length) or length <= 1e-12:
        raise ValueError(f"{what} has the length {length.item():g}: its weights are broken or incomplete")
    return embedding / length


def cosine(image: Tensor, text: Tensor) -> Tensor:
    """The cosine of two embeddings of length 1, [D] each. ValueError where they are from different spaces."""
    if image.shape != text.shape:
        raise ValueError(
            f"the image's embedding has {image.shape[-1]} numbers and the text's {text.shape[-1]}: two different models"
        )
    return (image * text).sum()


def pair_probability(image: Tensor, positive: Tensor, negative: Tensor, scale: float = DEFAULT_SCALE) -> Tensor:
    """softmax(scale [x . positive, x . negative])[0], in 0..1: how much more the picture looks like the positive text."""
    return torch.softmax(scale * torch.stack([cosine(image, positive), cosine(image, negative)]), dim=0)[0]


class TextImageModel(TextEncoder, Protocol):
    """Both towers of one scoring model."""

    @property
    def kind(self) -> Kind: ...
    @property
    def key(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def scale(self) -> float | None:
        """exp(logit_scale) of the file, None where it has none."""
        ...

    def text_match_encoder(self) -> ImageEncoder:
        """The image tower, with the preprocessing that the kind was trained with."""
        ...


@dataclass(frozen=True)
class TextScorer:
    """How well an image matches a text, by the model's kind; with a negative text, the prompt pair.

    `text` is used for all images, or where it is empty each image's own. ValueError where both are empty, where a pickscore
    file has no logit_scale, or where a tower is missing, broken or of another model.
    """

    model: TextImageModel
    text: str = ""
    negative: str = ""

    def __post_init__(self) -> None:
        if self.formula == "pickscore" and self.model.scale is None:
            raise ValueError(
                f'{self.model.label}: there is no key "logit_scale", which the kind pickscore needs; is it a PickScore file?'
            )
        text = self.model.embed_text(
            self.text.strip() or "a picture"
        )  # a missing or broken tower shows here, not in a long hunt
        cosine(self.model.text_match_encoder().embed_image(probe_image()), text)

    @property
    def formula(self) -> str:
        return "pair" if self.negative.strip() else self.model.kind

    @property
    def differentiable(self) -> bool:
        return is_differentiable(self.model.text_match_encoder())

    @property
    def name(self) -> str:
        return f"text match ({self.formula})"

    @property
    def key(self) -> str:
        return make_key(
            "text/1", formula=self.formula, model=self.model.key, text=self.text.strip(), negative=self.negative.strip()
        )

    @property
    def unit(self) -> float:
        return UNITS[self.formula]

    def score(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        encoder = self.model.text_match_encoder()
        return score_rows(lambda image, text: self._one(encoder, image, text), images, texts)

    def _one(self, encoder: ImageEncoder, image: Tensor, text: str) -> Tensor:
        text = self.text.strip() or text.strip()
        if not text:
            raise ValueError("there is no text to match: the scorer's text is empty, and so is the picture's own")
        x, t = encoder.embed_image(image), self.model.embed_text(text)
        scale = DEFAULT_SCALE if self.model.scale is None else self.model.scale
        if self.formula == "pair":
            return pair_probability(x, t, self.model.embed_text(self.negative.strip()), scale)
        return cosine(x, t) * scale if self.formula == "pickscore" else cosine(x, t)


def scale_of(logit_scale: float, label: str) -> float:
    """exp(logit_scale). ValueError where that is no finite, positive number."""
    try:
        scale = math.exp(logit_scale)
    except OverflowError:
        scale = math.inf
    if not math.isfinite(scale) or scale <= 0:
        raise ValueError(f'{label}: "logit_scale" is {logit_scale}, which is no scale')
    return scale


def letterbox(image: Tensor, size: int) -> Tensor:
    """[1, H, W, 3] -> [1, size, size, 3]: the longest side fitted to `size` (bicubic), the rest black on both sides alike.

    As HPS v2 prepares its pictures (resize_longest_max).
    """
    height, width = image.shape[1:3]
    scale = size / max(height, width)
    new = (max(1, round(height * scale)), max(1, round(width * scale)))
    fitted = image.movedim(-1, 1)
    if new != (height, width):
        fitted = functional.interpolate(fitted, size=new, mode="bicubic", antialias=True)
    top, left = (size - new[0]) // 2, (size - new[1]) // 2
    return functional.pad(fitted, (left, size - new[1] - left, top, size - new[0] - top)).movedim(1, -1)
