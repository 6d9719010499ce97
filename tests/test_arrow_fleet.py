"""One Arrow stream over several servers, whatever the levels: value by value."""

from __future__ import annotations

import ctypes
import errno
import itertools
import random
import signal
import struct
import sys
import threading
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import arrow_consumer as consumer
import failing_malloc
import netsession
from arrow_consumer import ArrowArray, ArrowArrayStream, ArrowSchema
from arrow_values import (
    FORMATS,
    LEVELS,
    arrow_value,
    import_consumer,
    odd_sessions,
    python_value,
)
from fresh_python import output_of
from gil import counting_beside
from leaks import NOISE
from netsession import SessionPage, _netsession
from netsession.testing import simulated_server

Part = tuple[str, int, SessionPage]

COLUMNS = [("server", "u"), ("collected_at", "tsu:UTC"), *FORMATS.items(), ("level", "S")]
NULLABLE = 2  # ARROW_FLAG_NULLABLE
NOON = 1_795_608_000_000_000  # 2026-11-25 12:00 UTC, microseconds


class Fleet:
    """Parts as what consumers take: netsession.scan() hands over such a stream."""

    def __init__(self, parts: Iterable[Any], **arguments: Any) -> None:
        self.parts = parts
        self.arguments = arguments

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return _netsession.arrow_fleet_stream(iter(self.parts), requested_schema, **self.arguments)


def _stream(parts: Iterable[Any], **arguments: Any) -> ArrowArrayStream:
    return consumer.take(ArrowArrayStream, Fleet(parts, **arguments).__arrow_c_stream__())


def _read(parts: Iterable[Any], **arguments: Any) -> list[list[tuple[Any, ...]]]:
    """The rows of each batch."""
    stream = _stream(parts, **arguments)
    schema = stream.schema()
    found = [consumer.rows(schema, batch) for batch in consumer.drain(stream)]
    schema.give_back()
    stream.give_back()
    return found


def _expected(parts: Iterable[Part]) -> list[tuple[Any, ...]]:
    return [
        (
            arrow_value("server", server),
            collected_at,
            *(arrow_value(name, getattr(record, name, None)) for name in FORMATS),
            page.level,
        )
        for server, collected_at, page in parts
        for record in page
    ]


def _pages(server: netsession.Server, level: int) -> list[SessionPage]:
    return list(server.sessions(level=level).pages())


def _page(count: int, level: int = 502) -> SessionPage:
    return _pages(simulated_server(count), level)[0]


@pytest.fixture(scope="module")
def mixture() -> list[Part]:
    """Odd sessions of five servers that grant different levels, their pages taking turns."""
    server = simulated_server(odd_sessions(), page_entries=100)
    by_level = [
        [(f"fs{level:03}.corp.example", NOON + level, page) for page in _pages(server, level)]
        for level in LEVELS
    ]
    return list(itertools.chain(*zip(*by_level, strict=True)))


# --- schema ---------------------------------------------------------------------------------------


def _check_schema(schema: ArrowSchema) -> None:
    assert schema.format == b"+s"
    assert consumer.fields(schema) == COLUMNS
    assert consumer.metadata(schema) == {}
    flags = {}
    for i in range(schema.n_children):
        child = schema.children[i].contents
        assert consumer.metadata(child) == {}
        flags[child.name.decode()] = child.flags
    always = ("server", "collected_at", "level")
    assert flags == {name: 0 if name in always else NULLABLE for name, _ in COLUMNS}


def test_the_schema_is_always_the_same(mixture: list[Part]) -> None:
    _check_schema(consumer.content(ArrowSchema, _netsession.arrow_fleet_schema()))
    for parts in ([], mixture, [("fs", 0, _page(0, 1))]):
        stream = _stream(parts)
        before = stream.schema()
        _check_schema(before)
        for _ in consumer.drain(stream):
            pass
        after = stream.schema()
        stream.give_back()
        for schema in (before, after):  # neither needs the stream
            _check_schema(schema)
            schema.give_back()


def test_a_stream_without_parts() -> None:
    assert _read([]) == []
    stream = _stream(iter(()))
    assert all(stream.next()[1].is_released for _ in range(3))
    stream.give_back()


# --- values ---------------------------------------------------------------------------------------


def test_every_value_of_every_level(mixture: list[Part]) -> None:
    batches = _read(mixture)
    assert [len(batch) for batch in batches] == [len(page) for _, _, page in mixture]
    assert [row for batch in batches for row in batch] == _expected(mixture)
    assert {row[-1] for batch in batches for row in batch} == set(LEVELS)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("count", [1, 7, 8, 9, 127, 128, 129, 5000])
