"""Guidance inside a mask: on every family, for both methods, exactly there; what cannot be masked is refused or said."""

from __future__ import annotations

import comfy.context_windows
import pytest
import tiny
import torch
from guiding import close, counted, soft_pag
from headhunter_pack.headhunter.guidance import Group
from headhunter_pack.headhunter.heads import HeadSet
from headhunter_pack.headhunter.host.generation.generate import Generator, Sampling
from headhunter_pack.headhunter.host.generation.prompts import Pair
from headhunter_pack.headhunter.host.guidance.groups import masked_groups
from headhunter_pack.headhunter.host.guidance.mask import Mask
from headhunter_pack.headhunter.host.hunting.identity import model_key
from headhunter_pack.nodes import HeadHunterPreset, HeadHunterSavePreset

METHODS = ("extra pass", "in attention")


def corner(family, value=1.0):
    """`value` in the upper left corner of the latent, higher than wide, 0 elsewhere: [1, h, w]."""
    height, width = family.shape[-2:]
    mask = torch.zeros(1, height, width)
    mask[:, : height // 2, : width // 4] = value
    return mask


def sample(family, model, cfg=1.0, steps=1, batch=1, **settings):
    return tiny.sample(
        model, family.conditioning(1), family.conditioning(2), cfg, steps, latent_image=family.latent(batch), **settings
    )


def beside(mask, latent):
    """A mask [N, h, w] beside a latent [B, C, ..., h, w]."""
    return mask.reshape(mask.shape[0], 1, *[1] * (latent.ndim - 4), *mask.shape[1:])


def test_an_extra_pass_adds_its_difference_times_the_mask(family):
    """A batch of two with a mask each, one with a soft part; in one step nothing is left of where a change came from."""
    model = family.model()
    masks = torch.cat([corner(family, 0.5), 1 - corner(family)])
    plain, whole, out = (sample(family, m, 3.0, batch=2) for m in (model, soft_pag(model), soft_pag(model, mask=masks)))
    factor = beside(masks, plain)
    assert close(out - plain, factor * (whole - plain), 1e-4) and not close(whole, plain, 1e-3)
    assert torch.equal(out[(factor == 0).expand_as(out)], plain[(factor == 0).expand_as(out)])


def test_in_attention_the_rows_inside_are_moved_and_no_others(family):
    """In the last layer a row of attention is seen in its own token alone: which rows of the sequence a mask names."""
    model, heads = family.model(), f"L{family.layers - 1}"
    masks = torch.cat([corner(family, 0.5), 1 - corner(family)])

    def run(scale, **settings):
        return sample(family, soft_pag(model, heads, scale, 1.0, method="in attention", limit=0.0, **settings), batch=2)

    plain, half, whole = sample(family, model, batch=2), run(1.5), run(3.0)
    out, factor = run(3.0, mask=masks), beside(masks, plain)
    expected = torch.where(factor == 1, whole, torch.where(factor == 0.5, half, plain))
    assert close(out, expected) and not close(whole, plain, 1e-3) and not close(half, whole, 1e-3)
    outside = (factor == 0).expand_as(out)
    assert torch.equal(out[outside], plain[outside])


@pytest.mark.parametrize("method", METHODS)
def test_a_mask_of_ones_is_no_mask_and_an_empty_one_is_said(family, method, said):
    model, calls, paid = family.model(), [], []
    plain = sample(family, counted(model, calls), steps=2)
    whole = sample(family, soft_pag(model, method=method), steps=2)
    assert torch.equal(sample(family, soft_pag(model, method=method, mask=torch.ones(70, 30)), steps=2), whole)
    assert not said()
    empty = soft_pag(counted(model, paid), method=method, mask=torch.zeros(1, 70, 30))
    assert torch.equal(sample(family, empty, steps=2), plain) and paid == calls
    assert len(said()) == 1 and "its mask is empty" in said()[0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["sd3", "flux_kontext", "wan"])
def test_each_picture_of_a_batch_gets_what_it_gets_alone(name, method):
    """Of any size, over all layers and several steps."""
    family = tiny.FAMILIES[name]
    model = family.model()
    masks = torch.rand(2, 33, 20, generator=torch.Generator().manual_seed(5)).round()
    noise = torch.randn(family.latent(2).shape, generator=torch.Generator().manual_seed(6))

    def run(mask, latent):
        return tiny.sample(
            soft_pag(model, method=method, mask=mask), family.conditioning(1), latent_image=latent, denoise=0.7, steps=4
        )

    # The same noise is drawn for the first picture of any batch.
    together = run(masks, noise)
    assert close(together[:1], run(masks[:1], noise[:1]))
    assert not close(together[:1], run(masks[1:], noise[:1]), 1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_groups_with_masks_of_their_own(sd3, method):
    """Two groups whose masks are each other's opposite, the same heads: as one group without a mask; and no mask leaks."""
    model = sd3.model()
    left = corner(sd3)
    both = soft_pag(soft_pag(model, "L3", method=method, mask=left), "L3", method=method, mask=1 - left)
    assert close(sample(sd3, both), sample(sd3, soft_pag(model, "L3", method=method)))
    alone = soft_pag(soft_pag(model, "L3", method=method, mask=left), "L3", scale=0.0)
    assert torch.equal(sample(sd3, alone), sample(sd3, soft_pag(model, "L3", method=method, mask=left)))


@pytest.mark.parametrize("settings", [{"mix": "orthogonal"}, {"mix": "apg"}, {"mix": "frequency"}, {"rescale": 0.8}])
def test_mixes_and_rescale_stay_inside(sd3, settings):
    model, mask = sd3.model(), corner(sd3)
    plain, whole, out = (
        sample(sd3, m, 2.0) for m in (model, soft_pag(model, **settings), soft_pag(model, **settings, mask=mask))
    )
    assert close(out, torch.where(beside(mask, plain) > 0, whole, plain))
    assert torch.equal(out[..., 4:, :], plain[..., 4:, :]) and torch.equal(out[..., 4:], plain[..., 4:])


@pytest.mark.parametrize("method", METHODS)
def test_what_is_lost_at_the_latents_size_is_said(sd3, method, said):
    mask = torch.zeros(64, 64)
    mask[0, 0] = 1
    out = sample(sd3, soft_pag(sd3.model(), method=method, mask=mask))
    assert torch.equal(out, sample(sd3, sd3.model()))
    assert len(said()) == 1 and "nothing is left of a group's mask at the latent's size, 8 x 8" in said()[0]


@pytest.mark.parametrize("method", METHODS)
def test_another_number_of_pictures_is_an_error(sd3, method):
    model = soft_pag(sd3.model(), method=method, mask=torch.rand(2, 8, 8))
    for batch in (1, 3):
        with pytest.raises(ValueError, match=f"2 pictures, and the batch {batch}"):
            sample(sd3, model, batch=batch)
    with pytest.raises(ValueError, match="2 pictures, and the batch 1"):
        Generator(model, None, {"samples": sd3.latent(2)}, Sampling(Group(""), 1.0, 2, "euler", "simple"))


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (torch.zeros(3), r"shape \[3\]"),
        (torch.zeros(1, 3, 8, 8), r"shape \[1, 3, 8, 8\]"),
        (torch.zeros(0, 8, 8), "shape"),
        (torch.full((8, 8), torch.nan), "not finite"),
    ],
)
def test_what_is_no_mask_is_an_error(sd3, mask, says):
    with pytest.raises(ValueError, match=says):
        soft_pag(sd3.model(), mask=mask)


