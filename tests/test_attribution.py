"""The gradient that screens all heads, against differences of measured scores, on ComfyUI's own models."""

from __future__ import annotations

from itertools import product

import comfy.model_management
import comfy.ops
import comfy.sd
import comfy.utils
import pytest
import tiny
import torch
from comfy.ldm.modules.diffusionmodules.model import Decoder
from comfy.patcher_extension import WrappersMP
from headhunter_pack.headhunter.guidance import Group
from headhunter_pack.headhunter.heads import Head, HeadSet
from headhunter_pack.headhunter.host.attribution import head_gradients
from headhunter_pack.headhunter.host.attribution.attribution import Attribution, AttributionError
from headhunter_pack.headhunter.host.attribution.gradient_blocks import must_checkpoint
from headhunter_pack.headhunter.host.attribution.head_gradients import Gradients
from headhunter_pack.headhunter.host.generation.generate import Generator, Sampling
from headhunter_pack.headhunter.host.generation.prompts import Pair
from headhunter_pack.headhunter.host.gradients import gradients
from headhunter_pack.headhunter.host.models import grid_of
from headhunter_pack.headhunter.host.progress import Progress
from headhunter_pack.headhunter.scoring.combine import combine_scorers
from headhunter_pack.headhunter.scoring.statistics import StatisticScorer
from headhunter_pack.headhunter.study import Row, open_study
from headhunter_pack.nodes import HeadHunterSoftPAG
from huntfixtures import load_vae

WARMTH = StatisticScorer("warmth")
STEP = 0.003  # of a strength, for differences


class Case:
    """One pair on one model: attributions, and the same derivatives by central differences of measured scores."""

    def __init__(self, vae, folder, model, scorer=WARMTH, group=None, cfg=1.0, latent=None, pair=None, **settings):
        self.pair = pair or Pair("x", 7, tiny.conditioning(1), tiny.conditioning(2))
        sampling = Sampling(group or Group("", 0.8, 0.7), cfg, 3, "euler", "simple", **settings)
        self.generator = Generator(model, vae, latent or {"samples": tiny.latent()}, sampling)
        self.scorer = scorer
        self.study = open_study(folder / "study.sqlite", {})
        self.attribute = Attribution(
            self.generator, [self.pair], scorer, self.study, grid_of(model), Progress(None, "s", 1, 1)
        )

    def predicted(self, heads, chosen=()):
        with torch.inference_mode():
            attributions = self.attribute(HeadSet(chosen), HeadSet(heads), [0])
        return torch.tensor([attributions[head].mean for head in heads])

    def score(self, strengths):
        with torch.inference_mode():
            sets = [HeadSet(own) for own in strengths]
            images = self.generator.decode(self.generator.latents(sets, self.pair))
            return self.scorer.score(images, [self.pair.text] * len(sets)).double()

    def differences(self, heads, chosen=()):
        u = self.generator.sampling.group.strength
        own = dict.fromkeys(chosen, u)
        scores = self.score([own | {head: sign * STEP} for head in heads for sign in (1, -1)])
        return (u * (scores[::2] - scores[1::2]) / (2 * STEP)).float()

    def check(self, heads, chosen=(), tolerance=0.04):
        predicted, measured = self.predicted(heads, chosen), self.differences(heads, chosen)
        assert measured.abs().max() > 1e-4, "nothing to compare"
        error = (predicted - measured).norm() / measured.norm()
        assert error < tolerance, (predicted, measured)


SD3_HEADS = [Head(0, 1), Head(0, 2), Head(1, 0), Head(2, 2)]
FLUX_HEADS = [Head(0, 1), Head(1, 2), Head(2, 0), Head(4, 1)]


def image():
    return 0.5 * torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(3))


def mask():
    made = torch.zeros(1, 1, 64, 64)
    made[..., 24:] = 1
    return made


CASES = {
    "plain": {},
    "cfg": {"cfg": 2.5},
    "cfg 0": {"cfg": 0.0},
    "from an image": {"latent": {"samples": image()}, "denoise": 0.6},
    "a mask": {"latent": {"samples": image(), "noise_mask": mask()}, "cfg": 2.0},
    "image tokens": {"group": Group("", 0.8, 0.7, tokens="image")},
    "mean query": {"group": Group("", 0.8, 0.7, perturbation="mean_query")},
    "self and text": {"group": Group("", 0.8, 0.7, perturbation="self_and_text")},
    "shuffle": {"group": Group("", 0.8, 0.7, perturbation="shuffle")},
    "a changing scale": {"group": Group("", 0.8, 0.7, mix="frequency", end_scale=0.2)},
    "a window": {"group": Group("", 0.8, 0.7, window=(0.0, 0.4))},
    "in attention": {"group": Group("", 0.8, 0.7, method="in attention"), "cfg": 2.0},
    "in attention, a window": {"group": Group("", 0.8, 0.7, window=(0.0, 0.4), method="in attention")},
    "orthogonal": {"group": Group("", 0.8, 0.7, mix="orthogonal"), "cfg": 2.0},
}


