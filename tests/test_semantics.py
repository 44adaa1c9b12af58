"""What must hold on a real ComfyUI model and sampler (docs/design.md, Semantics)."""

import logging
from types import SimpleNamespace

import comfy.patcher_extension
import comfy.samplers
import oracle
import pytest
import tiny
import torch
from comfy.ldm.modules.attention import attention_pytorch
from comfy_api.torch_helpers import set_torch_compile_wrapper
from comfy_extras.nodes_custom_sampler import BasicGuider, CFGGuider, DualCFGGuider
from comfy_extras.nodes_easycache import EasyCacheNode
from comfy_extras.nodes_perpneg import PerpNegGuider
from guiding import MODELS, close, counted, custom, soft_pag, with_controlnet
from headhunter_pack.headhunter.guidance import Group
from headhunter_pack.headhunter.heads import Head, HeadTextError
from headhunter_pack.headhunter.host.guidance.groups import add_group, groups_of
from headhunter_pack.headhunter.host.models import UnsupportedModel
from headhunter_pack.nodes import HeadHunterGuider


@pytest.fixture(params=MODELS)
def case(request):
    """A model, a positive and a negative conditioning."""
    make, pooled = MODELS[request.param]
    return SimpleNamespace(
        name=request.param, model=make(), positive=tiny.conditioning(1, pooled), negative=tiny.conditioning(2, pooled)
    )


@pytest.fixture
def sd3():
    return SimpleNamespace(model=tiny.sd3(), positive=tiny.conditioning(1), negative=tiny.conditioning(2))


@pytest.fixture
def flux():
    return SimpleNamespace(model=tiny.flux(), positive=tiny.conditioning(1, 768), negative=tiny.conditioning(2, 768))


# Point 3: what does nothing costs nothing, and is bit-identical.


@pytest.mark.parametrize("cfg", [1.0, 4.0])
@pytest.mark.parametrize(
    "settings",
    [
        {"heads": ""},
        {"heads": "# none"},
        {"scale": 0.0},
        {"strength": 0.0},
        {"heads": "L1@0"},
        {"start_percent": 0.0, "end_percent": 0.0, "scale": 0.0},
    ],
    ids=["no heads", "a comment", "scale 0", "strength 0", "own strength 0", "all off"],
)
def test_no_op_is_bit_identical_and_free(case, settings, cfg):
    plain, guided = [], []
    expected = tiny.sample(counted(case.model, plain), case.positive, case.negative, cfg)
    out = tiny.sample(soft_pag(counted(case.model, guided), **settings), case.positive, case.negative, cfg)
    assert torch.equal(out, expected)
    assert guided == plain


def test_steps_outside_the_window_are_free_and_the_rest_is_guided(case):
    calls: list[int] = []
    sigmas = comfy.samplers.calculate_sigmas(case.model.get_model_object("model_sampling"), "simple", 6)
    sampling = case.model.get_model_object("model_sampling")
    start, end = 0.3, 0.7
    inside = [
        bool(sampling.percent_to_sigma(end) <= sigma <= sampling.percent_to_sigma(start)) for sigma in sigmas[:-1]
    ]
    assert 0 < sum(inside) < 6
    tiny.sample(soft_pag(counted(case.model, calls), start_percent=start, end_percent=end), case.positive, steps=6)
    assert len(calls) == 6 + sum(inside)
    late = soft_pag(case.model, start_percent=0.999)
    assert torch.equal(tiny.sample(late, case.positive, steps=6), tiny.sample(case.model, case.positive, steps=6))


def test_windows_of_two_groups_are_each_their_own(sd3):
    calls: list[int] = []
    model = soft_pag(soft_pag(counted(sd3.model, calls), "L0", end_percent=0.5), "L2", start_percent=0.5)
    tiny.sample(model, sd3.positive, steps=6)
    # One evaluation a step, whichever group is active; never one call a group.
    assert len(calls) == 12


