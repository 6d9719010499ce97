"""The facade: levels and their fall-back, filters, names, errors, async, on simulated servers."""

from __future__ import annotations

import asyncio
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import netsession
from made_up import session, sessions
from netsession import (
    AccessDenied,
    AmbiguousName,
    InvalidLevel,
    LogonFailed,
    ServerUnreachable,
    SessionInfo1,
    SessionNotFound,
    _netsession,
)
from netsession._aio import in_thread
from netsession._simulator import Simulator
from netsession.server import Server
from netsession.testing import SimulatedServer, simulated_server

Simulate = Callable[..., tuple[SimulatedServer, Simulator]]


# --- levels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0, 1, 2, 10, 502])
def test_every_level(level: int) -> None:
    query = simulated_server(50).sessions(level=level)
    assert query.level == level
    records = list(query)
    assert type(records[0]).__name__ == f"SessionInfo{level}"
    for record, expected in zip(records, sessions(50), strict=True):
        for name in expected._fields:
            known = name in record._fields
            assert getattr(record, name) == (getattr(expected, name) if known else None)


def test_the_richest_level_is_asked_first() -> None:
    server = simulated_server(5)
    query = server.sessions()
    assert query.level is None
    assert len(list(query)) == 5
    assert query.level == 502


@pytest.mark.parametrize("status", [5, 124])
@pytest.mark.parametrize(("refused", "granted"), [(1, 2), (2, 1), (3, 10), (4, 0)])
def test_fall_back(simulate: Simulate, refused: int, granted: int, status: int) -> None:
    server, simulator = simulate(5)
    for level in (502, 2, 1, 10)[:refused]:
        server.refuse(level, status)
    query = server.sessions()
    assert len(list(query)) == 5
    assert query.level == granted
    assert simulator.calls("NetSessionEnum") == refused + 1


def test_what_worked_is_remembered_and_forgotten_when_refused(simulate: Simulate) -> None:
    server, simulator = simulate(5)
    server.refuse(502, 124)
    assert len(list(server.sessions())) == 5
    assert simulator.calls("NetSessionEnum") == 2
    query = server.sessions()
    assert query.level == 2
    assert len(list(query)) == 5
    assert simulator.calls("NetSessionEnum") == 3
    server.refuse(2, 5)
    server.refuse(502, 0)
    again = server.sessions()
    assert len(list(again)) == 5
    assert again.level == 502


def test_all_refused_tells_the_refusal_that_can_be_mended() -> None:
    server = simulated_server(5)
    for level, status in {502: 124, 2: 124, 1: 5, 10: 124, 0: 124}.items():
        server.refuse(level, status)
    with pytest.raises(AccessDenied, match="Administrators or Server Operators"):
        list(server.sessions())


def test_all_levels_unknown() -> None:
    server = simulated_server(5)
    for level in (0, 1, 2, 10, 502):
        server.refuse(level, 124)
    with pytest.raises(InvalidLevel):
        list(server.sessions())


def test_an_explicit_level_does_not_fall_back(simulate: Simulate) -> None:
    server, simulator = simulate(5)
    server.refuse(502, 124)
    with pytest.raises(InvalidLevel, match="level=None"):
        list(server.sessions(level=502))
    assert simulator.calls("NetSessionEnum") == 1


@pytest.mark.parametrize("status", [1326, 1331, 1909])
def test_a_failed_logon_is_never_repeated(simulate: Simulate, status: int) -> None:
    """It would count towards locking the account."""
    server, simulator = simulate(5)
    server.fail("NetSessionEnum", status)
    with pytest.raises(LogonFailed):
        list(server.sessions())
    assert simulator.calls("NetSessionEnum") == 1


@pytest.mark.parametrize("status", [50, 53, 2114, 1722, 8, 9999])
def test_other_errors_do_not_fall_back(simulate: Simulate, status: int) -> None:
    server, simulator = simulate(5)
    server.fail("NetSessionEnum", status)
    with pytest.raises(netsession.NetApiError) as caught:
        list(server.sessions())
    assert caught.value.status == status
    assert simulator.calls("NetSessionEnum") == 1


# --- iteration ------------------------------------------------------------------------------------


def test_iteration_is_lazy_by_page(simulate: Simulate) -> None:
    server, simulator = simulate(100, 10)
    records = iter(server.sessions(level=1))
    assert simulator.calls("NetSessionEnum") == 0
    for _ in range(10):
        next(records)
    assert simulator.calls("NetSessionEnum") == 1
    next(records)
    assert simulator.calls("NetSessionEnum") == 2
    assert len(list(records)) == 89


