"""netsession.win32net beside pywin32's win32net: one process, one netapi32.dll, equal results.

Every case sets the stand-in up twice in the same way, calls pywin32 and then netsession, and
compares what came back or was raised, and what the server was asked. The only differences allowed
are those of the table in netsession/win32net.py; each has a test of its own below that shows it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from made_up import session
from netsession import SessionInfo502, win32net
from stand_in import FUNCTIONS, StandIn

pywin32 = pytest.importorskip("win32net", reason="pywin32 is not installed here")

LEVELS = (0, 1, 2, 10, 502)
LEAST_CASES = 1500

#: Statuses that the documentation names, some of the network, and one that nobody knows.
STATUSES = (
    *(1, 5, 8, 50, 53, 59, 64, 65, 67, 86, 87, 109, 120, 121, 123, 124, 232, 233, 1225, 1231),
    *(1232, 1314, 1326, 1460, 1722, 1727, 1745, 1764, 2102, 2114, 2123, 2142, 2221, 2312, 2351),
    *(59999, 0x80070005, 0xC0000022, 0xFFFFFFFF),
)

ODD = (
    SessionInfo502(None, None, 0x7FFFFFFF, 0x7FFFFFFE, 1, 3, None, None),
    SessionInfo502("", "", 0, 0, 0, 0, "", ""),
    SessionInfo502("\\\\" + "x" * 1000, "\U0001f600", 1, 2, 3, 0, "\ud800", "é\udfff"),
    SessionInfo502("\\\\WS1", "alice", 1, 2, 3, 0, " ", "\t"),
    SessionInfo502("WS1", "ALICE", 1, 2, 3, 0, "x", "y"),
)

CLIENTS = (
    None,
    "",
    "\\\\10.0.0.0",
    "\\\\WS00005",
    "\\\\ws00005",
    "\\\\[2001:db8::4]",
    "\\\\2001:db8::4",
    "\\\\NOWHERE",
    "WS00005",
    "\\\\",
    "\\\\" + "x" * 1021,
    "\\\\" + "x" * 1022,
)
USERS = (None, "", "alice.0", "ALICE.0", "zoë.83", "nobody", "x" * 1023, "x" * 1024, "\ud800")

SetUp = Callable[[StandIn], None]


@dataclass
class Outcome:
    """What a caller sees of one call, and what the server saw."""

    returned: Any = None
    raised: str | None = None
    status_and_function: tuple[Any, ...] = ()
    calls: tuple[int, ...] = ()
    server: str | None = None
    preferred_length: int = 0
    left: int = 0


def unsigned(value: Any) -> Any:
    """pywin32's result with DWORDs as they were sent: it formats them as signed."""
    if isinstance(value, list):
        return [unsigned(item) for item in value]
    if isinstance(value, dict):
        return {key: unsigned(item) for key, item in value.items()}
    return value + (1 << 32) if isinstance(value, int) and value < 0 else value


def outcome(library: StandIn, module: Any, name: str, arguments: tuple[Any, ...]) -> Outcome:
    result = Outcome()
    try:
        result.returned = getattr(module, name)(*arguments)
    except module.error as error:
        status, function, text = error.args
        assert isinstance(text, str)
        assert (error.winerror, error.funcname, error.strerror) == (status, function, text)
        result.raised = "error"
        result.status_and_function = (status & 0xFFFFFFFF, function)
    except Exception as error:
        result.raised = type(error).__name__
    assert (library.outstanding, library.bad_frees) == (0, 0), module.__name__
    result.calls = tuple(library.calls(function) for function in FUNCTIONS)
    result.server = library.last_server
    result.preferred_length = library.last_preferred_length
    result.left = library.count
    return result


class Comparison:
    """Counts the cases in which both did the same."""

    def __init__(self, library: StandIn) -> None:
        self.library = library
        self.cases = 0

    def both(self, set_up: SetUp, name: str, *arguments: Any) -> tuple[Outcome, Outcome]:
        outcomes = []
        for module in (pywin32, win32net):
            self.library.reset(100)
            set_up(self.library)
            outcomes.append(outcome(self.library, module, name, arguments))
        self.library.reset(100)
        return outcomes[0], outcomes[1]

    def same(self, set_up: SetUp, name: str, *arguments: Any) -> Outcome:
        theirs, ours = self.both(set_up, name, *arguments)
        theirs.returned = unsigned(theirs.returned)
        assert ours == theirs, f"{name}{arguments}"
        if isinstance(ours.returned, list) and ours.returned:
            assert list(map(list, ours.returned)) == list(map(list, theirs.returned))  # key order
        self.cases += 1
        return ours


@pytest.fixture(scope="session")
def comparison(
    stand_in_library: StandIn, record_testsuite_property: Callable[[str, object], None]
) -> Iterator[Comparison]:
    made = Comparison(stand_in_library)
    yield made
    record_testsuite_property("pywin32_comparison_cases", made.cases)


def made_up(count: int, page_entries: int = 0) -> SetUp:
    return lambda library: library.reset(count, page_entries)


