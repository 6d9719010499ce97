"""The one paging loop, against backends that behave and that do not."""

from __future__ import annotations

import collections
import ctypes
import itertools
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from interrupting import Interrupted, raising
from netapi_table import Table
from netsession import AccessDenied, MalformedReply, NetApiError, NoProgress, _netsession
from netsession._simulator import Simulator

_ALL = 0xFFFFFFFF
_MORE = 234

Call = Callable[[int, bytes], bytes]


def _reply(
    names: list[str], *, status: int, handle: int | None, level: int = 0, total: int = 0
) -> bytes:
    """A reply stub of level 0, spelled out by hand."""
    stub = struct.pack("<IIIII", level, level, 1, len(names), 1 if names else 0)
    if names:
        stub += struct.pack("<I", len(names)) + struct.pack(f"<{len(names)}I", *([1] * len(names)))
    for name in names:
        units = (name + "\0").encode("utf-16-le")
        stub += struct.pack("<III", len(name) + 1, 0, len(name) + 1) + units
        stub += bytes(-len(stub) % 4)
    stub += struct.pack("<I", total)
    stub += struct.pack("<I", 0) if handle is None else struct.pack("<II", 1, handle)
    return stub + struct.pack("<I", status)


def _handle(request: bytes) -> int:
    return int.from_bytes(request[-4:], "little")


def _cursor(call: Call, level: int = 0, length: int = _ALL) -> Any:
    return _netsession.SessionCursor(call, "srv", None, None, level, length)


def test_the_request_that_is_sent() -> None:
    requests: list[tuple[int, bytes]] = []

    def call(opnum: int, stub: bytes) -> bytes:
        requests.append((opnum, stub))
        return _reply([], status=0, handle=0)

    list(_netsession.SessionCursor(call, "\\\\srv", "\\\\c", "u", 0, 77))
    encode = _netsession.encode_enum_request
    assert requests == [(12, encode("\\\\srv", "\\\\c", "u", 0, 77, 0))]


def test_it_stops_on_status_not_on_handle_or_total() -> None:
    """Samba leaves the handle at the total after a complete success."""
    handles: list[int] = []

    def call(opnum: int, stub: bytes) -> bytes:
        handles.append(_handle(stub))
        return _reply(["a"], status=0, handle=1, total=99)

    assert [len(page) for page in _cursor(call)] == [1]
    assert handles == [0]


def test_the_resume_handle_is_passed_back_as_it_came() -> None:
    handles: list[int] = []
    answers = [0xFFFFFFFF, 5, 0x80000000]

    def call(opnum: int, stub: bytes) -> bytes:
        handles.append(_handle(stub))
        at = len(handles) - 1
        if at == len(answers):
            return _reply(["z"], status=0, handle=None)
        return _reply(["a"], status=_MORE, handle=answers[at])

    assert sum(len(page) for page in _cursor(call)) == 4
    assert handles == [0, *answers]


def test_empty_pages_may_say_more() -> None:
    """Servers resume first and filter then, so a page may be empty."""

    def call(opnum: int, stub: bytes) -> bytes:
        handle = _handle(stub)
        if handle == 50:
            return _reply(["found"], status=0, handle=51)
        return _reply([], status=_MORE, handle=handle + 1)

    pages = list(_cursor(call))
    assert [len(page) for page in pages] == [0] * 50 + [1]


@pytest.mark.parametrize("handle", [None, 0])
def test_more_without_moving_on_is_an_error(handle: int | None) -> None:
    calls: list[int] = []

    def call(opnum: int, stub: bytes) -> bytes:
        calls.append(opnum)
        return _reply([], status=_MORE, handle=handle)

    with pytest.raises(NoProgress, match="does not move on"):
        list(_cursor(call))
    assert len(calls) == 1


def test_rows_that_would_repeat_are_followed_by_an_error() -> None:
    """The first rows are real; asking again would bring the same ones for ever."""

    def call(opnum: int, stub: bytes) -> bytes:
        return _reply(["a"], status=_MORE, handle=7)

    cursor = _cursor(call)
    assert len(next(cursor)) == 1
    assert len(next(cursor)) == 1
    with pytest.raises(NoProgress):
        next(cursor)


