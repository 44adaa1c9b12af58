"""What a hunt has found, used: from its own grid and from the list of studies; its scores and its pool as two modes of one grid."""

from __future__ import annotations

from typing import Any

import pytest
from gridfixtures import everywhere
from gridpage import SD3, GridPage, soft_pag
from headhunter_pack.headhunter.families import grid_named
from headhunter_pack.headhunter.grid import describe
from headhunter_pack.headhunter.study import Row, open_study
from test_web_grid import WIRE
from test_web_menu import Menu

pytestmark = [pytest.mark.live, pytest.mark.browser]
GROUP = {
    "heads": "", "scale": 4.5, "strength": 0.25, "window": [0.0, 1.0], "rescale": 0.0, "tokens": "image",
    "perturbation": "uniform", "temperature": 2.0, "mix": "add", "end_scale": 1.0, "method": "in attention", "limit": 1.5,
}  # fmt: skip
HEADS = "L3H1@0.5, L4H2"
USED = {key: value for key, value in GROUP.items() if key != "window"} | {"heads": HEADS}
KSAMPLER = ("KSampler", {})
SEARCH = ("HeadHunterSearch", {"study": "sunset"})


def golden(page: GridPage) -> None:
    """A finished hunt of two rounds on SD3: in the second L4H2 adds most, though L5H5 has the higher score of those it was tried with."""
    grid = grid_named("sd3-medium")
    path = page.server.base / "output" / "headhunter" / "sunset.sqlite"
    if path.exists():
        return
    rounds = [
        {"round": 1, "chosen": ["L3H1@0.5"], "joint": {"mean": 0.75}, "gain": {"mean": 0.25}},
        {"round": 2, "chosen": ["L4H2"], "joint": {"mean": 0.875}, "gain": {"mean": 0.125}},
    ]
    with open_study(path, {"pairs": [{"text": "a lake", "seed": 1}], "search": {"pool": "*"}}) as study:
        study.put("about", {"grid": describe(grid), "scorers": [{"name": "golden hour", "unit": 1.0, "weight": 1.0}]})
        report = {"rounds": rounds, "baseline": {"mean": 0.5}, "heads": HEADS, "settings": {"group": GROUP}}
        study.put("report", report | {"grid": {"model": "sd3-medium", "layers": 24, "heads": 24}})
        study.add([Row("", 0, 0, "", (0.5,))])
        study.add([Row("L3H1@0.5", 0, 1, "L3H1@0.5", (0.75,)), Row("L5H5", 0, 1, "L5H5", (0.6,))])
        study.add([Row("L3H1@0.5, L4H2", 0, 2, "L4H2", (0.875,)), Row("L3H1@0.5, L5H5", 0, 2, "L5H5", (0.65,))])


@pytest.fixture
def hunted(grid) -> Menu:
    golden(grid)
    return Menu(grid)


def use(menu: Menu) -> None:
    menu.page.locator(".hh-bar button:not([hidden])", has_text="Use these heads").first.wait_for()
    menu.grid.button(2, "Use these heads")


def found(menu: Menu, before: dict[str, Any]) -> str:
    """The id of the node that is new."""
    menu.grid.until("async (count) => Object.keys((await app.graphToPrompt()).output).length > count", len(before))
    (made,) = menu.grid.prompt().keys() - before.keys()
    return made


@everywhere
def test_into_a_new_node_in_the_model_wire(hunted):
    hunted.graph([SD3, SEARCH, KSAMPLER], [(1, 0, 2, 0), (1, 0, 3, 0)])
    before = hunted.grid.prompt()
    use(hunted)
    made = found(hunted, before)
    hunted.settle(made, USED | {"model": ["1", 0]})
    hunted.settle(3, {"model": [made, 0]})
    hunted.settle(2, {"model": ["1", 0], "pool": "*"})
    hunted.says("in a new SoftPAG node")


def test_a_new_node_is_one_step_of_undo(hunted):
    hunted.graph([SD3, SEARCH, KSAMPLER], [(1, 0, 2, 0), (1, 0, 3, 0)])
    before = hunted.grid.prompt()
    use(hunted)
    found(hunted, before)
    hunted.undo(before)


def test_into_the_node_that_the_heads_go_to(hunted):
    hunted.graph([SD3, SEARCH, soft_pag(), KSAMPLER], [(1, 0, 2, 0), (1, 0, 3, 0), (3, 0, 4, 0)])
    hunted.page.evaluate(WIRE, [2, 3])
    before = hunted.grid.prompt()
    assert before["3"]["inputs"]["heads"] == ["2", 0]
    use(hunted)
    hunted.settle(3, USED)
    hunted.undo(before)


def test_into_the_selected_node(hunted):
    hunted.graph([SD3, SEARCH, soft_pag("L1"), soft_pag("L2")], [(1, 0, 2, 0), (1, 0, 3, 0), (1, 0, 4, 0)])
    hunted.page.evaluate("() => app.canvas.selectNode(app.graph.getNodeById(4))")
    use(hunted)
    hunted.settle(4, USED)
    assert hunted.inputs(3)["heads"] == "L1"


def test_from_the_list_of_studies(hunted):
    hunted.soft_pag("L9")
    before = hunted.grid.prompt()
    hunted.open()
    hunted.choose("Studies")
    hunted.ready("Studies")
    item = hunted.item("golden hour")
    assert item.locator("span").inner_text() == "golden hour"
    told = item.inner_text()
    assert "sd3-medium" in told and "gain +0.375" in told and "2 rounds" in told and "sunset" in told
    item.click()
    hunted.settle(2, USED)
    hunted.gone()
    hunted.undo(before)


def test_scores_and_pool_are_two_modes(hunted):
    hunted.graph([SD3, SEARCH], [(1, 0, 2, 0)])
    grid = hunted.grid
    grid.says(2, ".hh-legend", "round 2")
    grid.click(2, 4, 2)
    grid.page.mouse.move(*grid.spot(2, 4, 2))
    grid.says(2, ".hh-read", "for golden hour")
    assert hunted.inputs()["pool"] == "*"
    grid.button(2, "Edit pool")
    grid.says(2, ".hh-legend", "")
    grid.click(2, 4, 2)
    grid.until("() => hh.find(2).widgets.find((w) => w.name === 'pool').value.includes('L4H0-1, L4H3-23')")
    grid.button(2, "Scores")
    grid.says(2, ".hh-legend", "round 2")


def test_a_later_round_shows_what_it_adds_and_can_show_against_unguided(hunted):
    hunted.graph([SD3, SEARCH], [(1, 0, 2, 0)])
    grid = hunted.grid
    grid.says(2, ".hh-legend", "round 2, what each head adds")
    grid.page.mouse.move(*grid.spot(2, 5, 5))
    grid.says(2, ".hh-read", "score −0.1 more for golden hour")
    red, _, blue, _ = grid.colour(2, 5, 5)
    assert blue > red, "it took something away"
    grid.page.locator(".hh-legend button").click()
    grid.says(2, ".hh-legend", "round 2, against unguided 0.5")
    grid.page.mouse.move(*grid.spot(2, 5, 5))
    grid.says(2, ".hh-read", "score +0.15 for golden hour")
    grid.page.mouse.move(5, 500)
    red, _, blue, _ = grid.colour(2, 5, 5)
    assert red > blue
