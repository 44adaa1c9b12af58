"""Studies that a stranger might send: each function writes one to a path. Tests and `tests/attack.py` open them all."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headhunter_pack.headhunter.study import Row, open_study

JPEG = b"\xff\xd8\xff\xe0 a picture"
PNG = b"\x89PNG\r\n\x1a\n a picture"
IDENTITY = {
    "model": "abc",
    "pairs": [{"text": "\t=1+1", "seed": 5}, {"text": "two", "seed": 6}],
    "scorers": [{"name": "one"}, {"name": "two"}],
}
ABOUT = {
    "grid": {"model": "sd3-4x4", "layers": 4, "heads": 4, "kinds": ["joint"] * 4},
    "scorers": [{"name": "one", "unit": 1.0, "weight": 1.0}, {"name": "two", "unit": 2.0, "weight": 1.0}],
}
BOMB = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT"


def good(path: Path) -> None:
    """A small study of two pairs, which everything can be read of."""
    with open_study(path, IDENTITY) as study:
        study.put("about", ABOUT)
        study.put("report", {"rounds": [{"round": 1, "chosen": ["L1H2"]}]})
        study.add([Row("", pair, 0, "", (0.25, 1.0), JPEG, PNG) for pair in range(2)])
        study.add([Row("L1H2", pair, 1, "L1H2", (0.5, 2.0), JPEG) for pair in range(2)])


def changed(*statements: str) -> Callable[[Path], None]:
    """A good study, then some SQL."""

    def make(path: Path) -> None:
        good(path)
        connection = sqlite3.connect(path)
        for statement in statements:
            connection.executescript(statement)
        connection.commit()
        connection.close()

    return make


def holding(name: str, text: str) -> Callable[[Path], None]:
    """A good study with a stored value of this text."""

    def make(path: Path) -> None:
        good(path)
        connection = sqlite3.connect(path)
        connection.execute("INSERT OR REPLACE INTO study VALUES (?, ?)", (name, text))
        connection.commit()
        connection.close()

    return make


def with_bytes(change: Callable[[bytearray], Any]) -> Callable[[Path], None]:
    """A good study with its bytes changed."""

    def make(path: Path) -> None:
        good(path)
        data = bytearray(path.read_bytes())
        change(data)
        path.write_bytes(data)

    return make


def _fill(data: bytearray, start: int, end: int, value: int) -> None:
    data[start:end] = bytes([value]) * (min(end, len(data)) - start)


def _put(data: bytearray, old: bytes, new: bytes) -> None:
    place = data.index(old)
    data[place : place + len(new)] = new


def broken_link(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere at all")


def loop_of_links(path: Path) -> None:
    path.symlink_to(path)


UNREADABLE: dict[str, Callable[[Path], None]] = {
    "a view as a table": changed(
        "ALTER TABLE scores RENAME TO kept",
        f"CREATE VIEW scores AS {BOMB} 'L1' AS heads, x AS pair, 0 AS scorer, 1.0 AS value, 1 AS round, 'L1' AS head FROM c",
    ),
    "a view as the study": changed(
        "DROP TABLE study",
        f"CREATE VIEW study AS {BOMB} 'format' AS name, '\"headhunter-study/1\"' AS value FROM c",
    ),
    "a view beside": changed(f"CREATE VIEW other AS {BOMB} x FROM c"),
    "a trigger": changed("CREATE TRIGGER t AFTER INSERT ON scores BEGIN DELETE FROM scores; END"),
    "a virtual table": changed("CREATE VIRTUAL TABLE v USING fts5(x)"),
    "a table beside": changed("CREATE TABLE other(x)"),
    "a table missing": changed("DROP TABLE pictures"),
    "a column missing": changed("ALTER TABLE scores RENAME COLUMN round TO lap"),
    "a column more": changed("ALTER TABLE scores ADD COLUMN more TEXT DEFAULT 'x'"),
    "an expression as an index": changed("CREATE INDEX i ON scores(abs(value))"),
    "a generated column": changed(
        "DROP TABLE pictures",
        "CREATE TABLE pictures(number INTEGER PRIMARY KEY, heads TEXT NOT NULL, pair INTEGER NOT NULL, kind TEXT NOT NULL, "
        "round INTEGER NOT NULL, head TEXT NOT NULL, data BLOB AS (zeroblob(900000000)), UNIQUE(heads, pair, kind))",
    ),
    "another format": holding("format", '"headhunter-study/9"'),
    "the format a number": holding("format", "1"),
    "the format no JSON": holding("format", "headhunter"),
    "the format a blob": changed("UPDATE study SET value = x'00ff' WHERE name = 'format'"),
    "no format": changed("DELETE FROM study WHERE name = 'format'"),
    "not a database": lambda path: path.write_bytes(b"not a database at all" * 500) and None,
    "empty": lambda path: path.write_bytes(b"") and None,
    "a header alone": lambda path: path.write_bytes(b"SQLite format 3\0") and None,
    "the first page overwritten": with_bytes(lambda data: _fill(data, 100, 4096, 0xFF)),
    "a schema that is no UTF-8": with_bytes(lambda data: _put(data, b"TABLE study", b"TABLE\x80study")),
    "cut short": with_bytes(lambda data: data.__delitem__(slice(5000, None))),
    "a folder": lambda path: path.mkdir(),
    "a broken link": broken_link,
    "a loop of links": loop_of_links,
    "a pipe": lambda path: os.mkfifo(path),
    "another program's": lambda path: sqlite3.connect(path).executescript("CREATE TABLE x(y)").connection.close(),
}
"""Refused as a whole, with a reason."""

PARTLY: dict[str, Callable[[Path], None]] = {
    "the report a list": holding("report", "[1]"),
    "the report of other rounds": holding("report", '{"rounds": [5]}'),
    "rounds an object": holding("report", '{"rounds": {"a": 1}}'),
    "chosen a number": holding("report", '{"rounds": [{"round": 1, "chosen": 7}]}'),
    "the report no JSON": holding("report", "{"),
    "the report endless": holding("report", "[" * 100_000),
    "the report deep": holding("report", "[" * 900 + "]" * 900),
    "the report of huge numbers": holding("report", "[" + "9" * 6000 + "]"),
    "the report of infinity": holding("report", '{"a": 1e999, "b": NaN, "c": -Infinity}'),
    "the report a surrogate": holding("report", r'{"a": "\ud800"}'),
    "about text": holding("about", '"x"'),
    "about without units": holding("about", '{"scorers": [{"name": "a"}, {"name": "b"}]}'),
    "a unit of 0": holding(
        "about",
        json.dumps({"scorers": [{"name": "a", "unit": 0, "weight": 1}, {"name": "b", "unit": 0.0, "weight": 1}]}),
    ),
    "a unit of text": holding("about", '{"scorers": [{"name": "a", "unit": "x", "weight": 1}]}'),
    "scorers null": holding("about", '{"scorers": null}'),
    "the identity a list": holding("identity", "[]"),
    "the identity without pairs": holding("identity", '{"pairs": [], "scorers": []}'),
    "the identity's pairs numbers": holding("identity", '{"pairs": [1, 2], "scorers": [3]}'),
    "a prompt of surrogates": holding("identity", r'{"pairs": [{"text": "\ud800"}, {"text": "b"}]}'),
    "a blob that is 5": changed("UPDATE pictures SET data = 5"),
    "a preview of text": changed("UPDATE pictures SET data = '<script>alert(1)</script>'"),
    "a preview of a page": changed("UPDATE pictures SET data = CAST('<script>alert(1)</script>' AS BLOB)"),
    "an empty preview": changed("UPDATE pictures SET data = x''"),
    "rounds of text": changed("UPDATE scores SET round = 'x'", "UPDATE pictures SET round = 'x'"),
    "rounds too large": changed("UPDATE scores SET round = 9223372036854775807 WHERE head <> ''"),
    "pairs below 0": changed("UPDATE scores SET pair = -1 - pair"),
    "scorers below 0": changed("UPDATE scores SET scorer = -1 - scorer"),
    "scores of text": changed("UPDATE scores SET value = 'x'"),
    "scores of blobs": changed("UPDATE scores SET value = x'05'"),
    "scores of infinity": changed("UPDATE scores SET value = 9e999"),
    "heads of blobs": changed(
        "UPDATE scores SET heads = CAST(heads || pair AS BLOB)", "UPDATE pictures SET heads = x'ff'  WHERE number = 1"
    ),
    "heads that are no UTF-8": changed("UPDATE scores SET head = CAST(x'ff' AS TEXT) WHERE head <> ''"),
    "with a write-ahead log": with_bytes(lambda data: _fill(data, 18, 20, 2)),
    "the middle overwritten": with_bytes(lambda data: _fill(data, 4096, 12288, 0xAA)),
    "the end overwritten": with_bytes(lambda data: _fill(data, len(data) - 8192, len(data), 0x05)),
    "a value that is a blob": changed("UPDATE study SET value = x'05' WHERE name = 'report'"),
}
"""Read as far as what is asked for is good, else refused with a reason."""

ALL = {"good": good, **UNREADABLE, **PARTLY}
