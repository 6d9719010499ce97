"""What can be pickled and copied, and what says that it cannot, under every protocol."""

from __future__ import annotations

import copy
import copyreg
import pickle
import pickletools
from collections.abc import Callable
from typing import Any

import pytest

from made_up import session, sessions
from netsession import SessionInfo10, SessionInfo502, SessionPage, _netsession
from netsession._simulator import Simulator
from netsession.testing import simulated_server

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def _page(level: int = 502, count: int = 20, page_entries: int = 0) -> SessionPage:
    simulator = Simulator(count, page_entries)
    cursor = _netsession.SessionCursor(simulator.netapi, None, None, None, level, 0xFFFFFFFF)
    return next(cursor)


def _told(page: SessionPage) -> tuple[object, ...]:
    return (page.level, page.total_entries, page.resume_handle, page.more, list(page))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("level", [0, 1, 2, 10, 502])
def test_a_page_is_pickled_as_its_records(level: int, protocol: int) -> None:
    for page in (_page(level), _page(level, 20, 5), _page(level)[3:9], _page(level, 0)):
        loaded = pickle.loads(pickle.dumps(page, protocol))
        assert type(loaded) is SessionPage
        assert _told(loaded) == _told(page)
        assert loaded.as_dicts() == page.as_dicts()
        assert [type(record) for record in loaded] == [type(record) for record in page]
        again = pickle.loads(pickle.dumps(loaded[2:], protocol))
        assert list(again) == list(page)[2:]


@pytest.mark.parametrize(
    "name", [None, "", "x", "zoë", "山田", "\U0001f600", "\ud800", "a\udc00\ud800", "x" * 70000]
)
def test_strings_are_kept_as_they_are(name: str | None) -> None:
    record = SessionInfo502(name, name, 0xFFFFFFFF, 0x80000000, 1, 3, name, None)
    page = _netsession.page_from_records(502, [record, record], 7, 0xFFFFFFFF, True)
    for each in (page, pickle.loads(pickle.dumps(page))):
        assert _told(each) == (502, 7, 0xFFFFFFFF, True, [record, record])


def test_a_page_without_a_resume_handle() -> None:
    page = _netsession.page_from_records(10, (), 0, None, False)
    assert _told(pickle.loads(pickle.dumps(page))) == (10, 0, None, False, [])


def test_a_copy_of_a_page_is_the_page() -> None:
    page = _page()
    assert copy.copy(page) is page
    assert copy.deepcopy(page) is page
    assert copy.deepcopy([page, page])[1] is page


def test_a_pickle_of_a_page_refers_to_public_records_only() -> None:
    """So that it can be read without the native core, by who has to."""
    named = [arg for opcode, arg, _ in pickletools.genops(pickle.dumps(_page(), 0)) if arg]
    names = {str(arg) for arg in named if str(arg).startswith("netsession")}
    assert names == {
        "netsession._netsession page_from_records",
        "netsession.records SessionInfo502",
    }


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((3, (), 0, None, False), ValueError, "level must be"),
        (("1", (), 0, None, False), TypeError, "level must be an int"),
        ((10, None, 0, None, False), TypeError, "not iterable"),
        ((10, 5, 0, None, False), TypeError, "not iterable"),
        ((10, ["abcd"], 0, None, False), TypeError, "must be tuples of 4 fields"),
        ((10, [("a", "b", 1)], 0, None, False), TypeError, "must be tuples of 4 fields"),
        ((10, [("a", "b", 1, 2, 3)], 0, None, False), TypeError, "must be tuples of 4 fields"),
        ((10, [("a", b"b", 1, 2)], 0, None, False), TypeError, "user_name must be a str or None"),
        ((10, [(1, "b", 1, 2)], 0, None, False), TypeError, "client_name must be a str or None"),
        ((10, [("a\0", "b", 1, 2)], 0, None, False), ValueError, "client_name must not contain"),
        ((10, [("a", "b", None, 2)], 0, None, False), TypeError, "active_time must be an int"),
        ((10, [("a", "b", 1, "2")], 0, None, False), TypeError, "idle_time must be an int"),
        ((10, [("a", "b", -1, 2)], 0, None, False), ValueError, "active_time must be between"),
        ((10, [("a", "b", 1, 1 << 32)], 0, None, False), ValueError, "idle_time must be between"),
        ((10, (), -1, None, False), ValueError, "total_entries must be between"),
        ((10, (), 0, 1 << 32, False), ValueError, "resume_handle must be between"),
        ((10, (), 0, None), TypeError, "takes exactly 5"),
    ],
)
def test_a_pickle_that_was_tampered_with(arguments: Any, error: type[Exception], says: str) -> None:
    class Page:
        def __reduce__(self) -> tuple[Any, ...]:
            return _netsession.page_from_records, arguments

    with pytest.raises(error, match=says):
        pickle.loads(pickle.dumps(Page()))


