"""The simulator does what the documents say: paging, filters, every status."""

from __future__ import annotations

import ctypes
import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from made_up import session, sessions
from netapi_table import entry_points
from netsession import (
    NetApiError,
    ServerUnreachable,
    SessionNotFound,
    SessionOpened,
    Watch,
    _netsession,
)
from netsession._simulator import Simulator
from netsession.testing import SimulatedServer, simulated_server

_ALL = 0xFFFFFFFF
_UNKNOWN = 0xFFFFFFFF
_GUARD = 60  # seconds after which what hangs is taken to hang for ever
_LEVELS = (0, 1, 2, 10, 502)

Simulate = Callable[..., tuple[Any, Simulator]]


def _pages(
    simulator: Simulator,
    client: str | None = None,
    user: str | None = None,
    level: int = 502,
    preferred_length: int = _ALL,
) -> Any:
    return _netsession.SessionCursor(simulator.netapi, None, client, user, level, preferred_length)


def _status(call: Callable[[], object]) -> int:
    with pytest.raises(NetApiError) as caught:
        call()
    return caught.value.status


@pytest.mark.parametrize("level", _LEVELS)
def test_what_it_makes_up(simulate: Simulate, level: int) -> None:
    _, simulator = simulate(3000)
    records = [record for page in _pages(simulator, level=level) for record in page]
    expected = [
        tuple(getattr(record, name) for name in records[0]._fields) for record in sessions(3000)
    ]
    assert records == expected


def test_page_entries_bound_a_page(simulate: Simulate) -> None:
    _, simulator = simulate(100, 30)
    pages = list(_pages(simulator))
    assert [len(page) for page in pages] == [30, 30, 30, 10]
    assert [page.more for page in pages] == [True, True, True, False]
    # Totals count from the resume position, as [MS-SRVS] 3.1.4.5 shows.
    assert [page.total_entries for page in pages] == [100, 70, 40, 10]
    assert simulator.calls("NetSessionEnum") == 4


@pytest.mark.parametrize("level", _LEVELS)
@pytest.mark.parametrize("preferred_length", [300, 1000, 4096, 65536])
def test_preferred_length_counts_structures_and_strings(
    simulate: Simulate, level: int, preferred_length: int
) -> None:
    _, simulator = simulate(400)
    fixed = {0: 8, 1: 32, 2: 40, 10: 24, 502: 48}[level]

    def size(record: Any) -> int:
        texts = [value for value in record if isinstance(value, str)]
        return fixed + sum(2 * len(text) + 2 for text in texts)

    pages = list(_pages(simulator, level=level, preferred_length=preferred_length))
    assert sum(map(len, pages)) == 400
    for page, following in itertools.pairwise(pages):
        used = sum(map(size, page))
        assert used <= preferred_length
        assert used + size(following[0]) > preferred_length


def test_preferred_length_counts_to_the_byte(simulate: Simulate) -> None:
    _, simulator = simulate(5)
    used = 3 * 48 + sum(
        2 * len(text) + 2 for record in sessions(3) for text in record if isinstance(text, str)
    )
    assert [len(next(_pages(simulator, preferred_length=used + more))) for more in (-1, 0)] == [
        2,
        3,
    ]


def test_no_entry_fits(simulate: Simulate) -> None:
    """The cursor grows the preferred maximum length after NERR_BufTooSmall."""
    _, simulator = simulate(5)
    assert [record for page in _pages(simulator, preferred_length=0) for record in page] == list(
        sessions(5)
    )
    assert simulator.calls("NetSessionEnum") == 2


def test_a_handle_past_the_end_is_an_empty_success(simulate: Simulate) -> None:
    _, simulator = simulate(3, 3)
    pages = list(_pages(simulator))
    assert [len(page) for page in pages] == [3]
    _, empty = simulate(0)
    assert [len(page) for page in _pages(empty)] == [0]