@pytest.mark.parametrize("moves", range(9))
def test_a_handle_that_stays_is_noticed_at_once(moves: int) -> None:
    calls: list[int] = []

    def call(opnum: int, stub: bytes) -> bytes:
        calls.append(opnum)
        return _reply([], status=_MORE, handle=min(_handle(stub) + 1, moves))

    with pytest.raises(NoProgress, match="does not move on"):
        list(_cursor(call))
    assert len(calls) == moves + 1


@pytest.mark.parametrize("period", [2, 3, 10, 100])
@pytest.mark.parametrize("rows", [[], ["a"]])
def test_handles_that_go_round_are_noticed(period: int, rows: list[str]) -> None:
    calls: list[int] = []

    def call(opnum: int, stub: bytes) -> bytes:
        calls.append(opnum)
        assert len(calls) < 4 * period + 4, "asked for the same pages again and again"
        return _reply(rows, status=_MORE, handle=_handle(stub) % period + 1)

    with pytest.raises(NoProgress, match="does not move on"):
        list(_cursor(call))


def test_a_stuck_netapi(simulate: Callable[..., tuple[Any, Simulator]]) -> None:
    _, simulator = simulate(5)
    simulator.stick(True)
    cursor = _netsession.SessionCursor(simulator.netapi, "srv", None, None, 1, _ALL)
    with pytest.raises(NoProgress) as caught:
        list(cursor)
    assert (caught.value.server, caught.value.function) == ("srv", "NetSessionEnum")


def test_an_endless_netapi_ends() -> None:
    """Hundreds of empty pages in a row, each with a moved handle."""
    simulator = Simulator(5)
    simulator.stick(True, moving=True)
    cursor = _netsession.SessionCursor(simulator.netapi, None, None, None, 0, _ALL)
    with pytest.raises(NoProgress, match="more than 500 replies in a row without an entry"):
        for page in cursor:
            assert len(page) == 0
    assert simulator.calls("NetSessionEnum") == 501
    assert list(cursor) == []


def test_an_endless_server_is_asked_so_often_and_no_more() -> None:
    calls: list[int] = []

    def call(opnum: int, stub: bytes) -> bytes:
        calls.append(opnum)
        assert len(calls) < 1000, "asked for ever"
        return _reply([], status=_MORE, handle=_handle(stub) + 1)

    with pytest.raises(NoProgress, match="more than 500 replies in a row"):
        list(_cursor(call))
    assert len(calls) == 501


def test_empty_pages_count_only_in_a_row() -> None:
    """A filter may leave most pages empty, on a server with many sessions."""

    def call(opnum: int, stub: bytes) -> bytes:
        handle = _handle(stub) + 1
        rows = ["found"] if handle % 501 == 0 else []
        return _reply(rows, status=0 if handle == 2004 else _MORE, handle=handle)

    pages = list(_cursor(call))
    assert len(pages) == 2004
    assert sum(map(len, pages)) == 4


def test_preferred_length_grows_after_buf_too_small() -> None:
    lengths: list[int] = []

    def call(opnum: int, stub: bytes) -> bytes:
        lengths.append(int.from_bytes(stub[-12:-8], "little"))
        if lengths[-1] < 20000:
            return _reply([], status=2123, handle=0)
        return _reply(["a"], status=0, handle=1)

    assert [len(page) for page in _cursor(call, length=100)] == [1]
    assert lengths == [100, 4096, 8192, 16384, 32768]


def test_buf_too_small_for_everything_is_an_error() -> None:
    calls: list[int] = []

    def call(opnum: int, stub: bytes) -> bytes:
        calls.append(opnum)
        assert len(calls) <= 2, "asked again for what is all already"
        return _reply([], status=2123, handle=0)

    with pytest.raises(OSError, match="NERR_BufTooSmall"):
        list(_cursor(call, length=0x90000000))


