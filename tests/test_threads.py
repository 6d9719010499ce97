"""Sixteen threads at one object, all at the same moment: nothing crashes, is lost or comes twice.

On a free-threaded interpreter they really meet; ``make tsan`` runs this file under
ThreadSanitizer, which sees two accesses that nothing orders even where they do no harm.
"""

from __future__ import annotations

import errno
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

import arrow_consumer as consumer
import core_operations
from fake_pipe import FakeClient
from netsession import NetApiError, Server, SessionPage, _netsession, scan, where
from netsession._names import MOST_ELSEWHERE, ClientPattern, UserPattern
from netsession._netsession import CallLock, SessionCursor, SessionFilter
from netsession._simulator import Simulator
from netsession.testing import SimulatedServer
from scripted import Scripted, row

THREADS = 16
ALL = 0xFFFFFFFF
_CACHED = 300  # sessions of a page whose strings are cached
_LOOKED_AFTER = 60.0  # seconds, a hang guard


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    """With a GIL threads meet as often as it changes hands."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


def in_threads(work: Callable[[int], object]) -> None:
    """Calls it in sixteen threads with their numbers; raises what one of them raises."""
    failures: list[BaseException] = []
    start = threading.Barrier(THREADS)

    def guarded(number: int) -> None:
        try:
            start.wait(_LOOKED_AFTER)
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def cursor_of(simulator: Simulator, level: int = 502) -> SessionCursor:
    return SessionCursor(simulator.netapi, None, None, None, level, ALL)


def page_of(sessions: int) -> SessionPage:
    return next(cursor_of(Simulator(sessions)))


def wire_page() -> SessionPage:
    page = _netsession.decode_enum_response(core_operations.REPLY)[3]
    assert page is not None
    return page


# --- pages ---------------------------------------------------------------------------------------


def test_one_page() -> None:
    page = page_of(_CACHED)
    records, dicts = list(page), page.as_dicts()

    def read(number: int) -> None:
        for _ in range(3):
            assert list(page) == records
            assert page.as_dicts() == dicts
            assert page[number::7][0] == records[number]
            assert len(page.filter(lambda record: record in records[:3])) == 3
            assert page.index(records[40 + number]) == 40 + number
            assert page.count(records[number]) == 1
            assert list(reversed(page[:5])) == records[4::-1]
            assert page.as_level(10)[number].user_name == records[number].user_name
            assert pickle.loads(pickle.dumps(page))[number] == records[number]
            assert page.__sizeof__() > 0
            assert "entries=300" in repr(page)

    in_threads(read)


def test_one_page_of_a_reply_and_its_slices() -> None:
    """Slices keep what the strings lie in; whoever drops the last one frees it."""
    for _ in range(10):
        shared = [wire_page()]

        def read(number: int, shared: list[SessionPage] = shared) -> None:
            part = shared[0][:]
            if number == 0:
                shared.append(shared[0][:])
                del shared[0]
            for _ in range(20):
                part = part[:].filter(bool)
                assert part[0].client_name == "é"

        in_threads(read)


@pytest.mark.parametrize("count", [10, 5000])
def test_one_iterator(count: int) -> None:
    """Each record comes once, whoever gets it; with the strings cached, and without."""
    for _ in range(3):
        page = page_of(count)
        iterator = iter(page)
        found: list[Any] = []

        def read(
            number: int, iterator: Any = iterator, found: list[Any] = found, count: int = count
        ) -> None:
            for record in iterator:
                found.append(record)
                assert 0 <= iterator.__length_hint__() < count

        in_threads(read)
        assert sorted(found, key=repr) == sorted(page, key=repr)


# --- cursors -------------------------------------------------------------------------------------


def drain_together(cursor: Iterator[SessionPage]) -> list[SessionPage]:
    """What sixteen threads get of a cursor, one at a time: whoever comes between is told so."""
    found: list[SessionPage] = []

    def fetch(number: int) -> None:
        while True:
            try:
                page = next(cursor)
            except RuntimeError as error:
                assert "already fetching" in str(error)
            except StopIteration:
                return
            else:
                found.append(page)

    in_threads(fetch)
    return found


def test_one_cursor() -> None:
    for _ in range(3):
        simulator = Simulator(2000, 5)
        cursor = cursor_of(simulator)
        pages = sorted(drain_together(cursor), key=lambda page: -page.total_entries)
        found = [record for page in pages for record in page]
        assert found == list(page_of(2000))
        del pages, cursor
        assert (simulator.outstanding, simulator.bad_frees) == (0, 0)


def test_one_cursor_over_smb() -> None:
    for _ in range(20):
        answers = iter([core_operations.REPLY])
        cursor = SessionCursor(lambda opnum, stub: next(answers), None, None, None, 10, ALL)  # noqa: B023
        (page,) = drain_together(cursor)
        assert page[0].client_name == "é"


# --- filters -------------------------------------------------------------------------------------


def resolve(name: str) -> tuple[frozenset[str], str | None]:
    return frozenset({"10.0.0.2", "2001:db8::4"}), None


def test_one_filter() -> None:
    """At one page, and at pages of each thread's own."""
    shared = page_of(_CACHED)
    clients = (ClientPattern("*", wildcards=True), ClientPattern("ws1", resolve))
    users = (UserPattern("*", wildcards=True), UserPattern("OTHER\\zoë.83"))
    own = (ClientPattern("10.0.0.0"),), (UserPattern("alice.0"),)
    made = SessionFilter(clients, users, *own, 1, 1, 0, ALL, True)
    expected = list(shared.filter(made))
    assert 0 < len(expected) < _CACHED

    def keep(number: int) -> None:
        for page in (shared, page_of(_CACHED), shared[:]):
            assert list(page.filter(made)) == expected

    in_threads(keep)
    assert all(pattern.met for pattern in clients)
    assert users[0].met


