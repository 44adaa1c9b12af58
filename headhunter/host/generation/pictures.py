"""Pictures as bytes and back."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

PREVIEW_SIDE = 192


def to_pil(image: Tensor) -> Image.Image:
    """[H, W, 3] in 0..1 -> a picture; pixels that are not finite become black."""
    array = torch.nan_to_num(image).clamp(0, 1).mul(255).round().to(torch.uint8).numpy()
    return Image.fromarray(array)


def png(image: Tensor) -> bytes:
    """[H, W, 3] in 0..1 -> PNG, without loss but for the 8 bits."""
    buffer = BytesIO()
    to_pil(image).save(buffer, "PNG")
    return buffer.getvalue()


def preview(image: Tensor) -> bytes:
    """[H, W, 3] in 0..1 -> a small JPEG."""
    picture = to_pil(image)
    picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def from_bytes(data: bytes) -> Tensor:
    """A picture of ours, read back: [H, W, 3] in 0..1."""
    return from_pil(Image.open(BytesIO(data)))


def from_pil(picture: Image.Image) -> Tensor:
    """A picture -> [H, W, 3] in 0..1."""
    return torch.from_numpy(np.asarray(picture.convert("RGB")).copy()).float() / 255
