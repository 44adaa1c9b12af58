"""Compare Heads on a tiny real SD3 with the demo's real VAE: its pictures, its numbers, its study."""

from __future__ import annotations

import json
from types import SimpleNamespace

import comfy.model_management
import numpy as np
import pytest
import tiny
import torch
from guiding import soft_pag
from headhunter_pack.headhunter.guidance import Group
from headhunter_pack.headhunter.heat import heat_of
from headhunter_pack.headhunter.host.generation.generate import Generator
from headhunter_pack.headhunter.host.generation.pictures import from_bytes, png
from headhunter_pack.headhunter.host.hunting.studies import find_study
from headhunter_pack.headhunter.host.models import grid_of
from headhunter_pack.headhunter.host.server import routes
from headhunter_pack.headhunter.host.server.userdata import presets_folder
from headhunter_pack.headhunter.presets import preset_of, write_preset
from headhunter_pack.headhunter.study import StudyError
from headhunter_pack.headhunter.variants import VariantError
from headhunter_pack.nodes import (
    HeadHunterAtlas,
    HeadHunterCombineScorers,
    HeadHunterCompare,
    HeadHunterPrompt,
    HeadHunterStatisticScorer,
)
from huntfixtures import load_vae

TEXT = """
one: L1H2 scale=4                     # a comment
both: L0H1 strength=1 | L2 scale=1 strength=0.3 end=0.6
moved: L1H0-1 method=in attention scale=2
three: L2H1, L1H0@-0.5 scale=4
guided: L1 cfg=3
cfg: cfg=3
"""
NAMES = ["unguided", "one", "both", "moved", "three", "guided", "cfg"]


def statistic(name):
    return HeadHunterStatisticScorer.execute(name, "high", 0.5)[0]


@pytest.fixture(scope="module")
def job():
    """Two prompts with a negative, for variants with a cfg."""
    prompts = HeadHunterPrompt.execute(tiny.conditioning(1), "one", 5, tiny.conditioning(3))[0]
    prompts = HeadHunterPrompt.execute(tiny.conditioning(2), "two", 6, tiny.conditioning(3), prompts)[0]
    return SimpleNamespace(model=tiny.sd3(depth=3), vae=load_vae(), prompts=prompts, latent={"samples": tiny.latent()})


def compare(job, variants=TEXT, **settings):
    settings = {"steps": 3, "batch_size": 1} | settings
    made = HeadHunterCompare.execute(job.model, job.vae, job.prompts, job.latent, variants, **settings)
    images, sheet, table, report = made.args
    return SimpleNamespace(images=images, sheet=sheet, table=table, report=json.loads(report), ui=made.ui)


@pytest.fixture(scope="module")
def made(job):
    return compare(job, scorer=statistic("brightness"), second_scorer=statistic("contrast"))


@pytest.fixture(scope="module")
def latents(job):
    """[variants][pairs]: each variant of TEXT as SoftPAG and KSampler make it."""
    both = soft_pag(soft_pag(job.model, "L0H1", 3.0, 1.0), "L2", 1.0, 0.3, end_percent=0.6)
    by_hand = [
        (job.model, 1.0),
        (soft_pag(job.model, "L1H2", 4.0, 0.5), 1.0),
        (both, 1.0),
        (soft_pag(job.model, "L1H0-1", 2.0, 0.5, method="in attention"), 1.0),
        (soft_pag(job.model, "L2H1, L1H0@-0.5", 4.0, 0.5), 1.0),
        (soft_pag(job.model, "L1", 3.0, 0.5), 3.0),
        (job.model, 3.0),
    ]
    return [
        [tiny.sample(model, pair.positive, pair.negative, cfg, seed=pair.seed) for pair in job.prompts]
        for model, cfg in by_hand
    ]


def test_each_picture_is_what_soft_pag_and_ksampler_give(job, made, latents):
    """To the last bit, in batches of one."""
    expected = [from_bytes(png(job.vae.decode(row[pair])[0].detach())) for pair in range(2) for row in latents]
    assert torch.equal(made.images, torch.stack(expected))
    with find_study(made.report["study"]) as study:
        assert [study.latent("", pair) for pair in range(2)] == [latent.numpy().tobytes() for latent in latents[0]]
    assert len({image.numpy().tobytes() for image in made.images}) == 14


def test_batches_change_nothing_but_the_last_bits(job, made):
    batched = compare(job, batch_size=4, scorer=statistic("brightness"), study="in batches")
    assert (batched.images - made.images).abs().max() < 1.5 / 255
    for variant, other in zip(batched.report["variants"], made.report["variants"], strict=True):
        assert variant["distortion"] == pytest.approx(other["distortion"], abs=1e-3)