def test_every_number_of_rows(level: int, count: int) -> None:
    parts = [("fs01", NOON, _page(count, level))]
    (batch,) = _read(parts)
    assert batch == _expected(parts)
    assert len(batch) == count


def test_slices_filtered_pages_and_pages_from_the_wire() -> None:
    page = _page(300)
    stub = struct.pack("<12I", 10, 10, 1, 1, 1, 1, 1, 0, 7, 8, 2, 0)
    stub += struct.pack("<IHHIIII", 2, 0xE9, 0, 1, 0, 0, 0)
    wire = _netsession.decode_enum_response(stub)[3]
    assert wire is not None
    pages = [page[5:], page[::-3], page.filter(lambda record: record.num_opens % 2), wire]
    parts = [(f"s{i}", i, each) for i, each in enumerate(pages)]
    assert [row for batch in _read(parts) for row in batch] == _expected(parts)


@pytest.mark.parametrize(
    "server",
    ["", "fs01", "fs" * 300, "zoë 山田", "\U0001f600" * 100, "\ud800", "a\ude00\ud83d", "\\\\fs01"],
    ids=ascii,
)
def test_every_kind_of_server_name(server: str) -> None:
    parts = [(server, NOON, _page(count, 0)) for count in (1, 300)]
    assert [row for batch in _read(parts) for row in batch] == _expected(parts)


class _Index:
    def __index__(self) -> int:
        return NOON


def test_every_time() -> None:
    page = _page(2, 10)
    times = [-(2**63), -1, 0, 1, NOON, 2**63 - 1]
    batches = _read(("fs01", time, page) for time in times)
    assert [row[1] for batch in batches for row in batch] == [t for t in times for _ in page]
    assert _read([("fs01", _Index(), page)])[0][0][1] == NOON


def test_parts_with_names() -> None:
    """As a NamedTuple is a tuple."""
    named = namedtuple("named", "server collected_at page")
    part = named("fs01", NOON, _page(3))
    assert _read([part]) == [_expected([part])]


def test_a_batch_outlives_stream_page_and_server(simulate: Callable[..., Any]) -> None:
    server, simulator = simulate(500)
    parts = [("fs01", NOON, _pages(server, 2)[0])]
    expected = _expected(parts)
    stream = _stream(parts.pop() for _ in range(1))
    schema = stream.schema()
    _, batch = stream.next()
    assert simulator.outstanding == 0  # the page's buffer went as soon as the batch was there
    stream.give_back()
    del server
    assert consumer.rows(schema, batch) == expected
    first = consumer.move(ArrowArray, batch.children[0].contents)
    batch.give_back()
    assert consumer.column("u", first) == [row[0] for row in expected]
    first.give_back()
    schema.give_back()


# --- when parts are asked for ---------------------------------------------------------------------


def test_parts_are_asked_for_when_a_batch_is() -> None:
    asked = []

    def parts() -> Iterator[Part]:
        for number in range(3):
            asked.append(number)
            yield "fs01", number, _page(number + 1, 1)

    stream = _stream(parts())
    schema = stream.schema()
    assert asked == []
    for number in range(3):
        _, batch = stream.next()
        assert asked == list(range(number + 1))
        assert batch.length == number + 1
        batch.give_back()
    assert all(stream.next()[1].is_released for _ in range(3))  # it stays at its end
    schema.give_back()
    stream.give_back()


def test_pages_without_entries_make_no_batch() -> None:
    empty = _page(0, 2)
    assert _read([("a", 1, empty)] * 3) == []
    parts = [("a", 1, empty), ("b", 2, _page(2)), ("c", 3, empty), ("d", 4, _page(1, 0))]
    parts = [*parts, *[("e", 5, empty)] * 2]
    batches = _read(parts)
    assert [len(batch) for batch in batches] == [2, 1]
    assert [row for batch in batches for row in batch] == _expected(parts)


class _AlarmError(Exception):
    pass


@pytest.mark.skipif(sys.platform == "win32", reason="needs an interval timer")
def test_empty_pages_without_an_end_can_be_interrupted() -> None:
    """No Python code runs there that would notice a signal."""

    def alarm(number: int, frame: object) -> None:
        raise _AlarmError

    before = signal.signal(signal.SIGALRM, alarm)
    stream = _stream(itertools.repeat(("fs01", NOON, _page(0)), 1 << 32))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        error = stream.next()[0]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert (error, "_AlarmError" in stream.last_error()) == (errno.EIO, True)
    stream.give_back()


# --- what goes wrong ------------------------------------------------------------------------------

