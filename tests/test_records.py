"""What people want of a record, beyond the fields as they were sent."""

from __future__ import annotations

import copy
import pickle
import re
from datetime import timedelta
from typing import Any

import pytest

from fresh_python import output_of
from netsession import (
    SessionFlags,
    SessionInfo0,
    SessionInfo1,
    SessionInfo2,
    SessionInfo10,
    SessionInfo502,
)
from netsession.testing import simulated_server

_FIELDS = (
    "client_name",
    "user_name",
    "num_opens",
    "active_time",
    "idle_time",
    "user_flags",
    "client_type",
    "transport",
)
_CLASSES: dict[Any, tuple[str, ...]] = {
    SessionInfo0: _FIELDS[:1],
    SessionInfo1: _FIELDS[:6],
    SessionInfo2: _FIELDS[:7],
    SessionInfo10: ("client_name", "user_name", "active_time", "idle_time"),
    SessionInfo502: _FIELDS,
}


@pytest.mark.parametrize("record", _CLASSES)
def test_every_field_has_a_docstring_that_says_its_type(record: Any) -> None:
    for name in record._fields:
        told = getattr(record, name).__doc__
        assert re.search(r"\((int|str or None)\)", told), name


def _record(**fields: Any) -> SessionInfo502:
    empty = SessionInfo502("c", "u", 0, 0, 0, 0, "", "")
    return empty._replace(**fields)


@pytest.mark.parametrize("cls", _CLASSES)
def test_fields_of_a_level(cls: Any) -> None:
    assert cls._fields == _CLASSES[cls]
    level = cls.__name__.removeprefix("SessionInfo")
    assert cls.__doc__.startswith(f"A session at level {level}: ")
    record = cls(*range(len(cls._fields)))
    for name in _FIELDS:
        expected = cls._fields.index(name) if name in cls._fields else None
        assert getattr(record, name) == expected


@pytest.mark.parametrize("cls", _CLASSES)
def test_records_are_plain_values(cls: Any) -> None:
    record = cls(*range(len(cls._fields)))
    assert pickle.loads(pickle.dumps(record)) == record
    assert type(pickle.loads(pickle.dumps(record))) is cls
    assert copy.deepcopy(record) == record
    assert repr(record).startswith(cls.__name__ + "(client_name=0")
    assert not hasattr(record, "__dict__")


@pytest.mark.parametrize(
    ("client_name", "client"),
    [
        ("\\\\WS17", "WS17"),
        ("WS17", "WS17"),
        ("\\WS17", "WS17"),
        ("10.1.2.3", "10.1.2.3"),
        ("\\\\[2001:db8::5]", "2001:db8::5"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("", ""),
        ("\\\\", ""),
        ("[", "["),
        (None, None),
    ],
)
def test_client(client_name: str | None, client: str | None) -> None:
    assert _record(client_name=client_name).client == client
    assert SessionInfo0(client_name).client == client


@pytest.mark.parametrize(
    ("seconds", "duration"),
    [
        (0, timedelta(0)),
        (90, timedelta(minutes=1, seconds=30)),
        (0xFFFFFFFE, timedelta(seconds=0xFFFFFFFE)),
        (0xFFFFFFFF, None),  # the server did not know
    ],
)
def test_times(seconds: int, duration: timedelta | None) -> None:
    record = _record(active_time=seconds, idle_time=seconds)
    assert record.active == record.idle == duration


@pytest.mark.parametrize("cls", _CLASSES)
def test_as_dict(cls: Any) -> None:
    values = [f"a {name}" for name in cls._fields]
    record = cls(*values)
    assert record.as_dict() == dict(zip(cls._fields, values, strict=True))
    assert list(record.as_dict()) == list(cls._fields)
    assert type(record.as_dict()) is dict
    assert record.as_dict() is not record.as_dict()


def test_as_dict_says_none_for_a_time_that_is_not_known() -> None:
    unknown = 0xFFFFFFFF
    record = SessionInfo502("c", "\ud800", unknown, unknown, unknown, unknown, None, "")
    assert record.as_dict() == {
        "client_name": "c",
        "user_name": "\ud800",
        "num_opens": unknown,  # a number like any other, and so are flags
        "active_time": None,
        "idle_time": None,
        "user_flags": unknown,
        "client_type": None,
        "transport": "",
    }
    assert record._asdict()["idle_time"] == unknown


def test_as_dict_of_what_a_server_sent() -> None:
    server = simulated_server(1000)  # of the last one no time is known
    for level in (0, 1, 2, 10, 502):
        page = next(server.sessions(level=level).pages())
        raw = page.as_dicts()
        assert [record.as_dict() for record in page][:999] == raw[:999]
        assert page[999].as_dict() == {
            field: None if value == 0xFFFFFFFF else value for field, value in raw[999].items()
        }


def test_times_that_a_level_lacks() -> None:
    assert SessionInfo0("c").active is None
    assert SessionInfo0("c").idle is None


@pytest.mark.parametrize(
    ("bits", "is_guest", "flags"),
    [
        (0, False, SessionFlags(0)),
        (1, True, SessionFlags.GUEST),
        (2, False, SessionFlags.NOENCRYPTION),
        (3, True, SessionFlags.GUEST | SessionFlags.NOENCRYPTION),
    ],
)
def test_flags(bits: int, is_guest: bool, flags: SessionFlags) -> None:
    record = _record(user_flags=bits)
    assert record.is_guest is is_guest
    assert record.flags == flags


def test_unknown_flags_are_kept() -> None:
    flags = _record(user_flags=0x80000010).flags
    assert flags is not None
    assert int(flags) == 0x80000010


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ("class Wrong(NamedTuple):\n    user_name: str\n    client_name: str", "level's fields"),
        ("Wrong = NamedTuple('Wrong', [(n, str) for n in good._fields[:-1]])", "level's fields"),
        ("Wrong = NamedTuple('Wrong', [(n, str) for n in (*good._fields, 'x')])", "level's fields"),
        ("class Wrong(good): _fields = list(good._fields); __slots__ = ()", "level's fields"),
        ("class Wrong(good): pass", "not a NamedTuple"),  # with a dict
        ("class Wrong: _fields = good._fields", "not a NamedTuple"),
        ("Wrong = None", "not a NamedTuple"),
    ],
)
def test_the_core_takes_no_other_classes(definition: str, says: str) -> None:
    """It makes records without asking their class, by the fields that it knows."""
    script = f"""
import importlib, sys
from typing import NamedTuple
import netsession
from netsession import records
good = records.SessionInfo10
{definition}
records.SessionInfo10 = Wrong
del sys.modules["netsession._netsession"]
try:
    importlib.import_module("netsession._netsession")
except TypeError as error:
    print(error)
"""
    assert says in output_of(script)
