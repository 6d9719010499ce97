"""Every public call, its success and each of its failures, as small operations to be repeated.

The tests of leaks count around them.  Nothing but netsession is imported, and no test framework;
what a part needs beside that and this machine lacks leaves the part empty.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import io
import os
import pickle
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import arrow_consumer as consumer
import core_operations
import netsession
from fake_pipe import ALICE, server_of
from netsession import Server, _netsession, scan, where, win32net
from netsession._simulator import Simulator
from netsession.testing import SimulatedServer, simulated_fleet, simulated_server

Operation = Callable[[], object]

AGES = 100_000.0  # seconds: a time-out that does not pass
CLIENT, USER = "10.0.0.0", "alice.0"  # the simulator's first session

#: A status for each class of NetApiError that a status makes.
FAILURES: dict[str, int] = {
    "NetApiError": 1450,
    "AccessDenied": 5,
    "LogonFailed": 1326,
    "InvalidLevel": 124,
    "InvalidParameter": 87,
    "SessionNotFound": 2221,
    "ServerUnreachable": 53,
    "ConnectionLost": 64,
    "CallTimeout": 121,
    "NotSupported": 50,
}


class NotRaisedError(AssertionError):
    """An operation ended, and should not have."""


def failing(operation: Operation, *kinds: type[BaseException]) -> Operation:
    """The operation, which must raise one of these."""

    def fail() -> None:
        try:
            operation()
        except kinds as error:
            str(error), repr(error)  # what people do with them
            return
        raise NotRaisedError(kinds)

    return fail


def _asked(operation: Callable[[Server], object], server: SimulatedServer) -> Operation:
    return lambda: operation(server)


def _failing_server(function: str, status: int, **times: int) -> SimulatedServer:
    server = simulated_server(3)
    server.fail(function, status, **times)
    return server


# --- the library ---------------------------------------------------------------------------------


def _library() -> dict[str, Operation]:
    server = SimulatedServer(Simulator(70, 40))
    record = next(iter(server.sessions()))
    query = server.sessions()
    page = next(query.pages())
    conditions = where(user="alice*", idle_for=timedelta(seconds=1), exclude_machine_accounts=True)
    error = netsession.AccessDenied(5, "NetSessionEnum", "fs01")
    plan = server.plan_delete(client=CLIENT, user=USER)
    calls: dict[str, Operation] = {
        "sessions()": lambda: list(server.sessions()),
        "sessions(client=, user=)": lambda: list(server.sessions(client=CLIENT, user=USER)),
        "sessions(client=a name)": lambda: list(server.sessions(client="ws5")),
        "sessions(where=)": lambda: list(server.sessions(where=conditions)),
        "sessions(page_bytes=)": lambda: list(server.sessions(page_bytes=4096)),
        "sessions(level=0, user=)": lambda: list(server.sessions(level=0, user="nobody")),
        "sessions().pages()": lambda: [len(each) for each in server.sessions().pages()],
        "sessions().pages() left": lambda: next(server.sessions().pages()),
        "for .. sessions() left": lambda: next(iter(server.sessions())),
        "session()": lambda: server.session(CLIENT, USER),
        "plan_delete()": lambda: server.plan_delete(client=CLIENT, user=USER),
        "plan_delete(where=)": lambda: server.plan_delete(where=conditions),
        "delete_sessions()": lambda: _delete(client="C", user="U"),
        "delete_sessions(where=)": lambda: _delete(where=where(user="U", idle_for=1)),
        "delete_sessions(plan=)": _delete_planned,
        "Server()": lambda: repr(SimulatedServer(Simulator(1))),
        "with Server()": _with_server,
        "where()": lambda: where(user=("a", "b*"), client="10.0.0.1", min_opens=2),
        "where()(record)": lambda: conditions(record),
        "pickled where()": lambda: pickle.loads(pickle.dumps(conditions)),
        "properties of a record": lambda: (record.client, record.active, record.idle, record.flags),
        "repr() of a query": lambda: repr(query),
        "pickled page": lambda: pickle.loads(pickle.dumps(page)),
        "copied page": lambda: (copy.copy(page), copy.deepcopy(page)),
        "pickled error": lambda: pickle.loads(pickle.dumps(error)),
        "advice and symbol": lambda: (error.advice, error.symbol, error.doubt, str(error)),
    }
    for level in core_operations.LEVELS:
        calls[f"sessions(level={level})"] = lambda level=level: list(server.sessions(level=level))
    calls |= _failures_by_status() | _other_failures(server, plan) | _refused_arguments(server)
    return calls


def _delete(**which: Any) -> None:
    server = simulated_server(2)
    server.connect_session("C", "U", idle_time=9)
    server.delete_sessions(**which)
    assert server.session_count == 2


def _delete_planned() -> None:
    server = simulated_server(2)
    server.delete_sessions(plan=server.plan_delete(client=CLIENT, user=USER))
    assert server.session_count == 1


def _with_server() -> None:
    with simulated_server(3) as server:
        assert len(list(server.sessions())) == 3


def _failures_by_status() -> dict[str, Operation]:
    """Each of the three functions answers with each class of error."""
    calls: dict[str, Operation] = {}
    for kind, status in FAILURES.items():
        raised = getattr(netsession, kind)
        listing = _failing_server("NetSessionEnum", status)
        half = simulated_server(9, page_entries=3)
        half.fail("NetSessionEnum", status, after=1)
        for name, operation in {
            "sessions()": _asked(lambda server: list(server.sessions()), listing),
            "sessions(level=1)": _asked(lambda server: list(server.sessions(level=1)), listing),
            "session()": _asked(
                lambda server: server.session(CLIENT, USER),
                _failing_server("NetSessionGetInfo", status),
            ),
            "delete_sessions()": lambda status=status: _failing_server(
                "NetSessionDel", status
            ).delete_sessions(client=CLIENT, user=USER),
            "plan_delete(where=)": _asked(
                lambda server: server.plan_delete(where=where(idle_for=1)), listing
            ),
        }.items():
            # A server that finds no session has none to list.
            check = _maybe if kind == "SessionNotFound" else failing
            calls[f"{name}: {kind}"] = check(operation, raised)
        calls[f"sessions() on page 2: {kind}"] = _half_a_list(half, status, raised)
        calls[f"plan_delete(user=): {kind}"] = _maybe(
            _asked(lambda server: server.plan_delete(user=USER), listing), raised
        )
    return calls


def _maybe(operation: Operation, raised: type[BaseException]) -> Operation:
    """Where a list is refused a plan is what was typed; other failures are raised."""

    def run() -> None:
        with suppress(raised):
            operation()

    return run


def _half_a_list(server: SimulatedServer, status: int, raised: type[BaseException]) -> Operation:
    def run() -> None:
        server.fail("NetSessionEnum", status, after=1)
        list(server.sessions(level=502))

    return failing(run, raised)


def _other_failures(server: SimulatedServer, plan: Any) -> dict[str, Operation]:
    stuck, moving = Simulator(3), Simulator(3)
    stuck.stick(True)
    moving.stick(True, moving=True)
    two = simulated_server(0)
    two.connect_session("C", "CORP\\zed")
    two.connect_session("C", "OTHER\\zed")
    malformed, _ = server_of(lambda opnum, stub: ALICE[:-9])
    gone = server.plan_delete(client="10.0.0.1")
    hanging = simulated_server(3)
    hanging.hang(0.0)
    return {
        "sessions(): NoProgress": failing(
            lambda: list(SimulatedServer(stuck).sessions()), netsession.NoProgress
        ),
        "sessions(): NoProgress, the handle moves": failing(
            lambda: list(SimulatedServer(moving).sessions()), netsession.NoProgress
        ),
        "sessions(): MalformedReply": failing(
            lambda: list(malformed.sessions(level=10)), netsession.MalformedReply
        ),
        "sessions(): a fault of ours": failing(
            lambda: list(server_of(_crash)[0].sessions(level=10)), ZeroDivisionError
        ),
        "sessions(): hanging": failing(
            lambda: list(hanging.sessions()), netsession.ServerUnreachable
        ),
        "sessions(timeout=): CallTimeout": failing(
            # Longer than any clock's step.
            lambda: list(simulated_server(9, page_entries=5, latency=0.03).sessions(timeout=0.01)),
            netsession.CallTimeout,
        ),
        "sessions() of a closed Server": _closed_meanwhile,
        "session(): SessionNotFound": failing(
            lambda: server.session("nowhere", "nobody"), netsession.SessionNotFound
        ),
        "plan_delete(): AmbiguousName": failing(
            lambda: two.plan_delete(user="zed"), netsession.AmbiguousName
        ),
        "plan_delete(): SessionNotFound": failing(
            lambda: server.plan_delete(user="nobody"), netsession.SessionNotFound
        ),
        "delete_sessions(plan=) of another server": _maybe(
            lambda: simulated_server(1).delete_sessions(plan=gone), Exception
        ),
        "MissingDependency": failing(_without_smbprotocol, netsession.MissingDependency),
    }


def _crash(opnum: int, stub: bytes) -> bytes:
    raise ZeroDivisionError


def _closed_meanwhile() -> None:
    server = simulated_server(9, page_entries=3)
    pages = server.sessions().pages()
    next(pages)
    server.close()
    try:
        list(pages)
    except netsession.ConnectionLost:
        return
    raise NotRaisedError


def _without_smbprotocol() -> None:
    """As where it is not installed."""
    kept = sys.modules.pop("netsession.srvsvc.smb", None)
    package = sys.modules.get("netsession.srvsvc")
    named = vars(package).pop("smb", None) if package is not None else None
    sys.modules["netsession.srvsvc.smb"] = None  # type: ignore[assignment]
    try:
        with Server("localhost", port=1) as server:
            list(server.sessions())
    finally:
        del sys.modules["netsession.srvsvc.smb"]
        if kept is not None:
            sys.modules["netsession.srvsvc.smb"] = kept
            vars(package)["smb"] = named


def _refused_arguments(server: SimulatedServer) -> dict[str, Operation]:
    bad: dict[str, Operation] = {
        "Server(5)": lambda: Server(5),  # type: ignore[arg-type]
        "Server(port=0)": lambda: Server("x", port=0),
        "Server(port=) twice": lambda: Server("x:1", port=2),
        "Server(timeout=)": lambda: Server("x", timeout=-1.0),
        "Server(username=)": lambda: Server("x", username=""),
        "Server(name)": lambda: Server("a b"),
        "sessions(level=3)": lambda: list(server.sessions(level=3)),
        "sessions(level='x')": lambda: list(server.sessions(level="x")),  # type: ignore[arg-type]
        "sessions(client='')": lambda: list(server.sessions(client="")),
        "sessions(user=NUL)": lambda: list(server.sessions(user="a\0b")),
        "sessions(page_bytes=-1)": lambda: list(server.sessions(page_bytes=-1)),
        "sessions(timeout=-1)": lambda: list(server.sessions(timeout=-1)),
        "sessions(where=5)": lambda: list(server.sessions(where=5)),  # type: ignore[arg-type]
        "sessions(level=0, where=)": lambda: list(
            server.sessions(level=0, where=where(idle_for=1))
        ),
        "session(5, user)": lambda: server.session(5, USER),  # type: ignore[arg-type]
        "session('', user)": lambda: server.session("", USER),
        "delete_sessions()": lambda: server.delete_sessions(),
        "delete_sessions(user='*')": lambda: server.delete_sessions(user="*"),
        "delete_sessions(client='\\\\\\\\')": lambda: server.delete_sessions(client="\\\\"),
        "delete_sessions(plan=5)": lambda: server.delete_sessions(plan=5),  # type: ignore[arg-type]
        "where(idle_for=-1)": lambda: where(idle_for=-1),
        "where(user=5)": lambda: where(user=5),  # type: ignore[arg-type]
        "where(no_opens=, min_opens=)": lambda: where(no_opens=True, min_opens=1),
        "watch(every=0)": lambda: server.watch(every=0),
        "scan('name')": lambda: scan("name"),
        "scan(workers=0)": lambda: scan([], workers=0),
        "scan(errors=)": lambda: scan([], errors="x"),  # type: ignore[arg-type]
        "simulated_server(-1)": lambda: simulated_server(-1),
        "simulated_fleet(dead=)": lambda: simulated_fleet(1, dead=2),
        "pickled Server": lambda: pickle.dumps(server),
        "pickled query": lambda: pickle.dumps(server.sessions()),
        "pickled Watch": lambda: pickle.dumps(server.watch()),
        "pickled Scan": lambda: pickle.dumps(scan([])),
    }
    return {
        f"{name} is refused": failing(operation, TypeError, ValueError)
        for name, operation in bad.items()
    }


# --- pywin32's functions -------------------------------------------------------------------------


@contextmanager
def _win32net() -> Iterator[dict[str, Operation]]:
    served: list[Server] = [SimulatedServer(Simulator(70, 40))]
    kept = win32net._server
    win32net._server = lambda name: served[-1]
    enum, get, end = win32net.NetSessionEnum, win32net.NetSessionGetInfo, win32net.NetSessionDel

    def at(server: Server, operation: Operation) -> Operation:
        def run() -> None:
            served.append(server)
            try:
                operation()
            finally:
                served.pop()

        return run

    calls: dict[str, Operation] = {
        f"NetSessionEnum({level})": lambda level=level: enum(level, "srv")
        for level in core_operations.LEVELS
    }
    calls |= {
        "NetSessionGetInfo()": lambda: get(2, None, "\\\\" + CLIENT, USER),
        "NetSessionDel()": lambda: at(simulated_server(1), lambda: end(None, "\\\\" + CLIENT))(),
        "NetSessionEnum(): level": failing(lambda: enum(3), ValueError),
        "NetSessionGetInfo(): level": failing(lambda: get(3, None, "c", "u"), ValueError),
        "NetSessionGetInfo(): type": failing(
            lambda: get(1, None, None, "u"),  # type: ignore[arg-type]
            TypeError,
        ),
        "NetSessionGetInfo(): none": failing(lambda: get(1, None, "\\\\x", "u"), win32net.error),
        "NetSessionDel(): unsafe": failing(lambda: end(None, "*"), win32net.error),
        "NetSessionDel(): nothing": failing(lambda: end(), win32net.error),
    }
    for kind, status in FAILURES.items():
        for function, operation in {
            "NetSessionEnum": lambda: enum(1),
            "NetSessionGetInfo": lambda: get(1, None, "\\\\c", "u"),
            "NetSessionDel": lambda: end(None, "\\\\c", "u"),
        }.items():
            refusing = at(_failing_server(function, status), operation)
            calls[f"{function}(): {kind}"] = failing(refusing, win32net.error)
    for name, operation in {
        "NetSessionEnum": lambda: enum(10),
        "NetSessionGetInfo": lambda: get(10, None, "A", "alice"),
        "NetSessionDel": lambda: end(None, "A", "alice"),
    }.items():
        calls[f"{name}() over SMB"] = lambda operation=operation: at(_speaking(), operation)()  # type: ignore[misc]
    try:
        yield calls
    finally:
        win32net._server = kept


def _speaking() -> Server:
    server, _ = server_of(lambda opnum, stub: ALICE if opnum == 12 else bytes(4))
    return server


# --- the command ---------------------------------------------------------------------------------


def run_command(*arguments: str) -> int:
    """``netsession`` with these arguments in this process, its output forgotten."""
    from netsession import cli

    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    argv, sys.argv = sys.argv, ["netsession", *arguments]
    try:
        with redirect_stdout(out), redirect_stderr(io.StringIO()):
            return cli.main()
    finally:
        sys.argv = argv


def _exits(code: int, *arguments: str) -> Operation:
    def run() -> None:
        try:
            found = run_command(*arguments)
        except SystemExit as end:  # --help
            found = int(end.code or 0)
        assert found == code, (arguments, found)

    return run


@contextmanager
def _command() -> Iterator[dict[str, Operation]]:
    if find_spec("rich") is None:
        yield {}
        return
    from netsession.cli import connect

    kept = connect._simulated
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield _command_lines(Path(folder)) | _command_failures(connect)
        finally:
            connect._simulated = kept


def _command_lines(folder: Path) -> dict[str, Operation]:
    missing = str(folder / "missing")
    lines: dict[tuple[str, ...], int] = {
        ("--version",): 0,
        (): 2,
        ("--help",): 0,
        ("nonsense",): 2,
        ("list", "--help"): 0,
        ("list",): 0 if sys.platform == "win32" else 2,  # of this machine
        ("list", "--demo", "--level", "7"): 2,
        ("list", "--demo", "--user", ""): 2,
        ("list", "--demo", "--timeout", "x"): 2,
        ("list", "x", "--demo"): 2,
        ("list", "x", "--auth-user", "u", "--password-file", missing): 2,
        ("list", "--servers-from", missing): 2,
        ("list", "--demo", "3", "-o", str(folder / "no" / "file.json")): 2,
        ("list", "--demo", "20", "-v"): 0,
        ("list", "--demo", "20", "--sort", "-idle", "--top", "3", "--columns", "client,user"): 0,
        ("list", "--demo", "20", "--group-by", "user"): 0,
        ("list", "--demo", "20", "--user", "a*", "--idle-for", "1s", "--page-bytes", "4096"): 0,
        ("list", "--demo", "20", "-o", str(folder / "file.csv")): 0,
        ("show", "10.0.0.0", "alice.0", "--demo", "5"): 0,
        ("show", "10.0.0.0", "alice.0", "--demo", "5", "--format", "json"): 0,
        ("show", "nowhere", "nobody", "--demo", "5"): 1,
        ("show", "--demo", "5"): 2,
        ("delete", "--demo", "5", "--client", "10.0.0.0", "--dry-run"): 0,
        ("delete", "--demo", "5", "--client", "10.0.0.0", "--yes", "--verify"): 0,
        ("delete", "--demo", "5", "--client", "nowhere", "--yes"): 1,
        ("delete", "--demo", "5", "--idle-for", "1s", "--yes"): 0,
        ("delete", "--demo", "5", "--user", "*", "--yes"): 2,
        ("delete", "--demo", "5"): 2,
        ("watch", "--demo", "5", "--format", "jsonl", "--existing", "--count", "1"): 0,
        ("watch", "--demo", "5", "--every", "0"): 2,
    }
    for format_ in ("table", "json", "jsonl", "csv"):
        lines["list", "--demo", "20", "--format", format_] = 0
    return {
        " ".join(["netsession", *line]).replace(str(folder), ""): _exits(code, *line)
        for line, code in lines.items()
    }


def _command_failures(connect: Any) -> dict[str, Operation]:
    """Each command at a server that answers with each class of error."""
    calls: dict[str, Operation] = {}
    for kind, status in FAILURES.items():
        for line in (
            ("list",),
            ("show", CLIENT, USER),
            ("delete", "--client", CLIENT, "--yes"),
        ):
            calls[f"netsession {line[0]}: {kind}"] = _fails(connect, status, *line)
    return calls


def _fails(connect: Any, status: int, *arguments: str) -> Operation:
    def refused(sessions: int) -> SimulatedServer:
        server = simulated_server(sessions)
        for function in ("NetSessionEnum", "NetSessionGetInfo", "NetSessionDel"):
            server.fail(function, status)
        return server

    listed_none = arguments == ("list",) and status == FAILURES["SessionNotFound"]

    def run() -> None:
        connect._simulated = refused
        try:
            code = run_command(*arguments, "--demo", "3")
            assert code in ((0,) if listed_none else (1, 2, 3)), code
        finally:
            connect._simulated = simulated_server

    return run


# --- several servers -----------------------------------------------------------------------------


class _Here:
    """An executor that does its jobs at once, in the thread that asks for them."""

    def submit(self, work: Callable[..., object], /, *arguments: Any, **options: Any) -> Any:
        from concurrent.futures import Future

        future: Future[object] = Future()
        try:
            future.set_result(work(*arguments, **options))
        except Exception as error:
            future.set_exception(error)
        return future


def _raise(error: BaseException) -> Any:
    raise error


def _names(*names: Any) -> Iterator[Any]:
    yield from names
    raise ZeroDivisionError


@contextmanager
def _fleet() -> Iterator[dict[str, Operation]]:
    servers = simulated_fleet(4, sessions=5, denied=1, dead=1, dead_latency=0.0)
    well = simulated_fleet(3, sessions=5)
    report = next(iter(scan(well[:1])))
    refused = [_failing_server("NetSessionEnum", 1326) for _ in range(6)]
    unreachable = f"127.0.0.1:{_closed_port()}"
    with ThreadPoolExecutor(2) as pool:
        calls: dict[str, Operation] = {
            "scan()": lambda: list(scan(well, timeout=AGES)),
            "scan() of nobody": lambda: list(scan([])),
            "scan(), some fail": lambda: list(scan(servers, timeout=AGES)),
            "scan() left early": lambda: _first_of(scan(well, timeout=AGES)),
            "scan(workers=1, where=)": lambda: list(
                scan(well, workers=1, where=where(user="a*"), timeout=AGES)
            ),
            "scan(on_progress=)": lambda: list(scan(well, on_progress=str, timeout=AGES)),
            "scan(on_progress=) that raises": failing(
                lambda: list(scan(well, on_progress=lambda _: 1 // 0, timeout=AGES)),
                ZeroDivisionError,
            ),
            "scan() of what is no server": lambda: list(scan(["a b", 5], timeout=AGES)),  # type: ignore[list-item]
            "scan() of an iterable that raises": failing(
                lambda: list(scan(_names(*well), timeout=AGES)), ZeroDivisionError
            ),
            "scan(): refused logons": lambda: list(scan(refused, timeout=AGES)),
            "scan(keep_going=): refused logons": lambda: list(
                scan(refused, keep_going=True, timeout=AGES)
            ),
            "Scan as Arrow": lambda: _drained(scan(well, timeout=AGES)),
            "Scan as Arrow: ScanIncomplete": failing(
                lambda: _drained(scan(servers, timeout=AGES)), OSError
            ),
            "Scan as Arrow, errors='skip'": lambda: _drained(
                scan(servers, errors="skip", timeout=AGES)
            ),
            "Scan as Arrow, left early": lambda: scan(well, timeout=AGES).__arrow_c_stream__(),
            "repr() of a Scan": lambda: repr(scan(well)),
            "pickled ServerReport": lambda: pickle.loads(pickle.dumps(report)),
            "KeptSessions": lambda: (report.sessions[1:], report.sessions[0] in report.sessions),
            "KeptSessions as Arrow": lambda: _drained(report.sessions),
            "async scan()": lambda: asyncio.run(_all_of(scan(servers, timeout=AGES))),
            "async scan() left early": lambda: asyncio.run(_one_of(scan(well, timeout=AGES))),
        }
        if find_spec("smbprotocol") is not None and sys.platform != "win32":
            calls |= {
                "scan(executor=) of threads": lambda: list(
                    scan([unreachable] * 3, executor=pool, timeout=AGES)
                ),
                "scan(executor=) in this thread": lambda: list(
                    scan([unreachable], executor=_Here(), timeout=AGES)  # type: ignore[arg-type]
                ),
                "scan() of closed ports": lambda: list(scan([unreachable] * 3, timeout=AGES)),
            }
        yield calls


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _first_of(query: Any) -> None:
    """Like a loop that is left: the iterator is closed, not collected some time later."""
    reports = iter(query)
    next(reports)
    reports.close()


def _drained(source: Any) -> None:
    stream = consumer.content(consumer.ArrowArrayStream, source.__arrow_c_stream__())
    for _ in consumer.drain(stream):
        pass


async def _all_of(query: Any) -> list[Any]:
    return [each async for each in query]


async def _one_of(query: Any) -> Any:
    async for each in query:
        return each


# --- watching ------------------------------------------------------------------------------------


def _watch() -> dict[str, Operation]:
    server = simulated_server(9, page_entries=4)
    refusing = _failing_server("NetSessionEnum", 5)

    def changes(**options: Any) -> None:
        watched = simulated_server(3)
        with watched.watch(every=1000, **options) as watch:
            watch.poll()
            watched.connect_session("C", "U")
            watched.change_session("C", "U", num_opens=3)
            assert len(watch.poll()) == 1
            watched.change_session("C", "U", num_opens=4)
            watched.fail("NetSessionEnum", 53, times=1)
            watch.poll()
            watched.end_session("C", "U")
            assert len(watch.poll()) == 2  # it has recovered

    async def later() -> object:
        async with server.watch(every=1000, existing=True) as watch:
            return await anext(watch)

    async def cancelled() -> None:
        async with server.watch(every=1000) as watch:
            task = asyncio.ensure_future(anext(watch))
            await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return {
        "watch()": changes,
        "watch(where=)": lambda: changes(where=where(user="U")),
        "watch(level=10)": lambda: server.watch(level=10).poll(),
        "watch(existing=)": lambda: next(server.watch(every=1000, existing=True)),
        "watch() closed": lambda: list(_closed(server.watch(every=1000, existing=True))),
        "watch() of a closed Server": _watch_of_a_closed_server,
        "watch(): a failure is an event": lambda: refusing.watch(every=1000).poll(),
        "watch(): LogonFailed": failing(
            lambda: _failing_server("NetSessionEnum", 1326).watch().poll(), netsession.LogonFailed
        ),
        "watch(): InvalidLevel": failing(
            lambda: _failing_server("NetSessionEnum", 124).watch(level=1).poll(),
            netsession.InvalidLevel,
        ),
        "async watch()": lambda: asyncio.run(later()),
        "async watch() cancelled": lambda: asyncio.run(cancelled()),
    }


def _closed(watch: Any) -> Any:
    watch.close()
    return watch


def _watch_of_a_closed_server() -> None:
    server = simulated_server(1)
    watch = server.watch(every=1000, existing=True)
    watch.poll()
    server.close()
    assert list(watch) == []


# --- Arrow, asyncio ------------------------------------------------------------------------------


def _arrow() -> dict[str, Operation]:
    server = SimulatedServer(Simulator(70, 40))
    page = next(server.sessions().pages())
    other = simulated_server(3, page_entries=1)

    def array() -> None:
        schema, batch = page.__arrow_c_array__()
        consumer.take(consumer.ArrowArray, batch).give_back()
        consumer.take(consumer.ArrowSchema, schema).give_back()

    def failed() -> None:
        other.fail("NetSessionEnum", 5, after=1, times=1)
        _drained(other.sessions(level=502))

    return {
        "page as Arrow array": array,
        "page as Arrow array, not taken": page.__arrow_c_array__,
        "page as Arrow stream": lambda: _drained(page),
        "page's Arrow schema": page.__arrow_c_schema__,
        "sessions() as Arrow": lambda: _drained(server.sessions()),
        "sessions() as Arrow, left early": lambda: server.sessions().__arrow_c_stream__(),
        "sessions()' Arrow schema": lambda: server.sessions().__arrow_c_schema__(),
        "sessions() as Arrow: a failure": failing(failed, OSError),
        "Arrow: other columns": failing(
            lambda: page.__arrow_c_stream__(_netsession.arrow_schema(0)), ValueError
        ),
        "Arrow: no schema": failing(lambda: page.__arrow_c_stream__(5), TypeError),
        "Arrow: no page": failing(
            lambda: _drained_raw(_netsession.arrow_stream(502, None, iter([5]))),  # type: ignore[list-item]
            OSError,
        ),
        "Arrow: a string too long": failing(
            lambda: _drained_raw(
                _netsession.arrow_stream(502, page, iter(()), text_limit=1)  # type: ignore[arg-type]
            ),
            OSError,
        ),
    }


def _drained_raw(capsule: object) -> None:
    for _ in consumer.drain(consumer.content(consumer.ArrowArrayStream, capsule)):
        pass


def _async() -> dict[str, Operation]:
    server = SimulatedServer(Simulator(70, 40))
    refusing = _failing_server("NetSessionEnum", 5)

    async def gathered() -> None:
        await asyncio.gather(*(_all_of(server.sessions()) for _ in range(3)))

    async def cancelled() -> None:
        task = asyncio.ensure_future(_all_of(server.sessions()))
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    return {
        "async for sessions()": lambda: asyncio.run(_all_of(server.sessions())),
        "async for sessions(where=)": lambda: asyncio.run(
            _all_of(server.sessions(where=where(user="a*")))
        ),
        "async for sessions(), three": lambda: asyncio.run(gathered()),
        "async for sessions() left": lambda: asyncio.run(_one_of(server.sessions())),
        "async for sessions() cancelled": lambda: asyncio.run(cancelled()),
        "async for sessions(): AccessDenied": failing(
            lambda: asyncio.run(_all_of(refusing.sessions())), netsession.AccessDenied
        ),
    }


# --- over SMB ------------------------------------------------------------------------------------

# In a process of its own: what the server of the tests keeps is none of what is counted here.
_PEERS = """
import struct, sys
from contextlib import ExitStack
from fake_pipe import ALICE
from smb_server import LOGON_FAILURE, NEGOTIATE, SESSION_SETUP, TREE_CONNECT, CREATE, IOCTL
from smb_server import SmbServer