@pytest.mark.parametrize("length", [0, 1, 5000, 0x80000000, 0xFFFFFFFE])
def test_growing_comes_to_an_end(length: int) -> None:
    """Of a server that always says so: twice as much each time is 21 times at most."""
    lengths: list[int] = []

    def call(opnum: int, stub: bytes) -> bytes:
        lengths.append(int.from_bytes(stub[-12:-8], "little"))
        assert len(lengths) <= 23
        return _reply([], status=2123, handle=_handle(stub) + 1)

    with pytest.raises(OSError, match="NERR_BufTooSmall"):
        list(_cursor(call, length=length))
    assert (lengths[0], lengths[-1]) == (length, _ALL)
    assert lengths == sorted(lengths)


def test_another_level_than_asked_for_is_refused() -> None:
    with pytest.raises(MalformedReply, match="not the level that was asked for"):
        next(_cursor(lambda opnum, stub: _reply(["a"], status=0, handle=0), level=1))


def test_an_empty_list_of_another_level_is_refused() -> None:
    """No record would show it, but the page, its schema and its pickle tell their level."""
    with pytest.raises(MalformedReply, match="not the level that was asked for"):
        next(_cursor(lambda opnum, stub: _reply([], status=0, handle=0), level=1))
    with pytest.raises(MalformedReply, match="not the level that was asked for"):
        next(_cursor(lambda opnum, stub: _reply([], status=0, handle=0, level=502), level=0))


def test_illumos_answers_errors_with_level_0() -> None:
    zeroed = struct.pack("<IIIIII", 0, 0, 0, 0, 0, 5)
    with pytest.raises(AccessDenied) as caught:
        next(_cursor(lambda opnum, stub: zeroed, level=502))
    assert (caught.value.server, caught.value.step) == ("srv", "call")


def test_an_error_of_netapi32_has_no_step() -> None:
    """Those are the steps of the way to a pipe."""
    simulator = Simulator(3)
    for function in ("NetSessionEnum", "NetSessionGetInfo", "NetSessionDel"):
        simulator.fail(function, 5)
    for call in (
        lambda: next(_netsession.SessionCursor(simulator.netapi, "s", None, None, 1, _ALL)),
        lambda: _netsession.session_get_info(simulator.netapi, "s", "\\\\c", "u", 1),
        lambda: _netsession.session_del(simulator.netapi, "s", "\\\\c", "u"),
    ):
        with pytest.raises(AccessDenied) as caught:
            call()
        assert (caught.value.server, caught.value.step) == ("s", None)


def test_an_empty_list_may_lack_its_container() -> None:
    bare = struct.pack("<IIIIII", 10, 10, 0, 0, 0, 0)
    (page,) = _cursor(lambda opnum, stub: bare, level=10)
    assert (len(page), page.level) == (0, 10)


def test_malformed_replies_name_the_server() -> None:
    with pytest.raises(MalformedReply) as caught:
        next(_cursor(lambda opnum, stub: b"\0\0\0"))
    assert caught.value.server == "srv"


def test_errors_of_the_backend_pass() -> None:
    def call(opnum: int, stub: bytes) -> bytes:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        next(_cursor(call))


