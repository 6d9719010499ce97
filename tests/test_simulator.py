"""The simulator does what the documents say: paging, filters, every status."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from made_up import session, sessions
from netsession import NetApiError, _netsession
from netsession._simulator import Simulator
from netsession.testing import simulated_server

_ALL = 0xFFFFFFFF
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
    assert len(page) == 1
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
    assert simulator.outstanding == 0


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
    ],
)
def test_mistakes_are_named(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        simulated_server(**arguments)
