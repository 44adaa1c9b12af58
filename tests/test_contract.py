"""What every family must hold, run over all that this host has (tests/tiny/families.py); the arithmetic is test_oracle's."""

from __future__ import annotations

import json

import comfy.patcher_extension
import comfy.samplers
import pytest
import test_attribution
import tiny
import torch
from comfy_extras.nodes_custom_sampler import CFGGuider
from guiding import close, counted, custom, reaching, soft_pag
from headhunter_pack.headhunter.families import grid_of_shapes
from headhunter_pack.headhunter.guidance import Group
from headhunter_pack.headhunter.heads import Head
from headhunter_pack.headhunter.host.guidance.blocks import Architecture
from headhunter_pack.headhunter.host.guidance.groups import add_group
from headhunter_pack.headhunter.host.guidance.prefix import REUSE
from headhunter_pack.headhunter.host.models import grid_of, transformer
from headhunter_pack.nodes import HeadHunterAtlas, HeadHunterGuider, HeadHunterSearch
from test_attribution import WARMTH, Case, Pair

STEPS = 3


class Subject:
    """A family's tiny model with its conditioning and latents."""

    def __init__(self, name: str):
        self.family = tiny.FAMILIES[name]
        self.model = self.family.model()
        self.positive, self.negative = self.family.conditioning(1), self.family.conditioning(2)

    def sample(self, model, cfg=1.0, steps=STEPS, batch=1, **kwargs):
        return tiny.sample(
            model, self.positive, self.negative, cfg, steps, latent_image=self.family.latent(batch), **kwargs
        )

    def blocks(self):
        network = transformer(self.model)
        return [block for run in self.family.blocks for block in getattr(network, run)]

    def work(self):
        """What runs in each block only where the block is not skipped."""
        if not Architecture.of(self.model).wraps:
            return self.blocks()
        return [getattr(block, "attention", None) or block.attn for block in self.blocks()]


@pytest.fixture(params=tiny.FAMILIES)
def subject(request, monkeypatch):
    tiny.honour_boolean_masks(monkeypatch)
    return Subject(request.param)


@pytest.fixture(params=[name for name in tiny.FAMILIES if name in ("lumina2", "z_image", "krea2")])
def unhooked(request):
    """A family whose blocks are wrapped, since the host asks for no replacements of them."""
    made = Subject(request.param)
    assert Architecture.of(made.model).wraps
    return made


def test_the_grid_of_the_model_and_of_its_file_are_the_same(subject):
    grid = grid_of(subject.model)
    assert (grid.layers, grid.heads) == (subject.family.layers, subject.family.heads)
    shapes = {
        f"model.diffusion_model.{name}": tuple(t.shape) for name, t in transformer(subject.model).state_dict().items()
    }
    assert grid_of_shapes(shapes) == grid


@pytest.mark.parametrize("cfg", [1.0, 4.0])
@pytest.mark.parametrize(
    "settings",
    [{"heads": ""}, {"scale": 0.0}, {"strength": 0.0}, {"heads": "L1@0"}, {"start_percent": 0.4, "end_percent": 0.4}],
    ids=["no heads", "scale 0", "strength 0", "own strength 0", "an empty window"],
)
def test_what_does_nothing_is_free_and_gives_the_same_bits(subject, settings, cfg):
    plain, guided = [], []
    expected = subject.sample(counted(subject.model, plain), cfg)
    assert torch.equal(subject.sample(soft_pag(counted(subject.model, guided), **settings), cfg), expected)
    assert guided == plain


def test_the_model_is_not_changed_and_branches_do_not_see_each_other(subject):
    before, options = subject.sample(subject.model), repr(subject.model.model_options)
    modules = {name: dict(vars(module)) for name, module in transformer(subject.model).named_modules()}
    guided = soft_pag(subject.model)
    first = subject.sample(guided)
    second = subject.sample(soft_pag(guided, "L0", scale=-2.0))
    assert not close(first, before) and not close(second, first)
    assert torch.equal(subject.sample(subject.model), before) and torch.equal(subject.sample(guided), first)
    assert repr(subject.model.model_options) == options
    after = transformer(subject.model).named_modules()
    assert all(set(vars(module)) == set(modules[name]) for name, module in after), "something stayed on a module"


