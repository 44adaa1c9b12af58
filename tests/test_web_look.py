"""How the grid looks: palettes, pixel ratios, the time of a frame, and the pictures of the docs (`--write-pictures`)."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from gridpage import FLUX, SD3, GridPage, soft_pag
from headhunter_pack.headhunter.families import grid_named
from headhunter_pack.headhunter.grid import describe
from headhunter_pack.headhunter.study import Row, open_study

from hosting import browser

pytestmark = [pytest.mark.live, pytest.mark.browser]
DOCS = Path(__file__).parent.parent / "docs"
PAINTED = "L1H10@0.35, L7H0-3, L9H5@0.9, L11H15, L13H18@0.8, L14H7, L14H17@-0.4, L18H8-15"
ROUNDS = [["L38H18", "L51H23"], ["L3H7"]]
LIMIT = 200_000
BOTTOM = 1270
KEPT = ["grid-sd3-dark", "grid-flux-dark", "grid-hunt-dark", "grid-flux-light-nodes2", "grid-hunt-dark-nodes2"]


def flux_study(server) -> None:
    """A hunt on FLUX as it is in its third round: smooth fields of scores, with the chosen heads best."""
    grid = grid_named("flux1")
    chance = random.Random(1)
    rows = [Row("", pair, 0, "", (0.5,)) for pair in range(2)]
    with open_study(
        server.base / "output" / "headhunter" / "golden-hour.sqlite", {"pairs": [], "scorers": []}
    ) as study:
        study.put("about", {"grid": describe(grid), "scorers": [{"name": "golden hour", "unit": 1.0, "weight": 1.0}]})
        study.put("report", {"rounds": [{"round": n, "chosen": heads} for n, heads in enumerate(ROUNDS, start=1)]})
        for number in (1, 2, 3):
            for layer in range(57 if number < 3 else 44):
                for head in range(24):
                    name = f"L{layer}H{head}"
                    if any(name in chosen for chosen in ROUNDS[: number - 1]):
                        continue
                    wave = math.sin(layer / 7 + number) * math.cos(head / 4 - layer / 11)
                    score = 0.12 if number < 3 and name in ROUNDS[number - 1] else 0.05 * wave + chance.gauss(0, 0.02)
                    rows += [Row(f"{number} {name}", pair, number, name, (0.5 + score,)) for pair in range(2)]
        study.add(rows)


@pytest.fixture(scope="module")
def own(serve):
    server = serve("own")
    flux_study(server)
    return server


def send_progress(page: GridPage) -> None:
    """What the server would say, in the form it does: there is no FLUX here to hunt on."""
    page.page.evaluate(
        """() => app.api.dispatchCustomEvent('headhunter.progress', { node: '2', study: 'golden-hour', round: 3, rounds: 5,
        candidate: 'L43H23', score: 0.53, best: 0.61, done: 7312, total: 13660, seconds_left: 2280 })"""
    )


@pytest.fixture(scope="module", params=["classic", "nodes2"])
def look(request, own, chrome) -> Iterator[tuple[GridPage, str]]:
    """A page at pixel ratio 2, high enough for whole nodes; and what its pictures' names end in."""
    settings = {"Comfy.VueNodes.Enabled": request.param == "nodes2", "Comfy.NodeBadge.NodeSourceBadgeMode": "None"}
    with browser.open_page(chrome, own, 1500, 1300, settings, ratio=2) as opened:
        yield GridPage(opened, own), "-nodes2" if request.param == "nodes2" else ""


def palette(page: GridPage, name: str) -> None:
    """Chooses a palette as the settings do, while the grid is shown, and waits for the grid to follow."""
    background = "() => getComputedStyle(hh.root(2)).backgroundColor"
    before, cell = page.page.evaluate(background), page.colour(2, 0, 0)
    page.page.evaluate("(name) => app.extensionManager.setting.set('Comfy.ColorPalette', name)", name)
    page.until(f"(before) => ({background})() !== before", before)
    page.until("(cell) => hh.colour(2, 0, 0).join() !== cell.join()", list(cell))