def test_each_iteration_asks_afresh(simulate: Simulate) -> None:
    server, simulator = simulate(10)
    query = server.sessions(level=1)
    assert list(query) == list(query)
    assert simulator.calls("NetSessionEnum") == 2


def test_pages(simulate: Simulate) -> None:
    server, _ = simulate(25, 10)
    pages = list(server.sessions().pages())
    assert [len(page) for page in pages] == [10, 10, 5]
    assert [record for page in pages for record in page] == list(sessions(25))
    del pages


@pytest.mark.parametrize("level", [None, 1])
def test_only_one_page_is_held_at_a_time(simulate: Simulate, level: int | None) -> None:
    server, simulator = simulate(50, 10)
    if level is None:
        server.refuse(502)
    for number, _ in enumerate(server.sessions(level=level)):
        assert simulator.outstanding == 1, number


def test_page_bytes_becomes_the_preferred_length(simulate: Simulate) -> None:
    server, simulator = simulate(1000)
    assert list(server.sessions(page_bytes=4096)) == list(sessions(1000))
    assert simulator.calls("NetSessionEnum") > 20


def test_a_server_that_fails_midway_is_an_error(simulate: Simulate) -> None:
    server, _ = simulate(30, 10)
    server.fail("NetSessionEnum", 64, after=2)
    records = iter(server.sessions(level=1))
    assert len([next(records) for _ in range(20)]) == 20
    with pytest.raises(netsession.ConnectionLost):
        next(records)


def test_async(simulate: Simulate) -> None:
    server, _ = simulate(100, 7)

    async def collect() -> list[Any]:
        return [record async for record in server.sessions()]

    assert asyncio.run(collect()) == list(sessions(100))


def test_async_keeps_the_loop_free(simulate: Simulate) -> None:
    """It goes round while a call is held, which a busy machine only makes it do later."""
    server, simulator = simulate(3)
    simulator.hang(60_000)

    async def main() -> int:
        ticks = 0
        task = asyncio.ensure_future(collect())
        while not task.done():
            ticks += 1
            if ticks > 3 and simulator.calls("NetSessionEnum"):
                simulator.release()
            await asyncio.sleep(0.001)
        with pytest.raises(ServerUnreachable):
            await task
        return ticks

    async def collect() -> int:
        return len([record async for record in server.sessions()])

    assert asyncio.run(main()) > 3


def test_a_coroutine_that_is_closed_calls_off() -> None:
    """As where the loop was closed under it."""
    called_off: list[bool] = []
    released = threading.Event()

    async def main() -> None:
        waiting = in_thread(released.wait, lambda: called_off.append(True))
        waiting.send(None)
        waiting.close()

    asyncio.run(main())
    released.set()
    assert called_off == [True]


def test_async_errors(simulate: Simulate) -> None:
    server, _ = simulate(3)
    server.fail("NetSessionEnum", 5)

    async def main() -> None:
        async for _ in server.sessions(level=1):
            pass

    with pytest.raises(AccessDenied):
        asyncio.run(main())


# --- filters and names ----------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["ws00006", "\\\\WS00006", "\\WS00006", "WS00006"])
def test_clients_with_and_without_backslashes(spelling: str) -> None:
    server = simulated_server(20)
    expected = [session(6), session(7)]
    assert list(server.sessions(client=spelling)) == expected
    user = expected[0].user_name
    assert user is not None
    assert server.session(spelling, user, level=2)[:7] == expected[0][:7]
    server.delete_sessions(client=spelling)
    assert server.session_count == 18


@pytest.mark.parametrize(
    "spelling", ["2001:db8::4", "[2001:db8::4]", "\\\\2001:DB8::4", "\\\\[2001:db8::4]"]
)
def test_ipv6_clients_with_and_without_brackets(spelling: str) -> None:
    server = simulated_server(20)
    expected = session(4)
    assert list(server.sessions(client=spelling)) == [expected]
    assert expected.user_name is not None
    assert server.session(spelling, expected.user_name).client == "2001:db8::4"
    server.delete_sessions(client=spelling)
    assert server.session_count == 19


def _wire_server(call: Callable[[int, bytes], bytes]) -> Server:
    return Server("ignores-filters", backend=call)


