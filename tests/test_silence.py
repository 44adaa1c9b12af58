"""A guidance that does nothing says so, once, with the true cause (each of these gave the unguided picture without a word)."""

from __future__ import annotations

import comfy.samplers
import pytest
import tiny
import torch
from comfy_extras.nodes_custom_sampler import SplitSigmas
from comfy_extras.nodes_model_merging import ModelMergeSimple
from guiding import close, soft_pag

from nodes import ConditioningSetTimestepRange, KSamplerAdvanced


def unguided(model, sample, said, *words):
    """Sampling the guided model gives the plain picture, and one warning with these words."""
    out = sample(model)
    warnings = said()
    assert len(warnings) == 1 and all(word in warnings[0] for word in words), warnings
    return out


# Windows.


def test_no_step_of_an_image_to_image_lies_in_the_window(sd3, said):
    model, positive = sd3.model(), sd3.conditioning(1)
    latent = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(1))

    def sample(m):
        return tiny.sample(m, positive, steps=4, latent_image=latent, denoise=0.3)

    guided = soft_pag(model, start_percent=0.0, end_percent=0.3)
    assert torch.equal(unguided(guided, sample, said, "0 to 0.3", "no step"), sample(model))


def test_no_step_of_an_advanced_sampler_lies_in_the_window(sd3, said):
    positive = sd3.conditioning(1)

    def sample(m):
        settings = (
            "enable",
            7,
            6,
            1.0,
            "euler",
            "simple",
            positive,
            positive,
            {"samples": sd3.latent()},
            3,
            6,
            "disable",
        )
        return KSamplerAdvanced().sample(m, *settings)[0]["samples"]

    unguided(soft_pag(sd3.model(), end_percent=0.2), sample, said, "0 to 0.2", "3 steps")


def test_no_step_of_split_sigmas_lies_in_the_window(sd3, said):
    model, positive = sd3.model(), sd3.conditioning(1)
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", 6)
    split = SplitSigmas.execute(sigmas, 3) if hasattr(SplitSigmas, "execute") else SplitSigmas().get_sigmas(sigmas, 3)
    high = tuple(getattr(split, "result", split))[0]

    def sample(m):
        guider = comfy.samplers.CFGGuider(m)
        guider.set_conds(positive, positive)
        with torch.inference_mode():
            noise = torch.randn(1, 16, 8, 8)
            return guider.sample(noise, sd3.latent(), comfy.samplers.sampler_object("euler"), high, disable_pbar=True)

    unguided(soft_pag(model, start_percent=0.8), sample, said, "0.8 to 1", "no step")


def test_a_window_shorter_than_a_step(sd3, said):
    sample = lambda m: tiny.sample(m, sd3.conditioning(1), steps=4)  # noqa: E731
    unguided(soft_pag(sd3.model(), start_percent=0.3, end_percent=0.4), sample, said, "0.3 to 0.4", "0.00 to 0.75")


@pytest.mark.parametrize("name", ["sd3", "flux", "wan"])
@pytest.mark.parametrize("scheduler", ["simple", "normal", "sgm_uniform"])
def test_of_two_adjoining_windows_exactly_one_acts_at_every_step(name, scheduler):
    """20 steps and every edge k/20, where the rounding of sigma used to drop steps, or let both windows act."""
    from headhunter_pack.headhunter.guidance import Group
    from headhunter_pack.headhunter.host.guidance.run import _inside

    sampling = tiny.FAMILIES[name].model().get_model_object("model_sampling")
    sigmas = [float(sigma) for sigma in comfy.samplers.calculate_sigmas(sampling, scheduler, 20)[:-1]]
    for k in range(1, 20):
        windows = [Group("L0", window=window) for window in ((0.0, k / 20), (k / 20, 1.0))]
        acting = [[_inside(group, sigma, sampling.percent_to_sigma) for group in windows] for sigma in sigmas]
        assert all(sum(each) == 1 for each in acting), k
        if scheduler == "simple":
            assert sum(first for first, _ in acting) == k


# Other nodes.


