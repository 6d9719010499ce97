"""Scans in threads: what comes, in which order, how much is taken, and what is left behind."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import pickle
import subprocess
import sys
import sysconfig
import threading
import weakref
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import netsession
from fleet_peers import (
    AGES,
    PATIENCE,
    GatedServer,
    RaisingServer,
    SilentServer,
    Source,
    over_smb,
    refusing,
    until,
)
from forking import in_a_fork, needs_fork
from netsession import (
    AccessDenied,
    CallTimeout,
    KeptSessions,
    LogonFailed,
    NetApiError,
    NotAsked,
    Scan,
    ScanIncomplete,
    ScanProgress,
    ServerReport,
    _crew,
    scan,
)
from netsession.testing import SimulatedServer, simulated_fleet, simulated_server
from test_interrupts import Injector
from tracing import untraced

AHEAD = _crew._AHEAD


def fleet(n: int, **options: Any) -> list[SimulatedServer]:
    return simulated_fleet(n, sessions=2, **options)


# -- what comes ------------------------------------------------------------------------------------


def test_nothing_is_asked_before_a_report_is_wanted() -> None:
    servers = fleet(3)
    query = scan(servers)
    reports = iter(query)
    assert [server.calls() for server in servers] == [0, 0, 0]
    assert next(reports).error is None
    assert "3 servers" in repr(query)


def test_each_iteration_asks_afresh() -> None:
    servers = fleet(3)
    query = scan(servers)
    assert sorted(map(len, (report.sessions for report in query))) == [2, 2, 2]
    servers[1].connect_session("A", "alice")
    assert sorted(map(len, (report.sessions for report in query))) == [2, 2, 3]
    assert [server.calls() for server in servers] == [2, 2, 2]


def test_reports_come_as_they_complete() -> None:
    slow, quick = GatedServer("slow"), fleet(20)
    seen = []
    for report in scan([slow, *quick], workers=2):
        seen.append(report.server)
        if len(seen) == 20:  # all but the slow one are there, and it is not waited for
            assert "slow" not in seen
            slow.gate.set()
    assert seen[-1] == "slow"
    assert len(seen) == 21


def test_what_a_report_is() -> None:
    before = datetime.now(UTC)
    (report,) = scan([simulated_server(5, name="fs01")])
    assert (report.server, report.level, report.error) == ("fs01", 502, None)
    assert before <= report.collected_at <= datetime.now(UTC)
    assert report.collected_at.utcoffset() == timedelta(0)
    assert 0 <= report.elapsed < PATIENCE
    assert list(report.sessions) == list(simulated_server(5).sessions())


def test_the_same_server_twice_is_two_reports() -> None:
    server = simulated_server(2, name="fs01")
    assert [report.server for report in scan([server] * 50, workers=8)] == ["fs01"] * 50
    assert server.calls() == 50


@pytest.mark.parametrize("workers", [1, 2, 7, 64])
def test_none_is_lost_and_none_repeated(workers: int) -> None:
    servers = simulated_fleet(300, sessions=3, denied=30)
    reports = list(scan(servers, workers=workers))
    assert Counter(report.server for report in reports) == Counter(each.name for each in servers)
    kinds = Counter(type(report.error).__name__ for report in reports)
    assert kinds == {"NoneType": 270, "AccessDenied": 30}


def test_selecting_and_levels_are_those_of_sessions() -> None:
    servers = simulated_fleet(3, sessions=200)
    expected = {
        each.name: list(each.sessions(level=10, user="alice.5", where=netsession.where(client="*")))
        for each in servers
    }
    query = scan(servers, level=10, user="alice.5", where=netsession.where(client="*"))
    reports = list(query)
    assert {report.server: list(report.sessions) for report in reports} == expected
    assert {report.level for report in reports} == {10}
    (none,) = scan(servers[:1], user="nobody")
    assert (len(none.sessions), none.level, none.error) == (0, 502, None)


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("item", "kind", "text"),
    [
        ("", ValueError, "empty"),
        ("  ", ValueError, "empty"),
        ("\\\\", ValueError, "empty"),
        ("10.0.0.0/24", ValueError, "network"),
        ("fs01,fs02", ValueError, "no server's name"),
        ("fs01:99999", ValueError, "port"),
        ("alice:hunter2@fs01", ValueError, "@"),
        (None, TypeError, "NoneType"),
        (7, TypeError, "int"),
        (b"fs01", TypeError, "bytes"),
        (Unprintable(), TypeError, "Unprintable"),
    ],
)
def test_what_is_no_server_is_a_report(item: Any, kind: type[Exception], text: str) -> None:
    good = fleet(2)
    reports = {report.server: report for report in scan([good[0], item, good[1]])}
    assert len(reports) == 3
    (bad,) = [report for report in reports.values() if report.error is not None]
    assert isinstance(bad.error, kind)
    assert text in str(bad.error)
    assert "hunter2" not in f"{bad!r}{bad.error!r}{bad.error}"
    assert (len(bad.sessions), bad.level) == (0, None)
    if isinstance(item, str):
        assert bad.server == item


@pytest.mark.parametrize(
    "raised",
    [ValueError, MemoryError, KeyboardInterrupt, SystemExit, StopIteration, GeneratorExit],
)
def test_whatever_is_thrown_inside_is_a_report(raised: type[BaseException]) -> None:
    servers = [RaisingServer("bad", lambda: raised("thrown")), *fleet(3)]
    reports = {report.server: report for report in scan(servers)}
    assert len(reports) == 4
    error = reports["bad"].error
    assert isinstance(error, Exception)
    assert "thrown" in str(error)
    assert raised.__name__ in f"{error!r}{error}"


def test_errors_hold_no_frames() -> None:
    """They are kept for long, and frames hold servers, pages and passwords."""

    def raised() -> BaseException:
        try:
            raise ValueError("first")
        except ValueError as first:
            error = RuntimeError("second")
            error.__cause__ = error.__context__ = first
            return error

    (report,) = scan([RaisingServer("bad", raised)])
    assert report.error is not None
    assert report.error.__traceback__ is None
    assert report.error.__cause__ is report.error.__context__ is None


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"servers": "fs01"}, TypeError, "servers"),
        ({"servers": b"fs01"}, TypeError, "servers"),
        ({"servers": netsession.Server("fs01", port=1)}, TypeError, "servers"),
        ({"servers": 7}, TypeError, "servers"),
        ({"level": 3}, ValueError, "level"),
        ({"level": 0, "where": netsession.where(no_opens=True)}, ValueError, "level 0"),
        ({"client": 7}, TypeError, "client"),
        ({"user": 7}, TypeError, "user"),
        ({"where": "idle"}, TypeError, "where"),
        ({"password": "x"}, ValueError, "username"),
        ({"username": ""}, ValueError, "username"),
        ({"port": 0}, ValueError, "port"),
        ({"encrypt": 1}, TypeError, "encrypt"),
        ({"timeout": 0}, ValueError, "timeout"),
        ({"timeout": timedelta(seconds=1)}, TypeError, "total_seconds"),
        ({"workers": 0}, ValueError, "workers"),
        ({"workers": 1.5}, TypeError, "workers"),
        ({"workers": True}, TypeError, "workers"),
        ({"executor": 4}, TypeError, "executor"),
        ({"on_progress": 4}, TypeError, "on_progress"),
        ({"keep_going": 1}, TypeError, "keep_going"),
        ({"errors": "ignore"}, ValueError, "errors"),
    ],
)
def test_arguments(options: dict[str, Any], kind: type[Exception], text: str) -> None:
    servers = options.pop("servers", [])
    with pytest.raises(kind, match=text):
        scan(servers, **options)


def test_an_asynchronous_iterable_is_refused() -> None:
    async def names() -> Any:
        yield "fs01"

    with pytest.raises(TypeError, match="asynchronous"):
        scan(names())


# -- where servers come from -----------------------------------------------------------------------


def test_no_servers() -> None:
    assert list(scan([])) == []
    assert list(scan(iter(()))) == []


def test_an_endless_iterable() -> None:
    source = Source(itertools.cycle(fleet(5)))
    reports = list(itertools.islice(scan(source, workers=3), 100))
    assert len(reports) == 100
    assert source.taken <= 100 + 3 + AHEAD


@pytest.mark.parametrize("workers", [1, 3, 16])
def test_a_slow_reader_keeps_servers_from_being_taken(workers: int) -> None:
    """What is taken and not read is bounded: names, calls under way, and finished reports."""
    source = Source(itertools.cycle(fleet(5)))
    reports = iter(scan(source, workers=workers))
    for read in range(1, 6):
        next(reports)
        until(lambda read=read: source.taken >= read + workers)
        threading.Event().wait(0.05)  # more would be taken now
        assert source.taken <= read + workers + AHEAD
    reports.close()  # type: ignore[attr-defined]


def test_no_more_are_asked_at_a_time_than_there_are_workers() -> None:
    servers = [GatedServer(f"fs{number}") for number in range(12)]
    first, *_ = servers
    first.gate.set()
    reports = iter(scan(servers, workers=4))
    next(reports)
    until(lambda: sum(server.asked.is_set() for server in servers) == 5)
    threading.Event().wait(0.05)
    assert sum(server.asked.is_set() for server in servers) == 5
    for server in servers:
        server.gate.set()
    assert len(list(reports)) == 11


def test_a_slow_iterable_delays_no_report() -> None:
    more = threading.Event()

    def names() -> Iterator[Any]:
        yield from fleet(3)
        assert more.wait(PATIENCE)
        yield from fleet(2)

    reports = iter(scan(names()))
    assert len(list(itertools.islice(reports, 3))) == 3  # while next() still waits
    more.set()
    assert len(list(reports)) == 2


def test_what_the_iterable_raises_comes_after_what_was_taken() -> None:
    slow = GatedServer("slow")

    def names() -> Iterator[Any]:
        yield slow
        yield from fleet(3)
        raise LookupError("the list is broken")

    seen: list[str] = []
    with pytest.raises(LookupError, match="the list is broken"):
        for report in scan(names()):
            seen.append(report.server)
            if len(seen) == 3:
                slow.gate.set()
    assert len(seen) == 4


@pytest.mark.parametrize("raised", [ZeroDivisionError, RuntimeError, KeyboardInterrupt])
def test_an_iterable_that_cannot_be_read(raised: type[BaseException]) -> None:
    class Broken:
        def __iter__(self) -> Iterator[str]:
            raise raised("broken")

    with pytest.raises(raised, match="broken"):
        list(scan(Broken()))


def test_an_iterable_that_raises_what_a_queue_raises() -> None:
    import queue

    def names() -> Iterator[Any]:
        yield from fleet(1)
        raise queue.Empty("not ours")

    with pytest.raises(queue.Empty, match="not ours"):
        list(scan(names()))


def test_an_iterable_is_read_in_one_thread_with_the_reader_s_context() -> None:
    import contextvars

    who = contextvars.ContextVar("who", default="nobody")
    threads, values = set(), set()

    def names() -> Iterator[Any]:
        for server in fleet(30):
            threads.add(threading.get_ident())
            values.add(who.get())
            yield server

    who.set("the reader")
    assert len(list(scan(names(), workers=3))) == 30
    assert len(threads) == 1
    assert values == {"the reader"}


def test_an_iterable_is_let_go_when_nobody_reads_any_more() -> None:
    closed = threading.Event()

    def names() -> Iterator[Any]:
        try:
            yield from itertools.cycle(fleet(2))
        finally:
            closed.set()

    for _ in scan(names()):
        break
    until(closed.is_set)  # without a GIL this thread must run to let go what another one dropped


# -- time ------------------------------------------------------------------------------------------


@over_smb
def test_over_smb_a_late_call_is_aborted() -> None:
    with SilentServer() as silent:
        query = scan([silent.name, *fleet(3)], username="u", password="p", timeout=2)
        reports = {report.server: report for report in query}
        error = reports[silent.name].error
        assert isinstance(error, CallTimeout)
        assert "2 s" in str(error)
        assert silent.wait_until_left() == 1
    assert query.abandoned == 0
    assert len(reports) == 4


@over_smb
def test_over_smb_what_its_own_deadline_does_not_end_is_called_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A listing that takes for ever at something where no deadline is looked at."""
    from netsession import _question
    from netsession.srvsvc.deadline import Deadline

    monkeypatch.setattr(_question, "_SMB_GRACE", 0.1)
    remaining = Deadline.remaining

    def for_ever(self: Deadline) -> float:
        return min(remaining(self), 1.0) if self.is_off else 1.0

    monkeypatch.setattr(Deadline, "remaining", for_ever)
    with SilentServer() as silent:
        query = scan([silent.name], username="u", password="p", timeout=2)
        (report,) = query
        assert isinstance(report.error, CallTimeout)
        silent.wait_until_left()
    until(lambda: query.abandoned == 0)


