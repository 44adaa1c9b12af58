"""The registry; and a family that is added as one file, from the model to the page."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import comfy.supported_models
import pytest
import tiny
import torch
from full_size import FULL_SIZE
from gridpage import header_only
from headhunter_pack.headhunter import families
from headhunter_pack.headhunter.families import grid_of_shapes
from headhunter_pack.headhunter.grid import GridError
from headhunter_pack.headhunter.heads import canonical

from hosting.server import Server

ROOT = Path(__file__).parent.parent
ADDED = Path(__file__).parent / "data" / "families" / "hunyuan_video.py"


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("model", FULL_SIZE)
def test_files_of_full_size(model, prefix):
    grid = grid_of_shapes({prefix + name: shape for name, shape in FULL_SIZE[model].items()})
    assert grid.model == model and grid == families.grid_named(model)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("chroma", "nerf_blocks.0.norm.scale"),
        ("z-image", "dec_net.cond_embed.weight"),
        ("wan-14b", "vace_patch_embedding.weight"),
    ],
)
def test_siblings_with_other_parts_are_not_taken_for_them(model, key):
    with pytest.raises(GridError, match="no transformer in it"):
        grid_of_shapes(FULL_SIZE[model] | {key: (1, 2)})


def test_the_registry_is_consistent():
    assert [family.name for family in families.FAMILIES] and all(family.classes for family in families.FAMILIES)
    classes = [name for family in families.FAMILIES for name in family.classes]
    ids = [size.id for family in families.FAMILIES for size in family.sizes]
    assert len(set(classes)) == len(classes) and len(set(ids)) == len(ids)
    for family in families.FAMILIES:
        letters = [run.letter for run in family.runs if run.letter]
        assert len(set(letters)) == len(letters) and not set(letters) & {"L", "H"}
        assert family.name in families.supported()


def test_known_but_not_yet_is_said_by_name():
    """Their classes are not in this host; one of such a name is refused with the family's own."""
    from headhunter_pack.headhunter.host.models import UnsupportedModel, grid_of

    for module, name in families.NOT_YET.items():
        kind = type("Transformer", (torch.nn.Module,), {"__module__": module + "model"})
        model = tiny.sd3()
        model.add_object_patch("diffusion_model", kind())
        with pytest.raises(UnsupportedModel, match=f"{name} yet"):
            grid_of(model)


# A family of a contributor's own.


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Path:
    """The pack with one more file in it."""
    folder = tmp_path_factory.mktemp("pack") / "extended"
    for name in ("headhunter", "nodes", "web", "presets", "locales"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "__init__.py", folder)
    shutil.copy(ADDED, folder / "headhunter" / "families")
    return folder


@pytest.fixture(scope="module")
def nodes(extended):
    """Its nodes, loaded as ComfyUI loads a pack."""
    location = str(extended / "__init__.py")
    spec = importlib.util.spec_from_file_location("extended_pack", location, submodule_search_locations=[str(extended)])
    module = importlib.util.module_from_spec(spec)
    sys.modules["extended_pack"] = module
    spec.loader.exec_module(module)
    yield importlib.import_module("extended_pack.nodes")
    for name in [name for name in sys.modules if name.split(".")[0] == "extended_pack"]:
        del sys.modules[name]


def hunyuan():
    """A tiny HunyuanVideo of 2 + 2 blocks x 2 heads."""
    config = {
        "image_model": "hunyuan_video", "in_channels": 16, "out_channels": 16, "patch_size": [1, 2, 2], "vec_in_dim": 768,
        "context_in_dim": tiny.CONTEXT, "hidden_size": 32, "mlp_ratio": 2.0, "num_heads": 2, "depth": 2, "depth_single_blocks": 2,
        "axes_dim": [4, 6, 6], "theta": 256, "qkv_bias": True, "guidance_embed": False, "byt5": False, "meanflow": False,
        "use_cond_type_embedding": False, "vision_in_dim": None,
    }  # fmt: skip
    return tiny.models._patcher(comfy.supported_models.HunyuanVideo(config), 0, torch.float32)


def test_an_added_family_is_guided(nodes):
    model, positive = hunyuan(), tiny.conditioning(1, 768)
    latent = torch.zeros(1, 16, 2, 8, 8)
    plain = tiny.sample(model, positive, latent_image=latent)
    outs = [
        tiny.sample(
            nodes.HeadHunterSoftPAG.execute(model, heads, 3.0, 0.7, tokens=tokens)[0], positive, latent_image=latent
        )
        for heads, tokens in [("P1H0, O0H1", "all"), ("L1H0, L2H1", "all"), ("P1H0, O0H1", "image")]
    ]
    assert torch.equal(outs[0], outs[1])
    assert all((out - plain).norm() / plain.norm() > 1e-4 for out in outs)
    assert (outs[0] - outs[2]).norm() / plain.norm() > 1e-5


@pytest.mark.live
def test_an_added_family_is_told_to_the_page(host, extended, tmp_path):
    shapes = {f"double_blocks.{i}.img_attn.norm.key_norm.scale": (128,) for i in range(20)}
    shapes |= {f"single_blocks.{i}.linear1.weight": (21504, 3072) for i in range(40)}
    shapes |= {
        "img_in.proj.weight": (3072, 16, 1, 2, 2),
        "txt_in.individual_token_refiner.blocks.0.norm1.weight": (3072,),
    }
    header_only(tmp_path / "diffusion_models" / "hunyuan.safetensors", shapes)
    with Server(host, pack=extended, models=[tmp_path]) as server:
        told = server.get("/headhunter/models")
        assert "HunyuanVideo" in [family["name"] for family in told["families"]]
        assert {"label": "HunyuanVideo", "grid": GRID} in told["grids"]
        grid = server.get("/headhunter/grid?folder=diffusion_models&name=hunyuan.safetensors")
        assert {name: grid[name] for name in GRID} == GRID
        description = json.dumps(server.get("/object_info/HeadHunterSoftPAG"))
        assert "HunyuanVideo" in description


GRID = {
    "model": "hunyuan-video",
    "layers": 60,
    "heads": 24,
    "kinds": ["pair"] * 20 + ["one"] * 40,
    "segments": [{"kind": "pair", "letter": "P", "count": 20}, {"kind": "one", "letter": "O", "count": 40}],
}


def test_letters_of_a_family_are_written_back_as_layers(nodes):
    grid = sys.modules["extended_pack.headhunter.families"].grid_named("hunyuan-video")
    assert canonical("o3h1, P2", grid) == "L2, L23H1"
