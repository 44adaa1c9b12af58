"""A scorer that knows the truth: how close a picture is to the real one of its caption."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

FOLDER = Path(__file__).resolve().parents[2] / "data" / "eval"


class FidelityScorer:
    """-mean((picture - real)^2) over pixels and colours, each 0..1; the caption is the pair's text. ValueError for another text."""

    name = "fidelity"
    key = "headhunter-demo-fidelity/1"
    unit = 0.02
    differentiable = True

    def __init__(self) -> None:
        rows = json.loads((FOLDER / "captions.json").read_text(encoding="utf-8"))
        self._files = {row["text"]: FOLDER / row["file"] for row in rows}

    def score(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        """images [B, H, W, 3] in 0..1 -> float32 [B]."""
        return torch.stack(
            [-(image - self._real(text)).square().mean() for image, text in zip(images, texts, strict=True)]
        )

    def _real(self, text: str) -> Tensor:
        if text not in self._files:
            raise ValueError(
                f"the demo has no real picture of {text!r}; its captions are in demo/data/eval/captions.json"
            )
        return torch.from_numpy(np.asarray(Image.open(self._files[text]).convert("RGB")).astype(np.float32) / 255)
