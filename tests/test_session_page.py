"""SessionPage: an immutable sequence that builds records only when they are asked for."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import struct
import subprocess
import sys
import threading
import weakref
from collections import abc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import core_operations
from leaks import NOISE
from made_up import session, sessions
from netapi_table import Table
from netsession import SessionInfo10, SessionInfo502, SessionPage, _netsession
from netsession.testing import simulated_server

_EXPECTED = list(sessions(20))


@pytest.fixture
def page() -> SessionPage:
    return next(simulated_server(20).sessions(level=502).pages())


def test_length_and_attributes(page: SessionPage) -> None:
    assert len(page) == 20
    assert (page.level, page.total_entries, page.resume_handle, page.more) == (502, 20, 20, False)
    assert repr(page) == "<SessionPage level=502 entries=20 total_entries=20 more=False>"


def test_indexes(page: SessionPage) -> None:
    for index in range(-20, 20):
        assert page[index] == _EXPECTED[index]


@pytest.mark.parametrize("index", [20, -21, 1 << 62, -(1 << 62), 1 << 80])
def test_index_out_of_range(page: SessionPage, index: int) -> None:
    with pytest.raises(IndexError):
        page[index]


@pytest.mark.parametrize("key", ["0", 1.0, None])
def test_index_of_a_wrong_type(page: SessionPage, key: Any) -> None:
    with pytest.raises(TypeError, match="must be integers or slices"):
        page[key]


@pytest.mark.parametrize("start", [None, 0, 3, -4, 25, -25])
@pytest.mark.parametrize("stop", [None, 0, 7, -1, 25, -25])
@pytest.mark.parametrize("step", [None, 1, 3, -1, -7, sys.maxsize, -sys.maxsize])
def test_slices(page: SessionPage, start: int, stop: int, step: int) -> None:
    part = page[start:stop:step]
    assert isinstance(part, SessionPage)
    assert list(part) == _EXPECTED[start:stop:step]
    assert (part.level, part.total_entries) == (page.level, page.total_entries)


def test_what_is_made_from_a_page_tells_what_that_told() -> None:
    page = next(simulated_server(20, page_entries=8).sessions(level=502).pages())
    assert (page.more, page.total_entries, page.resume_handle) == (True, 20, 8)
    for made in (page[2:], page[::-1][1:], page.filter(bool), page.as_level(10)):
        assert (made.more, made.total_entries, made.resume_handle) == (True, 20, 8)
    without = _netsession.page_from_records(10, [("c", "u", 1, 2)], 5, None, False)
    assert (without[:].more, without[:].resume_handle) == (False, None)


def test_a_slice_of_a_slice_outlives_the_page(page: SessionPage) -> None:
    part = page[2:18][3:9]
    del page
    gc.collect()
    assert list(part) == _EXPECTED[5:11]


def test_sequence_protocol(page: SessionPage) -> None:
    assert list(page) == _EXPECTED
    assert list(reversed(page)) == _EXPECTED[::-1]
    assert _EXPECTED[7] in page
    assert session(1000) not in page
    assert page.index(_EXPECTED[7]) == 7
    assert page.count(_EXPECTED[7]) == 1
    with pytest.raises(ValueError, match="not in"):
        page.index(session(1000))
    match page:
        case [first, *_, last]:
            assert (first, last) == (_EXPECTED[0], _EXPECTED[-1])
        case _:
            pytest.fail("a SessionPage is a sequence to match statements")


def test_it_is_a_sequence_to_isinstance(page: SessionPage) -> None:
    for kind in (abc.Sequence, abc.Reversible, abc.Collection, abc.Sized):
        assert isinstance(page, kind)
        assert issubclass(SessionPage, kind)
    assert not isinstance(page, abc.MutableSequence)
    promised = [name for name in vars(abc.Sequence) if callable(getattr(abc.Sequence, name))]
    assert {"index", "count", "__reversed__", "__contains__", "__iter__"} <= set(promised)
    for name in promised:
        assert hasattr(page, name), name


@pytest.mark.parametrize("stop", [None, -30, -13, -3, 0, 7, 8, 9, 30, sys.maxsize, 1 << 80])
@pytest.mark.parametrize("start", [0, None, -30, -13, 7, 8, 30, -sys.maxsize, -(1 << 80)])
def test_index_with_bounds(page: SessionPage, start: Any, stop: Any) -> None:
    wanted = range(20)[slice(start, stop)]
    if 7 in wanted:
        assert page.index(_EXPECTED[7], start, stop) == 7
    else:
        with pytest.raises(ValueError, match="not in"):
            page.index(_EXPECTED[7], start, stop)


def test_searching_compares_as_lists_do(page: SessionPage) -> None:
    class Same:
        def __eq__(self, other: object) -> bool:
            return isinstance(other, SessionInfo502) and other.num_opens % 2 == 1

        __hash__ = None  # type: ignore[assignment]

    class Broken:
        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

        __hash__ = None  # type: ignore[assignment]

    assert Same() in page
    assert page.index(Same()) == _EXPECTED.index(Same())  # type: ignore[arg-type]
    assert page.index(Same(), 6) == _EXPECTED.index(Same(), 6)  # type: ignore[arg-type]
    assert page.count(Same()) == _EXPECTED.count(Same())  # type: ignore[arg-type]
    assert 5 not in page
    assert page.count(None) == 0
    alike = _netsession.page_from_records(10, [("c", "u", 1, 2)] * 3, 3, None, False)
    assert alike.count(alike[0]) == 3
    for search in (page.index, page.count, page.__contains__):
        with pytest.raises(ZeroDivisionError):
            search(Broken())
    with pytest.raises(TypeError, match="slice indices must be integers"):
        page.index(_EXPECTED[0], "0")  # type: ignore[arg-type]


def test_reversed_tells_what_is_left(page: SessionPage) -> None:
    backwards = reversed(page)
    assert backwards.__length_hint__() == 20  # type: ignore[attr-defined]
    assert next(backwards) == _EXPECTED[-1]
    assert backwards.__length_hint__() == 19  # type: ignore[attr-defined]
    assert list(backwards) == _EXPECTED[-2::-1]
    assert backwards.__length_hint__() == 0  # type: ignore[attr-defined]
    assert list(backwards) == list(reversed(page[:0])) == []
    many = next(simulated_server(500).sessions(level=502).pages())  # so many use a cache
    assert list(reversed(many)) == list(many)[::-1]


def test_its_size_counts_its_buffer() -> None:
    structure = 4 * struct.calcsize("P") + 32  # at most: four pointers, four DWORDs, padding
    empty = sys.getsizeof(next(simulated_server(0).sessions(level=502).pages()))
    native = next(simulated_server(1000).sessions(level=502).pages())
    strings = sum(
        2 * len(value) + 2 for record in native for value in record if isinstance(value, str)
    )
    assert sys.getsizeof(native) >= empty + 1000 * 40 + strings
    assert sys.getsizeof(native) <= empty + 1000 * structure + strings
    # Of a reply the bytes that it came in; of what was made from a page the structures only.
    for page in (native, pickle.loads(pickle.dumps(native))):
        part = sys.getsizeof(page[:])
        assert part < sys.getsizeof(page) - strings + 100
        assert part >= empty + 1000 * 40
        assert sys.getsizeof(page[:500]) < part
    reply = core_operations.REPLY
    (_, _, _, decoded) = _netsession.decode_enum_response(reply)
    assert sys.getsizeof(decoded) - sys.getsizeof(decoded[:]) == len(reply)  # type: ignore[index]


def test_a_page_keeps_the_very_bytes_of_its_reply() -> None:
    """Copied never: of a reply of 95 MB there is one."""
    reply = bytes(core_operations.REPLY)
    page = _netsession.decode_enum_response(reply)[3]
    assert any(each is reply for each in gc.get_referents(page))
    (made,) = _netsession.SessionCursor(lambda *_: reply, None, None, None, 10, 1)
    assert any(each is reply for each in gc.get_referents(made))
    assert any(each is reply for each in gc.get_referents(made[:]))


def test_iterators_are_independent_and_tell_what_is_left(page: SessionPage) -> None:
    first, second = iter(page), iter(page)
    assert next(first) == next(second) == _EXPECTED[0]
    assert next(first) == _EXPECTED[1]
    assert first.__length_hint__() == 18  # type: ignore[attr-defined]
    assert list(first) == _EXPECTED[2:]
    assert first.__length_hint__() == 0  # type: ignore[attr-defined]
    assert list(first) == []
    assert list(second) == _EXPECTED[1:]


def test_filter(page: SessionPage) -> None:
    odd = page.filter(lambda record: record.num_opens % 2)
    assert isinstance(odd, SessionPage)
    assert list(odd) == [record for record in _EXPECTED if record.num_opens % 2]
    assert len(page.filter(lambda record: False)) == 0


def test_filter_passes_errors_on(page: SessionPage) -> None:
    with pytest.raises(ZeroDivisionError):
        page.filter(lambda record: 1 // 0)


def test_filter_passes_on_what_an_answer_raises(page: SessionPage) -> None:
    class NoTruth:
        def __bool__(self) -> bool:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        page.filter(lambda record: NoTruth())


_LEVELS = (0, 1, 2, 10, 502)


@pytest.mark.parametrize("level", _LEVELS)
@pytest.mark.parametrize("poorer", _LEVELS)
def test_as_level(level: int, poorer: int) -> None:
    server = simulated_server(20)
    page = next(server.sessions(level=level).pages())
    expected = next(server.sessions(level=poorer).pages())
    lacking = set(expected[0]._fields) - set(page[0]._fields)
    if lacking:
        with pytest.raises(ValueError, match=f"level {level} lacks ({'|'.join(lacking)})"):
            page.as_level(poorer)
        return
    derived = page.as_level(poorer)
    del page
    assert derived.level == poorer
    assert list(derived) == list(expected)
    assert type(derived[0]) is type(expected[0])


def test_as_level_of_no_level(page: SessionPage) -> None:
    with pytest.raises(ValueError, match="level must be"):
        page.as_level(3)


def test_a_long_chain_of_slices_can_be_freed(page: SessionPage) -> None:
    for _ in range(300_000):
        page = page[:]
    assert page[0] == _EXPECTED[0]
    del page


def test_pages_cannot_be_made_or_changed(page: SessionPage) -> None:
    with pytest.raises(TypeError):
        SessionPage()
    with pytest.raises(AttributeError):
        page.level = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        page[0] = 1  # type: ignore[index]
    with pytest.raises(TypeError):
        type("Sub", (SessionPage,), {})  # type: ignore[misc]
    for kind in (SessionPage, type(iter(page)), _netsession.SessionCursor, _netsession.CallLock):
        with pytest.raises(TypeError, match="immutable"):
            kind.level = 1  # type: ignore[union-attr]


def test_the_collector_sees_what_refers_to_what(page: SessionPage) -> None:
    iterator = iter(page)
    assert any(each is page for each in gc.get_referents(iterator))
    assert any(each is page for each in gc.get_referents(page[:3]))
    assert any(each is SessionInfo502 for each in gc.get_referents(page))

    class Name(str):
        """May refer to anything."""

    name = Name("srv")
    cursor = _netsession.SessionCursor(print, name, None, None, 10, 1)
    referents = gc.get_referents(cursor)
    assert all(any(each is part for each in referents) for part in (type(cursor), print, name))
    for whole in (page, iterator, page.as_dicts(), cursor):
        assert gc.is_tracked(whole)


def test_records_are_typed_tuples_without_a_place_in_the_collector(page: SessionPage) -> None:
    record = page[0]
    assert type(record) is SessionInfo502
    assert not gc.is_tracked(record)
    assert hash(record) == hash(tuple(record))
    assert record == SessionInfo502(*record)
    assert SessionInfo502._make(record)._replace(num_opens=1).num_opens == 1


def test_numbers_are_unsigned_and_exact() -> None:
    numbers = [0, 1, 255, 256, 257, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
    rows = [{"client_name": "c", "active_time": number} for number in numbers]
    found = simulated_server(rows).sessions(level=10)
    assert [record.active_time for record in found] == numbers


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "a",
        "\x7f",
        "\x80",
        "zoë",
        "ÿ" * 100,
        "Ā",
        "山田",
        "a山",
        "😀",
        "a😀b" * 50,
        "\ud800",
        "\udfff\ud800",
        "x\udc00y",
        "\ufeffx",
        "\ufeff😀",
        "\ufffe😀",
        "\ud83d\ude00",  # a pair told as two surrogates is one character
        "x" * 1000,
        "\uffff",
    ],
)
def test_strings_survive(name: str | None) -> None:
    rows = [{"client_name": name, "user_name": name, "client_type": name, "transport": name}]
    (record,) = simulated_server(rows).sessions(level=502)
    expected = (
        None
        if name is None
        else name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    )
    assert record.client_name == record.user_name == expected
    assert record.client_type == record.transport == expected
    if expected is not None:
        assert hash(record.client_name) == hash(expected)
        assert record.client_name.isascii() == expected.isascii()
        assert record.client_name + "!" == expected + "!"


def test_an_ascii_text_is_an_ascii_str() -> None:
    """Which takes 16 bytes less, and need not be looked through by what encodes it."""
    page = next(simulated_server(100).sessions(level=502).pages())
    texts = [value for record in (page[0], *page) for value in record if isinstance(value, str)]
    ascii_texts = [text for text in texts if all(character < "\x80" for character in text)]
    assert 0 < len(ascii_texts) < len(texts)
    for text in ascii_texts:
        assert text.isascii()
        assert sys.getsizeof(text) == sys.getsizeof("".join(list(text)))


# Alike at the beginning, in the middle and at the end, where the cache looks first.
_MIDDLES = ("abcd", "abce", "bbcd", "abc\xe9", "abc山")
_ALIKE = [f"head{one}midd{other}tail" for one in _MIDDLES for other in _MIDDLES]
_ALIKE += [f"{first}{'-' * 40}{last}" for first in "ab" for last in "xy"]
_ALIKE += ["", "a", "b", "ab", "ba", "abc", "abd", "abcd", "abcde", "abcdf", "\xe9", "山"]


@pytest.mark.parametrize("level", [502, 10])
def test_strings_that_are_nearly_alike_are_told_apart(level: int) -> None:
    """More than a page may have without a cache, and each more often than it gives a field up."""
    names = _ALIKE * 70
    rows = [{"client_name": name, "user_name": name[::-1], "transport": name} for name in names]
    page = next(simulated_server(rows).sessions(level=level).pages())
    for records in (list(page), list(reversed(page))[::-1], list(page[:]), page):
        assert [record.client_name for record in records] == names
        assert [record.user_name for record in records] == [name[::-1] for name in names]
    assert [entry["client_name"] for entry in page.as_dicts()] == names
    if level == 502:
        assert [record.transport for record in page] == names


def test_strings_that_repeat_are_made_once() -> None:
    page = next(simulated_server(1000).sessions(level=502).pages())
    for records in (list(page), list(reversed(page))):
        # Two, made again where another string has taken their place in the cache.
        assert len({id(record.transport) for record in records}) < 50


def test_a_level_has_its_own_class() -> None:
    (record,) = simulated_server(1).sessions(level=10)
    assert type(record) is SessionInfo10
    assert record.num_opens is None
    assert record.flags is None
    assert record.is_guest is None


def test_buffers_go_back_when_the_last_user_goes(
    simulate: Callable[..., tuple[Any, Any]],
) -> None:
    server, simulator = simulate(10)
    page = next(server.sessions().pages())
    part = page[2:4]
    iterator = iter(page)
    assert simulator.outstanding == 1
    del page
    assert simulator.outstanding == 1
    del part
    assert simulator.outstanding == 1
    assert len(list(iterator)) == 10
    assert simulator.outstanding == 0


def test_the_page_keeps_the_simulator() -> None:
    page = next(simulated_server(20).sessions().pages())
    gc.collect()
    assert list(page) == _EXPECTED


def test_an_iterator_left_in_the_middle_lets_its_page_go(page: SessionPage) -> None:
    before = sys.getrefcount(page)
    for iterator in (iter(page), reversed(page)):
        next(iterator)
    del iterator
    assert sys.getrefcount(page) == before


def test_a_buffer_goes_back_before_what_it_goes_back_to() -> None:
    buffer = ctypes.create_string_buffer(64)
    held: list[int] = []

    def session_enum(*arguments: Any) -> int:
        arguments[5][0] = ctypes.addressof(buffer)
        arguments[7][0] = 1
        return 0

    def buffer_free(context: int | None, given: int) -> int:
        held.append(sys.getrefcount(table.netapi))
        return 0

    table = Table(session_enum=session_enum, buffer_free=buffer_free)
    page = next(_netsession.SessionCursor(table.netapi, None, None, None, 10, 0xFFFFFFFF))
    assert list(page) == [(None, None, 0, 0)]
    while_it_lives = sys.getrefcount(table.netapi)
    del page
    afterwards = sys.getrefcount(table.netapi)
    assert (held, afterwards) == ([while_it_lives], while_it_lives - 1)


def test_no_leak_of_records_or_strings() -> None:
    page = next(simulated_server(200).sessions().pages())
    list(page), list(page[::2]), page.filter(bool)
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(50):
        list(page), list(page[::2]), page.filter(bool), page[0], iter(page)
    gc.collect()
    assert abs(sys.getallocatedblocks() - before) < 100


def test_no_leak_of_failed_calls() -> None:
    server = simulated_server(10)
    server.fail("NetSessionEnum", 5)

    def fail() -> None:
        with pytest.raises(PermissionError):
            next(server.sessions(level=1).pages())
        with pytest.raises(ValueError, match="malformed"):
            _netsession.decode_enum_response(b"abc")

    for _ in range(20):
        fail()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(200):
        fail()
    gc.collect()
    assert abs(sys.getallocatedblocks() - before) < 100


_LEAKS = """
import struct, sys
import core_operations, leaks
from netsession import _netsession
from netsession._simulator import Simulator

