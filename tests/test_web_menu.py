"""The presets menu at the grid, in a real Chromium and both renderers, with mouse and keyboard.

What it did is read from the prompt that would be queued, and from the files on the server's disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import preset_cases
import pytest
from gridpage import GridPage
from headhunter_pack.headhunter.presets import parse_preset
from headhunter_pack.headhunter.study import open_study
from playwright.sync_api import Locator

pytestmark = [pytest.mark.live, pytest.mark.browser]
SHIPPED = sorted((Path(__file__).parent.parent / "presets").glob("*/*.json"))
SD3 = ("CheckpointLoaderSimple", {"ckpt_name": "sd3.safetensors"})
FLUX = ("UNETLoader", {"unet_name": "flux1-dev.safetensors"})
ITEM = ".hh-menu [role=menuitem]"
GROUP = {
    "heads": "L0H1, L5@-0.25", "scale": 7.25, "strength": 0.125, "window": [0.1, 0.65], "rescale": 0.333, "tokens": "image",
    "perturbation": "temperature", "temperature": 1.5, "mix": "apg", "end_scale": 0.25,
}  # fmt: skip
WRITTEN = {key: value for key, value in GROUP.items() if key != "window"} | {"start_percent": 0.1, "end_percent": 0.65}
TWO = [GROUP, {"heads": "L7H0-3, L0H1", "scale": 2.0, "strength": 1.0}]
SECOND = {
    "heads": "L0H1, L7H0-3", "scale": 2, "strength": 1, "start_percent": 0, "end_percent": 1, "rescale": 0, "tokens": "all",
    "perturbation": "identity", "temperature": 2, "mix": "add", "end_scale": 1, "method": "extra pass", "limit": 0,
}  # fmt: skip
HTML = "<img src=x onerror=\"document.title='run'\"><b>bold</b>"


def soft_pag(heads: str = "L2H2") -> tuple[str, dict[str, Any]]:
    return "HeadHunterSoftPAG", {"heads": heads, "scale": 1.5, "strength": 0.75, "tokens": "all"}


def preset(name: str, **changes: Any) -> str:
    """A preset's text for SD3 medium."""
    data = {
        "format": "headhunter-preset/1", "name": name, "model": "sd3-medium", "grid": {"layers": 24, "heads": 24},
        "groups": [GROUP], "style": "test",
    } | changes  # fmt: skip
    return json.dumps(data)


@pytest.fixture
def menu(some_grid) -> Iterator[Menu]:
    """The page, without any preset of the user's."""
    some_grid.page.set_default_timeout(10_000)
    opened = Menu(some_grid)
    for file in opened.folder.glob("*"):
        file.unlink()
    yield opened