def _everything(opnum: int, stub: bytes) -> bytes:
    """Samba's way: it ignores both filters."""
    level = 10
    rows = [("\\\\A", "Alice"), ("[2001:db8::1]", "bob"), ("", ""), ("b", "ALICE")]
    out = struct.pack("<IIIIII", level, level, 1, len(rows), 1, len(rows))
    out += struct.pack("<IIII", 1, 1, 60, 0) * len(rows)
    for text in [text for row in rows for text in row]:
        out += bytes(-len(out) % 4)
        out += struct.pack("<III", len(text) + 1, 0, len(text) + 1)
        out += (text + "\0").encode("utf-16-le")
    out += bytes(-len(out) % 4)
    return out + struct.pack("<IIII", len(rows), 1, 4, 0)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["Alice", "bob", "", "ALICE"]),
        ({"client": "a"}, ["Alice"]),
        ({"client": "\\\\B"}, ["ALICE"]),
        ({"client": "2001:DB8::1"}, ["bob"]),
        ({"user": "alice"}, ["Alice", "ALICE"]),
        ({"user": "alice", "client": "b"}, ["ALICE"]),
        ({"user": "carol"}, []),
    ],
)
def test_filters_are_applied_again_here(filters: dict[str, str], expected: list[str]) -> None:
    server = _wire_server(_everything)
    assert [r.user_name for r in server.sessions(level=10, **filters)] == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"user": "bob"}, ["[2001:db8::1]"]),
        ({"user": "alice"}, ["\\\\A", "b"]),
        ({"user": "alice", "client": "b"}, ["b"]),
    ],
)
def test_a_user_filter_is_checked_at_level_0_too(
    filters: dict[str, str], expected: list[str]
) -> None:
    """Level 0 has no user names, so a richer one is asked for and its entries cut down."""
    server = _wire_server(_everything)
    query = server.sessions(level=0, **filters)
    assert [tuple(record) for record in query] == [(name,) for name in expected]
    assert query.level == 0


def test_show_checks_what_a_server_that_ignores_filters_sent() -> None:
    server = _wire_server(_everything)
    assert server.session("B", "alice", level=10).user_name == "ALICE"
    with pytest.raises(SessionNotFound, match="NetSessionGetInfo"):
        server.session("nowhere", "alice", level=10)