def page_of(count):
    simulator = Simulator(count)
    return next(_netsession.SessionCursor(simulator.netapi, None, None, None, 502, 0xFFFFFFFF))

page, bench = page_of(40), core_operations.Bench()
none = None
unknown = _netsession.SessionFilter(bench.unknown, (), (), (), none, none, none, none, False)
some = _netsession.SessionFilter((), bench.users[1:], (), (), none, none, none, none, False)
# Two sessions, of which the second's name has no terminator.
string = struct.pack("<III4s", 2, 0, 2, b"A\\0\\0\\0")
broken = struct.pack("<6I2I", 0, 0, 1, 2, 1, 2, 1, 1) + string + string[:-2] + b"A\\0"
strings = [(str(i) * 40, str(i) * 40, 1, 2) for i in range(5)]

def raises(error, call, *arguments):
    def operation():
        try:
            call(*arguments)
        except error:
            return
        raise AssertionError
    return operation

OPERATIONS = {
    "a slice": lambda: page[::2],
    "a filtered page": lambda: page.filter(bool),
    "a compiled filter": lambda: page.filter(some),
    "a predicate that raises": raises(ZeroDivisionError, page.filter, lambda record: 1 / 0),
    "a compiled filter that raises": raises(ZeroDivisionError, page.filter, unknown),
    "a poorer level": lambda: page.as_level(1),
    "a level that is too rich": raises(ValueError, page[:1].as_level(1).as_level, 502),
    "a reply": lambda: _netsession.decode_enum_response(core_operations.REPLY),
    "a malformed reply": raises(ValueError, _netsession.decode_enum_response, broken),
    "records": lambda: _netsession.page_from_records(10, strings, 0, none, False),
    "records that are none": raises(
        ValueError, _netsession.page_from_records, 10, [*strings, ("a", "b", 1, -1)], 0, none, False
    ),
    "a cursor": lambda: list(_netsession.SessionCursor(
        bench.simulator.netapi, "s" * 99, r"\\\\10.0.0.0", "alice.0", 0, 0xFFFFFFFF)),
    "a simulator": lambda: Simulator(5).end(r"\\\\10.0.0.0", "alice.0"),
    "a simulator with sessions": lambda: filled_simulator(),
    "a prepared simulator": lambda: prepared_simulator(),
    "a lock": _netsession.CallLock,
}