# Point 4: the given model is never changed, branches never see each other, a batch gives each picture its own.


def test_model_is_not_changed(case):
    before = tiny.sample(case.model, case.positive)
    options = repr(case.model.model_options)
    guided = soft_pag(case.model)
    first = tiny.sample(guided, case.positive)
    other = soft_pag(guided, "L0", scale=-2.0)
    second = tiny.sample(other, case.positive)
    assert torch.equal(tiny.sample(case.model, case.positive), before)
    assert torch.equal(tiny.sample(guided, case.positive), first)
    assert not close(first, before) and not close(second, first)
    assert repr(case.model.model_options) == options
    assert [len(groups_of(m)) for m in (case.model, guided, other)] == [0, 1, 2]


def test_batch_independence(case):
    guided = soft_pag(case.model, rescale=0.7, mix="orthogonal")
    noise = torch.randn(3, 16, 8, 8, generator=torch.Generator().manual_seed(3))

    def run(rows):
        sigmas = comfy.samplers.calculate_sigmas(case.model.get_model_object("model_sampling"), "simple", 3)
        guider = comfy.samplers.CFGGuider(guided)
        guider.set_conds(case.positive, case.negative)
        guider.set_cfg(3.0)
        with torch.inference_mode():
            return guider.sample(
                rows, torch.zeros_like(rows), comfy.samplers.sampler_object("euler"), sigmas, disable_pbar=True
            )

    together = run(noise)
    for row in range(3):
        assert close(run(noise[row : row + 1]), together[row : row + 1])


def test_every_batch_row_can_have_its_own_heads(case):
    sets = [{Head(0, 1): None}, {}, {Head(1, 0): 0.3, Head(3, 2): None}]
    group = Group("", scale=3.0, strength=0.9)
    noise = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(3))

    def run(model, rows):
        sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", 3)
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(case.positive, case.negative)
        with torch.inference_mode():
            return guider.sample(
                rows, torch.zeros_like(rows), comfy.samplers.sampler_object("euler"), sigmas, disable_pbar=True
            )

    together = run(add_group(case.model, group, sets), noise.repeat(3, 1, 1, 1))
    for row, heads in enumerate(sets):
        assert close(together[row : row + 1], run(add_group(case.model, group, [heads]), noise))


# Point 5: cfg, guiders, and everything else that a user may have in the graph.


def test_cfg_1_pays_no_unconditional_pass(case):
    calls: list[int] = []
    tiny.sample(soft_pag(counted(case.model, calls)), case.positive, case.negative, 1.0)
    assert calls == [1] * 6


@pytest.mark.parametrize("cfg", [1.0, 3.0])
def test_guider_equals_stock_in_fewer_calls(case, cfg):
    calls: list[int] = []
    first = soft_pag(counted(case.model, calls), "L0H2, L3H0")  # both from layer 0 on, where no prefix can be reused
    model = soft_pag(first, "L0H1", scale=-1.0, perturbation="uniform", rescale=0.5)
    stock = tiny.host_node(CFGGuider, model, case.positive, case.negative, cfg)
    expected = custom(stock)
    stock_calls = calls.copy()
    calls.clear()
    out = custom(HeadHunterGuider.execute(model, case.positive, cfg, case.negative)[0])
    assert close(out, expected)
    assert len(stock_calls) == 6 and len(calls) == 3
    assert sum(calls) == sum(stock_calls)


def test_guider_keeps_other_packs_functions_in_order(sd3):
    def add_functions(model):
        clone = soft_pag(model)

        def before(args):
            return [args["conds_out"][0] * 1.1, args["conds_out"][1]]

        def after(args):
            return args["denoised"] * 0.9 + args["cond_denoised"] * 0.1

        clone.set_model_sampler_pre_cfg_function(before)
        clone.set_model_sampler_post_cfg_function(after)
        return clone

    model = add_functions(sd3.model)
    expected = custom(tiny.host_node(CFGGuider, model, sd3.positive, sd3.negative, 3.0))
    assert close(custom(HeadHunterGuider.execute(model, sd3.positive, 3.0, sd3.negative)[0]), expected)
    assert not close(expected, custom(tiny.host_node(CFGGuider, soft_pag(sd3.model), sd3.positive, sd3.negative, 3.0)))


