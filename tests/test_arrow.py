"""Columns: the Arrow export of pages and listings, value by value against the records."""

from __future__ import annotations

import ctypes
import errno
import gc
import itertools
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import arrow_consumer as consumer
import netsession
from arrow_consumer import ArrowArray, ArrowArrayStream, ArrowSchema
from arrow_values import (
    FORMATS,
    LEVELS,
    UNKNOWN,
    arrow_value,
    expected_rows,
    import_consumer,
    odd_sessions,
    python_value,
)
from fresh_python import output_of
from gil import counting_beside
from leaks import NOISE
from netapi_table import Table
from netsession import AccessDenied, SessionPage, _netsession
from netsession.testing import simulated_server


@pytest.fixture(scope="module")
def odd() -> netsession.Server:
    return simulated_server(odd_sessions())


def _page(server: netsession.Server, level: int = 502) -> SessionPage:
    return next(server.sessions(level=level).pages())


def _rows(page: SessionPage) -> list[tuple[str | int | None, ...]]:
    schema_capsule, array_capsule = page.__arrow_c_array__()
    return consumer.rows(
        consumer.content(ArrowSchema, schema_capsule), consumer.content(ArrowArray, array_capsule)
    )


# --- schema -------------------------------------------------------------------------------------


def _check_schema(schema: ArrowSchema, level: int) -> None:
    names = _page(simulated_server(1), level)[0]._fields
    assert schema.format == b"+s"
    assert consumer.fields(schema) == [(name, FORMATS[name]) for name in names]
    assert consumer.metadata(schema) == {b"netsession.level": str(level).encode()}
    for i in range(schema.n_children):
        child = schema.children[i].contents
        assert consumer.metadata(child) == consumer.metadata(schema)
        assert child.flags == 2  # ARROW_FLAG_NULLABLE


@pytest.mark.parametrize("level", LEVELS)
def test_the_schema_has_the_fields_of_the_level(level: int) -> None:
    server = simulated_server(3)
    page = _page(server, level)
    listing = server.sessions(level=level)
    stream = consumer.take(ArrowArrayStream, listing.__arrow_c_stream__())
    of_stream = stream.schema()
    for capsule in (
        page.__arrow_c_schema__(),
        page.__arrow_c_array__()[0],
        listing.__arrow_c_schema__(),
    ):
        _check_schema(consumer.content(ArrowSchema, capsule), level)
    stream.give_back()
    _check_schema(of_stream, level)  # it does not need the stream
    of_stream.give_back()


def test_the_schema_of_a_listing_is_that_of_the_granted_level() -> None:
    server = simulated_server(3)
    server.refuse(502)
    server.refuse(2)
    listing = server.sessions()
    _check_schema(consumer.content(ArrowSchema, listing.__arrow_c_schema__()), 1)
    stream = consumer.take(ArrowArrayStream, listing.__arrow_c_stream__())
    schema = stream.schema()
    _check_schema(schema, 1)
    schema.give_back()
    stream.give_back()


@pytest.mark.parametrize("filters", [{}, {"client": "nobody"}, {"user": "nobody"}])
@pytest.mark.parametrize("level", [None, 0, 10])
def test_a_listing_of_nothing_has_its_schema_too(
    level: int | None, filters: dict[str, str]
) -> None:
    server = simulated_server(5 if filters else 0)
    server.refuse(502)
    listing = server.sessions(level=level, **filters)  # type: ignore[arg-type]
    stream = consumer.take(ArrowArrayStream, listing.__arrow_c_stream__())
    assert [batch.length for batch in consumer.drain(stream)] in ([], [0])
    schema = stream.schema()
    _check_schema(schema, 2 if level is None else level)
    schema.give_back()
    stream.give_back()
    fresh = server.sessions(level=level, **filters)  # type: ignore[arg-type]
    _check_schema(
        consumer.content(ArrowSchema, fresh.__arrow_c_schema__()), 2 if level is None else level
    )


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_every_value_of_every_level(odd: netsession.Server, level: int) -> None:
    page = _page(odd, level)
    assert len(page) > 128  # more than one part, as src/arrow_batch.c divides pages
    assert _rows(page) == expected_rows(page)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 127, 128, 129, 5000])
def test_every_number_of_rows(level: int, count: int) -> None:
    page = _page(simulated_server(count), level)
    assert _rows(page) == expected_rows(page)
    assert len(_rows(page)) == count