def status(command, value):
    def tamper(answered, reply):
        if answered != command:
            return reply
        head = reply[:8] + struct.pack("<I", value) + reply[12:64]
        return head + struct.pack("<HHIB", 9, 0, 0, 0)
    return tamper

def silent(command):
    return lambda answered, reply: [] if answered == command else reply

PEERS = {
    "well": {},
    "malformed": {"stub": ALICE[:-9]},
    "garbage": {"tamper": lambda command, reply: b"garbage"},
    "no logon": {"tamper": status(SESSION_SETUP, LOGON_FAILURE)},
    "no share": {"tamper": status(TREE_CONNECT, 0xC00000CC)},
    "no pipe": {"tamper": status(CREATE, 0xC0000034)},
    "denied pipe": {"tamper": status(CREATE, 0xC0000022)},
    "no answer": {"tamper": silent(IOCTL)},
}
with ExitStack() as stack:
    for name, options in PEERS.items():
        server = stack.enter_context(SmbServer(**{"stub": ALICE, **options}))
        print(name, server.port, sep=":", flush=True)
    print(flush=True)
    sys.stdin.read()
"""


@contextmanager
def _peers() -> Iterator[dict[str, int]]:
    """Ports of SMB servers of the tests' own, by what is wrong with them."""
    paths = [str(Path(netsession.__file__).parents[1]), str(Path(__file__).parent)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.Popen(
        [sys.executable, "-c", _PEERS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        lines = iter(process.stdout.readline, "\n")
        yield {name: int(port) for name, port in (line.split(":") for line in lines)}
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


@contextmanager
def _smb() -> Iterator[dict[str, Operation]]:
    if find_spec("smbprotocol") is None or sys.platform == "win32":
        yield {}
        return
    with _peers() as ports:
        yield smb_calls("127.0.0.1", ports, "LIAR\\alice", "it is no secret")


def smb_calls(
    host: str, ports: Mapping[str, int], username: str, password: str
) -> dict[str, Operation]:
    """Calls at servers over SMB; ``ports`` has one that is "well", and those that are not."""

    def of(peer: str = "well", **options: Any) -> Server:
        options = {"username": username, "password": password, "timeout": AGES, **options}
        return Server(host, port=ports[peer], **options)

    def ask(peer: str = "well", **options: Any) -> None:
        with of(peer, **options) as server:
            list(server.sessions(level=10))

    kept = of()
    calls: dict[str, Operation] = {
        "with Server(): sessions() over SMB": ask,
        "sessions() over SMB, connected": lambda: list(kept.sessions(level=10)),
        "session() over SMB": lambda: kept.session("A", "alice", level=10),
        "async for sessions() over SMB": lambda: asyncio.run(_all_of(kept.sessions(level=10))),
        "sessions() as Arrow over SMB": lambda: _drained(kept.sessions(level=10)),
        "scan() over SMB": lambda: list(
            scan(
                [f"{host}:{ports['well']}"] * 3,
                level=10,
                username=username,
                password=password,
                timeout=AGES,
            )
        ),
        "closed while connected": lambda: _close_and_ask(of()),
        "Server() not closed": lambda: _forgotten(of()),
        "wrong password": failing(lambda: ask(password="wrong"), netsession.LogonFailed),
        "closed port": failing(
            lambda: list(Server(host, port=_closed_port(), timeout=AGES).sessions()),
            netsession.ServerUnreachable,
        ),
        "no answer in time": failing(
            lambda: ask("no answer", timeout=0.05), netsession.CallTimeout
        ),
    }
    expected: dict[str, type[Exception]] = {
        "malformed": netsession.MalformedReply,
        "garbage": netsession.NetApiError,
        "no logon": netsession.LogonFailed,
        "no share": netsession.NetApiError,
        "no pipe": netsession.NetApiError,
        "denied pipe": netsession.AccessDenied,
    }
    for peer, kind in expected.items():
        if peer in ports:
            calls[f"a server with {peer}"] = failing(lambda peer=peer: ask(peer), kind)  # type: ignore[misc]
    return {name: call for name, call in calls.items() if "no answer" in ports or name[:2] != "no"}


def _close_and_ask(server: Server) -> None:
    pages = server.sessions(level=10).pages()
    next(pages)
    server.close()
    list(server.sessions(level=10))  # it connects again
    server.close()


def _forgotten(server: Server) -> None:
    """A ResourceWarning, and its connection is closed."""
    import warnings

    list(server.sessions(level=10))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del server
        gc.collect()


@contextmanager
def _smbd() -> Iterator[dict[str, Operation]]:
    """At Samba's own server, with its own srvsvc."""
    if find_spec("smbprotocol") is None or sys.platform != "linux":
        yield {}
        return
    sys.path.append(str(Path(__file__).parent / "samba"))
    from smbd import Smbd, missing_tools

    if missing_tools():
        yield {}
        return
    with Smbd() as smbd:
        yield _smbd_calls(smbd)


def _smbd_calls(smbd: Any) -> dict[str, Operation]:
    def of(user: Any = smbd.admin, **options: Any) -> Server:
        options = {"username": user.name, "password": user.password, "timeout": AGES, **options}
        return Server(smbd.host, port=smbd.port, **options)

    def ask(user: Any = smbd.admin, *, level: int | None = None, **options: Any) -> None:
        with of(user, **options) as server:
            assert list(server.sessions(level=level))

    def end_own() -> None:
        with of() as server:
            server.delete_sessions(user=smbd.admin.name)

    def watched() -> None:
        with kept.watch(every=1000, existing=True) as watch:
            assert watch.poll()

    kept = of()
    mine = next(iter(kept.sessions()))
    names = [f"{smbd.host}:{smbd.port}"] * 3
    credentials = {"username": smbd.admin.name, "password": smbd.admin.password}
    own, other, failed = mine.client, smbd.others[0], netsession.NetApiError
    return {
        "smbd: with Server(): sessions()": ask,
        "smbd: encrypted": lambda: ask(encrypt=True),
        "smbd: sessions(), connected": lambda: list(kept.sessions()),
        "smbd: sessions(level=0)": lambda: list(kept.sessions(level=0)),
        "smbd: session()": lambda: kept.session(own, smbd.admin.name),
        "smbd: plan_delete()": lambda: kept.plan_delete(user=smbd.admin.name),
        "smbd: watch()": watched,
        "smbd: sessions() as Arrow": lambda: _drained(kept.sessions()),
        "smbd: async for sessions()": lambda: asyncio.run(_all_of(kept.sessions())),
        "smbd: scan()": lambda: list(scan(names, timeout=AGES, **credentials)),
        "smbd: sessions(level=502)": failing(lambda: ask(level=502), failed),
        "smbd: a user who may not": failing(lambda: ask(other), netsession.AccessDenied),
        "smbd: wrong password": failing(lambda: ask(password="wrong"), netsession.LogonFailed),
        "smbd: no time": failing(lambda: ask(timeout=1e-3), netsession.CallTimeout),
        "smbd: session() of nobody": failing(
            lambda: kept.session(own, "nobody-here"), netsession.SessionNotFound
        ),
        "smbd: delete_sessions() of nobody": failing(
            lambda: kept.delete_sessions(user="nobody-here"), netsession.SessionNotFound
        ),
        "smbd: delete_sessions() of oneself": _maybe(end_own, failed),
    }


# --- all of them ---------------------------------------------------------------------------------


@contextmanager
def _core() -> Iterator[dict[str, Operation]]:
    bench = core_operations.Bench()
    yield {
        name: lambda name=name: core_operations.perform(name, bench)  # type: ignore[misc]
        for name in core_operations.OPERATIONS
    }
    assert bench.outstanding() == 0


def _part(operations: Callable[[], dict[str, Operation]]) -> Callable[[], Any]:
    @contextmanager
    def opened_part() -> Iterator[dict[str, Operation]]:
        yield operations()

    return opened_part


PARTS: dict[str, Callable[[], Any]] = {
    "core": _core,
    "library": _part(_library),
    "win32net": _win32net,
    "command": _command,
    "fleet": _fleet,
    "watch": _part(_watch),
    "arrow": _part(_arrow),
    "async": _part(_async),
    "smb": _smb,
    "smbd": _smbd,
}


def opened(part: str) -> Any:
    """A context manager: the operations of a part by their names; empty where it cannot run."""
    return PARTS[part]()