class Menu:
    """The menu of a node in an open page."""

    def __init__(self, grid: GridPage):
        self.grid, self.page, self.server = grid, grid.page, grid.server
        self.folder = self.server.base / "user" / "default" / "headhunter" / "presets"

    def keep(self, name: str, text: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text, encoding="utf-8")

    def graph(self, nodes: list, links: list, model: str = "sd3-medium", at: int = 2) -> None:
        self.grid.open(nodes, links)
        self.grid.knows(at, model)

    def soft_pag(self, heads: str = "L2H2", loader=SD3, model: str = "sd3-medium") -> None:
        """A loader (1) and a SoftPAG node (2)."""
        self.graph([loader, soft_pag(heads)], [(1, 0, 2, 0)], model)

    def open(self, node: int = 2) -> None:
        self.grid.button(node, "Presets")
        self.ready()

    def ready(self, title: str = "Presets") -> None:
        self.page.locator(
            f".hh-menu-body[role=menu][aria-label^={json.dumps(title, ensure_ascii=False)}]:not([aria-busy])"
        ).wait_for()

    def gone(self) -> None:
        self.page.locator(".hh-menu").wait_for(state="detached")

    def item(self, label: str) -> Locator:
        return self.page.locator(ITEM).filter(has_text=label).first

    def choose(self, *labels: str) -> None:
        for label in labels:
            self.item(label).click()

    def labels(self) -> list[str]:
        return self.page.locator(f"{ITEM} span").all_text_contents()

    def fill(self, ok: str, **values: str) -> None:
        for name, value in values.items():
            self.page.locator(f".hh-menu [name={name}]").fill(value)
        self.page.locator(".hh-menu button[type=submit]", has_text=ok).click()

    def inputs(self, node: int | str = 2) -> dict[str, Any]:
        return self.grid.prompt()[str(node)]["inputs"]

    def settle(self, node: int | str, expected: dict[str, Any]) -> None:
        """Waits until the prompt that would be queued has these inputs of a node."""
        self.grid.until(
            "async ([id, want]) => { const found = (await app.graphToPrompt()).output[id]?.inputs; "
            "return found && Object.entries(want).every(([name, value]) => JSON.stringify(found[name]) === JSON.stringify(value)) }",
            [str(node), expected],
            lambda: f"queued {self.grid.prompt().get(str(node))}, expected {expected}",
        )

    def undo(self, before: dict[str, Any]) -> None:
        """One step back, to a prompt as it was; undoing loads the graph anew, which takes a moment."""
        self.grid.undo()
        self.grid.until(
            """async (want) => { const same = (one, other) => one === other || (Boolean(one) && Boolean(other) && typeof one === 'object'
            && Object.keys({ ...one, ...other }).every((key) => same(one[key], other[key])));
            return same((await app.graphToPrompt()).output, want) }""",
            before,
            lambda: f"queued {self.grid.prompt()}, expected {before}",
        )

    def says(self, words: str) -> None:
        """Waits for a toast with some words."""
        self.page.get_by_text(words).first.wait_for()

    def drop(self, node: int, *files: tuple[str, str]) -> None:
        self.page.evaluate(
            """([id, files]) => { const data = new DataTransfer();
            for (const [name, text] of files) data.items.add(new File([text], name, { type: 'application/json' }));
            const event = new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
            hh.root(id).querySelector('canvas').dispatchEvent(event) }""",
            [node, list(files)],
        )


# The reader, which has no page of its own.


def test_the_page_reads_presets_as_python_does(menu):
    cases = preset_cases.TABLE["cases"]
    answers = menu.page.evaluate(
        """async (texts) => { const { parsePreset, formatPreset } = await import('/extensions/headhunter/presets.js');
        return texts.map((text) => { try { return { text: formatPreset(parsePreset(text)) } } catch (e) { return { error: e.message } } }) }""",
        [preset_cases.text_of(case) for case in cases],
    )
    for case, answer in zip(cases, answers, strict=True):
        if "error" in case:
            assert case["error"] in answer.get("error", ""), (case["what"], answer)
        else:
            assert "text" in answer, (case["what"], answer)
            assert parse_preset(answer["text"]) == parse_preset(preset_cases.text_of(case)), case["what"]
    names = preset_cases.files()
    files = menu.page.evaluate(
        """async (names) => { const { fileName } = await import('/extensions/headhunter/presets.js');
        return names.map((name) => { try { return fileName(name) } catch { return null } }) }""",
        [name for name, _ in names],
    )
    assert files == [file for _, file in names]


def test_the_shipped_presets_route(server):
    assert [preset["id"] for preset in server.get("/headhunter/presets")] == [
        f"{path.parent.name}/{path.stem}" for path in SHIPPED
    ]
    assert [preset["text"] for preset in server.get("/headhunter/presets")] == [
        path.read_text(encoding="utf-8") for path in SHIPPED
    ]


# Choosing


def test_choosing_writes_every_field_as_one_step(menu):
    menu.keep("mine.json", preset("mine"))
    menu.soft_pag()
    before = menu.grid.prompt()
    menu.open()
    menu.choose("mine")
    menu.settle(2, WRITTEN)
    menu.gone()
    menu.undo(before)


