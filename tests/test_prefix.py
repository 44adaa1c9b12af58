"""Prefix reuse is exact: the same bits with it and without it, fewer blocks run, and none saved where that could be wrong."""

from types import SimpleNamespace

import comfy.context_windows
import comfy.patcher_extension
import comfy.samplers
import pytest
import tiny
import torch
from comfy.ldm.modules.attention import attention_pytorch
from comfy_api.torch_helpers import set_torch_compile_wrapper
from comfy_extras.nodes_custom_sampler import CFGGuider
from comfy_extras.nodes_easycache import EasyCacheNode
from comfy_extras.nodes_sd3 import SkipLayerGuidanceSD3
from guiding import MODELS, close, counted, custom, soft_pag, with_controlnet
from headhunter_pack.headhunter.guidance import Group
from headhunter_pack.headhunter.heads import Head
from headhunter_pack.headhunter.host.guidance.blocks import Architecture
from headhunter_pack.headhunter.host.guidance.groups import add_group
from headhunter_pack.headhunter.host.guidance.prefix import REUSE, Recording
from headhunter_pack.headhunter.host.models import transformer
from headhunter_pack.nodes import HeadHunterGuider

STEPS = 3
CASES = MODELS | ({"flux2": (tiny.flux2, None)} if tiny.HAS_FLUX2 else {})


@pytest.fixture(params=CASES)
def case(request):
    make, pooled = CASES[request.param]
    model = make()
    return SimpleNamespace(
        model=model,
        layers=len(blocks_of(model)),
        positive=tiny.conditioning(1, pooled or 768),
        negative=tiny.conditioning(2, pooled or 768),
    )


@pytest.fixture
def sd3():
    return SimpleNamespace(model=tiny.sd3(), positive=tiny.conditioning(1), negative=tiny.conditioning(2))


@pytest.fixture
def flux():
    return SimpleNamespace(model=tiny.flux(), positive=tiny.conditioning(1, 768), negative=tiny.conditioning(2, 768))


def blocks_of(model):
    network = transformer(model)
    if hasattr(network, "joint_blocks"):
        return list(network.joint_blocks)
    return [*network.double_blocks, *network.single_blocks]


def without(model):
    """A clone with prefix reuse switched off."""
    clone = model.clone()
    clone.model_options.setdefault("transformer_options", {})[REUSE] = False
    return clone


def both(model, run):
    """`run(model)` with reuse and without: the two results, and how many rows went through each block in each.

    Each prediction in a forward of its own, as on a card with little memory: a matrix product of two rows differs from
    two products of one row in its last bits, with or without this pack (see `test_in_one_batch`).
    """
    results, counts = [], []
    model.model.memory_required = lambda *args, **kwargs: 1e30
    for patcher in (model, without(model)):
        rows = [0] * len(blocks_of(patcher))
        hooks = [
            block.register_forward_pre_hook(counter(rows, i), with_kwargs=True)
            for i, block in enumerate(blocks_of(patcher))
        ]
        try:
            results.append(run(patcher))
        finally:
            for hook in hooks:
                hook.remove()
        counts.append(rows)
    return *results, *counts


def counter(rows, index):
    def count(module, args, kwargs):
        rows[index] += (args[0] if args else kwargs["img"]).shape[0]

    return count


@pytest.mark.parametrize("cfg", [1.0, 3.0])
@pytest.mark.parametrize("first", [1, 2, 3])
def test_the_same_bits_from_the_first_perturbed_layer_on(case, first, cfg):
    model = soft_pag(case.model, f"L{first}H1, L3H0")
    reused, whole, rows, all_rows = both(model, lambda m: tiny.sample(m, case.positive, case.negative, cfg))
    assert torch.equal(reused, whole)
    plain = STEPS * (1 if cfg == 1 else 2)
    assert all_rows == [plain + STEPS] * case.layers
    assert rows == [plain] * first + [plain + STEPS] * (case.layers - first)
    assert not close(reused, tiny.sample(case.model, case.positive, case.negative, cfg), 1e-3)


def test_in_one_batch(case):
    """Conditional and unconditional in one forward, the perturbed pass in another: equal but for rounding."""
    model = soft_pag(case.model, "L2H1")
    reused, whole = (tiny.sample(m, case.positive, case.negative, 3.0) for m in (model, without(model)))
    assert close(reused, whole, 1e-5)