_PAGE = _page(2)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (None, "TypeError: parts must be tuples (server, collected_at, page), not NoneType"),
        (["fs01", 1, _PAGE], "TypeError: parts must be tuples (server, collected_at, page), not l"),
        (("fs01", 1), "TypeError: parts must be tuples (server, collected_at, page), not tuple of"),
        (("fs01", 1, _PAGE, 4), "of another length"),
        (_PAGE, "not netsession._netsession.SessionPage"),
        ((b"fs01", 1, _PAGE), "TypeError: server must be a str, not bytes"),
        ((None, 1, _PAGE), "TypeError: server must be a str, not NoneType"),
        (("fs\0 01", 1, _PAGE), "ValueError: server must not contain a NUL character"),
        (("fs01", 1.5, _PAGE), "TypeError: collected_at must be an int, not float"),
        (("fs01", None, _PAGE), "TypeError: collected_at must be an int, not NoneType"),
        (("fs01", datetime(2026, 11, 25, tzinfo=UTC), _PAGE), "not datetime.datetime"),
        (("fs01", 2**63, _PAGE), "ValueError: collected_at must be between -2**63 and 2**63 - 1"),
        (("fs01", -(2**63) - 1, _PAGE), "ValueError: collected_at must be between"),
        (("fs01", 1 << 9999, _PAGE), "ValueError: collected_at must be between"),
        (("fs01", 1, None), "TypeError: page must be a SessionPage, not NoneType"),
        (("fs01", 1, [_PAGE[0]]), "TypeError: page must be a SessionPage, not list"),
        (("fs01", 1, _PAGE[0]), "TypeError: page must be a SessionPage, not "),
    ],
)
def test_what_is_no_part(part: Any, message: str) -> None:
    stream = _stream([("before", 1, _PAGE), part, ("after", 1, _PAGE)])
    error, batch = stream.next()
    assert (error, batch.length) == (0, 2)
    batch.give_back()
    for _ in range(3):  # it never turns into an end
        error, batch = stream.next()
        assert (error, batch.is_released) == (errno.EIO, True)
        assert message in stream.last_error()
    stream.give_back()


class _DivideError:
    def __index__(self) -> int:
        return 1 // 0


@pytest.mark.parametrize(
    ("error", "number", "message"),
    [
        (netsession.AccessDenied(5, "fs01", "NetSessionEnum"), errno.EACCES, "AccessDenied: "),
        (MemoryError(), errno.ENOMEM, "MemoryError: "),
        (ExceptionGroup("2 servers failed", [OSError(1), OSError(2)]), errno.EIO, "2 servers fail"),
        (ValueError("zoë \ud800"), errno.EIO, "ValueError: zoë \\ud800"),
    ],
    ids=["AccessDenied", "MemoryError", "group", "surrogate"],
)
def test_what_parts_raise(error: Exception, number: int, message: str) -> None:
    """At the end too: as a scan does of which some servers failed."""

    def parts() -> Iterator[Part]:
        yield "fs01", 1, _PAGE
        raise error

    stream = _stream(parts())
    stream.next()[1].give_back()
    for _ in range(3):
        assert stream.next()[0] == number
        assert message in stream.last_error()
    stream.give_back()
    stream = _stream([("fs01", _DivideError(), _PAGE)])
    assert stream.next()[0] == errno.EIO
    assert stream.last_error().startswith("ZeroDivisionError: ")
    stream.give_back()


def test_arguments() -> None:
    with pytest.raises(TypeError, match="parts must be an iterator, not list"):
        _netsession.arrow_fleet_stream([("fs01", 1, _PAGE)])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="text_limit must be an int, not str"):
        _netsession.arrow_fleet_stream(iter(()), text_limit="1")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes at most 3"):
        _netsession.arrow_fleet_stream(iter(()), None, 1, 2)  # type: ignore[call-arg]


def test_a_requested_schema() -> None:
    same = _netsession.arrow_fleet_schema()
    used = _netsession.arrow_fleet_schema()
    consumer.take(ArrowSchema, used).give_back()
    fleet = Fleet([("fs01", 1, _PAGE)])
    for wanted in (None, same):
        stream = consumer.take(ArrowArrayStream, fleet.__arrow_c_stream__(wanted))
        assert [batch.length for batch in consumer.drain(stream)] == [2]
        stream.give_back()
    assert not consumer.content(ArrowSchema, same).is_released  # it stays the caller's
    with pytest.raises(ValueError, match="11 columns of a fleet"):
        fleet.__arrow_c_stream__(_PAGE.__arrow_c_schema__())
    with pytest.raises(ValueError, match="released already"):
        fleet.__arrow_c_stream__(used)
    for wrong in (3, _PAGE.__arrow_c_stream__()):
        with pytest.raises(TypeError, match="'arrow_schema'"):
            fleet.__arrow_c_stream__(wrong)


