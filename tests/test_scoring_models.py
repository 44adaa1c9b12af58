"""Scoring models on ComfyUI's own towers: equal to transformers' on tiny weights, and clear about files that will not do."""

from __future__ import annotations

import inspect
import json
import math
import os
import pickle
import re
from pathlib import Path

import comfy.clip_model
import comfy.clip_vision
import comfy.ops
import pytest
import tiny_clip
import torch
from comfy.clip_vision import ClipVisionModel
from headhunter_pack.headhunter.host.scoring import models as scoring_models
from headhunter_pack.headhunter.host.scoring.files import read_weights
from headhunter_pack.headhunter.host.scoring.models import encoder_of
from headhunter_pack.headhunter.scoring.embedding import TextScorer
from headhunter_pack.headhunter.scoring.reference import ReferenceScorer, embed_all
from safetensors.torch import save_file

TEXTS = ["a red house", "(a red:1.3) house, embedding:none", "golden hour " * 60, "夕方の空"]
SIZE = tiny_clip.SIZE


@pytest.fixture
def files(tmp_path) -> tiny_clip.Files:
    return tiny_clip.Files(tmp_path)


@pytest.fixture(scope="module")
def hf():
    return tiny_clip.clip()


@pytest.fixture(scope="module")
def hf_weights(hf):
    return tiny_clip.weights(hf)


def unit(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(x.detach(), dim=-1)


def expected(hf, model, texts, images) -> tuple[torch.Tensor, torch.Tensor]:
    """transformers' image and text embeddings, for texts cut at 77 tokens and pictures of the tower's own size."""
    first = [model.clip.tokenize(text, disable_weights=True)["l"][0] for text in texts]
    ids = torch.tensor([[token for token, _ in chunk] for chunk in first])
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.vision.image_mean, model.vision.image_std))
    pixels = ((images * 255).round() / 255).movedim(-1, 1)
    out = hf(input_ids=ids, pixel_values=(pixels - mean) / std)
    return unit(out.image_embeds), unit(out.text_embeds)


@pytest.mark.parametrize("layout", ["transformers", "open_clip", "open_clip in a .pt"])
def test_both_towers_equal_transformers(layout, files, hf, hf_weights):
    if layout == "transformers":
        model = files.load(hf_weights)
    elif layout == "open_clip":
        model = files.load(tiny_clip.open_clip(hf_weights))
    else:
        path = files.folder / "HPS_v2.1_compressed.pt"
        torch.save({"state_dict": tiny_clip.open_clip(hf_weights), "iterations": 3}, path)
        model = files.read(path, "hpsv2")
    images = tiny_clip.pictures(3, SIZE, SIZE)
    image_embeds, text_embeds = expected(hf, model, TEXTS, images)
    encoder = model.text_match_encoder()
    mine = torch.stack([encoder.embed_image(images[i : i + 1]) for i in range(3)])
    assert (mine - image_embeds).abs().max() < 1e-5
    assert (torch.stack([model.embed_text(text) for text in TEXTS]) - text_embeds).abs().max() < 1e-5
    assert model.scale == pytest.approx(math.exp(3.5), rel=1e-6)
    assert (image_embeds[0] - image_embeds[1]).abs().max() > 0.01 and (
        text_embeds[0] - text_embeds[2]
    ).abs().max() > 0.01


def test_the_scores_are_the_formulas_of_transformers_embeddings(files, hf, hf_weights):
    images = tiny_clip.pictures(2, SIZE, SIZE)
    model = files.load(hf_weights, "pickscore")
    x, t = expected(hf, model, ["a cat", "bad photo"], images)
    cosines = (x @ t.T).tolist()
    scale = math.exp(3.5)
    assert TextScorer(model).score(images, ["a cat", "bad photo"]).tolist() == pytest.approx(
        [scale * cosines[0][0], scale * cosines[1][1]], abs=1e-4
    )
    pair = [1 / (1 + math.exp(scale * (b - a))) for a, b in cosines]
    assert TextScorer(model, "a cat", "bad photo").score(images, ["", ""]).tolist() == pytest.approx(pair, abs=1e-4)
    for kind in ("clip", "hpsv2"):  # the same picture for both, since it is a square of the tower's size
        scorer = TextScorer(files.load(hf_weights, kind), "a cat")
        assert scorer.score(images, ["", ""]).tolist() == pytest.approx([row[0] for row in cosines], abs=1e-5)


