"""The scoring nodes, executed directly, and their schemas against docs/design.md."""

from __future__ import annotations

from pathlib import Path

import folder_paths
import pytest
import tiny_clip
import torch
from comfy.clip_vision import ClipVisionModel
from comfy_api.v0_0_2 import io
from headhunter_pack.headhunter.host.scoring import files as scoring_files
from headhunter_pack.headhunter.host.scoring import models as scoring_models
from headhunter_pack.headhunter.scoring import combine, linear
from headhunter_pack.nodes import score_images, score_models, scorers
from safetensors import safe_open
from safetensors.torch import save_file

LOAD, TEXT, AESTHETIC = (
    score_models.HeadHunterLoadScoringModel,
    score_models.HeadHunterTextScorer,
    score_models.HeadHunterAestheticScorer,
)
REFERENCE, TASTE = scorers.HeadHunterReferenceScorer, scorers.HeadHunterTasteScorer
STATISTIC, COMBINE = scorers.HeadHunterStatisticScorer, scorers.HeadHunterCombineScorers
SCORE = score_images.HeadHunterScore
NODES = [LOAD, TEXT, AESTHETIC, REFERENCE, TASTE, STATISTIC, COMBINE, SCORE]

CONTRACT = {
    "HeadHunterLoadScoringModel": ("Load Scoring Model", {"file": "COMBO", "kind": "COMBO clip"}, ["HEADHUNTER_SCORING_MODEL"]),
    "HeadHunterTextScorer": (
        "Text Match Scorer", {"scoring_model": "HEADHUNTER_SCORING_MODEL", "text": "STRING ", "negative": "STRING "}, ["HEADHUNTER_SCORER"],
    ),
    "HeadHunterAestheticScorer": ("Aesthetic Scorer", {"scoring_model": "HEADHUNTER_SCORING_MODEL", "head_file": "COMBO"}, ["HEADHUNTER_SCORER"]),
    "HeadHunterReferenceScorer": (
        "Reference Image Scorer", {"clip_vision": "CLIP_VISION", "references": "IMAGE", "reduce": "COMBO mean"}, ["HEADHUNTER_SCORER"],
    ),
    "HeadHunterTasteScorer": (
        "Taste Scorer", {"clip_vision": "CLIP_VISION", "liked": "IMAGE", "save_as": "STRING ", "disliked": "IMAGE optional"}, ["HEADHUNTER_SCORER"],
    ),
    "HeadHunterStatisticScorer": (
        "Image Statistic Scorer", {"statistic": "COMBO brightness", "target": "COMBO high", "value": "FLOAT 0.5"}, ["HEADHUNTER_SCORER"],
    ),
    "HeadHunterCombineScorers": (
        "Combine Scorers",
        {"first": "HEADHUNTER_SCORER", "weight_1": "FLOAT 1.0", "second": "HEADHUNTER_SCORER", "weight_2": "FLOAT 1.0"},
        ["HEADHUNTER_SCORER"],
    ),
    "HeadHunterScore": ("Score Images", {"images": "IMAGE", "scorer": "HEADHUNTER_SCORER", "text": "STRING "}, ["FLOAT list", "STRING"]),
}  # fmt: skip


def described(item: io.Input) -> str:
    default = getattr(item, "default", None)
    return item.get_io_type() + ("" if default is None else f" {default}") + (" optional" if item.optional else "")


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.__name__)
def test_schemas_are_the_contract(node):
    schema = node.GET_SCHEMA()
    assert node.__bases__ == (io.ComfyNode,) and schema.node_id == node.__name__ and schema.category == "HeadHunter"
    name, inputs, outputs = CONTRACT[schema.node_id]
    assert schema.display_name == name and schema.description
    assert {item.id: described(item) for item in schema.inputs} == inputs
    assert [out.get_io_type() + (" list" if out.is_output_list else "") for out in schema.outputs] == outputs
    assert all(item.tooltip for item in [*schema.inputs, *schema.outputs])
    assert (node is SCORE) == bool(schema.is_output_node)
    node.GET_NODE_INFO_V1()
    assert (Path(__file__).parent.parent / "web" / "docs" / f"{schema.node_id}.md").is_file()


def test_every_node_of_this_table_is_here():
    assert {node.__name__ for node in NODES} == set(CONTRACT)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """models/image_scorers for one test."""
    for name, place in {"image_scorers": tmp_path / "image_scorers", "aesthetic": tmp_path / "aesthetic"}.items():
        place.mkdir()
        monkeypatch.setitem(folder_paths.folder_names_and_paths, name, ([str(place)], set()))
    folder_paths.filename_list_cache.clear()
    return tmp_path / "image_scorers"


