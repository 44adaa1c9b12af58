"""Studies on disk: kept scores, one owner, kills at any moment, clear errors."""

import errno
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from headhunter_pack.headhunter import study_file
from headhunter_pack.headhunter.study import Row, Study, StudyError, differences, open_study, read_study

IDENTITY = {
    "model": "abc",
    "settings": {"steps": 20, "scale": 3.0},
    "pairs": [{"text": "a, b", "seed": 5}],
    "scorers": [{"name": "one"}, {"name": "two"}],
}
ROOT = Path(__file__).parent.parent.parent


def row(heads: str, *scores: float, **rest) -> Row:
    return Row(heads, 0, 1, heads, scores, **rest)


def test_scores_survive(tmp_path):
    path = tmp_path / "deep" / "a.sqlite"
    with open_study(path, IDENTITY) as study:
        study.add([row("L1H2", 0.5, 1.5, preview=b"jpeg", picture=b"png"), row("L1H3", 0.25, 2.0)])
        study.put("report", {"rounds": []})
    with open_study(path, IDENTITY) as study:
        assert study.scores("L1H2", 0) == (0.5, 1.5)
        assert study.scores("L1H2", 1) is None and study.scores("L9", 0) is None
        assert study.picture("L1H2", 0) == b"png" and study.picture("L1H3", 0) is None
        assert [(entry["heads"], study.preview(entry["number"])) for entry in study.previews()] == [("L1H2", b"jpeg")]
        assert study.get("report") == {"rounds": []}
        assert study.evaluations() == 2
        assert list(study.table())[0] == (1, "L1H2", "L1H2", 0, "a, b", 5, "one", 0.5)
        assert study._connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_score_that_is_not_a_number_is_kept(tmp_path):
    with open_study(tmp_path / "a.sqlite", IDENTITY) as study:
        study.add([row("L1H2", math.nan, 1.5)])
        scores = study.scores("L1H2", 0)
        assert math.isnan(scores[0]) and scores[1] == 1.5
        assert study.evaluations() == 1


def test_another_hunt_is_refused_with_what_differs(tmp_path):
    path = tmp_path / "a.sqlite"
    open_study(path, IDENTITY).close()
    other = IDENTITY | {"settings": {"steps": 28, "scale": 3.0}}
    with pytest.raises(StudyError, match=r"what differs: settings.steps \(20 there, 28 here\)"):
        open_study(path, other)
    open_study(path, IDENTITY).close()
    assert differences({"a": 1, "b": 2}, {"a": 1, "c": 3}) == ["b (2 there, null here)", "c (null there, 3 here)"]


def test_a_study_has_one_writer_and_many_readers(tmp_path):
    path = tmp_path / "a.sqlite"
    with open_study(path, IDENTITY) as study:
        study.add([row("L1", 1.0)])
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from headhunter import study; study.open_study(study.Path({str(path)!r}), {IDENTITY!r})"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert other.returncode != 0 and "in use by another hunt" in other.stderr and str(os.getpid()) in other.stderr
        with read_study(path) as reader:
            assert reader.scores("L1", 0) == (1.0,)
    open_study(path, IDENTITY).close()


@pytest.mark.parametrize("delay", [0.05, 0.2, 0.5])
def test_kill_9_at_any_moment(tmp_path, delay):
    """A process writes chunks of 50 rows without end and is killed; what it said was written is there, whole chunks only."""
    path = tmp_path / "a.sqlite"
    code = textwrap.dedent(f"""
        import sys; sys.path.insert(0, {str(ROOT)!r})
        from headhunter.study import Row, open_study
        from pathlib import Path
        study = open_study(Path({str(path)!r}), {IDENTITY!r})
        chunk = 0
        while True:
            study.add([Row(f"L{{chunk}}H{{i}}", 0, 1, "", (1.0, 2.0), b"x" * 20_000) for i in range(50)])
            chunk += 1
            print(chunk, flush=True)
    """)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        pass
    process.send_signal(signal.SIGKILL)
    said = [1, *(int(line) for line in process.stdout.read().split())][-1]
    process.wait()
    with read_study(path) as reader:
        assert reader.evaluations() % 50 == 0 and reader.evaluations() >= 50 * said
    with open_study(path, IDENTITY) as study:
        study.add([row("L999", 1.0, 2.0)])
        assert study.scores("L999", 0) == (1.0, 2.0)
        assert study._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_what_is_not_a_study(tmp_path):
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"not a database at all, but long enough to look at" * 100)
    with pytest.raises(StudyError, match="a.sqlite is not a study"):
        open_study(path, IDENTITY)
    with pytest.raises(StudyError, match="a.sqlite is not a study"):
        read_study(path)
    with pytest.raises(StudyError, match="there is no study b"):
        read_study(tmp_path / "b.sqlite")
    other = tmp_path / "c.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE unrelated(x)")
    with pytest.raises(StudyError, match="c.sqlite is not a"):
        read_study(other)