def test_guider_without_guidance_is_the_stock_guider(case):
    expected = custom(tiny.host_node(CFGGuider, case.model, case.positive, case.negative, 3.0))
    assert torch.equal(custom(HeadHunterGuider.execute(case.model, case.positive, 3.0, case.negative)[0]), expected)


def test_guider_leaves_a_taken_evaluation_slot_alone(sd3):
    seen = []

    def slot(args):
        seen.append(len(args["conds"]))
        return comfy.samplers.calc_cond_batch(
            args["model"], args["conds"], args["input"], args["sigma"], args["model_options"]
        )

    model = soft_pag(sd3.model)
    model.set_model_sampler_calc_cond_batch_function(slot)
    expected = tiny.sample(soft_pag(sd3.model), sd3.positive, sd3.negative, 3.0)
    assert close(custom(HeadHunterGuider.execute(model, sd3.positive, 3.0, sd3.negative)[0]), expected)
    assert seen == [2, 2, 2]


def test_guider_without_negative():
    model, positive = tiny.sd3(), tiny.conditioning(1)
    with pytest.raises(ValueError, match="needs a negative"):
        HeadHunterGuider.execute(model, positive, 2.0)
    guided = soft_pag(model)
    expected = custom(tiny.host_node(BasicGuider, guided, positive))
    assert close(custom(HeadHunterGuider.execute(guided, positive, 1.0)[0]), expected)


@pytest.mark.parametrize(
    ("cfg1", "cfg2", "style"),
    [(3.0, 2.0, "regular"), (3.0, 1.0, "regular"), (1.0, 1.0, "regular"), (3.0, 2.0, "nested")],
)
def test_dual_cfg_perturbs_the_guiders_positive(sd3, cfg1, cfg2, style):
    """With every cfg at 1 the host hands no conditional prediction; with others it hands its middle one."""
    middle = tiny.conditioning(5)
    plain = tiny.host_node(DualCFGGuider, sd3.model, sd3.positive, middle, sd3.negative, cfg1, cfg2, style)
    guided = tiny.host_node(DualCFGGuider, soft_pag(sd3.model), sd3.positive, middle, sd3.negative, cfg1, cfg2, style)
    one_step = custom(plain, steps=1), custom(guided, steps=1)
    effect = one_step[1] - one_step[0]
    expected = tiny.sample(soft_pag(sd3.model), sd3.positive, steps=1) - tiny.sample(sd3.model, sd3.positive, steps=1)
    # The last step to sigma 0 gives x0 itself, so the guidance is the difference; nested scales what post-CFG gives by cfg2.
    assert close(effect, expected * (cfg2 if style == "nested" else 1.0), 1e-4)


def test_perp_neg(sd3):
    empty = tiny.conditioning(9)
    plain = tiny.host_node(PerpNegGuider, sd3.model, sd3.positive, sd3.negative, empty, 3.0, 1.0)
    guided = tiny.host_node(PerpNegGuider, soft_pag(sd3.model), sd3.positive, sd3.negative, empty, 3.0, 1.0)
    expected = tiny.sample(soft_pag(sd3.model), sd3.positive, steps=1) - tiny.sample(sd3.model, sd3.positive, steps=1)
    assert close(custom(guided, steps=1) - custom(plain, steps=1), expected, 1e-4)