def test_areas_are_right_in_an_extra_pass_and_refused_in_attention(sd3):
    (text, rest), *_ = sd3.conditioning(1)
    positive = [[text, rest | {"area": (4, 8, 0, 0), "strength": 1.0}], *sd3.conditioning(4)]
    model, mask = sd3.model(), corner(sd3)
    plain, whole, out = (
        tiny.sample(m, positive, steps=1) for m in (model, soft_pag(model), soft_pag(model, mask=mask))
    )
    assert close(out, torch.where(beside(mask, plain) > 0, whole, plain))
    with pytest.raises(ValueError, match="use the method extra pass"):
        tiny.sample(soft_pag(model, method="in attention", mask=mask), positive)


def windows(length, dim):
    schedule = comfy.context_windows.get_matching_context_schedule(
        comfy.context_windows.ContextSchedules.STATIC_STANDARD
    )
    fuse = comfy.context_windows.get_matching_fuse_method(comfy.context_windows.ContextFuseMethods.PYRAMID)
    return comfy.context_windows.IndexListContextHandler(
        context_schedule=schedule, fuse_method=fuse, context_length=length, context_overlap=0, dim=dim
    )


@pytest.mark.parametrize("method", METHODS)
def test_in_context_windows(method):
    """Over frames a mask holds in each window; over height the windows of in attention are parts of a picture."""
    family = tiny.FAMILIES["wan"]
    mask = corner(family)
    model = family.model().clone()
    model.model_options["context_handler"] = windows(1, 2)
    plain, whole, out = (
        sample(family, m)
        for m in (model, soft_pag(model, "L3", method=method), soft_pag(model, "L3", method=method, mask=mask))
    )
    assert close(out, torch.where(beside(mask, plain) > 0, whole, plain)) and not close(whole, plain, 1e-3)
    model.model_options["context_handler"] = windows(4, 3)
    guided = soft_pag(model, "L3", method=method, mask=mask)
    if method == "in attention":
        with pytest.raises(ValueError, match="context windows"):
            sample(family, guided)
    else:
        assert not close(sample(family, guided), sample(family, model), 1e-3)