def test_a_full_disk_is_a_clear_error_and_keeps_what_was_written(tmp_path):
    path = tmp_path / "a.sqlite"
    with open_study(path, IDENTITY) as study:
        study.add([row("L1", 1.0)])
        # SQLite itself reports a full database, as it does a full disk.
        pages = study._connection.execute("PRAGMA page_count").fetchone()[0]
        study._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(StudyError, match="full.*scores so far are kept"):
            study.add([row("L2", 1.0, preview=b"x" * 10**6)])
        assert study.scores("L1", 0) == (1.0,) and study.scores("L2", 0) is None


def test_a_new_study_is_whole_as_soon_as_it_is_seen(tmp_path):
    """A reader that meets the file while it is being made never finds half of it."""
    paths = [tmp_path / f"{number}.sqlite" for number in range(40)]
    making = threading.Thread(target=lambda: [open_study(path, IDENTITY).close() for path in paths])
    making.start()
    for path in paths:
        while not path.exists():
            assert making.is_alive() or path.exists()
        with read_study(path) as study:
            assert study.get("identity") == IDENTITY and study.evaluations() == 0
    making.join()


# What becomes of a study while a hunt runs.


def running(tmp_path) -> Study:
    study = open_study(tmp_path / "a.sqlite", IDENTITY)
    study.add([row("L1", 1.0, 2.0)])
    return study


def failure(study: Study) -> str:
    with pytest.raises(StudyError) as caught:
        study.add([row("L2", 1.0, 2.0)])
    return str(caught.value)


def test_deleted_while_it_runs(tmp_path):
    with running(tmp_path) as study:
        study.path.unlink()
        said = failure(study)
        assert "deleted or moved" in said and "begins anew" in said and "are kept" not in said


@pytest.mark.parametrize("size", [0, 100, 4096, 6000])
def test_truncated_while_it_runs(tmp_path, size):
    with running(tmp_path) as study:
        os.truncate(study.path, size)
        said = failure(study)
        assert "are lost" in said and "are kept" not in said
        with pytest.raises(StudyError, match="are lost"):
            study.scores("L1", 0)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("other", ["another hunt's", "an older state"])
def test_replaced_while_it_runs(tmp_path, in_place, other):
    identity = IDENTITY if other == "an older state" else IDENTITY | {"model": "other"}
    open_study(tmp_path / "b.sqlite", identity).close()
    with running(tmp_path) as study:
        if in_place:
            shutil.copyfile(tmp_path / "b.sqlite", study.path)
        else:
            os.replace(tmp_path / "b.sqlite", study.path)
        if other == "an older state" and in_place:
            return  # it is this hunt's own, and may be written to
        said = failure(study)
        assert "in its place" in said and "are lost" in said and "are kept" not in said
    with read_study(tmp_path / "a.sqlite") as study:
        assert study.evaluations() == 0, "no scores of one hunt in another's study"