@pytest.mark.parametrize("filters", [{"user": "nobody"}, {"client": "nowhere"}])
def test_filters_that_match_nothing_give_an_empty_list(filters: dict[str, str]) -> None:
    server = simulated_server(20)
    assert list(server.sessions(**filters)) == []
    assert list(server.sessions(level=1, **filters)) == []
    assert sum(map(len, server.sessions(**filters).pages())) == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"level": 3}, ValueError, "level must be 0, 1, 2, 10, 502 or None, not 3"),
        ({"client": ""}, ValueError, "client must not be empty"),
        ({"client": "\\\\"}, ValueError, "client must be a computer name"),
        ({"client": "a\0"}, ValueError, "client must not contain a NUL"),
        ({"client": 5}, TypeError, "client must be a str, not int"),
        ({"user": ""}, ValueError, "user must not be empty"),
        ({"user": "x" * 1024}, ValueError, "user must be at most 1023 UTF-16 units"),
        ({"user": "😀" * 512}, ValueError, "user must be at most"),
        ({"page_bytes": 0}, ValueError, "page_bytes must be between 1 and 4294967295"),
        ({"page_bytes": 1 << 32}, ValueError, "page_bytes must be between"),
        ({"page_bytes": "1M"}, TypeError, "page_bytes must be an int"),
    ],
)
def test_bad_arguments_are_named(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        simulated_server(1).sessions(**arguments)


# --- show and delete ------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0, 1, 2, 10, 502])
def test_show_at_every_level(level: int) -> None:
    wanted = session(5)
    record = simulated_server(20).session("WS00005", "zoë.83", level=level)
    assert record == tuple(getattr(wanted, name) for name in record._fields)
    assert type(record).__name__ == f"SessionInfo{level}"


def test_show_falls_back() -> None:
    server = simulated_server(20)
    server.refuse(2, 5)
    assert type(server.session("WS00005", "zoë.83")) is SessionInfo1


@pytest.mark.parametrize("level", [None, 1, 502])
@pytest.mark.parametrize(("client", "user"), [("nowhere", "zoë.83"), ("WS00005", "nobody")])
def test_show_what_is_not_there(client: str, user: str, level: int | None) -> None:
    with pytest.raises(SessionNotFound):
        simulated_server(20).session(client, user, level=level)


@pytest.mark.parametrize(
    ("client", "user"), [("", "u"), ("c", ""), ("c", None), (None, "u"), ("c", "D\\")]
)
def test_show_needs_both_names(client: Any, user: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"(client|user) must"):
        simulated_server(1).session(client, user)


def test_delete_by_user_and_by_both() -> None:
    server = simulated_server(20)
    server.delete_sessions(user="zoë.83")
    assert server.session_count == 19
    server.delete_sessions(client="WS00006", user=session(6).user_name)
    assert server.session_count == 18
    assert session(7) in list(server.sessions())


@pytest.mark.parametrize("names", [("", "me"), ("WS17", "")])
def test_one_session_needs_both_names(simulate: Simulate, names: tuple[str, str]) -> None:
    server, _ = simulate(20)
    with pytest.raises(ValueError, match="must not be empty: both say which"):
        server.session(*names)


def test_delete_refuses_to_name_neither(simulate: Simulate) -> None:
    server, simulator = simulate(20)
    with pytest.raises(ValueError, match="name a client or a user"):
        server.delete_sessions()
    for names in ({"client": ""}, {"user": ""}, {"client": "", "user": ""}):
        with pytest.raises(ValueError, match="must not be empty"):
            server.delete_sessions(**names)
    assert simulator.calls("NetSessionDel") == 0
    assert simulator.count == 20


def test_delete_what_is_not_there() -> None:
    with pytest.raises(SessionNotFound) as caught:
        simulated_server(20).delete_sessions(client="nowhere")
    assert caught.value.function == "NetSessionDel"
    assert isinstance(caught.value, LookupError)


# --- names as people type them (the rules: docs/names.md, tests/test_names.py) --------------------

MEMBER = [
    {"client_name": "\\\\10.1.2.3", "user_name": "CORP\\alice"},
    {"client_name": "\\\\WS17", "user_name": "CORP\\bob"},
    {"client_name": "\\\\[::1]", "user_name": "OTHER\\bob"},
    {"client_name": "\\\\10.1.2.4", "user_name": "zoë"},
]


@pytest.mark.parametrize("typed", ["alice", "CORP\\Alice", "alice@corp.example"])
@pytest.mark.parametrize("level", [None, 0, 1, 2, 10, 502])
def test_the_server_is_asked_with_its_spelling(typed: str, level: int | None) -> None:
    """The simulator compares whole names, as Windows does: CORP\\alice is not alice to it."""
    server = simulated_server(MEMBER)
    assert len(list(server.sessions(user=typed, level=level))) == 1
    record = server.session("10.1.2.3", typed, level=level)
    assert record.client == "10.1.2.3"
    assert record.user_name in (None, "CORP\\alice")
    plan = server.delete_sessions(user=typed)
    assert plan.targets == [(None, "CORP\\alice")]
    assert server.session_count == 3


def test_case_in_all_letters() -> None:
    server = simulated_server(MEMBER)
    assert server.session("10.1.2.4", "ZOË").user_name == "zoë"
    server.delete_sessions(user="ZOË")
    assert server.session_count == 3


def test_an_account_that_is_not_clear(simulate: Simulate) -> None:
    server = simulated_server(MEMBER)
    assert len(list(server.sessions(user="bob"))) == 2
    with pytest.raises(AmbiguousName, match=r"CORP\\bob, OTHER\\bob\. Nothing was sent") as caught:
        server.delete_sessions(user="bob")
    assert caught.value.candidates == ("CORP\\bob", "OTHER\\bob")
    assert isinstance(caught.value, ValueError)
    assert server.session_count == 4
    server.delete_sessions(client="WS17", user="bob")
    assert server.session_count == 3


def test_showing_an_account_that_is_not_clear() -> None:
    names = ("CORP\\bob", "OTHER\\bob")
    server = simulated_server([{"client_name": "a", "user_name": name} for name in names])
    with pytest.raises(AmbiguousName, match=r"OTHER\\bob\. Name the one that is meant") as caught:
        server.session("a", "bob")
    assert caught.value.function == "NetSessionGetInfo"
    assert "sent" not in str(caught.value)  # something was asked


def test_showing_takes_the_exact_name_first(simulate: Simulate) -> None:
    rows = [{"client_name": "a", "user_name": name} for name in ("CORP\\bob", "bob", "X\\bob")]

    class WithoutGetInfo(SimulatedServer):
        _speaks_srvsvc = True  # type: ignore[assignment]

    over_smb = WithoutGetInfo(simulated_server(rows)._simulator)
    for server in (simulated_server(rows), over_smb):
        assert server.session("a", "BOB").user_name == "bob"
        assert server.session("a", "x\\bob").user_name == "X\\bob"
        assert server.session("a", "bob@corp.example").user_name == "CORP\\bob"
        with pytest.raises(AmbiguousName):
            simulated_server([rows[0], rows[2]]).session("a", "bob")
    server, simulator = simulate(20)
    assert server.session("WS00005", "zoë.83").client == "WS00005"
    assert simulator.calls("NetSessionEnum") == 0


def test_what_might_have_been_meant_is_told() -> None:
    server = simulated_server(MEMBER)
    with pytest.raises(SessionNotFound, match=r"There are sessions of CORP\\alice"):
        server.delete_sessions(user="alice@example.com")
    server._resolve = lambda name, call: (frozenset(), "Name or service not known")  # type: ignore[method-assign]
    with pytest.raises(SessionNotFound, match=r"WS18 could not be looked up \(Name or service"):
        server.delete_sessions(client="WS18")


def test_a_user_who_is_absent_from_a_client_that_is_there() -> None:
    with simulated_server(MEMBER) as server:
        for ask in (server.session, lambda c, u: server.delete_sessions(client=c, user=u)):
            with pytest.raises(SessionNotFound) as caught:
                ask("10.1.2.3", "nobody")
            assert caught.value.status == 2221
            assert "There are sessions from 10.1.2.3, but none of nobody" in str(caught.value)
            with pytest.raises(SessionNotFound) as caught:
                ask("10.9.9.9", "nobody")
            assert caught.value.status == 2312


def test_a_host_name_is_looked_up_once_and_only_for_addresses() -> None:
    asked: list[str] = []

    def resolve(name: str, call: object) -> tuple[frozenset[str], None]:
        asked.append(name)
        return frozenset({"10.1.2.3", "::1"}), None

    server = simulated_server(MEMBER)
    server._resolve = resolve  # type: ignore[method-assign]
    query = server.sessions(client="WS17")
    assert query.addresses == ()
    assert len(list(query)) == len(list(query)) == 3
    assert query.addresses == ("10.1.2.3", "::1")
    assert asked == ["WS17"]
    only_names = simulated_server([MEMBER[1]])
    only_names._resolve = resolve  # type: ignore[method-assign]
    assert len(list(only_names.sessions(client="WS17"))) == 1
    assert len(list(server.sessions(client="10.1.2.4"))) == 1
    assert asked == ["WS17"]
    assert server.session("ws17", "alice").client == "10.1.2.3"
    plan = server.plan_delete(client="ws17")
    assert plan.targets == [
        ("\\\\10.1.2.3", None), ("\\\\WS17", None), ("\\\\[::1]", None)
    ]  # fmt: skip
    assert server.session_count == 4
    assert server.delete_sessions(plan=plan) is plan
    assert server.session_count == 1


def test_a_plan_or_names() -> None:
    server = simulated_server(MEMBER)
    plan = server.plan_delete(user="zoë")
    assert plan.sessions[0].user_name == "zoë"
    for names in ({"user": "zoë"}, {"client": "x"}):
        with pytest.raises(ValueError, match="not both"):
            server.delete_sessions(plan=plan, **names)  # type: ignore[arg-type]
    for wrong in (5, "alice", [("a", "b")], plan.targets):
        with pytest.raises(TypeError, match=r"plan must be a DeletePlan, not "):
            server.delete_sessions(plan=wrong)  # type: ignore[arg-type]
    assert server.session_count == 4


@pytest.mark.parametrize(
    ("last", "error", "message"),
    [
        ((None, None), ValueError, "name a client or a user"),
        (("\\\\", None), ValueError, "client must be a computer name"),
        (("\\\\WS1", "*"), ValueError, "user must be the name of a user"),
        (("\\\\WS1", "b\0"), ValueError, "user must not contain a NUL"),
        (("\\\\WS1", "b" * 1024), netsession.InvalidParameter, "(?i)user must be at most 1023"),
        # With brackets, which are tried too, it is too long.
        (("\\\\" + "1:" * 510, None), netsession.InvalidParameter, "(?i)client must be at most"),
        ((1, "b"), TypeError, "client must be a str or None"),
        (("\\\\WS1",), TypeError, "plan has a target that is no"),
        ("ab", TypeError, "plan has a target that is no"),
    ],
)
def test_nothing_of_a_plan_is_sent_where_some_of_it_must_not_be(
    simulate: Simulate, last: Any, error: type[Exception], message: str
) -> None:
    server, simulator = simulate(20)
    plan = netsession.DeletePlan("WS00006", None, [("\\\\WS00006", None), last], [])
    with pytest.raises(error, match=message):
        server.delete_sessions(plan=plan)
    assert simulator.calls("NetSessionDel") == 0


@pytest.mark.parametrize("plan", ["", "alice", 0, [("\\\\WS1", None)], object()])
def test_what_is_no_plan_is_refused(plan: Any) -> None:
    with pytest.raises(TypeError, match="plan must be a DeletePlan, not"):
        simulated_server(20).delete_sessions(plan=plan)


def test_a_plan_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="plan has no targets"):
        simulated_server(20).delete_sessions(plan=netsession.DeletePlan(None, "alice", [], []))


