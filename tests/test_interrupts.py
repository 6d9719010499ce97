"""Exceptions from outside, between any two bytecodes: what is left works as before.

A trace function raises KeyboardInterrupt at every bytecode in turn that the package runs in the
calling thread. Ctrl-C does no more: it comes between bytecodes of the main thread.
"""

from __future__ import annotations

import _thread
import sys
from collections.abc import Callable
from pathlib import Path
from traceback import walk_tb
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

import netsession
from fake_pipe import listing, server_of
from netsession import DeletePlan, Server, _threads
from netsession.srvsvc.deadline import Deadline, Task
from tracing import untraced

PACKAGE = str(Path(netsession.__file__).parent)
PATIENCE = 60.0  # a lock that stays held would cost so much, and fail the test

pytestmark = untraced


def in_finalizer(frame: FrameType | None) -> bool:
    """What comes there is told to nobody: Python loses it, so there is nothing to test."""
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


class Injector:
    """Raises at the ``at``-th bytecode of the package; ``done`` tells whether there was one."""

    def __init__(self, at: int) -> None:
        self._left = at
        self.done = False
        self.where = ""
        self.passed: list[str] = []  # the functions that the exception went through
        self.notes = ""

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(PACKAGE) or in_finalizer(frame):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            if self._left == 0:
                self.done = True
                self.where = f"{code.co_name}:{frame.f_lineno}"
                raise KeyboardInterrupt
            self._left -= 1
        return self

    def run(self, work: Callable[[], object]) -> None:
        """Does the work until it is interrupted."""
        # CPython 3.12 tells of opcodes only where some frame has asked for that before settrace().
        sys._getframe().f_trace_opcodes = True
        sys.settrace(self)
        try:
            work()
        except KeyboardInterrupt as interrupt:
            # Not the exception, which would keep all that its frames hold.
            self.passed = [frame.f_code.co_name for frame, _ in walk_tb(interrupt.__traceback__)]
            self.notes = "".join(getattr(interrupt, "__notes__", []))
        finally:
            sys.settrace(None)


class Threads:
    """Those that the package has started; each brings what it was started for to its end."""

    def __init__(self) -> None:
        self._ends: list[_thread.LockType] = []

    def start(self, function: Callable[..., object], arguments: tuple[object, ...]) -> int:
        """In the place of _thread.start_new_thread()."""
        end = _thread.allocate_lock()
        end.acquire()

        def run() -> None:
            try:
                function(*arguments)
            finally:
                end.release()

        self._ends.append(end)
        return _thread.start_new_thread(run, ())

    def join(self) -> None:
        """Until all are through."""
        for end in self._ends:
            assert end.acquire(timeout=PATIENCE)
        self._ends.clear()


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    threads = Threads()
    monkeypatch.setattr(_threads, "_thread", SimpleNamespace(start_new_thread=threads.start))
    return threads


def everywhere(
    work: Callable[[Server], object],
    prepare: Callable[[Server], object],
    threads: Threads,
    step: int,
    seen: Callable[[Injector, int], None],
) -> int:
    """Interrupts the work at bytecode after bytecode; the same Server must work afterwards.

    ``seen`` gets each interrupt, and how many deletes were sent.
    """
    at = 0
    while True:
        server, client = server_of(answer, timeout=PATIENCE)
        prepare(server)
        injector = Injector(at)
        injector.run(lambda server=server: work(server))
        seen(injector, sum(pipe.opnums.count(13) for pipe in client.pipes))
        assert client._lock.try_run(lambda: None), injector.where
        threads.join()
        assert sum(pipe.open for pipe in client.pipes) <= 1, injector.where
        assert len(list(server.sessions(level=10))) == 1, injector.where
        end(server)
        server.close()
        assert not any(pipe.open for pipe in client.pipes), injector.where
        if not injector.done:
            return at
        at += step


answer = listing(lambda opnum, stub: bytes(4))


def list_all(server: Server) -> object:
    return list(server.sessions(level=10))


# Without listing first, which is interrupted for itself.
PLAN = DeletePlan(None, "alice", [(None, "alice")], [])


def end(server: Server) -> object:
    return server.delete_sessions(plan=PLAN)


def nothing(server: Server) -> None:
    pass


@pytest.mark.parametrize("prepare", [nothing, list_all], ids=["connecting", "connected"])
@pytest.mark.parametrize("work", [list_all, end, Server.close], ids=["list", "delete", "close"])
def test_a_server_works_after_any_interrupt(
    work: Callable[[Server], object], prepare: Callable[[Server], object], threads: Threads
) -> None:
    told: list[bool] = []

    def seen(injector: Injector, sent: int) -> None:
        """A delete is sent once at most; between request and answer the interrupt says so."""
        assert sent <= (work is end)
        if not injector.done:
            assert sent == (work is end)
        elif sent and "_attempt" in injector.passed:
            told.append("may have done it" in injector.notes)

    # A listing takes 2,000 bytecodes, most of which the others take too.
    step = 11 if work is list_all else 1
    assert everywhere(work, prepare, threads, step, seen) > 20
    assert all(told)
    assert bool(told) == (work is end)


def test_a_watch_works_after_any_interrupt(threads: Threads) -> None:
    """Nobody else would get its turn where one that was interrupted kept it."""
    at = 0
    while True:
        server, _ = server_of(answer, timeout=PATIENCE)
        watch = server.watch(every=3600, existing=True, level=10)
        injector = Injector(at)
        injector.run(lambda watch=watch: next(watch))
        assert watch._turn.try_run(lambda: None), injector.where
        threads.join()
        watch.poll()
        assert len(watch.sessions) == 1, injector.where
        watch.close()
        server.close()
        if not injector.done:
            break
        at += 29
    assert at > 500


def test_waiting_for_work_in_a_thread(threads: Threads) -> None:
    """Whatever it brings is discarded, also where the interrupt comes while it is handed over."""
    at = 0
    while True:
        discarded: list[object] = []
        results: list[object] = []
        injector = Injector(at)
        task = Task(lambda: "connection", discarded.append)
        injector.run(
            lambda results=results, task=task: results.append(task.run(Deadline(PATIENCE)))
        )
        threads.join()
        if not injector.done:
            assert results == ["connection"]
            return
        at += 1


def test_closing_while_it_is_closed(threads: Threads) -> None:
    """Between any two bytecodes of close(): another close(), and then a call that begins.

    The next close() ends that call, whichever of the two was done first.
    """
    at = 0
    while True:
        server, client = server_of(answer, timeout=PATIENCE)
        injector = Interloper(at, server)
        sys.settrace(injector)
        server.close()
        sys.settrace(None)
        if not injector.done:
            return
        server.close()
        for call in injector.calls:
            with pytest.raises(netsession.ConnectionLost):
                call(12, b"")
        assert client.pipes == [], injector.where
        at += 1


class Interloper(Injector):
    """In the place of an exception: what another thread would do there."""

    def __init__(self, at: int, server: Server) -> None:
        super().__init__(at)
        self._server = server
        self.calls: list[Any] = []

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        try:
            return super().__call__(frame, event, argument)
        except KeyboardInterrupt:
            sys.settrace(None)
            frame.f_trace = None
            self._server.close()
            self.calls.append(self._server._begin("NetSessionEnum"))
            return None