def test_shipped_presets_are_grouped_and_those_of_other_models_greyed(menu):
    menu.soft_pag()
    menu.open()
    assert not menu.item("golden hour (L38H18)").is_visible()  # FLUX's
    headings = menu.page.locator(".hh-menu h4").all_text_contents()
    assert {"dark", "fine detail", "rainbow neon", "white"} <= set(headings) and headings == sorted(headings)
    shown = menu.page.locator(ITEM + ":visible > div > span").all_text_contents()
    assert len([label for label in shown if "(L" in label]) == 15
    menu.choose("For other models (11)")
    other = menu.item("golden hour (L38H18)")
    assert other.get_attribute("aria-disabled") == "true"
    assert "for flux1 (57 layers x 24 heads); this model is sd3-medium (24 layers x 24 heads)" in other.inner_text()
    other.click(force=True)
    menu.choose("dark (L1H2)")
    menu.settle(2, {"heads": "L1H2", "scale": 5, "strength": 1})
    menu.gone()


def test_flux(menu):
    menu.soft_pag("", FLUX, "flux1")
    menu.open()
    menu.choose("golden hour + glossy plastic")
    menu.settle(2, {"heads": "L38H18, L43H17", "scale": 8, "strength": 1})


def test_keyboard(menu):
    menu.keep("mine.json", preset("mine"))
    menu.soft_pag()
    button = menu.page.locator(".hh-bar button.hh-main").first
    focused = "() => document.activeElement.textContent"
    button.focus()
    menu.grid.press("Enter")
    menu.ready()
    assert button.get_attribute("aria-expanded") == "true"
    assert menu.page.evaluate(focused).startswith("Save as a preset")
    menu.grid.press("ArrowUp")
    assert menu.page.evaluate(focused).startswith("For other models")
    menu.grid.press("ArrowRight", "ArrowDown")
    assert "flux1" in menu.page.evaluate(focused)
    menu.grid.press("ArrowUp", "Enter")
    assert menu.page.evaluate("() => document.activeElement.ariaExpanded") == "false"
    menu.grid.press("Escape")
    menu.gone()
    assert menu.page.evaluate(focused).startswith("Presets")
    menu.grid.press("Enter")
    menu.ready()
    menu.grid.press("m", "i", "n", "ArrowRight")
    menu.ready("mine")
    menu.grid.press("ArrowLeft")
    menu.ready()
    # Keys pressed in the menu are no shortcuts of the graph: Delete would take the node away.
    menu.page.evaluate("() => app.canvas.selectNode(app.graph.getNodeById(2))")
    menu.grid.press("Delete", "Backspace", "Enter")
    menu.settle(2, WRITTEN)
    menu.gone()
    assert menu.page.evaluate("() => document.activeElement.tagName") == "CANVAS"


def test_it_lies_beside_the_grid_and_scrolls(menu):
    menu.soft_pag()
    menu.open()
    body = menu.page.locator(".hh-menu-body")
    box = menu.page.locator(".hh-menu").bounding_box()
    assert box and box["height"] > 250 and box["width"] > 250
    left, right = menu.page.evaluate("() => { const r = hh.root(2).getBoundingClientRect(); return [r.left, r.right] }")
    assert box["x"] >= right or box["x"] + box["width"] <= left, "it covers the grid that it previews"
    corners = [(box["x"] + dx, box["y"] + dy) for dx in (6, box["width"] - 6) for dy in (6, box["height"] - 6)]
    assert menu.page.evaluate(
        "(c) => c.every(([x, y]) => document.elementFromPoint(x, y)?.closest('.hh-menu'))", corners
    )
    scale = menu.page.evaluate("() => app.canvas.ds.scale")
    menu.page.mouse.move(*corners[3])
    menu.page.mouse.wheel(0, 300)
    menu.grid.until("() => document.querySelector('.hh-menu-body').scrollTop > 100")
    assert menu.page.evaluate("() => app.canvas.ds.scale") == scale
    # A click elsewhere closes it, and so does its button.
    menu.page.mouse.click(1400, 850)
    menu.gone()
    menu.open()
    menu.grid.button(2, "Presets")
    menu.gone()
    assert body.count() == 0


