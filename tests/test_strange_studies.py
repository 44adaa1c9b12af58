"""Studies from strangers: opened strictly, read within limits, every value checked, every file closed."""

import json
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath, PureWindowsPath

import hostile
import pytest
from headhunter_pack.headhunter import study_file
from headhunter_pack.headhunter.heat import heat_of
from headhunter_pack.headhunter.host.hunting import studies
from headhunter_pack.headhunter.host.server import routes
from headhunter_pack.headhunter.study import Study, StudyError, open_study, read_study

ASKED = ["{}", "{}/heat", "{}.csv", "{}/preview/1", "{}/preview/3", "{}/pictures", "{}/sheet/0"]


def asked(what: str, name: str) -> routes.Answer:
    """What a route answers, without a server."""
    makes = [
        lambda: routes._study(name),
        lambda: routes._heat(name),
        lambda: routes._scores(name),
        lambda: routes._preview(name, "1"),
        lambda: routes._preview(name, "3"),
        lambda: routes._pictures(name),
        lambda: routes._sheet(name, "0"),
    ]
    return routes._made(makes[ASKED.index(what)])


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(studies, "studies_folder", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize("what", hostile.ALL)
def test_every_route_answers_with_a_reason(folder, what):
    hostile.ALL[what](folder / "x.sqlite")
    for route in ASKED:
        started = time.monotonic()
        answer = asked(route, "x")
        assert time.monotonic() - started < 5
        if what == "good":
            assert answer.status == 200, answer.body
        assert answer.status in ((404, 422) if what in hostile.UNREADABLE else (200, 422)), (route, answer)
        if answer.status != 200:
            assert json.loads(answer.body)["error"] and answer.kind == "application/json"
        elif answer.kind == "application/json":
            json.loads(answer.body, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        else:
            assert answer.kind in ("text/csv", "image/jpeg", "image/png")
    assert [entry["id"] for entry in studies.list_studies()] in ([], ["x"])


@pytest.mark.parametrize("what", hostile.UNREADABLE)
def test_none_is_written_to(tmp_path, what):
    path = tmp_path / "x.sqlite"
    hostile.UNREADABLE[what](path)
    if what in ("empty", "a broken link", "a loop of links"):
        open_study(path, hostile.IDENTITY).close()  # nothing is lost
        return
    with pytest.raises(StudyError, match="x"):
        open_study(path, hostile.IDENTITY)


def test_no_query_runs_for_long(tmp_path, monkeypatch):
    """Were the tables not looked at, the clock would still end it."""
    monkeypatch.setattr(study_file, "READ_SECONDS", 0.2)
    path = tmp_path / "x.sqlite"
    hostile.changed(f"CREATE VIEW endless AS {hostile.BOMB} x FROM c")(path)
    connection = sqlite3.connect(path)
    with Study(path, connection, None) as study, pytest.raises(StudyError, match="over 0.2 seconds"):
        study._rows("SELECT COUNT(*) FROM endless")


def test_the_list_stands_what_is_no_study(folder):
    hostile.good(folder / "good.sqlite")
    (folder / "folder.sqlite").mkdir()
    hostile.broken_link(folder / "link.sqlite")
    hostile.loop_of_links(folder / "loop.sqlite")
    os.mkfifo(folder / "pipe.sqlite")
    (folder / "=x.sqlite").touch()
    assert [entry["id"] for entry in studies.list_studies()] == ["good"]


@pytest.mark.parametrize("what", hostile.ALL)
def test_the_library_says_what_each_is_or_why_not(folder, what):
    hostile.ALL[what](folder / "x.sqlite")
    hostile.good(folder / "good.sqlite")
    library = studies.Library()
    started = time.monotonic()
    listed = {entry["id"]: entry for entry in json.loads(json.dumps(library.list(), allow_nan=False))}
    assert time.monotonic() - started < 5
    assert listed["good"]["images"] == 4 and listed["good"]["goal"] == ["one", "two"]
    assert "x" not in listed or ("error" in listed["x"]) or listed["x"]["images"] >= 0
    if what in hostile.UNREADABLE and "x" in listed:
        assert listed["x"]["error"]
    assert {entry["id"]: entry for entry in library.list()}.keys() == listed.keys()


def test_no_folder_is_no_studies(monkeypatch, tmp_path):
    monkeypatch.setattr(studies, "studies_folder", lambda: tmp_path / "none")
    assert studies.list_studies() == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("con", "device"), ("NUL", "device"), ("con.x", "device"), ("Com1.a.b", "device"), ("lpt9", "device"),
        ("com\u00b9", "device"), ("aux .x", "device"), ("a.", "end with"), ("a ", "end with"), ("a.csv", "end with"),
        ("x" * 101, "too long"), ("\U00020000" * 60, "too long"), ("../a", "use letters"), ("", "use letters"),
        (".a", "use letters"), ("a/b", "use letters"), ("a\0", "use letters"), ("a\n", "use letters"), ("\ud800", "use letters"),
    ],
)  # fmt: skip
def test_names_that_no_disk_holds(name, why):
    with pytest.raises(ValueError, match=f"cannot be a study's name.*{why}"):
        studies.plain_name(name)