@pytest.mark.parametrize("name", CASES)
def test_sd3_equals_differences(name, vae, tmp_path):
    Case(vae, tmp_path, tiny.sd3(depth=3), **CASES[name]).check(SD3_HEADS)


@pytest.mark.parametrize("name", ["plain", "a mask"])
def test_flux_equals_differences(name, vae, tmp_path):
    pair = Pair("x", 7, tiny.conditioning(1, 768, guidance=3.5), tiny.conditioning(2, 768, guidance=3.5))
    Case(vae, tmp_path, tiny.flux(), pair=pair, **CASES[name]).check(FLUX_HEADS)


@pytest.mark.skipif(not tiny.HAS_FLUX2, reason="this ComfyUI has no FLUX.2")
@pytest.mark.parametrize("chosen", [[], [Head(1, 1)]])
def test_flux2_equals_differences(chosen, vae, tmp_path):
    pair = Pair("x", 7, tiny.conditioning(1, 768, guidance=3.5))
    Case(vae, tmp_path, tiny.flux2(), pair=pair).check(FLUX_HEADS, chosen)


@pytest.mark.parametrize("make", [lambda: tiny.sd3(depth=3), lambda: tiny.sd3(depth=3, dual=(1,)), tiny.flux])
def test_later_rounds_follow_the_guided_trajectory(make, vae, tmp_path):
    model = make()
    pooled = 768 if len(grid_of(model).segments) > 1 else 2048
    pair = Pair("x", 7, tiny.conditioning(1, pooled, guidance=3.5), tiny.conditioning(2, pooled, guidance=3.5))
    case = Case(vae, tmp_path, model, cfg=1.5, pair=pair)
    case.check(SD3_HEADS[:3], chosen=[Head(2, 0), Head(1, 1)])


@pytest.mark.parametrize("cfg", [1.0, 2.0])
def test_later_rounds_in_attention(cfg, vae, tmp_path):
    case = Case(vae, tmp_path, tiny.sd3(depth=3), group=Group("", 0.8, 0.7, method="in attention"), cfg=cfg)
    case.check(SD3_HEADS[:3], chosen=[Head(2, 0), Head(1, 1)])


def test_a_limit_in_attention_is_in_the_gradient(vae, tmp_path):
    """Along chosen heads that it caps; without it the gradient is another."""
    predicted = []
    for limit in (1.02, 0.0):
        (tmp_path / str(limit)).mkdir()
        group = Group("", 2.0, 0.7, method="in attention", limit=limit)
        case = Case(vae, tmp_path / str(limit), tiny.sd3(depth=3), group=group)
        case.check(SD3_HEADS[:3], chosen=[Head(2, 0), Head(1, 1)])
        predicted.append(case.predicted(SD3_HEADS[:3], chosen=[Head(2, 0), Head(1, 1)]))
    assert not torch.allclose(*predicted, rtol=0.05)


@pytest.mark.parametrize("method", ["extra pass", "in attention"])
def test_heads_that_are_in_already_and_a_price_on_distortion(method, vae, tmp_path):
    case = Case(vae, tmp_path, tiny.sd3(depth=3), group=Group("", 0.8, 0.7, method=method))
    chosen = HeadSet({Head(1, 0): -0.5, Head(2, 2): 0.4})
    pool, price = [Head(0, 1), Head(1, 0), Head(2, 2)], 0.7
    with torch.inference_mode():
        attributed = case.attribute(chosen, HeadSet(pool), [0], price)
        sets = [HeadSet()]
        for head, step in product(pool, (STEP, -STEP)):
            sets.append(HeadSet(dict(chosen) | {head: chosen.get(head, 0.0) + step}))
        plain, *moved = case.generator.latents(sets, case.pair)
        away = torch.stack([(latent - plain).norm() / plain.norm() for latent in moved]).double()
    scores = case.score(sets[1:]) - price * away
    measured = (0.7 * (scores[::2] - scores[1::2]) / (2 * STEP)).float()
    predicted = torch.tensor([attributed[head].mean for head in pool])
    assert (predicted - measured).norm() / measured.norm() < 0.04, (predicted, measured)
    assert case.attribute.progress.screened_now == 1