def test_filters(simulate: Simulate) -> None:
    _, simulator = simulate(500)
    everything = list(sessions(500))
    client, user = everything[2].client_name, everything[2].user_name
    assert client is not None
    assert user is not None

    def found(**filters: str) -> list[Any]:
        return [record for page in _pages(simulator, **filters) for record in page]

    assert found(client=client) == everything[2:4]
    assert found(client=client.upper(), user=user.upper()) == [everything[2]]
    assert found(user=user) == [record for record in everything if record.user_name == user]
    assert found(client="", user="") == everything  # an empty name means any


@pytest.mark.parametrize(
    ("filters", "status"),
    [
        ({"client": "\\\\nobody"}, 2312),
        ({"user": "nobody"}, 2221),
        ({"client": "\\\\10.0.0.1", "user": "nobody"}, 2221),
        ({"client": "\\\\nobody", "user": "alice.0"}, 2312),
        ({"client": "10.0.0.1"}, 2351),
        ({"client": "\\10.0.0.1"}, 2351),
        ({"client": "\\\\" + "x" * 1022}, 87),
        ({"user": "x" * 1024}, 87),
        ({"client": "\\\\" + "x" * 1021}, 2312),
    ],
)
def test_statuses_of_enum(simulate: Simulate, filters: dict[str, str], status: int) -> None:
    _, simulator = simulate(20)
    assert _status(lambda: next(_pages(simulator, **filters))) == status


@pytest.mark.parametrize("level", [0, 1, 2, 10])
def test_get_info(simulate: Simulate, level: int) -> None:
    _, simulator = simulate(20)
    wanted = session(5)
    page = _netsession.session_get_info(
        simulator.netapi, None, wanted.client_name, wanted.user_name, level
    )
    assert (len(page), page.total_entries, page.resume_handle, page.more) == (1, 1, None, False)
    assert page[0] == tuple(getattr(wanted, name) for name in page[0]._fields)


@pytest.mark.parametrize(
    ("client", "user", "level", "status"),
    [
        ("\\\\WS00005", None, 1, 87),
        (None, "zoë.83", 1, 87),
        ("WS00005", "zoë.83", 1, 2351),
        ("\\\\nobody", "zoë.83", 1, 2312),
        ("\\\\WS00005", "nobody", 1, 2221),
        ("\\\\WS00005", "zoë.83", 502, 124),
    ],
)
def test_statuses_of_get_info(
    simulate: Simulate, client: str | None, user: str | None, level: int, status: int
) -> None:
    _, simulator = simulate(20)
    call = _netsession.session_get_info
    assert _status(lambda: call(simulator.netapi, None, client, user, level)) == status


def test_del(simulate: Simulate) -> None:
    _, simulator = simulate(20)
    _netsession.session_del(simulator.netapi, None, "\\\\10.0.0.2", None)
    assert simulator.count == 18
    _netsession.session_del(simulator.netapi, None, "\\\\WS00005", "ZOë.83")
    assert simulator.count == 17
    left = [record for page in _pages(simulator) for record in page]
    everything = list(sessions(20))
    assert left == [everything[i] for i in range(20) if i not in (2, 3, 5)]


@pytest.mark.parametrize(
    ("client", "user", "status"),
    [
        ("\\\\nobody", None, 2312),
        (None, "nobody", 2312),
        ("WS00005", None, 2312),  # not 2351: only Del answers a missing prefix so
        (None, "x" * 1024, 87),
    ],
)
def test_statuses_of_del(
    simulate: Simulate, client: str | None, user: str | None, status: int
) -> None:
    _, simulator = simulate(20)
    assert _status(lambda: _netsession.session_del(simulator.netapi, None, client, user)) == status
    assert simulator.count == 20