def filled_simulator():
    simulator = Simulator(5)
    for _ in range(3):
        simulator.add("c" * 99, "u" * 99, 0, 0, 0, 0, "", "")
    simulator.end("c" * 99, "u" * 99, "first")
    simulator.change(r"\\\\10.0.0.0", "alice.0", 1, None, None, None)

def prepared_simulator():
    simulator = Simulator(5)
    simulator.prepare(True)
    list(_netsession.SessionCursor(simulator.netapi, None, None, None, 502, 0xFFFFFFFF))

for name, operation in OPERATIONS.items():
    print(leaks.leaked(operation), name)

# A filtered page has room for what it holds, not for all that it might have held.
large, kept = page_of(500), []
kept.append(large.filter(lambda record: False))
print(leaks.grown_by(lambda: kept.extend(large.filter(lambda record: False) for _ in "x" * 500)),
      "500 empty pages")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm, as Linux has it")
def test_no_leak_of_structures() -> None:
    """What malloc() gives, which no interpreter counts."""
    paths = [str(Path(_netsession.__file__).parents[1]), str(Path(__file__).parent)]
    done = subprocess.run(
        [sys.executable, "-c", _LEAKS],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    grown = {line.split(" ", 1)[1]: int(line.split()[0]) for line in done.stdout.splitlines()}
    assert len(grown) == 17
    assert {name: size for name, size in grown.items() if size > NOISE} == {}


def test_one_page_read_by_many_threads() -> None:
    page = next(simulated_server(2000).sessions().pages())
    expected = list(sessions(2000))
    wrong: list[int] = []

    def read(number: int) -> None:
        for _ in range(5):
            if list(page) != expected or page[number] != expected[number]:
                wrong.append(number)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_filter_is_not_kept() -> None:
    class Marker:
        pass

    marker = Marker()
    reference = weakref.ref(marker)
    page = next(simulated_server(3).sessions().pages())
    kept = page.filter(lambda record, marker=marker: True)  # type: ignore[misc]
    del marker
    gc.collect()
    assert reference() is None
    assert len(kept) == 3