# --- text -----------------------------------------------------------------------------------------


def _batches_within(rows: list[tuple[Any, ...]], limit: int) -> list[list[tuple[Any, ...]]]:
    """The rows of a part as batches: each as long as no column's text is above the limit."""
    batches: list[list[tuple[Any, ...]]] = []
    used: list[int] = []
    for row in rows:
        sizes = [len(value.encode()) if isinstance(value, str) else 0 for value in row]
        used = [a + b for a, b in zip(used or [limit] * len(row), sizes, strict=True)]
        if not batches or max(used) > limit:
            batches.append([])
            used = sizes
        batches[-1].append(row)
    return batches


def test_a_page_with_too_much_text_becomes_several_batches() -> None:
    draw = random.Random(9)
    texts = (None, "", "a", "zoë", "山田", "\U0001f600", "\ud800", "x" * 17, "é" * 9, "y" * 40)
    for _ in range(200):
        level, names = draw.choice([(502, 8), (10, 4)])
        limit = draw.choice([40, 41, 50, 100, 1000, 5000])
        parts = []
        for _ in range(draw.choice([1, 3])):
            rows = []
            for _ in range(draw.choice([0, 1, 2, 5, 127, 128, 129, 300])):
                two = draw.choice(texts), draw.choice(texts)
                rows.append((*two, 1, 2, 3, 4, *two) if names == 8 else (*two, 1, 2))
            page = _netsession.page_from_records(level, rows, 0, 0, False)
            parts.append((draw.choice(["", "fs01", "é" * 20, "f" * 40]), NOON, page))
        expected = [b for part in parts for b in _batches_within(_expected([part]), limit)]
        assert _read(parts, text_limit=limit) == expected


@pytest.mark.parametrize("where", ["server", "session"])
def test_a_string_that_is_above_the_limit_alone(where: str) -> None:
    """No number of batches helps: what comes before it is given, then the stream fails."""
    server, user = ("x" * 51, "u") if where == "server" else ("s", "x" * 51)
    page = _netsession.page_from_records(10, [("a", user, 1, 2)] * 3, 0, 0, False)
    stream = _stream([("s", 1, _page(3, 0)), (server, 1, page)], text_limit=50)
    assert stream.next()[0] == 0
    for _ in range(2):  # and it stays failed
        error, batch = stream.next()
        assert (error, batch.is_released) == (errno.EOVERFLOW, True)
    assert "one string alone is above 2 GiB" in stream.last_error()
    stream.give_back()


# Makes the columns of a page with no more address space than a few times what its text takes.
_BOUNDED = """
import os, resource, sys
from netsession import _netsession

rows, server, bound = eval(sys.argv[1])
page = _netsession.page_from_records(0, [("n%d" % row,) for row in range(rows)], 0, 0, False)
parts = [("s" * server, 0, page)]
import arrow_consumer as consumer
stream = consumer.take(consumer.ArrowArrayStream, _netsession.arrow_fleet_stream(iter(parts)))
with open("/proc/self/statm") as file:
    size = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (size + bound, size + bound))
error, batch = stream.next()
assert (error, batch.length) == (0, rows), error
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm")
@pytest.mark.parametrize("server", [4, 60, 400])
def test_reserves_in_proportion_to_the_text(server: int) -> None:
    rows = 100_000
    # Doubled at most, moved at most once more; text of 20 bytes, offsets and numbers a row.
    bound = rows * (4 * server + 4 * 20 + 100) + (1 << 20)
    output_of(_BOUNDED, repr((rows, server, bound)))


# --- who asks -------------------------------------------------------------------------------------


def _three_parts() -> list[Part]:
    return [("fs01", 1, _page(3, 1)), ("fs02", 2, _page(4, 502)), ("fs03", 3, _page(5, 0))]


def test_batches_asked_for_with_the_gil_and_by_several_threads() -> None:
    stream = _stream(_three_parts())
    lengths = []

    def ask(how: Callable[[], tuple[int, ArrowArray]]) -> None:
        _, batch = how()
        lengths.append(batch.length)
        batch.give_back()

    for how in (stream.next, stream.next_with_the_gil, stream.next):
        thread = threading.Thread(target=ask, args=(how,))
        thread.start()
        thread.join()
    assert lengths == [3, 4, 5]
    stream.give_back()


_IN_USE = "the stream is in use: whoever asked it for a batch has not got it yet"


def _fleet_of(pages: Iterator[SessionPage]) -> object:
    return _netsession.arrow_fleet_stream(("fs01", 1, page) for page in pages)


def _listing_of(pages: Iterator[SessionPage]) -> object:
    return _netsession.arrow_stream(502, None, pages)


both_streams = pytest.mark.parametrize("make", [_fleet_of, _listing_of], ids=["fleet", "listing"])


class _Calls:
    """Calls a function for each page; no generator, which Python would not enter twice."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call = call
        self.left = 2

    def __iter__(self) -> _Calls:
        return self

    def __next__(self) -> SessionPage:
        self.left -= 1
        if self.left < 0:
            raise StopIteration
        self.call()
        return _page(3)