def test_natively_a_stuck_thread_is_left_behind_and_counted() -> None:
    servers = fleet(30, dead=3, dead_latency=None)
    query = scan(servers, timeout=2, workers=4)
    kinds = Counter(type(report.error).__name__ for report in query)
    assert kinds == {"NoneType": 27, "CallTimeout": 3}
    assert query.abandoned == 3
    for server in servers:
        server.release()
    until(lambda: query.abandoned == 0)


def test_dead_hosts_do_not_use_up_the_workers() -> None:
    """As many as there are workers are given up, and others asked in their place."""
    servers = [*fleet(4, dead=4, dead_latency=None), *fleet(40)]
    query = scan(servers, timeout=2, workers=5)
    reports = list(query)
    assert Counter(report.error is None for report in reports) == {True: 40, False: 4}
    for server in servers:
        server.release()


def test_no_more_threads_are_left_behind_than_there_are_workers() -> None:
    """Also where one hangs that was begun when others had answered, and before any was given up."""
    dead = fleet(3, dead=3, dead_latency=None)
    (slow,) = fleet(1, slow=1, slow_latency=1.2)
    query = scan([dead[0], slow, *dead[1:], *fleet(1)], timeout=2, workers=2)
    abandoned = [query.abandoned for _ in query]
    assert (len(abandoned), max(abandoned)) == (5, 2)
    for server in dead:
        server.release()


