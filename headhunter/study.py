"""A hunt on disk: one sqlite3 file with its identity, every score as soon as it exists, and small previews.

Rollback journal, not WAL, so that network folders work; one transaction a chunk, so that a kill at any moment loses at
most the chunk in flight; a lock file with its owner, so that two hunts never mix.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from . import study_file
from .study_file import (
    FORMAT,
    TABLES,
    Damaged,
    Kind,
    NoStudy,
    StudyError,
    is_count,
    is_picture,
    is_score,
    is_text,
    misfit,
    read_json,
)
from .study_lock import acquire

__all__ = ["FORMAT", "NoStudy", "Row", "Study", "StudyError", "differences", "open_study", "read_study"]

KEPT = "The scores so far are kept"
AGAIN = "queue the same hunt again: it goes on where it was"


@dataclass(frozen=True)
class Row:
    """One evaluated image: the set's canonical head text, its pair, its round and candidate (for reading), its scores.

    `preview` is a small JPEG; `picture` a full PNG, kept for the baseline and each round's set alone; `latent` the bytes of
    what the picture was decoded from, kept for the unguided pictures of a comparison alone.
    """

    heads: str
    pair: int
    round: int
    head: str
    scores: tuple[float, ...]
    preview: bytes | None = None
    picture: bytes | None = None
    latent: bytes | None = None


class Study:
    """An open study. Use `open_study`; close it, or use it as a context manager.

    One that can only be read, since its folder cannot be written, takes no new scores; what it would store of itself
    besides is left as it is. `reason`: why, or "".
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: IO[bytes] | None, reason: str = ""):
        self.path = path
        self.reason = reason
        self._connection = connection
        self._lock = lock
        self._identity: str | None = None
        self._images = 0
        self._last: Row | None = None

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
        text = self._text(name)
        with self._reading():
            return None if text is None else read_json(text)

    def shaped(self, name: str, shape: Any) -> Any:
        """As `get`; StudyError where the value is not of a shape (`study_file.misfit`). An empty object where there is none."""
        value = self.get(name)
        place = misfit({} if value is None else value, shape, name)
        if place:
            raise StudyError(f"{self.path.name} is damaged: {place} is not what a study holds there")
        return {} if value is None else value

    def put(self, name: str, value: Any) -> None:
        """Store a JSON value."""
        if self.reason:
            return
        with self._writing():
            self._connection.execute("INSERT OR REPLACE INTO study VALUES (?, ?)", (name, json.dumps(value)))

    def scores(self, heads: str, pair: int) -> tuple[float, ...] | None:
        """The scores of one image, one a scorer; None where it has not been evaluated."""
        rows = self._rows(
            "SELECT value FROM scores WHERE heads = ? AND pair = ? ORDER BY scorer", (heads, pair), (is_score,)
        )
        # SQLite keeps a score that is not a number (of a broken picture) as NULL.
        values = tuple(math.nan if value is None else value for (value,) in rows)
        return values or None

    def add(self, rows: Iterable[Row]) -> None:
        """Write a finished chunk in one transaction. StudyError where the disk is full or the file cannot be written."""
        if self.reason:
            raise StudyError(
                f"{self.path.name} can only be read ({self.reason}), and this hunt is not finished. {KEPT}. Let its folder "
                f"be written to, and {AGAIN}."
            )
        rows = list(rows)
        with self._writing():
            for row in rows:
                self._connection.executemany(
                    "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?)",
                    [
                        (row.heads, row.pair, index, value, row.round, row.head)
                        for index, value in enumerate(row.scores)
                    ],
                )
                for kind, data in {"preview": row.preview, "picture": row.picture, "latent": row.latent}.items():
                    if data is not None:
                        self._connection.execute(
                            "INSERT INTO pictures(heads, pair, kind, round, head, data) VALUES (?, ?, ?, ?, ?, ?) "
                            "ON CONFLICT(heads, pair, kind) DO UPDATE SET data = excluded.data",
                            (row.heads, row.pair, kind, row.round, row.head, data),
                        )
        self._last = rows[-1] if rows else self._last

    def picture(self, heads: str, pair: int) -> bytes | None:
        """The full PNG of an image that has one."""
        return self._picture("WHERE heads = ? AND pair = ? AND kind = 'picture'", (heads, pair))

    def latent(self, heads: str, pair: int) -> bytes | None:
        """The latent of an image whose latent is kept."""
        return self._picture("WHERE heads = ? AND pair = ? AND kind = 'latent'", (heads, pair))

    def preview(self, number: int) -> bytes | None:
        """A preview JPEG by its number, as `previews` lists them."""
        return self._picture("WHERE number = ? AND kind = 'preview'", (number,))

    def _picture(self, where: str, values: Sequence[Any]) -> bytes | None:
        rows = self._rows(f"SELECT data FROM pictures {where}", values, (is_picture,))  # noqa: S608  (fixed texts)
        return rows[0][0] if rows else None

    def previews(self) -> list[dict[str, Any]]:
        """Number, heads, pair, round and candidate of every preview."""
        rows = self._rows(
            "SELECT number, heads, pair, round, head FROM pictures WHERE kind = 'preview' ORDER BY number",
            (),
            (is_count, is_text, is_count, is_count, is_text),
        )
        return [dict(zip(("number", "heads", "pair", "round", "head"), row, strict=True)) for row in rows]

    def preview_count(self) -> int:
        """How many previews there are."""
        return self._rows("SELECT COUNT(*) FROM pictures WHERE kind = 'preview'")[0][0]

    def first_previews(self) -> list[dict[str, Any]]:
        """Number, round and candidate of one preview of each candidate: that of its first pair."""
        # By the score's round and candidate: older studies kept the picture of a round's set anew under no candidate.
        rows = self._rows(
            "SELECT p.number, COALESCE(s.round, p.round) AS n, COALESCE(s.head, p.head) AS h, MIN(p.pair) FROM pictures p "
            "LEFT JOIN scores s ON s.heads = p.heads AND s.pair = p.pair AND s.scorer = 0 "
            "WHERE p.kind = 'preview' AND h <> '' GROUP BY n, h",
            (),
            (is_count, is_count, is_text, is_count),
        )
        return [{"number": number, "round": round, "head": head} for number, round, head, _ in rows]

    def differences(self, number: int | None = None, base: str = "") -> list[tuple[Any, ...]]:
        """(round, candidate, scorer, mean of its scores minus those of the set `base` on the same pairs, pairs), by round; of
        one round alone where `number` is given. `base`: the set's canonical head text, by default the unguided pictures.

        The mean is None where a score is missing (a broken picture).
        """
        return self._rows(
            "SELECT s.round, s.head, s.scorer, "
            "CASE WHEN COUNT(s.value - b.value) = COUNT(*) THEN AVG(s.value - b.value) END, COUNT(*) FROM scores s "
            "JOIN scores b ON b.heads = ? AND b.pair = s.pair AND b.scorer = s.scorer "
            "WHERE s.head <> '' AND (? IS NULL OR s.round = ?) "
            "GROUP BY s.round, s.head, s.scorer ORDER BY s.round, s.head, s.scorer",
            (base, number, number),
            (is_count, is_text, is_count, is_score, is_count),
        )

    def set_of(self, number: int, chosen: Sequence[str]) -> str | None:
        """The canonical head text of the set that a round ended with: of its only chosen candidate, or of several together.
        `number` 0 is what the hunt began with. None where it has not been measured."""
        alone = chosen[0] if len(chosen) == 1 else ""
        rows = self._rows(
            "SELECT DISTINCT heads FROM scores WHERE round = ? AND heads <> '' AND (head = ? OR ? = 0) LIMIT 2",
            (number, alone, number),
            (is_text,),
        )
        return rows[0][0] if len(rows) == 1 else None

    def baseline(self, scorer: int) -> list[float]:
        """A scorer's scores of the unguided pictures, by pair."""
        rows = self._rows(
            "SELECT value FROM scores WHERE heads = '' AND scorer = ? AND value IS NOT NULL ORDER BY pair",
            (scorer,),
            (is_score,),
        )
        return [value for (value,) in rows if math.isfinite(value)]

    def evaluations(self) -> int:
        """How many images have been scored."""
        return self._rows("SELECT COUNT(*) FROM (SELECT DISTINCT heads, pair FROM scores)")[0][0]

    def table(self) -> Iterator[tuple[Any, ...]]:
        """Every score as (round, head, heads, pair, prompt, seed, scorer, value), for export."""
        shape = {"pairs?": [{"text?": str, "seed?": int}], "scorers?": [{"name?": str}]}
        identity = self.shaped("identity", shape)
        pairs, scorers = identity.get("pairs", []), identity.get("scorers", [])
        for number, head, heads, pair, scorer, value in self._rows(
            "SELECT round, head, heads, pair, scorer, value FROM scores ORDER BY round, head, pair, scorer",
            (),
            (is_count, is_text, is_text, is_count, is_count, is_score),
        ):
            prompt = pairs[pair] if pair < len(pairs) else {}
            name = scorers[scorer].get("name", str(scorer)) if scorer < len(scorers) else str(scorer)
            yield number, head, heads, pair, prompt.get("text", ""), prompt.get("seed", ""), name, value

    def _text(self, name: str) -> str | None:
        rows = self._rows("SELECT value FROM study WHERE name = ?", (name,), (is_text,))
        return rows[0][0] if rows else None

    def _rows(self, sql: str, values: Sequence[Any] = (), kinds: Sequence[Kind] = ()) -> list[tuple[Any, ...]]:
        with self._reading():
            return study_file.query(self._connection, sql, values, kinds)

    def _begin(self) -> None:
        """Remember what is in the file now, to tell later whether it still is."""
        self._identity = self._text("identity")
        self._images = self.evaluations()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            after = f" {self._truth(error)}" if self._lock else ""
            raise StudyError(f"{self.path.name} cannot be read ({error}).{after}") from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                if self._identity is not None and self._text_now() != self._identity:
                    raise Damaged("something else lies in its place")
                yield
        except sqlite3.Error as error:
            raise StudyError(f"{self.path.name} could not be written ({error}). {self._truth(error)}") from error

    def _text_now(self) -> str | None:
        rows = study_file.query(self._connection, "SELECT value FROM study WHERE name = 'identity'", (), (is_text,))
        return rows[0][0] if rows else None

    def _truth(self, error: sqlite3.Error) -> str:
        """What has become of the scores, found out by opening the file anew, and what to do."""
        if not self.path.exists():
            return (
                "The file was deleted or moved away while the hunt ran, and its scores with it. Put it back, or queue the "
                "hunt again: it then begins anew."
            )
        if "locked" in str(error) and not isinstance(error, Damaged):
            return f"Another program keeps it locked. {KEPT}. Close that program, and {AGAIN}."
        try:
            there = Study(self.path, study_file.connect(self.path, "ro"), None)
        except sqlite3.Error as problem:
            return (
                f"What lies there now is not the study ({problem}): it was cut short, changed or replaced while the hunt ran, "
                "and the scores in it are lost. Put a copy of it back, or delete it and queue the hunt again."
            )
        with there:
            try:
                whole = there._text_now() == self._identity and self._holds(there)
            except (sqlite3.Error, StudyError):
                whole = False
        if not whole:
            return (
                "Another study lies in its place, or an older state of this one: scores of this hunt are lost. Put the file "
                "back, or choose another name."
            )
        return f"{KEPT}. Make room on the disk, or check that the folder can be written to, and {AGAIN}."

    def _holds(self, there: Study) -> bool:
        """Whether another opening of the file has all that this one wrote or found."""
        if there.evaluations() < self._images:
            return False
        if self._last is None:
            return True
        last = self._last.heads, self._last.pair
        return there.scores(*last) is not None if self._last.scores else there.picture(*last) is not None