@both_streams
@pytest.mark.parametrize("how", ["next", "next_with_the_gil"])
def test_a_stream_asked_by_what_it_asks(make: Callable[[Any], object], how: str) -> None:
    told = []

    def ask() -> None:
        error, batch = getattr(stream, how)()
        told.append((error, batch.is_released, stream.last_error()))

    stream = consumer.take(ArrowArrayStream, make(_Calls(ask)))
    assert [batch.length for batch in consumer.drain(stream)] == [3, 3]  # none the worse for it
    assert told == [(errno.EBUSY, True, _IN_USE)] * 2
    stream.give_back()


@both_streams
@pytest.mark.parametrize("then", ["page", "error"])
def test_a_stream_released_by_what_it_asks(
    make: Callable[[Any], object], then: str, simulate: Callable[..., Any]
) -> None:
    server, simulator = simulate(5)
    kept = _pages(server, 502)

    def release() -> None:
        stream.give_back()
        kept.clear()
        if then == "error":
            raise ValueError("too late")

    pages: Any = _Calls(release)
    pages.kept = kept
    stream = consumer.take(ArrowArrayStream, make(pages))
    get_next, array = stream.get_next, ArrowArray()
    assert get_next(ctypes.byref(stream), ctypes.byref(array)) == 0
    assert stream.is_released
    assert array.is_released == (then == "error")
    if not array.is_released:
        assert array.length == 3
        array.give_back()
    assert simulator.outstanding == 0


@both_streams
def test_a_stream_asked_while_another_thread_waits_for_it(make: Callable[[Any], object]) -> None:
    waits, goes_on = threading.Event(), threading.Event()
    pages = _Calls(lambda: (waits.set(), goes_on.wait()))
    stream = consumer.take(ArrowArrayStream, make(pages))
    lengths = []

    def ask() -> None:
        _, batch = stream.next()
        lengths.append(batch.length)
        batch.give_back()

    thread = threading.Thread(target=ask)
    thread.start()
    waits.wait()
    error, batch = stream.next()
    assert (error, batch.is_released, stream.last_error()) == (errno.EBUSY, True, _IN_USE)
    goes_on.set()
    thread.join()
    assert lengths == [3]
    assert stream.next()[1].length == 3
    stream.give_back()


@pytest.mark.skipif(sys.platform == "win32", reason="starts a native thread with pthread_create")
def test_a_thread_that_python_does_not_know_releases(simulate: Callable[..., Any]) -> None:
    server, simulator = simulate(1000, 300)
    pages = _pages(server, 502)
    stream = _stream([("fs01", 1, page) for page in pages])
    del pages
    stream.next()[1].give_back()
    assert simulator.outstanding == 4
    libc = ctypes.CDLL(None)
    thread = ctypes.c_ulong()
    release = ctypes.cast(stream.release, ctypes.c_void_p)
    assert libc.pthread_create(ctypes.byref(thread), None, release, ctypes.byref(stream)) == 0
    assert libc.pthread_join(thread, None) == 0
    assert stream.is_released
    assert simulator.outstanding == 0


@pytest.mark.skipif(sys.version_info < (3, 13), reason="ctypes in sub-interpreters is of 3.13")
def test_a_stream_of_another_interpreter() -> None:
    """It serves threads of the main interpreter, with and without their GIL."""
    output = output_of(
        """
        import ctypes, threading, _interpreters
        import arrow_consumer as consumer
        interpreter = _interpreters.create("isolated", reqrefs=False)
        place = (consumer.ArrowArrayStream * 1)()
        failure = _interpreters.exec(interpreter, '''
        import ctypes
        import arrow_consumer as consumer
        from netsession import _netsession
        from netsession.testing import simulated_server
        server = simulated_server(1000, page_entries=100)
        parts = (("fs01", 1, page) for page in server.sessions().pages())
        stream = consumer.take(consumer.ArrowArrayStream, _netsession.arrow_fleet_stream(parts))
        ctypes.memmove(%d, ctypes.byref(stream), ctypes.sizeof(stream))
        ''' % ctypes.addressof(place))
        assert failure is None, failure.formatted
        stream = place[0]
        lengths = []
        def ask(next):
            error, batch = next()
            assert error == 0, stream.last_error()
            lengths.append(batch.length)
            batch.give_back()
        ask(stream.next)
        ask(stream.next_with_the_gil)
        for next in (stream.next, stream.next_with_the_gil):
            thread = threading.Thread(target=ask, args=(next,))
            thread.start()
            thread.join()
        stream.give_back()
        _interpreters.destroy(interpreter)
        print(lengths)
        """
    )
    assert output.strip() == "[100, 100, 100, 100]"