def test_each_row_of_a_batch_has_its_own_heads_and_noise(subject):
    sets = [{Head(0, 1): None}, {}, {Head(1, 0): 0.3, Head(3, 2): -0.5}]
    group = Group("", scale=3.0, strength=0.9)

    def run(model, noise):
        sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", STEPS)
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(subject.positive, subject.negative)
        guider.set_cfg(2.0)
        with torch.inference_mode():
            return guider.sample(
                noise, torch.zeros_like(noise), comfy.samplers.sampler_object("euler"), sigmas, disable_pbar=True
            )

    noise = torch.randn(subject.family.latent(3).shape, generator=torch.Generator().manual_seed(3))
    together = run(add_group(subject.model, group, sets), noise)
    for row, heads in enumerate(sets):
        alone = run(add_group(subject.model, group, [heads]), noise[row : row + 1])
        assert close(together[row : row + 1], alone)


@pytest.mark.parametrize("cfg", [1.0, 3.0])
def test_ksampler_custom_sampler_and_our_guider_agree(subject, cfg):
    model = soft_pag(soft_pag(subject.model), "L0H1", scale=-1.0, perturbation="uniform")
    latent = {"samples": subject.family.latent()}
    stock = custom(tiny.host_node(CFGGuider, model, subject.positive, subject.negative, cfg), latent=latent)
    ours = custom(HeadHunterGuider.execute(model, subject.positive, cfg, subject.negative)[0], latent=latent)
    assert close(stock, subject.sample(model, cfg)) and close(ours, stock)


def test_windows_are_guided_inside_alone(subject):
    calls: list[int] = []
    model = soft_pag(counted(subject.model, calls), start_percent=0.4, end_percent=0.8)
    sampling = subject.model.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "simple", 8)[:-1]
    inside = sum(bool(sampling.percent_to_sigma(0.8) < s <= sampling.percent_to_sigma(0.4)) for s in sigmas)
    subject.sample(model, steps=8)
    assert 0 < inside < 8 and len(calls) == 8 + inside


def reuse(subject, model, cfg):
    """Rows through each block with prefix reuse, without, and without guidance; the bits are the same.

    Each prediction in a forward of its own: a product of two rows differs from two of one, with or without us.
    """
    subject.model.model.memory_required = lambda *args, **kwargs: 1e30
    whole = model.clone()
    whole.model_options.setdefault("transformer_options", {})[REUSE] = False
    results, counts = [], []
    for each in (model, whole):
        with reaching(subject.work()) as rows:
            results.append(subject.sample(each, cfg))
        counts.append(list(rows))
    assert torch.equal(*results)
    assert not close(results[0], subject.sample(subject.model, cfg), 1e-3)
    return *counts, STEPS * (1 if cfg == 1 else 2)


@pytest.mark.parametrize("cfg", [1.0, 3.0])
@pytest.mark.parametrize("tokens", ["all", "image"])
@pytest.mark.parametrize("first", [1, 3])
def test_prefix_reuse_gives_the_same_bits(subject, first, tokens, cfg):
    rows, whole, plain = reuse(subject, soft_pag(subject.model, f"L{first}H1, L3H0", tokens=tokens), cfg)
    if Architecture.of(subject.model).family.indexed:  # no block is replaced, so none is skipped
        assert rows == whole
        return
    assert whole == [plain + STEPS] * subject.family.layers
    assert rows == [plain] * first + [plain + STEPS] * (subject.family.layers - first)


def test_each_group_starts_at_its_own_first_layer(subject):
    model = soft_pag(soft_pag(subject.model, "L3H0"), "L1H1, L2H0", scale=-1.0, tokens="image")
    rows, whole, plain = reuse(subject, model, 3.0)
    if Architecture.of(subject.model).family.indexed:
        assert rows == whole
    else:
        assert whole == [plain + 2 * STEPS] * subject.family.layers
        later = [plain + 2 * STEPS] * (subject.family.layers - 3)
        assert rows == [plain, plain + STEPS, plain + STEPS, *later]


