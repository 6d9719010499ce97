"""netsession.Server against a real smbd with our endpoint behind its pipe: all five levels."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import netsession
from ask import CLASSES, records_of, server_of
from endpoint import Call, Endpoint, Reply, Script, refusal
from ndr_reference import (
    FIELDS,
    DeleteRequest,
    EnumRequest,
    Row,
    Value,
    encode_enum_response,
)
from netsession import Server
from rows import make_rows
from smbd import Smbd


@pytest.fixture
def server(endpoint_smbd: Smbd) -> Iterator[Server]:
    with server_of(endpoint_smbd) as server:
        yield server


def all_levels(count: int) -> dict[int, list[Row]]:
    return {level: make_rows(level, count) for level in FIELDS}


def levels_asked(endpoint: Endpoint) -> list[int]:
    return [request.level for request in endpoint.enums]


# -- every field, however it travels -------------------------------------------------------------


@pytest.mark.parametrize("message_mode", [True, False], ids=["message", "byte"])
@pytest.mark.parametrize("fragment", [26, 32, 101, 1432, 2048, 4280, 5840, 65_535])
def test_every_field_of_every_level(
    endpoint: Endpoint, server: Server, fragment: int, message_mode: bool
) -> None:
    rows = all_levels(50)
    endpoint.script = Script(
        rows=rows, fragment=fragment, grant=max(fragment, 2048), message_mode=message_mode
    )
    for level in FIELDS:
        sessions = server.sessions(level=level)
        records = list(sessions)
        assert records == records_of(level, rows[level])
        assert {type(record) for record in records} == {CLASSES[level]}
        assert sessions.level == level
    expected = [
        EnumRequest("\\\\127.0.0.1", None, None, level, True, 0xFFFFFFFF, 0) for level in FIELDS
    ]
    assert endpoint.enums == expected
    assert endpoint.pipes == 1


@pytest.mark.parametrize("level", FIELDS)
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_sessions(endpoint: Endpoint, server: Server, level: int, count: int) -> None:
    # From the thirteenth on they are ordinary; those before are tested above.
    rows = make_rows(level, 13 + count)[13:]
    endpoint.script = Script(rows={level: rows})
    assert list(server.sessions(level=level)) == records_of(level, rows)


def test_a_hundred_thousand_sessions(endpoint: Endpoint, server: Server) -> None:
    rows = make_rows(502, 100_000)
    endpoint.script = Script(rows={502: rows})
    records = list(server.sessions(level=502))
    assert len(records) == 100_000
    assert records == records_of(502, rows)
    # The same in pages of 1 MiB.
    paged = server.sessions(level=502, page_bytes=1 << 20)
    assert list(paged) == records
    assert len(endpoint.calls) > 10
    assert endpoint.pipes == 1


def test_asynchronously(endpoint: Endpoint, server: Server) -> None:
    rows = make_rows(2, 30)
    endpoint.script = Script(rows={2: rows}, page_entries=7)

    async def ask() -> list[Any]:
        return [record async for record in server.sessions(level=2)]

    assert asyncio.run(ask()) == records_of(2, rows)
    assert len(endpoint.calls) == 5


def test_each_iteration_asks_afresh(endpoint: Endpoint, server: Server) -> None:
    endpoint.script = Script(rows={1: make_rows(1, 20)})
    sessions = server.sessions(level=1)
    assert len(list(sessions)) == 20
    endpoint.script = Script(rows={1: make_rows(1, 30)})
    assert len(list(sessions)) == 30


# -- levels that are refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("granted", "denied", "expected", "asked"),
    [
        ({0, 1, 2, 10, 502}, set(), 502, [502]),
        ({0, 1, 2, 10}, set(), 2, [502, 2]),
        ({0, 1}, set(), 1, [502, 2, 1]),
        ({0, 10}, {1, 2, 502}, 10, [502, 2, 1, 10]),
        ({0}, {502}, 0, [502, 2, 1, 10, 0]),
    ],
)
def test_the_richest_level_granted(
    endpoint: Endpoint,
    server: Server,
    granted: set[int],
    denied: set[int],
    expected: int,
    asked: list[int],
) -> None:
    rows = {level: make_rows(level, 20) for level in granted}
    endpoint.script = Script(rows=rows, denied=frozenset(denied))
    sessions = server.sessions()
    assert list(sessions) == records_of(expected, rows[expected])
    assert sessions.level == expected
    assert levels_asked(endpoint) == asked
    # What worked is remembered.
    again = server.sessions()
    assert again.level == expected
    assert len(list(again)) == 20
    assert levels_asked(endpoint) == [*asked, expected]


def test_all_levels_refused(endpoint: Endpoint, server: Server) -> None:
    endpoint.script = Script()
    with pytest.raises(netsession.InvalidLevel) as unknown:
        list(server.sessions())
    assert unknown.value.status == 124
    # That access was denied says more than that a level is unknown.
    endpoint.script = Script(denied=frozenset({10}))
    with pytest.raises(netsession.AccessDenied, match="Administrators") as denied:
        list(server.sessions())
    assert denied.value.status == 5
    assert levels_asked(endpoint) == [502, 2, 1, 10, 0]


@pytest.mark.parametrize("level", FIELDS)
def test_a_level_asked_for_is_not_replaced(endpoint: Endpoint, server: Server, level: int) -> None:
    endpoint.script = Script(rows={other: [] for other in FIELDS if other != level})
    with pytest.raises(netsession.InvalidLevel):
        list(server.sessions(level=level))
    endpoint.script = Script(denied=frozenset({level}))
    with pytest.raises(netsession.AccessDenied):
        list(server.sessions(level=level))
    assert levels_asked(endpoint) == [level]


# -- paging ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", FIELDS)
@pytest.mark.parametrize("page_entries", [1, 7, 49, 50, 51])
def test_pages(endpoint: Endpoint, server: Server, level: int, page_entries: int) -> None:
    rows = make_rows(level, 50)
    endpoint.script = Script(rows={level: rows}, page_entries=page_entries)
    pages = list(server.sessions(level=level).pages())
    sizes = [len(page) for page in pages]
    assert sizes == [min(page_entries, 50 - at) for at in range(0, 50, page_entries)]
    assert [page.more for page in pages] == [True] * (len(pages) - 1) + [False]
    assert [record for page in pages for record in page] == records_of(level, rows)
    # Handles come back as they were given; each was that of the page before.
    handles = [request.resume_handle for request in endpoint.enums]
    assert handles == [0, *(page.resume_handle for page in pages[:-1])]


def test_page_bytes_becomes_the_preferred_length(endpoint: Endpoint, server: Server) -> None:
    rows = make_rows(502, 200)
    endpoint.script = Script(rows={502: rows})
    sessions = server.sessions(level=502, page_bytes=4096)
    assert list(sessions) == records_of(502, rows)
    lengths = {request.preferred_length for request in endpoint.enums}
    assert lengths == {4096}
    assert len(endpoint.calls) > 3


def test_a_page_too_small_for_one_entry_grows(endpoint: Endpoint, server: Server) -> None:
    """NERR_BufTooSmall: the same question again, with more room."""
    rows = make_rows(502, 40)
    endpoint.script = Script(rows={502: rows})
    assert list(server.sessions(level=502, page_bytes=1)) == records_of(502, rows)
    assert endpoint.enums[0].preferred_length == 1
    assert endpoint.enums[1].preferred_length > 1


def test_pages_without_rows_are_no_end(endpoint: Endpoint, server: Server) -> None:
    """Servers resume first and filter then: a page may be empty and not the last."""
    rows = make_rows(1, 30)

    def respond(call: Call) -> Reply:
        assert call.enum is not None
        at = call.enum.resume_handle or 0
        part = rows[at - 20 : at - 10] if at >= 20 else []
        status, handle = (0, 0) if at == 60 else (234, at + 10)
        stub = encode_enum_response(
            1, part or None, total_entries=99, resume_handle=handle, status=status
        )
        return Reply(stub)

    endpoint.script = Script(respond=respond)
    assert list(server.sessions(level=1)) == records_of(1, rows)
    assert len(endpoint.calls) == 7


@pytest.mark.parametrize("handle_after_the_end", [0, 30, 0xFFFFFFFF])
def test_the_status_ends_the_list(
    endpoint: Endpoint, server: Server, handle_after_the_end: int
) -> None:
    """Not the handle, which Samba leaves at the total, and not TotalEntries."""
    rows = make_rows(1, 30)
    stub = encode_enum_response(
        1, rows, total_entries=1000, resume_handle=handle_after_the_end, status=0
    )
    endpoint.script = Script(respond=lambda call: Reply(stub))
    assert list(server.sessions(level=1)) == records_of(1, rows)
    assert len(endpoint.calls) == 1


@pytest.mark.parametrize("handles", [[0], [7], [None], [5, 6], [1, 2, 3, 4, 5]])
@pytest.mark.parametrize("count", [0, 3])
def test_more_for_ever(
    endpoint: Endpoint, server: Server, handles: list[int | None], count: int
) -> None:
    """A server that always says "more", with a handle that stands still or goes round."""
    rows = make_rows(1, count)

    def respond(call: Call) -> Reply:
        stub = encode_enum_response(
            1,
            rows or None,
            total_entries=count,
            resume_handle=handles[call.number % len(handles)],
            status=234,
        )
        return Reply(stub)

    endpoint.script = Script(respond=respond)
    # The slice is a hang guard: a list that goes on for a thousand pages fails the test.
    pages = itertools.islice(server.sessions(level=1).pages(), 1000)
    with pytest.raises(netsession.NoProgress) as caught:
        list(pages)
    assert caught.value.status == 234
    assert len(endpoint.calls) <= 4 * len(handles) + 1


# -- filters --------------------------------------------------------------------------------------


@pytest.mark.parametrize("filters", [True, False], ids=["applied", "ignored"])
@pytest.mark.parametrize("level", [1, 2, 10, 502])
def test_filters(endpoint: Endpoint, server: Server, level: int, filters: bool) -> None:
    rows = make_rows(level, 60)
    wanted = rows[40]
    endpoint.script = Script(rows={level: rows}, filters=filters)
    client, user = str(wanted["client_name"]), str(wanted["user_name"])
    for asked_client in (client, client.lstrip("\\")):
        sessions = server.sessions(level=level, client=asked_client, user=user.upper())
        assert list(sessions) == records_of(level, [wanted])
    assert list(server.sessions(level=level, user=user)) == records_of(level, [wanted])
    assert list(server.sessions(level=level, client="10.9.9.9")) == []
    assert list(server.sessions(level=level, user="nobody there")) == []
    first, second, third, fourth, fifth = endpoint.enums
    # An IPv4 address has one spelling everywhere; how the server spells a user only its list tells.
    assert first == second
    assert (first.client, first.user) == (client, None)
    assert (third.client, third.user) == (None, None)
    assert (fourth.client, fifth.user) == ("\\\\10.9.9.9", None)


@pytest.mark.parametrize("spelling", ["2001:db8::5", "[2001:DB8::5]", "\\\\[2001:db8::5]"])
@pytest.mark.parametrize("served", ["\\\\[2001:db8::5]", "2001:db8::5"])
@pytest.mark.parametrize("filters", [True, False], ids=["applied", "ignored"])
def test_ipv6_clients(
    endpoint: Endpoint, server: Server, spelling: str, served: str, filters: bool
) -> None:
    rows: list[Row] = [{"client_name": served}, {"client_name": "\\\\[2001:db8::6]"}]
    endpoint.script = Script(rows={0: rows}, filters=filters)
    (record,) = server.sessions(level=0, client=spelling)
    assert record.client_name == served
    assert record.client == "2001:db8::5"


# -- refusals in the reply ------------------------------------------------------------------------

STATUSES: list[tuple[int, type[netsession.NetApiError]]] = [
    (5, netsession.AccessDenied),
    (8, netsession.NetApiError),
    (50, netsession.NotSupported),
    (87, netsession.InvalidParameter),
    (120, netsession.NotSupported),
    (124, netsession.InvalidLevel),
    (2114, netsession.ServerUnreachable),
    (2351, netsession.InvalidParameter),
    (0xFFFFFFFF, netsession.NetApiError),
]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
@pytest.mark.parametrize("zeroed", [False, True], ids=["echoed", "zeroed"])
def test_statuses(
    endpoint: Endpoint,
    server: Server,
    status: int,
    kind: type[netsession.NetApiError],
    zeroed: bool,
) -> None:
    """Samba echoes the container in such replies, illumos zeroes all before the status."""

    def respond(call: Call) -> Reply:
        assert call.enum is not None
        echoed = refusal(call.enum, status)
        return Reply(bytes(20) + status.to_bytes(4, "little") if zeroed else echoed)

    endpoint.script = Script(respond=respond)
    with pytest.raises(kind) as caught:
        list(server.sessions(level=1))
    error = caught.value
    assert (error.status, error.function) == (status, "NetSessionEnum")
    assert error.server == "127.0.0.1"
    assert str(status) in str(error)
    assert len(endpoint.calls) == 1


def test_a_refusal_on_a_later_page(endpoint: Endpoint, server: Server) -> None:
    """What was listed before stays with the caller; then the error, and no other level."""
    rows = make_rows(502, 10)

    def respond(call: Call) -> Reply:
        assert call.enum is not None
        if call.number:
            return Reply(refusal(call.enum, 5))
        stub = encode_enum_response(502, rows, total_entries=20, resume_handle=10, status=234)
        return Reply(stub)

    endpoint.script = Script(respond=respond)
    records: list[Any] = []
    with pytest.raises(netsession.AccessDenied):
        records.extend(server.sessions())
    assert records == records_of(502, rows)
    assert levels_asked(endpoint) == [502, 502]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (0x00000005, netsession.AccessDenied),
        (0x1C010002, netsession.NotSupported),
        (0x000006F7, netsession.NetApiError),
    ],
)
def test_faults(
    endpoint: Endpoint, server: Server, fault: int, kind: type[netsession.NetApiError]
) -> None:
    endpoint.script = Script(respond=lambda call: Reply(fault=fault))
    with pytest.raises(kind):
        list(server.sessions(level=1))
    endpoint.script = Script(rows=all_levels(3))
    assert len(list(server.sessions(level=1))) == 3
    assert endpoint.pipes == 0  # the pipe of before goes on


# -- malformed stubs ------------------------------------------------------------------------------


def _good(level: int = 502, count: int = 4) -> bytes:
    rows = make_rows(level, 13 + count)[13:]
    return encode_enum_response(level, rows, total_entries=count, resume_handle=0, status=0)


def _patched(at: int, value: int, level: int = 502) -> bytes:
    stub = _good(level)
    return stub[:at] + value.to_bytes(4, "little") + stub[at + 4 :]


# Level 0, discriminant 4, container 8, EntriesRead 12, Buffer 16, max_count 20, elements from 24.
_FIRST_STRING = 24 + 4 * 32
MALFORMED = {
    "empty": b"",
    "three bytes": b"abc",
    "only a status": bytes(4),
    "level and discriminant differ": _patched(4, 1),
    "another level than asked for": _good(level=2),
    "unknown level": _patched(0, 7)[:4] + _patched(0, 7)[:4] + _good()[8:],
    "fewer entries than elements": _patched(12, 3),
    "more entries than elements": _patched(12, 5),
    "more elements than entries": _patched(20, 5),
    "two thousand million entries": _patched(12, 1 << 31)[:20]
    + (1 << 31).to_bytes(4, "little")
    + _good()[24:100],
    "entries without an array": _patched(16, 0)[:20] + bytes(12),
    "string with an offset": _patched(_FIRST_STRING + 4, 1),
    "string of no units": _patched(_FIRST_STRING + 8, 0),
    "string longer than its maximum": _patched(_FIRST_STRING + 8, 0x7FFFFFFF),
    "string without its terminator": _patched(_FIRST_STRING + 8, 3),
    "a NULL that is none": _patched(24, 0),
    "a string too many": _good()[:-16] + _good()[-80:],
}


@pytest.mark.parametrize("stub", MALFORMED.values(), ids=MALFORMED)
def test_malformed_stubs(endpoint: Endpoint, server: Server, stub: bytes) -> None:
    endpoint.script = Script(respond=lambda call: Reply(stub))
    with pytest.raises(netsession.MalformedReply) as caught:
        list(server.sessions(level=502))
    error = caught.value
    assert error.offset is not None
    assert 0 <= error.offset <= len(stub)
    assert str(error.offset) in str(error)
    # The connection and the server are none the worse for it.
    endpoint.script = Script(rows=all_levels(2))
    assert len(list(server.sessions())) == 2


def test_stubs_cut_anywhere(endpoint: Endpoint, server: Server) -> None:
    whole = _good(count=2)
    # The last four bytes are always taken for the status, so a shorter stub must be noticed by
    # what is missing before them.
    endpoint.script = Script(respond=lambda call: Reply(whole[: call.number]))
    for size in range(len(whole)):
        with pytest.raises(netsession.MalformedReply):
            list(server.sessions(level=502))
        assert len(endpoint.calls) == size + 1
    assert len(list(server.sessions(level=502))) == 2


# -- a server that goes away ----------------------------------------------------------------------


def between_pages(
    endpoint: Endpoint, server: Server, act: Callable[[], None]
) -> tuple[list[Any], list[Any]]:
    """Ten records, then the act, then the rest; and what there was to list."""
    rows = make_rows(502, 35)
    endpoint.script = Script(rows={502: rows}, page_entries=10)
    records: list[Any] = []
    for number, page in enumerate(server.sessions(level=502).pages()):
        records += page
        if number == 0:
            act()
    return records, records_of(502, rows)


def test_a_connection_lost_between_pages(
    endpoint: Endpoint, endpoint_smbd: Smbd, server: Server
) -> None:
    for act in (endpoint_smbd.kill_connections, endpoint.close_pipes):
        records, expected = between_pages(endpoint, server, act)
        assert records == expected
        assert levels_asked(endpoint) == [502] * 4 or levels_asked(endpoint) == [502] * 5


def test_a_server_lost_between_pages() -> None:
    with (
        Smbd(helpers=False) as smbd,
        Endpoint(smbd.endpoint_path) as endpoint,
        server_of(smbd) as server,
    ):
        with pytest.raises(netsession.ServerUnreachable) as caught:
            between_pages(endpoint, server, smbd.kill)
        assert caught.value.server == "127.0.0.1"
        smbd.start()
        records, expected = between_pages(endpoint, server, lambda: None)
        assert records == expected


@pytest.mark.parametrize("after", [0, 5, 24, 200, 4280, 4290])
def test_a_pipe_lost_mid_reply(endpoint: Endpoint, server: Server, after: int) -> None:
    rows = make_rows(502, 200)
    served = Script(rows={502: rows})
    endpoint.script = served

    def respond(call: Call) -> Reply:
        assert call.enum is not None
        stub = encode_enum_response(502, rows, total_entries=200, resume_handle=0, status=0)
        return Reply(stub, interrupt=(after, lambda: False))

    assert len(list(server.sessions(level=502))) == 200
    server.close()
    endpoint.script = Script(respond=respond)
    with pytest.raises(netsession.ConnectionLost):
        list(server.sessions(level=502))
    endpoint.script = served
    assert list(server.sessions(level=502)) == records_of(502, rows)


# -- one session, and ending sessions -------------------------------------------------------------


def test_one_session(endpoint: Endpoint, server: Server) -> None:
    rows = all_levels(40)
    endpoint.script = Script(rows=rows)
    wanted = rows[2][30]
    client, user = str(wanted["client_name"]), str(wanted["user_name"])
    assert server.session(client.lstrip("\\"), user) == records_of(2, [wanted])[0]
    with pytest.raises(netsession.SessionNotFound) as caught:
        server.session("WS99", user)
    assert caught.value.function == "NetSessionGetInfo"


def test_deleting(endpoint: Endpoint, server: Server) -> None:
    endpoint.script = Script()
    server.delete_sessions(client="WS17", user="alice")
    server.delete_sessions(client="\\\\WS17")
    server.delete_sessions(user="alice")
    name = "\\\\127.0.0.1"
    assert endpoint.deletes == [
        DeleteRequest(name, "\\\\WS17", "alice"),
        DeleteRequest(name, "\\\\WS17", None),
        DeleteRequest(name, None, "alice"),
    ]


@pytest.mark.parametrize("names", [{}, {"client": None, "user": None}, {"client": "", "user": ""}])
def test_never_deletes_all(endpoint: Endpoint, server: Server, names: dict[str, Value]) -> None:
    with pytest.raises(ValueError, match=r"client|user"):
        server.delete_sessions(**names)  # type: ignore[arg-type]
    assert not endpoint.calls


def test_deleting_a_bracketed_client_twice_at_most(endpoint: Endpoint, server: Server) -> None:
    """Listing is refused, so that what was typed is sent, then the other spelling."""
    endpoint.script = Script(delete_status=2312)
    with pytest.raises(netsession.SessionNotFound):
        server.delete_sessions(client="[2001:db8::5]")
    spellings = [request.client for request in endpoint.deletes]
    assert spellings == ["\\\\[2001:db8::5]", "\\\\2001:db8::5"]


@pytest.mark.parametrize("after", [0, 20])
def test_a_connection_lost_while_deleting(endpoint: Endpoint, server: Server, after: int) -> None:
    def respond(call: Call) -> Reply | None:
        if call.enum is not None:
            return None
        return Reply(bytes(4), interrupt=(after, lambda: False))

    rows = make_rows(1, 1)
    rows[0]["user_name"] = "alice"
    endpoint.script = Script(rows={1: rows}, respond=respond)
    with pytest.raises(netsession.ConnectionLost) as caught:
        server.delete_sessions(user="alice")
    assert caught.value.maybe_done
    assert len(endpoint.deletes) == 1
