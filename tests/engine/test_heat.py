"""A study as colours, as a line in a list, and as pictures by head."""

from io import BytesIO

import pytest
from headhunter_pack.headhunter.head_pictures import pictures_of, sheet_of
from headhunter_pack.headhunter.heat import heat_of
from headhunter_pack.headhunter.library import summary_of
from headhunter_pack.headhunter.study import Row, open_study
from PIL import Image

GRID = {"model": "sd3-4x4", "layers": 4, "heads": 4, "kinds": ["joint"] * 4}
GROUP = {"heads": "", "scale": 3.0, "strength": 0.5, "perturbation": "uniform", "method": "in attention"}
IDENTITY = {"pairs": [{"text": "a"}, {"text": "b"}], "search": {"pool": "*"}}


def rows(number: int, head: str, heads: str, *scores: float) -> list[Row]:
    return [Row(heads, pair, number, head, (score,), b"jpeg") for pair, score in enumerate(scores)]


@pytest.fixture
def study(tmp_path):
    """A hunt of two heads a round; in round 2 a head was tried on the first pair alone."""
    with open_study(tmp_path / "a.sqlite", IDENTITY) as study:
        study.put("about", {"grid": GRID, "scorers": [{"name": "warmth", "unit": 1.0, "weight": 1.0}]})
        study.add(rows(0, "", "", 0.1, 0.3))
        study.add(rows(1, "L0H0", "L0H0", 0.2, 0.4) + rows(1, "L0H1", "L0H1", 0.3, 0.4) + rows(1, "L1", "L1", 0.0, 0.0))
        study.add(rows(1, "", "L0H0-1", 0.5, 0.5))
        study.add(rows(2, "L2H0", "L0H0-1, L2H0", 0.6, 0.7) + rows(2, "L2H1", "L0H0-1, L2H1", 0.45))
        yield study


def test_what_a_round_adds_to_the_set_before(study):
    study.put("report", {"rounds": [{"round": 1, "chosen": ["L0H0", "L0H1"]}]})
    first, second = heat_of(study)["rounds"][-2:]
    assert {head: entry[3] for head, entry in first["heads"].items()} == {"L0H0": None, "L0H1": None, "L1": None}
    assert second["heads"]["L2H0"][0] == pytest.approx(0.45) and second["heads"]["L2H0"][3] == pytest.approx(0.15)
    # On its own pair: 0.45 against the set's 0.5 there, though the set's mean is 0.5 too and the baseline's 0.2.
    assert second["heads"]["L2H1"][0] == pytest.approx(0.35) and second["heads"]["L2H1"][3] == pytest.approx(-0.05)


def test_a_single_chosen_head_is_the_set_itself(study):
    study.put("report", {"rounds": [{"round": 1, "chosen": ["L0H1"]}]})
    assert study.set_of(1, ["L0H1"]) == "L0H1" and study.set_of(1, ["L3H3"]) is None
    assert heat_of(study)["rounds"][-1]["heads"]["L2H0"][3] == pytest.approx((0.3 + 0.3) / 2)


def test_a_line_about_it(study):
    assert summary_of(study) | {"grid": None} == {
        "kind": "hunt", "goal": ["warmth"], "grid": None, "gain": None, "rounds": 0, "found": None, "prompts": ["a", "b"], "images": 13,
    }  # fmt: skip
    joint = {"round": 1, "chosen": ["L0H0", "L0H1"], "joint": {"mean": 0.5}}
    report = {"rounds": [joint], "baseline": {"mean": 0.2}, "heads": "L0H0-1", "settings": {"group": GROUP}}
    study.put("report", report)
    summary = summary_of(study)
    assert summary["gain"] == pytest.approx(0.3) and summary["grid"] == GRID
    assert summary["found"] == heat_of(study)["found"] == {"heads": "L0H0-1", "group": GROUP}


def jpeg(colour: str, size: tuple[int, int] = (192, 128)) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


def test_pictures_by_head_and_their_sheet(tmp_path):
    with open_study(tmp_path / "a.sqlite", IDENTITY) as study:
        study.put("about", {"grid": GRID, "scorers": [{"name": "warmth", "unit": 1.0, "weight": 1.0}]})
        study.add([Row("", pair, 0, "", (0.5,), jpeg("grey")) for pair in range(2)])
        study.add([Row("L0H0", 0, 1, "L0H0", (0.75,), jpeg("red")), Row("L0H0", 1, 1, "L0H0", (0.25,), jpeg("lime"))])
        study.add([Row("L1H1", 0, 1, "L1H1", (0.75,), b"no picture")])
        study.add([Row("L0H0, L1H1", 0, 2, "L1H1", (1.0,), jpeg("blue"))])  # not alone any more
        study.add([Row("L2H2", 0, 1, "L2H2", (0.75,), jpeg("blue", (1025, 8)))])
        told = pictures_of(study)
        assert {number for number in told["unguided"].values()} == {1, 2} and told["prompts"] == ["a", "b"]
        first, second, third = told["heads"]
        assert (first["head"], first["score"], first["pictures"]) == ("L0H0", 0.0, {0: 3, 1: 4})
        assert (second["set"], second["round"], second["score"]) == ("L1H1", 1, 0.25)
        tile = told["tile"]
        for pair, colour in enumerate([(254, 0, 0), (0, 255, 1)]):
            sheet = Image.open(BytesIO(sheet_of(study, pair)))
            assert sheet.size == (told["columns"] * tile, 2 * tile)
            assert sheet.getpixel((tile // 2, tile // 2)) == pytest.approx(colour, abs=3)
            # Neither what is no picture nor one that is too large is shown.
            assert sheet.getpixel((tile + tile // 2, tile // 2)) == pytest.approx((0, 0, 0), abs=3)
            assert sheet.getpixel((tile // 2, tile + tile // 2)) == pytest.approx((0, 0, 0), abs=3)