def open_study(path: Path, identity: Mapping[str, Any]) -> Study:
    """Open a study for writing, new or to go on with, and lock it.

    `identity` (JSON) is what its scores depend on. StudyError where the file belongs to another hunt (it says what
    differs), is locked by a running one, is not a study, or cannot be made. One that is there, but cannot be written, is
    opened to be read: enough for a hunt that is finished.
    """
    wanted = json.loads(json.dumps(identity))
    lock, reason = None, ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = acquire(path)
        if path.is_file() and not study_file.writable(path):
            reason = "the file is write-protected"
    except OSError as error:
        reason = error.strerror or str(error)
        if not os.path.isfile(path):  # unlike Path.is_file, also False in a folder that may not be looked into
            raise _cannot_be_made(path, reason) from error
    try:
        if not reason and (not path.exists() or (path.is_file() and not path.stat().st_size)):
            _create(path, wanted)
        return _open(path, wanted, lock, reason)
    except BaseException:
        if lock:
            lock.close()
        raise


def _open(path: Path, wanted: Any, lock: IO[bytes] | None, reason: str) -> Study:
    if not path.is_file():
        raise StudyError(f"{path.name} is not a file. Move it away or choose another name.")
    try:
        connection = study_file.connect(path, "ro" if reason else "rw", 30)
    except sqlite3.Error as error:
        raise StudyError(
            f"{path.name} is not a study that can be read ({error}). Move it away or choose another name."
        ) from error
    study = Study(path, connection, None, reason)
    try:
        if not reason:
            _settle(connection)
        known = study.get("identity")
        if isinstance(known, dict) and isinstance(wanted, dict) and known.get("reading") != wanted.get("reading"):
            raise StudyError(
                f"the study {path.stem} was made by another version of HeadHunter, which told models apart in another way: whether "
                "this hunt is the same cannot be known. The study stays as it is, and can still be looked at. Choose another name, "
                "or leave it empty for a new study."
            )
        if known != wanted:
            raise StudyError(
                f"the study {path.stem} belongs to another hunt; what differs: {', '.join(differences(known, wanted))}. "
                "Choose another name, or leave it empty for a new study."
            )
        study._begin()
    except BaseException:
        connection.close()
        raise
    study._lock = lock
    return study