def test_the_numbers_are_those_of_numpy(job, made, latents):
    luma = np.array([0.2126, 0.7152, 0.0722])
    shown = np.stack([[job.vae.decode(latent)[0].detach().clamp(0, 1).numpy() for latent in row] for row in latents])
    scores = {"brightness": (shown @ luma).mean((2, 3)), "contrast": 2 * (shown @ luma).std((2, 3))}
    report = made.report
    assert [judge["name"].split()[0] for judge in report["judges"]] == list(scores)
    assert [judge["objective"] for judge in report["judges"]] == [True, False]
    assert [variant["name"] for variant in report["variants"]] == NAMES
    for place, variant in enumerate(report["variants"]):
        for judged, own in zip(variant["judged"], scores.values(), strict=True):
            differences = own[place] - own[0]
            assert judged["pairs"] == 2 and judged["wins"] == (differences > 0).sum()
            assert judged["mean"] == pytest.approx(own[place].mean(), rel=1e-4)
            assert judged["difference"] == pytest.approx(differences.mean(), abs=1e-6)
            assert judged["error"] == pytest.approx(differences.std(ddof=1) / np.sqrt(2), abs=1e-6)
        distances = [
            np.linalg.norm((latents[place][pair] - latents[0][pair]).numpy().astype(float))
            / np.linalg.norm(latents[0][pair].numpy().astype(float))
            for pair in range(2)
        ]
        assert variant["distortion"] == pytest.approx(np.mean(distances), rel=1e-6)


def test_the_table_shows_them(made):
    head, *lines = made.table.splitlines()
    assert [line.split()[0] for line in lines] == NAMES
    assert "brightness high" in head and "contrast high (read along)" in head and "distortion" in head
    variant = made.report["variants"][1]
    for number in (variant["judged"][0]["difference"], variant["judged"][1]["difference"]):
        assert f"{number:+.3g} +- " in lines[1]
    assert f"{variant['distortion']:.3g}" in lines[1] and f"{variant['judged'][0]['wins']} of 2" in lines[1]
    assert made.ui["text"] == [made.table] and made.ui["headhunter"][0]["study"] == made.report["study"]


def test_the_report_has_a_format_of_its_own_and_no_paths(made):
    assert made.report["format"] == "headhunter-comparison/1"
    assert made.report["settings"] == {"cfg": 1.0, "steps": 3, "sampler_name": "euler", "scheduler": "simple"}
    assert [pair["text"] for pair in made.report["pairs"]] == ["one", "two"]
    text = json.dumps(made.report)
    assert "/" not in text.replace("headhunter-comparison/1", "").replace("image/1", ""), text


def test_the_second_scorer_never_chooses(job, made):
    """With the scorers changed round, the other one's best is named."""
    best = {
        judge: max(made.report["variants"], key=lambda variant: variant["judged"][judge]["difference"])
        for judge in (0, 1)
    }
    assert made.report["best"] == best[0]["name"] != best[1]["name"]
    lines = [line for line in TEXT.splitlines() if line.split(":")[0] in (best[0]["name"], best[1]["name"])]
    text = "\n".join(lines)
    other = compare(
        job, text, scorer=statistic("contrast"), second_scorer=statistic("brightness"), study="changed round"
    )
    assert other.report["best"] == best[1]["name"]
    assert compare(job, text, second_scorer=statistic("contrast"), study="none chooses").report["best"] is None


def test_a_combined_scorer_is_read_against_the_unguided_pictures(job, made):
    combined = HeadHunterCombineScorers.execute(statistic("brightness"), 1.0, statistic("contrast"), -2.0)[0]
    both = compare(job, "\n".join(TEXT.splitlines()[:3]), scorer=combined, study="combined").report["variants"]
    units = [part.unit for part, _ in combined.components]
    for variant, apart in zip(both, made.report["variants"][: len(both)], strict=True):
        parts = [judged["difference"] for judged in apart["judged"]]
        assert variant["judged"][0]["difference"] == pytest.approx(
            parts[0] / units[0] - 2 * parts[1] / units[1], abs=1e-5
        )


def test_without_a_scorer_there_is_a_sheet_and_the_distortion(job):
    made = compare(job, "one: L1H2", steps=1)
    assert made.table.splitlines()[0].split() == ["variant", "distortion"]
    assert made.report["best"] is None and made.report["judges"] == []
    with find_study(made.report["study"]) as study:
        score, pairs, preview, _ = heat_of(study)["rounds"][0]["heads"]["L1H2"]
        assert (score, pairs) == (None, 0) and preview in [shown["number"] for shown in study.previews()]


def test_again_makes_nothing_and_a_line_more_makes_its_own_pictures(job, made):
    scorers = {"scorer": statistic("brightness"), "second_scorer": statistic("contrast")}
    again = compare(job, **scorers)
    assert again.report["images_made_now"] == 0 and again.report["variants"] == made.report["variants"]
    assert torch.equal(again.images, made.images) and again.table == made.table
    more = compare(job, TEXT.replace("three", "a new name") + "new: L0H0", **scorers)
    assert more.report["study"] == made.report["study"] and more.report["images_made_now"] == 2
    assert more.report["variants"][4]["judged"] == made.report["variants"][4]["judged"]
    assert more.report["variants"][7]["distortion"] > 0
    with pytest.raises(StudyError, match=r"settings\.steps"):
        compare(job, steps=2, study=made.report["study"], **scorers)


