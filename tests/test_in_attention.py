"""The method `in attention`: heads moved inside the conditional pass, on every family that the host has."""

from __future__ import annotations

import comfy.samplers
import pytest
import tiny
import torch
from comfy_extras.nodes_custom_sampler import CFGGuider, DualCFGGuider
from comfy_extras.nodes_perpneg import PerpNegGuider
from guiding import close, counted, custom, soft_pag
from headhunter_pack.headhunter.families.sd3 import FAMILY
from headhunter_pack.headhunter.guidance import LIMIT, Group
from headhunter_pack.headhunter.heads import Head, HeadSet, format_heads
from headhunter_pack.headhunter.host.generation.generate import Generator, Sampling
from headhunter_pack.headhunter.host.generation.prompts import Pair
from headhunter_pack.headhunter.host.guidance.groups import add_group, groups_of
from headhunter_pack.nodes import HeadHunterGuider

SD3_GRID = FAMILY.grid_of_size((4,), 4)
STEERED = {"method": "in attention"}


def first_step(model, positive, negative, cfg, latent):
    """The guided prediction of one Euler step: what the sampler gets."""
    return tiny.sample(model, positive, negative, cfg, 1, latent_image=latent)


@pytest.mark.parametrize("cfg", [1.0, 3.0])
@pytest.mark.parametrize("tokens", ["all", "image"])
def test_both_methods_agree_to_first_order(family, cfg, tokens, monkeypatch):
    """As w u goes to 0 the two changes of a step point the same way and are as long."""
    tiny.allow_float64(monkeypatch)
    model = family.model(dtype=torch.float64)
    positive, negative, latent = family.conditioning(1), family.conditioning(2), family.latent()
    plain = first_step(model, positive, negative, cfg, latent)
    settings = {"heads": "L1H0, L2H1@-0.002, L3H2", "scale": 1.0, "strength": 0.002, "tokens": tokens}
    extra, steered = (
        (first_step(soft_pag(model, **settings, method=method), positive, negative, cfg, latent) - plain).flatten()
        for method in ("extra pass", "in attention")
    )
    assert torch.nn.functional.cosine_similarity(extra, steered, dim=0) > 0.999
    assert (steered.norm() / extra.norm() - 1).abs() < 0.03


def test_it_costs_no_further_pass_and_steers(family):
    calls: list[int] = []
    model, latent = family.model(), family.latent()
    positive, negative = family.conditioning(1), family.conditioning(2)
    plain = tiny.sample(counted(model, calls), positive, negative, 3.0, latent_image=latent)
    before = calls.copy()
    calls.clear()
    out = tiny.sample(soft_pag(counted(model, calls), **STEERED), positive, negative, 3.0, latent_image=latent)
    assert calls == before and not close(out, plain, 1e-3)


@pytest.mark.parametrize(
    "settings",
    [{"heads": ""}, {"scale": 0.0}, {"strength": 0.0}, {"start_percent": 0.4, "end_percent": 0.4}, {"enabled": False}],
)
def test_what_does_nothing_gives_the_same_bits(family, settings):
    model, latent, positive = family.model(), family.latent(), family.conditioning(1)
    out = tiny.sample(soft_pag(model, **STEERED, **settings), positive, latent_image=latent)
    assert torch.equal(out, tiny.sample(model, positive, latent_image=latent))


def test_each_row_of_a_batch_has_its_own_heads(family):
    sets = [{Head(0, 1): None}, {}, {Head(1, 0): 0.3, Head(3, 2): -0.5}]
    group, model = Group("", scale=3.0, strength=0.9, method="in attention"), family.model()

    def run(guided, noise):
        sigmas = comfy.samplers.calculate_sigmas(guided.get_model_object("model_sampling"), "simple", 3)
        guider = comfy.samplers.CFGGuider(guided)
        guider.set_conds(family.conditioning(1), family.conditioning(2))
        guider.set_cfg(2.0)
        with torch.inference_mode():
            euler = comfy.samplers.sampler_object("euler")
            return guider.sample(noise, torch.zeros_like(noise), euler, sigmas, disable_pbar=True)

    noise = torch.randn(family.latent(3).shape, generator=torch.Generator().manual_seed(3))
    together = run(add_group(model, group, sets), noise)
    for row, heads in enumerate(sets):
        assert close(together[row : row + 1], run(add_group(model, group, [heads]), noise[row : row + 1]))