def test_a_batch_is_built_without_the_gil() -> None:
    """Another thread gets on meanwhile, though nobody is made to yield the GIL."""
    page = _page(200_000)
    with counting_beside() as counted:
        most = 0
        for _ in range(50):
            stream = _stream([("fs01", 1, page)])
            before = counted()
            _, batch = stream.next_with_the_gil()
            most = max(most, counted() - before)
            batch.give_back()
            stream.give_back()
        assert most > 0


# --- memory ---------------------------------------------------------------------------------------

_LEAK_PARTS = [
    *_three_parts(),
    ("fs04", 4, _netsession.page_from_records(0, [("a",)] * 200 + [("b" * 9000,)], 0, 0, False)),
]


def _schemas() -> None:
    consumer.take(ArrowSchema, _netsession.arrow_fleet_schema()).give_back()
    _netsession.arrow_fleet_schema()


def _unused_streams() -> None:
    Fleet(_LEAK_PARTS).__arrow_c_stream__()


def _used_streams() -> None:
    stream = _stream(_LEAK_PARTS)
    stream.schema().give_back()
    assert sum(batch.length for batch in consumer.drain(stream)) == 213
    stream.give_back()


def _streams_left_in_the_middle() -> None:
    stream = _stream(_LEAK_PARTS, text_limit=10_000)
    stream.next()[1].give_back()
    stream.give_back()


def _streams_of_nonsense() -> None:
    for part in (("s" * 1000, 1, None), ("s" * 1000, 1 << 70, _PAGE), ("s" * 1000, 1.5, _PAGE)):
        stream = _stream([("s" * 1000, 1, _PAGE[:0]), part])
        assert stream.next()[0] == errno.EIO
        stream.give_back()


def _streams_released_while_asked() -> None:
    stream = consumer.take(ArrowArrayStream, _fleet_of(_Calls(lambda: stream.give_back())))
    get_next, array = stream.get_next, ArrowArray()
    assert get_next(ctypes.byref(stream), ctypes.byref(array)) == 0
    array.give_back()


OPERATIONS = (
    *(_schemas, _unused_streams, _used_streams, _streams_left_in_the_middle),
    *(_streams_of_nonsense, _streams_released_while_asked),
)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm, as Linux has it")
def test_nothing_leaks() -> None:
    """In a process of its own, where no other test's memory comes back meanwhile."""
    output = output_of(
        """
        import leaks, test_arrow_fleet
        for operation in test_arrow_fleet.OPERATIONS:
            print(operation.__name__, leaks.leaked(operation))
        """
    )
    grown = {line.split()[0]: int(line.split()[1]) for line in output.splitlines()}
    assert len(grown) == len(OPERATIONS)
    assert {name: size for name, size in grown.items() if size > NOISE} == {}


