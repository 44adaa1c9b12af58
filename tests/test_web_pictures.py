"""Pictures of heads on the grid: picked from the studies of its model, in its cells, and on a card beside it."""

from __future__ import annotations

from io import BytesIO

import pytest
from gridfixtures import everywhere
from gridpage import FLUX, SD3, GridPage, soft_pag
from headhunter_pack.headhunter.families import grid_named
from headhunter_pack.headhunter.grid import describe
from headhunter_pack.headhunter.study import Row, open_study
from PIL import Image
from test_web_menu import Menu

pytestmark = [pytest.mark.live, pytest.mark.browser]
PROMPTS = ["a lake in the morning", "a town at night"]
COLOURS = {"L3H1": ("#ff0000", "#00ff00"), "L4H2": ("#0000ff", "#ffff00"), "L40H5": ("#ff0000", "#ff0000")}


def jpeg(colour: str) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (48, 48), colour).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def pictured(page: GridPage, name: str, model: str) -> None:
    """A hunt with pictures of a few heads on two prompts; L3H1 scores +0.25."""
    path = page.server.base / "output" / "headhunter" / f"{name}.sqlite"
    if path.exists():
        return
    identity = {"pairs": [{"text": text, "seed": 1} for text in PROMPTS], "search": {"pool": "*"}}
    with open_study(path, identity) as study:
        study.put(
            "about", {"grid": describe(grid_named(model)), "scorers": [{"name": "warmth", "unit": 1.0, "weight": 1.0}]}
        )
        study.add([Row("", pair, 0, "", (0.5,), jpeg("#808080")) for pair in range(2)])
        study.add(
            [Row(head, pair, 1, head, (0.75,), jpeg(two[pair])) for head, two in COLOURS.items() for pair in range(2)]
        )


@pytest.fixture
def pictures(grid) -> Menu:
    pictured(grid, "warm lake", "sd3-medium")
    pictured(grid, "warm flux", "flux1")
    return Menu(grid)


def pick(menu: Menu, study: str) -> None:
    menu.page.locator(".hh-bar .hh-pick:not([hidden])").first.click()
    menu.ready("Pictures of heads")
    menu.item(study).click()
    menu.gone()


def card(menu: Menu, words: str) -> None:
    menu.grid.until(
        "(words) => document.querySelector('.hh-card')?.innerText.includes(words)",
        words,
        lambda: f"the card says {menu.page.locator('.hh-card').all_inner_texts()}",
    )


def near(colour: tuple[int, ...], red: int, green: int, blue: int) -> bool:
    return all(abs(a - b) < 40 for a, b in zip(colour, (red, green, blue), strict=False))