def test_slices_and_filtered_pages(odd: netsession.Server) -> None:
    page = _page(odd)
    slices = (slice(5), slice(-7, None), slice(None, None, 3), slice(None, None, -1), slice(3, 3))
    for part in slices:
        assert _rows(page[part]) == expected_rows(page)[part]
    even = page.filter(lambda record: record.num_opens == 1)
    assert 0 < len(even) < len(page)
    assert _rows(even) == [row for row in expected_rows(page) if row[2] == 1]


def test_a_page_from_the_wire() -> None:
    """Its strings lie in the reply's stub."""
    stub = struct.pack("<12I", 10, 10, 1, 1, 1, 1, 1, 0, 7, 8, 2, 0)
    stub += struct.pack("<IHHIIII", 2, 0xE9, 0, 1, 0, 0, 0)
    page = _netsession.decode_enum_response(stub)[3]
    assert page is not None
    assert _rows(page) == [("é", None, 7, 8)]


def test_a_batch_outlives_page_and_server() -> None:
    server = simulated_server(1000)
    page = _page(server)
    expected = expected_rows(page)
    schema_capsule, array_capsule = page.__arrow_c_array__()
    del page, server
    gc.collect()
    schema = consumer.content(ArrowSchema, schema_capsule)
    assert consumer.rows(schema, consumer.content(ArrowArray, array_capsule)) == expected


def test_a_column_that_starts_short_and_goes_on_long() -> None:
    """The room that the first rows suggest is far too little, or far too much."""
    for texts in (["a"] * 200 + ["b" * 10000] * 50, ["b" * 10000] * 50 + ["a"] * 200):
        page = _page(simulated_server([{"client_name": text} for text in texts]), 0)
        assert _rows(page) == [(text,) for text in texts]


@pytest.mark.parametrize("before", range(4))
def test_text_stays_in_its_room(before: int) -> None:
    """Whatever is left of the room where text outgrows it: behind lie the next column's nulls."""
    texts = ["a" * 5] * 128 + ["b" * before + "\u5c71" * 200] * 8  # room for 136 times 7 and 8
    sessions = [{"client_name": text, "user_name": None} for text in texts]
    page = _page(simulated_server(sessions), 1)
    assert _rows(page) == expected_rows(page)
    assert [row[:2] for row in _rows(page)] == [(text, None) for text in texts]


# --- who owns what ------------------------------------------------------------------------------

_STEPS = ("array capsule", "schema capsule", "array", "schema", "text child", "number child")


def _release_in_order(page: SessionPage, order: tuple[str, ...]) -> None:
    expected = expected_rows(page)
    schema_capsule, array_capsule = page.__arrow_c_array__()
    owned: dict[str, Any] = {"array capsule": array_capsule, "schema capsule": schema_capsule}
    del schema_capsule, array_capsule
    schema = owned["schema"] = consumer.take(ArrowSchema, owned["schema capsule"])
    array = owned["array"] = consumer.take(ArrowArray, owned["array capsule"])
    text = owned["text child"] = consumer.move(ArrowArray, array.children[0].contents)
    number = owned["number child"] = consumer.move(ArrowArray, array.children[2].contents)
    field = consumer.move(ArrowSchema, schema.children[0].contents)
    for step in order:
        if not text.is_released:
            assert consumer.column("u", text) == [row[0] for row in expected]
        if not number.is_released:
            assert consumer.column("I", number) == [row[2] for row in expected]
        assert (field.name, consumer.metadata(field)[b"netsession.level"]) == (
            b"client_name",
            b"502",
        )
        structure = owned.pop(step)
        if isinstance(structure, ArrowArray | ArrowSchema):
            structure.give_back()
            assert structure.is_released
    field.give_back()


def test_every_order_of_release(odd: netsession.Server) -> None:
    page = _page(odd)[:40]
    for order in itertools.permutations(_STEPS):
        _release_in_order(page, order)


def test_the_stream_and_what_it_gave_are_released_in_any_order() -> None:
    for order in itertools.permutations(("stream", "schema", "batch")):
        server = simulated_server(10)
        stream = consumer.take(ArrowArrayStream, server.sessions().__arrow_c_stream__())
        _, batch = stream.next()
        owned = {"stream": stream, "schema": stream.schema(), "batch": batch}
        for name in order:
            owned.pop(name).give_back()
        assert server._simulator.outstanding == 0


