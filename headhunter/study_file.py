"""A study's file, read as untrusted input: how sqlite is told where it is, and what of it is believed.

A study may come from anyone. Its tables must be exactly ours (a view that is called as a table would run whatever its
author wrote), no query runs for longer than `READ_SECONDS`, and each value is checked where it is read: SQLite holds any
type in any column, and JSON any shape.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any
from urllib.parse import quote

FORMAT = "headhunter-study/1"
READ_SECONDS = 10.0
LOCK_SECONDS = 5.0
"""How long a reader waits for a writer's commit."""
MOST_ROWS = 1_000_000
MOST_TEXT = 32 * 2**20
MOST_PICTURE = 256 * 2**20
_LIMIT_LENGTH = 0  # SQLITE_LIMIT_LENGTH, of a text or blob (sqlite.org/c3ref/c_limit_attached.html)
_STEPS = 10_000  # of SQLite's machine, between two looks at the clock

TABLES = """
CREATE TABLE IF NOT EXISTS study(name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS scores(
    heads TEXT NOT NULL, pair INTEGER NOT NULL, scorer INTEGER NOT NULL, value REAL,
    round INTEGER NOT NULL, head TEXT NOT NULL, PRIMARY KEY(heads, pair, scorer)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pictures(
    number INTEGER PRIMARY KEY, heads TEXT NOT NULL, pair INTEGER NOT NULL, kind TEXT NOT NULL,
    round INTEGER NOT NULL, head TEXT NOT NULL, data BLOB NOT NULL, UNIQUE(heads, pair, kind));
"""

Kind = Callable[[Any], bool]


class StudyError(RuntimeError):
    """A study that cannot be opened, read or written; says which file, why, and what to do."""


class NoStudy(StudyError):
    """There is no such study, or no such part of it."""


class Damaged(sqlite3.DatabaseError):
    """What no study of ours holds."""


# What a column may hold.


def is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MOST_TEXT


def is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def is_score(value: Any) -> bool:
    """A number; None stands for one that is not a number, as SQLite keeps it."""
    return value is None or isinstance(value, float)


def is_picture(value: Any) -> bool:
    return isinstance(value, bytes) and len(value) <= MOST_PICTURE


def address(path: PurePath, mode: str) -> str:
    """The URI by which sqlite opens an absolute path. `mode`: ro, rw or rwc.

    `as_uri()` names the server of a Windows network folder as a host, which sqlite refuses: there the host stays empty, and
    the path begins with two slashes.
    """
    text = str(path)
    if isinstance(path, PureWindowsPath):
        text = text.replace("\\", "/")
        if text[:8].upper() == "//?/UNC/":
            text = "//" + text[8:]
        elif text.startswith("//?/"):
            text = text[4:]
        if not text.startswith("/"):
            text = "/" + text  # a drive
    return f"file://{quote(text.encode('utf-8', 'surrogateescape'), safe='/:')}?mode={mode}"


def connect(path: Path, mode: str, timeout: float = LOCK_SECONDS) -> sqlite3.Connection:
    """A study's file, with nothing in it trusted. sqlite3.Error where it is not exactly a study's."""
    connection = sqlite3.connect(address(path.absolute(), mode), uri=True, timeout=timeout, isolation_level=None)
    try:
        set_limit: Any = getattr(connection, "setlimit", None)  # Python 3.11
        if set_limit:
            set_limit(_LIMIT_LENGTH, MOST_PICTURE + MOST_TEXT)
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
            connection.execute(f"PRAGMA {pragma}")
        if _schema(connection) != _own_schema():
            raise Damaged("its tables are not a study's: it is another program's, or was changed")
        formats = query(connection, "SELECT value FROM study WHERE name = 'format'", (), (is_text,))
        if [read_json(value) for (value,) in formats] != [FORMAT]:
            raise Damaged(f"its format is not {FORMAT}")
        return connection
    except UnicodeError:  # of SQLite's own message, which quotes the file
        connection.close()
        raise Damaged("it holds text that is no UTF-8") from None
    except BaseException:
        connection.close()
        raise


def query(
    connection: sqlite3.Connection, sql: str, values: Sequence[Any] = (), kinds: Sequence[Kind] = ()
) -> list[tuple[Any, ...]]:
    """A query's rows, each column of the kind that it should be, within the limits. sqlite3.Error otherwise."""
    until = time.monotonic() + READ_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        rows = connection.execute(sql, values).fetchmany(MOST_ROWS + 1)
    except sqlite3.OperationalError as error:
        if time.monotonic() > until and "interrupted" in str(error):
            raise Damaged(f"reading it takes over {READ_SECONDS:g} seconds") from None
        raise
    except UnicodeError:
        raise Damaged("it holds text that is no UTF-8") from None
    finally:
        connection.set_progress_handler(None, 0)
    if len(rows) > MOST_ROWS:
        raise Damaged(f"it holds over {MOST_ROWS} rows, the most that is read")
    for column, kind in enumerate(kinds):
        if not all(kind(row[column]) for row in rows):
            raise Damaged(f"column {column + 1} of what it holds is not what a study holds there")
    return rows


def read_json(text: str) -> Any:
    """A stored value. Numbers that are not finite are None; Damaged where it is no JSON, or has endless numbers or depths."""
    try:
        return json.loads(text, parse_constant=lambda _: None, parse_int=_integer, parse_float=_real)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"it holds what is no JSON of ours ({str(error)[:100]})") from None


def misfit(value: Any, shape: Any, where: str) -> str:
    """The place in JSON data that is not of a shape, or "".

    A shape is a type or a tuple of them, `[shape]` for a list of that, or `{name: shape}` for an object that may have
    more; a name that ends with ? may be missing.
    """
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return where
        for name, inner in shape.items():
            key = name.removesuffix("?")
            if key in value or not name.endswith("?"):
                place = misfit(value.get(key), inner, f"{where}.{key}")
                if place:
                    return place
        return ""
    if isinstance(shape, list):
        if not isinstance(value, list):
            return where
        places = (misfit(item, shape[0], f"{where}[{index}]") for index, item in enumerate(value))
        return next(filter(None, places), "")
    good = isinstance(value, shape) and not (isinstance(value, bool) and shape is not bool)
    return "" if good else where


def _integer(text: str) -> int:
    if len(text) > 20:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _real(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _schema(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    rows = query(connection, "SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 20")
    return sorted(tuple(_squeezed(value) for value in row) for row in rows)


def _squeezed(value: Any) -> str:
    """Without what may be written in more than one way."""
    return "".join(str(value).split()).lower().replace("ifnotexists", "")


def _own_schema() -> list[tuple[str, ...]]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(TABLES)
        return _schema(connection)
    finally:
        connection.close()


def writable(path: Path) -> bool:
    """Whether a file may be written, as far as its permissions and its disk say."""
    return os.access(path, os.W_OK)