def test_the_text_stays_untouched_where_image_tokens_alone_are_perturbed(subject):
    """And `all` perturbs more than that, where the text is in the sequence and sees the picture at all."""
    every, image = (subject.sample(soft_pag(subject.model, "L0, L3", tokens=tokens)) for tokens in ("all", "image"))
    alone = subject.family.length == subject.family.image or Architecture.of(subject.model).family.indexed
    assert close(every, image, 1e-6) == alone


@pytest.mark.parametrize("chosen", [[], [Head(1, 1)]], ids=["first round", "second round"])
def test_gradients_equal_differences(subject, chosen, tmp_path, monkeypatch):
    pair = Pair("x", 7, subject.positive, subject.negative)
    latent = {"samples": subject.family.latent()}
    shape = subject.family.shape
    vae = tiny.picture_vae(shape[0]) if len(shape) == 3 else tiny.video_vae()
    if shape[0] == 16 and len(shape) == 3:
        # At a step of 0.003 a difference is 4 % off on Z-Image, at 0.0003 it is 1 %. Where pictures hardly differ (random
        # weights, few of many channels), a smaller step than 0.003 would measure rounding.
        monkeypatch.setattr(test_attribution, "STEP", 0.001)
    case = Case(vae, tmp_path, subject.model, pair=pair, latent=latent)
    case.check([Head(0, 1), Head(1, 2), Head(2, 0), Head(3, 1)], chosen)


def test_a_hunt_and_an_atlas(subject, tmp_path, monkeypatch):
    """On the VAE's pictures; of a video, the middle frame, which the report names."""
    monkeypatch.setattr("folder_paths.get_output_directory", lambda: str(tmp_path))
    shape = subject.family.shape
    vae = tiny.picture_vae(shape[0]) if len(shape) == 3 else tiny.video_vae()
    pairs = [Pair(f"pair {seed}", seed, subject.positive, subject.negative) for seed in (1, 2)]
    shared = (subject.model, vae, pairs)
    latent = {"samples": subject.family.latent()}
    heads, report, images, _ = HeadHunterSearch.execute(
        *shared, WARMTH, latent, rounds=1, heads_per_round=1, cfg=2.0, steps=2, pool="L0H1, L3H0@-0.5", study="hunt"
    ).result
    report = json.loads(report)
    assert heads in ("L0H1", "L3H0@-0.5") and len(images) == 4
    assert report["grid"]["layers"] == subject.family.layers and len(report["rounds"][0]["candidates"]) == 2
    video = len(shape) == 4 and shape[1] > 1
    assert report["frame"] == ({"number": 2, "count": 5} if video else None)
    images, _sheet, labels = HeadHunterAtlas.execute(*shared, latent, heads="L0H1, L3H0", steps=2, study="atlas").result
    assert len(images) == len(labels.splitlines()) == 6
    assert (images[1] - images[0]).abs().max() > 1 / 255


@pytest.mark.parametrize("how", ["error", "cancel"])
def test_nothing_stays_on_the_blocks_after_an_error_or_a_cancel(unhooked, how):
    import comfy.model_management

    before = [set(vars(block)) for block in unhooked.blocks()]
    kind = comfy.model_management.InterruptProcessingException if how == "cancel" else RuntimeError

    def fail(*_):
        assert any("forward" in vars(block) for block in unhooked.blocks()), "nothing was wrapped: this shows nothing"
        raise kind("in the last block")

    handle = unhooked.blocks()[-1].register_forward_pre_hook(fail)
    try:
        with pytest.raises(kind):
            unhooked.sample(soft_pag(unhooked.model))
    finally:
        handle.remove()
    assert [set(vars(block)) for block in unhooked.blocks()] == before


def test_another_packs_forward_on_a_block_is_kept_and_called(unhooked):
    """Some packs set `forward` on a block themselves."""
    calls = []
    block = unhooked.blocks()[2]
    original = block.forward
    block.forward = lambda *args, **kwargs: (calls.append(1), original(*args, **kwargs))[1]
    mine = block.forward
    guided = unhooked.sample(soft_pag(unhooked.model))
    assert block.forward is mine and calls
    del block.forward
    assert torch.equal(unhooked.sample(soft_pag(unhooked.model)), guided)
