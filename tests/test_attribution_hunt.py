"""Whole hunts with the strategy attribution, through the node, on a tiny real SD3 with the demo's real VAE."""

from __future__ import annotations

from types import SimpleNamespace

import comfy.model_management
import pytest
import torch
from headhunter_pack.headhunter.families import sd3
from headhunter_pack.headhunter.heads import Head, parse
from headhunter_pack.headhunter.host.attribution.head_gradients import Gradients
from headhunter_pack.headhunter.host.hunting.studies import find_study
from headhunter_pack.headhunter.host.progress import SCREENING, Progress
from headhunter_pack.nodes import HeadHunterSearch, HeadHunterSoftPAG
from huntfixtures import run

GRID = sd3.FAMILY.grid_of_size((3,), 3)


@pytest.fixture
def screened(job):
    """A job whose differences are small against the pictures, so that a straight line holds."""
    with torch.no_grad():
        for parameter in job.model.model.diffusion_model.final_layer.parameters():
            parameter.mul_(0.3)
    return job


def hunted(screened, **settings):
    return run(screened, strategy="attribution", **({"scale": 0.5, "rounds": 2, "heads_per_round": 1} | settings))


def test_it_finds_what_exhaustive_finds_with_fewer_pictures(screened):
    result = hunted(screened)
    full = run(screened, scale=0.5)
    assert result.heads == full.heads
    assert result.report["images"] < 0.75 * full.report["images"]
    assert result.report["passes_planned"] < full.report["passes_planned"]
    first = result.report["rounds"][0]
    measured = {candidate["head"]: candidate["mean"] for candidate in full.report["rounds"][0]["candidates"]}
    assert len(first["candidates"]) == 4 and len(first["attributions"]) == 9
    for candidate in first["candidates"]:
        if candidate["pairs"] == 2:
            assert candidate["mean"] == pytest.approx(measured[candidate["head"]], abs=1e-5)
    gains = {name: mean - full.report["baseline"]["mean"] for name, mean in measured.items()}
    order = list(first["attributions"])
    assert order == sorted(order, key=lambda name: -first["attributions"][name])
    predicted, real = (torch.tensor([table[name] for name in order]) for table in (first["attributions"], gains))
    assert torch.corrcoef(torch.stack([predicted, real]))[0, 1] > 0.9
    assert result.chart.shape == full.chart.shape and not torch.equal(result.chart, full.chart)


def test_signed_strengths_are_measured_and_are_what_softpag_gives(screened):
    result = hunted(screened, rounds=1, strength=0.8)
    signed = result.report["signed"]
    heads = parse(signed["heads"], GRID)
    largest = max(result.report["rounds"][0]["attributions"].items(), key=lambda item: abs(item[1]))
    assert max(abs(u) for u in heads.values()) == 0.8 and min(heads.values()) < 0
    assert abs(heads[next(iter(parse(largest[0], GRID)))]) == 0.8
    assert signed["gain"]["mean"] == pytest.approx(
        signed["measured"]["mean"] - result.report["baseline"]["mean"], abs=1e-6
    )
    assert signed["better"] == (signed["measured"]["mean"] > result.report["rounds"][-1]["joint"]["mean"])
    # The text, in a SoftPAG node on the model, gives the score that the report says.
    screened.model = HeadHunterSoftPAG.execute(screened.model, signed["heads"], 0.5, 1.0)[0]
    alone = run(screened, scale=0.5, rounds=1, pool="L0H0")
    assert alone.report["baseline"]["mean"] == pytest.approx(signed["measured"]["mean"], abs=1e-5)


def test_a_hunt_that_starts_from_a_set_screens_along_it(screened):
    result = hunted(screened, rounds=1, start_from="L1H1", strength=0.6)
    assert set(result.report["rounds"][0]["attributions"]) == {f"L{i}H{j}" for i in range(3) for j in range(3)} - {
        "L1H1"
    }
    assert parse(result.report["signed"]["heads"], GRID)[Head(1, 1)] == 0.6
    with find_study(result.report["study"]) as study:
        assert study.get("attribution of pair 0 given L1H1") and not study.get("attribution of pair 0 given nothing")


def test_the_node_says_how_they_did(screened):
    inputs = (screened.model, screened.vae, screened.prompts, screened.scorer, screened.latent_image)
    settings = {"rounds": 1, "heads_per_round": 1, "steps": 2, "scale": 0.5}
    text = HeadHunterSearch.execute(*inputs, strategy="attribution", **settings).ui["text"]
    assert len(text) == 2 and "signed strengths scored" in text[1]
    assert len(HeadHunterSearch.execute(*inputs, strategy="halving", **settings).ui["text"]) == 1


def test_a_killed_hunt_goes_on_without_screening_again(screened, monkeypatch):
    whole = hunted(screened, study="whole")
    real, calls = Gradients._attributions, []

    def counted(self, chosen, pool, numbers, shares, price):
        calls.append((len(chosen), list(numbers)))
        if len(chosen) == 1 and len(calls) == 2:
            comfy.model_management.interrupt_current_processing()
        return real(self, chosen, pool, numbers, shares, price)

    monkeypatch.setattr(Gradients, "_attributions", counted)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        hunted(screened, study="cut")
    assert calls == [(0, [0, 1]), (1, [0, 1])]
    again = hunted(screened, study="cut")
    assert calls[2:] == [(1, [0, 1])]
    assert again.heads == whole.heads and again.report["rounds"] == whole.report["rounds"]
    assert again.report["signed"] == whole.report["signed"]
    with find_study("cut") as study:
        assert set(study.get("attribution of pair 1 given nothing")) == {
            f"L{i}H{j}" for i in range(3) for j in range(3)
        }


def test_under_inference_mode_as_in_a_running_comfyui(screened):
    outside = hunted(screened, study="outside")
    with torch.inference_mode():
        inside = hunted(screened, study="inside")
    assert inside.heads == outside.heads and inside.report["rounds"] == outside.report["rounds"]


def test_what_cannot_be_differentiated_is_refused_before_anything_is_made(screened, monkeypatch):
    screened.scorer = SimpleNamespace(name="somebody's", key="x", unit=1.0, differentiable=False)
    monkeypatch.setattr("headhunter_pack.headhunter.host.hunting.search.Evaluator", None)
    with pytest.raises(ValueError, match="the scorer somebody's gives none.*halving"):
        hunted(screened)


def test_screening_counts_in_the_time_that_is_left():
    progress = Progress(None, "s", total=10, rounds=1, screening=4)
    assert progress.seconds_left is None
    progress.screened(2, made=True)
    progress.seconds = 6.0
    # Two of four pairs took as long as 2 * SCREENING images should.
    assert progress.seconds_left == pytest.approx(6.0 / (2 * SCREENING) * (10 + 2 * SCREENING))
    assert progress.made == 0
    progress.finished(10, made=True)
    progress.screened(2, made=False)
    progress.seconds = 20.0
    assert progress.seconds_left == 0
