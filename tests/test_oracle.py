"""The nodes against explicit attention maps (tests/oracle.py), through ComfyUI's own sampler, on every family of the host.

The models run in float64, so that what is compared is the method and not its rounding. One test is in float32, where
2026 hosts run other kernels than in float64.
"""

from dataclasses import replace
from functools import cache

import oracle
import pytest
import tiny
import torch
from headhunter_pack.nodes import HeadHunterSoftPAG

TOLERANCE = 1e-5
KINDS = ("identity", "uniform", "mean_query", "temperature", "self_and_text", "shuffle", "zero")

model_of = cache(lambda name, dtype: tiny.FAMILIES[name].model(dtype=dtype))


@cache
def plain_of(name, cfg, batch=1, dtype=torch.float64):
    """What the oracle gives with no guidance."""
    family = tiny.FAMILIES[name]
    return oracle.sample(
        family, model_of(name, dtype), family.conditioning(1), family.conditioning(2), cfg, [], batch=batch
    )


@pytest.fixture(params=tiny.FAMILIES)
def name(request, monkeypatch):
    tiny.allow_float64(monkeypatch)
    tiny.honour_boolean_masks(monkeypatch)
    return request.param


def soft_pag(model, heads, **settings):
    return HeadHunterSoftPAG.execute(model, heads, **settings)[0]


def relative(out, reference):
    return (out - reference).norm() / reference.norm()


def check(out, expected, plain, tolerance=TOLERANCE):
    """Under the tolerance, relative in norm, with an effect at least 20 times that."""
    assert relative(out, expected) < tolerance
    effect = relative(plain, expected)
    assert effect > 20 * tolerance, "the guidance hardly does anything, so this comparison shows nothing"


def test_the_oracle_alone(name):
    """Unperturbed, it is the model; perturbed in one head, it is not, also where another head or layer is."""
    family, model = tiny.FAMILIES[name], model_of(name, torch.float64)
    positive, negative = family.conditioning(1), family.conditioning(2)
    plain = plain_of(name, 3.5)
    assert plain.shape == family.latent().shape
    assert relative(plain, tiny.sample(model, positive, negative, 3.5, latent_image=family.latent())) < TOLERANCE
    heads = [(0, 0), (0, family.heads - 1), (family.layers - 1, 0)]
    outs = [plain] + [
        oracle.sample(family, model, positive, negative, 3.5, [oracle.Perturbed({head: 1.0}, 3.0)]) for head in heads
    ]
    for i, out in enumerate(outs):
        assert all(relative(out, other) > 20 * TOLERANCE for other in outs[:i])


@pytest.mark.parametrize("cfg", [1.0, 3.5])
def test_soft_pag(name, cfg):
    family, model = tiny.FAMILIES[name], model_of(name, torch.float64)
    positive, negative = family.conditioning(1), family.conditioning(2)
    heads = {(0, 1): 0.7, (1, 0): 0.7, (1, 1): 0.7, (1, 2): -0.25, (3, 2): 0.7}
    expected = oracle.sample(family, model, positive, negative, cfg, [oracle.Perturbed(heads, 2.0)])
    plain = plain_of(name, cfg)
    guided = soft_pag(model, "L0H1, L1H0-2, L1H2@-0.25, L3H2", scale=2.0, strength=0.7)
    check(tiny.sample(guided, positive, negative, cfg, latent_image=family.latent()), expected, plain)


@pytest.mark.parametrize("tokens", ["all", "image"])
@pytest.mark.parametrize("kind", KINDS)
def test_perturbations(name, kind, tokens):
    family, model = tiny.FAMILIES[name], model_of(name, torch.float64)
    positive = family.conditioning(1)
    picture_alone = tokens == "image" or kind == "self_and_text"
    rows = family.image_rows if picture_alone else family.perturbed_rows
    perturbed = oracle.Perturbed({(0, 1): 0.8, (2, 0): 0.8, (2, 2): -0.4}, 4.0, kind, 3.0, rows)
    expected = oracle.sample(family, model, positive, positive, 1.0, [perturbed])
    plain = plain_of(name, 1.0)
    guided = soft_pag(
        model, "L0H1, L2H0, L2H2@-0.4", scale=4.0, strength=0.8, perturbation=kind, temperature=3.0, tokens=tokens
    )
    check(tiny.sample(guided, positive, latent_image=family.latent()), expected, plain)


def test_image_tokens_differ_from_all(name):
    """Both rows of the comparison above would pass if `tokens` did nothing at all."""
    family, model = tiny.FAMILIES[name], model_of(name, torch.float64)
    over_all, over_image = (
        tiny.sample(
            soft_pag(model, "L0, L3", scale=4.0, strength=1.0, tokens=tokens),
            family.conditioning(1),
            latent_image=family.latent(),
        )
        for tokens in ("all", "image")
    )
    if family.length == family.image or family.picture_alone:
        assert torch.equal(over_all, over_image)
    else:
        assert relative(over_all, over_image) > 1e-3


def test_self_and_text_without_text_is_identity(name):
    family, model = tiny.FAMILIES[name], model_of(name, torch.float64)
    identity, self_and_text = (
        tiny.sample(
            soft_pag(model, "L0, L3", scale=4.0, strength=1.0, tokens="image", perturbation=kind),
            family.conditioning(1),
            latent_image=family.latent(),
        )
        for kind in ("identity", "self_and_text")
    )
    assert (relative(identity, self_and_text) < TOLERANCE) == (family.length == family.image)