@pytest.mark.parametrize("status", [5, 8, 50, 53, 87, 124, 1722, 2114, 2123, 2140, 9999])
@pytest.mark.parametrize("function", ["NetSessionEnum", "NetSessionGetInfo", "NetSessionDel"])
def test_failures_on_request(simulate: Simulate, function: str, status: int) -> None:
    """The failing answer leaves a buffer behind; the fixture checks that it is freed."""
    _, simulator = simulate(20)
    simulator.fail(function, status, times=1000)
    calls = {
        "NetSessionEnum": lambda: next(_pages(simulator)),
        "NetSessionGetInfo": lambda: _netsession.session_get_info(
            simulator.netapi, None, "\\\\WS00005", "zoë.83", 1
        ),
        "NetSessionDel": lambda: _netsession.session_del(simulator.netapi, None, None, "zoë.83"),
    }
    with pytest.raises(NetApiError) as caught:
        calls[function]()
    assert (caught.value.status, caught.value.function) == (status, function)
    assert simulator.count == 20


def test_failures_after_and_times(simulate: Simulate) -> None:
    _, simulator = simulate(20, 5)
    simulator.fail("NetSessionEnum", 5, after=2, times=1)
    cursor = _pages(simulator)
    assert len(next(cursor)) == len(next(cursor)) == 5
    with pytest.raises(PermissionError):
        next(cursor)
    assert list(cursor) == []  # after an error the resume handle is void
    assert sum(map(len, _pages(simulator))) == 20


def test_refused_levels(simulate: Simulate) -> None:
    _, simulator = simulate(20)
    simulator.refuse(2, 5)
    assert _status(lambda: next(_pages(simulator, level=2))) == 5
    assert len(next(_pages(simulator, level=1))) == 20
    simulator.refuse(2, 0)
    assert len(next(_pages(simulator, level=2))) == 20


def test_sessions_added(simulate: Simulate) -> None:
    _, simulator = simulate(2)
    row = ("\\\\c", None, 1, 2, 3, 0xFFFFFFFF, None, "t")
    simulator.add(*row)
    assert simulator.count == 3
    (page,) = _pages(simulator)
    assert list(page) == [*sessions(2), row]


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        (("c", "u", -1, 0, 0, 0, "", ""), ValueError, "num_opens must be between"),
        (("c", 5, 0, 0, 0, 0, "", ""), TypeError, "user_name must be a str or None"),
        (("c", "u", 0, 0, 0, 0, "", "a\0b"), ValueError, "transport must not contain"),
        (("c", "u", 0, "0", 0, 0, "", ""), TypeError, "active_time must be an int"),
    ],
)
def test_bad_sessions_are_named(row: tuple[Any, ...], error: type[Exception], message: str) -> None:
    simulator = Simulator()
    with pytest.raises(error, match=message):
        simulator.add(*row)
    assert simulator.count == 0


def test_prepared_buffers_are_handed_out_again(simulate: Simulate) -> None:
    _, simulator = simulate(50, 20)
    simulator.prepare(True)
    for _ in range(3):
        pages = list(_pages(simulator))
        assert [record for page in pages for record in page] == list(sessions(50))
        del pages
    for length, count in ((300, 2), (3000, 20)):  # another question has another answer
        assert len(next(_pages(simulator, preferred_length=length))) == count
    assert simulator.outstanding == 0


def _asked(api: Any) -> tuple[int, ctypes.c_void_p]:
    """The status of one call of NetSessionEnum, and the buffer that it leaves to its caller."""
    buffer, numbers = ctypes.c_void_p(), [ctypes.byref(ctypes.c_uint32()) for _ in range(3)]
    arguments = api.context, None, None, None, 10, ctypes.byref(buffer), _ALL
    return api.session_enum(*arguments, *numbers), buffer


@pytest.mark.parametrize("prepared", [False, True])
def test_it_counts_what_is_freed_wrongly(prepared: bool) -> None:
    simulator = Simulator(3)
    simulator.prepare(prepared)
    netapi = simulator.netapi
    api = entry_points(netapi)
    status, buffer = _asked(api)
    assert (status, simulator.outstanding, simulator.bad_frees) == (0, 1, 0)
    for wrong, freed in enumerate((buffer, buffer, ctypes.create_string_buffer(8))):
        api.buffer_free(api.context, freed)
        assert (simulator.outstanding, simulator.bad_frees) == (0, wrong)