def test_a_plan_is_for_one_server(simulate: Simulate) -> None:
    server, simulator = simulate(20)
    elsewhere = Server("fs02", backend=simulator.netapi)
    plan = server.plan_delete(client="WS00006")
    with pytest.raises(ValueError, match="plan is for the server 'simulated', not for 'fs02'"):
        elsewhere.delete_sessions(plan=plan)
    assert simulator.calls("NetSessionDel") == 0
    assert server.delete_sessions(plan=plan) is plan


def test_names_in_the_list_that_cannot_be_sent_are_told_with_the_plan(simulate: Simulate) -> None:
    server, simulator = simulate()
    simulator.add("WS1", "D" * 2000 + "\\alice", 1, 0, 0, 0, "", "")
    for work in (server.plan_delete, server.delete_sessions):
        with pytest.raises(netsession.InvalidParameter, match=r"(?i)user must be at most 1023"):
            work(user="alice")
    assert simulator.calls("NetSessionDel") == 0


THREE = netsession.DeletePlan(None, None, [(f"\\\\WS{number}", None) for number in "123"], [])


def with_sessions_from(*clients: str) -> SimulatedServer:
    return simulated_server([{"client_name": name, "user_name": "x"} for name in clients])


def test_what_has_gone_meanwhile_keeps_nothing_of_the_rest() -> None:
    server = with_sessions_from("WS2", "WS3")
    server.delete_sessions(plan=THREE)
    assert server.session_count == 0
    with pytest.raises(SessionNotFound) as caught:
        server.delete_sessions(plan=THREE)
    assert not caught.value.maybe_done


