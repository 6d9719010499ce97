"""Classes of a level's records at run time, as ``Sessions[SessionInfo1]``: annotations that cost
nothing."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from types import GenericAlias
from typing import Any

import pytest

import netsession
from fresh_python import output_of
from netsession import (
    KeptSessions,
    ServerReport,
    SessionChanged,
    SessionClosed,
    SessionInfo1,
    SessionOpened,
    SessionPage,
    WatchFailed,
    WatchRecovered,
)
from netsession.testing import simulated_server

_GENERIC = [
    *("KeptSessions", "Scan", "ServerReport", "SessionChanged", "SessionClosed", "SessionOpened"),
    *("SessionPage", "Sessions", "Watch", "WatchEvent"),
]


@pytest.mark.parametrize("name", _GENERIC)
def test_a_class_of_records_can_be_written(name: str) -> None:
    generic: Any = getattr(netsession, name)
    alias = generic[SessionInfo1]
    assert isinstance(alias, GenericAlias)
    assert alias.__origin__ is generic
    assert alias.__args__ == (SessionInfo1,)
    assert pickle.loads(pickle.dumps(alias)) == alias
    assert repr(alias).endswith(f"{name}[netsession.records.SessionInfo1]")


def test_events_and_reports_have_no_dict() -> None:
    now = datetime.now(UTC)
    record = SessionInfo1("c", "u", 0, 0, 0, 0)
    made = [
        SessionOpened(now, None, record),
        SessionClosed(now, None, record),
        SessionChanged(now, None, record, record),
        WatchFailed(now, None, netsession.NoProgress()),
        WatchRecovered(now, None),
        ServerReport("fs01", now, 0.0, 1, KeptSessions()),
        KeptSessions(),
    ]
    assert [each for each in made if hasattr(each, "__dict__")] == []


def test_a_page_of_a_class_is_a_page() -> None:
    page = next(simulated_server(3).sessions(level=1).pages())
    assert type(page) is SessionPage
    assert list(pickle.loads(pickle.dumps(page))) == list(page)
    with pytest.raises(TypeError, match="cannot create"):
        SessionPage[SessionInfo1]()  # pages are replies: nobody makes one


def test_importing_does_not_import_typing() -> None:
    script = "import sys, netsession, netsession.win32net; print('typing' in sys.modules)"
    assert output_of(script) == "False\n"