def test_what_one_filter_remembers() -> None:
    """Names that are remembered for a message are few, whoever finds them at the same time."""
    rows = [("C", f"D{number}\\zoë", 1, 1) for number in range(100)]
    page = _netsession.page_from_records(10, rows, len(rows), None, False)
    for _ in range(5):
        users = (UserPattern("OTHER\\zoë"),)
        made = SessionFilter((), users, (), (), None, None, None, None, False)
        in_threads(lambda number, made=made: page[number * 6 :].filter(made))  # type: ignore[misc]
        assert MOST_ELSEWHERE <= len(users[0].elsewhere) <= MOST_ELSEWHERE + THREADS


# --- Arrow ---------------------------------------------------------------------------------------


def listing_stream(pages: list[SessionPage]) -> object:
    return _netsession.arrow_stream(502, None, iter(pages))


def fleet_stream(pages: list[SessionPage]) -> object:
    return _netsession.arrow_fleet_stream(iter([("zoë", 1 << 40, page) for page in pages]))


@pytest.mark.parametrize("make", [listing_stream, fleet_stream])
def test_one_arrow_stream(make: Callable[[list[SessionPage]], object]) -> None:
    """Each batch comes once; whoever comes between is told that the stream is in use."""
    pages = [page_of(20) for _ in range(200)]
    stream = consumer.content(consumer.ArrowArrayStream, make(pages))
    lengths: list[int] = []

    def ask(number: int) -> None:
        while True:
            error, batch = stream.next()
            told = stream.get_last_error(stream_of(stream))
            stream.schema().give_back()
            assert error in (0, errno.EBUSY)
            assert told is None or b"in use" in told
            if error == 0 and batch.is_released:
                return
            if error == 0:
                lengths.append(batch.length)
                batch.give_back()

    in_threads(ask)
    assert lengths == [20] * 200


def stream_of(stream: consumer.ArrowArrayStream) -> Any:
    import ctypes

    return ctypes.byref(stream)


@pytest.mark.parametrize("make", [listing_stream, fleet_stream])
def test_one_arrow_stream_that_fails(make: Callable[[list[Any]], object]) -> None:
    """One of them is told first; then all are, and nobody sees half a message."""
    for _ in range(10):
        stream = consumer.content(consumer.ArrowArrayStream, make([page_of(2), None]))
        errors: list[int] = []

        def ask(number: int, stream: Any = stream, errors: list[int] = errors) -> None:
            error = 0
            while error in (0, errno.EBUSY):
                error, batch = stream.next()
                if not batch.is_released:
                    batch.give_back()
                told = stream.get_last_error(stream_of(stream))
                assert told is None or told.startswith((b"TypeError: ", b"the stream is in use"))
            errors.append(error)

        in_threads(ask)
        assert errors == [errno.EIO] * THREADS


