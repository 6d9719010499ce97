"""Ctrl-C in every phase of a call, over SMB, of everything that can be called.

A server stops in the phase and says nothing any more. Then the signal is sent, and what was called
must end with KeyboardInterrupt: there is no time limit that could end it. The same Server works
afterwards, and neither a thread nor a socket is left. The command is in ``test_cli_ctrl_c``, a
resolver that is stuck in C in ``test_stuck_resolver``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

pytest.importorskip("smbprotocol", reason="asks over SMB: needs smbprotocol")

import netsession
from fleet_peers import full_listener
from netsession import DeletePlan, Server, scan, where, win32net
from netsession.srvsvc import link
from phase_server import ENDING, LEAVING, PATIENCE, PHASES, PhaseServer

HOST = "127.0.0.1"
LONG = 10 * PATIENCE  # of an end that only a failure waits for: not what is to be seen


class Entry(NamedTuple):
    """Something that asks a server."""

    name: str
    work: Callable[[Server, PhaseServer], object]
    phases: tuple[str, ...] = PHASES


def _list_all(server: Server, _: object = None) -> object:
    return list(server.sessions(level=10))


def _watched(server: Server, _: object) -> object:
    with contextlib.closing(server.watch(every=LONG, level=10, existing=True)) as watch:
        return next(watch)


def _scanned(_: Server, silent: PhaseServer) -> object:
    return [report.sessions[1] for report in _scan(silent)]


def _scan(silent: PhaseServer, **options: Any) -> netsession.Scan:
    return scan([silent.name], level=10, timeout=None, **silent.credentials(), **options)


def _scanned_in_threads(_: Server, silent: PhaseServer) -> object:
    with ThreadPoolExecutor(2) as pool:
        return [report.sessions[1] for report in _scan(silent, executor=pool)]


async def _listed_async(server: Server) -> object:
    return [session async for session in server.sessions(level=10)]


async def _watched_async(server: Server) -> object:
    watch = server.watch(every=LONG, level=10, existing=True)
    async with contextlib.aclosing(watch):
        return await anext(watch)


async def _scanned_async(silent: PhaseServer) -> object:
    return [report.sessions[1] async for report in _scan(silent)]


def _as_table(stream: object) -> object:
    """Where the signal comes while pyarrow asks for a batch, its own error is the first to come."""
    pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow")
    try:
        return pyarrow.RecordBatchReader.from_stream(stream).read_all()
    except OSError as error:
        assert "KeyboardInterrupt" in str(error)
        time.sleep(0)  # the signal is sent again: it comes with the next code of Python's
        raise


PLAN = DeletePlan(None, "alice", [(None, "alice")], [])
ENTRIES = [
    Entry("list", _list_all),
    Entry("show", lambda server, _: server.session("A", "alice", level=10)),
    Entry("plan", lambda server, _: server.plan_delete(user="alice")),
    Entry("delete", lambda server, _: server.delete_sessions(user="alice"), (*PHASES, ENDING)),
    Entry("delete a plan", lambda server, _: server.delete_sessions(plan=PLAN),
          (*PHASES[:6], ENDING)),
    Entry("delete where", lambda server, _: server.delete_sessions(where=where(user="alice")),
          (*PHASES, ENDING)),
    Entry("watch", _watched),
    Entry("scan", _scanned),
    Entry("scan in an executor", _scanned_in_threads),
    Entry("asyncio: list", lambda server, _: asyncio.run(_listed_async(server))),
    Entry("asyncio: watch", lambda server, _: asyncio.run(_watched_async(server))),
    Entry("asyncio: scan", lambda _, silent: asyncio.run(_scanned_async(silent))),
    Entry("pyarrow", lambda server, _: _as_table(server.sessions(level=10))),
    Entry("pyarrow: scan", lambda _, silent: _as_table(_scan(silent))),
    Entry("win32net: list", lambda server, _: win32net.NetSessionEnum(10, HOST)),
    Entry("win32net: show", lambda server, _: win32net.NetSessionGetInfo(10, HOST, "A", "alice"),
          PHASES[:8]),  # it is on the first page
    Entry("win32net: delete", lambda server, _: win32net.NetSessionDel(HOST, None, "alice"),
          (*PHASES[:6], ENDING)),
]  # fmt: skip


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Its signal is delivered, also where the tests' own process ignores it (nohup make test &)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def silent() -> Iterator[PhaseServer]:
    with PhaseServer() as server:
        yield server
        assert server.errors == []


def press_ctrl_c() -> None:
    """From a thread, as if on the keyboard."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)