@everywhere
def test_picked_they_are_in_the_cells_and_on_a_card(pictures):
    menu, grid = pictures, pictures.grid
    menu.soft_pag("")
    before = grid.prompt()
    grid.page.mouse.move(*grid.spot(2, 3, 1))
    grid.says(2, ".hh-read", "L3 H1")
    assert "warmth" not in grid.text(2, ".hh-read"), "a score of a study that nobody named"
    menu.page.locator(".hh-bar .hh-pick:not([hidden])").first.click()
    menu.ready("Pictures of heads")
    told = menu.item("warm lake").inner_text()
    assert told.startswith("warmth") and "warm lake" in told and "8 pictures" in told
    assert "warm flux" not in " ".join(menu.page.locator(".hh-menu [role=menuitem]").all_inner_texts())
    menu.item("warm lake").click()
    menu.gone()
    grid.page.mouse.move(5, 500)
    grid.until("() => { const [r, g, b] = hh.colour(2, 3, 1); return r > 200 && g < 60 && b < 60 }")
    assert near(grid.colour(2, 4, 2), 0, 0, 255)
    grid.says(2, ".hh-pick", "warmth")
    # The card: beside the grid, with the score and where it is from.
    grid.page.mouse.move(*grid.spot(2, 3, 1))
    for words in ("+0.25 warmth, against unguided", "study warm lake", "prompt 1 of 2", PROMPTS[0], "L3H1", "unguided"):
        card(menu, words)
    grid.says(2, ".hh-read", "+0.25 for warmth in warm lake")
    apart = """() => { const a = document.querySelector('.hh-card').getBoundingClientRect(), b = hh.root(2).querySelector('canvas').getBoundingClientRect();
      return (a.left >= b.right || a.right <= b.left) && a.width > 300 && [...document.querySelectorAll('.hh-card img')].every((i) => i.complete && i.naturalWidth) }"""
    grid.until(apart)
    # Another prompt, with its own pictures in the cells too.
    menu.page.locator(".hh-card button").last.click()
    card(menu, PROMPTS[1])
    grid.until("() => { const [r, g, b] = hh.colour(2, 3, 1); return g > 200 && r < 60 && b < 60 }")
    assert grid.prompt() == before
    pick(menu, "Off")
    grid.page.mouse.move(5, 500)
    grid.until("() => { const [r, g, b] = hh.colour(2, 3, 1); return Math.abs(r - g) < 30 }")
    grid.page.mouse.move(*grid.spot(2, 3, 1))
    grid.until("() => !document.querySelector('.hh-card')")


def test_painted_over_and_kept_with_the_workflow(pictures):
    menu, grid = pictures, pictures.grid
    menu.soft_pag("")
    pick(menu, "warm lake")
    grid.until("() => hh.colour(2, 3, 1)[0] > 200")
    grid.click(2, 3, 1)
    grid.settle(2, "L3H1")
    grid.page.mouse.move(5, 500)
    assert near(grid.colour(2, 3, 1), 255, 0, 0), "the picture is still to be seen"
    # Comma and full stop step through the prompts.
    grid.page.mouse.move(*grid.spot(2, 3, 1))
    card(menu, PROMPTS[0])
    grid.press(".")
    card(menu, PROMPTS[1])
    grid.press(",")
    card(menu, PROMPTS[0])
    grid.load(grid.workflow())
    grid.knows(2, "sd3-medium")
    grid.says(2, ".hh-pick", "warmth")
    grid.until("() => hh.colour(2, 3, 1)[0] > 200")
    pick(menu, "Off")
    grid.press("Control+z")
    grid.says(2, ".hh-pick", "warmth")


def test_small_rows_are_magnified_on_the_card(pictures):
    menu, grid = pictures, pictures.grid
    menu.soft_pag("L40H6", FLUX, "flux1")
    pick(menu, "warm flux")
    grid.page.mouse.move(*grid.spot(2, 40, 5))
    card(menu, "L40H5")
    grid.until(
        """() => { const c = document.querySelector('.hh-card canvas'); if (c.hidden) return false;
        const [r, g, b] = c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data; return r > 200 && g < 60 && b < 60 }"""
    )
    # Bands tell rows apart where they are too low for numbers.
    grid.page.mouse.move(5, 500)
    assert grid.colour(2, 2, 20) != grid.colour(2, 5, 20)


def test_sd3_has_no_magnifier(pictures):
    menu, grid = pictures, pictures.grid
    menu.soft_pag("")
    pick(menu, "warm lake")
    grid.page.mouse.move(*grid.spot(2, 3, 1))
    card(menu, "L3H1")
    assert menu.page.locator(".hh-card canvas").is_hidden()


def test_a_hunts_own_grid_shows_its_pictures_on_a_card(grid):
    pictured(grid, "warm lake", "sd3-medium")
    grid.open([SD3, ("HeadHunterSearch", {"study": "warm lake"}), soft_pag()], [(1, 0, 2, 0)])
    grid.knows(2, "sd3-medium")
    grid.says(2, ".hh-legend", "round 1")
    grid.page.mouse.move(*grid.spot(2, 4, 2))
    card(Menu(grid), "study warm lake")
