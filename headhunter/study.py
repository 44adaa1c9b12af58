"""A hunt on disk: one sqlite3 file with its identity, every score as soon as it exists, and small previews.

Rollback journal, not WAL, so that network folders work; one transaction a chunk, so that a kill at any moment loses at
most the chunk in flight; a lock file with its owner, so that two hunts never mix.
"""

from __future__ import annotations

import json
import math
import os
import socket
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

FORMAT = "headhunter-study/1"

_TABLES = """
CREATE TABLE IF NOT EXISTS study(name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS scores(
    heads TEXT NOT NULL, pair INTEGER NOT NULL, scorer INTEGER NOT NULL, value REAL,
    round INTEGER NOT NULL, head TEXT NOT NULL, PRIMARY KEY(heads, pair, scorer)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pictures(
    number INTEGER PRIMARY KEY, heads TEXT NOT NULL, pair INTEGER NOT NULL, kind TEXT NOT NULL,
    round INTEGER NOT NULL, head TEXT NOT NULL, data BLOB NOT NULL, UNIQUE(heads, pair, kind));
"""


class StudyError(RuntimeError):
    """A study that cannot be opened or written; says which file, why, and what to do."""


@dataclass(frozen=True)
class Row:
    """One evaluated image: the set's canonical head text, its pair, its round and candidate (for reading), its scores.

    `preview` is a small JPEG; `picture` a full PNG, kept for the baseline and each round's set alone.
    """

    heads: str
    pair: int
    round: int
    head: str
    scores: tuple[float, ...]
    preview: bytes | None = None
    picture: bytes | None = None