def test_a_failure_leaves_something_to_free() -> None:
    """As callers must free whatever they are left with."""
    simulator = Simulator(3)
    simulator.fail("NetSessionEnum", 5)
    netapi = simulator.netapi
    api = entry_points(netapi)
    status, buffer = _asked(api)
    assert (status, simulator.outstanding) == (5, 1)
    api.buffer_free(api.context, buffer)
    assert (simulator.outstanding, simulator.bad_frees) == (0, 0)


def test_unknown_function() -> None:
    with pytest.raises(ValueError, match="function must be NetSessionEnum"):
        Simulator().fail("NetShareEnum", 5)


def test_its_repr_says_that_it_is_none_but_a_simulator() -> None:
    server = simulated_server(3)
    assert repr(server) == "<SimulatedServer, a simulator with 3 sessions>"
    for lie in ("SMB", "netapi32"):
        assert lie not in repr(server)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sessions": True}, TypeError, "sessions must be an int, not bool"),
        ({"sessions": -1}, ValueError, "sessions must be between 0 and"),
        ({"sessions": 5.0}, TypeError, "sessions must be an int or an iterable .*, not float"),
        ({"sessions": None}, TypeError, "sessions must be an int or an iterable"),
        ({"sessions": "ab"}, TypeError, "sessions must be an int or an iterable .*, not str"),
        ({"sessions": [5]}, TypeError, "sessions must hold .* mappings, not int"),
        ({"page_entries": "5"}, TypeError, "page_entries must be an int, not str"),
        ({"page_entries": 1.5}, TypeError, "page_entries must be an int, not float"),
        ({"page_entries": True}, TypeError, "page_entries must be an int, not bool"),
        ({"latency": "1"}, TypeError, "latency must be a number of seconds, not str"),
        ({"latency": True}, TypeError, "latency must be a number of seconds, not bool"),
        ({"latency": -0.1}, ValueError, "latency must be a number of seconds from 0 to 4,000,000"),
        ({"latency": float("nan")}, ValueError, "latency must be a number of seconds"),
        ({"latency": float("inf")}, ValueError, "latency must be a number of seconds"),
        ({"latency": 1 << 2000}, ValueError, "latency must be a number of seconds"),
        ({"name": 5}, TypeError, "name must be a str, not int"),
        ({"name": None}, TypeError, "name must be a str, not NoneType"),
        ({"name": ""}, ValueError, "name must not be empty"),
        ({"name": "\\\\"}, ValueError, "name must not be empty"),
        ({"name": "10.0.0.0/8"}, ValueError, "10.0.0.0/8"),
    ],
)
def test_mistakes_are_named(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        simulated_server(**arguments)


# --- sessions that come, change and end ---------------------------------------------------------


def _times(server: SimulatedServer) -> list[tuple[int, int]]:
    return [(each.active_time, each.idle_time) for each in server.sessions(level=10)]


def test_a_session_that_connects_is_listed_last() -> None:
    server = simulated_server(2)
    server.connect_session("10.0.0.9", "ann")
    server.connect_session(
        *("\\\\WS1", "Zoë"),
        num_opens=1,
        active_time=2,
        idle_time=3,
        user_flags=4,
        client_type=None,
        transport="t",
    )
    server.connect_session("ws1", "")
    assert list(server.sessions(level=502)) == [
        *sessions(2),
        ("10.0.0.9", "ann", 0, 0, 0, 0, "", ""),
        ("\\\\WS1", "Zoë", 1, 2, 3, 4, None, "t"),
        ("ws1", "", 0, 0, 0, 0, "", ""),
    ]
    assert server.session_count == 5
    assert server.session("ws1", "ZOË").num_opens == 1


def test_a_session_that_connects_after_others_were_ended() -> None:
    server = simulated_server(4)
    server.delete_sessions(client="10.0.0.2")
    server.connect_session("c", "u")
    assert [each.client for each in server.sessions()] == ["10.0.0.0", "10.0.0.1", "c"]
    server.delete_sessions(client="c")
    assert server.session_count == 2
    with pytest.raises(SessionNotFound):
        server.delete_sessions(client="c")
    server.connect_session("c", "u")
    assert server.session_count == 3


@pytest.mark.parametrize(
    ("only", "left", "ended"),
    [(None, [], 3), ("first", [2, 3], 1), ("last", [1, 2], 1)],
)
def test_one_of_several_ends(only: Any, left: list[int], ended: int) -> None:
    server = simulated_server(0)
    for opens in (1, 2, 3):
        server.connect_session("c", "u", num_opens=opens)
        server.connect_session("c", "other", num_opens=9)
        server.connect_session("other", "u", num_opens=9)
    assert server.end_session("C", "U", only=only) == ended
    assert [each.num_opens for each in server.sessions(client="c", user="u")] == left
    assert server.session_count == 9 - ended
    assert [server.calls(each) for each in _FUNCTIONS] == [1, 0, 0]


_FUNCTIONS = ("NetSessionEnum", "NetSessionGetInfo", "NetSessionDel")


def test_names_are_those_of_the_list() -> None:
    """Exactly: a name that is empty is no filter here, and no wildcard."""
    rows = [("\\\\a", "u"), ("b", "u"), ("c", ""), ("d", None), (None, "n"), ("e", "CORP\\u")]
    server = simulated_server({"client_name": client, "user_name": user} for client, user in rows)
    for client, user in (("a", ""), ("", "u"), ("*", "u"), ("e", "u"), ("a b", "u"), ("", "")):
        with pytest.raises(ValueError, match="there is no session of"):
            server.end_session(client, user)
        with pytest.raises(ValueError, match="there is no session of"):
            server.change_session(client, user)
    assert server.session_count == 6
    pairs = (("A", "U"), ("\\\\B", "u"), ("c", ""), ("d", ""), ("", "n"), ("E", "corp\\U"))
    for client, user in pairs:
        assert server.change_session(client, user, num_opens=1) == 1
        assert server.end_session(client, user) == 1
    assert server.session_count == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.end_session(None, "u"), TypeError, "client must be a str, not NoneType"),
        (lambda s: s.end_session("c", 5), TypeError, "user must be a str, not int"),
        (lambda s: s.end_session("c", "u", only="newest"), ValueError, "only must be 'first'"),
        (lambda s: s.end_session("c", "u\0"), ValueError, "user must not contain"),
        (lambda s: s.change_session("c", "u", only=""), ValueError, "only must be 'first'"),
        (lambda s: s.change_session("c", "u", num_opens=-1), ValueError, "num_opens must be"),
        (lambda s: s.change_session("c", "u", idle_time="1"), TypeError, "idle_time must be"),
        (lambda s: s.change_session("c", "u", user_flags=1 << 32), ValueError, "user_flags must"),
        (lambda s: s.change_session("c", "u", transport=""), TypeError, "transport"),
        (lambda s: s.connect_session("c", None), TypeError, "user must be a str, not NoneType"),
        (lambda s: s.connect_session("c", "u", active_time=-1), ValueError, "active_time must be"),
        (lambda s: s.connect_session("c", "u", colour="red"), TypeError, "colour"),
        (lambda s: s.connect_session("c\0", "u"), ValueError, "client_name must not contain"),
        (lambda s: s.advance(-1), ValueError, "seconds must be a number of seconds from 0 to"),
        (lambda s: s.advance(float("nan")), ValueError, "seconds must be a number of seconds"),
        (lambda s: s.advance("1"), TypeError, "seconds must be a number of seconds, not str"),
        (lambda s: s.hang(-1), ValueError, "seconds must be a number of seconds from 0 to"),
        (lambda s: s.hang(True), TypeError, "seconds must be a number of seconds, not bool"),
        (lambda s: s.calls("NetShareEnum"), ValueError, "function must be NetSessionEnum"),
    ],
)
def test_a_mistake_in_a_script_changes_nothing(
    call: Callable[[Any], object], error: type[Exception], message: str
) -> None:
    server = simulated_server([{"client_name": "c", "user_name": "u"}])
    with pytest.raises(error, match=message):
        call(server)
    assert list(server.sessions(level=502)) == [("c", "u", 0, 0, 0, 0, "", "")]