def test_regional_conditioning(sd3):
    left = torch.zeros(1, 64, 64)
    left[:, :, :32] = 1
    regions = [
        [sd3.positive[0][0], sd3.positive[0][1] | {"mask": left, "mask_strength": 1.0}],
        [tiny.conditioning(4)[0][0], tiny.conditioning(4)[0][1] | {"mask": 1 - left, "mask_strength": 1.0}],
    ]
    guided = tiny.sample(soft_pag(sd3.model), regions, steps=1)
    plain = tiny.sample(sd3.model, regions, steps=1)
    parts = []
    for conditioning in (sd3.positive, tiny.conditioning(4)):
        parts.append(
            tiny.sample(soft_pag(sd3.model), conditioning, steps=1) - tiny.sample(sd3.model, conditioning, steps=1)
        )
    assert close((guided - plain)[..., :4], parts[0][..., :4], 1e-4)
    assert close((guided - plain)[..., 4:], parts[1][..., 4:], 1e-4)


def test_areas_of_another_size(flux):
    area = [
        [flux.positive[0][0], flux.positive[0][1] | {"area": (4, 8, 0, 0), "strength": 1.0}],
        *tiny.conditioning(4, 768),
    ]
    for tokens in ("all", "image"):
        guided = tiny.sample(soft_pag(flux.model, "L0, L4", tokens=tokens), area)
        assert guided.isfinite().all() and not close(guided, tiny.sample(flux.model, area), 1e-3)


def test_inpainting_mask_is_honoured(sd3):
    image = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 4:] = 1
    out = tiny.sample(soft_pag(sd3.model), sd3.positive, latent_image=image, noise_mask=mask)
    assert torch.allclose(out[..., :4], image[..., :4], atol=1e-5)
    assert not close(out, tiny.sample(sd3.model, sd3.positive, latent_image=image, noise_mask=mask), 1e-3)


def test_controlnet_acts_in_the_perturbed_pass_too(sd3):
    """A real SD3 ControlNet of random weights; its forwards are counted."""
    positive, calls = with_controlnet(sd3.model, sd3.positive)
    plain = tiny.sample(sd3.model, positive, sd3.negative, 1.0)
    assert len(calls) == 3
    calls.clear()
    guided = tiny.sample(soft_pag(sd3.model), positive, sd3.negative, 1.0)
    assert len(calls) == 6
    assert not close(guided, plain, 1e-3)
    assert not close(guided, tiny.sample(soft_pag(sd3.model), sd3.positive, sd3.negative, 1.0), 1e-3)


def test_lora_patches_count_in_the_perturbed_pass(sd3):
    patched = sd3.model.clone()
    key = "diffusion_model.joint_blocks.1.x_block.attn.qkv.weight"
    shape = patched.model.diffusion_model.joint_blocks[1].x_block.attn.qkv.weight.shape
    patched.add_patches({key: (torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 0.05,)}, 1.0)
    both = tiny.sample(soft_pag(patched), sd3.positive)
    assert not close(both, tiny.sample(soft_pag(sd3.model), sd3.positive), 1e-3)
    assert not close(both, tiny.sample(patched, sd3.positive), 1e-3)


@pytest.mark.parametrize("sampler", ["euler_ancestral", "dpmpp_2m", "heun", "uni_pc", "dpmpp_sde", "lcm"])
def test_samplers(flux, sampler):
    guided = tiny.sample(soft_pag(flux.model), flux.positive, sampler=sampler)
    assert guided.isfinite().all() and not close(guided, tiny.sample(flux.model, flux.positive, sampler=sampler), 1e-3)


def test_an_earlier_attention_override_is_kept(case):
    seen = []

    def other_pack(func, *args, **kwargs):
        seen.append(1)
        return func(*args, **kwargs) * 1.05

    with_override = case.model.clone()
    with_override.model_options.setdefault("transformer_options", {})["optimized_attention_override"] = other_pack
    before = soft_pag(with_override)
    out = tiny.sample(before, case.positive)
    calls = len(seen)
    tiny.sample(with_override, case.positive)
    plain = len(seen) - calls
    assert plain < calls < 2 * plain  # the perturbed pass starts at layer 1
    late = soft_pag(case.model)
    late.model_options.setdefault("transformer_options", {})["optimized_attention_override"] = other_pack
    assert torch.equal(tiny.sample(late, case.positive), out)
    assert not close(out, tiny.sample(soft_pag(case.model), case.positive), 1e-3)


