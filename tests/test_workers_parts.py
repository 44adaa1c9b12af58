"""What a hunt on workers is made of, without a Ray: the part of a graph, command lines, what is refused, what comes back."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict
from types import SimpleNamespace

import pytest
import tiny
import torch
from comfy_execution.graph import DynamicPrompt
from comfy_execution.utils import CurrentNodeContext
from headhunter_pack.headhunter.guidance import Group
from headhunter_pack.headhunter.host.generation.generate import Generator, Sampling
from headhunter_pack.headhunter.host.hunting.jobs import GradientJob, Maker, PictureJob
from headhunter_pack.headhunter.host.hunting.workers.arguments import FOLDERS, OWN, without
from headhunter_pack.headhunter.host.hunting.workers.graph import part_of
from headhunter_pack.headhunter.host.hunting.workers.plan import NoRay, Workers
from headhunter_pack.headhunter.host.hunting.workers.returned import BadReturn, checked
from headhunter_pack.headhunter.host.hunting.workers.wire import received, sampling_of, sent, versions
from headhunter_pack.headhunter.host.models import grid_of
from headhunter_pack.nodes import HeadHunterSearch, HeadHunterWorkers
from test_live_hunt import hunt


def test_without_ray_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(NoRay, match=r"pip install ray"):
        HeadHunterWorkers.execute()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"address": " "}, "address is empty"),
        ({"workers": -1}, "workers is -1"),
        ({"gpus_per_worker": 1.5}, "gpus_per_worker is 1.5"),
        ({"gpus_per_worker": 0.0}, "set how many workers"),
    ],
)
def test_a_plan_that_cannot_be(settings, words):
    with pytest.raises(ValueError, match=words):
        Workers(**settings)


def hidden(prompt: dict, node: str = "9") -> SimpleNamespace:
    return SimpleNamespace(dynprompt=DynamicPrompt(prompt), unique_id=node, extra_pnginfo={"workflow": 1})


NAMES = ("model", "vae", "prompts", "scorer", "latent_image")


def test_the_part_of_the_graph_is_what_leads_to_the_inputs():
    given = hidden(hunt("x") | {"20": {"class_type": "SaveImage", "inputs": {"images": ["9", 3]}}})
    with CurrentNodeContext("p", "9", 1):
        part = part_of(given, NAMES)
    assert set(part.nodes) == {"1", "2", "3", "4", "5", "6", "7", "8"} and part.index == 1
    assert part.links["prompts"] == ["6", 0] and part.extra == {"extra_pnginfo": {"workflow": 1}}
    assert set(part_of(given, ["model"]).nodes) == {"1"}


def test_nodes_that_other_nodes_made_are_in_the_part():
    given = hidden(hunt("x", model=["made", 0]))
    loader = {
        "class_type": "UNETLoader",
        "inputs": {"unet_name": "a", "weight_dtype": "default"},
        "is_changed": math.nan,
    }
    given.dynprompt.add_ephemeral_node("made", loader, "1", "1")
    part = part_of(given, ["model"])
    assert part.nodes == {"made": {"class_type": "UNETLoader", "inputs": loader["inputs"]}}


def test_workers_need_a_queued_workflow(job):
    with pytest.raises(ValueError, match="queue a workflow"):
        HeadHunterSearch.execute(
            job.model, job.vae, job.prompts, job.scorer, job.latent_image, workers=Workers(workers=1, gpus_per_worker=0)
        )


def test_a_worker_gets_what_decides_pictures_and_not_what_belongs_to_this_server():
    given = "--listen 0.0.0.0 --port 1 --force-fp16 --base-directory /a --cuda-device=1 --fast a b --enable-manager --cpu".split()
    assert without(given, OWN) == "--force-fp16 --base-directory /a --fast a b --cpu".split()
    assert without(given, OWN | FOLDERS) == "--force-fp16 --fast a b --cpu".split()


def test_another_version_of_a_node_is_another_worker():
    mine = versions(["UNETLoader", "VAELoader"])
    assert set(mine) == {"ComfyUI", "HeadHunter"}


@pytest.fixture
def made(job):
    """Real jobs with what they really give: scores of two sets on two pairs, and gradients."""
    generator = Generator(
        job.model, job.vae, job.latent_image, Sampling(Group("", 3.0, 1.0), 1.0, 2, "euler", "simple")
    )
    maker = Maker(generator, job.prompts, job.scorer, grid_of(job.model))
    pictures = PictureJob(("L0H1", ""), (0, 1), (False, True))
    gradients = GradientJob("", "L1", (1,), (1.0,))
    with torch.inference_mode():
        return maker, pictures, [asdict(picture) for picture in maker(pictures)], gradients, maker(gradients)


def test_what_a_worker_gives_is_what_is_made_here(made):
    maker, pictures, rows, gradients, numbers = made
    assert [asdict(picture) for picture in checked(pictures, rows, 1, maker.grid)] == rows
    assert checked(gradients, numbers, 1, maker.grid) == numbers and len(numbers[0]) == 3
    assert received(sent(pictures)) == pictures and received(sent(gradients)) == gradients
    assert sampling_of(asdict(maker.generator.sampling)) == maker.generator.sampling
    broken = [row | {"scores": (math.nan,)} for row in rows]  # a broken picture has no score
    assert math.isnan(checked(pictures, broken, 1, maker.grid)[0].scores[0])


BAD = {
    "too few": lambda rows: rows[:-1],
    "no list": lambda rows: {"rows": rows},
    "another pair": lambda rows: [rows[0] | {"pair": 1}, *rows[1:]],
    "another set": lambda rows: [rows[0] | {"heads": "L2"}, *rows[1:]],
    "infinite": lambda rows: [rows[0] | {"scores": (math.inf,)}, *rows[1:]],
    "text for a score": lambda rows: [rows[0] | {"scores": ("1.0",)}, *rows[1:]],
    "two scores": lambda rows: [rows[0] | {"scores": (1.0, 2.0)}, *rows[1:]],
    "no preview": lambda rows: [rows[0] | {"preview": b"GIF89a"}, *rows[1:]],
    "a picture too many": lambda rows: [rows[0] | {"picture": rows[1]["picture"]}, *rows[1:]],
    "a picture too few": lambda rows: [rows[0], rows[1] | {"picture": None}, *rows[2:]],
    "a distortion too many": lambda rows: [rows[0] | {"distortion": 0.1}, *rows[1:]],
    "more fields": lambda rows: [rows[0] | {"x": 1}, *rows[1:]],
}


@pytest.fixture(scope="module")
def bad_rows():
    """Rows as a worker gives them, of pictures of 8 x 8 pixels."""
    from headhunter_pack.headhunter.host.generation.pictures import png, preview

    image = torch.zeros(8, 8, 3)
    whole = {"": png(image), "L0H1": None}
    return [
        {
            "heads": heads,
            "pair": pair,
            "scores": (0.5,),
            "preview": preview(image),
            "picture": whole[heads],
            "distortion": None,
        }
        for pair in (0, 1)
        for heads in ("L0H1", "")
    ]


@pytest.mark.parametrize("name", BAD)
def test_what_no_worker_of_ours_gives_is_refused(bad_rows, name):
    pictures, grid = PictureJob(("L0H1", ""), (0, 1), (False, True)), grid_of(tiny.sd3(depth=3))
    assert len(checked(pictures, bad_rows, 1, grid)) == 4
    with pytest.raises(BadReturn):
        checked(pictures, BAD[name](bad_rows), 1, grid)


@pytest.mark.parametrize("rows", [[], [[0.1, 0.2]], [[0.1, 0.2, math.inf]], [[0.1, 0.2, None]]])
def test_gradients_that_no_worker_of_ours_gives_are_refused(rows):
    with pytest.raises(BadReturn):
        checked(GradientJob("", "L1", (1,), (1.0,)), rows, 1, grid_of(tiny.sd3(depth=3)))