def test_at_tokens_a_mask_is_the_mean_over_their_latent_pixels():
    masks = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(0))
    rows = Mask.of(masks).rows(torch.zeros(2, 16, 3, 5, 7), (1, 2, 2))
    expected = [
        [mask[y : y + 2, x : x + 2].mean() for _ in range(3) for y in range(0, 5, 2) for x in range(0, 7, 2)]
        for mask in masks
    ]
    assert torch.allclose(rows, torch.tensor(expected))
    assert Mask.of(masks).rows(torch.zeros(2, 4, 5, 7), (1, 1)).equal(masks.flatten(1))


def test_a_limit_below_1_shrinks_nothing_outside(sd3):
    model, mask = sd3.model(), corner(sd3)
    guided = soft_pag(model, "L3", 3.0, 1.0, method="in attention", limit=0.5, mask=mask)
    out, plain = sample(sd3, guided), sample(sd3, model)
    assert torch.equal(out[..., 4:, :], plain[..., 4:, :]) and not close(out, plain, 1e-3)


def test_presets_hold_no_mask_and_say_so(sd3, said):
    model = soft_pag(soft_pag(sd3.model(), "L1H0"), "L2H0", mask=corner(sd3))
    assert masked_groups(model) == "group 2" and not masked_groups(soft_pag(sd3.model()))
    saved = HeadHunterSavePreset.execute(model, "masked")
    assert "mask of group 2" in saved.ui["text"][1] and "without the mask of group 2" in said()[0]
    assert len(HeadHunterSavePreset.execute(soft_pag(sd3.model()), "plain").ui["text"]) == 1
    applied = HeadHunterPreset.execute(sd3.model(), "none", saved.args[0])[0]
    assert not masked_groups(applied)


def test_a_study_knows_the_mask(sd3):
    model = sd3.model()
    keys = [model_key(soft_pag(model, mask=mask)) for mask in (None, corner(sd3), corner(sd3), corner(sd3, 0.5))]
    assert keys[1] == keys[2] and len(set(keys)) == 3


def test_candidates_of_a_hunt_share_the_models_mask(sd3):
    """A group with a mask on the model that a hunt is given holds for every candidate of a batch."""
    model = soft_pag(sd3.model(), "L2H0", mask=corner(sd3))
    generator = Generator(
        model, None, {"samples": sd3.latent()}, Sampling(Group("", 2.0, 0.5), 1.0, 2, "euler", "simple")
    )
    pair = Pair("x", 7, sd3.conditioning(1), sd3.conditioning(1))
    with torch.inference_mode():
        together = generator.latents([HeadSet(), HeadSet()], pair)
    assert all(close(row[None], tiny.sample(model, sd3.conditioning(1), steps=2), 1e-4) for row in together)
