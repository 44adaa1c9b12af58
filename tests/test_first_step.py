"""A hunt's first step: the conditional pass of a pair is made once for all its candidates, and changes no picture."""

from types import SimpleNamespace

import pytest
import tiny
import torch
from comfy_extras.nodes_easycache import EasyCacheNode
from guiding import close, soft_pag, with_controlnet
from headhunter_pack.headhunter.guidance import Group
from headhunter_pack.headhunter.heads import Head, HeadSet
from headhunter_pack.headhunter.host.generation.first_step import FirstSteps
from headhunter_pack.headhunter.host.generation.generate import Generator, Sampling
from headhunter_pack.headhunter.host.generation.prompts import Pair
from headhunter_pack.headhunter.host.models import transformer

STEPS = 4
SETS = [HeadSet([Head(2, 0)]), HeadSet([Head(2, 1), Head(3, 1)]), HeadSet([Head(2, 2)])]
MODELS = {"sd3": (tiny.sd3, tiny.POOLED), "flux": (tiny.flux, 768)}


@pytest.fixture(params=MODELS)
def case(request):
    """A model, a pair, the rows that go through its first block, and `generator(sampler, cfg)` on it."""
    make, pooled = MODELS[request.param]
    model, rows = make(), []
    network = transformer(model)
    block = (network.joint_blocks if hasattr(network, "joint_blocks") else network.double_blocks)[0]
    block.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append((args[0] if args else kwargs["img"]).shape[0]), with_kwargs=True
    )

    def generator(sampler="euler", cfg=1.0, model=model):
        return Generator(
            model, None, {"samples": tiny.latent()}, Sampling(Group("", 3.0, 1.0), cfg, STEPS, sampler, "simple")
        )

    pair = Pair("x", 7, tiny.conditioning(1, pooled), tiny.conditioning(2, pooled))
    return SimpleNamespace(model=model, pair=pair, rows=rows, generator=generator)


def latents(generator, *args):
    with torch.inference_mode():
        return generator.latents(*args)


def unshared(monkeypatch, generator, *args):
    with monkeypatch.context() as patch:
        patch.setattr(FirstSteps, "shared", lambda self, model, pair: model)
        return latents(generator, *args)


@pytest.mark.parametrize("cfg", [1.0, 2.0])
@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "heun", "dpmpp_2m_sde"])
def test_no_picture_changes(case, sampler, cfg, monkeypatch):
    expected = unshared(monkeypatch, case.generator(sampler, cfg), SETS, case.pair)
    generator = case.generator(sampler, cfg)
    other = Pair("y", 8, case.pair.negative, case.pair.positive)
    latents(generator, SETS, other)
    for _ in range(2):  # made, then kept
        assert close(latents(generator, SETS, case.pair), expected, 1e-4)
    assert close(
        latents(generator, [HeadSet()] * 2, case.pair)[1:],
        unshared(monkeypatch, generator, [HeadSet()], case.pair),
        1e-4,
    )


def test_it_is_made_once(case):
    """Rows through the first block, which only conditional passes reach: prefix reuse spares it the perturbed ones."""
    generator = case.generator()
    latents(generator, SETS, case.pair)
    assert case.rows == [1] + [3] * (STEPS - 1)
    case.rows.clear()
    latents(generator, SETS[:2], case.pair)
    assert case.rows == [2] * (STEPS - 1)
    case.rows.clear()
    latents(generator, [HeadSet([Head(3, 0)])], case.pair)  # starts at another layer: recorded anew
    assert case.rows == [1] * STEPS
    case.rows.clear()
    latents(generator, [HeadSet()], case.pair)  # needs no record
    assert case.rows == [1] * (STEPS - 1)


def test_with_groups_that_start_at_other_layers(case, monkeypatch):
    """Kept while it holds the records of all of them."""
    model = soft_pag(soft_pag(case.model, "L1H0"), "L3H2", end_percent=0.9)
    generator = case.generator(cfg=2.0, model=model)
    expected = unshared(monkeypatch, generator, SETS, case.pair)
    for _ in range(2):
        case.rows.clear()
        assert close(latents(generator, SETS, case.pair), expected, 1e-4)
    assert case.rows == [6] * (STEPS - 1)
    case.rows.clear()
    other = [HeadSet([Head(3, 0)])]
    assert close(latents(generator, other, case.pair), unshared(monkeypatch, generator, other, case.pair), 1e-4)
    assert case.rows == [2] * (2 * STEPS - 1)


def test_a_cache_sees_every_step(case, monkeypatch):
    """EasyCache compares each step with the one before, so none is kept from it."""
    cached = tiny.host_node(EasyCacheNode, case.model, 0.2, 0.1, 0.95, False)
    expected = unshared(monkeypatch, case.generator(model=cached), SETS, case.pair)
    generator = case.generator(model=cached)
    for _ in range(2):
        assert torch.equal(latents(generator, SETS, case.pair), expected)


def test_with_a_controlnet(monkeypatch):
    model = tiny.sd3()
    positive, _ = with_controlnet(model, tiny.conditioning(1))
    pair = Pair("x", 7, positive)
    settings = Sampling(Group("", 3.0, 1.0), 1.0, STEPS, "euler", "simple")
    generator = Generator(model, None, {"samples": tiny.latent()}, settings)
    expected = unshared(monkeypatch, generator, SETS, pair)
    for _ in range(2):
        assert close(latents(generator, SETS, pair), expected, 1e-4)
