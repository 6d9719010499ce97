"""Everything that the native core does, as small operations that can be repeated.

The tests of interpreters run them in sub-interpreters, count references around them and make
allocations fail within them.  Nothing but netsession is imported, and no test framework.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from typing import Any

from netsession import AccessDenied, MalformedReply, NoProgress, SessionPage, _netsession
from netsession._names import ClientPattern, UserPattern
from netsession._simulator import Simulator

LEVELS = (0, 1, 2, 10, 502)
ALL = 0xFFFFFFFF
_SESSIONS = 70  # more than the fewest for which strings are cached

# The reply that an empty server gives, and one with the session ("é", NULL), both at level 10.
EMPTY_REPLY = struct.pack("<9I", 10, 10, 1, 0, 0, 0, 1, 0, 0)
REPLY = struct.pack("<12I", 10, 10, 1, 1, 1, 1, 1, 0, 7, 8, 2, 0) + struct.pack(
    "<IHHIIII", 2, 0xE9, 0, 1, 1, 5, 0
)


class Bench:
    """What operations work on: made before and kept out of what is measured."""

    def __init__(self) -> None:
        self.simulator = Simulator(_SESSIONS, 40)
        self.refusing = Simulator(3)
        self.refusing.fail("NetSessionEnum", 5)
        self.refusing.fail("NetSessionGetInfo", 5)
        self.refusing.fail("NetSessionDel", 5)
        self.stuck = Simulator(3)
        self.stuck.stick(True)
        self.page = _first(Simulator(_SESSIONS))
        wire = _netsession.decode_enum_response(REPLY)[3]
        assert wire is not None
        self.wire_page = wire
        self.record = self.page[5]
        self.clients = (ClientPattern("*", wildcards=True), ClientPattern("ws1", _resolve))
        self.users = (UserPattern("*", wildcards=True), UserPattern("OTHER\\zoë.83"))
        self.own = (ClientPattern("10.0.0.0"),), (UserPattern("alice.0"),)
        self.unknown = (ClientPattern("ws1", _fail),)

    def outstanding(self) -> int:
        """Buffers that should have gone back by now."""
        return sum(s.outstanding for s in (self.simulator, self.refusing, self.stuck))


# No function is made while allocations fail: CPython 3.13 may crash at that.


def _answer(opnum: int, stub: bytes) -> bytes:
    """New bytes each time, of which one that stays is seen."""
    return bytes(bytearray(REPLY)) if opnum == 12 else bytes(4)


def _answer_malformed(opnum: int, stub: bytes) -> bytes:
    return bytes(bytearray(REPLY[:-9]))


def _resolve(name: str) -> tuple[frozenset[str], str | None]:
    return frozenset({"10.0.0.2", "2001:db8::4"}), None


def _fail(name: str) -> Any:
    raise ZeroDivisionError


def _has_opens(record: Any) -> bool:
    return bool(record.num_opens >= 0)


def _as_list(record: Any) -> list[Any]:
    return [record]


def _divide(record: Any) -> float:
    return record.num_opens / 0  # type: ignore[no-any-return]


def _cursor(backend: Any, level: int = 502, length: int = ALL) -> Any:
    return _netsession.SessionCursor(backend, "srv", None, None, level, length)


def _first(simulator: Simulator) -> SessionPage:
    page: SessionPage = next(_cursor(simulator.netapi))
    return page


def _encode(bench: Bench) -> None:
    _netsession.encode_enum_request("\\\\srv", "\\\\c", "zoë", 10, 4096, 5)
    _netsession.encode_delete_request("srv", None, "山田")


def _decode(bench: Bench) -> None:
    assert _netsession.decode_enum_response(EMPTY_REPLY)[:3] == (0, 0, 0)
    status, total, handle, page = _netsession.decode_enum_response(bytearray(REPLY))  # type: ignore[arg-type]
    assert (status, total, handle) == (0, 1, 5)
    assert page is not None
    assert page[0] == ("é", None, 7, 8)
    assert _netsession.decode_delete_response(b"\5\0\0\0") == 5


def _decode_malformed(bench: Bench) -> None:
    _netsession.decode_enum_response(REPLY[:-9])


def _decode_malformed_delete(bench: Bench) -> None:
    _netsession.decode_delete_response(b"")


def _list_simulator(bench: Bench) -> None:
    for level in LEVELS:
        found = [record for page in _cursor(bench.simulator.netapi, level) for record in page]
        assert len(found) == _SESSIONS


def _grow_page_bytes(bench: Bench) -> None:
    next(_cursor(bench.simulator.netapi, length=0))


def _list_callable(bench: Bench) -> None:
    (page,) = _netsession.SessionCursor(_answer, "srv", "\\\\c", "zoë", 10, ALL)
    assert page[0].client_name == "é"


def _list_malformed(bench: Bench) -> None:
    next(_cursor(_answer_malformed, 10))


def _refused(bench: Bench) -> None:
    next(_cursor(bench.refusing.netapi))


def _get_info_refused(bench: Bench) -> None:
    _netsession.session_get_info(bench.refusing.netapi, "srv", "\\\\c", "u", 1)


def _delete_refused(bench: Bench) -> None:
    _netsession.session_del(bench.refusing.netapi, "srv", "\\\\c", "u")


def _no_progress(bench: Bench) -> None:
    next(_cursor(bench.stuck.netapi))


def _bad_level(bench: Bench) -> None:
    _cursor(bench.simulator.netapi, 3)


def _bad_name(bench: Bench) -> None:
    _netsession.encode_delete_request("a\0b", None, None)


def _unsafe_delete(bench: Bench) -> None:
    _netsession.session_del(bench.simulator.netapi, "srv", "\\\\", "u")


def _pickle(bench: Bench) -> None:
    for page in (bench.page, bench.wire_page, bench.page[5:9]):
        rebuild, arguments = page.__reduce__()
        again = rebuild(*arguments)
        assert again[-1] == page[-1]
        assert again.__deepcopy__({}) is again


def _unpickle_nonsense(bench: Bench) -> None:
    good, bad = ("a", "b", 1, 2), ("a", "b", 1, -2)
    _netsession.page_from_records(10, [*[good] * 300, bad], 0, None, False)


def _copy_cursor(bench: Bench) -> None:
    _cursor(bench.simulator.netapi).__reduce_ex__(4)


def _records(bench: Bench) -> None:
    for page in (bench.page, bench.wire_page):
        assert list(page)[-1] == page[-1] == next(reversed(page))
        iterator = iter(page)
        next(iterator)
        assert iterator.__length_hint__() == len(page) - 1  # type: ignore[attr-defined]


def _slices(bench: Bench) -> None:
    part = bench.page[3:60][::-2]
    assert part[0] == bench.page[59]
    assert len(bench.page[5:5]) == 0
    assert bench.wire_page[:][0] == bench.wire_page[0]


def _filter(bench: Bench) -> None:
    assert len(bench.page.filter(_has_opens)) == _SESSIONS
    assert len(bench.page.filter(_as_list)) == _SESSIONS


def _filter_raises(bench: Bench) -> None:
    bench.page.filter(_divide)


class _Host:
    """A ClientPattern as SessionFilter sees it, new each time: it is told what it was taken for."""

    parts = ("ws1", False, None, "", True)

    def __init__(self) -> None:
        self.taken: dict[str, None] = {}

    def addresses(self) -> frozenset[str]:
        return frozenset(["10.0.0.2"])


def _select(bench: Bench) -> None:
    made = _netsession.SessionFilter(bench.clients, bench.users, *bench.own, 1, 1, 0, ALL, True)
    assert 0 < len(bench.page.filter(made)) < _SESSIONS
    assert bench.clients[0].met
    made = _netsession.SessionFilter(bench.clients[1:], (), (), (), None, None, None, None, False)
    assert len(bench.page.filter(made)) == 3
    hosts: Any = (_Host(),)
    made = _netsession.SessionFilter(hosts, (), (), (), None, None, None, None, False)
    assert len(bench.page.filter(made)) == len(hosts[0].taken) + 1 == 2


def _select_raises(bench: Bench) -> None:
    none = None
    made = _netsession.SessionFilter(bench.unknown, (), (), (), none, none, none, none, False)
    bench.page.filter(made)


class _Wrong:
    @property
    def parts(self) -> tuple[str, ...]:
        return tuple("ab")  # a new one


def _select_by_what_is_no_pattern(bench: Bench) -> None:
    none: Any = None
    _netsession.SessionFilter((), (_Wrong(),), (), (), none, none, none, none, False)  # type: ignore[arg-type]


def _as_dicts(bench: Bench) -> None:
    assert len(bench.page.as_dicts()) == _SESSIONS


def _arrow(bench: Bench) -> None:
    """Columns made, and dropped by the capsules that nobody took them from."""
    for page in (bench.page, bench.page[:0], bench.wire_page):
        page.__arrow_c_schema__()
        page.__arrow_c_array__()
        try:
            page.__arrow_c_stream__()
        except RuntimeError:  # not in sub-interpreters, before 3.12
            if sys.version_info >= (3, 12):
                raise


def _arrow_fleet(bench: Bench) -> None:
    _netsession.arrow_fleet_schema()
    parts = (("srv", 1, bench.page), ("zoë", 2, bench.wire_page))
    try:
        _netsession.arrow_fleet_stream(iter(parts), _netsession.arrow_fleet_schema())
    except RuntimeError:  # as above
        if sys.version_info >= (3, 12):
            raise


def _search(bench: Bench) -> None:
    assert bench.page.index(bench.record) == 5
    assert bench.page.count(bench.record) == 1


def _search_in_vain(bench: Bench) -> None:
    bench.page.index(None)


def _index_error(bench: Bench) -> None:
    bench.page[_SESSIONS]


def _attributes(bench: Bench) -> None:
    page = bench.page
    assert (page.level, page.total_entries, page.resume_handle) == (502, _SESSIONS, _SESSIONS)
    assert not page.more
    assert "entries=70" in repr(page)
    assert _cursor(bench.simulator.netapi).level == 502


def _get_info(bench: Bench) -> None:
    page = _netsession.session_get_info(
        bench.simulator.netapi, None, bench.record.client_name, bench.record.user_name, 2
    )
    assert len(page) == 1


def _delete(bench: Bench) -> None:
    simulator = Simulator(5)
    _netsession.session_del(simulator.netapi, None, "\\\\10.0.0.0", None)
    assert simulator.count == 4
    _netsession.session_del(_answer, None, None, "u")


def _simulate(bench: Bench) -> None:
    simulator = Simulator(2, page_entries=1)
    simulator.add("\\\\c", None, 1, 2, 3, 0, "", "t")
    simulator.delay(0)
    simulator.prepare(True)
    simulator.refuse(2, 5)
    simulator.fail("NetSessionDel", 5, after=1, times=2)
    simulator.stick(on=False, moving=False)
    assert [len(page) for page in _cursor(simulator.netapi)] == [1, 1, 1]
    assert simulator.calls("NetSessionEnum") == 3
    simulator.hang(None)
    simulator.release()


def _script_sessions(bench: Bench) -> None:
    simulator = Simulator(2, first=5)
    for _ in range(20):
        simulator.add("\\\\c", "u", 1, 2, 3, 0, "", "t")
    simulator.advance(5000)
    assert simulator.clock == 5000
    assert simulator.change("\\\\ws00005", "ZOË.83", 1, None, 7, None) == 1
    assert simulator.change("C", "U", None, 1, None, 1, "last") == 1
    assert simulator.end("c", "u", "first") == 1
    assert simulator.end("c", "u") == 19
    assert simulator.end("\\\\WS00005", "zoë.83") == 1
    assert simulator.count == 1


def _script_mistakes(bench: Bench) -> None:
    simulator = Simulator(5)
    # No lambdas: making a function is what CPython 3.12 itself does not survive out of memory.
    for method, arguments in (
        (simulator.end, ("c", b"u")),
        (simulator.end, ("c\0", "u")),
        (simulator.change, ("c", "u", None, None, -1, None)),
        (simulator.change, ("c", 5, None, None, 1, None)),
        (simulator.advance, (-1,)),
        (simulator.hang, (-1,)),
    ):
        try:
            method(*arguments)
        except (TypeError, ValueError, OverflowError):
            continue
        raise AssertionError
    simulator.end("c", "u", "middle")
    assert (simulator.outstanding, simulator.bad_frees) == (0, 0)


# Those with an exception end in it, whenever nothing else goes wrong.
OPERATIONS: dict[str, tuple[Callable[[Bench], None], type[Exception] | None]] = {
    "encode": (_encode, None),
    "decode": (_decode, None),
    "decode malformed": (_decode_malformed, MalformedReply),
    "decode malformed delete": (_decode_malformed_delete, MalformedReply),
    "list simulator": (_list_simulator, None),
    "grow page bytes": (_grow_page_bytes, None),
    "list callable": (_list_callable, None),
    "list malformed": (_list_malformed, MalformedReply),
    "refused": (_refused, AccessDenied),
    "get info refused": (_get_info_refused, AccessDenied),
    "delete refused": (_delete_refused, AccessDenied),
    "no progress": (_no_progress, NoProgress),
    "bad level": (_bad_level, ValueError),
    "bad name": (_bad_name, ValueError),
    "unsafe delete": (_unsafe_delete, ValueError),
    "pickle": (_pickle, None),
    "unpickle nonsense": (_unpickle_nonsense, ValueError),
    "copy cursor": (_copy_cursor, TypeError),
    "records": (_records, None),
    "slices": (_slices, None),
    "filter": (_filter, None),
    "filter raises": (_filter_raises, ZeroDivisionError),
    "select": (_select, None),
    "select raises": (_select_raises, ZeroDivisionError),
    "select by what is no pattern": (_select_by_what_is_no_pattern, TypeError),
    "as_dicts": (_as_dicts, None),
    "arrow": (_arrow, None),
    "arrow fleet": (_arrow_fleet, None),
    "search": (_search, None),
    "search in vain": (_search_in_vain, ValueError),
    "index error": (_index_error, IndexError),
    "attributes": (_attributes, None),
    "get info": (_get_info, None),
    "delete": (_delete, None),
    "simulate": (_simulate, None),
    "script sessions": (_script_sessions, None),
    "script mistakes": (_script_mistakes, ValueError),
}


def perform(name: str, bench: Bench) -> None:
    """Do one operation; AssertionError if it does not end as it should."""
    operation, expected = OPERATIONS[name]
    try:
        operation(bench)
    except BaseException as error:
        if expected is None or not isinstance(error, expected):
            raise
        return
    assert expected is None, name


def perform_all(bench: Bench) -> None:
    for name in OPERATIONS:
        perform(name, bench)
    assert bench.outstanding() == 0
