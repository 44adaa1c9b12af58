"""Hunts and atlases on a tiny real SD3 with the demo's real VAE: pictures, batches, studies, limits, cancel."""

import comfy.model_management
import comfy.sd
import comfy.utils
import pytest
import tiny
import torch
from headhunter_pack.headhunter.guidance import Group
from headhunter_pack.headhunter.heads import Head, HeadSet
from headhunter_pack.headhunter.host.generation import generate
from headhunter_pack.headhunter.host.generation.generate import Generator, Sampling
from headhunter_pack.headhunter.host.generation.prompts import Pair
from headhunter_pack.headhunter.host.hunting.identity import identity_of, model_key
from headhunter_pack.headhunter.host.hunting.studies import find_study, studies_folder
from headhunter_pack.headhunter.study import StudyError
from headhunter_pack.nodes import (
    HeadHunterAtlas,
    HeadHunterCombineScorers,
    HeadHunterSoftPAG,
    HeadHunterStatisticScorer,
)
from huntfixtures import run

SETS = [HeadSet([Head(0, 1)]), HeadSet([Head(1, 0), Head(2, 2)]), HeadSet(), HeadSet([Head(3, 3)])]


def sampling(name="euler", cfg=1.0, **settings):
    return Sampling(Group("", 3.0, 1.0), cfg, 3, name, "simple", **settings)


@pytest.mark.parametrize(
    "name", ["euler", "euler_ancestral", "dpmpp_2m_sde", "dpmpp_sde", "lcm", "dpm_adaptive", "uni_pc", "res_multistep"]
)
def test_a_batch_equals_single_runs(vae, name):
    pair = Pair("x", 11, tiny.conditioning(1), tiny.conditioning(2))
    model = tiny.sd3()
    if name == "dpm_adaptive":  # its steps follow the error; a smooth model takes few
        with torch.no_grad():
            for parameter in model.model.diffusion_model.final_layer.parameters():
                parameter.mul_(0.05)
    with torch.inference_mode():
        together, *singles = (
            Generator(model, vae, {"samples": tiny.latent()}, sampling(name, 2.0)).latents(sets, pair)
            for sets in (SETS, *([heads] for heads in SETS))
        )
        for row, single in enumerate(singles):
            assert (together[row : row + 1] - single).norm() / single.norm() < 1e-4
    assert (together[0] - together[2]).norm() / together[2].norm() > 1e-4


@pytest.mark.parametrize("name", ["euler", "euler_ancestral", "dpmpp_2m_sde"])
def test_a_candidate_is_what_ksampler_gives(vae, name):
    """The picture that a hunt scores is the one that the user gets with these heads and this seed."""
    model, positive, negative = tiny.sd3(), tiny.conditioning(1), tiny.conditioning(2)
    generator = Generator(model, vae, {"samples": tiny.latent()}, sampling(name, 2.0))
    with torch.inference_mode():
        ours = generator.latents(SETS[:2], Pair("x", 7, positive, negative))
    for row, heads in enumerate(["L0H1", "L1H0, L2H2"]):
        guided = HeadHunterSoftPAG.execute(model, heads, 3.0, 1.0)[0]
        theirs = tiny.sample(guided, positive, negative, 2.0, sampler=name)
        assert (ours[row : row + 1] - theirs).norm() / theirs.norm() < 1e-4


def test_image_to_image_and_inpainting(vae):
    image = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 32:] = 1
    pair = Pair("x", 7, tiny.conditioning(1))
    with torch.inference_mode():
        weak = Generator(tiny.sd3(), vae, {"samples": image}, sampling(denoise=0.3)).latents(SETS[:1], pair)
        masked = Generator(tiny.sd3(), vae, {"samples": image, "noise_mask": mask}, sampling()).latents(SETS[:1], pair)
    full_change = (
        Generator(tiny.sd3(), vae, {"samples": image}, sampling()).latents(SETS[:1], pair) - image[:1]
    ).norm()
    assert (weak - image[:1]).norm() < 0.9 * full_change
    assert torch.allclose(masked[..., :4], image[:1, ..., :4], atol=1e-4)
    with pytest.raises(ValueError, match="denoise"):
        Generator(tiny.sd3(), vae, {"samples": tiny.latent()}, sampling(denoise=0.5))


def test_out_of_memory_halves_the_batch(vae, monkeypatch):
    pair = Pair("x", 7, tiny.conditioning(1))
    generator = Generator(tiny.sd3(), vae, {"samples": tiny.latent()}, sampling())
    with torch.inference_mode():
        expected = generator.latents(SETS, pair)
        real = Generator._sample

        def small_card(self, sets, *rest):
            if len(sets) > 1:
                raise comfy.model_management.OOM_EXCEPTION("no memory for more than one")
            return real(self, sets, *rest)

        monkeypatch.setattr(Generator, "_sample", small_card)
        assert (generator.latents(SETS, pair) - expected).norm() / expected.norm() < 1e-4
    assert generator.halved == 3