def test_groups_that_the_model_has_already_stay_in_the_gradient(vae, tmp_path):
    model = HeadHunterSoftPAG.execute(tiny.sd3(depth=3), "L1H1, L0H0", 1.5, 0.8)[0]
    Case(vae, tmp_path, model).check(SD3_HEADS)


def test_a_combined_score_counts_each_scorer_as_the_hunt_does(vae, tmp_path):
    scorer = combine_scorers([(WARMTH, 2.0), (StatisticScorer("contrast"), -0.5)])
    case = Case(vae, tmp_path, tiny.sd3(depth=3), scorer)
    case.study.add([Row("", 0, 0, "", (0.5, 0.3))])
    case.check(SD3_HEADS)  # one pair: each scorer is divided by its unit, as in `CombinedScorer.score`


def exchange(network, change):
    """Each weight of a network for what `change` makes of it."""
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, torch.nn.Parameter(change(module, name, parameter.detach()), requires_grad=False))


def rebuilt(model, change):
    """The model with its weights exchanged."""
    exchange(model.model.diffusion_model, change)
    return model


def inferred(_module, _name, weight):
    with torch.inference_mode():
        return weight.clone()


def eighth(module, name, weight):
    """8-bit weights of linear layers, cast to the input's type when they are used, as ComfyUI does on most cards."""
    if not isinstance(module, torch.nn.Linear) or name != "weight":
        return weight
    module.comfy_cast_weights = True
    return weight.to(torch.float8_e4m3fn)


def half(module, name, weight):
    if hasattr(module, "comfy_cast_weights"):  # SD3's own RMSNorm has none
        module.comfy_cast_weights = True
    return weight.bfloat16() if isinstance(module, torch.nn.Linear) else weight


@pytest.mark.parametrize("make", [lambda: tiny.sd3(depth=3), tiny.flux])
def test_a_model_of_inference_tensors_gives_the_same_and_stays_as_it_was(make, vae, tmp_path):
    """As ComfyUI's loaders make them in a node: autograd would not save one of these weights."""
    pooled = 768 if len(grid_of(make()).segments) > 1 else 2048
    pair = Pair("x", 7, tiny.conditioning(1, pooled, guidance=3.5), tiny.conditioning(2, pooled, guidance=3.5))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    heads = SD3_HEADS[:3]
    ordinary = Case(vae, tmp_path / "a", make(), pair=pair).predicted(heads)
    model = rebuilt(make(), inferred)
    before = dict(model.model.diffusion_model.named_parameters())
    assert any(parameter.is_inference() for parameter in before.values())
    values = {name: parameter.clone() for name, parameter in before.items()}
    places = {name: parameter.data_ptr() for name, parameter in before.items()}
    options = str(model.model_options)
    own_vae = load_vae()
    exchange(own_vae.first_stage_model, inferred)
    case = Case(own_vae, tmp_path / "b", model, pair=pair)
    assert torch.equal(case.predicted(heads), ordinary)
    for name, parameter in model.model.diffusion_model.named_parameters():
        assert parameter is before[name] and torch.equal(parameter, values[name]), name
        assert parameter.data_ptr() == places[name] and parameter.grad is None and not parameter.requires_grad, name
    assert str(model.model_options) == options and not model.wrappers


@pytest.mark.parametrize("change", [eighth, half])
def test_weights_in_few_bits_that_are_cast_when_used(change, vae, tmp_path):
    Case(vae, tmp_path, rebuilt(tiny.sd3(depth=3), change)).check(SD3_HEADS)


def test_the_layers_of_full_size_vaes():
    """The decoder of SD3's and FLUX's own VAE, small, of inference tensors: its gradient along itself against a difference."""
    torch.manual_seed(0)
    decoder = Decoder(
        ch=32,
        out_ch=3,
        ch_mult=(1, 2),
        num_res_blocks=1,
        attn_resolutions=[],
        in_channels=3,
        resolution=32,
        z_channels=16,
    )
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, 0.5 if parameter.ndim == 1 else 0.0, 0.1)
    exchange(decoder, inferred)
    with torch.inference_mode():
        z = torch.randn(1, 16, 6, 6)
        with gradients():
            leaf = z.clone().requires_grad_()
            pulled = torch.autograd.grad(decoder(leaf).mean(), leaf)[0]
        step = 0.05 * pulled / pulled.norm()
        difference = (decoder(z + step).double().mean() - decoder(z - step).double().mean()) / 2
    assert float(difference) == pytest.approx(float((pulled * step).sum()), rel=0.02)