def test_where_all_threads_are_stuck_the_rest_is_not_asked() -> None:
    dead = fleet(40, dead=40, dead_latency=None)
    query = scan(dead, timeout=0.2, workers=4)
    reports = list(query)
    kinds = Counter(type(report.error).__name__ for report in reports)
    assert kinds == {"CallTimeout": 4, "NotAsked": 36}
    assert query.abandoned == 4
    assert sum(server.calls() for server in dead) == 4
    (text,) = {str(r.error).partition("not asked: ")[2] for r in reports[4:]}
    assert "netapi32.dll" in text
    # Again: they are the same threads, and no more come to them.
    assert {type(report.error) for report in query} == {NotAsked}
    assert query.abandoned == 4
    for server in dead:
        server.release()
    until(lambda: query.abandoned == 0)
    assert NotAsked not in {type(report.error) for report in query}


def test_threads_that_come_back_are_used_again() -> None:
    dead, well = fleet(3, dead=3, dead_latency=None), fleet(10)
    kinds: Counter[str] = Counter()
    for report in scan([*dead, *well], timeout=2, workers=3):
        kinds[type(report.error).__name__] += 1
        if kinds["CallTimeout"] == 3:
            for server in dead:
                server.release()
    assert kinds == {"CallTimeout": 3, "NoneType": 10}