def test_a_session_that_is_used() -> None:
    server = simulated_server(3)
    before = list(server.sessions(level=502))
    client, user = str(before[1].client_name), str(before[1].user_name)
    assert server.change_session(client, user, num_opens=99, user_flags=1) == 1
    after = list(server.sessions(level=502))
    assert after[1] == before[1]._replace(num_opens=99, user_flags=1, idle_time=0)
    assert [after[0], after[2]] == [before[0], before[2]]
    server.change_session(client, user, active_time=5, idle_time=4)
    assert (after[1].active_time, 0) != _times(server)[1] == (5, 4)
    server.change_session(client, user)
    assert _times(server)[1] == (5, 0)
    server.change_session(client, user, idle_time=_UNKNOWN)
    server.change_session(client, user)  # which no use makes known
    assert _times(server)[1] == (5, _UNKNOWN)


def test_which_of_several_is_used() -> None:
    server = simulated_server(0)
    for _ in range(3):
        server.connect_session("c", "u", idle_time=9)
    assert server.change_session("c", "u", num_opens=1, only="first") == 1
    assert server.change_session("c", "u", num_opens=3, only="last") == 1
    found = [(each.num_opens, each.idle_time) for each in server.sessions(level=502)]
    assert found == [(1, 0), (0, 9), (3, 0)]
    assert server.change_session("c", "u") == 3