def odd(library: StandIn) -> None:
    library.reset(0)
    library.add(ODD)


def failing(function: str, status: int, after: int = 0, page_entries: int = 0) -> SetUp:
    def set_up(library: StandIn) -> None:
        library.reset(100, page_entries)
        library.fail(function, status, after)

    return set_up


# --- results --------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("page_entries", [0, 1, 7, 100])
def test_enum_with_every_filter(comparison: Comparison, level: int, page_entries: int) -> None:
    for client, user in itertools.product(CLIENTS, USERS):
        set_up = made_up(100, page_entries)
        comparison.same(set_up, "NetSessionEnum", level, None, client, user)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("count", [0, 1, 2000])
def test_enum_of_all(comparison: Comparison, level: int, count: int) -> None:
    for server in (None, "", "fs01", "\\\\fs01"):
        found = comparison.same(made_up(count), "NetSessionEnum", level, server)
        assert len(found.returned) == count
        assert found.server == server


@pytest.mark.parametrize("level", LEVELS)
def test_enum_of_odd_sessions(comparison: Comparison, level: int) -> None:
    assert len(comparison.same(odd, "NetSessionEnum", level).returned) == len(ODD)
    for client, user in (("\\\\WS1", None), (None, "alice"), ("\\\\WS1", "Alice")):
        comparison.same(odd, "NetSessionEnum", level, None, client, user)


@pytest.mark.parametrize("level", LEVELS)
def test_get_info_of_every_session(comparison: Comparison, level: int) -> None:
    for number in range(100):
        full = session(number)
        arguments = (level, None, full.client_name, full.user_name)
        found = comparison.same(made_up(100), "NetSessionGetInfo", *arguments)
        assert (found.returned is None) == (level == 502)


@pytest.mark.parametrize("level", LEVELS)
def test_get_info_with_every_filter(comparison: Comparison, level: int) -> None:
    for client, user in itertools.product(CLIENTS, USERS):
        comparison.same(made_up(100), "NetSessionGetInfo", level, "\\\\fs01", client, user)


def test_del_with_every_filter(comparison: Comparison) -> None:
    kept = ("", "\\\\", "\\\\" + "x" * 1022, "x" * 1024, "\ud800")  # from the server, by ours
    for client, user in itertools.product(CLIENTS, USERS):
        arguments = ("\\\\fs01", client, user)
        if client in kept or user in kept or client is user is None:
            _, ours = comparison.both(made_up(100), "NetSessionDel", *arguments)
            assert ours.raised == "error"
            assert ours.status_and_function == (87, "NetSessionDel")
            assert (ours.calls, ours.left) == ((0, 0, 0), 100)
        else:
            comparison.same(made_up(100), "NetSessionDel", *arguments)


# --- failures -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", STATUSES)
def test_every_failure(comparison: Comparison, status: int) -> None:
    for level in LEVELS:
        comparison.same(failing("NetSessionEnum", status), "NetSessionEnum", level)
        paged = failing("NetSessionEnum", status, after=2, page_entries=10)
        found = comparison.same(paged, "NetSessionEnum", level)
        assert found.raised == "error"
        assert found.calls == (3, 0, 0)
        arguments = (level, None, "\\\\10.0.0.0", "alice.0")
        comparison.same(failing("NetSessionGetInfo", status), "NetSessionGetInfo", *arguments)
    comparison.same(failing("NetSessionDel", status), "NetSessionDel", None, "\\\\10.0.0.0")


@pytest.mark.parametrize("status", [5, 124, 50])
def test_refused_levels(comparison: Comparison, status: int) -> None:
    for refused, asked in itertools.product(LEVELS, LEVELS):

        def set_up(library: StandIn, level: int = refused) -> None:
            library.refuse(level, status)

        found = comparison.same(set_up, "NetSessionEnum", asked)
        assert (found.raised is not None) == (refused == asked)
        arguments = (asked, None, "\\\\10.0.0.0", "alice.0")
        comparison.same(set_up, "NetSessionGetInfo", *arguments)


@pytest.mark.parametrize("status", [5, 8, 1722])
def test_failures_that_come_with_a_buffer(comparison: Comparison, status: int) -> None:
    def set_up(library: StandIn) -> None:
        library.fail_with_buffer(status)

    for level in LEVELS:
        comparison.same(set_up, "NetSessionEnum", level)
        arguments = (level, None, "\\\\10.0.0.0", "alice.0")
        comparison.same(set_up, "NetSessionGetInfo", *arguments)


def test_success_that_touches_no_output(comparison: Comparison) -> None:
    """NetSessionEnum only: pywin32's NetSessionGetInfo would read an uninitialised pointer."""
    for level in LEVELS:
        comparison.same(StandIn.stay_silent, "NetSessionEnum", level)