def test_a_hunt(job):
    result = run(job, rounds=2, heads_per_round=2)
    report = result.report
    assert report["format"] == "headhunter-report/1" and report["grid"] == {
        "model": "sd3-3x3",
        "layers": 3,
        "heads": 3,
        "double": 0,
        "single": 0,
    }
    assert [len(round["candidates"]) for round in report["rounds"]] == [9, 7]
    first = report["rounds"][0]
    best = sorted(first["candidates"], key=lambda row: -row["mean"])[:2]
    assert first["chosen"] == [row["head"] for row in best]
    assert first["gain"]["mean"] == pytest.approx(first["joint"]["mean"] - report["baseline"]["mean"])
    assert report["pairs"][0]["text"] == "one" and report["pairs"][1]["seed"] == 6
    # The baseline and two rounds, on two pairs; brightness is the mean luma, so the pictures can be checked.
    assert result.images.shape[0] == 6
    luma = result.images @ torch.tensor([0.2126, 0.7152, 0.0722])
    assert luma[:2].mean() == pytest.approx(report["baseline"]["mean"], abs=0.01)
    assert luma[2:4].mean() == pytest.approx(first["joint"]["mean"], abs=0.01)
    assert result.chart.shape[0] == 1 and result.chart.shape[1] > 400
    assert report["images"] == 2 + 18 + 2 + 14 + 2 and report["images_made_now"] == report["images"]


def test_the_same_hunt_again_evaluates_nothing_and_finds_the_same(job):
    first, again = run(job), run(job)
    assert again.heads == first.heads
    assert again.report["rounds"] == first.report["rounds"]
    assert first.report["images_made_now"] > 0 and again.report["images_made_now"] == 0
    assert torch.equal(first.images, again.images)
    fresh = run(job, study="another file")
    assert fresh.heads == first.heads and fresh.report["rounds"] == first.report["rounds"]


def test_more_rounds_go_on_from_fewer(job):
    fewer = run(job, rounds=1, study="rounds")
    more = run(job, rounds=2, study="rounds")
    assert more.report["rounds"][0] == fewer.report["rounds"][0]
    assert more.report["images_made_now"] == more.report["images"] - fewer.report["images"]


def test_a_named_study_of_another_hunt_says_what_differs(job):
    run(job, rounds=1, study="named")
    with pytest.raises(StudyError, match="settings.steps"):
        run(job, rounds=1, study="named", steps=3)
    with pytest.raises(ValueError, match="study's name"):
        run(job, study="../escape")


def test_combined_scorers(job):
    contrast = HeadHunterStatisticScorer.execute("contrast", "high", 0.5)[0]
    job.scorer = HeadHunterCombineScorers.execute(job.scorer, 1.0, contrast, -0.5)[0]
    report = run(job, rounds=1).report
    assert report["baseline"]["mean"] == 0
    assert [scorer["weight"] for scorer in report["scorers"]] == [1.0, -0.5]
    with find_study(report["study"]) as study:
        base = torch.tensor([study.scores("", pair) for pair in range(2)])
        guided = torch.tensor([study.scores("L1H1", pair) for pair in range(2)])
    # Two pairs are fewer than four, so each difference is divided by its scorer's unit.
    units = torch.tensor([part.unit for part, _ in job.scorer.components])
    expected = ((guided - base) / units * torch.tensor([1.0, -0.5])).sum(1).mean()
    assert next(c["mean"] for c in report["rounds"][0]["candidates"] if c["head"] == "L1H1") == pytest.approx(
        float(expected), rel=1e-4
    )


def test_max_images_ends_the_hunt_in_good_order_and_it_can_go_on(job):
    limited = run(job, rounds=2, max_images=24, study="limited")
    assert "max_images" in limited.report["stopped"]
    assert len(limited.report["rounds"]) == 1 and limited.heads and limited.images.shape[0] == 4
    full = run(job, rounds=2, study="limited")
    assert full.report["stopped"] == "" and full.report["rounds"][0] == limited.report["rounds"][0]
    assert full.report["images_made_now"] < full.report["images"]