def test_chained_groups_add_up(name):
    family, model = tiny.FAMILIES[name], model_of(name, torch.float64)
    positive, negative = family.conditioning(1), family.conditioning(2)
    passes = [oracle.Perturbed({(0, 0): 1.0}, 3.0), oracle.Perturbed({(2, 1): 0.4, (3, 2): 0.4}, -2.0, "uniform")]
    expected = oracle.sample(family, model, positive, negative, 2.0, passes, batch=2)
    plain = plain_of(name, 2.0, batch=2)
    guided = soft_pag(
        soft_pag(model, "L0H0", scale=3.0, strength=1.0), "L2H1, L3H2", scale=-2.0, strength=0.4, perturbation="uniform"
    )
    check(tiny.sample(guided, positive, negative, 2.0, latent_image=family.latent(2)), expected, plain)


@pytest.mark.parametrize("mix", ["orthogonal", "apg", "frequency"])
def test_mixes(name, mix):
    """The scale is high enough for apg's cap to act at some steps; its momentum goes over four."""
    family, model = tiny.FAMILIES[name], model_of(name, torch.float64)
    positive, negative = family.conditioning(1), family.conditioning(2)
    perturbed = oracle.Perturbed({(0, 1): 1.0, (1, 0): 1.0, (2, 2): 1.0}, 4.0, mix=mix)
    settings = {"cfg": 2.0, "batch": 2, "steps": 4}
    expected = oracle.sample(family, model, positive, negative, passes=[perturbed], **settings)
    added = oracle.sample(family, model, positive, negative, passes=[replace(perturbed, mix="add")], **settings)
    guided = soft_pag(model, "L0H1, L1H0, L2H2", scale=4.0, strength=1.0, mix=mix)
    out = tiny.sample(guided, positive, negative, 2.0, steps=4, latent_image=family.latent(2))
    check(out, expected, added)


@pytest.mark.parametrize("heun", [False, True])
@pytest.mark.parametrize("name", ["sd3", "flux", "wan"])
def test_momentum_under_a_sampler_that_evaluates_a_level_twice(name, heun, monkeypatch):
    """One term a noise level, and nothing left for the next sampling."""
    tiny.allow_float64(monkeypatch)
    family, model = tiny.FAMILIES[name], model_of(name, torch.float64)
    positive = family.conditioning(1)
    perturbed = oracle.Perturbed({(0, 1): 1.0, (2, 2): 1.0}, 6.0, mix="apg")
    expected = oracle.sample(family, model, positive, positive, 1.0, [perturbed], steps=5, heun=heun)
    plain = oracle.sample(family, model, positive, positive, 1.0, [replace(perturbed, mix="add")], steps=5, heun=heun)
    guided = soft_pag(model, "L0H1, L2H2", scale=6.0, strength=1.0, mix="apg")
    sampler = "heun" if heun else "euler"
    outs = [
        tiny.sample(guided, positive, steps=5, sampler=sampler, latent_image=family.latent(batch))
        for batch in (1, 2, 1)
    ]
    check(outs[0], expected, plain)
    assert torch.equal(outs[0], outs[2]) and relative(outs[1][:1], outs[0]) < TOLERANCE


@pytest.mark.parametrize("window", [(0.0, 1.0), (0.2, 0.7)])
@pytest.mark.parametrize("end_scale", [0.0, 2.5])
@pytest.mark.parametrize("name", ["sd3", "flux", "qwen_image", "wan"])
def test_end_scale(name, end_scale, window, monkeypatch):
    tiny.allow_float64(monkeypatch)
    family, model = tiny.FAMILIES[name], model_of(name, torch.float64)
    positive = family.conditioning(1)
    perturbed = oracle.Perturbed({(0, 1): 1.0}, 3.0, end_scale=end_scale, window=window)
    expected, level = (
        oracle.sample(family, model, positive, positive, 1.0, [group], steps=6)
        for group in (perturbed, replace(perturbed, end_scale=1.0))
    )
    settings = {"scale": 3.0, "strength": 1.0, "start_percent": window[0], "end_percent": window[1]}
    guided = soft_pag(model, "L0H1", end_scale=end_scale, **settings)
    check(tiny.sample(guided, positive, steps=6, latent_image=family.latent()), expected, level)
    before, same = (
        tiny.sample(soft_pag(model, "L0H1", **settings, **more), positive, latent_image=family.latent())
        for more in ({}, {"end_scale": 1.0})
    )
    assert torch.equal(before, same)


@pytest.mark.parametrize("name", tiny.FAMILIES)
def test_in_float32(name, monkeypatch):
    tiny.honour_boolean_masks(monkeypatch)
    family, model = tiny.FAMILIES[name], model_of(name, torch.float32)
    positive, negative = family.conditioning(1), family.conditioning(2)
    perturbed = oracle.Perturbed({(1, 1): 0.6, (3, 0): -0.3}, 3.0, rows=family.image_rows)
    expected = oracle.sample(family, model, positive, negative, 2.0, [perturbed])
    plain = plain_of(name, 2.0, dtype=torch.float32)
    guided = soft_pag(model, "L1H1, L3H0@-0.3", scale=3.0, strength=0.6, tokens="image")
    check(tiny.sample(guided, positive, negative, 2.0, latent_image=family.latent()), expected, plain, 1e-4)