def test_locked_while_it_runs(tmp_path):
    with running(tmp_path) as study:
        study._connection.execute("PRAGMA busy_timeout = 100")
        other = sqlite3.connect(study.path)
        other.execute("BEGIN EXCLUSIVE")
        said = failure(study)
        assert "locked" in said and "scores so far are kept" in said
        other.close()
        study.add([row("L2", 1.0, 2.0)])


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A disk of its own; skipped where there may be none."""
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no disk can be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills_up(tmp_path):
    with small_disk(tmp_path / "disk", "size=256k") as disk:
        path = disk / "a.sqlite"
        with open_study(path, IDENTITY) as study:
            study.add([row("L1", 1.0, 2.0)])
            with pytest.raises(StudyError, match="scores so far are kept. Make room"):
                study.add([row("L2", 1.0, 2.0, preview=b"x" * 2**18)])
            study.add([row("L3", 1.0, 2.0)])
        with read_study(path) as study:
            assert study.evaluations() == 2
        with open_study(path, IDENTITY) as study:
            assert study.scores("L1", 0) == (1.0, 2.0)


def test_a_new_study_on_a_full_disk(tmp_path):
    with small_disk(tmp_path / "disk", "size=64k") as disk:
        with suppress(OSError), open(disk / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        for path in (disk / "a.sqlite", disk / "folder" / "a.sqlite"):
            with pytest.raises(StudyError, match="the study a cannot be made"):
                open_study(path, IDENTITY)
        (disk / "filler").unlink()
        open_study(disk / "a.sqlite", IDENTITY).close()
        assert sorted(path.name for path in disk.iterdir() if path.is_file()) == ["a.sqlite", "a.sqlite.lock"]


def test_a_folder_that_can_only_be_read(tmp_path):
    """A finished study is read from it; a new one, or one with more to do, is an error that says why."""
    with small_disk(tmp_path / "disk", "size=1m") as disk:
        with open_study(disk / "a.sqlite", IDENTITY) as study:
            study.add([row("L1", 1.0, 2.0)])
            study.put("report", {"rounds": []})
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(StudyError, match="the study b cannot be made.*[Rr]ead-only"):
            open_study(disk / "b.sqlite", IDENTITY)
        with pytest.raises(StudyError, match="belongs to another hunt"):
            open_study(disk / "a.sqlite", IDENTITY | {"model": "other"})
        with open_study(disk / "a.sqlite", IDENTITY) as study:
            assert study.scores("L1", 0) == (1.0, 2.0)
            study.put("report", {"rounds": [1]})
            assert study.get("report") == {"rounds": []}
            with pytest.raises(StudyError, match="can only be read.*kept"):
                study.add([row("L2", 1.0, 2.0)])
        with read_study(disk / "a.sqlite") as study:
            assert study.evaluations() == 1


def test_a_write_protected_file(tmp_path, monkeypatch):
    open_study(tmp_path / "a.sqlite", IDENTITY).close()
    monkeypatch.setattr(study_file, "writable", lambda path: False)  # root may write all the same
    with open_study(tmp_path / "a.sqlite", IDENTITY) as study, pytest.raises(StudyError, match="write-protected"):
        study.add([row("L2", 1.0, 2.0)])


def test_a_lock_file_that_is_a_link(tmp_path):
    """What it names is not emptied."""
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "a.sqlite.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(StudyError, match="cannot be made"):
        open_study(tmp_path / "a.sqlite", IDENTITY)
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_folder_as_the_lock_file(tmp_path):
    (tmp_path / "a.sqlite.lock").mkdir()
    with pytest.raises(StudyError, match="cannot be made"):
        open_study(tmp_path / "a.sqlite", IDENTITY)


def test_a_study_of_another_version_says_so(tmp_path):
    """Its model's key was made in another way: that it differs does not mean that the model does."""
    path = tmp_path / "a.sqlite"
    open_study(path, IDENTITY).close()
    with pytest.raises(StudyError, match="another version of HeadHunter.*cannot be known") as caught:
        open_study(path, IDENTITY | {"reading": 2, "model": "x"})
    assert "what differs" not in str(caught.value)


def test_a_folder_that_may_not_be_looked_into(tmp_path, monkeypatch):
    """As a user without rights gets it; root may look into any folder."""

    def denied(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    for name in ("mkdir", "is_file", "exists", "stat"):
        monkeypatch.setattr(Path, name, denied)
    with pytest.raises(StudyError, match="cannot be made.*Permission denied"):
        open_study(tmp_path / "locked" / "a.sqlite", {})