# --- the clock ----------------------------------------------------------------------------------


def test_times_grow_with_the_server_s_clock_only() -> None:
    server = simulated_server(1500)
    before = _times(server)
    server.connect_session("c", "u", active_time=100, idle_time=50)
    server.advance(7)
    server.connect_session("d", "u")
    server.advance(3)
    grown = [(active if active == _UNKNOWN else active + 10, idle + 10) for active, idle in before]
    assert (_UNKNOWN, 10) in grown  # as the simulator makes up now and then
    assert _times(server) == [*grown, (110, 60), (3, 3)]


def test_fractions_of_seconds_add_up() -> None:
    """And a session's start, by which a watch knows it, does not move when it is used."""
    server = simulated_server(0)
    server.advance(0.25)
    server.connect_session("c", "u")
    seen = []
    for _ in range(8):
        server.advance(0.5)
        server.change_session("c", "u")
        server.advance(0.25)
        seen += _times(server)
    assert [active for active, _ in seen] == [0, 1, 2, 3, 3, 4, 5, 6]
    assert {idle for _, idle in seen} == {0}


@pytest.mark.parametrize("seconds", [5, 0xFFFFFFFE, 0xFFFFFFFF])
@pytest.mark.parametrize("times", [1, 3])
def test_no_time_grows_into_an_unknown_one(seconds: int, times: int) -> None:
    server = simulated_server(0)
    server.connect_session("c", "u", active_time=0xFFFFFFFD, idle_time=_UNKNOWN)
    server.connect_session("c", "u", active_time=0xFFFFFFFE, idle_time=0)
    for _ in range(times):
        server.advance(seconds)
    assert _times(server) == [
        (0xFFFFFFFE, _UNKNOWN),
        (0xFFFFFFFE, min(0xFFFFFFFE, seconds * times)),
    ]