def test_a_capsule_moved_out_of_does_not_release_again() -> None:
    page = _page(simulated_server(3))
    capsule = page.__arrow_c_stream__()
    stream = consumer.take(ArrowArrayStream, capsule)
    del capsule
    assert [batch.length for batch in consumer.drain(stream)] == [3]
    stream.give_back()


@pytest.mark.parametrize("fetched", [0, 1, 2])
def test_a_stream_left_in_the_middle_frees_its_pages(
    simulate: Callable[..., Any], fetched: int
) -> None:
    server, simulator = simulate(1000, 300)
    capsule = server.sessions().__arrow_c_stream__()
    stream = consumer.content(ArrowArrayStream, capsule)
    for _ in range(fetched):
        stream.next()[1].give_back()
    del capsule, stream
    assert simulator.outstanding == 0


_PAGE_OF_SHORT = simulated_server([{"client_name": "a"}] * 200)
_PAGE_OF_LONG = simulated_server([{"client_name": "a"}] * 200 + [{"client_name": "b" * 9000}])
_PAGES = simulated_server(300, page_entries=100)


def _schemas() -> None:
    _page(_PAGE_OF_SHORT).__arrow_c_schema__()
    consumer.take(ArrowSchema, _PAGES.sessions(level=2).__arrow_c_schema__()).give_back()


def _batches() -> None:
    _page(_PAGE_OF_SHORT).__arrow_c_array__()


def _batches_with_text_that_moved() -> None:
    _page(_PAGE_OF_LONG, 0).__arrow_c_array__()


def _unused_streams() -> None:
    _PAGES.sessions().__arrow_c_stream__()


def _used_streams() -> None:
    stream = consumer.take(ArrowArrayStream, _PAGES.sessions().__arrow_c_stream__())
    stream.schema().give_back()
    assert sum(batch.length for batch in consumer.drain(stream)) == 300
    stream.give_back()


def _failed_streams() -> None:
    pages = _raise(ValueError("x" * 1000))
    stream = consumer.take(ArrowArrayStream, _netsession.arrow_stream(502, None, pages))
    assert stream.next()[0] == errno.EIO
    stream.give_back()


def _moved_children() -> None:
    _release_in_order(_page(_PAGES)[:3], _STEPS)


_OPERATIONS = (
    *(_schemas, _batches, _batches_with_text_that_moved, _unused_streams, _used_streams),
    *(_failed_streams, _moved_children),
)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm, as Linux has it")
def test_nothing_leaks() -> None:
    """In a process of its own, where no other test's memory comes back meanwhile."""
    output = _run(
        """
        import leaks, test_arrow
        for operation in test_arrow._OPERATIONS:
            print(operation.__name__, leaks.leaked(operation))
        """
    )
    grown = {line.split()[0]: int(line.split()[1]) for line in output.splitlines()}
    assert len(grown) == len(_OPERATIONS)
    assert {name: size for name, size in grown.items() if size > NOISE} == {}


# --- streams ------------------------------------------------------------------------------------


def test_pages_are_fetched_when_they_are_asked_for(simulate: Callable[..., Any]) -> None:
    server, simulator = simulate(1000, 300)
    stream = consumer.take(ArrowArrayStream, server.sessions(level=502).__arrow_c_stream__())
    assert simulator.calls("NetSessionEnum") == 1  # the first page settles the level
    lengths, calls = [], []
    for batch in consumer.drain(stream):
        lengths.append(batch.length)
        calls.append(simulator.calls("NetSessionEnum"))
    assert lengths == [300, 300, 300, 100]
    assert calls == [1, 2, 3, 4]
    assert stream.next()[1].is_released  # it stays at its end
    assert simulator.calls("NetSessionEnum") == 4
    stream.give_back()


@pytest.mark.parametrize("level", LEVELS)
def test_a_stream_gives_what_iterating_gives(level: int) -> None:
    server = simulated_server(2000, page_entries=150)
    expected = [row for page in server.sessions(level=level).pages() for row in expected_rows(page)]
    stream = consumer.take(ArrowArrayStream, server.sessions(level=level).__arrow_c_stream__())
    schema = stream.schema()
    found = [row for batch in consumer.drain(stream) for row in consumer.rows(schema, batch)]
    assert found == expected
    schema.give_back()
    stream.give_back()