# Streams whose allocations fail: each in turn, with all that follow it and alone. Either they give
# what they should or they say that there is no memory, and nothing of theirs stays.
_SHORT_OF_MEMORY = """
import ctypes, errno, gc, sys
import arrow_consumer as consumer
from arrow_consumer import ArrowArray, ArrowArrayStream, ArrowSchema
from netsession import _netsession

long = _netsession.page_from_records(0, [("a",)] * 200 + [("b" * 9000,)], 0, 0, False)
page = _netsession.page_from_records(10, [("zoë", None, 1, 2)] * 3, 0, 0, False)
parts = ("fs01", 1, page), ("fs" * 100, 2, long), ("fs03", 3, page[:0]), ("fs04", 4, page)

class Fails:
    def __iter__(self):
        return self
    def __next__(self):
        raise error

error = ValueError("x" * 100)
FOREVER = 1 << 60

class Window:  # what asks for memory, and the allocations within that fail
    def __init__(self, first, last):
        self.first, self.last, self.asked = first, last, 0
    def __enter__(self):
        last = self.last if self.last == FOREVER else self.last - self.asked
        arm(self.first - self.asked, last)
    def __exit__(self, *exception):
        self.asked += disarm()

def schema_error(stream, window):
    schema = ArrowSchema()
    get_schema, arguments = stream.get_schema, (ctypes.byref(stream), ctypes.byref(schema))
    with window:
        error = get_schema(*arguments)
    if error == 0:
        assert len(consumer.fields(schema)) == 11
        schema.give_back()
    assert schema.is_released
    return error

def batch_length(stream, window):  # or what get_next returned instead of a batch
    array = ArrowArray()
    get_next, arguments = stream.get_next, (ctypes.byref(stream), ctypes.byref(array))
    with window:
        error = get_next(*arguments)
    if array.is_released:
        return "error %d" % error
    assert error == 0
    length = array.length
    array.give_back()
    return length

def attempt(items, window):
    items = iter(items)
    try:
        with window:
            capsule = _netsession.arrow_fleet_stream(items)
    except MemoryError:
        return "none made"
    stream = consumer.content(ArrowArrayStream, capsule)
    results = [schema_error(stream, window)]
    while not isinstance(results[-1], str):
        results.append(batch_length(stream, window))
    if results[-1] != "error 0":  # and it stays failed
        assert batch_length(stream, Window(FOREVER, FOREVER)) == results[-1]
    return results

def references():
    gc.collect()
    return [sys.getrefcount(thing) for thing in (page, long, error, *parts)]

NO_MEMORY = "error %d" % errno.ENOMEM
for items, whole in (
    (parts, [0, 3, 201, 3, "error 0"]),
    (Fails(), [0, "error %d" % errno.EIO]),
    ((1,), [0, "error %d" % errno.EIO]),
):
    window = Window(FOREVER, FOREVER)
    assert attempt(items, window) == whole
    assert window.asked >= least, window.asked
    error.__traceback__ = None
    before = references()
    for first in range(window.asked):
        for last in (first, FOREVER):
            results = attempt(items, Window(first, last))
            error.__traceback__ = None
            assert live() == 0, results
            if results == "none made" or results == whole:
                continue
            assert results[0] in (0, errno.ENOMEM), results
            assert results[-1] in (NO_MEMORY, whole[-1]), results
            lengths = results[1:-1]
            assert lengths == whole[1:][:len(lengths)], results
            assert results[0] == errno.ENOMEM or results[-1] == NO_MEMORY, results
    assert references() == before, (references(), before)
print("all of them")
"""

_LEAST = """
least = 2 + 12 + 1  # capsule and stream, a schema of twelve blocks, a batch or a message
"""


def test_c_allocations_that_fail(failing_library: str) -> None:
    output = output_of(
        failing_malloc.SCRIPT + _LEAST + _SHORT_OF_MEMORY,
        failing_library,
        LD_PRELOAD=failing_library,
    )
    assert output == "all of them\n"


# --- consumers of the world -----------------------------------------------------------------------