def test_names_that_are_good(tmp_path):
    for name in ("a", "golden hour-2", "hunt_1.b", "console", "\u00e9" * 100, "\U00020000" * 50):
        assert studies.plain_name(name) == name
        open_study(tmp_path / f"{name}.sqlite", {}).close()


def test_a_preview_is_what_its_bytes_say(folder):
    hostile.changed("UPDATE pictures SET data = x'89504e470d0a1a0a00' WHERE number = 1")(folder / "x.sqlite")
    assert asked("{}/preview/1", "x").kind == "image/png" and asked("{}/preview/3", "x").kind == "image/jpeg"
    response = asked("{}/preview/1", "x").response()
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("start", ["", "\t", "\r", "\n", " ", " \t\r\n", "\u00a0", "\u3000"])
@pytest.mark.parametrize("sign", "=+-@")
def test_no_cell_is_a_formula(start, sign):
    assert routes._safe(f"{start}{sign}1") == f"'{start}{sign}1"
    assert routes._safe(f"{start}a{sign}1") == f"{start}a{sign}1" and routes._safe(-1.5) == -1.5


def test_files_are_closed(folder):
    """300 requests, most of them refused, in several threads: as many open files after as before."""
    names = []
    for number, make in enumerate(hostile.ALL.values()):
        names.append(f"s{number}")
        make(folder / f"s{number}.sqlite")
    asked("{}", "s0")
    before = len(os.listdir("/proc/self/fd"))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: asked(ASKED[n % len(ASKED)], names[n % len(names)]), range(300)))
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        (PureWindowsPath(r"C:\a b\x.sqlite"), "file:///C:/a%20b/x.sqlite?mode=ro"),
        (PureWindowsPath(r"\\server\share\a#1\x.sqlite"), "file:////server/share/a%231/x.sqlite?mode=ro"),
        (PureWindowsPath(r"\\?\UNC\server\share\x.sqlite"), "file:////server/share/x.sqlite?mode=ro"),
        (PureWindowsPath(r"\\?\C:\x.sqlite"), "file:///C:/x.sqlite?mode=ro"),
        (PureWindowsPath("Z:\\\u00e9?%\\x.sqlite"), "file:///Z:/%C3%A9%3F%25/x.sqlite?mode=ro"),
        (PurePosixPath("/a b/?x#%.sqlite"), "file:///a%20b/%3Fx%23%25.sqlite?mode=ro"),
        (PurePosixPath("//a/x.sqlite"), "file:////a/x.sqlite?mode=ro"),
        (PurePosixPath("/\udcff/x.sqlite"), "file:///%FF/x.sqlite?mode=ro"),
    ],
)
def test_addresses(path, uri):
    """SQLite takes a URI only with an empty host (sqlite.org/uri.html): a network folder's server is part of the path."""
    assert study_file.address(path, "ro") == uri
    assert uri.startswith("file:///")
    assert "//server" not in path.as_uri() or path.as_uri().startswith("file://server"), "what sqlite refuses"


def test_sqlite_takes_such_addresses(tmp_path):
    path = tmp_path / "a #?%\u00e9.sqlite"
    hostile.good(path)
    with pytest.raises(sqlite3.OperationalError, match="authority"):
        sqlite3.connect("file://server/share/x.sqlite?mode=ro", uri=True)
    doubled = PurePosixPath("/" + str(path))
    assert str(doubled).startswith("//")
    sqlite3.connect(study_file.address(doubled, "ro"), uri=True).close()
    with read_study(path) as study:
        assert study.evaluations() == 4


def test_heat_of_a_broken_picture(tmp_path):
    """A score of the baseline that is missing leaves nothing to compare with; the others are shown all the same."""
    path = tmp_path / "x.sqlite"
    hostile.changed("UPDATE scores SET value = NULL WHERE heads = '' AND pair = 0 AND scorer = 1")(path)
    with read_study(path) as study:
        score, pairs, *_ = heat_of(study)["rounds"][-1]["heads"]["L1H2"]
        assert score is None and pairs == 2