def test_an_earlier_block_replacement_is_kept(case):
    seen = []

    def other_pack(args, extra):
        seen.append(1)
        out = extra["original_block"](args)
        return out | {"img": out["img"] * 1.1}

    model = case.model.clone()
    for layer in (0, 1):
        model.set_model_patch_replace(other_pack, "dit", "double_block", layer)
    out = tiny.sample(soft_pag(model, "L1"), case.positive)
    assert len(seen) == 2 * 2 * 3
    assert not close(out, tiny.sample(soft_pag(case.model, "L1"), case.positive), 1e-3)


def test_other_packs_see_perturbed_passes_as_conditional(sd3):
    """They read cond_or_uncond as 0 = conditional, 1 = unconditional."""
    seen = []

    def other_pack(args, extra):
        seen.append(list(args["transformer_options"]["cond_or_uncond"]))
        return extra["original_block"](args)

    model = sd3.model.clone()
    model.set_model_patch_replace(other_pack, "dit", "double_block", 0)
    custom(HeadHunterGuider.execute(soft_pag(soft_pag(model), "L2"), sd3.positive, 3.0, sd3.negative)[0], steps=1)
    tiny.sample(soft_pag(soft_pag(model), "L2"), sd3.positive, steps=1)
    assert [sorted(chunks) for chunks in seen] == [[0, 0, 0, 1], [0], [0, 0]]


def test_kontext_reference_tokens_are_not_image_tokens():
    """With `tokens` image, text and reference rows keep their own attention; the oracle is told the rows."""
    family = tiny.FAMILIES["flux_kontext"]
    model, positive = family.model(), family.conditioning(1)
    u = {(layer, head): 1.0 for layer in (0, 3) for head in range(3)}
    with_references = slice(family.text, None)
    expected, wrong = (
        oracle.sample(family, model, positive, positive, 1.0, [oracle.Perturbed(u, 3.0, rows=rows)])
        for rows in (family.image_rows, with_references)
    )
    out = tiny.sample(soft_pag(model, "L0, L3", scale=3.0, strength=1.0, tokens="image"), positive)
    assert close(out, expected, 1e-4)
    assert not close(wrong, expected, 2e-3)


def test_torch_compile_gives_the_same_in_one_graph(flux):
    """The whole FLUX forward compiled, as TorchCompileModel does; a graph break would be an error."""

    def pytorch_attention(func, *args, **kwargs):
        # What an attention switch of another pack does. ComfyUI's choice for CPUs asks the system for free memory, which breaks graphs.
        return attention_pytorch.__wrapped__(*args, **kwargs)

    model = flux.model.clone()
    model.model_options.setdefault("transformer_options", {})["optimized_attention_override"] = pytorch_attention
    guided = soft_pag(soft_pag(model, "L1, L3H0"), "L2", scale=-1.0, perturbation="temperature")
    for kind in ("self_and_text", "shuffle", "zero"):
        guided = soft_pag(guided, "L2H1, L3", scale=1.0, perturbation=kind)
    compiled = guided.clone()
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    set_torch_compile_wrapper(compiled, backend="eager", options={}, fullgraph=True)
    assert close(tiny.sample(compiled, flux.positive, steps=8), tiny.sample(guided, flux.positive, steps=8))
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    torch._dynamo.reset()
    # One for the conditional pass, and for each of the two layers where groups start, with two shapes at most; not one a step.
    assert 1 <= graphs <= 6


# Point 6: a guidance that cannot act says so.


def test_heads_outside_the_grid_are_an_error(sd3):
    with pytest.raises(HeadTextError, match=r'"L4H0" \(line 1, column 5\).*0 to 3'):
        soft_pag(sd3.model, "L1, L4H0")


