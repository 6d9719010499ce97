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