def test_hps_sees_the_whole_picture_and_clip_its_centre(files, hf_weights):
    wide = tiny_clip.pictures(1, SIZE, 3 * SIZE)
    other = wide.clone()
    other[:, :, :SIZE] = 1 - other[:, :, :SIZE]  # only the left third differs
    for kind, differs in {"clip": False, "pickscore": False, "hpsv2": True}.items():
        scorer = TextScorer(files.load(hf_weights, kind), "a cat")
        assert (scorer.score(wide, [""]) != scorer.score(other, [""])).item() is differs


def test_scores_do_not_depend_on_batch_mates_and_need_no_gradients(files, hf_weights):
    images = tiny_clip.pictures(3, 40, 60)
    scorer = TextScorer(files.load(hf_weights))
    together = scorer.score(images, TEXTS[:3])
    assert not together.requires_grad
    for i in range(3):
        assert torch.equal(scorer.score(images[i : i + 1], TEXTS[i : i + 1])[0], together[i])
    with torch.inference_mode():
        again = TextScorer(files.load(hf_weights, name="renamed.safetensors"))
        assert torch.equal(again.score(images.clone(), TEXTS[:3]), together)
    assert again.key == scorer.key


def test_keys_tell_weights_and_kinds_apart_but_not_names(files, hf_weights):
    other = hf_weights | {"visual_projection.weight": hf_weights["visual_projection.weight"] + 1}
    models = [files.load(hf_weights, name="a.safetensors"), files.load(hf_weights, "hpsv2"), files.load(other)]
    assert len({model.key for model in models}) == 3
    assert files.load(hf_weights, name="b.safetensors").key == models[0].key


@pytest.mark.parametrize("pooled", [True, False])
def test_siglip_pooling_head_equals_transformers(pooled, files):
    tower = tiny_clip.siglip()
    weights = tiny_clip.weights(tower)
    model = files.load({name: tensor for name, tensor in weights.items() if pooled or ".head." not in name})
    images = tiny_clip.pictures(2, SIZE, SIZE)
    out = tower(pixel_values=((images * 255).round() / 255).movedim(-1, 1) * 2 - 1)
    if pooled:
        encoder, theirs = model.head_encoder(), unit(out.pooler_output)
    else:
        with pytest.raises(ValueError, match=r'tiny\.safetensors.*"vision_model\.head\.probe" is missing'):
            model.head_encoder()
        encoder, theirs = model.head_encoder("tokens"), unit(out.last_hidden_state.mean(1))
    mine = torch.stack([encoder.embed_image(images[i : i + 1]) for i in range(2)])
    assert (mine - theirs).abs().max() < 1e-4  # ComfyUI's layer norms have eps 1e-5, SigLIP's 1e-6
    wide = tiny_clip.pictures(1, 28, 84)
    assert encoder.fit == "squash" and encoder.embed_image(wide).shape == (tiny_clip.WIDTH,)
    with pytest.raises(ValueError, match="no text tower"):
        TextScorer(model)


def test_a_broken_pooling_head_names_file_and_key(files):
    weights = tiny_clip.weights(tiny_clip.siglip())
    for name, says in {
        "vision_model.head.probe": "probe",
        "vision_model.head.layernorm.bias": "layernorm.bias",
    }.items():
        with pytest.raises(ValueError, match=rf"(?s)tiny\.safetensors.*{says}"):
            files.load({key: tensor for key, tensor in weights.items() if key != name})


@pytest.mark.parametrize("make", [tiny_clip.clip_config, tiny_clip.siglip_config, tiny_clip.dino_config])
def test_clip_vision_of_any_loader_is_an_encoder(make, tmp_path):
    """CLIP's projected embedding, SigLIP's mean token, DINOv2's CLS."""
    vision = ClipVisionModel(str(make(tmp_path)))
    tiny_clip.randomise(vision.model, 1)
    encoder = encoder_of(vision)
    images = tiny_clip.pictures(3, 40, 60)
    out = vision.encode_image(images[:1], crop=make is not tiny_clip.siglip_config)["image_embeds"].detach()
    theirs = out.mean(1) if out.ndim == 3 else out
    assert torch.allclose(encoder.embed_image(images[:1]), unit(theirs[0].float()))
    scorer = ReferenceScorer(encoder, embed_all(encoder, images[:1]))
    scores = scorer.score(images, [""] * 3)
    assert scores[0].item() == pytest.approx(1, abs=1e-5) and scores[1:].max() < 1 - 1e-5
    assert encoder.key == encoder_of(vision).key
    tiny_clip.randomise(vision.model, 2)
    assert encoder.key != encoder_of(vision).key


