"""Every scorer that says it is differentiable is: its gradient against differences along random directions."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import tiny_clip
import torch
from headhunter_pack.headhunter.host.gradients import gradients
from headhunter_pack.headhunter.host.scoring.models import encoder_of
from headhunter_pack.headhunter.scoring.base import content_key
from headhunter_pack.headhunter.scoring.combine import combine_scorers
from headhunter_pack.headhunter.scoring.embedding import TextScorer
from headhunter_pack.headhunter.scoring.linear import LinearHead, LinearScorer
from headhunter_pack.headhunter.scoring.reference import ReferenceScorer, embed_all
from headhunter_pack.headhunter.scoring.statistics import StatisticScorer
from headhunter_pack.headhunter.scoring.taste import learn
from torch.overrides import TorchFunctionMode

WIDTH = tiny_clip.WIDTH


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    """Tiny CLIP and SigLIP through the pack's loader, under inference mode as a node runs."""
    files = tiny_clip.Files(tmp_path_factory.mktemp("towers"))
    with torch.inference_mode():
        weights = tiny_clip.weights(tiny_clip.clip())
        models = {kind: files.load(weights, kind, f"{kind}.safetensors") for kind in ("clip", "pickscore", "hpsv2")}
        siglip = files.load(tiny_clip.weights(tiny_clip.siglip()), name="siglip.safetensors")
    return SimpleNamespace(**models, siglip=siglip)


def reference(towers, reduce):
    encoder, pictures = encoder_of(towers.clip.vision), tiny_clip.pictures(3, seed=5)
    return ReferenceScorer(encoder, embed_all(encoder, pictures), reduce, content_key(pictures))


def aesthetic(encoder):
    weight = torch.randn(WIDTH, generator=torch.Generator().manual_seed(2)).double()
    return LinearScorer(encoder, LinearHead(weight, 0.5))


def taste(towers):
    encoder = encoder_of(towers.clip.vision)
    embeds = embed_all(encoder, tiny_clip.pictures(6, seed=9))
    return LinearScorer(encoder, learn(embeds[:3], embeds[3:]), "taste")


SCORERS = {
    "text": lambda towers: TextScorer(towers.clip, "a cat"),
    "text pair": lambda towers: TextScorer(towers.clip, "a cat", "a dog"),
    "pickscore": lambda towers: TextScorer(towers.pickscore),
    "hpsv2": lambda towers: TextScorer(towers.hpsv2),
    "reference mean": lambda towers: reference(towers, "mean"),
    "reference max": lambda towers: reference(towers, "max"),
    "aesthetic": lambda towers: aesthetic(towers.clip.head_encoder()),
    "aesthetic on siglip": lambda towers: aesthetic(towers.siglip.head_encoder()),
    "aesthetic on siglip's tokens": lambda towers: aesthetic(towers.siglip.head_encoder("tokens")),
    "taste": taste,
    "contrast": lambda towers: StatisticScorer("contrast"),
    "combined": lambda towers: combine_scorers([(TextScorer(towers.clip), 2.0), (StatisticScorer("warmth"), -1.0)]),
}


class Unrounded(TorchFunctionMode):
    """No rounding to 8 bits, so that small differences can be measured."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return args[0] if getattr(func, "__name__", "") == "round" else func(*args, **(kwargs or {}))


def gradient_of(scorer, image):
    with gradients():
        leaf = image.clone().requires_grad_()
        score = scorer.score(leaf, ["a fox"])
        return score.detach(), torch.autograd.grad(score.sum(), leaf)[0]


@pytest.mark.parametrize("size", [(28, 28), (40, 60)])  # the towers' own, and one that is resized
@pytest.mark.parametrize("name", SCORERS)
def test_gradients_equal_differences(name, size, towers):
    with torch.inference_mode():
        scorer = SCORERS[name](towers)
        assert scorer.differentiable
        image = 0.2 + 0.6 * tiny_clip.pictures(1, *size, seed=3)
        with Unrounded():
            score, gradient = gradient_of(scorer, image)
            assert gradient.isfinite().all()
            noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(4))
            for direction in (gradient / gradient.norm(), gradient / gradient.norm() + noise / noise.norm()):
                up, down = (scorer.score(image + sign * 0.01 * direction, ["a fox"]) for sign in (1, -1))
                assert float((up - down) / 0.02) == pytest.approx(float((gradient * direction).sum()), rel=0.03)
        rounded, through = gradient_of(scorer, image)
        assert torch.equal(rounded, scorer.score(image, ["a fox"]))
        assert torch.cosine_similarity(through.flatten(), gradient.flatten(), dim=0) > 0.9


def test_scores_take_no_gradients_where_none_are_asked_for(towers):
    image = tiny_clip.pictures(1)
    for name, make in SCORERS.items():
        assert not make(towers).score(image, ["a fox"]).requires_grad, name