def test_one_page_as_arrow() -> None:
    """The batch is made without a GIL, and released by whoever has it."""
    page = page_of(_CACHED)

    def take(number: int) -> None:
        for _ in range(10):
            schema, array = page.__arrow_c_array__()
            batch = consumer.take(consumer.ArrowArray, array)
            assert batch.length == _CACHED
            batch.give_back()
            assert consumer.content(consumer.ArrowSchema, schema).n_children == 8
            stream = consumer.content(consumer.ArrowArrayStream, page.__arrow_c_stream__())
            assert [part.length for part in consumer.drain(stream)] == [_CACHED]

    in_threads(take)


# --- servers -------------------------------------------------------------------------------------


def test_one_call_lock() -> None:
    lock = CallLock()
    inside: list[int] = []
    count = 0

    def work() -> None:
        nonlocal count
        inside.append(1)
        assert len(inside) == 1
        with pytest.raises(RuntimeError, match="this thread is in a call"):
            lock.run(work, lambda: _LOOKED_AFTER)
        assert not lock.try_run(work)
        count += 1
        inside.pop()

    def often(number: int) -> None:
        for turn in range(10):
            if (turn + number) % 3:
                lock.run(work, lambda: _LOOKED_AFTER)
            else:
                while not lock.try_run(work):
                    pass

    in_threads(often)
    assert count == 10 * THREADS


def use_server(server: Server, client: str, user: str) -> None:
    """All that one thread may ask of a server that others use too."""
    assert next(iter(server.sessions())).user_name is not None
    assert [record.user_name for record in server.sessions(client=client, user=user)]
    assert list(server.sessions(where=where(user="nobody*"))) == []
    assert server.session(client, user).user_name == user
    assert server.plan_delete(client=client, user=user)
    with server.watch(every=1000, existing=True) as watch:
        assert watch.poll()


def test_one_server() -> None:
    simulator = Simulator(70, 40)
    server = SimulatedServer(simulator)

    def use(number: int) -> None:
        use_server(server, "10.0.0.0", "alice.0")
        server.connect_session(f"WS{number}", f"u{number}")
        assert server.session(f"WS{number}", f"u{number}").client == f"WS{number}"
        server.delete_sessions(client=f"WS{number}", user=f"u{number}")

    in_threads(use)
    assert server.session_count == 70
    server.close()
    assert (simulator.outstanding, simulator.bad_frees) == (0, 0)


def scripted_server(*rows: Any) -> tuple[Server, FakeClient]:
    """A server over SMB whose list changes; it answers one request at a time, as a list must."""
    scripted = Scripted(*rows)
    turn = threading.Lock()
    answer = scripted.answer

    def in_turn(opnum: int, stub: bytes) -> bytes:
        with turn:
            return answer(opnum, stub)

    scripted.answer = in_turn  # type: ignore[method-assign]
    return scripted.server()


def test_one_server_over_smb() -> None:
    """They take turns at one connection, or have one each."""
    server, client = scripted_server(*(row(f"C{number}", f"u{number}") for number in range(20)))

    def use(number: int) -> None:
        use_server(server, f"C{number}", f"u{number}")
        server.delete_sessions(client=f"C{number}", user=f"u{number}")

    in_threads(use)
    assert [record.client for record in server.sessions()] == ["C16", "C17", "C18", "C19"]
    server.close()
    assert not any(pipe.open for pipe in client.pipes)


def test_one_server_that_is_closed_meanwhile() -> None:
    server, client = scripted_server(row("A", "alice"))

    def use(number: int) -> None:
        for turn in range(5):
            if number == 7 and turn == 2:
                server.close()
            try:
                assert [record.client for record in server.sessions()] == ["A"]
            except NetApiError:  # it had begun when close() was called
                continue

    in_threads(use)
    server.close()
    assert not any(pipe.open for pipe in client.pipes)


def test_one_query() -> None:
    """Each iteration asks afresh."""
    query = SimulatedServer(Simulator(70, 40)).sessions(where=where(client="10.0.*"))
    expected = list(query)
    assert expected
    in_threads(lambda number: check_equal(list(query), expected))
    in_threads(lambda number: check_equal(drain_query(query), len(expected)))