def test_several_groups_as_a_chain(menu):
    menu.keep("two.json", preset("two", groups=TWO))
    menu.graph([SD3, soft_pag(), soft_pag("L23")], [(1, 0, 2, 0), (2, 0, 3, 0)])
    before = menu.grid.prompt()
    menu.open()
    menu.choose("two")
    menu.ready("two: 2 groups")
    menu.choose("Add 1 SoftPAG node")
    menu.settle(2, WRITTEN | {"model": ["1", 0]})
    made = next(key for key in menu.grid.prompt() if key not in before)
    menu.settle(made, SECOND | {"model": ["2", 0]})
    menu.settle(3, {"model": [made, 0], "heads": "L23"})
    menu.undo(before)


def test_several_groups_as_one_preset_node(menu):
    text = preset("two", groups=TWO)
    menu.keep("two.json", text)
    menu.graph([SD3, soft_pag(), soft_pag("L23")], [(1, 0, 2, 0), (2, 0, 3, 0)])
    before = menu.grid.prompt()
    menu.open()
    menu.choose("two", "As one Apply Head Preset node")
    menu.grid.until("async () => !(await app.graphToPrompt()).output[2]")
    after = menu.grid.prompt()
    made = next(key for key in after if key not in before)
    assert after[made]["class_type"] == "HeadHunterPreset"
    assert json.loads(after[made]["inputs"]["preset_json"]) == json.loads(text)
    assert after[made]["inputs"]["model"] == ["1", 0] and after["3"]["inputs"]["model"] == [made, 0]
    menu.undo(before)


def test_one_group_of_several(menu):
    menu.keep("two.json", preset("two", groups=TWO))
    menu.soft_pag()
    menu.open()
    menu.choose("two", "Group 2")
    menu.settle(2, SECOND)


@pytest.mark.parametrize(
    ("kind", "field"), [("HeadHunterSearch", "pool"), ("HeadHunterAtlas", "heads"), ("HeadHunterEditHeads", "first")]
)
def test_nodes_with_heads_alone_get_the_union(menu, kind, field):
    menu.keep("two.json", preset("two", groups=[*TWO, {"heads": "L7H0@0.5"}, {"heads": "L7H1@0.5, L0H1@0.5"}]))
    slot = 2 if kind == "HeadHunterEditHeads" else 0
    menu.grid.open([SD3, (kind, {field: "L2H2"})], [])
    slot = menu.page.evaluate("() => app.graph.getNodeById(2).inputs.findIndex((input) => input.type === 'MODEL')")
    menu.page.evaluate("(slot) => { app.graph.getNodeById(1).connect(0, app.graph.getNodeById(2), slot) }", slot)
    menu.grid.knows(2, "sd3-medium")
    before = menu.inputs()
    menu.open()
    menu.choose("two")
    # As Apply Head Preset joins groups: where they disagree on a head's own strength, it has none.
    menu.settle(2, before | {field: "L0H1, L5@-0.25, L7H0-3"})


def test_apply_head_preset_gets_the_text(menu):
    menu.keep("two.json", preset("two", groups=TWO))
    menu.graph([SD3, ("HeadHunterPreset", {})], [(1, 0, 2, 0)])
    menu.open()
    menu.choose("white (L0H15)")
    menu.gone()
    name = "sd3-medium/white-L0H15"
    menu.settle(2, {"preset": name})
    assert json.loads(menu.inputs()["preset_json"]) == json.loads((SHIPPED[0].parents[1] / f"{name}.json").read_text())
    menu.open()
    menu.choose("two")
    menu.gone()
    menu.settle(2, {"preset": "none"})
    assert json.loads(menu.inputs()["preset_json"]) == json.loads(preset("two", groups=TWO))


def test_a_text_written_by_hand_is_asked_about(menu):
    menu.keep("mine.json", preset("mine"))
    menu.soft_pag("L2H2 # mine")
    menu.open()
    menu.choose("mine")
    menu.page.get_by_text("written by hand").wait_for()
    menu.page.locator(".hh-menu button", has_text="Cancel").click()
    menu.ready()
    assert menu.inputs()["heads"] == "L2H2 # mine"
    menu.choose("mine")
    menu.fill("Replace")
    menu.settle(2, WRITTEN)