class _Leaps:
    """A watch's clock: between two lists an hour passes, and things happen."""

    def __init__(self, then: list[Callable[[], object]]) -> None:
        self._hours = 0
        self._then = then

    def now(self) -> float:
        return self._hours * 3600.0

    def utc(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=self._hours)

    def wait(self, seconds: float, woken: object) -> None:
        self._hours += 1
        self._then.pop(0)()

    async def wait_async(self, seconds: float) -> None:
        self.wait(seconds, None)


def test_a_watch_goes_by_the_server_s_clock() -> None:
    """However long its lists take to come, a session that stays is no other one."""
    server = simulated_server(0)
    server.connect_session("c", "u", active_time=60)

    def meanwhile() -> None:
        server.connect_session("c", "u")

    clock = _Leaps([int, lambda: server.advance(7200), int, meanwhile])  # int() does nothing
    with Watch(server, clock=clock) as events:
        event = next(events)
    assert isinstance(event, SessionOpened)
    assert (event.session.client_name, event.session.user_name) == ("c", "u")


def test_the_clock_does_not_overflow() -> None:
    simulator = Simulator()
    simulator.add("c", "u", 0, 5, _UNKNOWN, 0, "", "")
    assert simulator.clock == 0
    simulator.advance((1 << 64) - 2)
    simulator.advance((1 << 64) - 1)
    assert simulator.clock == (1 << 64) - 1
    (page,) = _pages(simulator, level=10)
    assert list(page) == [("c", "u", 0xFFFFFFFE, _UNKNOWN)]
    with pytest.raises(OverflowError):
        simulator.advance(1 << 64)


def test_times_are_filtered_and_paged_as_they_are_listed(simulate: Simulate) -> None:
    server, simulator = simulate(50, 7)
    server.end_session(*session(3)[:2])  # type: ignore[arg-type]
    server.change_session(*session(10)[:2], num_opens=7)  # type: ignore[arg-type]
    server.advance(60)
    everything = [record for page in _pages(simulator) for record in page]
    assert len(everything) == 49
    assert everything[9].num_opens == 7
    assert everything[9].idle_time == 60
    assert [each for each in everything if each.client == "10.0.0.10"] == list(
        server.sessions(client="10.0.0.10")
    )
    found = server.session(*session(10)[:2], level=2)  # type: ignore[arg-type]
    assert (found.num_opens, found.idle_time) == (7, 60)


@pytest.mark.parametrize("first", [0, 37, 0xFFFFFFF0])
def test_numbers_of_those_made_up(simulate: Simulate, first: int) -> None:
    simulator = Simulator(50, first=first)
    found = [record for page in _pages(simulator) for record in page]
    assert found[:10] == [session(first + i) for i in range(10)]
    assert len(set(found)) == 50
    client, user = found[4][:2]
    assert simulator.end(client, user) == 1
    assert [record for page in _pages(simulator) for record in page] == found[:4] + found[5:]


# --- latency ------------------------------------------------------------------------------------


def test_every_call_takes_the_latency() -> None:
    server = simulated_server(10, latency=0.1, page_entries=5)
    wanted = session(5)
    began = time.monotonic()
    assert len(list(server.sessions(level=10))) == 10
    assert time.monotonic() - began >= 0.18  # two pages; clocks differ by a little
    began = time.monotonic()
    server.session(str(wanted.client_name), str(wanted.user_name), level=2)
    assert time.monotonic() - began >= 0.09
    assert server.latency == 0.1
    server.latency = 0
    assert server.latency == 0.0


def test_a_latency_that_is_wrong_changes_nothing() -> None:
    server = simulated_server(1, latency=0.001)
    with pytest.raises(ValueError, match="latency must be a number of seconds"):
        server.latency = -1
    assert server.latency == 0.001


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no interval timer")
def test_no_signal_makes_a_call_shorter() -> None:
    server = simulated_server(1, latency=0.3)
    came: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: came.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        began = time.monotonic()
        list(server.sessions())
        took = time.monotonic() - began
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert came
    assert took >= 0.29


