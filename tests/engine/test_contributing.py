"""The worked examples of CONTRIBUTING.md do what it says they do."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from headhunter_pack.headhunter.heads import Head

TEXT = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```python\n# headhunter/([\w/]+)\.py[^\n]*\n(.*?)```", TEXT, re.DOTALL))


def run(place: str) -> dict[str, Any]:
    """The names after an example has run as if it stood at the end of that file; tables that it adds to are copies."""
    package, _, name = place.rpartition("/")
    within = "headhunter_pack.headhunter" + (f".{package}" if package else "")
    try:
        known = vars(importlib.import_module(f"{within}.{name}"))
    except ModuleNotFoundError:  # the example is a whole new file
        known = {}
    copied = {key: dict(value) if isinstance(value, dict) else value for key, value in known.items()}
    names = copied | {"__package__": within, "__name__": f"{within}.example"}
    exec(BLOCKS[place], names)  # noqa: S102  (our own text)
    return names


def test_a_family():
    family = run("families/my_dit")["FAMILY"]
    shapes = {f"model.layers.{i}.attn.norm_q.weight": (64,) for i in range(24)} | {"model.patch_in.weight": (1024, 64)}
    grid = family.grid_of_file(shapes)
    assert (grid.model, grid.layers, grid.heads) == ("my-dit-2b", 24, 16)
    assert family.grid_of_file({"img_in.weight": (8, 8)}) is None


def test_a_perturbation():
    q, k, v = torch.randn(3, 2, 5, 3, 4)
    attention = (torch.eye(5) + torch.full((5, 5), 1 / 5)) / 2
    explicit = (attention @ v.transpose(1, 2)).transpose(1, 2)
    rows, heads = slice(1, 4), torch.tensor([2, 0])
    names = run("perturbation")
    call = names["Attention"](v[:, rows][:, :, heads], q, k, v, heads, rows, None, 2.0, None, None)
    assert torch.allclose(names["OUTPUTS"]["half_uniform"](call), explicit[:, rows][:, :, heads], atol=1e-6)


def test_a_scorer():
    statistic = run("scoring/statistics")["STATISTICS"]["redness"]
    red = torch.zeros(3, 8, 8, dtype=torch.float64)
    red[0] = 1
    assert statistic.measure(red) == 1 and statistic.measure(torch.ones_like(red)) == 0.5 and statistic.unit > 0


def test_a_strategy():
    rounds = pytest.importorskip("headhunter_pack.headhunter.rounds")
    strategy = run("strategies")["STRATEGIES"]["first half"]
    asked = []

    def evaluate(sets, pairs):
        asked.append(len(sets) * len(pairs))
        return [[sum(head.layer + head.head / 10 for head in heads) for _ in pairs] for heads in sets]

    pool = rounds.HeadSet({Head(layer, head): None for layer in range(4) for head in range(2)})
    task = rounds.Task(evaluate, rounds.HeadSet(), pool, range(6), 2)
    measured = strategy.measure(task).measured
    best = sorted(measured, key=lambda candidate: (-len(measured[candidate].pairs), -measured[candidate].mean))[:2]
    assert [candidate.head for candidate in best] == [Head(3, 1), Head(3, 0)] and all(
        len(measured[candidate].pairs) == 6 for candidate in best
    )
    assert sum(asked) == strategy.evaluations(8, 6, 2)
