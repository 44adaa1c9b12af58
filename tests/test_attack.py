"""The attack's own counting (`python tests --attack`): nothing that fails is missed, and each generated case is counted."""

from __future__ import annotations

import attack
import pytest

TESTS = """
from hypothesis import given, strategies
from properties import cases

@cases()
@given(strategies.integers())
def test_many(number):
    pass

def test_own(record_property):
    record_property("cases", 7)

def test_one():
    pass

def test_bad():
    assert False, "on purpose"
"""


@pytest.fixture
def parts(monkeypatch):
    """The attack's parts, none yet."""
    own: dict = {}
    monkeypatch.setattr(attack, "PARTS", own)
    return own


def last_line(capsys) -> str:
    return capsys.readouterr().out.splitlines()[-1]


def test_all_handled(parts, capsys):
    parts["one"] = lambda count, cases: count.add("requests", number=cases)
    parts["two"] = lambda count, cases: count.add("other")
    assert attack.main(["--cases", "5"]) == 0
    assert last_line(capsys) == "6 handled, 0 unhandled"


def test_what_fails_or_ends_a_part_is_unhandled(parts, capsys):
    parts["one"] = lambda count, cases: count.add("requests", "500")
    parts["two"] = lambda count, cases: 1 / 0
    parts["three"] = lambda count, cases: count.add("other")
    assert attack.main([]) == 1
    assert last_line(capsys) == "1 handled, 2 unhandled"


def test_a_part_that_there_is_not(capsys):
    with pytest.raises(SystemExit) as caught:
        attack.main(["--only", "x"])
    assert caught.value.code == 2 and "x is no part" in capsys.readouterr().err


def test_tests_are_counted_by_what_they_generate(tmp_path, capsys):
    (tmp_path / "test_them.py").write_text(TESTS, encoding="utf-8")
    count = attack.Count()
    attack.tests(count, [str(tmp_path / "test_them.py")], 20)
    assert sorted(count.handled.values()) == [1, 7, 20]
    assert len(count.unhandled) == 1 and "on purpose" in count.unhandled[0]


def test_a_file_that_cannot_be_run_is_unhandled(capsys):
    count = attack.Count()
    attack.tests(count, ["no_such_file.py"], 1)
    assert count.unhandled and not count.handled