def test_records_that_change_while_they_are_read() -> None:
    """What is read is what was there at first, whatever __index__ does."""
    records: list[Any] = []

    class Clears:
        def __index__(self) -> int:
            records.clear()
            return 5

    records += [("a" * 50, "b" * 50, Clears(), 2)] * 9
    page = _netsession.page_from_records(10, records, 0, None, False)
    assert list(page) == [SessionInfo10("a" * 50, "b" * 50, 5, 2)] * 9


UNPICKLABLE: dict[str, Callable[[], object]] = {
    "SessionCursor": lambda: _netsession.SessionCursor(print, None, None, None, 0, 1),
    "SessionPageIterator": lambda: iter(_page()),
    "SessionPageIterator reversed": lambda: reversed(_page()),
    "Simulator": lambda: Simulator(3),
    "SimulatedServer": lambda: simulated_server(3),
}


@pytest.mark.parametrize("name", UNPICKLABLE)
def test_what_cannot_be_pickled_or_copied(name: str) -> None:
    made = UNPICKLABLE[name]()
    says = f"cannot pickle or copy '.*{name.split()[0]}' object"
    for protocol in PROTOCOLS:
        with pytest.raises(TypeError, match=says):
            pickle.dumps(made, protocol)
        with pytest.raises(TypeError, match=says):
            made.__reduce_ex__(protocol)
    for copied in (copy.copy, copy.deepcopy, copy.deepcopy):
        with pytest.raises(TypeError, match=says):
            copied(made)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_plan(protocol: int) -> None:
    with simulated_server(30) as server:
        plan = server.plan_delete(client="10.0.0.8")
    plan.addresses = ("10.0.0.7",)
    for other in (pickle.loads(pickle.dumps(plan, protocol)), copy.copy(plan), copy.deepcopy(plan)):
        assert type(other) is type(plan)
        for name in plan.__slots__:
            assert getattr(other, name) == getattr(plan, name), name


@pytest.mark.parametrize(
    "kind", [_netsession.SessionCursor, SessionPage, type(iter(_page())), Simulator]
)
def test_no_pickle_makes_half_an_object(kind: type) -> None:
    """The reconstructors of the protocols, called as a hostile pickle would call them."""
    reconstruct = copyreg._reconstructor  # type: ignore[attr-defined]
    for make in (lambda: object.__new__(kind), lambda: reconstruct(kind, object, None)):
        with pytest.raises(TypeError, match=r"is not safe|cannot create"):
            make()
    if kind is not Simulator:  # which needs no arguments
        with pytest.raises(TypeError):
            copyreg.__newobj__(kind)  # type: ignore[attr-defined]
        with pytest.raises(TypeError):
            kind()
    with pytest.raises(TypeError):
        type("Derived", (kind,), {})


def test_records_and_errors_stay_as_they_are() -> None:
    with pytest.raises(ValueError, match="name a client") as caught:
        simulated_server(1).delete_sessions()
    with pytest.raises(_netsession.UnsafeDeleteError) as refused:
        _netsession.encode_delete_request(None, None, None)
    for protocol in PROTOCOLS:
        assert pickle.loads(pickle.dumps(session(3), protocol)) == session(3)
        for error in (caught.value, refused.value):
            loaded = pickle.loads(pickle.dumps(error, protocol))
            assert (type(loaded), loaded.args) == (type(error), error.args)
    assert copy.deepcopy(list(sessions(5))) == list(sessions(5))