def test_other_models_are_refused():
    class Strange(torch.nn.Module):
        pass

    model = tiny.sd3()
    model.add_object_patch("diffusion_model", Strange())
    with pytest.raises(UnsupportedModel, match="Strange"):
        soft_pag(model)


def test_a_lost_override_is_reported_once(flux, caplog):
    """A pack whose forward drops transformer_options, as TeaCache's does."""

    def dropping(executor, x, timestep, context, y, guidance, ref_latents, control, transformer_options, **kwargs):
        return executor(x, timestep, context, y, guidance, ref_latents, control, {}, **kwargs)

    model = soft_pag(flux.model)
    model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, "SomeTeaCache", dropping)
    with caplog.at_level(logging.WARNING):
        tiny.sample(model, flux.positive)
    warnings = [record.message for record in caplog.records if "HeadHunter" in record.message]
    assert len(warnings) == 1 and "SomeTeaCache" in warnings[0] and "no effect" in warnings[0]


def test_a_working_guidance_does_not_warn(case, caplog):
    with caplog.at_level(logging.WARNING):
        tiny.sample(soft_pag(case.model), case.positive)
        custom(HeadHunterGuider.execute(soft_pag(case.model), case.positive, 3.0, case.negative)[0])
    assert not [record for record in caplog.records if "HeadHunter" in record.message]


@pytest.mark.parametrize(
    "kind", ["identity", "uniform", "mean_query", "temperature", "self_and_text", "shuffle", "zero"]
)
def test_attention_masks_are_respected(flux, kind):
    """The arithmetic is test_oracle's; here a mask that hides a token is not the same as none."""
    mask = torch.zeros(1, 5 + 16, 5 + 16)
    mask[..., 3] = -1e4

    def with_mask(executor, *args, **kwargs):
        return executor(*args, **kwargs | {"attention_mask": mask})

    model = soft_pag(flux.model, perturbation=kind)
    model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, "test mask", with_mask)
    assert tiny.sample(model, flux.positive).isfinite().all()


# Point 7: a cache that skips passes must not feed the guidance.


@pytest.mark.parametrize("guider", ["stock", "ours"])
@pytest.mark.parametrize("window", [(0.0, 1.0), (0.45, 0.9)])
def test_easy_cache(flux, guider, window):
    """Guided with the cache stays as close to guided without it as the cache lets the unguided stay (`-rP` prints both)."""
    steps, ran = 20, []
    with torch.no_grad():
        for parameter in flux.model.model.diffusion_model.final_layer.parameters():
            parameter.mul_(0.2)

    def count(executor, *args, **kwargs):
        ran.append(1)
        return executor(*args, **kwargs)

    def run(model, heads):
        if heads:
            model = soft_pag(model, heads, strength=0.8, start_percent=window[0], end_percent=window[1])
        if guider == "stock":
            return custom(tiny.host_node(CFGGuider, model, flux.positive, flux.negative, 2.0), steps)
        return custom(HeadHunterGuider.execute(model, flux.positive, 2.0, flux.negative)[0], steps)

    cached = tiny.host_node(EasyCacheNode, flux.model, 0.2, 0.1, 0.95, False)
    cached.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, "zz test count", count)
    unguided, guided = run(flux.model, ""), run(flux.model, "L0, L3")
    cached_unguided = run(cached, "")
    assert len(ran) < 0.8 * steps, "the cache skipped too little for this test to show anything"
    cached_guided = run(cached, "L0, L3")
    baseline, effect = (cached_unguided - unguided).norm(), (guided - unguided).norm()
    ours = (cached_guided - guided).norm()
    print(f"the cache's own error {baseline:.1f}, ours {ours:.1f}, the guidance's effect {effect:.1f}")
    assert not close(guided, unguided, 1e-3)
    assert ours < 1.2 * baseline
    assert ((cached_guided - cached_unguided) - (guided - unguided)).norm() < effect