def test_a_controlnet_runs_the_pass_whole(sd3):
    """It adds to the blocks from outside of them."""
    positive, calls = with_controlnet(sd3.model, sd3.positive)
    reused, whole, rows, all_rows = both(soft_pag(sd3.model, "L2H1"), lambda m: tiny.sample(m, positive))
    assert torch.equal(reused, whole) and rows == all_rows and len(calls) == 4 * STEPS


def test_the_first_layer_has_nothing_to_save(case):
    _, _, rows, all_rows = both(soft_pag(case.model, "L0H1"), lambda m: tiny.sample(m, case.positive))
    assert rows == all_rows


def grouped(model, *heads, **settings):
    """`model` with one group of each text."""
    for number, text in enumerate(heads):
        model = soft_pag(model, text, scale=1.0 + number, **settings)
    return model


def test_each_group_starts_where_its_own_heads_do(case):
    model = soft_pag(
        soft_pag(case.model, "L3H1"), "L2H0", scale=-1.0, perturbation="uniform", tokens="image", rescale=0.3
    )
    reused, whole, rows, _ = both(model, lambda m: tiny.sample(m, case.positive, case.negative, 2.0, batch=2))
    assert torch.equal(reused, whole)
    assert rows == [2 * 2 * STEPS] * 2 + [2 * 3 * STEPS] + [2 * 4 * STEPS] * (case.layers - 3)


def test_four_groups_cost_two_and_a_quarter_passes_of_blocks():
    """At 1/2, 5/8, 3/4 and 7/8 of the layers, as 12, 15, 18 and 21 of 24: 1 + 0.5 + 0.375 + 0.25 + 0.125."""
    model = tiny.sd3(depth=8)
    calls = []
    guided = grouped(counted(model, calls), "L4H1", "L5H1", "L6H1", "L7H1")
    reused, whole, rows, all_rows = both(guided, lambda m: tiny.sample(m, tiny.conditioning(1)))
    assert torch.equal(reused, whole) and not close(reused, tiny.sample(model, tiny.conditioning(1)), 1e-3)
    assert sum(rows) == 2.25 * 8 * STEPS and sum(all_rows) == 5 * 8 * STEPS
    assert rows == [STEPS * passes for passes in (1, 1, 1, 1, 2, 3, 4, 5)]


def test_groups_with_the_same_first_layer_are_one_call(sd3):
    """As are those whose passes run whole."""
    for heads, rows in {
        ("L2H0", "L2H1, L3", "L3H2"): [1, 2, 1],
        ("L0", "L0H1, L2", "L2H1", "L2H2, L3"): [1, 2, 2],
        ("L0", "L0H1"): [1, 2],
    }.items():
        calls = []
        model = grouped(counted(sd3.model, calls), *heads)
        assert close(tiny.sample(model, sd3.positive), tiny.sample(without(model), sd3.positive), 1e-4)
        assert calls == rows * STEPS + [1, len(heads)] * STEPS


def test_where_nothing_is_reused_all_groups_are_one_call(sd3):
    positive, _ = with_controlnet(sd3.model, sd3.positive)
    calls = []
    model = grouped(counted(sd3.model, calls), "L1", "L2", "L3")
    tiny.sample(model, positive)
    assert calls == [1, 3] * STEPS


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_groups_behind_another_packs_replacement_start_with_those_before_it(sd3, layer):
    """It must be seen by every pass, and a pass that starts at its layer sees it."""
    seen = []
    model = sd3.model.clone()
    model.set_model_patch_replace(
        lambda args, extra: (seen.append(1), extra["original_block"](args))[1], "dit", "double_block", layer
    )
    reused, whole, rows, _ = both(
        grouped(model, "L1", "L2", "L3"), lambda m: tiny.sample(m, sd3.positive, sd3.negative, 2.0)
    )
    expected = {0: [5, 5, 5, 5], 1: [2, 5, 5, 5], 2: [2, 3, 5, 5], 3: [2, 3, 4, 5]}
    assert torch.equal(reused, whole)
    assert rows == [STEPS * passes for passes in expected[layer]]
    assert len(seen) == rows[layer] + 5 * STEPS