def test_an_extra_pass_starts_from_the_steered_conditional(family):
    """With no heads in common and a small scale, the two changes add up; and prefix reuse changes no more than rounding."""
    model, latent, positive = family.model(), family.latent(), family.conditioning(1)

    def sample(m):
        return tiny.sample(m, positive, steps=1, latent_image=latent)

    small = {"scale": 0.5, "strength": 0.02}
    steered, extra = soft_pag(model, "L0H1", **small, **STEERED), soft_pag(model, "L2H0", **small)
    both = soft_pag(steered, "L2H0", **small)
    plain = sample(model)
    expected = sample(steered) + sample(extra) - plain
    assert close(sample(both) - plain, expected - plain, 0.1)
    whole = both.clone()
    whole.model_options.setdefault("transformer_options", {})["headhunter_prefix_reuse"] = False
    assert close(sample(both), sample(whole))


@pytest.mark.parametrize("cfg", [1.0, 3.0])
def test_guiders_agree(sd3, cfg):
    model = soft_pag(soft_pag(sd3.model(), **STEERED), "L0H1", scale=-1.0)
    positive, negative = sd3.conditioning(1), sd3.conditioning(2)
    stock = custom(tiny.host_node(CFGGuider, model, positive, negative, cfg))
    assert close(custom(HeadHunterGuider.execute(model, positive, cfg, negative)[0]), stock)
    assert close(tiny.sample(model, positive, negative, cfg), stock)


def test_the_positive_is_steered_under_dual_cfg_and_perp_neg(sd3):
    model, conds = sd3.model(), [sd3.conditioning(seed) for seed in (1, 2, 3)]
    for make in (
        lambda m: tiny.host_node(DualCFGGuider, m, *conds, 3.0, 2.0, "regular"),
        lambda m: tiny.host_node(PerpNegGuider, m, *conds, 3.0, 1.0),
    ):
        extra, steered, plain = (
            custom(make(m), steps=1)
            for m in (
                soft_pag(model, "L1H0", scale=1.0, strength=0.01),
                soft_pag(model, "L1H0", scale=1.0, strength=0.01, **STEERED),
                model,
            )
        )
        change, same = (steered - plain).flatten(), (extra - plain).flatten()
        assert torch.nn.functional.cosine_similarity(change, same, dim=0) > 0.9


@pytest.mark.parametrize("settings", [{"rescale": 0.5}, {"mix": "orthogonal"}])
def test_what_belongs_to_the_extra_pass_is_an_error(sd3, settings):
    with pytest.raises(ValueError, match="belongs to the method extra pass"):
        soft_pag(sd3.model(), **STEERED, **settings)


def test_cfg_0_is_an_error(sd3):
    with pytest.raises(ValueError, match="cfg 0"):
        tiny.sample(soft_pag(sd3.model(), **STEERED), sd3.conditioning(1), sd3.conditioning(2), 0.0)


def test_a_limit_tames_a_high_scale(sd3):
    model, positive = sd3.model(), sd3.conditioning(1)
    plain = tiny.sample(model, positive)

    def distortion(limit):
        out = tiny.sample(soft_pag(model, "L1, L2", scale=20.0, strength=1.0, limit=limit, **STEERED), positive)
        return ((out - plain).norm() / plain.norm()).item()

    free, wide, tight = (distortion(limit) for limit in (0.0, 3.0, 1.0))
    assert tight < wide < free


def test_the_limit_belongs_to_in_attention(sd3):
    """A group of an extra pass has none, whatever the widget holds: studies and presets of such groups stay what they are."""
    groups = groups_of(soft_pag(soft_pag(sd3.model()), **STEERED))
    assert [group.limit for group in groups] == [0.0, LIMIT]


def test_a_candidate_of_a_hunt_is_what_ksampler_gives(sd3):
    """No candidate shares another's conditional pass."""
    group = Group("", 3.0, 0.8, method="in attention")
    generator = Generator(sd3.model(), None, {"samples": sd3.latent()}, Sampling(group, 2.0, 3, "euler", "simple"))
    pair = Pair("x", 7, sd3.conditioning(1), sd3.conditioning(2))
    sets = [HeadSet([Head(1, 0)]), HeadSet(), HeadSet({Head(2, 1): -0.5})]
    with torch.inference_mode():
        together = generator.latents(sets, pair)
    for heads, latent in zip(sets, together, strict=True):
        model = soft_pag(sd3.model(), format_heads(heads, SD3_GRID), 3.0, 0.8, limit=0.0, **STEERED)
        assert close(latent[None], tiny.sample(model, pair.positive, pair.negative, 2.0), 1e-4)


def test_a_guider_without_a_positive_is_an_error(sd3):
    class Other(comfy.samplers.CFGGuider):
        def predict_noise(self, x, timestep, model_options=None, seed=None):
            conds = [self.conds["only"], None]
            return comfy.samplers.calc_cond_batch(self.inner_model, conds, x, timestep, model_options)[0]

    guider = Other(soft_pag(sd3.model(), **STEERED))
    guider.inner_set_conds({"only": sd3.conditioning(1)})
    with pytest.raises(RuntimeError, match="no conditioning called positive"):
        custom(guider)