def test_heads_that_come_by_wire_are_left_alone(menu):
    menu.keep("mine.json", preset("mine"))
    nodes = [SD3, soft_pag(), ("HeadHunterEditHeads", {"first": "L1"})]
    menu.grid.open(nodes, [(1, 0, 2, 0)])
    menu.page.evaluate(
        """() => { const node = app.graph.getNodeById(2);
        app.graph.getNodeById(3).connect(0, node, node.inputs.findIndex((input) => input.name === 'heads')) }"""
    )
    menu.grid.knows(2, "sd3-medium")
    menu.grid.says(2, ".hh-note", "by wire")
    before = menu.inputs()
    menu.open()
    assert "the heads come by wire" in menu.item("mine").inner_text()
    menu.item("mine").click(force=True)
    assert menu.inputs() == before


# The user's own


def test_save_rename_export_delete(menu, tmp_path):
    menu.soft_pag("L9 L9H3@0.5")
    menu.open()
    menu.choose("Save as a preset")
    menu.fill("Save", name=" ")
    menu.page.get_by_text("a preset needs a name").wait_for()
    menu.fill("Save", name=HTML, style="golden <i>hour</i>", note="a\nb")
    menu.gone()
    menu.says("Saved")
    (file,) = menu.folder.iterdir()
    saved = parse_preset(file.read_text(encoding="utf-8"))
    assert (saved.name, saved.model, saved.style, saved.note) == (HTML, "sd3-medium", "golden <i>hour</i>", "a\nb")
    (group,) = saved.groups
    assert (group.heads, group.scale, group.strength) == ("L9H0-2, L9H3@0.5, L9H4-23", 1.5, 0.75)

    # Its name is text, not HTML.
    menu.open()
    assert HTML in menu.labels()
    assert menu.page.locator(".hh-menu img, .hh-menu b, .hh-menu i").count() == 0
    assert menu.page.title() != "run"

    menu.page.get_by_label(f"{HTML}: more").click()
    with menu.page.expect_download() as waiting:
        menu.choose("Export")
    waiting.value.save_as(tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8")) == json.loads(
        file.read_text(encoding="utf-8")
    )

    menu.keep("taken.json", preset("taken"))
    menu.choose("Rename")
    menu.fill("Rename", name="taken")
    menu.page.get_by_text("It would be replaced").wait_for()
    menu.page.locator(".hh-menu button", has_text="Cancel").click()
    menu.ready()
    menu.page.get_by_label(f"{HTML}: more").click()
    menu.choose("Rename")
    menu.fill("Rename", name="夕方")
    menu.ready()
    assert sorted(file.name for file in menu.folder.iterdir()) == ["taken.json", "夕方.json"]
    assert parse_preset((menu.folder / "夕方.json").read_text(encoding="utf-8")).name == "夕方"

    menu.page.get_by_label("夕方: more").click()
    menu.choose("Delete")
    menu.page.locator(".hh-menu button", has_text="Cancel").click()
    menu.ready("夕方")
    menu.choose("Delete")
    menu.fill("Delete")
    menu.ready()
    assert [file.name for file in menu.folder.iterdir()] == ["taken.json"]


def test_saving_over_another_preset_asks(menu):
    menu.keep("mine.json", preset("mine"))
    menu.soft_pag("L3")
    menu.open()
    menu.choose("Save as a preset")
    menu.fill("Save", name="mine")
    menu.page.get_by_text('You have the preset "mine" already').wait_for()
    assert parse_preset((menu.folder / "mine.json").read_text()).groups[0].heads == GROUP["heads"]
    menu.fill("Replace")
    menu.gone()
    assert parse_preset((menu.folder / "mine.json").read_text()).groups[0].heads == "L3"


def test_a_file_that_cannot_be_read_says_why_and_can_be_deleted(menu):
    menu.keep("broken.json", preset("broken", groups=[{"heads": "L1", "scale": "<b>3</b>"}]))
    menu.soft_pag()
    menu.open()
    assert (
        'broken.json: groups[0]: scale is "<b>3</b>"; it must be a number from -20 to 100'
        in menu.item("broken").inner_text()
    )
    menu.page.get_by_label("broken.json: more").click()
    menu.choose("Delete")
    menu.fill("Delete")
    menu.ready()
    assert list(menu.folder.iterdir()) == []