# --- hanging ------------------------------------------------------------------------------------


@contextmanager
def _listing(server: SimulatedServer) -> Iterator[list[object]]:
    """Lists in another thread, which hangs when the block begins; what it raised at the end."""
    raised: list[object] = []

    def ask() -> None:
        try:
            list(server.sessions())
        except NetApiError as error:
            raised.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    calls = server.calls()
    thread.start()
    guard = time.monotonic() + _GUARD
    while server.calls() == calls:
        assert time.monotonic() < guard
        time.sleep(0.001)
    try:
        yield raised
        thread.join(_GUARD)
        assert not thread.is_alive()
    finally:
        server.release()


@pytest.mark.parametrize("seconds", [None, 4000])
def test_a_call_hangs_until_it_is_released(seconds: float | None) -> None:
    server = simulated_server(3)
    server.hang(seconds)
    with _listing(server) as raised:
        assert raised == []
        server.connect_session("c", "u")  # nobody who scripts waits for it
        assert server.session_count == 4
        server.close()  # no more than with netapi32.dll does this end it
        assert raised == []
        server.release()
    (error,) = raised
    assert isinstance(error, ServerUnreachable)
    assert (error.status, error.server) == (53, "simulated")
    assert len(list(server.sessions())) == 4


def test_a_release_is_for_those_that_hang_then() -> None:
    server = simulated_server(3)
    server.hang(None)
    with _listing(server) as first:
        server.release()
        server.hang(None)
    assert len(first) == 1
    server.hang(None)
    with _listing(server) as second:
        assert second == []
        server.release()
    assert len(second) == 1


def test_a_host_that_is_down_is_given_up_at_last() -> None:
    server = simulated_server(3)
    server.hang(0.2)
    began = time.monotonic()
    with pytest.raises(ServerUnreachable):
        list(server.sessions())
    assert time.monotonic() - began >= 0.15
    for call in (
        lambda: server.session("c", "u"),
        lambda: server.delete_sessions(user="u"),
        lambda: server.plan_delete(client="c"),
    ):
        server.hang(0)
        with pytest.raises(ServerUnreachable):
            call()


def test_what_hangs_does_not_keep_the_interpreter() -> None:
    code = """
import threading, time
from netsession.testing import simulated_server
server = simulated_server(3)
server.hang(None)
threading.Thread(target=lambda: list(server.sessions()), daemon=True).start()
while server.calls() == 0:
    time.sleep(0.001)
print("over")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=_GUARD
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "over\n", "")


# --- many ---------------------------------------------------------------------------------------


def test_a_script_while_others_ask() -> None:
    """Every list is of one moment: a session that only moves is in each, once."""
    server = simulated_server(200)
    server.connect_session("c", "moving", num_opens=0)
    over = threading.Event()
    seen: list[int] = []
    wrong: list[object] = []

    def ask() -> None:
        while not over.is_set():
            found = [each.num_opens for each in server.sessions(level=1, user="moving")]
            seen.extend(found)
            if len(found) not in (1, 2):
                wrong.append(found)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    guard = time.monotonic() + _GUARD
    moves = 0
    while (moves < 300 or len(set(seen)) < 3) and time.monotonic() < guard:
        moves += 1
        server.connect_session("c", "moving", num_opens=moves)
        server.end_session("c", "moving", only="first")
        server.change_session("c", "moving", user_flags=1)
        server.advance(1)
    over.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(set(seen)) >= 3
    assert server.session_count == 201


def test_a_hundred_thousand() -> None:
    server = simulated_server(100_000)
    wanted = session(99_990)
    assert server.end_session(str(wanted.client_name), str(wanted.user_name)) == 1
    for number in range(1000):
        server.connect_session(f"c{number}", "u")
    assert server.end_session("c500", "u") == 1
    server.advance(60)
    assert len(list(server.sessions(level=10))) == server.session_count == 100_998