def check_equal(found: object, expected: object) -> None:
    assert found == expected


def drain_query(query: Any) -> int:
    stream = consumer.content(consumer.ArrowArrayStream, query.__arrow_c_stream__())
    return sum(batch.length for batch in consumer.drain(stream))


def test_one_scan() -> None:
    """Sixteen iterations of one scan at the same servers."""
    simulators = [Simulator(5) for _ in range(3)]
    simulators[2].fail("NetSessionEnum", 53)
    scanned = scan(
        [SimulatedServer(each, f"s{number}") for number, each in enumerate(simulators)],
        timeout=_LOOKED_AFTER,
    )

    def read(number: int) -> None:
        reports = sorted(scanned, key=lambda report: report.server)
        assert [len(report.sessions) for report in reports] == [5, 5, 0]
        assert scanned.failures is not None

    in_threads(read)
    assert sum(simulator.outstanding + simulator.bad_frees for simulator in simulators) == 0


def test_one_watch() -> None:
    """Each event comes once."""
    server = SimulatedServer(Simulator(0))
    watch = server.watch(every=1000)
    assert watch.poll() == []
    events: list[Any] = []

    def use(number: int) -> None:
        server.connect_session(f"WS{number}", f"u{number}")
        events.extend(watch.poll())

    in_threads(use)
    assert sorted(event.session.client for event in events) == sorted(
        f"WS{number}" for number in range(THREADS)
    )
    in_threads(lambda number: watch.close())
    assert next(watch, None) is None


# --- everything else -----------------------------------------------------------------------------


def test_one_simulator() -> None:
    simulator = Simulator(60, 7)

    def script(number: int, turn: int) -> None:
        simulator.prepare(turn % 3 == 0)
        simulator.refuse(1, 5 if turn % 5 == 0 else 0)
        simulator.fail("NetSessionEnum", 53, turn % 7, 1)
        simulator.stick(turn % 31 == 0, True)
        simulator.stick(False)
        simulator.delay(turn % 50 == 49)
        assert simulator.count >= 0
        assert simulator.outstanding >= 0
        assert simulator.calls("NetSessionEnum") >= 0
        only = ("first", "last", None)[turn % 3]
        simulator.add("\\\\c", "u", 1, 2, 3, 4, "", "t")
        simulator.change("c", "u", turn, None, None, None, only)
        simulator.change("\\\\10.0.0.0", "alice.0", turn, None, None, None)
        simulator.advance(700)
        simulator.hang(turn % 2)
        simulator.release()
        if turn % 2:
            simulator.end("c", "u", only)

    def ask() -> None:
        for level in core_operations.LEVELS:
            with suppress(NetApiError, RuntimeError):
                for page in cursor_of(simulator, level):
                    list(page[::2])
        with suppress(NetApiError):
            _netsession.session_get_info(simulator.netapi, None, "\\\\10.0.0.0", "alice.0", 1)

    def use(number: int) -> None:
        for turn in range(20):
            script(number, turn)
            ask()

    in_threads(use)
    simulator.fail("NetSessionEnum", 0, 0, 0)
    _netsession.session_del(simulator.netapi, None, "\\\\10.0.0.0", None)
    simulator.prepare(False)
    assert (simulator.outstanding, simulator.bad_frees) == (0, 0)


def test_making_and_dropping_everything() -> None:
    """Every operation of the core, at objects that all share and at some of each thread's own."""
    bench = core_operations.Bench()

    def work(number: int) -> None:
        core_operations.perform_all(core_operations.Bench())
        for name in core_operations.OPERATIONS:
            core_operations.perform(name, bench)

    in_threads(work)
    assert bench.outstanding() == 0


def test_a_race_would_be_noticed() -> None:
    """The control: an object that threads must not share fails in sixteen of them."""

    class Careless:  # hands out numbers as a cursor without its guard would
        number = 0

        def take(self) -> int:
            taken = self.number
            met.wait(_LOOKED_AFTER)  # all of them are here
            self.number = taken + 1
            return taken

    met = threading.Barrier(THREADS)
    careless, taken = Careless(), []
    in_threads(lambda number: taken.append(careless.take()))
    assert len(set(taken)) == 1
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda number: number // (number - 5))
