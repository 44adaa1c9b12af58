"""Studies on disk: kept scores, one owner, kills at any moment, clear errors."""

import math
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from headhunter_pack.headhunter.study import Row, StudyError, differences, open_study, read_study

IDENTITY = {
    "model": "abc",
    "settings": {"steps": 20, "scale": 3.0},
    "pairs": [{"text": "a, b", "seed": 5}],
    "scorers": [{"name": "one"}, {"name": "two"}],
}
STUDY_FILE = Path(__file__).parent.parent.parent / "headhunter" / "study.py"


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
        code = f"import sys; sys.path.insert(0, {str(STUDY_FILE.parent)!r}); import study; study.open_study(study.Path({str(path)!r}), {IDENTITY!r})"
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
        import sys; sys.path.insert(0, {str(STUDY_FILE.parent)!r})
        from study import Row, open_study
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
