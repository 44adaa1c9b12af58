"""How far made pictures are from the real ones: mean squared difference of red, green and blue in 0..1. A script for `painting.call`.

Twice: over all pixels, and coarsely, after averaging squares of 4 x 4 pixels, where a small shift or a soft edge counts less.
Job: {"real": [path of each caption], "made": {setting: [[path of each row] of each caption]}}.
Answer: {"fine": {setting: [[error of each row] of each caption]}, "coarse": the same}.
"""

import json
import sys

import numpy as np
from PIL import Image

SQUARE = 4  # pixels


def read(path: str) -> np.ndarray:
    """[H, W, 3] in 0..1."""
    return np.asarray(Image.open(path).convert("RGB"), dtype=np.float64) / 255


def pooled(image: np.ndarray) -> np.ndarray:
    """Means of squares, [H / 4, W / 4, 3]."""
    height, width, channels = image.shape
    return image.reshape(height // SQUARE, SQUARE, width // SQUARE, SQUARE, channels).mean((1, 3))


def errors(job: dict) -> dict:
    """The answer to a job."""
    answer: dict = {"fine": {}, "coarse": {}}
    real = [read(path) for path in job["real"]]
    for setting, by_caption in job["made"].items():
        for kind, seen in (("fine", lambda image: image), ("coarse", pooled)):
            answer[kind][setting] = [
                [float(np.square(seen(read(path)) - seen(picture)).mean()) for path in rows]
                for picture, rows in zip(real, by_caption, strict=True)
            ]
    return answer


if __name__ == "__main__":
    json.dump(errors(json.load(sys.stdin)), sys.stdout)
