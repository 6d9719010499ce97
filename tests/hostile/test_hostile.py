"""Each misbehaviour once, some also when sessions are ended; through every entry a few.

All of it, everywhere and at every byte, is ``make hostile``.
"""

from __future__ import annotations

import asyncio
import random
import re
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("smbprotocol")
if sys.platform == "win32":
    pytest.skip("resets on loopback, where sockets are POSIX's", allow_module_level=True)

from attempts import PATIENCE, Lab, attempt, lab, listed, server_of, watched
from cli_process import only_line, run_here
from cuts import attempt_cut, recorded
from liar import DELETE, ENUM, ROWS, Liar
from misbehaviours import CALL, GROUPS, WAITS, Misbehaviour
from netsession import CallTimeout, NetApiError, Server, scan
from smb_server import HOST, PASSWORD, USER
from test_time_limits import page

ROWS_OF = [(group, row) for group, rows in GROUPS.items() for row in rows]


@pytest.fixture(scope="module")
def both() -> Iterator[Lab]:
    """A server that lies, and a good one."""
    with lab() as made:
        yield made


def test_there_are_enough() -> None:
    names = [(group, row.name) for group, row in ROWS_OF]
    assert len(set(names)) == len(names) > 100
    assert sum(len(row.places) for _, row in ROWS_OF) > 1_000


@pytest.mark.parametrize(
    ("index", "row"),
    [pytest.param(n, row, id=f"{group}: {row.name}") for n, (group, row) in enumerate(ROWS_OF)],
)
def test_misbehaviour(both: Lab, index: int, row: Misbehaviour) -> None:
    """At one of its places; the others come with other rows."""
    place = row.places[index % len(row.places)]
    if row.list:
        attempt(both, row, place, delete=False, memory=row.end(place)[0] == WAITS)
    if row.delete and place != "read" and (index % 8 == 0 or not row.list):
        attempt(both, row, place, delete=True)


@pytest.mark.parametrize("delete", [False, True])
def test_an_end_at_some_bytes(both: Lab, delete: bool) -> None:
    """At both ends of each message, and at two places in it."""
    dice = random.Random(10)
    end = 0
    for size in recorded(both, delete=delete):
        begin, end = end, end + size
        for count in (begin, begin + 1, *dice.sample(range(begin + 2, end), 2), end):
            attempt_cut(both, count, delete=delete, reset=bool(dice.randrange(2)))


# -- the other entries ----------------------------------------------------------------------------


def show(server: Server) -> Any:
    return server.session("WS17", "alice", level=1)


def watch(server: Server) -> Any:
    with server.watch(every=60, level=1, existing=True) as events:
        event = next(events)
    return getattr(event, "error", event)


def scanned(server: Server) -> Any:
    (report,) = scan([server], level=1)
    return report.error or report


async def _listed(server: Server) -> list[Any]:
    return [session async for session in server.sessions(level=1)]


def asynchronously(server: Server) -> Any:
    return asyncio.run(_listed(server))


ENTRIES: dict[str, Callable[[Server], Any]] = {
    "show": show,
    "watch": watch,
    "scan": scanned,
    "async": asynchronously,
}
COMMANDS = {
    "list": ("list", HOST, "--level", "1"),
    "show": ("show", HOST, "WS17", "alice"),
    "delete": ("delete", HOST, "--user", "alice", "--yes"),
}
SOME = [
    ("connection", "closes it", "logon"),
    ("connection", "a length of 16 MiB", "call"),
    ("headers", "no credits at all", "negotiate"),
    ("statuses", "STATUS_NETWORK_SESSION_EXPIRED", "call"),
    ("signatures", "none", "share"),
    ("encryption", "signed instead", "pipe"),
    ("PDUs", "bind_nak, reason 2", "bind"),
    ("PDUs", "fault 0x1C010001", "call"),
    ("fragments", "empty ones for ever", "call"),
    ("stubs", "a byte too few", "call"),
]


def the(group: str, name: str) -> Misbehaviour:
    (row,) = (row for row in GROUPS[group] if row.name == name)
    return row


def tell(liar: Liar, row: Misbehaviour, place: str, opnum: int | None) -> None:
    lie = row.tell(place)
    liar.lie = type(lie)(**{**vars(lie), "opnum": opnum})


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(("group", "name", "place"), SOME)
def test_through(both: Lab, entry: str, group: str, name: str, place: str) -> None:
    row, ask = the(group, name), ENTRIES[entry]
    both.liar.script.rows = list(ROWS)
    with server_of(both.liar, PATIENCE) as server:
        tell(both.liar, row, place, ENUM)

        def bad() -> Any:
            try:
                return ask(server)
            except NetApiError as error:
                return error

        outcome = watched(bad)
        both.liar.lie = None
        assert isinstance(outcome, NetApiError), outcome
        assert outcome.step == row.step(place)
        assert re.search(row.end(place)[1], str(outcome), re.IGNORECASE), outcome
        assert not isinstance(watched(lambda: ask(server)), Exception)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("group", "name", "place"), SOME)
def test_the_command(
    both: Lab, monkeypatch: pytest.MonkeyPatch, command: str, group: str, name: str, place: str
) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("NETSESSION_PASSWORD", PASSWORD)
    liar, row = both.liar, the(group, name)
    liar.script.rows = list(ROWS)
    tell(liar, row, place, DELETE if command == "delete" else ENUM)
    arguments = (*COMMANDS[command], "--port", str(liar.port), "--auth-user", USER)
    try:
        result = run_here(*arguments)
    finally:
        liar.lie = None
    assert result.code not in (0, 70), result
    assert re.search(row.end(place)[1], result.err, re.IGNORECASE), result
    assert "Traceback" not in result.err
    if command == "delete":
        doubt = "may have been ended" in result.err
        assert doubt == (place in CALL), result
    else:
        assert only_line(result)
    liar.script.rows = list(ROWS)
    assert run_here(*arguments).code == 0


# -- more pages for ever --------------------------------------------------------------------------


def test_pages_without_end_end_with_the_listing_s_own_limit(both: Lab) -> None:
    """Each with an entry and another handle: only the limit of the whole can end it."""
    handles = iter(range(1, 1 << 30))
    both.liar.script.rows = list(ROWS)

    def answer(opnum: int, stub: bytes) -> bytes:
        reply = both.liar.script.answer(opnum, stub)
        return reply[:-12] + struct.pack("<IIII", 9, 0x20000, next(handles), 234)

    honest = both.liar.answer
    both.liar.answer = answer
    try:
        with server_of(both.liar, PATIENCE) as server:
            pages = server.sessions(level=1, timeout=1).pages()
            with pytest.raises(CallTimeout) as caught:
                for _ in pages:  # let go at once
                    pass
    finally:
        both.liar.answer = honest
    assert caught.value.step in (None, "call")


def test_empty_pages_without_end(both: Lab) -> None:
    handles = iter(range(1, 1 << 30))
    honest = both.liar.answer
    both.liar.script.rows = list(ROWS)
    both.liar.answer = lambda opnum, stub: page(234, next(handles))
    try:
        with server_of(both.liar, PATIENCE) as server, pytest.raises(NetApiError) as caught:
            list(server.sessions(level=10))
    finally:
        both.liar.answer = honest
    assert "without an entry" in str(caught.value)
    assert caught.value.step == "call"
    with server_of(both.liar, PATIENCE) as server:
        assert listed(server) == ROWS