class Study:
    """An open study. Use `open_study`; close it, or use it as a context manager."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: IO[str] | None):
        self.path = path
        self._connection = connection
        self._lock = lock

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()
        if self._lock:
            self._lock.close()
            self._lock = None

    def get(self, name: str) -> Any:
        """A stored JSON value, None where there is none."""
        row = self._connection.execute("SELECT value FROM study WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, name: str, value: Any) -> None:
        """Store a JSON value."""
        with self._writing():
            self._connection.execute("INSERT OR REPLACE INTO study VALUES (?, ?)", (name, json.dumps(value)))

    def scores(self, heads: str, pair: int) -> tuple[float, ...] | None:
        """The scores of one image, one a scorer; None where it has not been evaluated."""
        rows = self._connection.execute(
            "SELECT value FROM scores WHERE heads = ? AND pair = ? ORDER BY scorer", (heads, pair)
        )
        # SQLite keeps a score that is not a number (of a broken picture) as NULL.
        values = tuple(math.nan if value is None else value for (value,) in rows)
        return values or None

    def add(self, rows: Iterable[Row]) -> None:
        """Write a finished chunk in one transaction. StudyError where the disk is full or the file cannot be written."""
        with self._writing():
            for row in rows:
                self._connection.executemany(
                    "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?)",
                    [
                        (row.heads, row.pair, index, value, row.round, row.head)
                        for index, value in enumerate(row.scores)
                    ],
                )
                for kind, data in {"preview": row.preview, "picture": row.picture}.items():
                    if data is not None:
                        self._connection.execute(
                            "INSERT INTO pictures(heads, pair, kind, round, head, data) VALUES (?, ?, ?, ?, ?, ?) "
                            "ON CONFLICT(heads, pair, kind) DO UPDATE SET data = excluded.data",
                            (row.heads, row.pair, kind, row.round, row.head, data),
                        )

    def picture(self, heads: str, pair: int) -> bytes | None:
        """The full PNG of an image that has one."""
        return self._picture("WHERE heads = ? AND pair = ? AND kind = 'picture'", (heads, pair))

    def preview(self, number: int) -> bytes | None:
        """A preview JPEG by its number, as `previews` lists them."""
        return self._picture("WHERE number = ? AND kind = 'preview'", (number,))

    def _picture(self, where: str, values: Sequence[Any]) -> bytes | None:
        row = self._connection.execute(f"SELECT data FROM pictures {where}", values).fetchone()  # noqa: S608  (fixed texts)
        return row[0] if row else None

    def previews(self) -> list[dict[str, Any]]:
        """Number, heads, pair, round and candidate of every preview."""
        rows = self._connection.execute(
            "SELECT number, heads, pair, round, head FROM pictures WHERE kind = 'preview' ORDER BY number"
        )
        return [dict(zip(("number", "heads", "pair", "round", "head"), row, strict=True)) for row in rows]

    def first_previews(self) -> list[dict[str, Any]]:
        """Number, round and candidate of one preview of each candidate: that of its first pair."""
        # By the score's round and candidate: older studies kept the picture of a round's set anew under no candidate.
        rows = self._connection.execute(
            "SELECT p.number, COALESCE(s.round, p.round) AS n, COALESCE(s.head, p.head) AS h, MIN(p.pair) FROM pictures p "
            "LEFT JOIN scores s ON s.heads = p.heads AND s.pair = p.pair AND s.scorer = 0 "
            "WHERE p.kind = 'preview' AND h <> '' GROUP BY n, h"
        )
        return [{"number": number, "round": round, "head": head} for number, round, head, _ in rows]

    def differences(self) -> list[tuple[int, str, int, float | None, int]]:
        """(round, candidate, scorer, mean of its scores minus the baseline's on the same pairs, pairs), by round.

        The mean is None where a score is missing (a broken picture).
        """
        return self._connection.execute(
            "SELECT s.round, s.head, s.scorer, "
            "CASE WHEN COUNT(s.value - b.value) = COUNT(*) THEN AVG(s.value - b.value) END, COUNT(*) FROM scores s "
            "JOIN scores b ON b.heads = '' AND b.pair = s.pair AND b.scorer = s.scorer "
            "WHERE s.head <> '' GROUP BY s.round, s.head, s.scorer ORDER BY s.round, s.head, s.scorer"
        ).fetchall()

    def baseline(self, scorer: int) -> list[float]:
        """A scorer's scores of the unguided pictures, by pair."""
        rows = self._connection.execute(
            "SELECT value FROM scores WHERE heads = '' AND scorer = ? AND value IS NOT NULL ORDER BY pair", (scorer,)
        )
        return [value for (value,) in rows]

    def evaluations(self) -> int:
        """How many images have been scored."""
        return self._connection.execute("SELECT COUNT(*) FROM (SELECT DISTINCT heads, pair FROM scores)").fetchone()[0]

    def table(self) -> Iterator[tuple[Any, ...]]:
        """Every score as (round, head, heads, pair, prompt, seed, scorer, value), for export."""
        identity = self.get("identity") or {}
        pairs, scorers = identity.get("pairs", []), identity.get("scorers", [])
        for row in self._connection.execute(
            "SELECT round, head, heads, pair, scorer, value FROM scores ORDER BY round, head, pair, scorer"
        ):
            number, head, heads, pair, scorer, value = row
            prompt = pairs[pair] if pair < len(pairs) else {}
            name = scorers[scorer]["name"] if scorer < len(scorers) else str(scorer)
            yield number, head, heads, pair, prompt.get("text", ""), prompt.get("seed", ""), name, value

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.Error as error:
            raise StudyError(
                f"{self.path.name} could not be written ({error}). The scores so far are kept. Make room on the disk, or check that the "
                "folder can be written to, and queue the same hunt again: it goes on where it was."
            ) from error


def open_study(path: Path, identity: Mapping[str, Any]) -> Study:
    """Open a study for writing, new or to go on with, and lock it.

    `identity` (JSON) is what its scores depend on. StudyError where the file belongs to another hunt (it says what
    differs), is locked by a running one, or is not a study.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _acquire(path)
    try:
        wanted = json.loads(json.dumps(identity))
        try:
            if not path.exists() or not path.stat().st_size:
                _create(path, wanted)
            connection = _connect(path)
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "study" not in tables:
                raise sqlite3.DatabaseError("it is another program's database")
            study = Study(path, connection, lock)
            known = study.get("identity")
        except sqlite3.Error as error:
            raise StudyError(
                f"{path.name} is not a study that can be read ({error}). Move it away or choose another name."
            ) from error
        if known != wanted:
            raise StudyError(
                f"the study {path.stem} belongs to another hunt; what differs: {', '.join(differences(known, wanted))}. "
                "Choose another name, or leave it empty for a new study."
            )
        return study
    except BaseException:
        lock.close()
        raise


def read_study(path: Path) -> Study:
    """Open a study to read, also while a hunt writes it. StudyError where it is not one."""
    if not path.is_file():
        raise StudyError(f"there is no study {path.stem}")
    try:
        # Not read-only: what a killed hunt left half written is rolled back by whoever opens the file next.
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=10)
        study = Study(path, connection, None)
        if study.get("format") != FORMAT:
            raise StudyError(f"{path.name} is not a {FORMAT} study")
        return study
    except sqlite3.Error as error:
        raise StudyError(f"{path.name} is not a study that can be read ({error})") from error


def differences(known: Any, wanted: Any, name: str = "") -> list[str]:
    """The parts in which two identities differ, each with both values where they are short."""
    if isinstance(known, dict) and isinstance(wanted, dict):
        found = []
        for key in dict.fromkeys([*known, *wanted]):
            found += differences(known.get(key), wanted.get(key), f"{name}.{key}" if name else str(key))
        return found
    if known == wanted:
        return []
    values = [value if len(value) <= 40 else value[:37] + "..." for value in (json.dumps(known), json.dumps(wanted))]
    return [f"{name} ({values[0]} there, {values[1]} here)"]


def _create(path: Path, identity: Mapping[str, Any]) -> None:
    """A new study, made beside its place and moved there whole, so that a reader never meets half of one."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with Study(new, _connect(new), None) as study:
        study._connection.executescript(_TABLES)
        study.put("created", time.time())
        study.put("identity", identity)
        study.put("format", FORMAT)
    os.replace(new, path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _acquire(path: Path) -> IO[str]:
    """Take the study's lock file and write its owner into it. The system lets go of it when the process ends, however it ends."""
    name = path.with_name(path.name + ".lock")
    lock = name.open("a+", encoding="utf-8")
    try:
        _lock(lock)
    except OSError:
        lock.seek(0)
        owner = lock.read(200).strip() or "unknown"
        lock.close()
        raise StudyError(
            f"the study {path.stem} is in use by another hunt ({owner}). Wait for it, or choose another name."
        ) from None
    lock.seek(0)
    lock.truncate()
    lock.write(f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}")
    lock.flush()
    return lock


def _lock(file: IO[str]) -> None:
    """An exclusive lock on an open file, or OSError at once."""
    if os.name == "nt":
        import msvcrt

        file.seek(2**20)  # beyond the text, which others may read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