def _dicts(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """The rows with values as Python has them."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    rows = []
    for server, collected_at, *fields, level in _expected(parts):
        row = {"server": server, "collected_at": epoch + timedelta(microseconds=collected_at)}
        row |= {n: python_value(n, v) for n, v in zip(FORMATS, fields, strict=True)}
        rows.append(row | {"level": level})
    return rows


def test_pyarrow(mixture: list[Part]) -> None:
    pyarrow = import_consumer("pyarrow")
    table = pyarrow.table(Fleet(mixture))
    table.validate(full=True)
    assert table.to_pylist() == _dicts(mixture)
    text, number, duration = pyarrow.string(), pyarrow.uint32(), pyarrow.duration("s")
    assert table.schema.equals(
        pyarrow.schema(
            [
                pyarrow.field("server", text, nullable=False),
                pyarrow.field("collected_at", pyarrow.timestamp("us", "UTC"), nullable=False),
                *(pyarrow.field(n, text) for n in ("client_name", "user_name")),
                pyarrow.field("num_opens", number),
                *(pyarrow.field(n, duration) for n in ("active_time", "idle_time")),
                pyarrow.field("user_flags", number),
                *(pyarrow.field(n, text) for n in ("client_type", "transport")),
                pyarrow.field("level", pyarrow.uint16(), nullable=False),
            ]
        ),
        check_metadata=True,
    )
    assert pyarrow.table(Fleet([])).schema.equals(table.schema)


def test_pyarrow_joins_tables_of_different_levels(mixture: list[Part]) -> None:
    pyarrow = import_consumer("pyarrow")
    tables = [
        pyarrow.table(Fleet([part for part in mixture if part[2].level == level]))
        for level in LEVELS
    ]
    joined = pyarrow.concat_tables([*tables, pyarrow.table(Fleet([]))])
    joined.validate(full=True)
    in_order = [part for level in LEVELS for part in mixture if part[2].level == level]
    assert joined.to_pylist() == _dicts(in_order)


def test_pyarrow_casts_to_another_schema(mixture: list[Part]) -> None:
    pyarrow = import_consumer("pyarrow")
    schema = pyarrow.table(Fleet([])).schema
    wanted = schema.set(0, pyarrow.field("server", pyarrow.large_string(), nullable=False))
    wanted = wanted.set(5, pyarrow.field("active_time", pyarrow.duration("us")))
    table = pyarrow.table(Fleet(mixture), schema=wanted)
    assert table.schema.equals(wanted)
    assert table.to_pylist() == _dicts(mixture)


def test_pyarrow_writes_and_reads_parquet(mixture: list[Part], tmp_path: Path) -> None:
    pyarrow = import_consumer("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table(Fleet(mixture)), tmp_path / "sessions.parquet")
    assert parquet.read_table(tmp_path / "sessions.parquet").to_pylist() == _dicts(mixture)


def test_pyarrow_tells_what_parts_raise(mixture: list[Part]) -> None:
    pyarrow = import_consumer("pyarrow")

    def parts() -> Iterator[Part]:
        yield from mixture
        raise netsession.AccessDenied(5, "fs02", "NetSessionEnum")

    with pytest.raises(OSError, match=r"AccessDenied: .*fs02"):
        pyarrow.table(Fleet(parts()))
    with pytest.raises(OSError, match="TypeError: server must be a str, not int"):
        pyarrow.table(Fleet([(1, 2, _PAGE)]))


def test_pyarrow_reader_used_by_what_it_reads() -> None:
    pyarrow = import_consumer("pyarrow")
    told = []

    def ask() -> None:
        with pytest.raises(OSError, match="the stream is in use") as caught:
            reader.read_next_batch()
        told.append(caught)

    class Asks:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return _fleet_of(_Calls(ask))

    reader = pyarrow.RecordBatchReader.from_stream(Asks())
    assert reader.read_all().num_rows == 6
    assert len(told) == 2


def test_polars(mixture: list[Part]) -> None:
    polars = import_consumer("polars")
    frame = polars.DataFrame(Fleet(mixture))
    assert frame.to_dicts() == _dicts(mixture)
    assert frame.schema["collected_at"] == polars.Datetime("us", "UTC")
    assert frame.schema["level"] == polars.UInt16
    # What has no type of pyarrow's is a Series of structs there.
    assert polars.from_arrow(Fleet(mixture)).struct.unnest().equals(frame)
    assert polars.DataFrame(Fleet([])).schema == frame.schema
    joined = polars.concat([polars.DataFrame(Fleet([part])) for part in mixture])
    assert joined.equals(frame)


def test_duckdb(mixture: list[Part]) -> None:
    duckdb = import_consumer("duckdb")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    fleet = Fleet(mixture)  # noqa: F841 - DuckDB finds it by its name
    # As text: DuckDB makes Python datetimes only where pytz is installed.
    times = "strftime(collected_at, '%Y-%m-%dT%H:%M:%S.%f+00:00')"
    query = f"SELECT * REPLACE ({times} AS collected_at) FROM fleet"
    expected = [
        tuple((r | {"collected_at": r["collected_at"].isoformat(timespec="microseconds")}).values())
        for r in _dicts(mixture)
    ]
    assert connection.sql(query).fetchall() == expected
    counted = connection.sql(
        "SELECT server, level, count(*), count(num_opens), count(user_name)"
        " FROM fleet GROUP BY ALL ORDER BY level"
    ).fetchall()
    assert counted == [
        (
            f"fs{level:03}.corp.example",
            level,
            len(rows := [r for r in expected if r[-1] == level]),
            sum(r[4] is not None for r in rows),
            sum(r[3] is not None for r in rows),
        )
        for level in LEVELS
    ]
    assert connection.sql("DESCRIBE SELECT collected_at, level FROM fleet").fetchall()[0][1] == (
        "TIMESTAMP WITH TIME ZONE"
    )
    connection.close()


def test_pandas(mixture: list[Part]) -> None:
    pandas = import_consumer("pandas", 3)
    import_consumer("pyarrow")
    expected = _dicts(mixture)
    frame = pandas.DataFrame.from_arrow(Fleet(mixture))
    assert list(frame.columns) == [name for name, _ in COLUMNS]
    for name in frame.columns:
        values = [None if pandas.isna(value) else value for value in frame[name]]
        assert values == [row[name] for row in expected]