@pytest.fixture
def tiny_towers(tmp_path, monkeypatch) -> None:
    """Lets the loader know the tiny configurations."""
    vision, text = (
        [tiny_clip.clip_config(tmp_path), tiny_clip.siglip_config(tmp_path)],
        [tiny_clip.text_config(tmp_path)],
    )
    load = scoring_models.load_scoring_model
    monkeypatch.setattr(score_models, "load_scoring_model", lambda path, kind: load(path, kind, vision, text))


@pytest.fixture
def vision(tmp_path) -> ClipVisionModel:
    """A CLIP_VISION of the tiny CLIP's weights, as another node would load it."""
    model = ClipVisionModel(str(tiny_clip.clip_config(tmp_path)))
    model.load_sd(tiny_clip.weights(tiny_clip.clip()))
    return model


def out(node, *args, **kwargs):
    with torch.inference_mode():  # as ComfyUI runs its nodes
        return node.execute(*args, **kwargs).args


# Folders.


def test_folders_are_added_and_what_others_registered_stays(tmp_path, monkeypatch):
    table: dict = {"aesthetic": ([str(tmp_path / "theirs")], {".pth"})}
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", table)
    for _ in range(2):
        scoring_files.register_folders()
    assert table["aesthetic"] == (
        [str(tmp_path / "theirs"), str(Path(folder_paths.models_dir) / "aesthetic")],
        {".pth"},
    )
    assert table["image_scorers"][0] == [str(Path(folder_paths.models_dir) / "image_scorers")]


def test_files_are_listed_by_ending_and_names_leave_no_folder(folder):
    for name in ("a.safetensors", "b.pth", "readme.md"):
        (folder / name).write_bytes(b"x")
    (folder.parent / "aesthetic" / "c.pt").write_bytes(b"x")
    (folder.parent / "secret.pt").write_bytes(b"x")
    options = {item.id: item.options for item in AESTHETIC.GET_SCHEMA().inputs if item.id == "head_file"}
    assert options == {"head_file": ["a.safetensors", "b.pth", "c.pt"]}
    assert scoring_files.find_file("c.pt", scoring_files.HEAD_FOLDERS) == folder.parent / "aesthetic" / "c.pt"
    for name in ("../secret.pt", str(folder.parent / "secret.pt"), "readme.md", "missing.pt"):
        with pytest.raises(ValueError, match="not among the files"):
            scoring_files.find_file(name, scoring_files.HEAD_FOLDERS)


# From file to score.


def test_load_text_and_score(folder, tiny_towers):
    save_file(tiny_clip.weights(tiny_clip.clip()), folder / "tiny.safetensors")
    (model,) = out(LOAD, "tiny.safetensors", "pickscore")
    images = tiny_clip.pictures(3)
    (scorer,) = out(TEXT, model)
    result = SCORE.execute(images, scorer, "a cat")
    scores, table = result.args
    assert len(scores) == 3 and all(isinstance(value, float) for value in scores)
    assert result.ui == {"text": [table]} and table.splitlines()[0].split()[:2] == ["image", "text"]
    assert out(SCORE, images[1:2], scorer, "a cat")[0] == scores[1:2]
    with pytest.raises(ValueError, match="no text"):
        SCORE.execute(images, scorer)
    (pair,) = out(TEXT, model, "good photo", "bad photo")
    assert all(0 <= value <= 1 for value in out(SCORE, images, pair)[0])
    with pytest.raises(ValueError, match="kind"):
        LOAD.execute("tiny.safetensors", "blip")
    with pytest.raises(ValueError, match="not among the files"):
        LOAD.execute("../tiny.safetensors")


def test_images_with_alpha_are_scored_by_their_colours():
    (scorer,) = out(STATISTIC, "warmth")
    images = tiny_clip.pictures(2)
    assert out(SCORE, torch.cat([images, images[..., :1]], -1), scorer) == out(SCORE, images, scorer)