def test_a_window_moves_the_starts(sd3):
    """Each step records what the groups that act in it start from."""
    model = soft_pag(soft_pag(sd3.model, "L1H1", end_percent=0.5), "L3H1")
    reused, whole, rows, all_rows = both(model, lambda m: tiny.sample(m, sd3.positive, steps=6))
    assert torch.equal(reused, whole)
    assert rows[0] == 6 < rows[1] == rows[2] == rows[3] - 6 and rows[3] == all_rows[3]


def test_a_step_outside_the_window_records_nothing(sd3, monkeypatch):
    taken = []
    take = Recording.take
    monkeypatch.setattr(Recording, "take", lambda *args: (taken.append(1), take(*args)))
    tiny.sample(soft_pag(sd3.model, "L2", end_percent=0.5), sd3.positive, steps=6)
    assert 0 < len(taken) < 6
    taken.clear()
    tiny.sample(soft_pag(sd3.model, "L2", scale=0.0), sd3.positive, steps=6)
    tiny.sample(soft_pag(sd3.model, "L0", end_percent=0.5), sd3.positive, steps=6)
    assert not taken


@pytest.mark.parametrize("sampler", ["euler_ancestral", "heun", "uni_pc", "dpmpp_sde"])
def test_under_samplers_with_several_calls_a_step(flux, sampler):
    model = soft_pag(flux.model, "L3H0")
    reused, whole, rows, all_rows = both(model, lambda m: tiny.sample(m, flux.positive, sampler=sampler))
    assert torch.equal(reused, whole) and sum(rows) < sum(all_rows)


def test_several_conds_and_areas(sd3):
    """Each cond has a record of its own, of its own area."""
    second = tiny.conditioning(3)
    positive = [
        [sd3.positive[0][0], sd3.positive[0][1] | {"area": (8, 4, 0, 0)}],
        [second[0][0], second[0][1] | {"area": (8, 8, 0, 0), "strength": 0.5}],
        [second[0][0], second[0][1] | {"start_percent": 0.5}],
    ]
    for model in (soft_pag(sd3.model, "L2H1"), grouped(sd3.model, "L1H1", "L2H1", "L3H1")):
        reused, whole, rows, all_rows = both(model, lambda m: tiny.sample(m, positive, sd3.negative, 2.0, steps=4))
        assert torch.equal(reused, whole) and rows[0] < rows[3] == all_rows[3]


def test_prompts_of_other_lengths(sd3):
    negative = tiny.conditioning(2, tokens=10)
    reused, whole, _, _ = both(soft_pag(sd3.model, "L2H1"), lambda m: tiny.sample(m, sd3.positive, negative, 2.0))
    assert torch.equal(reused, whole)


def test_our_guider_spends_the_fewest_blocks(case):
    """Reuse where a prefix is there to be saved, one call with all rows where not; the results are the stock guider's."""
    for heads, passes in {
        ("L2H1",): [2, 2, 3, 3],
        ("L0H1",): [3, 3, 3, 3],
        ("L1H1", "L3H0"): [2, 3, 3, 4],
        ("L0H1", "L3H0"): [3, 3, 3, 4],
        ("L0H1", "L0H0"): [4, 4, 4, 4],
    }.items():
        model = grouped(case.model, *heads)

        def run(m):
            return custom(HeadHunterGuider.execute(m, case.positive, 2.0, case.negative)[0])

        reused, whole, rows, _ = both(model, run)
        assert close(reused, whole) and close(
            reused, custom(tiny.host_node(CFGGuider, model, case.positive, case.negative, 2.0))
        )
        assert rows == [STEPS * each for each in (*passes, *passes[-1:] * (case.layers - 4))]


def test_rows_with_heads_of_their_own(case):
    model = add_group(case.model, Group("", 2.0, 1.0), [{Head(2, 0): None}, {Head(3, 1): None}])
    reused, whole, rows, all_rows = both(model, lambda m: tiny.sample(m, case.positive, batch=2))
    assert torch.equal(reused, whole) and rows[0] == rows[1] == all_rows[0] / 2
    model = add_group(model, Group("", -1.0, 1.0), [{Head(1, 0): None}, {Head(1, 1): 0.5}])
    reused, whole, rows, all_rows = both(model, lambda m: tiny.sample(m, case.positive, batch=2))
    assert torch.equal(reused, whole)
    assert rows[:4] == [each * all_rows[0] / 3 for each in (1, 2, 3, 3)]


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_another_packs_replacement(case, layer):
    """Of a block that would be skipped: it must be seen in the perturbed pass, so nothing is skipped."""
    seen = []

    def other_pack(args, extra):
        seen.append(1)
        out = extra["original_block"](args)
        return out | {"img": out["img"] * 1.1}

    model = case.model.clone()
    model.set_model_patch_replace(other_pack, "dit", *Architecture.of(model).key(layer))
    reused, whole, rows, all_rows = both(soft_pag(model, "L2H1"), lambda m: tiny.sample(m, case.positive))
    assert torch.equal(reused, whole) and len(seen) == 4 * STEPS
    assert (rows == all_rows) is (layer < 2)