def server_of(silent: PhaseServer, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The one that win32net asks, too."""
    server = Server(silent.name, timeout=None, **silent.credentials())
    server._granted = 10
    monkeypatch.setattr(win32net, "_server", lambda name: server)
    return server


class Left:
    """What must not be left behind: threads and descriptors, beside those that are there now."""

    def __init__(self) -> None:
        self._before = self._counted()

    def check(self) -> None:
        """Waits until it is gone: sockets are closed by their threads."""
        deadline = time.monotonic() + PATIENCE
        while any(now > was for now, was in zip(self._counted(), self._before, strict=True)):
            assert time.monotonic() < deadline, (self._before, self._counted())
            time.sleep(0.005)

    @staticmethod
    def _counted() -> tuple[int, int]:
        folder = "/proc/self/fd"
        return len(sys._current_frames()), len(os.listdir(folder)) if os.path.exists(folder) else 0


CASES = [
    pytest.param(entry, phase, id=f"{entry.name} at {phase}")
    for entry in ENTRIES
    for phase in entry.phases
]


@pytest.mark.parametrize(("entry", "phase"), CASES)
def test_it_ends_what_waits(
    entry: Entry, phase: str, silent: PhaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "pyarrow" in entry.name:
        pytest.importorskip("pyarrow", reason="needs pyarrow")
    if "asyncio" in entry.name:
        asyncio.run(asyncio.sleep(0))  # what it opens for good
    left = Left()
    server = server_of(silent, monkeypatch)
    silent.hold, silent.on_reached = phase, press_ctrl_c
    with pytest.raises(KeyboardInterrupt) as caught:
        entry.work(server, silent)
    notes = " ".join(getattr(caught.value, "__notes__", ()))
    assert ("may have done it" in notes) == (phase == ENDING)
    assert silent.reached.is_set()
    del caught
    silent.go_on()
    assert len(_list_all(server)) == 2  # type: ignore[arg-type]
    assert silent.deletes == (phase == ENDING)
    server.close()
    left.check()


# -- before there is a connection, and where there is none to wait for ----------------------------


@contextlib.contextmanager
def _stuck_resolver(patch: pytest.MonkeyPatch) -> Iterator[int]:
    """Names are looked up for ever. What is stuck in C is in test_stuck_resolver."""
    released = threading.Event()

    def look_up(*_: object, **__: object) -> Any:
        press_ctrl_c()
        released.wait(LONG)
        raise socket.gaierror(socket.EAI_AGAIN, "it took long")

    patch.setattr(socket, "getaddrinfo", look_up)
    yield 445
    patch.undo()
    released.set()


@contextlib.contextmanager
def _full_listener(patch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port whose queue is full: no SYN is answered."""
    start = link._Race._start

    def started(race: Any, info: Any) -> None:
        start(race, info)
        press_ctrl_c()

    with full_listener() as port:
        patch.setattr(link._Race, "_start", started)
        yield port


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
@pytest.mark.parametrize("phase", ["resolve", "connect"])
def test_it_ends_what_is_not_connected_yet(
    entry: Entry, phase: str, silent: PhaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if phase == "connect" and sys.platform != "linux":
        pytest.skip("a full queue answers no SYN on Linux only")
    if "pyarrow" in entry.name:
        pytest.importorskip("pyarrow", reason="needs pyarrow")
    if "asyncio" in entry.name:
        asyncio.run(asyncio.sleep(0))  # what it opens for good
    left = Left()
    there = silent.port
    with (
        pytest.MonkeyPatch.context() as patch,
        (_stuck_resolver if phase == "resolve" else _full_listener)(patch) as silent.port,
    ):
        server = server_of(silent, monkeypatch)
        with pytest.raises(KeyboardInterrupt) as caught:
            entry.work(server, silent)
        assert not hasattr(caught.value, "__notes__")  # nothing was sent
        del caught
    assert server._client is not None
    server._client._port = silent.port = there
    assert len(_list_all(server)) == 2  # type: ignore[arg-type]
    assert silent.deletes == 0
    server.close()
    left.check()


def test_it_ends_waiting_for_another_thread(
    silent: PhaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose exchange goes on."""
    server = server_of(silent, monkeypatch)
    client: Any = server._client

    class Lock:
        """Tells when the main thread has found the other one in its way."""

        def __init__(self, lock: Any) -> None:
            self.try_run = lock.try_run
            self._run = lock.run

        def run(self, call: Callable[[], bytes], remaining: Callable[[], float]) -> Any:
            def told() -> float:
                if threading.current_thread() is threading.main_thread():
                    press_ctrl_c()
                return remaining()

            return self._run(call, told)

    client._lock = Lock(client._lock)
    silent.hold = "call 2"
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(_list_all, server)
        assert silent.reached.wait(PATIENCE)
        with pytest.raises(KeyboardInterrupt):
            _list_all(server)
        silent.go_on()
        assert len(other.result(PATIENCE)) == 2  # type: ignore[arg-type]
    server.close()


def test_it_ends_leaving(silent: PhaseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket is closed though whoever was interrupted keeps the exception."""
    left = Left()
    server = server_of(silent, monkeypatch)
    _list_all(server)
    silent.hold, silent.on_reached = LEAVING, press_ctrl_c
    with pytest.raises(KeyboardInterrupt) as caught:
        server.close()
    silent.go_on()
    left.check()
    assert caught.value.__traceback__ is not None
    assert len(_list_all(server)) == 2  # type: ignore[arg-type]
    server.close()


def test_between_pages_and_in_a_page(silent: PhaseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop's own code is interrupted: what is left of the listing may be read on."""
    server = server_of(silent, monkeypatch)
    for step in ("record", "page"):
        sessions = iter(server.sessions(level=10) if step == "record" else _pages(server))
        with pytest.raises(KeyboardInterrupt):
            for _ in sessions:
                signal.raise_signal(signal.SIGINT)
        assert len(list(sessions)) == 1
    server.close()


def _pages(server: Server) -> Any:
    return server.sessions(level=10).pages()


def test_a_watch_that_waits(silent: PhaseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be waited for again, and closed."""
    server = server_of(silent, monkeypatch)
    watch = server.watch(every=LONG, level=10)
    wait = watch._clock.wait

    def waits(seconds: float, woken: Any) -> None:
        press_ctrl_c()
        wait(seconds, woken)

    monkeypatch.setattr(watch._clock, "wait", waits)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            next(watch)
    assert watch.polls == 1
    assert len(watch.poll()) == 0
    watch.close()
    assert list(watch) == []
    server.close()


def test_no_wait_is_longer_than_a_look(
    silent: PhaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows does not wake who waits for a socket: Ctrl-C comes when the wait is over."""
    waited: list[float] = []
    receive = link.Link._receive_some

    def received(self: Any) -> bytes:
        data = receive(self)
        waited.append(self._sock.gettimeout())
        return data

    monkeypatch.setattr(link.Link, "_receive_some", received)
    with server_of(silent, monkeypatch) as server:
        _list_all(server)
    assert waited
    assert max(waited) <= 0.25


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_without_it_they_end_by_themselves(
    entry: Entry, silent: PhaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is interrupted above would have worked, by way of all the phases that it names."""
    passed: list[str] = []
    monkeypatch.setattr(silent, "come_to", passed.append)
    server = server_of(silent, monkeypatch)
    assert entry.work(server, silent) or entry.name == "win32net: delete"
    server.close()
    assert set(entry.phases) <= set(passed)
