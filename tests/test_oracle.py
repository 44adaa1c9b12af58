"""The nodes against explicit attention maps (tests/oracle.py), through ComfyUI's own sampler."""

import oracle
import pytest
import tiny
from headhunter_pack.nodes import HeadHunterSoftPAG

MODELS = {
    "sd3": (lambda: tiny.sd3(), (), tiny.POOLED),
    "sd3.5-dual": (lambda: tiny.sd3(dual=(0, 1)), (0, 1), tiny.POOLED),
    "flux": (lambda: tiny.flux(), (), 768),
}
if tiny.HAS_FLUX2:
    MODELS["flux2"] = (lambda: tiny.flux2(), (), 768)
IMAGE_ROWS = slice(tiny.TEXT_TOKENS, tiny.TEXT_TOKENS + 16)


def soft_pag(model, heads, **settings):
    return HeadHunterSoftPAG.execute(model, heads, **settings)[0]


def check(out, expected, plain):
    """Under 1e-4 relative, with an effect at least 20 times that."""
    norm = expected.norm()
    error, effect = (out - expected).norm() / norm, (plain - expected).norm() / norm
    assert error < 1e-4
    assert effect > 20 * 1e-4, "the guidance hardly does anything, so this comparison shows nothing"


@pytest.mark.parametrize("cfg", [1.0, 3.5])
@pytest.mark.parametrize("name", MODELS)
def test_soft_pag(name, cfg):
    make, dual, pooled = MODELS[name]
    model = make()
    positive, negative = tiny.conditioning(1, pooled), tiny.conditioning(2, pooled)
    heads = {(0, 1): 0.7, (1, 0): 0.7, (1, 1): 0.7, (1, 2): -0.25, (3, 2): 0.7}
    expected = oracle.sample(model, positive, negative, cfg, [oracle.Perturbed(heads, 2.0)], dual=dual)
    plain = oracle.sample(model, positive, negative, cfg, [], dual=dual)
    guided = soft_pag(model, "L0H1, L1H0-2, L1H2@-0.25, L3H2", scale=2.0, strength=0.7)
    check(tiny.sample(guided, positive, negative, cfg), expected, plain)


@pytest.mark.parametrize("tokens", ["all", "image"])
@pytest.mark.parametrize("kind", ["identity", "uniform", "mean_query", "temperature"])
@pytest.mark.parametrize("name", MODELS)
def test_perturbations(name, kind, tokens):
    make, dual, pooled = MODELS[name]
    model = make()
    positive = tiny.conditioning(1, pooled)
    rows = IMAGE_ROWS if tokens == "image" else slice(None)
    perturbed = oracle.Perturbed({(0, 1): 0.8, (2, 0): 0.8, (2, 2): 0.8}, 4.0, kind, 3.0, rows)
    expected = oracle.sample(model, positive, positive, 1.0, [perturbed], dual=dual)
    plain = oracle.sample(model, positive, positive, 1.0, [], dual=dual)
    guided = soft_pag(
        model, "L0H1, L2H0, L2H2", scale=4.0, strength=0.8, perturbation=kind, temperature=3.0, tokens=tokens
    )
    check(tiny.sample(guided, positive), expected, plain)


def test_image_tokens_differ_from_all():
    """Both rows of the comparison above would pass if `tokens` did nothing at all."""
    model, positive = tiny.flux(), tiny.conditioning(1, 768)
    one, other = (
        tiny.sample(soft_pag(model, "L0, L3", scale=4.0, strength=1.0, tokens=tokens), positive)
        for tokens in ("all", "image")
    )
    assert (one - other).norm() / one.norm() > 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_chained_groups_add_up(name):
    make, dual, pooled = MODELS[name]
    model = make()
    positive, negative = tiny.conditioning(1, pooled), tiny.conditioning(2, pooled)
    passes = [oracle.Perturbed({(0, 0): 1.0}, 3.0), oracle.Perturbed({(2, 1): 0.4, (3, 2): 0.4}, -2.0, "uniform")]
    expected = oracle.sample(model, positive, negative, 2.0, passes, dual=dual)
    plain = oracle.sample(model, positive, negative, 2.0, [], dual=dual)
    guided = soft_pag(
        soft_pag(model, "L0H0", scale=3.0, strength=1.0), "L2H1, L3H2", scale=-2.0, strength=0.4, perturbation="uniform"
    )
    check(tiny.sample(guided, positive, negative, 2.0), expected, plain)