def test_pictures(look, request, tmp_path):
    """The states that the docs show; the palette changes while the page is open."""
    page, end = look
    opened = page.page

    def folder(name: str) -> Path:
        keep = request.config.getoption("--write-pictures") and name in KEPT
        return (DOCS if keep else tmp_path) / f"{name}.jpg"

    page.open([SD3, soft_pag(PAINTED)], [(1, 0, 2, 0)])
    page.knows(2, "sd3-medium")
    page.bring(2, bottom=BOTTOM)
    assert (
        opened.evaluate("() => { const c = hh.root(2).querySelector('canvas'); return c.width / c.clientWidth }") == 2
    )
    page.click(2, 20, 20)
    page.settle_alone(2, PAINTED + ", L20H20")
    page.drag(2, (20, 20), (20, 19))
    page.settle_alone(2, PAINTED)
    opened.mouse.move(*page.spot(2, 13, 18))
    page.says(2, ".hh-read", "own strength 0.8 · in “sunlight (L13H18)” and 1 more")
    shoot(page, 2, folder(f"grid-sd3-dark{end}"))

    page.open([FLUX, ("HeadHunterSearch", {"study": "golden-hour"})], [(1, 0, 2, 0)])
    page.knows(2, "flux1")
    page.says(2, ".hh-legend", "round 3, what each head adds")
    send_progress(page)
    page.says(2, ".hh-hunt", "round 3 of 5 · L43H23 · 7312 of 13660 pictures38 min left")
    page.bring(2, bottom=BOTTOM)
    opened.mouse.move(*page.spot(2, 38, 18))
    page.says(2, ".hh-read", "chosen in round 1")
    page.says(2, ".hh-read", "score +0.12")
    shoot(page, 2, folder(f"grid-hunt-dark{end}"), grid_only=True)

    page.open([FLUX, soft_pag("L3H5, L17H1-4, L34H2@0.5, L38H18, L51H23@0.8, L52H12")], [(1, 0, 2, 0)])
    page.knows(2, "flux1")
    palette(page, "light")
    page.bring(2, bottom=BOTTOM)
    opened.mouse.move(*page.spot(2, 34, 2))
    page.says(2, ".hh-read", "single 15 (S15)")
    shoot(page, 2, folder(f"grid-flux-light{end}"))
    palette(page, "dark")
    page.says(2, ".hh-read", "single 15 (S15)")
    shoot(page, 2, folder(f"grid-flux-dark{end}"))
    assert opened.problems == []  # type: ignore[attr-defined]


def shoot(page: GridPage, id: int, path: Path, grid_only: bool = False) -> None:
    """The node, or only its grid, with its neighbourhood."""
    box = page.page.evaluate(
        """([id, only]) => { const r = hh.root(id).getBoundingClientRect();
        const ds = app.canvas.ds, n = hh.find(id), c = app.canvas.canvas.getBoundingClientRect();
        const top = only ? r.top : Math.max((n.pos[1] + ds.offset[1] - 30) * ds.scale + c.top, 50);
        return { x: r.left - 22, y: top - 12, width: r.width + 44, height: r.bottom - top + 34 } }""",
        [id, grid_only],
    )
    page.page.screenshot(path=path, clip=box, quality=82, scale="device")
    assert path.stat().st_size < LIMIT, f"{path.name} is too big: {path.stat().st_size}"


def test_the_time_of_a_frame(look, capsys):
    """57 x 24 with every kind of mark at pixel ratio 2, drawn again and again; reported, since it is the machine's."""
    page, end = look
    opened = page.page
    page.open([FLUX, ("HeadHunterSearch", {"study": "golden-hour", "pool": "*"})], [(1, 0, 2, 0)])
    page.knows(2, "flux1")
    page.says(2, ".hh-legend", "round 3")
    times = opened.evaluate(
        """async () => {
          const { draw } = await import('/extensions/headhunter/widget/drawing.js');
          const { layoutOf } = await import('/extensions/headhunter/widget/layout.js');
          const { heatOn } = await import('/extensions/headhunter/server/hunts.js');
          const segments = [{ kind: 'double', letter: 'D', count: 19 }, { kind: 'single', letter: 'S', count: 38 }];
          const grid = { model: 'flux1', layers: 57, heads: 24, segments }, heat = heatOn('golden-hour', grid);
          const canvas = hh.root(2).querySelector('canvas'), context = canvas.getContext('2d'), times = [];
          const layout = layoutOf(grid, canvas.clientWidth, canvas.clientHeight);
          const heads = new Map(Array.from({ length: 1368 }, (_, key) => [key, key % 3 ? null : (key % 100) / 100]));
          const scene = { heads, strength: 0.5, candidate: new Set([3]), result: null, tiles: null, cursor: { layer: 1, head: 1 }, focused: true };
          for (let i = 0; i < 60; i++) {
            await new Promise(requestAnimationFrame);
            const begun = performance.now();
            draw(context, layout, { ...scene, heat: i % 2 ? heat : null, pool: i % 4 === 1 },
              { text: '#fff', accent: '#57f', away: '#d60', dark: true });
            context.getImageData(0, 0, 1, 1);
            times.push(performance.now() - begun);
          }
          return times.slice(4).sort((a, b) => a - b) }"""
    )
    with capsys.disabled():
        print(f"\n57 x 24 at pixel ratio 2{end}: {times[len(times) // 2]:.1f} ms a frame, at most {times[-1]:.1f} ms")
    page.button(2, "Edit pool")
    page.steady()
    page.click(2, 20, 3)
    page.until("() => !hh.find(2).widgets.find((w) => w.name === 'pool').value.includes('*')")
    assert "L20H0-2, L20H4-23" in opened.evaluate("() => hh.find(2).widgets.find((w) => w.name === 'pool').value")