@pytest.mark.parametrize("function", ["NetSessionEnum", "NetSessionGetInfo"])
def test_levels_that_do_not_exist(comparison: Comparison, function: str) -> None:
    for level in (-1, 3, 11, 50, 501, 503, 0x7FFFFFFF):
        arguments = (level, None, "\\\\10.0.0.0", "alice.0")
        assert comparison.same(made_up(100), function, *arguments).raised == "ValueError"


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("NetSessionEnum", ()),
        ("NetSessionEnum", ("502",)),
        ("NetSessionEnum", (502.0,)),
        ("NetSessionEnum", (None,)),
        ("NetSessionEnum", (502, 1)),
        ("NetSessionEnum", (502, None, 1)),
        ("NetSessionEnum", (502, None, None, 1)),
        ("NetSessionEnum", (502, None, None, None, None)),
        ("NetSessionEnum", (502, b"fs01")),
        ("NetSessionEnum", (502, None, b"\\\\WS1")),
        ("NetSessionGetInfo", (1,)),
        ("NetSessionGetInfo", (1, None, None, None)),
        ("NetSessionGetInfo", (1, None, "\\\\10.0.0.0", None)),
        ("NetSessionGetInfo", (1, None, None, "alice.0")),
        ("NetSessionGetInfo", (1, None, 1, "alice.0")),
        ("NetSessionGetInfo", (1, 1, "\\\\10.0.0.0", "alice.0")),
        ("NetSessionGetInfo", ("1", None, "\\\\10.0.0.0", "alice.0")),
        ("NetSessionDel", (1, "\\\\10.0.0.0", "alice.0")),
        ("NetSessionDel", (None, 1)),
        ("NetSessionDel", (None, "\\\\10.0.0.0", 1)),
        ("NetSessionDel", (None, "\\\\10.0.0.0", "alice.0", 1)),
    ],
)
def test_arguments_that_do_not_fit(
    comparison: Comparison, function: str, arguments: tuple[Any, ...]
) -> None:
    found = comparison.same(made_up(100), function, *arguments)
    assert found.raised == "TypeError"
    assert found.calls == (0, 0, 0)


# --- the documented differences ---------------------------------------------------------------


def test_dwords_of_two_to_the_31_and_more_are_positive(comparison: Comparison) -> None:
    sent = (0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 0x80000001)

    def set_up(library: StandIn) -> None:
        library.reset(0)
        library.add([SessionInfo502("\\\\WS1", "alice", *sent, "", "")])

    keys = ("num_opens", "active_time", "idle_time", "user_flags")
    theirs, ours = comparison.both(set_up, "NetSessionEnum", 502)
    assert tuple(ours.returned[0][key] for key in keys) == sent
    assert tuple(theirs.returned[0][key] for key in keys) == tuple(n - (1 << 32) for n in sent)
    comparison.same(set_up, "NetSessionGetInfo", 1, None, "\\\\WS1", "alice")


def test_a_server_that_says_more_for_ever_ends_with_an_error(netapi32: StandIn) -> None:
    """pywin32 would never return, so it is not asked."""
    netapi32.stick()
    with pytest.raises(win32net.error) as caught:
        win32net.NetSessionEnum(1)
    assert caught.value.args[:2] == (234, "NetSessionEnum")


def test_del_that_names_neither_is_not_sent(comparison: Comparison) -> None:
    for arguments in ((), (None,), (None, None, None), (None, "", ""), ("\\\\fs01", "", None)):
        theirs, ours = comparison.both(made_up(100), "NetSessionDel", *arguments)
        assert (theirs.calls, ours.calls) == ((0, 0, 1), (0, 0, 0))
        assert ours.raised == theirs.raised == "error"
        assert ours.status_and_function == theirs.status_and_function == (87, "NetSessionDel")
        assert ours.left == theirs.left == 100


def test_keyword_arguments_work(netapi32: StandIn) -> None:
    with pytest.raises(TypeError):
        pywin32.NetSessionEnum(level=1)
    assert win32net.NetSessionEnum(level=1) == pywin32.NetSessionEnum(1)


def test_a_nul_character_in_a_name_is_refused(comparison: Comparison) -> None:
    theirs, ours = comparison.both(
        made_up(100), "NetSessionEnum", 1, None, "\\\\WS00005\0x"
    )  # fmt: skip
    assert theirs.returned == pywin32.NetSessionEnum(1, None, "\\\\WS00005")
    assert ours.raised == "ValueError"
    assert ours.calls == (0, 0, 0)


def test_error_texts_differ(netapi32: StandIn) -> None:
    netapi32.fail("NetSessionEnum", 5)
    with pytest.raises(win32net.error) as ours:
        win32net.NetSessionEnum(1)
    with pytest.raises(pywin32.error) as theirs:
        pywin32.NetSessionEnum(1)
    assert ours.value.args[:2] == theirs.value.args[:2] == (5, "NetSessionEnum")
    assert "ERROR_ACCESS_DENIED" in ours.value.args[2]


def test_enough_cases_were_compared(comparison: Comparison) -> None:
    """Counts what ran before it in this module; alone it would fail."""
    assert comparison.cases >= LEAST_CASES