@pytest.mark.parametrize("answer", [None, "text", 7])
def test_a_backend_must_return_bytes(answer: Any) -> None:
    with pytest.raises(TypeError, match="must be bytes"):
        next(_cursor(lambda opnum, stub: answer))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((5, None, None, None, 1, 0), TypeError, "backend must be None, a capsule or a callable"),
        ((print, 5, None, None, 1, 0), TypeError, "server must be"),
        ((print, None, 5, None, 1, 0), TypeError, "client must be"),
        ((print, None, None, 5, 1, 0), TypeError, "user must be"),
        ((print, None, None, None, 3, 0), ValueError, "level must be"),
        ((print, None, None, None, 1, -1), ValueError, "preferred_length must be"),
        ((sys.stdout, None, None, None, 1, -1), TypeError, "backend must be"),
    ],
)
def test_bad_arguments_are_named(
    arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        _netsession.SessionCursor(*arguments)


def test_a_foreign_capsule_is_refused() -> None:
    import datetime

    capsule = datetime.datetime_CAPI  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="incorrect name"):
        _netsession.SessionCursor(capsule, None, None, None, 1, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a netapi32.dll")
def test_netapi32_is_only_on_windows() -> None:
    with pytest.raises(ValueError, match="only Windows has"):
        _netsession.SessionCursor(None, None, None, None, 1, 0)


def test_only_one_thread_at_a_time() -> None:
    entered, leave = threading.Event(), threading.Event()

    def call(opnum: int, stub: bytes) -> bytes:
        entered.set()
        leave.wait(60)
        return _reply(["a"], status=0, handle=0)

    cursor = _cursor(call)
    pages: list[Any] = []
    thread = threading.Thread(target=lambda: pages.extend(cursor))
    thread.start()
    assert entered.wait(60)
    with pytest.raises(RuntimeError, match=r"already fetching a page in another thread$"):
        next(cursor)
    leave.set()
    thread.join()
    assert len(pages) == 1


def test_a_backend_that_asks_its_own_cursor() -> None:
    """The same thread: waiting for it to leave would be waiting for ever."""
    refused: list[str] = []

    def call(opnum: int, stub: bytes) -> bytes:
        for ask in (lambda: next(cursor), lambda: list(cursor)):
            with pytest.raises(RuntimeError, match="already fetching") as caught:
                ask()
            refused.append(str(caught.value))
        return _reply(["a"], status=0, handle=0)

    cursor = _cursor(call)
    assert [len(page) for page in cursor] == [1]
    assert len(refused) == 2
    for text in refused:
        assert "in this thread" in text
        assert "another thread" not in text


_CALLS: dict[str, Callable[[Simulator], object]] = {
    "NetSessionEnum": lambda simulator: next(
        _netsession.SessionCursor(simulator.netapi, None, None, None, 0, _ALL)
    ),
    "NetSessionGetInfo": lambda simulator: _netsession.session_get_info(
        simulator.netapi, None, "\\\\10.0.0.0", "alice.0", 1
    ),
    "NetSessionDel": lambda simulator: _netsession.session_del(
        simulator.netapi, None, "\\\\10.0.0.0", "alice.0"
    ),
}


@pytest.mark.parametrize("function", _CALLS)
def test_the_gil_is_released_while_netapi_works(function: str) -> None:
    """A call that waits for what another thread does: which cannot do it before the call ends."""
    simulator = Simulator(1)
    simulator.hang(60_000)
    released = False
    ended: list[tuple[int, bool]] = []

    def call() -> None:
        try:
            _CALLS[function](simulator)
        except NetApiError as error:
            ended.append((error.status, released))

    thread = threading.Thread(target=call)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # without a release the other thread would never yield to us
    try:
        thread.start()
        while not simulator.calls(function):
            time.sleep(0.001)
        released = True
        simulator.release()
        thread.join(60)
    finally:
        sys.setswitchinterval(interval)
    assert ended == [(53, True)]  # ERROR_BAD_NETPATH: it hung, and was released


@pytest.mark.skipif(sys.platform == "win32", reason="sends itself a signal")
def test_signals_are_handled_between_pages() -> None:
    simulator = Simulator(100, 1)
    cursor = _netsession.SessionCursor(simulator.netapi, None, None, None, 0, _ALL)
    with raising(signal.SIGUSR1), pytest.raises(Interrupted):
        for _ in cursor:
            signal.raise_signal(signal.SIGUSR1)


@pytest.mark.skipif(sys.platform == "win32", reason="sends itself a signal")
@pytest.mark.parametrize("pages_before", [0, 3])
def test_signals_are_handled_where_no_bytecode_runs_between_pages(pages_before: int) -> None:
    """C code that drains a cursor: only the cursor can look whether Ctrl-C was pressed."""

    simulator = Simulator(100, 1)
    cursor = _netsession.SessionCursor(simulator.netapi, None, None, None, 0, _ALL)
    send = ctypes.CDLL(None)["raise"]  # returns once the signal is noted, and runs no Python
    steps = [*[cursor] * pages_before, map(send, [signal.SIGUSR1]), *[cursor] * 97]
    some = map(next, steps)
    with raising(signal.SIGUSR1), pytest.raises(Interrupted):
        collections.deque(some, maxlen=0)
    assert simulator.calls("NetSessionEnum") == pages_before


@pytest.mark.parametrize("status", [0, _MORE])
@pytest.mark.parametrize("count", [1, 0xFFFFFFFF])
def test_entries_that_are_counted_without_a_buffer_are_refused(status: int, count: int) -> None:
    def session_enum(*arguments: Any) -> int:
        arguments[7][0] = count
        return status

    table = Table(session_enum=session_enum)
    cursor = _netsession.SessionCursor(table.netapi, "srv", None, None, 1, _ALL)
    with pytest.raises(MalformedReply, match="counted, but there is no buffer") as caught:
        next(cursor)
    assert (caught.value.function, caught.value.server) == ("NetSessionEnum", "srv")
    assert table.freed == []


def test_a_buffer_without_entries_goes_back() -> None:
    buffer = ctypes.create_string_buffer(64)

    def session_enum(*arguments: Any) -> int:
        arguments[5][0] = ctypes.addressof(buffer)
        return 0

    table = Table(session_enum=session_enum)
    (page,) = _netsession.SessionCursor(table.netapi, None, None, None, 1, _ALL)
    assert (len(page), list(page), table.freed) == (0, [], [])
    del page
    assert table.freed == [ctypes.addressof(buffer)]


def test_get_info_that_succeeds_without_a_buffer_is_refused() -> None:
    table = Table(session_get_info=lambda *arguments: 0)
    with pytest.raises(MalformedReply, match="there is no buffer") as caught:
        _netsession.session_get_info(table.netapi, "srv", "\\\\c", "u", 1)
    assert (caught.value.function, caught.value.server) == ("NetSessionGetInfo", "srv")
    assert table.freed == []


@pytest.mark.parametrize(
    "names",
    [("srv", "\\\\c", "u"), ("srv", None, "u"), ("srv", "\\\\c", None), (None, "\\\\c", "u")],
)
def test_del_says_whose_sessions(names: tuple[str | None, ...]) -> None:
    told: list[tuple[str | None, ...]] = []

    def session_del(context: int | None, *pointers: int | None) -> int:
        told.append(tuple(_units_at(pointer) for pointer in pointers))
        return 0

    table = Table(session_del=session_del)
    _netsession.session_del(table.netapi, *names)
    assert told == [names]


def _units_at(pointer: int | None) -> str | None:
    """A terminated name of UTF-16 units."""
    if pointer is None:
        return None
    units = iter(ctypes.c_uint16.from_address(pointer + 2 * i).value for i in itertools.count())
    return "".join(map(chr, itertools.takewhile(bool, units)))


def test_del_with_neither_is_never_sent() -> None:
    sent: list[bytes] = []
    for client, user in [(None, None), ("", None), (None, ""), ("", "")]:
        with pytest.raises(ValueError, match="name a client or a user"):
            _netsession.session_del(lambda opnum, stub: sent.append(stub), "srv", client, user)
    assert sent == []


def test_del_over_a_callable() -> None:
    sent: list[tuple[int, bytes]] = []

    def call(opnum: int, stub: bytes) -> bytes:
        sent.append((opnum, stub))
        return struct.pack("<I", 5 if len(sent) > 1 else 0)

    _netsession.session_del(call, "\\\\srv", "\\\\c", None)
    assert sent == [(13, _netsession.encode_delete_request("\\\\srv", "\\\\c", None))]
    with pytest.raises(AccessDenied) as caught:
        _netsession.session_del(call, "\\\\srv", "\\\\c", None)
    assert (caught.value.function, caught.value.server) == ("NetSessionDel", "srv")


def test_get_info_needs_an_api() -> None:
    with pytest.raises(TypeError, match="backend must be None or a capsule"):
        _netsession.session_get_info(print, None, "c", "u", 1)
