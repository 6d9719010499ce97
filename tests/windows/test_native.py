"""Native calls into netapi32.dll, all three functions, under the Windows interpreter."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import threading
import time

import pytest

import netsession
from made_up import session, sessions
from netsession import errors, records
from stand_in import FUNCTIONS, StandIn

LEVELS = (0, 1, 2, 10, 502)
INFO_LEVELS = (0, 1, 2, 10)
EVERYTHING = 0xFFFFFFFF
RECORDS = {level: getattr(records, f"SessionInfo{level}") for level in LEVELS}

#: Statuses the documentation names for the functions, and some of the network below them.
STATUSES = (5, 8, 50, 53, 64, 67, 87, 121, 124, 1326, 1722, 2114, 2221, 2312, 2351, 59999)


def at_level(level: int, full: records.SessionInfo502) -> tuple[object, ...]:
    """What a session looks like at a level: the fields of that level's record."""
    made: tuple[object, ...] = RECORDS[level](
        *(getattr(full, name) for name in RECORDS[level]._fields)
    )
    return made


def expected(level: int, numbers: range) -> list[tuple[object, ...]]:
    return [at_level(level, session(number)) for number in numbers]


# --- NetSessionEnum -------------------------------------------------------------------------


def test_the_library_is_the_stand_in(netapi32: StandIn) -> None:
    list(netsession.Server().sessions())
    assert netapi32.calls("NetSessionEnum") == 1
    assert "smbprotocol" not in sys.modules


@pytest.mark.parametrize("level", LEVELS)
def test_every_field_of_every_session(netapi32: StandIn, level: int) -> None:
    netapi32.reset(2000)
    found = list(netsession.Server().sessions(level=level))
    assert found == expected(level, range(2000))
    assert {type(record) for record in found} == {RECORDS[level]}


@pytest.mark.parametrize("level", LEVELS)
def test_fields_lie_where_windows_has_them(netapi32: StandIn, level: int) -> None:
    found = [tuple(record) for record in netsession.Server().sessions(level=level)]
    assert found == netapi32.read(level)
    assert len(found) == 100


def test_what_windows_structures_hold_comes_out(netapi32: StandIn) -> None:
    """Written by ctypes, so that no table of ours is in the way there."""
    one = records.SessionInfo502("\\\\WS1", "alice", 1, 2, 3, 4, "type", "transport")
    netapi32.reset(0)
    netapi32.add([one])
    assert netapi32.read(502) == [tuple(one)]
    for level in LEVELS:
        assert list(netsession.Server().sessions(level=level)) == [at_level(level, one)]


def test_extreme_fields(netapi32: StandIn) -> None:
    odd = [
        records.SessionInfo502(None, None, 0xFFFFFFFF, 0xFFFFFFFF, 0x80000000, 3, None, None),
        records.SessionInfo502("", "", 0, 0, 0, 0, "", ""),
        records.SessionInfo502("\\\\" + "x" * 1000, "\U0001f600", 1, 2, 3, 0, "\ud800", "é"),
    ]
    netapi32.reset(0)
    netapi32.add(odd)
    for level in LEVELS:
        found = list(netsession.Server().sessions(level=level))
        assert found == [at_level(level, record) for record in odd]


@pytest.mark.parametrize(
    ("name", "passed"),
    [(None, None), ("", None), ("fs01", "\\\\fs01"), ("\\\\fs01", "\\\\fs01"), ("::1", "\\\\::1")],
)
def test_the_server_named_is_the_server_asked(
    netapi32: StandIn, name: str | None, passed: str | None
) -> None:
    server = netsession.Server(name)
    list(server.sessions(level=10))
    assert netapi32.last_server == passed
    server.session("10.0.0.0", "alice.0")
    assert netapi32.last_server == passed
    server.delete_sessions(user="alice.0")
    assert netapi32.last_server == passed