def test_a_refusal_of_the_first_page_raises() -> None:
    server = simulated_server(3)
    server.fail("NetSessionEnum", 5)
    with pytest.raises(AccessDenied):
        server.sessions(level=502).__arrow_c_stream__()
    with pytest.raises(AccessDenied):
        server.sessions().__arrow_c_schema__()


def test_a_later_failure_is_the_streams_error() -> None:
    server = simulated_server(1000, page_entries=300)
    server.fail("NetSessionEnum", 5, after=2, times=1)
    stream = consumer.take(ArrowArrayStream, server.sessions(level=502).__arrow_c_stream__())
    assert [stream.next()[1].length for _ in range(2)] == [300, 300]
    for _ in range(3):  # it never turns into an end
        error, array = stream.next()
        assert (error, array.is_released) == (errno.EACCES, True)
        message = stream.last_error()
        assert message.startswith("netsession.errors.AccessDenied: ") or message.startswith(
            "AccessDenied: "
        )
        assert "simulated" in message  # the server's name
    stream.give_back()


class _Odd(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def _raise(error: BaseException) -> Iterator[SessionPage]:
    raise error
    yield


#: C's number: on Windows, Python's errno.ETIMEDOUT is that of the sockets.
_ETIMEDOUT = 138 if sys.platform == "win32" else errno.ETIMEDOUT


@pytest.mark.parametrize(
    ("error", "number", "message"),
    [
        (MemoryError(), errno.ENOMEM, "MemoryError: "),
        (TimeoutError("too late"), _ETIMEDOUT, "TimeoutError: too late"),
        (ValueError("zoë \ud800"), errno.EIO, "ValueError: zoë \\ud800"),
        (_Odd(), errno.EIO, "_Odd"),
    ],
    ids=["MemoryError", "TimeoutError", "surrogate", "no text"],
)
def test_what_pages_raise(error: Exception, number: int, message: str) -> None:
    stream = consumer.take(ArrowArrayStream, _netsession.arrow_stream(502, None, _raise(error)))
    assert stream.next()[0] == number
    assert stream.last_error() == message
    stream.give_back()


def test_an_interrupt_reaches_the_consumers_caller() -> None:
    pages = _raise(KeyboardInterrupt())
    stream = consumer.take(ArrowArrayStream, _netsession.arrow_stream(502, None, pages))
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupted = False
    try:
        stream.next()
        time.sleep(1)  # not reached
    except KeyboardInterrupt:
        interrupted = True
    finally:
        signal.signal(signal.SIGINT, handler)
    assert interrupted
    assert stream.last_error() == "KeyboardInterrupt: "
    stream.give_back()


def test_pages_that_do_not_belong_together() -> None:
    server = simulated_server(3)
    for other in (_page(server, 1), "page", None):
        pages = iter([_page(server), other])
        stream = consumer.take(
            ArrowArrayStream,
            _netsession.arrow_stream(502, None, pages),  # type: ignore[arg-type]
        )
        error, batch = stream.next()
        assert error == 0
        batch.give_back()
        assert stream.next()[0] == errno.EIO
        assert "SessionPage objects of level 502" in stream.last_error()
        stream.give_back()


def test_arguments() -> None:
    page = _page(simulated_server(1))
    with pytest.raises(ValueError, match="level"):
        _netsession.arrow_schema(3)
    with pytest.raises(TypeError, match="level"):
        _netsession.arrow_schema(None)
    with pytest.raises(TypeError, match="pages must be an iterator, not list"):
        _netsession.arrow_stream(502, None, [page])  # type: ignore[arg-type]


# --- threads and interpreters -------------------------------------------------------------------


def test_batches_asked_for_by_a_thread_that_keeps_the_gil() -> None:
    server = simulated_server(1000, page_entries=300)
    stream = consumer.take(ArrowArrayStream, server.sessions().__arrow_c_stream__())
    lengths = []
    while True:
        error, batch = stream.next_with_the_gil()
        assert error == 0
        if batch.is_released:
            break
        lengths.append(batch.length)
        batch.give_back()
    assert lengths == [300, 300, 300, 100]
    stream.give_back()


def test_batches_asked_for_by_several_threads_in_turn() -> None:
    server = simulated_server(1000, page_entries=100)
    stream = consumer.take(ArrowArrayStream, server.sessions().__arrow_c_stream__())
    lengths = []

    def ask() -> None:
        _, batch = stream.next()
        lengths.append(batch.length)
        batch.give_back()

    for _ in range(10):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert lengths == [100] * 10
    stream.give_back()


@pytest.mark.skipif(sys.platform == "win32", reason="starts a native thread with pthread_create")
def test_a_thread_that_python_does_not_know_releases(simulate: Callable[..., Any]) -> None:
    server, simulator = simulate(1000, 300)
    stream = consumer.take(ArrowArrayStream, server.sessions().__arrow_c_stream__())
    assert simulator.outstanding == 1
    libc = ctypes.CDLL(None)
    thread = ctypes.c_ulong()
    release = ctypes.cast(stream.release, ctypes.c_void_p)
    assert libc.pthread_create(ctypes.byref(thread), None, release, ctypes.byref(stream)) == 0
    assert libc.pthread_join(thread, None) == 0
    assert stream.is_released
    assert simulator.outstanding == 0


def test_batches_are_built_without_the_gil() -> None:
    """Another thread gets on meanwhile, though nobody is made to yield the GIL."""
    page = _page(simulated_server(200_000))
    with counting_beside() as counted:
        most = 0
        for _ in range(50):
            before = counted()
            page.__arrow_c_array__()
            most = max(most, counted() - before)
        assert most > 0


_run = partial(output_of, timeout=120)


@pytest.mark.skipif(sys.platform == "win32", reason="registers with the C library's atexit list")
def test_a_stream_released_after_python_has_ended() -> None:
    """As a consumer does that keeps it in a static object."""
    output = _run(
        """
        import ctypes
        import arrow_consumer as consumer
        from netsession.testing import simulated_server
        server = simulated_server(100, page_entries=10)
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        stream = consumer.take(consumer.ArrowArrayStream, server.sessions().__arrow_c_stream__())
        size = ctypes.sizeof(stream)
        place = libc.malloc(ctypes.c_size_t(size))
        ctypes.memmove(place, ctypes.byref(stream), size)
        release = ctypes.cast(stream.release, ctypes.c_void_p)
        assert libc.__cxa_atexit(release, ctypes.c_void_p(place), ctypes.c_void_p(place)) == 0
        print("registered")
        """
    )
    assert output.split() == ["registered"]


@pytest.mark.skipif(sys.version_info < (3, 13), reason="ctypes in sub-interpreters is of 3.13")
def test_a_stream_of_another_interpreter() -> None:
    """It serves threads of the main interpreter, with and without their GIL."""
    output = _run(
        """
        import ctypes, threading, _interpreters
        import arrow_consumer as consumer
        interpreter = _interpreters.create("isolated", reqrefs=False)
        place = (consumer.ArrowArrayStream * 1)()
        failure = _interpreters.exec(interpreter, '''
        import ctypes
        import arrow_consumer as consumer
        from netsession.testing import simulated_server
        server = simulated_server(1000, page_entries=100)
        stream = consumer.take(consumer.ArrowArrayStream, server.sessions().__arrow_c_stream__())
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


# --- memory in proportion to the text -----------------------------------------------------------

_ROWS = 200_000
_LONG = 4_000_000

# Makes the columns of a page with no more address space than a few times what its text takes.
_BOUNDED = """
import os, resource, sys
from netsession import _netsession

rows, long, long_fields, positions, bound = eval(sys.argv[1])
strings = (0, 1, 6, 7)  # the fields that are strings at level 502

def record(row):
    name = "x" * long if row in positions else "n%d" % row
    return tuple(
        (name if i in long_fields else "s") if i in strings else row for i in range(8)
    )

page = _netsession.page_from_records(502, [record(row) for row in range(rows)], 0, 0, False)
with open("/proc/self/statm") as file:
    size = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (size + bound, size + bound))
schema, array = page.__arrow_c_array__()
del schema, array
stream = page.__arrow_c_stream__()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm")
@pytest.mark.parametrize("fields", [(0,), (0, 1, 6, 7)])
@pytest.mark.parametrize(
    "positions", [(0,), (128,), (_ROWS // 2,), (_ROWS - 1,), (0, 128, 300, _ROWS - 1)]
)
def test_reserves_in_proportion_to_the_text(
    fields: tuple[int, ...], positions: tuple[int, ...]
) -> None:
    """One name of megabytes must not be taken for what all the others are like."""
    # Doubled at most, moved at most once more; 64 bytes of a guess, and 21 of the rest, a row.
    bound = 4 * _LONG * len(positions) * len(fields) + _ROWS * (4 * 64 + 100) + (1 << 20)
    argument = repr((_ROWS, _LONG, fields, positions, bound))
    done = subprocess.run(
        [sys.executable, "-c", _BOUNDED, argument], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


# --- more text than 32-bit offsets tell ---------------------------------------------------------

_TEXTS = (None, "", "a", "zoë", "山田", "\U0001f600", "\ud800", "x" * 17, "é" * 9, "y" * 40)


def _texts_page(draw: random.Random, count: int) -> SessionPage:
    def text() -> str | None:
        return draw.choice(_TEXTS)

    rows = [(text(), text(), 1, 2, UNKNOWN, 4, text(), text()) for _ in range(count)]
    return _netsession.page_from_records(502, rows, 0, 0, False)


def _sizes(row: tuple[Any, ...]) -> list[int]:
    """UTF-8 bytes of each string of a row."""
    return [len(v.encode()) if isinstance(v, str) else 0 for v in (*row[:2], *row[6:])]


def _parts(rows: list[tuple[Any, ...]], limit: int) -> list[list[tuple[Any, ...]]]:
    """The rows as batches: each as long as no column's text is above the limit."""
    parts: list[list[tuple[Any, ...]]] = []
    used = [limit + 1]
    for row in rows:
        used = [total + size for total, size in zip(used, _sizes(row), strict=len(used) > 1)]
        if not parts or max(used) > limit:
            parts.append([])
            used = _sizes(row)
        parts[-1].append(row)
    return parts


def _stream_of(page: SessionPage, limit: int) -> ArrowArrayStream:
    capsule = _netsession.arrow_stream(page.level, page, iter(()), text_limit=limit)
    return consumer.take(ArrowArrayStream, capsule)


def test_a_page_with_too_much_text_becomes_several_batches() -> None:
    draw = random.Random(5)
    for _ in range(300):
        page = _texts_page(draw, draw.choice([0, 1, 2, 5, 127, 128, 129, 300]))
        limit = draw.choice([40, 41, 50, 100, 1000, 5000])
        stream = _stream_of(page, limit)
        schema = stream.schema()
        parts = [consumer.rows(schema, batch) for batch in stream.batches()]
        assert parts == (_parts(expected_rows(page), limit) or [[]])
        schema.give_back()
        stream.give_back()


def test_several_pages_with_too_much_text() -> None:
    draw = random.Random(6)
    pages = [_texts_page(draw, count) for count in (300, 0, 1, 200)]
    capsule = _netsession.arrow_stream(502, pages[0], iter(pages[1:]), text_limit=200)
    stream = consumer.take(ArrowArrayStream, capsule)
    schema = stream.schema()
    parts = [consumer.rows(schema, batch) for batch in stream.batches()]
    assert parts == [part for page in pages for part in _parts(expected_rows(page), 200) or [[]]]
    schema.give_back()
    stream.give_back()


@pytest.mark.parametrize("before", [0, 1, 200])
def test_a_string_that_is_above_the_limit_alone(before: int) -> None:
    """No number of batches helps: what comes before it is given, then the stream fails."""
    rows = [("a", "b", 1, 2)] * before + [("a", "x" * 51, 1, 2), ("a", "b", 1, 2)]
    page = _netsession.page_from_records(10, rows, 0, 0, False)
    stream = _stream_of(page, 50)
    if before:
        parts = [stream.next() for _ in range((before + 49) // 50)]
        assert [error for error, _ in parts] == [0] * len(parts)
        assert sum(batch.length for _, batch in parts) == before
    for _ in range(2):  # and it stays failed
        error, batch = stream.next()
        assert error == errno.EOVERFLOW
        assert batch.is_released
    assert "one string alone is above 2 GiB" in stream.last_error()
    assert "__arrow_c_array__" in stream.last_error()
    stream.give_back()
    schema_capsule, array_capsule = _netsession.arrow_array(page, 50)
    schema = consumer.content(ArrowSchema, schema_capsule)
    assert consumer.fields(schema)[1] == ("user_name", "U")
    assert consumer.rows(schema, consumer.content(ArrowArray, array_capsule)) == expected_rows(page)


def test_an_array_with_too_much_text_has_large_strings(odd: netsession.Server) -> None:
    page = _page(odd)
    most = max(sum(sizes) for sizes in zip(*map(_sizes, expected_rows(page)), strict=True))
    for limit, string in ((most, "u"), (most - 1, "U"), (0, "U"), (0xFFFFFFFF, "u")):
        schema_capsule, array_capsule = _netsession.arrow_array(page, limit)
        schema = consumer.content(ArrowSchema, schema_capsule)
        formats = {name: string if f == "u" else f for name, f in FORMATS.items()}
        assert consumer.fields(schema) == list(formats.items())
        assert consumer.metadata(schema) == {b"netsession.level": b"502"}
        assert consumer.rows(schema, consumer.content(ArrowArray, array_capsule)) == expected_rows(
            page
        )


def test_pyarrow_reads_large_strings(odd: netsession.Server) -> None:
    pyarrow = import_consumer("pyarrow")
    page = _page(odd)

    class Large:
        def __arrow_c_array__(self, requested_schema: object = None) -> object:
            return _netsession.arrow_array(page, 100)

    batch = pyarrow.record_batch(Large())
    batch.validate(full=True)
    assert batch.schema.field("user_name").type == pyarrow.large_string()
    assert batch.column("user_name").to_pylist() == [row[1] for row in expected_rows(page)]


def _available_memory() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line)


@pytest.mark.skipif(
    not os.environ.get("NETSESSION_LARGE_TESTS") or _available_memory() < 6 << 30,
    reason="needs NETSESSION_LARGE_TESTS=1 and 6 GiB of free memory",
)
def test_strings_above_2_gib() -> None:
    """A buffer whose entries share one long string, which no stub could have."""
    text = ("a" * (1 << 20) + "\0").encode("utf-16-le")
    entries = (ctypes.c_char_p * 2100)(*[text] * 2100)

    def session_enum(*arguments: Any) -> int:
        arguments[5][0] = ctypes.addressof(entries)
        arguments[7][0] = len(entries)
        return 0

    table = Table(session_enum=session_enum)
    page = next(_netsession.SessionCursor(table.netapi, None, None, None, 0, UNKNOWN))

    stream = consumer.take(ArrowArrayStream, page.__arrow_c_stream__())
    lengths = []
    for batch in stream.batches():
        lengths.append(batch.length)
        assert consumer.offsets(batch.children[0].contents)[-1] == batch.length << 20
        batch.give_back()
    assert lengths == [2047, 53]
    stream.give_back()

    schema_capsule, array_capsule = page.__arrow_c_array__()
    assert consumer.fields(consumer.content(ArrowSchema, schema_capsule)) == [("client_name", "U")]
    column = consumer.content(ArrowArray, array_capsule).children[0].contents
    offsets = consumer.offsets(column, "q")
    assert (len(offsets), offsets[-1]) == (2101, 2100 << 20)
    assert ctypes.string_at(column.buffers[2] + offsets[-1] - 5, 5) == b"aaaaa"
    del array_capsule

    assert len(_rows(page[:2])[0][0]) == 1 << 20  # type: ignore[arg-type]
    del stream, page  # before the table that they call through


# --- a requested schema -------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["__arrow_c_array__", "__arrow_c_stream__"])
def test_a_requested_schema(method: str) -> None:
    server = simulated_server(3)
    page = _page(server)
    same, poorer = page.__arrow_c_schema__(), _page(server, 10).__arrow_c_schema__()
    used = page.__arrow_c_schema__()
    consumer.take(ArrowSchema, used).give_back()
    no_struct = page.__arrow_c_schema__()
    consumer.content(ArrowSchema, no_struct).format = b"+l"
    for exporter in (page, server.sessions()):
        if not hasattr(exporter, method):
            continue
        export = getattr(exporter, method)
        assert export(None) is not None
        assert export(requested_schema=same) is not None
        assert not consumer.content(ArrowSchema, same).is_released  # it stays the caller's
        for other in (poorer, no_struct):
            with pytest.raises(ValueError, match="8 fields of level 502"):
                export(other)
        with pytest.raises(ValueError, match="released already"):
            export(used)
        for wrong in (3, page.__arrow_c_stream__()):
            with pytest.raises(TypeError, match="'arrow_schema'"):
                export(wrong)


# --- consumers of the world ---------------------------------------------------------------------


def _expected_dicts(server: netsession.Server, level: int) -> list[dict[str, Any]]:
    return [
        {
            name: python_value(name, arrow_value(name, value))
            for name, value in record._asdict().items()
        }
        for record in server.sessions(level=level)
    ]


@pytest.fixture(scope="module")
def paged() -> netsession.Server:
    """Odd sessions, in pages."""
    return simulated_server(odd_sessions(), page_entries=100)


@pytest.mark.parametrize("level", LEVELS)
def test_pyarrow(paged: netsession.Server, level: int) -> None:
    pyarrow = import_consumer("pyarrow")
    expected = _expected_dicts(paged, level)
    table = pyarrow.table(paged.sessions(level=level))
    table.validate(full=True)
    assert table.to_pylist() == expected
    assert table.column(0).num_chunks == -(-len(expected) // 100)
    batch = pyarrow.record_batch(_page(paged, level))
    batch.validate(full=True)
    assert batch.to_pylist() == expected[:100]
    assert batch.schema.equals(table.schema, check_metadata=True)
    assert pyarrow.schema(paged.sessions(level=level)).equals(table.schema, check_metadata=True)
    assert table.schema.metadata == {b"netsession.level": str(level).encode()}
    assert table.schema.field(0).metadata == table.schema.metadata


def test_pyarrow_reads_page_by_page(simulate: Callable[..., Any]) -> None:
    pyarrow = import_consumer("pyarrow")
    server, simulator = simulate(1000, 300)
    reader = pyarrow.RecordBatchReader.from_stream(server.sessions(level=502))
    assert reader.read_next_batch().num_rows == 300
    assert simulator.calls("NetSessionEnum") == 1
    assert sum(batch.num_rows for batch in reader) == 700
    assert simulator.calls("NetSessionEnum") == 4
    del reader


def test_pyarrow_tells_the_servers_error() -> None:
    pyarrow = import_consumer("pyarrow")
    server = simulated_server(1000, page_entries=300)
    server.fail("NetSessionEnum", 5, after=1, times=1)
    with pytest.raises(OSError, match=r"AccessDenied: .*simulated"):
        pyarrow.table(server.sessions(level=502))


def test_pyarrow_casts_to_another_schema(paged: netsession.Server) -> None:
    pyarrow = import_consumer("pyarrow")
    listing = paged.sessions(level=10)
    schema = pyarrow.schema(
        [
            ("client_name", pyarrow.large_string()),
            ("user_name", pyarrow.string()),
            ("active_time", pyarrow.duration("us")),
            ("idle_time", pyarrow.duration("s")),
        ]
    )
    table = pyarrow.table(listing, schema=schema)
    assert table.schema.equals(schema)
    assert table.to_pylist() == _expected_dicts(paged, 10)


@pytest.mark.parametrize("level", LEVELS)
def test_polars(paged: netsession.Server, level: int) -> None:
    polars = import_consumer("polars")
    expected = _expected_dicts(paged, level)
    assert polars.DataFrame(paged.sessions(level=level)).to_dicts() == expected
    # A page alone is a Sequence to polars, which then asks for its records, not for its columns.
    columns = polars.DataFrame(import_consumer("pyarrow").table(_page(paged, level)))
    assert columns.to_dicts() == expected[:100]


@pytest.mark.parametrize("level", LEVELS)
def test_duckdb(paged: netsession.Server, level: int) -> None:
    duckdb = import_consumer("duckdb")
    expected = [tuple(row.values()) for row in _expected_dicts(paged, level)]
    connection = duckdb.connect()
    sessions = paged.sessions(level=level)
    assert connection.sql("SELECT * FROM sessions").fetchall() == expected
    named = connection.sql(
        "SELECT count(*) FROM sessions WHERE client_name IS NOT NULL AND client_name <> ''"
    )
    assert named.fetchall() == [(sum(bool(row[0]) for row in expected),)]
    assert sessions.level == level
    connection.close()


@pytest.mark.parametrize("level", LEVELS)
def test_pandas(paged: netsession.Server, level: int) -> None:
    pandas = import_consumer("pandas", 3)
    import_consumer("pyarrow")
    expected = _expected_dicts(paged, level)
    frame = pandas.DataFrame.from_arrow(paged.sessions(level=level))
    assert list(frame.columns) == list(expected[0])
    for name in frame.columns:
        values = [None if pandas.isna(value) else value for value in frame[name]]
        assert values == [row[name] for row in expected]