def test_other_guidance_that_evaluates_the_same_cond(sd3):
    """Core's SkipLayerGuidanceSD3 evaluates the conditional again, with layers left out: not what our pass starts from."""

    def skip(model):
        return tiny.host_node(SkipLayerGuidanceSD3, model, "0, 1", 2.0, 0.0, 1.0)

    for model in (soft_pag(skip(sd3.model), "L2H1"), skip(soft_pag(sd3.model, "L2H1"))):
        reused, whole, rows, all_rows = both(model, lambda m: tiny.sample(m, sd3.positive, sd3.negative, 2.0))
        assert torch.equal(reused, whole) and sum(rows) < sum(all_rows)


def test_a_taken_evaluation_slot(sd3):
    def slot(args):
        options = {**args["model_options"]}
        options["transformer_options"] = {**options["transformer_options"], "optimized_attention_override": strange}
        return comfy.samplers.calc_cond_batch(args["model"], args["conds"], args["input"], args["sigma"], options)

    def strange(func, *args, **kwargs):
        return func(*args, **kwargs) * 0.9

    model = soft_pag(sd3.model, "L2H1")
    model.set_model_sampler_calc_cond_batch_function(slot)
    reused, whole, rows, all_rows = both(model, lambda m: tiny.sample(m, sd3.positive))
    assert torch.equal(reused, whole) and rows == all_rows


def test_context_windows(sd3):
    """A cond then runs several times a step, on other parts of the latent each time."""
    handler = comfy.context_windows.IndexListContextHandler(
        context_schedule=comfy.context_windows.get_matching_context_schedule(
            comfy.context_windows.ContextSchedules.STATIC_STANDARD
        ),
        fuse_method=comfy.context_windows.get_matching_fuse_method(comfy.context_windows.ContextFuseMethods.PYRAMID),
        context_length=4,
        context_overlap=2,
        dim=2,
    )
    model = grouped(sd3.model, "L2H1", "L3H1")
    model.model_options["context_handler"] = handler
    reused, whole, rows, all_rows = both(model, lambda m: tiny.sample(m, sd3.positive))
    assert torch.equal(reused, whole) and rows == all_rows and rows[0] > 3 * STEPS


def test_a_cache_leaves_no_stale_prefix(flux):
    """Where EasyCache answered for the conditional pass, there is no record of this step, and none of an earlier one is used."""
    cached = tiny.host_node(EasyCacheNode, flux.model, 0.2, 0.1, 0.95, False)
    for heads in (["L3H0"], ["L1H0", "L3H0"]):
        model = grouped(cached, *heads)
        reused, whole, rows, all_rows = both(model, lambda m: tiny.sample(m, flux.positive, steps=16))
        assert torch.equal(reused, whole) and rows[0] < all_rows[0] < 16 * (1 + len(heads))


@pytest.mark.parametrize("heads", [["L3H0"], ["L1H0", "L3H0"]], ids=["one group", "two groups"])
def test_compiled(flux, heads):
    """With the whole FLUX forward compiled in one graph: one each for the conditional pass and each start."""
    flux.model.model.memory_required = lambda *args, **kwargs: 1e30  # as in `both`

    def pytorch_attention(func, *args, **kwargs):
        return attention_pytorch.__wrapped__(*args, **kwargs)

    model = flux.model.clone()
    model.model_options.setdefault("transformer_options", {})["optimized_attention_override"] = pytorch_attention
    model = grouped(model, *heads)
    expected = tiny.sample(model, flux.positive, steps=8)
    results = []
    for patcher in (model, without(model)):
        compiled = patcher.clone()
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        set_torch_compile_wrapper(compiled, backend="eager", options={}, fullgraph=True)
        results.append(tiny.sample(compiled, flux.positive, steps=8))
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 4
    torch._dynamo.reset()
    assert torch.equal(*results) and close(results[0], expected)
