"""What other packs really do to a model, and what this one makes of it (docs/compatibility.md)."""

from __future__ import annotations

import logging

import comfy.patcher_extension
import pytest
import tiny
import torch
from guiding import close, soft_pag
from headhunter_pack.headhunter.host.guidance.forward import AttentionMismatch
from headhunter_pack.headhunter.host.models import UnsupportedModel, grid_of, transformer

DIFFUSION_MODEL = comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL


def warnings_of(caplog):
    return [record.message for record in caplog.records if "HeadHunter" in record.message]


class AllBlocks(torch.nn.Module):
    """WaveSpeed's First Block Cache: one module that runs all blocks."""

    def __init__(self, blocks):
        super().__init__()
        self.blocks = blocks

    def forward(self, context, x, **kwargs):
        for block in self.blocks:
            context, x = block(context, x, **kwargs)
        return context, x


def wave_speed(model):
    """A clone on which joint_blocks is one module while the model runs, as a unet function wrapper sees to it."""
    clone = model.clone()
    network = transformer(model)

    def wrapper(function, args):
        blocks = network.joint_blocks
        network.joint_blocks = torch.nn.ModuleList([AllBlocks(blocks)])
        try:
            return function(args["input"], args["timestep"], **args["c"])
        finally:
            network.joint_blocks = blocks

    clone.set_model_unet_function_wrapper(wrapper)
    return clone


def test_wave_speed_on_sd3_is_an_error_that_names_the_layer(sd3):
    """Without it, L0H3 would act on the whole column H3."""
    model = sd3.model()
    assert tiny.sample(wave_speed(model), sd3.conditioning(1)).isfinite().all()
    with pytest.raises(AttentionMismatch, match=r"layer L0 ran 4 times.*WaveSpeed"):
        tiny.sample(soft_pag(wave_speed(model), "L0H3"), sd3.conditioning(1))


def test_a_layer_whose_block_never_runs_is_an_error(sd3):
    """A pack that skips blocks by its own replacement leaves their heads unperturbed."""
    model = sd3.model()

    def skip(args, extra):
        return {"img": args["img"], "txt": args["txt"]}

    model.set_model_patch_replace(skip, "dit", "double_block", 2)
    with pytest.raises(AttentionMismatch, match="layer L2 did not run"):
        tiny.sample(soft_pag(model, "L1H0, L2H3"), sd3.conditioning(1))


def without_options(replacement):
    """A replacement called as TeaCache and WaveSpeed call it on FLUX: no transformer options in its args."""

    def call(args, extra):
        options = args["transformer_options"]
        original = extra["original_block"]
        bare = {name: value for name, value in args.items() if name != "transformer_options"}
        return replacement(bare, {"original_block": lambda given: original(given | {"transformer_options": options})})

    return call


@pytest.mark.parametrize("heads", ["L0H1", "L1H0, L3H2"])
def test_replacements_called_without_transformer_options_are_reported(flux, heads, caplog):
    def forward(executor, *args, **kwargs):
        options = next(a for a in (*args, *kwargs.values()) if isinstance(a, dict) and "patches_replace" in a)
        replaced = options["patches_replace"]["dit"]
        options["patches_replace"]["dit"] = {key: without_options(r) for key, r in replaced.items()}
        return executor(*args, **kwargs)

    model = flux.model()
    expected = tiny.sample(model, flux.conditioning(1))
    guided = soft_pag(model, heads)
    guided.add_wrapper_with_key(DIFFUSION_MODEL, "TeaCache", forward)
    with caplog.at_level(logging.WARNING):
        assert torch.equal(tiny.sample(guided, flux.conditioning(1)), expected)
    warnings = warnings_of(caplog)
    assert len(warnings) == 1 and "TeaCache" in warnings[0] and "no effect" in warnings[0]


def test_a_class_that_another_pack_left_on_the_module_is_seen_through(flux):
    """RES4LYF's patchers put classes of their own over the host's, and they stay after a run."""
    model = flux.model()
    expected = tiny.sample(soft_pag(model), flux.conditioning(1))
    network = transformer(model)
    kind = type(network)
    grid = grid_of(model)
    members = {name: value for name, value in vars(kind).items() if name not in ("__dict__", "__weakref__")}
    network.__class__ = type("ReFlux", (torch.nn.Module,), members | {"__module__": "res4lyf.models"})
    assert grid_of(model) == grid
    # `super()` in the class's own __init__ is not called again; its forward is what runs.
    assert close(tiny.sample(soft_pag(model), flux.conditioning(1)), expected)
    network.__class__ = kind


def test_a_subclass_of_the_hosts_own_that_no_family_names_is_refused():
    """It may look like its base and be laid out in another way, as the VACE and Radiance models are."""
    model = tiny.FAMILIES["wan"].model()
    network = transformer(model)
    kind = type(network)
    network.__class__ = type("VaceWanModel", (kind,), {"__module__": "comfy.ldm.wan.model"})
    with pytest.raises(UnsupportedModel, match="VaceWanModel"):
        grid_of(model)
    network.__class__ = kind


def test_both_passes_run_the_same_attention_backend(sd3):
    """Newer hosts leave the backend that a checkpoint asks for where an override is set: both passes have one, or neither."""
    model, seen = sd3.model(), []

    guided = soft_pag(model, "L0H1", end_percent=0.5)
    base = model.model
    original = base._apply_model

    def watched(x, t, c_concat=None, c_crossattn=None, control=None, transformer_options=None, **kwargs):
        seen.append("optimized_attention_override" in transformer_options)
        return original(x, t, c_concat, c_crossattn, control, transformer_options, **kwargs)

    base._apply_model = watched
    try:
        tiny.sample(guided, sd3.conditioning(1), steps=4)
    finally:
        del base._apply_model
    extra = len(seen) - 4  # two forwards in each guided step, one in each of the others
    assert 1 <= extra < 4 and seen == [True] * (2 * extra) + [False] * (4 - extra)