def test_cancel_keeps_what_is_done(job):
    """The user's cancel, as the server sets it, in the middle of a chunk."""
    calls = []
    real = Generator.latents

    def cancel_later(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 8:
            comfy.model_management.interrupt_current_processing()
        return real(self, *args, **kwargs)

    generate.Generator.latents = cancel_later
    try:
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            run(job, study="cancelled")
    finally:
        generate.Generator.latents = real
    with find_study("cancelled") as study:
        kept = study.evaluations()
    # The baseline's two, and the chunks of a layer's 3 candidates x 2 pairs that were whole.
    assert kept == 2 + 6 + 6
    report = run(job, study="cancelled").report
    assert report["images_made_now"] == report["images"] - kept


def test_pool_and_start(job):
    report = run(job, pool="L1, L2H0", start_from="L0H0", rounds=1).report
    assert sorted(row["head"] for row in report["rounds"][0]["candidates"]) == ["L1H0", "L1H1", "L1H2", "L2H0"]
    assert report["heads"].startswith("L0H0, ") and report["start"]["heads"] == ["L0H0"]


def test_a_model_that_has_groups_already(job):
    job.model = HeadHunterSoftPAG.execute(job.model, "L0", 1.0, 1.0)[0]
    assert run(job, rounds=1).report["baseline"]["mean"] is not None


def test_cfg_without_a_negative_is_an_error(job):
    with pytest.raises(ValueError, match='cfg is 3, which needs a negative, and the prompt "one"'):
        run(job, cfg=3.0)


def test_model_key():
    model = tiny.sd3()
    key = model_key(model)
    assert model_key(tiny.sd3()) == key and model_key(model.clone()) == key
    assert model_key(tiny.sd3(seed=1)) != key
    assert model_key(HeadHunterSoftPAG.execute(model, "L0")[0]) != key
    patched = model.clone()
    name = "diffusion_model.joint_blocks.1.x_block.attn.qkv.weight"
    patched.add_patches(
        {name: (torch.ones_like(model.model.diffusion_model.joint_blocks[1].x_block.attn.qkv.weight),)}, 0.5
    )
    assert model_key(patched) != key
    before = model_key(patched)
    tiny.sample(patched, tiny.conditioning(1))
    assert model_key(patched) == before and model_key(model) == key
    shifted = model.clone()
    sampling_object = type(model.get_model_object("model_sampling"))(model.model.model_config)
    sampling_object.set_parameters(shift=7.0, multiplier=1000)
    shifted.add_object_patch("model_sampling", sampling_object)
    assert model_key(shifted) != key


def test_identity_tells_prompts_apart(vae):
    def identity(pair):
        return identity_of(tiny.sd3(), vae, [pair], None, {"samples": tiny.latent()}, sampling())

    reference = identity(Pair("x", 1, tiny.conditioning(1)))
    assert reference == identity(Pair("x", 1, tiny.conditioning(1)))
    assert reference != identity(Pair("x", 1, tiny.conditioning(2)))
    assert reference != identity(Pair("x", 2, tiny.conditioning(1)))


def test_atlas(job):
    images, sheet, labels = HeadHunterAtlas.execute(
        job.model, job.vae, job.prompts, job.latent_image, "L1, L2H0", "head", steps=2
    ).args
    names = ["unguided", "L1H0", "L1H1", "L1H2", "L2H0"]
    assert labels.splitlines() == [f"{name}, pair {pair}" for pair in (0, 1) for name in names]
    assert images.shape[0] == 10 and sheet.shape[0] == 1
    hunt = run(job, rounds=1, scale=3.0)
    # Made in another batch: equal but for rounding, which may tip a level of 255.
    assert (images[0] - hunt.images[0]).abs().max() < 1.5 / 255
    changed = HeadHunterAtlas.execute(
        job.model, job.vae, job.prompts, job.latent_image, "L1, L2H0", "head", steps=2, difference=True
    ).args[0]
    assert torch.allclose(changed[1], (images[1] - images[0]) / 2 + 0.5)


def test_atlas_by_layer_and_line(job):
    def labels(text, group_by):
        return (
            HeadHunterAtlas.execute(job.model, job.vae, job.prompts[:1], job.latent_image, text, group_by, steps=1)
            .args[2]
            .splitlines()
        )

    assert labels("*", "layer") == ["unguided", "L0", "L1", "L2"]
    assert labels("L0H1\n# nothing\nL1H1 L2H2", "line") == ["unguided", "L0H1", "L1H1, L2H2"]
    with pytest.raises(ValueError, match="line 2"):
        labels("L0\nL9", "line")
    with pytest.raises(ValueError, match="empty"):
        labels("", "head")


def test_atlas_goes_on_where_it_was(job, monkeypatch):
    settings = dict(heads="*", group_by="head", steps=2, study="an atlas")
    real, calls = Generator.latents, []

    def dies(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("power cut")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Generator, "latents", dies)
    with pytest.raises(RuntimeError, match="power cut"):
        HeadHunterAtlas.execute(job.model, job.vae, job.prompts, job.latent_image, **settings)
    done = len(calls) - 1
    calls[:] = [1] * 10
    HeadHunterAtlas.execute(job.model, job.vae, job.prompts, job.latent_image, **settings)
    # 10 pictures a pair in batches of 4 are 3 batches; two of the first pair's were kept.
    assert len(calls) - 10 == 6 - done
    assert (studies_folder() / "an atlas.sqlite").exists()
