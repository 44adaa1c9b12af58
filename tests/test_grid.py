"""Grids from checkpoint headers, and from models that ComfyUI's own detection builds."""

import json
import os
from pathlib import Path

import pytest
import tiny
import torch
from headers import diffusers_flux, diffusers_sd3, headed, native_flux, native_sd3
from headhunter_pack.headhunter.checkpoint import grid_from_file
from headhunter_pack.headhunter.families import grid_named, grid_of_shapes
from headhunter_pack.headhunter.grid import GridError
from headhunter_pack.headhunter.host.models import UnsupportedModel, grid_of
from safetensors.torch import save_file


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model.", "transformer."])
@pytest.mark.parametrize(
    ("shapes", "model", "layers", "heads"),
    [
        (native_sd3(24), "sd3-medium", 24, 24),
        (native_sd3(24, dual=13), "sd3.5-medium", 24, 24),
        (native_sd3(38), "sd3.5-large", 38, 38),
        (native_sd3(5), "sd3-5x5", 5, 5),
        (native_flux(19, 38, 3072), "flux1", 57, 24),
        (native_flux(19, 38, 3072, norm="weight"), "flux1", 57, 24),
        (native_flux(8, 48, 6144), "flux2", 56, 48),
        (native_flux(5, 20, 3072), "flux2-klein-4b", 25, 24),
        (diffusers_sd3(24), "sd3-medium", 24, 24),
        (diffusers_sd3(24, dual=13), "sd3.5-medium", 24, 24),
        (diffusers_sd3(38), "sd3.5-large", 38, 38),
        (diffusers_flux(19, 38, 3072), "flux1", 57, 24),
    ],
)
def test_shapes(prefix, shapes, model, layers, heads):
    grid = grid_of_shapes({prefix + name: shape for name, shape in shapes.items()})
    assert (grid.model, grid.layers, grid.heads) == (model, layers, heads)


def test_kinds():
    grid = grid_named("flux1")
    assert (grid.kinds.count("double"), grid.kinds[18], grid.kinds[19], len(grid.kinds)) == (19, "double", "single", 57)
    assert grid_named("sd3-medium").kinds == ("joint",) * 24


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        {"first_stage_model.decoder.conv_in.weight": (512, 16, 3, 3)},
        native_flux(19, 38, 3072)
        | {"distilled_guidance_layer.a": (1,), "nerf_blocks.0.norm.scale": (64,)},  # on pixels
        native_flux(20, 40, 3072) | {"txt_in.individual_token_refiner.blocks.0.norm1.weight": (3072,)},  # HunyuanVideo
        {name: shape for name, shape in native_sd3(24).items() if ".7." not in name},  # a block is missing
        native_flux(19, 38, 3072) | {"img_in.weight": (98304, 1)},  # quantised, so that no width can be told
        native_sd3(24) | {"x_embedder.proj.weight": (1,)},
    ],
)
def test_what_is_not_a_grid(shapes):
    with pytest.raises(GridError):
        grid_of_shapes(shapes)


def test_file(tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_file({f"model.diffusion_model.{n}": torch.zeros(s) for n, s in native_sd3(2).items()}, path)
    assert grid_from_file(path).model == "sd3-2x2"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x05",
        b"\xff" * 64,
        (3).to_bytes(8, "little") + b"{{{",
        (2).to_bytes(8, "little") + b"[]",
        (20).to_bytes(8, "little") + b'{"a": {"shape": 3}} ',
        (9 * 2**20).to_bytes(8, "little") + b" " * 100,
        (200_000).to_bytes(8, "little") + b"[" * 200_000,
        (1000).to_bytes(8, "little") + b'{"a": {"shape": [1]}}',  # cut short
        *map(
            headed,
            (
                '{"double_blocks.00000.img_attn.norm.key_norm.scale": {"shape": [4]}}',
                '{"double_blocks.%s.img_attn.norm.key_norm.scale": {"shape": [4]}}' % ("9" * 5000),
                '{"double_blocks.\u0663.img_attn.norm.key_norm.scale": {"shape": [4]}}',
                '{"a": {"shape": [Infinity]}}',
                '{"a": {"shape": [NaN]}}',
                '{"a": {"shape": [1e999]}}',
                '{"a": {"shape": [-1]}}',
                '{"a": {"shape": [true]}}',
                '{"a": {"shape": [%s]}}' % ("9" * 5000),
                '{"a": {"shape": [1]}, "a": {"shape": [2]}}',
                '{"__metadata__": {}, "__metadata__": {}}',
                '{"a": {"shape": [1], "shape": [2]}}',
                '{"a\\ud800": {"shape": [1]}}',
                json.dumps(
                    {
                        name: {"shape": shape}
                        for name, shape in (native_flux(2, 3, 48, 16) | {"img_in.weight": (0, 64)}).items()
                    }
                ),
                json.dumps({name: {"shape": shape} for name, shape in native_flux(2, 3, 48, 0).items()}),
                json.dumps({name: {"shape": shape} for name, shape in native_flux(2, 3, 2**40, 1).items()}),
            ),
        ),
    ],
    ids=range(25),
)
def test_bad_file(tmp_path, content):
    path = tmp_path / "strange.safetensors"
    path.write_bytes(content)
    with pytest.raises(GridError, match="strange.safetensors"):
        grid_from_file(path)


def broken_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


@pytest.mark.parametrize(
    "make", [broken_link, os.mkfifo, Path.mkdir, lambda path: None], ids=["link", "pipe", "folder", "none"]
)
def test_what_is_no_file(tmp_path, make):
    """Each is refused at once: reading a pipe that nobody writes would never end."""
    path = tmp_path / "strange.safetensors"
    make(path)
    with pytest.raises(GridError, match="strange.safetensors"):
        grid_from_file(path)


def test_header_over_the_limit_is_refused(tmp_path):
    path = tmp_path / "big.safetensors"
    header = json.dumps(
        {f"t{i}": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for i in range(160_000)}
    ).encode()
    assert len(header) > 8 * 2**20
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(GridError, match="header is over"):
        grid_from_file(path)


def test_loaded_models():
    assert str(grid_of(tiny.sd3(depth=3))) == "sd3-3x3 (3 layers x 3 heads)"
    assert grid_of(tiny.sd3(dual=(0,))).kinds == ("joint",) * 4
    flux = grid_of(tiny.flux(double=2, single=3, heads=3))
    assert (flux.model, flux.kinds, flux.heads) == ("flux-2+3x3", ("double",) * 2 + ("single",) * 3, 3)


def test_header_and_loaded_model_agree():
    for model in (tiny.sd3(depth=3, dual=(1,)), tiny.flux()):
        shapes = {name: tuple(t.shape) for name, t in model.model.diffusion_model.state_dict().items()}
        assert grid_of_shapes(shapes) == grid_of(model)


def test_other_models_are_refused_by_class_name():
    import comfy.supported_models

    config = comfy.supported_models.AuraFlow(
        {
            "cond_seq_dim": 32,
            "dim": 64,
            "n_layers": 2,
            "n_double_layers": 1,
            "n_heads": 2,
            "global_conddim": 64,
            "max_seq": 64,
        }
    )
    model = tiny.models._patcher(config, 0)
    with pytest.raises(UnsupportedModel, match=type(model.model.diffusion_model).__name__):
        grid_of(model)