def test_an_interrupt_half_way_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    server = with_sessions_from("WS1", "WS2", "WS3")
    end = server._end

    def interrupted(call: Any, client: str | None, user: str | None) -> None:
        if client == "\\\\WS3":
            raise KeyboardInterrupt
        end(call, client, user)

    monkeypatch.setattr(server, "_end", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        server.delete_sessions(plan=THREE)
    assert caught.value.__notes__ == ["2 of 3 requests had been carried out."]


@pytest.mark.parametrize("status", [5, 50, 124])
def test_a_listing_that_breaks_off_is_not_one_that_is_refused(
    simulate: Simulate, status: int
) -> None:
    """What was typed may be more than one account; half a list does not tell."""
    server, simulator = simulate(20, 5)
    server.fail("NetSessionEnum", status, after=1)
    with pytest.raises(netsession.NetApiError, match="Nothing was done") as caught:
        server.delete_sessions(client="nowhere")
    assert caught.value.status == status
    assert simulator.calls("NetSessionDel") == 0


@pytest.mark.parametrize("status", [5, 50, 124])
def test_where_listing_is_refused_what_was_typed_is_sent(simulate: Simulate, status: int) -> None:
    server, simulator = simulate(20)
    server.fail("NetSessionEnum", status)
    plan = server.delete_sessions(client="ws00006")
    assert plan.targets == [("\\\\ws00006", None)]
    assert not plan.listed
    assert simulator.count == 18
    user = session(5).user_name
    assert user is not None
    assert server.session("WS00005", user).client == "WS00005"
    with pytest.raises(SessionNotFound):
        server.delete_sessions(user="CORP\\" + user)
    assert simulator.count == 18


@pytest.mark.parametrize("status", [1326, 1722, 8, 64])
def test_where_listing_fails_nothing_is_sent(simulate: Simulate, status: int) -> None:
    server, simulator = simulate(20)
    server.fail("NetSessionEnum", status)
    with pytest.raises(netsession.NetApiError) as caught:
        server.delete_sessions(user="zoë.83")
    assert caught.value.status == status
    assert "Nothing was done" in str(caught.value)
    assert simulator.calls("NetSessionDel") == 0


def test_a_failure_half_way_says_how_far_it_came() -> None:
    server = simulated_server(MEMBER)
    server._resolve = lambda name, call: (frozenset({"10.1.2.3"}), None)  # type: ignore[method-assign]
    server.fail("NetSessionDel", 5, after=1)
    with pytest.raises(AccessDenied, match="1 of 2 requests had been carried out"):
        server.delete_sessions(client="WS17")
    assert server.session_count == 3


# --- servers --------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a local machine to ask")
def test_over_smb_a_name_is_needed() -> None:
    for name in (None, "", "\\\\"):
        with pytest.raises(ValueError, match="name must be given"):
            Server(name)


@pytest.mark.parametrize(
    ("name", "port", "expected"),
    [
        ("smb://fs01/share", None, ("fs01", 445)),
        ("\\\\fs01\\share", 1445, ("fs01", 1445)),
        ("fs01:1445", None, ("fs01", 1445)),
        ("fs01:1445", 1445, ("fs01", 1445)),
        ("[::1]:1445", None, ("::1", 1445)),
    ],
)
def test_names_and_ports(name: str, port: int | None, expected: tuple[str, int]) -> None:
    server = Server(name, port=port, username="u", password="p")
    assert server._client is not None
    assert (server.name, server._client._port) == expected


@pytest.mark.parametrize("name", ["FS01\\data", " fs01 ", "me@fs01", "http://fs01", "fe80::1"])
def test_names_that_are_none_are_refused_at_once(name: str) -> None:
    with pytest.raises(ValueError, match="write fs01"):
        Server(name)
    with pytest.raises(ValueError, match="write fs01"):
        Server(name, backend=_everything)  # natively too


def test_a_name_and_a_port_that_contradict_it() -> None:
    with pytest.raises(ValueError, match="name says port 1445 and port= says 445"):
        Server("fs01:1445", port=445)


def test_a_name_must_be_text() -> None:
    with pytest.raises(TypeError, match="name must be a str or None, not int"):
        Server(5)  # type: ignore[arg-type]


def test_no_secret_in_repr() -> None:
    server = Server("\\\\fs01", username="CORP\\me", password="hunter2", port=1)
    assert "hunter2" not in repr(server) + str(vars(server))
    assert server.name == "fs01"
    assert repr(server.sessions()) == "<Sessions of fs01, richest level>"


def test_simulated_server_is_a_context_manager() -> None:
    with simulated_server(3) as server:
        assert isinstance(server, Server)
        assert len(list(server.sessions())) == 3


def test_simulated_sessions_from_records_and_mappings() -> None:
    rows = [session(3), SessionInfo1("\\\\c", "u", 1, 2, 3, 0), {"client_name": "x"}]
    found = list(simulated_server(rows).sessions(level=502))
    assert found == [
        session(3),
        ("\\\\c", "u", 1, 2, 3, 0, "", ""),
        ("x", None, 0, 0, 0, 0, "", ""),
    ]


def test_simulated_sessions_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="no field 'client'"):
        simulated_server([{"client": "x"}])
    with pytest.raises(TypeError, match="SessionInfo records or mappings"):
        simulated_server([("x", "y")])
    with pytest.raises(ValueError, match="page_entries must be at least 1"):
        simulated_server(1, page_entries=0)


def test_import_is_light() -> None:
    code = (
        "import sys, netsession;"
        "heavy = {'typing', 'asyncio', 'smbprotocol', 'rich', 'typer', 'socket', 'ssl', 'enum',"
        "         'datetime', 're'};"
        "sys.exit(' '.join(sorted(heavy & sys.modules.keys())) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r};" + code],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_public_names_exist_and_are_documented() -> None:
    for name in netsession.__all__:
        thing = getattr(netsession, name)
        if name != "__version__":
            assert thing.__doc__, name


def test_the_core_and_the_facade_agree_on_what_everything_is() -> None:
    assert netsession.SessionPage is _netsession.SessionPage