@pytest.mark.parametrize("level", LEVELS)
def test_filters_are_passed_on(netapi32: StandIn, level: int) -> None:
    everyone = list(sessions(100))
    client, user = everyone[2].client_name, everyone[3].user_name
    assert client is not None
    server = netsession.Server()
    for spelling in (client, client.lstrip("\\"), client.upper()):
        assert list(server.sessions(level=level, client=spelling)) == [
            at_level(level, record) for record in everyone if record.client_name == client
        ]
    assert list(server.sessions(level=level, user=user)) == [
        at_level(level, record) for record in everyone if record.user_name == user
    ]
    assert list(server.sessions(level=level, client=client, user=user)) == [
        at_level(level, record)
        for record in everyone
        if (record.client_name, record.user_name) == (client, user)
    ]
    assert list(server.sessions(level=level, client="WS-NOWHERE")) == []
    assert list(server.sessions(level=level, user="nobody")) == []


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("page_entries", [1, 7, 99, 100, 101])
def test_the_resume_handle_leads_through_all_pages(
    netapi32: StandIn, level: int, page_entries: int
) -> None:
    netapi32.reset(100, page_entries)
    pages = list(netsession.Server().sessions(level=level).pages())
    assert [len(page) for page in pages[:-1]] == [page_entries] * (len(pages) - 1)
    assert list(itertools.chain(*pages)) == expected(level, range(100))
    assert netapi32.calls("NetSessionEnum") == -(-100 // page_entries) == len(pages)
    assert [page.more for page in pages] == [True] * (len(pages) - 1) + [False]


def test_two_cursors_keep_their_own_handles(netapi32: StandIn) -> None:
    netapi32.reset(60, 7)
    server = netsession.Server()
    both = zip(server.sessions(level=502), server.sessions(level=502), strict=True)
    assert [one == other for one, other in both] == [True] * 60


def test_page_bytes_is_the_preferred_maximum_length(netapi32: StandIn) -> None:
    netapi32.reset(5000)
    server = netsession.Server()
    assert list(server.sessions(level=502, page_bytes=65536)) == expected(502, range(5000))
    assert netapi32.last_preferred_length == 65536
    assert netapi32.calls("NetSessionEnum") > 5
    list(server.sessions(level=502))
    assert netapi32.last_preferred_length == EVERYTHING


def test_a_length_too_small_grows_until_an_entry_fits(netapi32: StandIn) -> None:
    found = list(netsession.Server().sessions(level=502, page_bytes=1))
    assert found == expected(502, range(100))
    assert netapi32.last_preferred_length > 1


@pytest.mark.parametrize("status", [5, 124])
def test_the_richest_level_granted(netapi32: StandIn, status: int) -> None:
    for refused, granted in ((None, 502), (502, 2), (2, 1), (1, 10), (10, 0)):
        if refused is not None:
            netapi32.refuse(refused, status)
        query = netsession.Server().sessions()
        assert list(query) == expected(granted, range(100))
        assert query.level == granted
    netapi32.refuse(0, status)
    wanted = errors.AccessDenied if status == 5 else errors.InvalidLevel
    with pytest.raises(wanted):
        list(netsession.Server().sessions())


def test_success_without_outputs_is_an_empty_list(netapi32: StandIn) -> None:
    netapi32.stay_silent()
    assert [list(netsession.Server().sessions(level=level)) for level in LEVELS] == [[]] * 5


def test_more_without_progress_is_an_error(netapi32: StandIn) -> None:
    netapi32.stick()
    with pytest.raises(errors.NoProgress):
        list(netsession.Server().sessions(level=1))


def test_async_iteration(netapi32: StandIn) -> None:
    netapi32.reset(100, 30)

    async def listed() -> list[object]:
        return [record async for record in netsession.Server().sessions(level=2)]

    assert asyncio.run(listed()) == expected(2, range(100))


# --- buffers --------------------------------------------------------------------------------


def test_a_buffer_lives_as_long_as_its_page(netapi32: StandIn) -> None:
    (page,) = netsession.Server().sessions(level=502).pages()
    assert netapi32.outstanding == 1
    record, part = page[99], page[10:20]
    del page
    gc.collect()
    assert record == session(99)
    assert list(part) == expected(502, range(10, 20))
    rest = iter(part)
    assert next(rest) == session(10)
    del part
    gc.collect()
    assert list(rest) == expected(502, range(11, 20))
    del rest
    gc.collect()
    assert netapi32.outstanding == 0
    assert record == session(99)


def test_one_page_at_a_time_is_held_while_iterating(netapi32: StandIn) -> None:
    netapi32.reset(1000, 10)
    held = [netapi32.outstanding for _ in netsession.Server().sessions(level=502)]
    assert len(held) == 1000
    assert max(held) == 1


def test_an_abandoned_iteration_frees_its_page(netapi32: StandIn) -> None:
    netapi32.reset(100, 10)
    query = iter(netsession.Server().sessions(level=1))
    assert len(list(itertools.islice(query, 25))) == 25
    del query
    gc.collect()
    assert netapi32.outstanding == 0


def call(function: str) -> object:
    """Call a function in a way that succeeds unless the stand-in was told otherwise."""
    server = netsession.Server("fs01")
    if function == "NetSessionEnum":
        return list(server.sessions(level=502))
    if function == "NetSessionGetInfo":
        return server.session("10.0.0.0", "alice.0", level=1)
    server.delete_sessions(client="10.0.0.0")
    return None


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("status", STATUSES)
def test_every_status_becomes_its_error(netapi32: StandIn, function: str, status: int) -> None:
    netapi32.fail(function, status)
    if function == "NetSessionEnum" and status in (2221, 2312):
        assert call(function) == []  # a filter that matches nothing
        return
    with pytest.raises(errors.NetApiError) as caught:
        call(function)
    wanted = errors.error_from_status(status, function, caught.value.server)
    assert type(caught.value) is type(wanted)
    assert (caught.value.status, caught.value.function) == (status, function)
    assert (caught.value.server or "").strip("\\") == "fs01"
    assert netapi32.outstanding == 0


@pytest.mark.parametrize("function", FUNCTIONS[:2])
@pytest.mark.parametrize("status", [5, 8, 1722, 59999])
def test_a_buffer_that_comes_with_an_error_is_freed(
    netapi32: StandIn, function: str, status: int
) -> None:
    netapi32.fail_with_buffer(status)
    with pytest.raises(errors.NetApiError):
        call(function)
    gc.collect()
    assert netapi32.calls(function) == 1
    assert (netapi32.outstanding, netapi32.bad_frees) == (0, 0)


@pytest.mark.parametrize("after", [1, 3])
def test_an_error_between_pages(netapi32: StandIn, after: int) -> None:
    netapi32.reset(100, 10)
    netapi32.fail("NetSessionEnum", 1722, after)
    query = iter(netsession.Server().sessions(level=10))
    assert list(itertools.islice(query, 10 * after)) == expected(10, range(10 * after))
    with pytest.raises(errors.ServerUnreachable):
        next(query)
    assert list(query) == []


# --- NetSessionGetInfo ----------------------------------------------------------------------


@pytest.mark.parametrize("level", INFO_LEVELS)
def test_one_session(netapi32: StandIn, level: int) -> None:
    server = netsession.Server()
    for number in (0, 4, 5, 14, 15, 42):
        full = session(number)
        assert full.client_name is not None
        assert full.user_name is not None
        for client in (full.client_name, full.client_name.lstrip("\\")):
            assert server.session(client, full.user_name, level=level) == at_level(level, full)
    assert netapi32.calls("NetSessionEnum") == 0


def test_one_session_at_the_richest_level(netapi32: StandIn) -> None:
    netapi32.refuse(2, 5)
    found = netsession.Server().session("10.0.0.0", "alice.0")
    assert found == at_level(1, session(0))


def test_one_session_at_level_502_comes_through_enum(netapi32: StandIn) -> None:
    assert netsession.Server().session("10.0.0.0", "alice.0", level=502) == session(0)
    assert netapi32.calls("NetSessionGetInfo") == 0


@pytest.mark.parametrize("level", LEVELS)
def test_a_session_that_is_not_there(netapi32: StandIn, level: int) -> None:
    server = netsession.Server()
    for client, user in (("WS-NOWHERE", "alice.0"), ("10.0.0.0", "nobody")):
        with pytest.raises(LookupError) as caught:
            server.session(client, user, level=level)
        assert isinstance(caught.value, errors.SessionNotFound)


def test_one_session_without_a_buffer_is_malformed(netapi32: StandIn) -> None:
    netapi32.stay_silent()
    with pytest.raises(errors.MalformedReply):
        netsession.Server().session("10.0.0.0", "alice.0", level=1)


# --- NetSessionDel --------------------------------------------------------------------------


def remaining() -> list[tuple[object, ...]]:
    return list(netsession.Server().sessions(level=502))


def test_delete_by_client_by_user_and_by_both(netapi32: StandIn) -> None:
    server = netsession.Server()
    everyone = list(sessions(100))
    client, user = everyone[2].client_name, everyone[20].user_name
    both = (everyone[31].client_name, everyone[31].user_name)
    server.delete_sessions(client=client)
    left = [record for record in everyone if record.client_name != client]
    assert remaining() == left
    server.delete_sessions(user=user)
    left = [record for record in left if record.user_name != user]
    assert remaining() == left
    server.delete_sessions(client=both[0], user=both[1])
    left = [record for record in left if (record.client_name, record.user_name) != both]
    assert remaining() == left
    assert netapi32.count == len(left) < 100


def test_delete_what_is_not_there(netapi32: StandIn) -> None:
    for filters in ({"client": "WS-NOWHERE"}, {"user": "nobody"}):
        with pytest.raises(errors.SessionNotFound):
            netsession.Server().delete_sessions(**filters)
    assert netapi32.count == 100


def test_delete_without_a_name_is_never_sent(netapi32: StandIn) -> None:
    with pytest.raises(ValueError, match="client"):
        netsession.Server().delete_sessions()
    for name in ("", "\\\\", "\\\\\\\\", " ", "*", "[]", "\u200b", "\U000e0041", "\u00a5\u00a5"):
        for names in ({"client": name}, {"user": name}, {"client": name, "user": "alice.0"}):
            with pytest.raises(ValueError, match=r"client|user"):
                netsession.Server().delete_sessions(**names)
    assert netapi32.calls("NetSessionDel") == 0
    assert netapi32.count == 100


# --- threads --------------------------------------------------------------------------------


def test_the_gil_is_released_during_a_call(netapi32: StandIn) -> None:
    """Another thread sees the call begun before it has ended."""
    netapi32.delay(3000)
    ended = threading.Event()

    def listing() -> None:
        list(netsession.Server().sessions(level=0))
        ended.set()

    thread = threading.Thread(target=listing)
    thread.start()
    while netapi32.calls("NetSessionEnum") == 0:
        pass
    begun_not_ended = not ended.is_set()
    thread.join()
    assert begun_not_ended


def test_many_threads_list_at_once(netapi32: StandIn) -> None:
    netapi32.reset(500, 50)
    results: list[list[object]] = []

    def listing() -> None:
        results.extend(list(netsession.Server().sessions(level=502)) for _ in range(5))

    threads = [threading.Thread(target=listing) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected(502, range(500))] * 40


# --- what happens on a server meanwhile -----------------------------------------------------


def test_sessions_that_come_and_end(netapi32: StandIn) -> None:
    """As a watch sees them: the same connection to the same server, another list each time."""
    server = netsession.Server("fs01")
    netapi32.reset(2)
    netapi32.add([records.SessionInfo502("\\\\ws1", "alice", 1, 2, 3, 0, "", "")])
    netapi32.advance(10_000)
    assert list(server.sessions(level=10))[2] == ("\\\\ws1", "alice", 12, 13)
    assert netapi32.end("ws1", "ALICE") == 1
    assert netapi32.end("ws1", "ALICE") == 0
    netapi32.add([records.SessionInfo502("\\\\ws1", "alice", 0, 0, 0, 0, "", "")])
    netapi32.advance(1500)
    assert list(server.sessions(level=10))[2] == ("\\\\ws1", "alice", 1, 1)
    server.delete_sessions(client="ws1")
    assert netapi32.count == len(list(server.sessions())) == 2


def test_a_host_that_does_not_answer(netapi32: StandIn) -> None:
    """The call stays in netapi32.dll, whatever close() does, until that gives it back."""
    raised: list[Exception] = []
    server = netsession.Server("fs01")

    def ask() -> None:
        try:
            list(server.sessions())
        except netsession.NetApiError as error:
            raised.append(error)

    netapi32.hang()
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    while not netapi32.calls("NetSessionEnum"):
        time.sleep(0.001)
    server.close()
    assert raised == []
    netapi32.release()
    thread.join(60)
    (error,) = raised
    assert isinstance(error, netsession.ServerUnreachable)
    assert error.status == 53