def read_study(path: Path) -> Study:
    """Open a study to read, also while a hunt writes it. StudyError where it is not one; NoStudy where there is none."""
    if not path.is_file():
        raise NoStudy(f"there is no study {path.stem}")
    try:
        # Not read-only: what a killed hunt left half written is rolled back by whoever opens the file next.
        return Study(path, study_file.connect(path, "rw"), None)
    except sqlite3.Error as error:
        raise StudyError(f"{path.name} is not a study that can be read ({error})") from error


def differences(known: Any, wanted: Any, name: str = "") -> list[str]:
    """The parts in which two identities differ, each with both values where they are short."""
    if isinstance(known, dict) and isinstance(wanted, dict):
        parts = []
        for key in dict.fromkeys([*known, *wanted]):
            parts += differences(known.get(key), wanted.get(key), f"{name}.{key}" if name else str(key))
        return parts
    if known == wanted:
        return []
    values = [value if len(value) <= 40 else value[:37] + "..." for value in (json.dumps(known), json.dumps(wanted))]
    return [f"{name} ({values[0]} there, {values[1]} here)"]


def _cannot_be_made(path: Path, why: object) -> StudyError:
    return StudyError(
        f"the study {path.stem} cannot be made in {path.parent} ({why}). Nothing was made yet: make room on the disk, or check "
        "that the folder can be written to, and queue again."
    )


def _create(path: Path, identity: Mapping[str, Any]) -> None:
    """A new study, made beside its place and moved there whole, so that a reader never meets half of one."""
    new = path.with_name(path.name + ".new")
    try:
        new.unlink(missing_ok=True)
        connection = sqlite3.connect(new, timeout=30, isolation_level=None)
        with Study(new, connection, None):
            _settle(connection)
            connection.executescript(TABLES)
            values = {"created": time.time(), "identity": identity, "format": FORMAT}
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    "INSERT INTO study VALUES (?, ?)", [(name, json.dumps(value)) for name, value in values.items()]
                )
        os.replace(new, path)
    except (sqlite3.Error, OSError) as error:
        for left in (new, new.with_name(new.name + "-journal")):
            with suppress(OSError):
                left.unlink(missing_ok=True)
        raise _cannot_be_made(path, getattr(error, "strerror", None) or error) from error


def _settle(connection: sqlite3.Connection) -> None:
    """The settings of one that writes."""
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = FULL")
