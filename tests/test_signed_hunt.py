"""Whole hunts with signs, through the node, on a tiny real SD3 with the demo's real VAE."""

from __future__ import annotations

import comfy.model_management
import pytest
import torch
from headhunter_pack.headhunter.families import sd3
from headhunter_pack.headhunter.guidance import Group
from headhunter_pack.headhunter.heads import HeadSet, parse
from headhunter_pack.headhunter.heat import heat_of
from headhunter_pack.headhunter.host.attribution.head_gradients import Gradients
from headhunter_pack.headhunter.host.generation.generate import Generator, Sampling
from headhunter_pack.headhunter.host.hunting.studies import find_study
from headhunter_pack.nodes import HeadHunterSoftPAG
from huntfixtures import run

GRID = sd3.FAMILY.grid_of_size((3,), 3)
METHODS = ("extra pass", "in attention")
STEPS = 2


def sampling(method):
    return Sampling(Group("", 0.5, 1.0, method=method), 1.0, STEPS, "euler", "simple")


@pytest.fixture
def small(job):
    """A job whose differences are small against the pictures, so that a straight line holds."""
    with torch.no_grad():
        for parameter in job.model.model.diffusion_model.final_layer.parameters():
            parameter.mul_(0.3)
    return job


def hunted(job, method="in attention", **settings):
    settings = {"strategy": "signed", "scale": 0.5, "heads_per_round": 4, "steps": STEPS, "method": method} | settings
    return run(job, **settings)


def test_a_head_that_helps_only_away_from_the_perturbation(small):
    """In attention, exhaustive measures both signs; what is found says its sign everywhere."""
    result = hunted(small, strategy="exhaustive", rounds=1, heads_per_round=1)
    report = result.report
    told = {
        candidate["head"]: candidate["mean"] - report["baseline"]["mean"]
        for candidate in report["rounds"][0]["candidates"]
    }
    assert len(told) == 18 and {parse(text, GRID).at(1.0).popitem()[1] for text in told} == {1.0, -1.0}
    away = min((text for text in told if "@" not in text), key=lambda text: told[text])
    assert told[away] < 0 < told[f"{away}@-1"]
    assert report["images"] == 2 + 36
    for strategy in ("exhaustive", "halving", "attribution"):
        alone = hunted(small, strategy=strategy, pool=away, rounds=1, heads_per_round=1, study=strategy)
        assert alone.heads == f"{away}@-1" and alone.report["rounds"][0]["chosen"] == [f"{away}@-1"]
        assert alone.report["rounds"][0]["gain"]["mean"] == pytest.approx(told[f"{away}@-1"], abs=1e-5)
    with find_study(report["study"]) as study:
        heat = heat_of(study)["rounds"][0]["heads"]
        assert heat[f"{away}@-1"][0] == pytest.approx(told[f"{away}@-1"], abs=1e-5) and heat[away][0] < 0
        assert f"{away}@-1" in {row[1] for row in study.table()}
    # With an extra pass heads are tried as the paper tries them.
    paper = hunted(small, "extra pass", strategy="exhaustive", pool=away, rounds=1, heads_per_round=1)
    assert paper.heads == away


@pytest.mark.parametrize("method", METHODS)
def test_signed(small, method):
    result = hunted(small, method, strength=0.8)
    report, (first, last) = result.report, result.report["rounds"]
    heads = parse(result.heads, GRID)
    assert len(heads) == 4 and max(map(abs, heads.values())) == 0.8 and min(heads.values()) < 0
    assert set(first["attributions"]) == {f"L{i}H{j}" for i in range(3) for j in range(3)}
    assert first["helped"] and first["gain"]["mean"] > 0
    steps = [step | {"gain": step["mean"] - report["baseline"]["mean"]} for step in first["steps"] + last["steps"]]
    assert len(steps) == 4 and report["images"] <= report["images_made_now"] == 2 * 5
    # What is returned was measured: it is one of the steps, the last one that was better.
    taken = [step for step in steps if step["heads"] == result.heads]
    assert last["joint"]["mean"] == pytest.approx(taken[0]["mean"])
    if last["helped"]:
        before = next(step for step in steps if parse(step["heads"], GRID) == parse(", ".join(first["chosen"]), GRID))
        assert taken[0]["gain"] / taken[0]["distortion"] > before["gain"] / before["distortion"]
    # The text, in a SoftPAG node on the model, gives the score and the distortion that the report says.
    plain = Generator(small.model, small.vae, small.latent_image, sampling(method))
    small.model = HeadHunterSoftPAG.execute(small.model, result.heads, 0.5, 1.0, method=method)[0]
    guided = Generator(small.model, small.vae, small.latent_image, sampling(method))
    with torch.inference_mode():
        pairs = [(guided.latents([HeadSet()], pair), plain.latents([HeadSet()], pair)) for pair in small.prompts]
        scores = [float(small.scorer.score(guided.decode(latent), [""])) for latent, _ in pairs]
    assert sum(scores) / 2 == pytest.approx(last["joint"]["mean"], abs=1e-5)
    distortions = [float((latent - plain).norm() / plain.norm()) for latent, plain in pairs]
    assert sum(distortions) / 2 == pytest.approx(taken[0]["distortion"], rel=1e-3)


def test_signed_is_the_same_again_and_after_a_kill(small, monkeypatch):
    whole = hunted(small, study="signed whole")
    again = hunted(small, study="signed whole")
    assert again.report["images_made_now"] == 0 and again.report["rounds"] == whole.report["rounds"]
    real, calls = Gradients._attributions, []

    def killed(self, chosen, *rest):
        calls.append(len(chosen))
        if len(calls) == 2:
            comfy.model_management.interrupt_current_processing()
        return real(self, chosen, *rest)

    monkeypatch.setattr(Gradients, "_attributions", killed)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        hunted(small, study="signed cut")
    resumed = hunted(small, study="signed cut")
    assert calls == [0, 4, 4]
    assert resumed.heads == whole.heads and resumed.report["rounds"] == whole.report["rounds"]
    assert resumed.report["images_made_now"] == 4


def test_what_a_page_is_told_of_it(small):
    result = hunted(small)
    with find_study(result.report["study"]) as study:
        heat = heat_of(study)
    first, last = heat["rounds"]
    assert first["chosen"] == [] and set(last["chosen"]) == {f"{head}" for head in result.report["rounds"][1]["chosen"]}
    slopes = result.report["rounds"][1]["attributions"]
    assert {head: entry[0] for head, entry in last["heads"].items()} == pytest.approx(slopes, rel=1e-5)
    limited = hunted(small, study="signed limited", max_images=6)
    assert "max_images" in limited.report["stopped"]
    assert limited.report["rounds"] == result.report["rounds"][:1] and len(parse(limited.heads, GRID)) == 4