def test_a_conditioning_limited_to_other_steps(sd3, said):
    positive = ConditioningSetTimestepRange().set_range(sd3.conditioning(1), 0.0, 0.3)[0]
    sample = lambda m: tiny.sample(m, positive, steps=6)  # noqa: E731
    unguided(soft_pag(sd3.model(), start_percent=0.5), sample, said, "limited to other steps")


def test_a_merge_that_takes_the_guided_model_second(sd3, said):
    model, other = sd3.model(), sd3.model(seed=1)
    guided = soft_pag(model).clone()  # as a LoRA node leaves it
    merged = tiny.host_node(ModelMergeSimple, other, guided, 0.5)
    warnings = said()
    assert len(warnings) == 1 and "merge" in warnings[0]
    tiny.sample(merged, sd3.conditioning(1))
    assert len(said()) == 1


def test_a_merge_that_takes_the_guided_model_first_stays_guided(sd3, said):
    model, other = sd3.model(), sd3.model(seed=1)
    plain = tiny.host_node(ModelMergeSimple, model, other, 0.5)
    merged = tiny.host_node(ModelMergeSimple, soft_pag(model), other, 0.5)
    assert not close(tiny.sample(merged, sd3.conditioning(1)), tiny.sample(plain, sd3.conditioning(1)), 1e-3)
    assert not said()


def test_a_later_node_that_overwrites_the_post_cfg_functions(sd3, said):
    guided = soft_pag(sd3.model()).clone()
    guided.model_options["sampler_post_cfg_function"] = [lambda args: args["denoised"]]
    unguided(guided, lambda m: tiny.sample(m, sd3.conditioning(1)), said, "replaced the model's post-CFG functions")


def test_a_later_function_that_returns_plain_cfg(sd3, said):
    guided = soft_pag(sd3.model())

    def plain(args):
        return args["uncond_denoised"] + args["cond_scale"] * (args["cond_denoised"] - args["uncond_denoised"])

    guided.set_model_sampler_post_cfg_function(plain)
    sample = lambda m: tiny.sample(m, sd3.conditioning(1), sd3.conditioning(2), 3.0)  # noqa: E731
    unguided(guided, sample, said, "discarded", "later node")


def test_a_later_function_that_changes_the_guided_prediction_is_no_cause_to_warn(sd3, said):
    guided = soft_pag(sd3.model())
    guided.set_model_sampler_post_cfg_function(lambda args: args["denoised"] * 0.9 + args["cond_denoised"] * 0.1)
    tiny.sample(guided, sd3.conditioning(1), sd3.conditioning(2), 3.0)
    assert not said()


# Settings.


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"heads": ""}, "paint heads or choose a preset"),
        ({"heads": "# none"}, "paint heads"),
        ({"strength": 0.0}, "strength of every head is 0"),
        ({"heads": "L1@0, L2H1@0"}, "strength of every head is 0"),
        ({"scale": 0.0}, "scale is 0"),
        ({"start_percent": 0.5, "end_percent": 0.5}, "empty"),
    ],
)
def test_settings_that_do_nothing(sd3, said, settings, word):
    model = sd3.model()
    guided = soft_pag(model, **settings)
    assert len(said()) == 1 and word in said()[0]
    assert torch.equal(tiny.sample(guided, sd3.conditioning(1)), tiny.sample(model, sd3.conditioning(1)))
    assert len(said()) <= 2


def test_groups_that_cancel_each_other(sd3, said):
    guided = soft_pag(soft_pag(sd3.model(), "L0H1", scale=2.0), "L0H1", scale=-2.0)
    unguided(guided, lambda m: tiny.sample(m, sd3.conditioning(1)), said, "cancel each other")


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"strength": 1e-9}, "strength, 1e-09, is too small"), ({"scale": 1e-9}, "the scale is too small")],
)
def test_numbers_too_small_for_the_number_format(sd3, said, settings, word):
    model = sd3.model()
    out = unguided(soft_pag(model, "L0H1", **settings), lambda m: tiny.sample(m, sd3.conditioning(1)), said, word)
    assert close(out, tiny.sample(model, sd3.conditioning(1)), 1e-6)


def test_a_guidance_that_works_says_nothing(sd3, said):
    tiny.sample(soft_pag(sd3.model(), end_percent=0.6), sd3.conditioning(1), sd3.conditioning(2), 2.0, steps=5)
    assert not said()
