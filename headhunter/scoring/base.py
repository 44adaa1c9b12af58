"""What a scorer is, and what all scorers share: checked inputs, one image at a time, a stable key."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

# Of a tensor that is too large to be read whole.
WHOLE_BYTES = 64 * 2**10
STRIDE_BYTES = 256 * 2**10
SAMPLE_BYTES = 64
LEAST_SAMPLES = 64
END_BYTES = 2048


class Scorer(Protocol):
    """Gives each image a number, higher is better.

    name: what a table calls it. key: stable text that identifies its settings and weights; equal keys, equal scores.
    unit: a typical difference between two pictures, for combining. differentiable: gradients flow from score to images.
    """

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def unit(self) -> float: ...
    @property
    def differentiable(self) -> bool: ...

    def score(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        """images [B, H, W, 3] in 0..1 and a text for each -> float32 [B], nan for a broken picture. ValueError names bad input."""
        ...


class ImageEncoder(Protocol):
    """Image -> embedding. `key` identifies its weights and preprocessing, `label` names it in errors.

    It may have `differentiable`: see `is_differentiable`.
    """

    @property
    def key(self) -> str: ...
    @property
    def label(self) -> str: ...

    def embed_image(self, image: Tensor) -> Tensor:
        """One image [1, H, W, 3] in 0..1 -> L2-normalised float32 [D]."""
        ...


def is_differentiable(encoder: ImageEncoder) -> bool:
    """Whether gradients flow from an encoder's embedding to its image; an encoder that does not say so has none."""
    return bool(getattr(encoder, "differentiable", False))


class TextEncoder(Protocol):
    """Text -> embedding in the space of an image encoder."""

    def embed_text(self, text: str) -> Tensor:
        """One text -> L2-normalised float32 [D]."""
        ...


def check_inputs(images: Tensor, texts: Sequence[str]) -> None:
    """ValueError unless images are floats [B, H, W, 3] and there is one text an image."""
    if images.ndim != 4 or images.shape[-1] != 3 or min(images.shape) < 1 or not images.is_floating_point():
        raise ValueError(f"images must be floats [B, H, W, 3] in 0..1; these are {images.dtype} {list(images.shape)}")
    if isinstance(texts, str) or len(texts) != images.shape[0]:
        count = "one text" if isinstance(texts, str) else f"{len(texts)} texts"
        raise ValueError(f"a scorer needs a list with one text an image: {count} for {images.shape[0]} images")


class ScorerError(ValueError):
    """A scorer that broke its contract; names it and says how."""


def score_batch(scorer: Scorer, images: Tensor, texts: Sequence[str]) -> Tensor:
    """`scorer.score`, checked: float32 [B]. ScorerError names a scorer that gives anything else, or that tries to exit."""
    try:
        scores: object = scorer.score(images, texts)
    except (SystemExit, KeyboardInterrupt) as error:
        # Either would end the thread that runs ComfyUI's queue.
        raise ScorerError(f"the scorer {scorer.name} ended with {type(error).__name__} ({error})") from error
    wanted = f"it must give a tensor of {len(images)} numbers, one for each picture"
    if not isinstance(scores, Tensor):
        raise ScorerError(f"the scorer {scorer.name} gave a {type(scores).__name__}; {wanted}")
    if list(scores.shape) != [len(images)] or scores.is_complex() or scores.dtype == torch.bool:
        raise ScorerError(f"the scorer {scorer.name} gave {scores.dtype} {list(scores.shape)}; {wanted}")
    return scores.float()


def score_rows(score_one: Callable[[Tensor, str], Tensor], images: Tensor, texts: Sequence[str]) -> Tensor:
    """Score row by row, so that no score depends on its batch-mates: float32 [B] on the images' device.

    `score_one` takes an image [1, H, W, 3] and its text and gives a scalar. A picture with pixels that are not finite
    (a broken decode) scores nan, so that one of them does not end a hunt. ValueError as `check_inputs`.
    """
    check_inputs(images, texts)
    scores = []
    for row, text in enumerate(texts):
        image = images[row : row + 1]
        score = score_one(image, text) if torch.isfinite(image).all() else torch.tensor(math.nan)
        scores.append(score.float().to(images.device).reshape(()))  # not every device has float64
    return torch.stack(scores)


def probe_image() -> Tensor:
    """A fixed picture [1, 64, 64, 3]: its embedding tells one encoder from another, whatever their files are called."""
    ramp = torch.linspace(0, 1, 64)
    waves = 0.5 + 0.5 * torch.sin(ramp * 37) * torch.cos(ramp[:, None] * 23)
    return torch.stack([ramp.expand(64, 64), ramp[:, None].expand(64, 64), waves], dim=-1)[None]


def make_key(what: str, /, **settings: object) -> str:
    """A scorer's key: what it is with a version, and its settings as sorted JSON."""
    return f"{what} {json.dumps(settings, sort_keys=True, ensure_ascii=False)}"


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Identifies weights without reading them whole: a hash of names, shapes, types and samples of each tensor.

    A tensor of up to 64 kB is read whole; of a larger one its two ends (2 kB each), and 64 bytes of every 256 kB (of 64 places
    at least). The places move along from one to the next, so that no row or column is always missed.

    Always seen: what changes all of a tensor (training, merging, another precision), and what changes over 512 kB of it in
    one piece. Not surely seen: less than that; 1 in 4096 of a large tensor's numbers is looked at.
    24 GB take under 2 seconds where they lie in memory or in the system's cache of the file, else as long as the disk takes to
    read them, which the first picture then need not.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        digest.update(f"{name} {list(tensor.shape)} {tensor.dtype}\n".encode())
        for part in _samples(tensor):
            digest.update(part.cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:32]


def _samples(tensor: Tensor) -> list[Tensor]:
    """Parts of a tensor, all of a small one, in the order of its memory."""
    by_stride = sorted(range(tensor.ndim), key=lambda dim: -tensor.stride(dim))
    flat = tensor.permute(by_stride).reshape(-1)
    size = flat.element_size()
    if flat.numel() * size <= WHOLE_BYTES:
        return [flat]
    if size == 1:  # not every type of 8 bits can be indexed
        flat = flat.view(torch.uint8)
    width = max(1, SAMPLE_BYTES // size)
    rows = flat[: flat.numel() // width * width].reshape(-1, width)
    count = max(LEAST_SAMPLES, flat.numel() * size // STRIDE_BYTES)
    number = torch.arange(count, dtype=torch.int64)
    step = len(rows) // count
    # Weyl's sequence, multiples of the golden ratio: it comes near every place within a step.
    places = number * len(rows) // count + (number * 40_503 % 65_536) * step // 65_536
    ends = END_BYTES // size
    return [flat[:ends], rows.index_select(0, places.to(flat.device)), flat[-ends:]]


def content_key(images: Tensor) -> str:
    """Identifies pictures by all of their pixels; their embeddings may differ in the last bits from one device to another."""
    digest = hashlib.sha256(f"{list(images.shape)} {images.dtype}\n".encode())
    for image in images.detach().cpu():
        digest.update(image.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:32]
