"""What the tests of hunts share: captions for the demo's models, its VAE, and what a search node is given. Fixtures of every test (conftest.py)."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import comfy.sd
import comfy.utils
import pytest
import tiny
from headhunter_pack.nodes import HeadHunterPrompt, HeadHunterSearch, HeadHunterStatisticScorer

CAPTIONS = ["fox face, google style, warm, blue background", "fox face, twitter style, dark, green background"]
VAE_FILE = Path(__file__).parent.parent / "demo" / "models" / "vae" / "headhunter_demo_vae.safetensors"


def load_vae():
    """The demo's VAE, loaded anew."""
    return comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(VAE_FILE)))


@pytest.fixture(scope="module")
def vae():
    return load_vae()


@pytest.fixture
def job(vae):
    """What a search node is given, on a model of 3 x 3 heads."""
    prompts = HeadHunterPrompt.execute(tiny.conditioning(1), "one", 5)[0]
    prompts = HeadHunterPrompt.execute(tiny.conditioning(2), "two", 6, previous=prompts)[0]
    scorer = HeadHunterStatisticScorer.execute("brightness", "high", 0.5)[0]
    return SimpleNamespace(
        model=tiny.sd3(depth=3), vae=vae, prompts=prompts, scorer=scorer, latent_image={"samples": tiny.latent()}
    )


def run(job, **settings):
    """The search node with few steps; gives heads, report data, images, chart."""
    settings = {"rounds": 2, "heads_per_round": 1, "steps": 2, "batch_size": 4} | settings
    heads, report, images, chart = HeadHunterSearch.execute(
        job.model, job.vae, job.prompts, job.scorer, job.latent_image, **settings
    ).args
    return SimpleNamespace(heads=heads, report=json.loads(report), images=images, chart=chart)