def test_aesthetic_head_from_file(folder, tiny_towers):
    save_file(tiny_clip.weights(tiny_clip.clip()), folder / "tiny.safetensors")
    layers = {
        "layers.0.weight": torch.rand(5, 32),
        "layers.0.bias": torch.rand(5),
        "layers.2.weight": torch.rand(1, 5),
        "layers.2.bias": torch.rand(1),
    }
    torch.save(layers, folder.parent / "aesthetic" / "linear.pth")
    torch.save(layers, folder / "x-reluMSE.pth")
    torch.save({"weight": torch.rand(1, 768), "bias": torch.rand(1)}, folder / "sa_0_4_vit_l_14_linear.pth")
    (model,) = out(LOAD, "tiny.safetensors")
    (scorer,) = out(AESTHETIC, model, "linear.pth")
    images = tiny_clip.pictures(2)
    x = torch.stack([model.head_encoder().embed_image(images[i : i + 1]) for i in range(2)])
    by_hand = (x @ layers["layers.0.weight"].T + layers["layers.0.bias"]) @ layers["layers.2.weight"].T + layers[
        "layers.2.bias"
    ]
    assert out(SCORE, images, scorer)[0] == pytest.approx(by_hand.flatten().tolist(), abs=1e-5)
    with pytest.raises(ValueError, match=r"x-reluMSE\.pth.*relu"):
        AESTHETIC.execute(model, "x-reluMSE.pth")
    with pytest.raises(ValueError, match=r"sa_0_4.*768 numbers.*tiny\.safetensors gives 32"):
        AESTHETIC.execute(model, "sa_0_4_vit_l_14_linear.pth")
    with pytest.raises(ValueError, match=r'tiny\.safetensors: "\S+" is no linear layer'):
        AESTHETIC.execute(model, "tiny.safetensors")


def test_too_large_a_head_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(scoring_files, "MAX_HEAD_BYTES", 10)
    (folder / "large.pt").write_bytes(b"x" * 11)
    with pytest.raises(ValueError, match=r"large\.pt.*too many"):
        scoring_files.load_head("large.pt")


# Likeness and taste.


def test_reference(vision):
    images = tiny_clip.pictures(4)
    for reduce in ("mean", "max"):
        (scorer,) = out(REFERENCE, vision, images[:2], reduce)
        scores = out(SCORE, images, scorer)[0]
        assert min(scores[:2]) > max(scores[2:]) or reduce == "mean"
    assert scores[0] == pytest.approx(1, abs=1e-5)
    assert out(REFERENCE, vision, images[:2])[0].key == out(REFERENCE, vision, images[:2].clone())[0].key
    assert out(REFERENCE, vision, images[:2])[0].key != out(REFERENCE, vision, images[:3])[0].key
    assert out(TASTE, vision, images[:2])[0].key != out(TASTE, vision, images[:2], "", images[2:])[0].key
    with pytest.raises(ValueError, match="no pictures"):
        REFERENCE.execute(vision, images[:0])


def test_a_saved_taste_is_the_same_scorer_in_the_aesthetic_node(folder, tiny_towers, vision):
    save_file(tiny_clip.weights(tiny_clip.clip()), folder / "tiny.safetensors")
    liked, disliked, images = (tiny_clip.pictures(4, seed=seed) for seed in (1, 2, 3))
    (scorer,) = out(TASTE, vision, liked, "my taste", disliked)
    path = folder / "my taste.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert metadata == {"format": "headhunter-taste/1", "dim": "32", "liked": "4", "disliked": "4", "pooling": ""}
    assert path.stat().st_size < 10_000 and not list(folder.glob("*.part"))
    (model,) = out(LOAD, "tiny.safetensors")
    (again,) = out(AESTHETIC, model, "my taste.safetensors")
    assert out(SCORE, images, again)[0] == pytest.approx(out(SCORE, images, scorer)[0], abs=1e-6)
    assert min(out(SCORE, liked, scorer)[0]) > max(out(SCORE, disliked, scorer)[0])
    stamp = AESTHETIC.fingerprint_inputs(head_file="my taste.safetensors", scoring_model=None)
    (alone,) = out(TASTE, vision, liked, "my taste")  # replaced: it is a taste
    assert AESTHETIC.fingerprint_inputs(head_file="my taste.safetensors", scoring_model=None) != stamp
    assert all(-1.001 <= value <= 1.001 for value in out(SCORE, images, alone)[0])


def test_a_taste_of_another_model_is_refused(folder, tiny_towers, vision):
    other = tiny_clip.clip(seed=9)
    save_file(tiny_clip.weights(other), folder / "other.safetensors")
    out(TASTE, vision, tiny_clip.pictures(2), "mine")
    (model,) = out(LOAD, "other.safetensors")
    with pytest.raises(
        ValueError, match=r"mine\.safetensors was learned with another image model than other\.safetensors"
    ):
        AESTHETIC.execute(model, "mine.safetensors")