def test_without_a_time_out_one_waits() -> None:
    slow = GatedServer("slow")
    reports = iter(scan([slow], timeout=None))
    threading.Timer(0.1, slow.gate.set).start()
    assert next(reports).error is None


def test_where_no_thread_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    start = _crew.start_new_thread
    left = 5  # two of its own, and three that ask

    def limited(*arguments: Any) -> Callable[[], object | None]:
        nonlocal left
        left -= 1
        if left < 0 and left % 3:
            raise RuntimeError("can't start new thread")
        return start(*arguments)

    monkeypatch.setattr(_crew, "start_new_thread", limited)
    reports = list(scan(fleet(30), workers=8))
    assert len(reports) == 30
    for report in reports:
        assert report.error is None or "o thread could be started" in str(report.error)
    left = 0
    with pytest.raises(NetApiError, match="o thread could be started"):
        list(scan(fleet(1)))


async def _all_of(query: Any) -> list[Any]:
    return [report async for report in query]


READINGS = pytest.mark.parametrize("read", [list, lambda query: asyncio.run(_all_of(query))])


def without_a_word(event: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where memory is short: a thread ends instead of telling what has happened."""
    post = _crew.Run._post

    def speechless(run: _crew.Run, what: Callable[..., object], *arguments: object) -> None:
        if what.__name__ == event:
            sys.exit()  # ends the thread that it is raised in, and nothing is written
        post(run, what, *arguments)

    monkeypatch.setattr(_crew.Run, "_post", speechless)


@READINGS
def test_a_server_whose_thread_ends_without_a_word(
    read: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_a_word("_on_report", monkeypatch)
    reports = read(scan(fleet(3), timeout=None, workers=2))
    assert [type(report.error) for report in reports] == [MemoryError] * 3
    assert "no memory was left" in str(reports[0].error)


@READINGS
def test_a_taker_that_ends_without_a_word(
    read: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_a_word("_on_source_over", monkeypatch)
    with pytest.raises(MemoryError, match="to take more servers"):
        read(scan(fleet(3), timeout=None))


@READINGS
def test_a_decider_that_ends_without_a_word(
    read: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_crew.Run, "_manage", lambda run: sys.exit())
    with pytest.raises(MemoryError, match="it has ended"):
        read(scan(fleet(3), timeout=None))


# -- leaving ---------------------------------------------------------------------------------------


def leave_by_break(reports: Iterator[ServerReport]) -> None:
    for _ in reports:
        break


def leave_by_close(reports: Any) -> None:
    next(reports)
    reports.close()
    with pytest.raises(StopIteration):
        next(reports)


def leave_by_exception(reports: Iterator[ServerReport]) -> None:
    with pytest.raises(ZeroDivisionError):
        for _ in reports:
            raise ZeroDivisionError


@pytest.mark.parametrize("leave", [leave_by_break, leave_by_close, leave_by_exception])
@over_smb
def test_leaving_closes_all_connections(leave: Callable[[Any], None]) -> None:
    with SilentServer() as silent:

        def names() -> Iterator[Any]:
            yield from [silent.name] * 6
            silent.wait_until_asked(6)
            yield from itertools.cycle(fleet(1))

        # Without leaving they would wait for ten minutes.
        leave(iter(scan(names(), username="u", password="p", timeout=AGES, workers=8)))
        gc.collect()
        assert silent.wait_until_left() == 6


def test_leaving_does_not_wait_for_what_cannot_be_called_off() -> None:
    dead = fleet(3, dead=3, dead_latency=None)

    def names() -> Iterator[Any]:
        yield from dead
        until(lambda: all(server.calls() for server in dead))
        yield from fleet(3)

    query = scan(names(), timeout=600)
    for report in query:
        assert report.error is None
        break
    until(lambda: query.abandoned == 3)  # others may have been under way
    for server in dead:
        server.release()
    until(lambda: query.abandoned == 0)


def test_threads_end_with_the_scan() -> None:
    before = len(sys._current_frames())
    for _ in range(3):
        assert len(list(scan(fleet(40), workers=10))) == 40
        for _report in scan(itertools.cycle(fleet(3))):
            break
    until(lambda: len(sys._current_frames()) <= before)


def test_a_report_is_the_reader_s_alone() -> None:
    """The iteration keeps none while it waits for the next one."""

    class Page:
        pass

    slow = GatedServer("slow")
    reports = iter(scan([*fleet(1), slow]))
    report = next(reports)
    gone = weakref.ref(report.sessions.pages[0]) if _has_weakrefs(report) else None
    mine = object()

    def alone() -> int:
        return sys.getrefcount(mine)  # of the cell, and of the argument

    def counted() -> int:
        return sys.getrefcount(report)

    until(lambda: counted() <= alone() + 1)  # the suspended frame; its thread goes on a bit
    slow.gate.set()
    next(reports)
    until(lambda: counted() == alone())
    assert gone is None or gone() is not None


def _as_arrow(scan: Scan) -> Iterator[Any]:
    return scan._parts()


def _as_the_command_lists(scan: Scan) -> Iterator[Any]:
    from netsession.cli.fleet import Listing

    listing = Listing([], Namespace(fail_fast=False, servers_from=None), alone=False)
    listing.scan = scan
    return listing.pages()


@pytest.mark.parametrize("pages_of", [_as_arrow, _as_the_command_lists])
def test_pages_go_before_the_next_server_is_waited_for(
    pages_of: Callable[[Scan], Iterator[Any]],
) -> None:
    quick, slow = simulated_server(6, page_entries=2), GatedServer("slow")
    pages = pages_of(scan([quick, slow]))
    for _ in range(3):
        next(pages)
    rest: list[Any] = []
    waiting = threading.Thread(target=lambda: rest.extend(pages))
    waiting.start()

    def has_come_back() -> bool:
        if sysconfig.get_config_var("Py_GIL_DISABLED"):
            gc.collect()  # there the counts of a thread that waits in C are merged at no other time
        return quick._simulator.outstanding == 0

    until(has_come_back)
    slow.gate.set()
    waiting.join(PATIENCE)
    assert len(rest) == 1


def _has_weakrefs(report: ServerReport) -> bool:
    try:
        weakref.ref(report.sessions.pages[0])
    except TypeError:
        return False
    return True


ENDS = """
import itertools, sys
import netsession
from netsession.testing import simulated_fleet
sys.path.insert(0, {folder!r})
from fleet_peers import SilentServer
import threading

def names():
    yield from simulated_fleet(3, dead=3, dead_latency=None)
    with SilentServer() as silent:
        yield from [silent.name] * 3
        silent.wait_until_asked(3)
        yield from simulated_fleet(2, sessions=1)
        threading.Event().wait()  # for ever

query = netsession.scan(names(), username="u", password="p", timeout=600)
"""


@over_smb
@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("for report in query: break", 0),
        ("reports = iter(query); next(reports)", 0),
        ("for report in query: sys.exit(5)", 5),
        ("for report in query: raise KeyboardInterrupt", -2),
        ("reports = iter(query); next(reports); keep = sys.modules['keep'] = reports", 0),
    ],
)
def test_nothing_of_ours_keeps_the_interpreter(how: str, code: int) -> None:
    script = ENDS.format(folder=os.path.dirname(__file__)) + how
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == code, done.stderr
    assert "Fatal" not in done.stderr


INTERRUPTED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
read = 0
try:
    for report in query:
        read += 1
        if read == 2:
            threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()
except KeyboardInterrupt:
    print("interrupted after", read, "and", query.abandoned, "left behind")
"""


@over_smb
def test_ctrl_c_while_it_waits() -> None:
    script = ENDS.format(folder=os.path.dirname(__file__)) + INTERRUPTED
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "interrupted after 2 and 3 left behind\n"


@needs_fork
def test_a_forked_child_leaves_the_scan_to_its_parent() -> None:
    reports = iter(scan(itertools.cycle(fleet(3))))
    next(reports)

    def asked() -> bool:
        """No thread of the scan is here: it would be waited for until the end."""
        with pytest.raises(RuntimeError, match=r"forked off: call scan\(\) again"):
            next(reports)
        return True

    in_a_fork(asked)
    in_a_fork(lambda: reports.close() is None)  # type: ignore[attr-defined]
    assert next(reports).error is None
    reports.close()  # type: ignore[attr-defined]


@untraced
def test_an_interrupt_between_any_two_bytecodes_ends_it() -> None:
    """Ctrl-C anywhere in the reader's thread: no thread stays, and the next scan works."""
    before = len(sys._current_frames())
    at = 0
    while True:
        query = scan(itertools.cycle(fleet(3)), workers=2)
        injector = Injector(at)

        def read(query: Scan = query) -> None:
            for _ in itertools.islice(query, 3):
                pass

        with pytest.MonkeyPatch.context() as patch:
            # Python tells nobody of what comes while it closes a generator, but this hook.
            patch.setattr(sys, "unraisablehook", lambda unraisable: None)
            injector.run(read)
        if not injector.done:
            break
        at += 5
    until(lambda: len(sys._current_frames()) <= before)
    assert at > 300
    assert len(list(scan(fleet(3)))) == 3


# -- several at once -------------------------------------------------------------------------------


def test_two_iterations_of_one_scan_at_once() -> None:
    query = scan(fleet(20), workers=3)
    pairs = list(zip(query, query, strict=True))
    for each in zip(*pairs, strict=True):
        assert sorted(report.server for report in each) == sorted(
            server.name or "" for server in fleet(20)
        )


def test_scans_in_scans() -> None:
    inner = [len(list(scan(fleet(4)))) for _ in scan(fleet(5), workers=2)]
    assert inner == [4] * 5


def test_scans_in_many_threads() -> None:
    query = scan(fleet(50, denied=5), workers=4)
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(len(list(query)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert counts == [50] * 8


# -- wrong logons ----------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 32])
def test_after_three_refused_logons_nobody_is_asked_any_more(workers: int) -> None:
    servers = [refusing(f"fs{number}", 1326) for number in range(50)]
    query = scan(servers, workers=workers, timeout=AGES)
    reports = list(query)
    kinds = Counter(type(report.error).__name__ for report in reports)
    assert kinds == {"LogonFailed": 3, "NotAsked": 47}
    assert sum(server.calls() for server in servers) == 3
    assert query.stopped is not None
    assert "keep_going" in query.stopped
    assert "fs0" in query.stopped
    (told,) = {report.error.detail for report in reports if isinstance(report.error, NotAsked)}
    assert told == query.stopped
    assert len(query.failures) == 50


def test_keep_going() -> None:
    servers = [refusing(f"fs{number}", 1326) for number in range(50)]
    query = scan(servers, keep_going=True)
    assert {type(report.error) for report in query} == {LogonFailed}
    assert query.stopped is None
    assert sum(server.calls() for server in servers) == 50


def test_after_a_good_logon_three_refused_ones_stop_it_too() -> None:
    servers = [*fleet(4), *(refusing(f"fs{number}", 1326) for number in range(50))]
    query = scan(servers, workers=2)
    kinds = Counter(type(report.error).__name__ for report in query)
    assert kinds["NoneType"] == 4
    assert 3 <= kinds["LogonFailed"] <= 3 + 1  # one more was under way
    assert query.stopped is not None


def test_access_denied_is_a_good_logon() -> None:
    query = scan([refusing(f"fs{number}", 5) for number in range(20)])
    assert {type(report.error) for report in query} == {AccessDenied}
    assert query.stopped is None


# -- Arrow -----------------------------------------------------------------------------------------


def test_one_arrow_stream_over_all_servers() -> None:
    pa = pytest.importorskip("pyarrow")
    servers = fleet(5)
    servers[1].refuse(502)
    servers[2].refuse(502)
    servers[2].refuse(2)
    table = pa.table(scan(servers))
    assert table.num_rows == 10
    assert table.column_names[:2] == ["server", "collected_at"]
    assert pa.schema(scan([])) == table.schema == pa.table(scan([])).schema
    rows = table.to_pylist()
    levels = {row["server"]: row["level"] for row in rows}
    assert levels == {"sim0001": 502, "sim0002": 2, "sim0003": 1, "sim0004": 502, "sim0005": 502}
    assert {row["collected_at"].utcoffset() for row in rows} == {timedelta(0)}


def test_failed_servers_are_no_rows() -> None:
    pa = pytest.importorskip("pyarrow")
    servers = fleet(20, denied=3)
    query = scan(servers)
    reader = pa.RecordBatchReader.from_stream(query)
    batches = []
    with pytest.raises(Exception, match=r"ScanIncomplete: 3 servers failed: .*AccessDenied"):
        for batch in reader:
            batches.append(batch)
    assert sum(batch.num_rows for batch in batches) == 34
    assert len(query.failures) == 3
    skipping = scan(servers, errors="skip")
    assert pa.table(skipping).num_rows == 34
    assert len(skipping.failures) == 3


def test_an_arrow_stream_that_is_dropped_leaves() -> None:
    pa = pytest.importorskip("pyarrow")
    source = Source(itertools.cycle(fleet(2)))
    reader = pa.RecordBatchReader.from_stream(scan(source))
    reader.read_next_batch()
    reader.close()
    del reader
    gc.collect()
    taken = source.taken
    threading.Event().wait(0.05)
    assert source.taken <= taken + AHEAD


# -- progress --------------------------------------------------------------------------------------


def test_progress_counts() -> None:
    told: list[ScanProgress] = []
    threads = set()

    def on_progress(progress: ScanProgress) -> None:
        threads.add(threading.get_ident())
        told.append(progress)

    reports = list(scan(fleet(20, denied=4), on_progress=on_progress, workers=3))
    assert threads == {threading.get_ident()}
    first, *others = told
    assert (first.report, first.done, first.total, first.failed) == (None, 0, 20, {})
    assert [each.report for each in others] == reports
    assert [each.done for each in others] == list(range(1, 21))
    for each in others:
        assert each.done == each.listed + sum(each.failed.values())
        assert each.done <= each.taken <= each.done + 3 + AHEAD
        assert each.in_flight <= 3
        assert each.elapsed > 0
    last = others[-1]
    assert (last.listed, last.failed, last.sessions) == (16, {"AccessDenied": 4}, 32)
    assert last.taken == last.total == 20


def test_progress_of_what_has_no_length() -> None:
    told: list[ScanProgress] = []
    list(scan(iter(fleet(3)), on_progress=told.append))
    assert {each.total for each in told} == {None}


@pytest.mark.parametrize("at", [0, 1, 7])
def test_what_progress_raises_ends_the_scan(at: int) -> None:
    def on_progress(progress: ScanProgress) -> None:
        if progress.done == at:
            raise ZeroDivisionError("of the caller's")

    source = Source(itertools.cycle(fleet(3)))
    reports = []
    with pytest.raises(ZeroDivisionError, match="of the caller's"):
        reports.extend(scan(source, on_progress=on_progress, workers=2))
    assert source.taken <= at + 2 + AHEAD


# -- what is kept ----------------------------------------------------------------------------------


def kept(level: int = 502) -> tuple[KeptSessions, list[Any]]:
    servers = (simulated_server(count, page_entries=7) for count in (5, 23))
    pages = [page for s in servers for page in s.sessions(level=level, page_bytes=4096).pages()]
    empty = pages[0].filter(lambda record: False)
    pages = [empty, *pages, empty]
    return KeptSessions(pages), [record for page in pages for record in page]


def test_kept_sessions_are_a_sequence() -> None:
    sessions, records = kept()
    assert len(sessions) == len(records) == 28
    assert list(sessions) == records
    assert list(reversed(sessions)) == records[::-1]
    for index in range(-28, 28):
        assert sessions[index] == records[index]
    for index in (-29, 28, 10**30):
        with pytest.raises(IndexError):
            sessions[index]
    with pytest.raises(TypeError):
        sessions["0"]  # type: ignore[call-overload]
    for key in (slice(None), slice(3, 20), slice(25, 1, -3), slice(-3, None), slice(9, 2)):
        assert sessions[key] == records[key]
    assert records[9] in sessions
    assert None not in sessions
    assert sessions.index(records[9]) == records.index(records[9])
    assert sessions.count(records[9]) == records.count(records[9])
    assert bool(KeptSessions()) is False
    assert repr(sessions) == "<KeptSessions: 28 sessions>"


def test_kept_sessions_compare_by_their_records() -> None:
    sessions, records = kept()
    again, _ = kept()
    assert sessions == again
    assert sessions == KeptSessions(again.pages[1:-1])
    assert sessions != KeptSessions(again.pages[:-2])
    assert sessions != kept(10)[0]
    assert sessions != records
    with pytest.raises(TypeError):
        hash(sessions)


def test_kept_sessions_are_arrow() -> None:
    pa = pytest.importorskip("pyarrow")
    sessions, records = kept()
    assert pa.table(sessions).num_rows == len(records)
    assert pa.table(KeptSessions()).num_rows == 0
    (nobody,) = scan([simulated_server(3)], user="nobody", level=10)
    assert pa.table(nobody.sessions).schema == pa.schema(simulated_server(3).sessions(level=10))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_reports_are_pickled(protocol: int) -> None:
    servers = [
        *fleet(3, denied=1),
        RaisingServer("bad", lambda: ValueError("no")),
        *(refusing(f"fs{number}", 1326) for number in range(6)),
    ]
    for report in [*scan(servers), *scan(["", None])]:  # type: ignore[list-item]
        again = pickle.loads(pickle.dumps(report, protocol))
        assert again == report
        assert type(again.error) is type(report.error)
        assert str(again.error) == str(report.error)
        assert (again.collected_at, again.elapsed) == (report.collected_at, report.elapsed)
        assert list(again.sessions) == list(report.sessions)


def test_reports_are_equal_where_they_say_the_same() -> None:
    def report(server: SimulatedServer, **options: Any) -> ServerReport:
        (only,) = scan([server], **options)
        return only

    server = simulated_server(3, name="a")
    one, no = report(server), report(refusing("a", 5))
    assert one == report(server)
    assert no == report(refusing("a", 5))
    assert one != no
    assert one != report(simulated_server(4, name="a"))
    assert one != report(simulated_server(3, name="b"))
    assert one != report(server, level=10)
    assert no != report(refusing("a", 53))
    assert one != "a"
    with pytest.raises(TypeError):
        hash(one)


def test_reports_are_short_to_read() -> None:
    (good,), (bad,) = scan([simulated_server(1, name="a")]), scan([refusing("a", 5)])
    assert repr(good) == "<ServerReport a: 1 session, level 502>"
    assert repr(bad) == "<ServerReport a: failed: AccessDenied>"


def test_a_scan_keeps_its_secrets() -> None:
    query = scan(["fs01"], username="alice", password="hunter2")
    assert "hunter2" not in repr(query)
    with pytest.raises(TypeError, match="credentials"):
        pickle.dumps(query)
    assert "hunter2" not in repr(query._asking)


def test_scan_is_imported_when_it_is_wanted() -> None:
    code = (
        "import sys, netsession; "
        "before = {m for m in sys.modules if m.startswith('netsession')}; "
        "netsession.scan; print(sorted(m for m in before if 'fleet' in m or 'crew' in m))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_failures_before_anything_was_asked() -> None:
    query = scan(fleet(1))
    assert isinstance(query, Scan)
    assert (query.failures, query.stopped, query.abandoned) == ([], None, 0)
    text = str(ScanIncomplete([r for s in range(8) for r in scan([refusing(f"fs{s}", 5)])]))
    assert text.startswith("8 servers failed: fs0 (AccessDenied)")
    assert "and 3 more" in text
