"""A statistic of made pictures, by the pack's own scorer. A script for `painting.call`.

Job: {"statistic": name, "made": {setting: [[path of each row] of each caption]}}. Answer: the same with scores.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from headhunter.scoring.statistics import StatisticScorer  # noqa: E402  (after the path is right)


def scores(job: dict) -> dict:
    """The answer to a job."""
    scorer = StatisticScorer(job["statistic"])

    def score(path: str) -> float:
        image = torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy()).float() / 255
        return float(scorer.score(image[None], [""])[0])

    return {name: [[score(path) for path in rows] for rows in captions] for name, captions in job["made"].items()}


if __name__ == "__main__":
    json.dump(scores(json.load(sys.stdin)), sys.stdout)