# Files that will not do.


def without(weights: dict, *names: str) -> dict:
    return {name: tensor for name, tensor in weights.items() if not name.startswith(names)}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda w: without(w, "vision_model", "visual_projection"), r"no image tower.*a text tower only"),
        (lambda w: without(tiny_clip.open_clip(w), "visual."), r"no image tower.*a text tower only"),
        (
            lambda w: {"model.diffusion_model.weight": torch.ones(2)},
            r'no image tower.*"model\.diffusion_model\.weight"',
        ),
        (lambda w: without(w, "visual_projection"), r'"visual_projection\.weight" is missing'),
        (lambda w: without(w, "vision_model.post_layernorm"), r'"vision_model\.post_layernorm\.\w+" is missing'),
        (
            lambda w: without(w, "vision_model.embeddings.position_embedding"),
            r'"vision_model\.embeddings\.position_embedding\.weight" is missing',
        ),
        (lambda w: without(w, "text_model.final_layer_norm"), r'"text_model\.final_layer_norm\.\w+" is missing'),
        (
            lambda w: without(w, "vision_model.encoder.layers.1"),
            r"1 layers, width 32 and 5 positions.*not supported; CLIP-L",
        ),
        (
            lambda w: w | {"visual_projection.weight": w["visual_projection.weight"] * math.nan},
            r'"visual_projection\.weight".*not finite',
        ),
        (
            lambda w: w | {"text_projection.weight": w["text_projection.weight"] * math.inf},
            r'"text_projection\.weight".*not finite',
        ),
        (
            lambda w: w | {"text_projection.weight": w["text_projection.weight"] * 0},
            r'"text_projection\.weight" is all 0',
        ),
        (
            lambda w: w | {"visual_projection.weight": torch.ones(7, 32)},
            r'"visual_projection\.weight" is \[7, 32\] and should be \[32, 32\]',
        ),
        (
            lambda w: w | {"text_model.final_layer_norm.bias": torch.ones(7)},
            r'"text_model\.final_layer_norm\.bias" is \[7\]|text tower does not fit',
        ),
        (lambda w: w | {"logit_scale": torch.tensor(math.nan)}, r"logit_scale"),
        (lambda w: {"encoder.layer.0.layer_scale2.lambda1": torch.ones(3)}, r"encoder\.layer\.0.*not supported"),
    ],
)
def test_bad_files_name_the_file_and_the_key(change, says, files, hf_weights):
    with pytest.raises(ValueError, match=rf"^tiny\.safetensors: .*{says}"):
        files.load(change(hf_weights))


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("text_projection",), r'"text_projection\.weight" is missing'),
        (("text_model", "text_projection"), "no text tower"),
    ],
)
def test_a_file_without_texts_is_fine_until_a_text_is_scored(names, says, files, hf_weights):
    model = files.load(without(hf_weights, *names))
    assert model.head_encoder().embed_image(tiny_clip.pictures(1)).shape == (tiny_clip.WIDTH,)
    with pytest.raises(ValueError, match=rf"^tiny\.safetensors: .*{says}"):
        TextScorer(model, "a cat")


def test_pickscore_without_logit_scale(files, hf_weights):
    with pytest.raises(ValueError, match=r'tiny\.safetensors.*"logit_scale"'):
        TextScorer(files.load(without(hf_weights, "logit_scale"), "pickscore"))
    assert (
        TextScorer(files.load(without(hf_weights, "logit_scale"), "clip"), "a", "b")
        .score(tiny_clip.pictures(1), [""])
        .item()
        <= 1
    )


def test_towers_of_different_models(files, hf_weights):
    """A text tower of another width than the picture's embedding."""
    config = tiny_clip.clip_config(files.folder, projection_dim=16)
    path = files.folder / "mixed.safetensors"
    save_file(hf_weights | {"visual_projection.weight": hf_weights["visual_projection.weight"][:16].contiguous()}, path)
    model = scoring_models.load_scoring_model(path, "clip", [config], [tiny_clip.text_config(files.folder)])
    with pytest.raises(ValueError, match="16 numbers and the text's 32"):
        TextScorer(model, "a")


