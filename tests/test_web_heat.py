"""A hunt on the grid: live, after a reload, with previews; and nothing of it in the widgets."""

from __future__ import annotations

import pytest
from gridfixtures import ALL, everywhere
from huntfixtures import CAPTIONS

pytestmark = [pytest.mark.live, pytest.mark.browser]
NODES = [
    ("UNETLoader", {"unet_name": "headhunter_demo_sd3.safetensors"}),
    ("VAELoader", {"vae_name": "headhunter_demo_vae.safetensors"}),
    ("HeadHunterDemoWords", {"text": CAPTIONS[0]}),
    ("HeadHunterPrompt", {"text": CAPTIONS[0], "seed": 1}),
    ("HeadHunterStatisticScorer", {"statistic": "brightness", "target": "high"}),
    ("EmptySD3LatentImage", {"width": 128, "height": 128}),
]
LINKS = [(1, 0, 7, 0), (2, 0, 7, 1), (3, 0, 4, 0), (4, 0, 7, 2), (5, 0, 7, 3), (6, 0, 7, 4)]


def hunt(**changes):
    settings = {"rounds": 2, "heads_per_round": 1, "scale": 0.5, "steps": 2, "batch_size": 2, "cfg": 1.0}
    return "HeadHunterSearch", settings | changes


def open_hunt(grid, **changes) -> None:
    grid.open([*NODES, hunt(**changes)], LINKS)
    grid.knows(7, "sd3-4x4")


@everywhere
def test_live_reloaded_and_after(grid, request):
    """Long enough to be caught in the middle; the study has no name in the workflow."""
    # A hunt of its own for each page: the same one again would be done at once.
    own = ALL.index(request.node.callspec.params["page"])
    open_hunt(grid, steps=10, pool="L0-1", scale=0.5 + own / 10)
    before = grid.prompt()
    grid.page.evaluate("() => app.queuePrompt(0)")
    grid.until("() => /round 1 of 2 · .*pictures/.test(hh.text(7, '.hh-hunt'))", timeout=60_000)
    grid.until("() => hh.text(7, '.hh-legend').includes('against unguided')", timeout=60_000)
    saved = grid.workflow()
    grid.page.reload()
    grid.again()
    if not grid.page.evaluate("() => app.graph._nodes.some((n) => n.id == 7)"):
        grid.load(saved)
    grid.knows(7, "sd3-4x4")
    # What was there is there again, whether the hunt still runs or not.
    grid.until("() => /against unguided|head adds/.test(hh.text(7, '.hh-legend'))", timeout=60_000)
    grid.until("() => hh.text(7, '.hh-legend').includes('round 2, what each head adds')", timeout=120_000)
    grid.until("async () => (await (await fetch('/queue')).json()).queue_running.length === 0", timeout=120_000)
    grid.says(7, ".hh-hunt", "")
    report = grid.server.get(f"/headhunter/studies/{grid.server.get('/headhunter/studies')[0]['id']}")["report"]
    first = report["rounds"][0]["chosen"][0]
    layer, head = (int(part) for part in first[1:].split("H"))
    grid.page.mouse.move(*grid.spot(7, layer, head))
    grid.says(7, ".hh-read", "chosen in round 1")
    grid.says(7, ".hh-read", "score ")
    grid.until(
        "() => { const i = document.querySelector('.hh-card img'); return i && !i.hidden && i.complete && i.naturalWidth > 0 }"
    )
    assert grid.prompt() == before, "a hunt must leave the widgets alone"


def test_the_numbers_are_the_studys(grid):
    open_hunt(grid, rounds=1, pool="L0-1", study="numbers")
    grid.page.evaluate("() => app.queuePrompt(0)")
    grid.until("() => hh.text(7, '.hh-legend').includes('against unguided')", timeout=60_000)
    grid.until(
        "async () => (await (await fetch('/headhunter/studies/numbers')).json()).report?.rounds.length === 1",
        timeout=60_000,
    )
    study = grid.server.get("/headhunter/studies/numbers")
    heat = grid.server.get("/headhunter/studies/numbers/heat")
    report = study["report"]
    assert heat["grid"]["model"] == "sd3-4x4" and len(heat["rounds"]) == 1
    assert heat["baseline"] == pytest.approx(report["baseline"]["mean"])
    scores = {entry["head"]: entry["mean"] - report["baseline"]["mean"] for entry in report["rounds"][0]["candidates"]}
    assert {head: entry[0] for head, entry in heat["rounds"][0]["heads"].items()} == pytest.approx(scores, abs=1e-5)
    best = max(scores, key=lambda head: scores[head])
    worst = min(scores, key=lambda head: scores[head])
    limit = max(abs(score) for score in scores.values())

    def place(name: str) -> tuple[int, int]:
        layer, head = name[1:].split("H")
        return int(layer), int(head)

    # Orange is better, blue is worse; what was not tried has no colour.
    grid.page.mouse.move(5, 500)
    grid.until("(name) => hh.text(7, '.hh-legend').includes(name)", f"{limit:.3g}".rstrip("0"))
    colours = {name: grid.colour(7, *place(name)) for name in scores if name != best}
    for name, (red, _, blue, _) in colours.items():
        if abs(scores[name]) > 0.2 * limit:
            assert (red > blue) == (scores[name] > 0), (name, scores[name], colours[name])
    grid.page.mouse.move(*grid.spot(7, *place(worst)))
    grid.says(7, ".hh-read", "score ")
    # Named in the workflow: a page that has never seen the hunt shows it too.
    saved = grid.workflow()
    grid.page.evaluate("() => localStorage.removeItem('headhunter.studies')")
    grid.page.reload()
    grid.again()
    grid.load(saved)
    grid.knows(7, "sd3-4x4")
    grid.until("() => hh.text(7, '.hh-legend').includes('against unguided')")


def test_an_atlas_shows_its_pictures(grid):
    atlas = ("HeadHunterAtlas", {"heads": "L0H0-1", "steps": 2, "cfg": 1.0})
    nodes = [*NODES[:4], NODES[5], atlas]
    links = [(1, 0, 6, 0), (2, 0, 6, 1), (3, 0, 4, 0), (4, 0, 6, 2), (5, 0, 6, 3)]
    grid.open(nodes, links)
    grid.knows(6, "sd3-4x4")
    grid.page.evaluate("() => app.queuePrompt(0)")
    grid.until("async () => (await (await fetch('/queue')).json()).queue_running.length === 0", timeout=60_000)
    picture = "() => { const i = document.querySelector('.hh-card img'); return i && !i.hidden && i.complete && i.naturalWidth > 0 && i.alt }"
    grid.page.mouse.move(*grid.spot(6, 0, 1))
    grid.until(f"() => ({picture})() === 'L0H1'", timeout=30_000)