def test_cancelled_it_goes_on_where_it_was(job, made, monkeypatch):
    """The user's cancel, as the server sets it, in the middle of the second prompt."""
    calls = []
    real = Generator.latents

    def cancel_later(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 10:
            comfy.model_management.interrupt_current_processing()
        return real(self, *args, **kwargs)

    scorers = {
        "scorer": statistic("brightness"),
        "second_scorer": statistic("contrast"),
        "study": "comparison cancelled",
    }
    monkeypatch.setattr(Generator, "latents", cancel_later)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        compare(job, **scorers)
    with find_study("comparison cancelled") as study:
        assert study.evaluations() == 9 and len(study.previews()) == 9
    resumed = compare(job, **scorers)
    assert len(calls) == 10 + 5 and resumed.report["images_made_now"] == 5
    assert torch.equal(resumed.images, made.images)
    assert resumed.report["variants"] == made.report["variants"]


def test_a_study_without_the_unguided_latent_is_said_to_be_damaged(job):
    compare(job, "one: L1H2", steps=1, study="no latent")
    with find_study("no latent") as study:
        study._connection.execute("DELETE FROM pictures WHERE kind = 'latent'")
    with pytest.raises(StudyError, match="the unguided latent of pair 0 is missing"):
        compare(job, "two: L1H1", steps=1, study="no latent")


def test_the_page_can_show_it(job, made):
    """What the routes tell of the study: its kind, its variants' heads with scores, and a preview for each picture."""
    name = made.report["study"]
    told = routes._study(name)
    assert told["about"]["kind"] == "comparison" and told["report"]["best"] == made.report["best"]
    variants = {variant["key"]: variant for variant in told["about"]["variants"]}
    assert variants["L1H2 scale=4 strength=0.5"] == {
        "key": "L1H2 scale=4 strength=0.5",
        "name": "one",
        "heads": "L1H2",
    }
    shown = {(preview["heads"], preview["pair"]): preview["number"] for preview in told["previews"]}
    for pair in range(2):
        assert all((key, pair) in shown for key in variants)
        assert routes._preview(name, str(shown["", pair])).kind == "image/jpeg"
    heat = routes._heat(name)
    heads = heat["rounds"][0]["heads"]
    assert {"L1H2", "L0H1, L2", "L1H0-1", "L1H0, L2H1", "L1"} <= set(heads) and "" not in heads
    score, pairs, preview, _ = heads["L1H2"]
    assert score == pytest.approx(made.report["variants"][1]["judged"][0]["difference"], rel=1e-4)
    assert pairs == 2 and preview == shown["L1H2 scale=4 strength=0.5", 0]
    assert heat["baseline"] == pytest.approx(made.report["variants"][0]["judged"][0]["mean"], rel=1e-4)
    rows = routes._scores(name).body.decode().splitlines()
    assert any(",distortion," in row for row in rows) and any(",brightness high," in row for row in rows)


def test_presets_by_name(job, made):
    grid = grid_of(job.model)
    group = Group("L1H2", scale=4.0, rescale=0.25)
    write_preset(presets_folder() / "Warm_one.json", preset_of((group, Group("L0H1", 1.0)), grid, "Warm/one"))
    report = compare(job, "a: Warm/one\nb: Warm_one scale=2 end=0.5 cfg=2", steps=1).report
    assert [variant["text"] for variant in report["variants"][1:]] == [
        "L1H2 scale=4 strength=0.5 rescale=0.25 | L0H1 scale=1 strength=0.5",
        "L1H2 scale=2 strength=0.5 end=0.5 rescale=0.25 | L0H1 scale=2 strength=0.5 end=0.5 cfg=2",
    ]
    with pytest.raises(VariantError, match=r'"sd3-medium/dark-L1H2" \(line 1, column 4\).*24 layers x 24 heads'):
        compare(job, "a: sd3-medium/dark-L1H2")
    with pytest.raises(VariantError, match=r'"Cold" \(line 2, column 4\): not a head.*no preset of that name'):
        compare(job, "a: L1\nb: Cold one")


def test_mistakes_are_named_with_their_place(job):
    assert "(line 1, column 9): there is no setting" in HeadHunterCompare.validate_inputs("a: L1H1 scael=1")
    assert HeadHunterCompare.validate_inputs("a: sd3-medium/dark-L1H2") is True
    assert HeadHunterCompare.validate_inputs(None) is True
    with pytest.raises(VariantError, match=r'"L9" \(line 2, column 4\).*its layers are 0 to 2'):
        compare(job, "a: L1\nb: L9")
    with pytest.raises(ValueError, match="cfg is 2, which needs a negative"):
        bare = SimpleNamespace(**vars(job) | {"prompts": HeadHunterPrompt.execute(tiny.conditioning(1), "x", 5)[0]})
        compare(bare, "a: cfg=2")


def test_sheets_are_pages(job, made):
    """Wider than high or higher than wide, but no strip: several prompts of an atlas stand side by side."""
    assert 0.5 < made.sheet.shape[2] / made.sheet.shape[1] < 4
    prompts = job.prompts * 2
    sheet = HeadHunterAtlas.execute(job.model, job.vae, prompts, job.latent, "L0, L1", "head", steps=1).args[1]
    assert 0.5 < sheet.shape[2] / sheet.shape[1] < 2
