"""Fixtures of the tests that go over tiny models of the families, and of those that read the log."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import tiny


@pytest.fixture(params=tiny.FAMILIES)
def family(request, monkeypatch):
    """Each family that the host has."""
    tiny.honour_boolean_masks(monkeypatch)
    return tiny.FAMILIES[request.param]


@pytest.fixture
def sd3():
    return tiny.FAMILIES["sd3"]


@pytest.fixture
def flux():
    return tiny.FAMILIES["flux"]


@pytest.fixture
def said(caplog) -> Callable[[], list[str]]:
    """What the pack has warned of since."""
    caplog.set_level(logging.WARNING)
    return lambda: [record.message for record in caplog.records if "HeadHunter" in record.message]