def test_a_siglip_taste_works_on_the_siglip_file(folder, tiny_towers, tmp_path):
    """ComfyUI's CLIP_VISION has no pooling head, the file has one: the taste remembers that it was learned on mean tokens."""
    weights = tiny_clip.weights(tiny_clip.siglip())
    save_file(weights, folder / "siglip.safetensors")
    tower = ClipVisionModel(str(tiny_clip.siglip_config(tmp_path)))
    tower.load_sd(weights)
    (scorer,) = out(TASTE, tower, tiny_clip.pictures(3, seed=1), "mine", tiny_clip.pictures(3, seed=2))
    (model,) = out(LOAD, "siglip.safetensors")
    (again,) = out(AESTHETIC, model, "mine.safetensors")
    images = tiny_clip.pictures(3, 40, 60)
    assert out(SCORE, images, again)[0] == pytest.approx(out(SCORE, images, scorer)[0], abs=1e-6)


@pytest.mark.parametrize("name", ["head", "head.safetensors", "../image_scorers/head"])
def test_save_as_replaces_no_other_file(name, folder, vision):
    save_file({"weight": torch.ones(1, 32), "bias": torch.ones(1)}, folder / "head.safetensors")
    before = (folder / "head.safetensors").read_bytes()
    if "/" in name:
        out(TASTE, vision, tiny_clip.pictures(2), name)
        assert (folder / "image_scorers_head.safetensors").is_file()
    else:
        with pytest.raises(ValueError, match="save_as.*no taste of HeadHunter"):
            TASTE.execute(vision, tiny_clip.pictures(2), name)
    assert (folder / "head.safetensors").read_bytes() == before
    assert {path.parent for path in folder.parent.rglob("*.safetensors")} == {folder}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("my taste", "my taste"),
        ("../../etc/passwd", "etc_passwd"),
        ("a/b\\c", "a_b_c"),
        ("x.safetensors", "x"),
        ("夕方", "夕方"),
        ("con", "con_"),
    ],
)
def test_taste_names_stay_in_their_folder(name, expected):
    assert scoring_files.file_name(name) == f"{expected}.safetensors"


@pytest.mark.parametrize("name", ["...", "/", "\x00", ".safetensors"])
def test_no_taste_name(name):
    with pytest.raises(ValueError, match="save_as"):
        scoring_files.file_name(name)


def test_a_taste_that_cannot_be_written(folder, vision):
    (folder / "mine.part").mkdir()
    with pytest.raises(ValueError, match="save_as: mine.safetensors cannot be written"):
        TASTE.execute(vision, tiny_clip.pictures(2), "mine")
    assert not (folder / "mine.safetensors").exists()


def test_a_taste_of_a_later_version_is_refused_by_name(folder):
    save_file(
        {"weight": torch.ones(1, 4), "bias": torch.ones(1)},
        folder / "new.safetensors",
        metadata={"format": "headhunter-taste/2"},
    )
    with pytest.raises(linear.LinearHeadError, match=r"new\.safetensors.*headhunter-taste/2"):
        scoring_files.load_head("new.safetensors")


# Statistics and combinations.


def test_combine_flattens_and_shows_every_part():
    (bright,), (warm,), (sharp,) = (out(STATISTIC, name) for name in ("brightness", "warmth", "sharpness"))
    (two,) = out(COMBINE, bright, 1.0, warm, 2.0)
    (three,) = out(COMBINE, two, 0.5, sharp, -1.0)
    assert isinstance(three, combine.CombinedScorer)
    assert three.components == ((bright, 0.5), (warm, 1.0), (sharp, -1.0))
    images = tiny_clip.pictures(2)
    scores, table = out(SCORE, images, three)
    raw = [out(SCORE, images, part)[0] for part in (bright, warm, sharp)]
    by_hand = [0.5 * raw[0][i] / 0.05 + raw[1][i] / 0.02 - raw[2][i] / 0.05 for i in range(2)]
    assert scores == pytest.approx(by_hand, rel=1e-4)
    assert all(name in table for name in ("brightness high", "warmth high", "sharpness high", "combined"))


def test_statistic_defaults():
    (scorer,) = out(STATISTIC)
    assert scorer.name == "brightness high"