@pytest.mark.skipif(not hasattr(comfy.ops, "scaled_fp8_ops"), reason="this ComfyUI has no such operations")
def test_scaled_8_bit_weights():
    with torch.inference_mode():
        layer = comfy.ops.scaled_fp8_ops().Linear(8, 4, dtype=torch.float8_e4m3fn)
        weight = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
        layer.weight = torch.nn.Parameter((weight * 50).to(torch.float8_e4m3fn), requires_grad=False)
        layer.scale_weight = torch.nn.Parameter(torch.tensor(0.02), requires_grad=False)
        layer.bias = torch.nn.Parameter(torch.zeros(4), requires_grad=False)
        with gradients():
            x = torch.randn(3, 8).requires_grad_()
            pulled = torch.autograd.grad(layer(x).sum(), x)[0]
    assert torch.allclose(pulled, weight.sum(0).expand(3, 8), atol=0.5)
    assert torch.allclose(pulled[0], 0.02 * layer.weight.float().sum(0), rtol=1e-4)


QKV = "diffusion_model.joint_blocks.1.x_block.attn.qkv.weight"


def with_lora(model):
    """A patch on one layer, as a LoRA loader puts it there."""
    weight = model.model.diffusion_model.joint_blocks[1].x_block.attn.qkv.weight
    patched = model.clone()
    patched.add_patches({QKV: (0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)),)}, 1.0)
    return patched


@pytest.mark.parametrize("offloaded", [False, True])
def test_lora_and_weights_that_are_kept_off_the_card(offloaded, vae, tmp_path):
    """Offloaded weights are fetched, and patched, each time that they are used."""
    plain = tiny.sd3(depth=3)
    model = with_lora(plain)
    if offloaded:
        with torch.inference_mode():
            model.load(torch.device("cpu"), lowvram_model_memory=1)
        qkv = model.model.diffusion_model.joint_blocks[1].x_block.attn.qkv
        assert qkv.comfy_cast_weights and qkv.weight_function
        model.model.model_lowvram = True
    case = Case(vae, tmp_path, model)
    case.check(SD3_HEADS)
    (tmp_path / "other").mkdir()
    other = Case(vae, tmp_path / "other", tiny.sd3(depth=3))
    assert not torch.allclose(other.predicted(SD3_HEADS), case.predicted(SD3_HEADS), rtol=0.01)


@pytest.mark.parametrize("make", [lambda: tiny.sd3(depth=3), tiny.flux])
def test_blocks_that_run_again_to_save_memory_change_nothing(make, vae, tmp_path, monkeypatch):
    pooled = 768 if len(grid_of(make()).segments) > 1 else 2048
    pair = Pair("x", 7, tiny.conditioning(1, pooled, guidance=3.5), tiny.conditioning(2, pooled, guidance=3.5))
    model, predictions = make(), []
    for again in (False, True):
        monkeypatch.setattr(head_gradients, "must_checkpoint", lambda *args, again=again: again)
        folder = tmp_path / str(again)
        folder.mkdir()
        case = Case(vae, folder, model, pair=pair, cfg=1.5)
        predictions.append(torch.cat([case.predicted(SD3_HEADS[:3]), case.predicted(SD3_HEADS[:2], [Head(2, 0)])]))
    assert torch.allclose(*predictions, rtol=1e-4)


def test_memory_decides_whether_blocks_run_again(monkeypatch):
    def decided(model, free, size=64, passes=1):
        monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda *args: free)
        return must_checkpoint(model, tiny.latent(1, size, size), passes)

    for model in (tiny.sd3(depth=3), tiny.flux()):
        assert decided(model, 0) and not decided(model, 2**40)
        # Four times the picture and twice the passes need more than half as much again.
        border = next(2**n for n in range(20, 50) if not decided(model, 2**n))
        assert decided(model, border, 128, 2)


def test_other_packs_on_the_model(vae, tmp_path):
    """An attention backend without a backward pass is left out, and a replaced block stays replaced."""
    model = tiny.sd3(depth=3)
    plain = Case(vae, tmp_path, model).predicted(SD3_HEADS)
    calls = []

    def replacement(args, extra):
        calls.append(args["img"].shape)
        return extra["original_block"](args)

    def without_gradient(func, *args, **kwargs):
        return func(*args, **kwargs).detach()

    other = model.clone()
    other.set_model_patch_replace(replacement, "dit", "double_block", 1)
    other.model_options["transformer_options"]["optimized_attention_override"] = without_gradient
    (tmp_path / "other").mkdir()
    predicted = Case(vae, tmp_path / "other", other).predicted(SD3_HEADS)
    assert torch.allclose(predicted, plain, rtol=1e-4)
    assert len(calls) == 3 + 3  # forward, and again with gradients, in each of 3 steps


