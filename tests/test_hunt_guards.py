"""What must not end, fool or silently weaken a hunt: broken scores, scorers that break their contract, strengths, zeros."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest
import torch
from headhunter_pack.headhunter.heat import heat_of
from headhunter_pack.headhunter.host.generation.generate import Generator
from headhunter_pack.headhunter.host.hunting.studies import find_study
from headhunter_pack.headhunter.study import StudyError
from headhunter_pack.nodes import (
    HeadHunterAtlas,
    HeadHunterCombineScorers,
    HeadHunterScore,
    HeadHunterSoftPAG,
)
from huntfixtures import run


def scorer(score, name="somebody's"):
    return SimpleNamespace(name=name, key=name, unit=0.1, differentiable=False, score=score)


def brightness(images):
    return images.mean(dim=(1, 2, 3))


class Breaks:
    """Brightness, but `broken` for the second picture of a batch, from the third to the `last` call."""

    def __init__(self, broken, last):
        self.broken, self.last, self.calls = broken, last, 0

    def __call__(self, images, texts):
        self.calls += 1
        scores = brightness(images)
        if 2 < self.calls <= self.last:
            scores[1] = self.broken
        return scores


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("strategy", ["exhaustive", "halving"])
def test_a_score_that_is_no_number_is_the_worst_now_and_when_it_is_in_the_study(job, strategy, broken):
    job.scorer = scorer(Breaks(broken, {"exhaustive": 6, "halving": 4}[strategy]), "breaks")
    settings = {
        "strategy": strategy,
        "pool": "L0, L1",
        "rounds": 1,
        "heads_per_round": 2,
        "study": f"{strategy} {broken}",
    }
    result = run(job, **settings)
    first = result.report["rounds"][0]
    last = [row["head"] for row in first["candidates"] if row["mean"] is None]
    # The unguided pictures take two calls, then each layer is a chunk: its second candidate is broken on the pairs tried.
    assert set(last) == {"L0H1", "L1H1"} and not set(last) & set(first["chosen"])
    assert [row["head"] for row in first["candidates"][-2:]] == sorted(last)
    job.scorer.score = None  # nothing is scored again
    again = run(job, **settings)
    assert again.report["rounds"] == result.report["rounds"] and again.heads == result.heads
    with find_study(result.report["study"]) as study:
        heat = json.loads(json.dumps(heat_of(study), allow_nan=False))
    scores = {head: score for head, (score, *_) in heat["rounds"][-1]["heads"].items()}
    assert scores["L0H1"] == scores["L1H1"] == min(scores.values())


@pytest.mark.parametrize("combined", [False, True])
def test_a_baseline_without_a_score_names_the_pair(job, combined):
    broken = scorer(
        lambda images, texts: torch.where(torch.tensor([text == "two" for text in texts]), math.nan, brightness(images))
    )
    job.scorer = HeadHunterCombineScorers.execute(job.scorer, 1.0, broken, 1.0)[0] if combined else broken
    for _ in range(2):
        with pytest.raises(ValueError, match="unguided picture of pair 1 has no score"):
            run(job, study=f"no baseline {combined}")
    with find_study(f"no baseline {combined}") as study:
        json.dumps(heat_of(study), allow_nan=False)


def exits(error):
    def score(images, texts):
        raise error

    return score


BAD = {
    "too many": (lambda images, texts: brightness(images).repeat(2), "gave torch.float32"),
    "too few": (lambda images, texts: brightness(images)[:0], "gave torch.float32"),
    "columns": (lambda images, texts: brightness(images)[:, None], "gave torch.float32"),
    "one number": (lambda images, texts: brightness(images).sum(), "gave torch.float32"),
    "a list": (lambda images, texts: brightness(images).tolist(), "gave a list"),
    "nothing": (lambda images, texts: None, "gave a NoneType"),
    "yes or no": (lambda images, texts: brightness(images) > 0, "gave torch.bool"),
    "complex": (lambda images, texts: brightness(images).to(torch.complex64), "gave torch.complex64"),
    "exits": (exits(SystemExit(3)), "ended with SystemExit"),
    "interrupts": (exits(KeyboardInterrupt()), "ended with KeyboardInterrupt"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_scorer_that_breaks_its_contract_is_named_and_nothing_is_written(job, name):
    score, says = BAD[name]
    job.scorer = scorer(score, "mine")
    with pytest.raises(ValueError, match=f"the scorer mine {says}"):
        run(job, study=f"bad {name}")
    with find_study(f"bad {name}") as study:
        assert study.evaluations() == 0 and not study.previews()
    with pytest.raises(ValueError, match=f"the scorer mine {says}"):
        HeadHunterScore.execute(torch.rand(2, 8, 8, 3), job.scorer, "x")


def test_pool_and_start_keep_their_strengths(job):
    settings = {"rounds": 1, "heads_per_round": 2, "strength": 0.8}
    result = run(job, pool="L1H0@0.5, L2H0", start_from="L0H0@-0.25", **settings)
    assert result.heads == "L0H0@-0.25, L1H0@0.5, L2H0"
    first = result.report["rounds"][0]
    assert {row["head"] for row in first["candidates"]} == {"L1H0@0.5", "L2H0"} == set(first["chosen"])
    assert result.report["start"]["heads"] == ["L0H0@-0.25"]
    with find_study(result.report["study"]) as study:
        search = study.get("identity")["search"]
        assert (search["pool"], search["start_from"]) == ("L1H0@0.5, L2H0", "L0H0@-0.25")
        assert study.scores("L0H0@-0.25, L1H0@0.5", 0) and "L1H0@0.5" in heat_of(study)["rounds"][-1]["heads"]
    # The text, in a SoftPAG node of the same settings, gives the score that the report says.
    job.model = HeadHunterSoftPAG.execute(job.model, result.heads, 3.0, 0.8)[0]
    alone = run(job, rounds=1, pool="L0H0")
    assert alone.report["baseline"]["mean"] == pytest.approx(first["joint"]["mean"], abs=1e-5)
    assert result.report["study"] != run(job, pool="L1H0, L2H0", start_from="L0H0@-0.25", **settings).report["study"]


def test_an_atlas_keeps_strengths(job):
    def images(text, group_by):
        inputs = (job.model, job.vae, job.prompts[:1], job.latent_image)
        return HeadHunterAtlas.execute(*inputs, text, group_by, steps=1).args

    full, _, _ = images("L1H0", "head")
    half, _, labels = images("L1H0@0.5, L2H1", "head")
    assert labels.splitlines() == ["unguided", "L1H0@0.5", "L2H1"]
    assert 0 < (half[1] - half[0]).abs().max() and not torch.equal(half[1], full[1])


ZEROS = [
    ({"scale": 0.0}, "scale is 0"),
    ({"strength": 0.0}, "strength is 0, and L0H0 in pool has no strength"),
    ({"strength": 0.0, "pool": "L1H0@0.5, L2H0"}, "strength is 0, and L2H0 in pool"),
    ({"pool": "L1H0@0, L2H0"}, "pool: L1H0@0 changes nothing"),
    ({"pool": "L2H0", "start_from": "L1H0@0"}, "start_from: L1H0@0 changes nothing"),
    ({"strength": 0.0, "pool": "L2H0@1", "start_from": "L1H0"}, "strength is 0, and L1H0 in start_from"),
]


@pytest.mark.parametrize(("settings", "says"), ZEROS, ids=lambda value: str(value)[:40])
def test_a_hunt_that_could_change_nothing_is_refused_before_the_first_picture(job, settings, says, monkeypatch):
    monkeypatch.setattr(Generator, "latents", None)
    with pytest.raises(ValueError, match=says):
        run(job, **settings)
    if "start_from" not in settings:
        text = settings.get("pool", "*")
        others = {name: value for name, value in settings.items() if name != "pool"}
        with pytest.raises(ValueError, match=says.replace("pool", "heads")):
            HeadHunterAtlas.execute(job.model, job.vae, job.prompts, job.latent_image, text, steps=1, **others)


def test_strength_0_is_fine_where_every_head_has_its_own(job):
    result = run(job, strength=0.0, pool="L1H0@0.5, L2H0@-1", rounds=1)
    assert result.heads in ("L1H0@0.5", "L2H0@-1")


def test_a_damaged_picture_in_a_study_is_named(job):
    settings = {"rounds": 1, "pool": "L0H0", "study": "damaged picture"}
    run(job, **settings)
    with find_study("damaged picture") as study:
        study._connection.execute(
            "UPDATE pictures SET data = x'89504e47' WHERE kind = 'picture' AND heads = '' AND pair = 1"
        )
    with pytest.raises(StudyError, match="damaged picture.sqlite is damaged: its picture of no heads on pair 1"):
        run(job, **settings)