class Malicious:
    def __reduce__(self):
        return (os.mkdir, ("ran",))


@pytest.mark.parametrize("name", ["evil.pt", "evil.pth", "evil.bin", "evil.ckpt", "evil.safetensors"])
def test_code_in_a_pickle_does_not_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"weight": torch.ones(1, 4)}, "extra": Malicious()}, tmp_path / name)
    (tmp_path / f"plain-{name}").write_bytes(pickle.dumps(Malicious()))
    for file in (name, f"plain-{name}"):
        with pytest.raises(ValueError, match=file):
            read_weights(tmp_path / file)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08" + b"\x00" * 7 + b"{}"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_files_that_are_no_weights(content, suffix, tmp_path):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="broken"):
        read_weights(path)


@pytest.mark.parametrize("value", [torch.ones(3), [torch.ones(3)], {"a": 1}, {}])
def test_pickles_that_hold_no_named_weights(value, tmp_path):
    torch.save(value, tmp_path / "odd.pt")
    with pytest.raises(ValueError, match=r"odd\.pt"):
        read_weights(tmp_path / "odd.pt")


# The layouts of the real files, by their keys and sizes alone.


def towers(vision: str, text: str) -> dict[str, torch.Tensor]:
    """All keys of a full CLIP file of one of ComfyUI's configurations, on no device."""
    comfy_folder = Path(inspect.getfile(comfy.clip_vision)).parent
    meta = torch.device("meta")
    weights = {"logit_scale": torch.tensor(4.6052)}
    for config, tower in {
        vision: comfy.clip_model.CLIPVisionModelProjection,
        text: comfy.clip_model.CLIPTextModel,
    }.items():
        if config:
            with torch.device(meta):
                module = tower(
                    json.loads((comfy_folder / config).read_text()), torch.float16, meta, comfy.ops.manual_cast
                )
            weights |= {name: tensor.to(meta) for name, tensor in module.state_dict().items()}
    return weights


@pytest.mark.parametrize("layout", ["transformers", "open_clip"])
@pytest.mark.parametrize(
    ("vision", "text", "width"),
    [
        ("clip_vision_config_vitl.json", "sd1_clip_config.json", 768),
        ("clip_vision_config_vitl_336.json", "sd1_clip_config.json", 768),
        ("clip_vision_config_h.json", "text_encoders/sd2_clip_config.json", 1024),  # PickScore v1, HPS v2 and v2.1
        ("clip_vision_config_g.json", "clip_config_bigg.json", 1280),
    ],
)
def test_full_size_layouts_are_known_by_their_keys(layout, vision, text, width):
    weights = towers(vision, text)
    given = (
        {f"module.{name}": tensor for name, tensor in tiny_clip.open_clip(weights).items()}
        if layout == "open_clip"
        else dict(weights)
    )
    parts = scoring_models.split(given, "x")
    assert parts.logit_scale == pytest.approx(4.6052)
    assert {name: tensor.shape for name, tensor in (parts.vision | parts.text).items()} == {
        name: tensor.shape for name, tensor in weights.items() if name != "logit_scale"
    }
    assert scoring_models.vision_config(parts.vision, "x").name == vision
    assert parts.text["text_projection.weight"].shape == (width, width)
    config = scoring_models.text_config(parts.text)
    assert config is not None and config.name == Path(text).name


@pytest.mark.parametrize("config", ["clip_vision_siglip_384.json", "clip_vision_siglip_512.json"])
def test_full_size_siglip_is_known_by_its_keys(config):
    parts = scoring_models.split(towers(config, ""), "x")
    assert scoring_models.vision_config(parts.vision, "x").name == config


def test_comfyui_is_found_in_a_way_that_scanners_read():
    """`comfy.x.__file__` reads as a name that ComfyUI does not have: comfy-import-guard then says that the pack will break."""
    for room in ("headhunter", "nodes"):
        for path in (Path(__file__).parent.parent / room).rglob("*.py"):
            assert not re.search(r"comfy[\w.]*\.__file__", path.read_text(encoding="utf-8")), path
