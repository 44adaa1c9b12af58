"""Where a group acts: a MASK of the host, at the latent's size by the host's own resizing, and at the picture's tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from comfy.sampler_helpers import prepare_mask
from torch import Tensor
from torch.nn.functional import avg_pool2d


class Mask:
    """1 where a group acts, 0 where it does not, between them a part of it.

    pictures [N, 1, H, W], 0..1, on the CPU: one for all pictures of a batch, or one for each. It holds for every frame of a video.
    """

    def __init__(self, pictures: Tensor):
        self.pictures = pictures
        self._made: dict[tuple, Tensor] = {}

    @classmethod
    def of(cls, mask: Tensor) -> Mask | None:
        """From a MASK [H, W] or [N, H, W]; None where it is 1 everywhere. ValueError where it is no such tensor of numbers."""
        if mask.ndim not in (2, 3, 4) or (mask.ndim == 4 and mask.shape[1] != 1) or not mask.numel():
            raise ValueError(f"mask has the shape {list(mask.shape)}; it must be a MASK: [pictures, height, width]")
        pictures = mask.detach().to("cpu", torch.float32).reshape(-1, 1, *mask.shape[-2:])
        if not torch.isfinite(pictures).all():
            raise ValueError("mask holds numbers that are not finite; it must be from 0 (outside) to 1 (inside)")
        pictures = pictures.clamp(0, 1)
        return None if bool((pictures == 1).all()) else cls(pictures)

    @property
    def count(self) -> int:
        """Pictures in it."""
        return self.pictures.shape[0]

    @property
    def empty(self) -> bool:
        """Whether it is 0 everywhere."""
        return not self.pictures.any()

    def check(self, batch: int) -> None:
        """ValueError where it has not one picture, and not as many as the batch."""
        if self.count not in (1, batch):
            raise ValueError(
                f"HeadHunter: the mask of a SoftPAG group has {self.count} pictures, and the batch {batch}. Give one mask, or one for each "
                "picture; over a video one mask holds for every frame."
            )

    def lost(self, latent: Sequence[int]) -> bool:
        """Whether nothing is left of it at the size of a latent of this shape."""
        return not self._resized(*latent[-2:]).any()

    def over(self, latent: Tensor) -> Tensor:
        """Beside a latent [B, C, ..., h, w]: [N, 1, ..., h, w] of its type, on its device. ValueError as `check`."""
        self.check(latent.shape[0])
        height, width = latent.shape[-2:]
        shape = -1, 1, *[1] * (latent.ndim - 4), height, width
        key = (shape, latent.device, latent.dtype)
        return self._kept(key, lambda: self._resized(height, width).reshape(shape).to(latent))

    def rows(self, latent: Tensor, patch: Sequence[int]) -> Tensor:
        """At the picture's tokens, each the mean over its latent pixels: [N, tokens], on the latent's device.

        latent [B, C, h, w] or [B, C, frames, h, w]; patch: (height, width) of a token, or (frames, height, width).
        """
        frames = -(-latent.shape[2] // (patch[0] if len(patch) == 3 else 1)) if latent.ndim == 5 else 1

        def made() -> Tensor:
            tokens = avg_pool2d(self._resized(*latent.shape[-2:]), tuple(patch[-2:]), ceil_mode=True)
            return tokens.flatten(1).repeat(1, frames).to(latent.device)

        return self._kept((frames, tuple(patch), latent.shape[-2:], latent.device), made)

    def _resized(self, height: int, width: int) -> Tensor:
        return prepare_mask(self.pictures, (self.count, 1, height, width), "cpu")

    def _kept(self, key: tuple, make: Callable[[], Tensor]) -> Tensor:
        """What is made once for each size and device, since every step and layer asks for it."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]