def test_import(menu, tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.json").write_text(preset(name), encoding="utf-8")
    (tmp_path / "bad.json").write_text(preset("bad", grid={}), encoding="utf-8")
    menu.soft_pag()
    before = menu.inputs()
    menu.open()
    with menu.page.expect_file_chooser() as waiting:
        menu.choose("Import")
    waiting.value.set_files([tmp_path / "one.json", tmp_path / "bad.json"])
    menu.says("bad.json: grid should be")
    assert not list(menu.folder.glob("*"))
    with menu.page.expect_file_chooser() as waiting:
        menu.choose("Import")
    waiting.value.set_files([tmp_path / "one.json", tmp_path / "two.json"])
    menu.item("two").wait_for()
    menu.ready()
    assert sorted(file.name for file in menu.folder.iterdir()) == ["one.json", "two.json"]
    assert menu.inputs() == before


def test_dropped_files(menu):
    menu.soft_pag()
    before = menu.inputs()
    menu.drop(2, ("bad.json", preset("bad", groups=[{"heads": "L99"}])))
    menu.says('bad.json: groups[0].heads: "L99" (line 1, column 1): the preset\'s grid has layers 0 to 23')
    assert menu.inputs() == before and not list(menu.folder.glob("*"))
    menu.drop(2, ("other.json", (SHIPPED[0]).read_text(encoding="utf-8")))
    menu.says("Not applied: it is for flux1")
    assert menu.inputs() == before
    menu.drop(2, ("mine.json", preset("dropped")))
    menu.settle(2, WRITTEN)
    menu.says('"dropped" is now among your presets')
    assert "dropped.json" in [file.name for file in menu.folder.iterdir()]


# Studies


def test_the_heads_of_a_round(menu):
    rounds = [
        {"round": 1, "chosen": ["L3H1"], "gain": {"mean": 0.25}, "helped": True},
        {"round": 2, "chosen": ["L3H2"], "gain": {"mean": 0.125}, "helped": True},
        {"round": 3, "chosen": ["L1H0"], "gain": {"mean": -0.01}, "helped": False},
    ]
    report = {
        "format": "headhunter-report/1", "grid": {"model": "sd3-medium", "layers": 24, "heads": 24}, "rounds": rounds,
        "settings": {"group": {"scale": 3.0, "strength": 1.0}}, "start": {"heads": ["L20H5"]},
    }  # fmt: skip
    folder = menu.server.base / "output" / "headhunter"
    for name, told in {
        "golden": report,
        "other": report | {"heads": "L1H0", "grid": {"model": "x", "layers": 4, "heads": 4}},
        "new": None,
    }.items():
        if not (folder / f"{name}.sqlite").exists():
            with open_study(folder / f"{name}.sqlite", {"model": name}) as study:
                if told:
                    study.put("report", told)
                    study.put("about", {"grid": told["grid"], "scorers": []})
    menu.soft_pag("")
    menu.open()
    menu.choose("Studies")
    menu.ready("Studies")
    assert {"golden", "new", "other"} <= set(menu.labels())
    assert "no round is done yet" in menu.item("new").inner_text()
    menu.page.get_by_label("new: more").click()
    menu.ready("new")
    assert menu.labels() == ["No rounds"]
    menu.grid.press("ArrowLeft")
    menu.ready("Studies")
    assert "for x (4 layers x 4 heads)" in menu.item("other").inner_text()
    menu.page.get_by_label("other: more").click()
    menu.ready("other")
    assert "for x (4 layers x 4 heads)" in menu.item("Round 3").inner_text()
    menu.grid.press("ArrowLeft")
    menu.ready("Studies")
    menu.page.get_by_label("golden: more").click()
    menu.ready("golden")
    assert "4 heads · gain -0.01 · did not help" in menu.item("Round 3").inner_text()
    menu.choose("Round 3")
    menu.settle(2, {"heads": "L1H0, L3H1-2, L20H5", "scale": 1.5})
    menu.gone()