def test_what_a_study_holds_is_not_computed_again(vae, tmp_path, monkeypatch):
    case = Case(vae, tmp_path, tiny.sd3(depth=3))
    first = case.predicted(SD3_HEADS)
    monkeypatch.setattr(Gradients, "_attributions", lambda *args: pytest.fail("computed again"))
    assert torch.equal(case.predicted(SD3_HEADS), first)
    assert case.attribute.progress.screened_pairs == 2 and case.attribute.progress.screened_now == 1


def test_cancel_is_seen_among_the_gradients(vae, tmp_path, monkeypatch):
    case = Case(vae, tmp_path, tiny.sd3(depth=3))
    real = Gradients._walk_back

    def cancelled(*args):
        comfy.model_management.interrupt_current_processing()
        return real(*args)

    monkeypatch.setattr(Gradients, "_walk_back", cancelled)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        case.predicted(SD3_HEADS)


class Blind:
    """A scorer of another pack, with or without truth in what it says of itself."""

    name, key, unit = "blind", "blind/1", 1.0

    def __init__(self, differentiable):
        self.differentiable = differentiable

    def score(self, images, texts):
        return images.detach().mean((1, 2, 3))


def test_a_scorer_without_gradients_is_named(vae, tmp_path):
    with pytest.raises(ValueError, match="the scorer blind gives none. Choose the strategy halving"):
        Case(vae, tmp_path, tiny.sd3(depth=3), combine_scorers([(WARMTH, 1.0), (Blind(False), 1.0)]))
    liar = Case(vae, tmp_path, tiny.sd3(depth=3), Blind(True))
    with pytest.raises(AttributionError, match="scorer blind says that it gives gradients.*halving"):
        liar.predicted(SD3_HEADS)
    # Also beside one that does.
    (tmp_path / "beside").mkdir()
    liar = Case(vae, tmp_path / "beside", tiny.sd3(depth=3), combine_scorers([(WARMTH, 1.0), (Blind(True), 1.0)]))
    liar.study.add([Row("", 0, 0, "", (0.5, 0.3))])  # a hunt's unguided pictures come first
    with pytest.raises(AttributionError, match="scorer blind says"):
        liar.predicted(SD3_HEADS)


def test_a_broken_picture_is_left_out(vae, tmp_path, monkeypatch):
    case = Case(vae, tmp_path, tiny.sd3(depth=3))
    pairs = [case.pair, Pair("y", 8, tiny.conditioning(3), tiny.conditioning(2))]
    case.attribute.pairs = case.attribute.gradients.pairs = pairs
    real, count = Generator.decode, iter(range(100))

    def decode(self, latents):
        images = real(self, latents)
        return images if torch.is_grad_enabled() or next(count) != 1 else torch.full_like(images, float("nan"))

    monkeypatch.setattr(Generator, "decode", decode)
    with torch.inference_mode():
        attributions = case.attribute(HeadSet(), HeadSet(SD3_HEADS), [0, 1])
    assert all(attribution.pairs == (0,) for attribution in attributions.values())
    assert case.attribute(HeadSet(), HeadSet(SD3_HEADS), [0, 1]) == attributions  # as the study holds it
    monkeypatch.setattr(Generator, "decode", lambda self, latents: real(self, latents) + float("nan"))
    case.attribute.study = open_study(tmp_path / "broken.sqlite", {})
    with pytest.raises(AttributionError, match="finite"), torch.inference_mode():
        case.attribute(HeadSet(), HeadSet(SD3_HEADS), [0])


def test_a_model_that_keeps_gradients_away_is_an_error(vae, tmp_path):
    model = tiny.sd3(depth=3)

    def detached(args, extra):
        return {name: t if t is None else t.detach() for name, t in extra["original_block"](args).items()}

    model.set_model_patch_replace(detached, "dit", "double_block", 2)
    with pytest.raises(AttributionError, match="No gradient reached the heads.*halving"):
        Case(vae, tmp_path, model).predicted(SD3_HEADS)


def test_a_cache_on_the_model_is_refused(vae, tmp_path):
    for install in (
        lambda model: model.set_model_unet_function_wrapper(lambda apply, args: None),
        lambda model: model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "easycache", lambda *args: None),
    ):
        model = tiny.sd3(depth=3)
        install(model)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        with pytest.raises(AttributionError, match="EasyCache.*halving"):
            Case(vae, folder, model)
