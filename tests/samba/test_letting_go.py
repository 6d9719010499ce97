"""Closing, cancelling, forking and forgetting, with a real smbd at the other end.

What is waited for is held back until the test has seen that nobody waits any more; no assertion
is about how long anything took.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

import netsession
from ask import server_of
from endpoint import Endpoint, Reply, Script
from fleet_peers import full_listener
from ndr_reference import OPNUM_SESSION_DEL, OPNUM_SESSION_ENUM, encode_enum_response
from netsession._simulator import Simulator
from netsession.srvsvc import deadline
from proxy import Proxy
from smbd import HOST, Smbd

PATIENCE = 30.0  # a hang guard
LONG = 600.0  # of calls that nothing but being called off ends in a test

ALICE = encode_enum_response(
    10,
    [{"client_name": "A", "user_name": "alice", "active_time": 1, "idle_time": 1}],
    total_entries=1,
    resume_handle=0,
    status=0,
)
EMPTY = encode_enum_response(10, [], total_entries=0, resume_handle=0, status=0)


class Hold:
    """Keeps back the server's messages from the ``number``-th on, until it is let go."""

    def __init__(self, number: int) -> None:
        self._left = number
        self.reached, self.released = threading.Event(), threading.Event()

    def __call__(self, message: bytes) -> bytes:
        self._left -= 1
        if self._left < 0:
            self.reached.set()
            assert self.released.wait(LONG)
        return message


def polite() -> Script:
    def respond(call: Any) -> Reply:
        return Reply(EMPTY if call.opnum == OPNUM_SESSION_ENUM else bytes(4))

    return Script(respond=respond)


@contextlib.contextmanager
def in_thread(work: Callable[[], object]) -> Iterator[Future[object]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work)


def list_all(server: netsession.Server) -> object:
    return list(server.sessions(level=10))


def end(server: netsession.Server) -> object:
    return server.delete_sessions(user="alice")


# negotiate, two of the session setup, tree connect, its validation on dialect 3.0, create, bind
PHASES = range(7)


@pytest.mark.parametrize("work", [list_all, end])
@pytest.mark.parametrize("phase", PHASES)
def test_close_ends_a_call_in_every_phase(
    endpoint: Endpoint,
    endpoint_smbd: Smbd,
    phase: int,
    work: Callable[[netsession.Server], object],
) -> None:
    """And nothing is asked for afterwards, when the server goes on."""
    endpoint.script = polite()
    hold = Hold(phase)
    sent: list[bytes] = []
    with Proxy(endpoint_smbd, hold, sent.append) as proxy:
        server = server_of(endpoint_smbd, port=proxy.port, timeout=LONG)
        try:
            with in_thread(lambda: work(server)) as call:
                # What is held back answers, or acknowledges, the last request that there was.
                assert hold.reached.wait(PATIENCE)
                before = len(sent)
                server.close()
                error = call.exception(PATIENCE)
        finally:
            hold.released.set()
        assert isinstance(error, netsession.ConnectionLost)
        assert error.symbol == "ERROR_CONNECTION_ABORTED"
        assert not error.maybe_done  # the list comes first
    # The proxy's threads have ended: whatever was sent has passed.
    assert len(sent) == before
    assert not endpoint.deletes


def test_close_during_the_delete_itself(endpoint: Endpoint, endpoint_smbd: Smbd) -> None:
    asked, released = threading.Event(), threading.Event()

    def hold() -> bool:
        asked.set()
        return released.wait(LONG)

    def respond(call: Any) -> Reply:
        if call.opnum == OPNUM_SESSION_ENUM:
            return Reply(ALICE)
        return Reply(bytes(4), interrupt=(0, hold))

    endpoint.script = Script(respond=respond)
    server = server_of(endpoint_smbd, timeout=LONG)
    server._granted = 10
    try:
        with in_thread(lambda: end(server)) as call:
            assert asked.wait(PATIENCE)
            server.close()
            error = call.exception(PATIENCE)
    finally:
        released.set()
    assert isinstance(error, netsession.ConnectionLost)
    assert error.maybe_done
    assert len(endpoint.deletes) == 1


@contextlib.contextmanager
def _unresolved(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Name resolution that does not come to an end."""
    done = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: done.wait(LONG) and [])
    try:
        yield 445
    finally:
        done.set()


@pytest.mark.parametrize("phase", ["resolve", "connect"])
def test_close_ends_a_call_before_it_is_connected(
    phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = full_listener() if phase == "connect" else _unresolved(monkeypatch)
    with peer as port:
        server = netsession.Server(HOST, port=port, username="u", password="p", timeout=LONG)
        begun = threading.Event()
        original = deadline.Task.run

        def run(task: Any, limit: Any, begun: Any = begun, original: Any = original) -> Any:
            begun.set()
            return original(task, limit)

        monkeypatch.setattr(deadline.Task, "run", run)
        with in_thread(lambda server=server: end(server)) as call:  # type: ignore[misc]
            assert begun.wait(PATIENCE)
            server.close()
            error = call.exception(PATIENCE)
        assert isinstance(error, netsession.ConnectionLost)
        assert not error.maybe_done
        assert "nothing was done" in str(error)


def _ends_of_tasks(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once a thread that connects has come to its end."""
    ended = threading.Event()
    original = deadline.Task._run

    def run(task: deadline.Task) -> None:
        original(task)
        ended.set()

    monkeypatch.setattr(deadline.Task, "_run", run)
    return ended


@contextlib.contextmanager
def _held_look_up() -> Iterator[threading.Event]:
    """Looking names up does not come to an end before the block does. Yields that it was asked."""
    asked, released = threading.Event(), threading.Event()
    look_up = socket.getaddrinfo

    def hold(*args: Any, **kwargs: Any) -> Any:
        asked.set()
        assert released.wait(2 * PATIENCE)  # so that a call that does not end ends then
        return look_up(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", hold)
        try:
            yield asked
        finally:
            released.set()


@pytest.mark.parametrize(
    "work",
    [
        lambda server: list(server.sessions(level=10, client="localhost")),
        lambda server: server.delete_sessions(client="localhost"),
        lambda server: server.session("localhost", "alice", level=10),
    ],
    ids=["list", "delete", "show"],
)
@pytest.mark.parametrize("natively", [False, True], ids=["smb", "simulator"])
def test_close_ends_a_call_that_looks_a_client_up(
    endpoint: Endpoint,
    endpoint_smbd: Smbd,
    work: Callable[[netsession.Server], object],
    natively: bool,
) -> None:
    row = {"client_name": "127.0.0.1", "user_name": "alice", "active_time": 1, "idle_time": 1}
    endpoint.script = Script(rows={10: [row]}, filters=False)
    if natively:
        simulator = Simulator()
        simulator.add("127.0.0.1", "alice", 0, 0, 0, 0, "", "")
        server = netsession.Server("simulated", backend=simulator.netapi, timeout=LONG)
    else:
        server = server_of(endpoint_smbd, timeout=LONG)
        list_all(server)  # connected: the look-up is the client's
    with _held_look_up() as asked, in_thread(lambda: work(server)) as call:
        assert asked.wait(PATIENCE)
        server.close()
        error = call.exception(PATIENCE)
    assert isinstance(error, netsession.ConnectionLost)
    assert not error.maybe_done
    assert endpoint.deletes == []


def test_nobody_is_called_on_after_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the server's name has been looked up at last."""
    ended = _ends_of_tasks(monkeypatch)
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        server = netsession.Server(HOST, port=port, username="u", password="p", timeout=LONG)
        with _held_look_up() as asked, in_thread(lambda: end(server)) as call:
            assert asked.wait(PATIENCE)
            server.close()
            assert isinstance(call.exception(PATIENCE), netsession.ConnectionLost)
        assert ended.wait(PATIENCE)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


# smbprotocol's part of it, in which the thread waits that connects
@pytest.mark.parametrize("phase", range(6))
def test_an_interrupt_leaves_no_connection_behind(
    endpoint: Endpoint, endpoint_smbd: Smbd, phase: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor the thread that was making it, though the server goes on saying nothing."""
    endpoint.script = polite()
    ended = _ends_of_tasks(monkeypatch)
    hold = Hold(phase)

    def interrupted(limit: Any) -> None:
        assert hold.reached.wait(PATIENCE)
        raise KeyboardInterrupt

    monkeypatch.setattr(deadline.Task, "_next_end", lambda task, limit: interrupted(limit))
    with Proxy(endpoint_smbd, hold) as proxy:
        server = server_of(endpoint_smbd, port=proxy.port, timeout=LONG)
        try:
            with pytest.raises(KeyboardInterrupt):
                list_all(server)
            assert ended.wait(PATIENCE)
        finally:
            hold.released.set()
    assert endpoint.calls == []


def test_calls_that_wait_for_their_turn_end_with_close(
    endpoint: Endpoint, endpoint_smbd: Smbd
) -> None:
    asked, released = threading.Event(), threading.Event()

    def hold() -> bool:
        asked.set()
        return released.wait(LONG)

    def respond(call: Any) -> Reply:
        if call.opnum == OPNUM_SESSION_DEL:
            return Reply(bytes(4))
        return Reply(EMPTY, interrupt=(0, hold) if not released.is_set() else None)

    endpoint.script = Script(respond=respond)
    server = server_of(endpoint_smbd, timeout=LONG)
    assert server._client is not None
    waiting = [server._client.begin() for _ in range(3)]
    try:
        with in_thread(lambda: list_all(server)) as first, ThreadPoolExecutor(3) as pool:
            assert asked.wait(PATIENCE)
            others = [pool.submit(call, OPNUM_SESSION_DEL, bytes(12)) for call in waiting]
            server.close()
            ends = [each.exception(PATIENCE) for each in (first, *others)]
    finally:
        released.set()
    assert [type(error) for error in ends] == [netsession.ConnectionLost] * 4
    assert not any(isinstance(e, netsession.NetApiError) and e.maybe_done for e in ends)
    # Begun before, made after: they are over too, also where nobody waited.
    with pytest.raises(netsession.ConnectionLost):
        waiting[0](OPNUM_SESSION_DEL, bytes(12))
    assert endpoint.deletes == []
    assert list_all(server) == []  # a call that begins now connects anew
    server.close()


def test_a_listing_ends_with_close(endpoint: Endpoint, endpoint_smbd: Smbd) -> None:
    row = {"client_name": "A", "user_name": "b", "active_time": 1, "idle_time": 1}
    endpoint.script = Script(rows={10: [row] * 3}, page_entries=1)
    with server_of(endpoint_smbd) as server:
        pages = server.sessions(level=10).pages()
        next(pages)
    with pytest.raises(netsession.ConnectionLost, match="closed during the call"):
        next(pages)
    assert len(endpoint.enums) == 1


# -- asyncio --------------------------------------------------------------------------------------


async def list_async(server: netsession.Server) -> list[Any]:
    return [record async for record in server.sessions(level=10)]


def test_cancelling_ends_the_call(endpoint: Endpoint, endpoint_smbd: Smbd) -> None:
    """In the middle of the logon; asyncio.run() has nobody to wait for afterwards."""
    endpoint.script = polite()
    hold = Hold(2)

    async def main(server: netsession.Server) -> None:
        task = asyncio.create_task(list_async(server))
        await asyncio.to_thread(hold.reached.wait, PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Proxy(endpoint_smbd, hold) as proxy:
        server = server_of(endpoint_smbd, port=proxy.port, timeout=LONG)
        try:
            asyncio.run(main(server))
        finally:
            hold.released.set()
        # The lock is free again, so that the same server can be asked.
        assert list_all(server) == []
        server.close()
    assert len(endpoint.calls) == 1


def test_many_silent_servers_are_asked_at_once() -> None:
    """More than the default executor has threads: all are connected before any is given up."""
    count = 64
    connected = threading.Semaphore(0)

    def accept(listener: socket.socket, kept: list[socket.socket]) -> None:
        for _ in range(count):
            kept.append(listener.accept()[0])
            connected.release()

    async def main(port: int) -> None:
        servers = [
            netsession.Server(HOST, port=port, username="u", password="p", timeout=LONG)
            for _ in range(count)
        ]
        tasks = [asyncio.create_task(list_async(server)) for server in servers]
        for _ in range(count):
            assert await asyncio.to_thread(connected.acquire, timeout=PATIENCE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    kept: list[socket.socket] = []
    with socket.create_server((HOST, 0), backlog=count) as listener:
        thread = threading.Thread(target=accept, args=(listener, kept))
        thread.start()
        try:
            asyncio.run(main(listener.getsockname()[1]))
        finally:
            thread.join(PATIENCE)
            for each in kept:
                each.close()


# -- threads, processes, reference counts ---------------------------------------------------------


@pytest.mark.parametrize("work", [list_all, end])
def test_no_thread_can_be_started(
    work: Callable[[netsession.Server], object],
    endpoint_smbd: Smbd,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(function: object) -> Callable[[], object]:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(deadline, "start_new_thread", start)
    with server_of(endpoint_smbd) as server:
        with pytest.raises(netsession.NetApiError, match="thread could be started") as caught:
            work(server)
        assert caught.value.status == 8
        assert not caught.value.maybe_done


FORK = r"""
import json, os, sys
import netsession

options, action = json.loads(sys.argv[1]), sys.argv[2]
password = sys.stdin.readline().rstrip("\n")
server = netsession.Server("127.0.0.1", password=password, **options)
ages = lambda: sorted(session.active_time for session in server.sessions(level=1))
with server:
    connection = server._client
    count = len(ages())
    idle = connection._idle
    child = os.fork()
    if not child:
        if action == "close":
            server.close()
        elif action == "with":
            with server:
                pass
        elif action == "call":
            # The parent's session and the child's own.
            assert len(ages()) == count + 1
            server.close()
        elif action == "exit":
            sys.exit(0)
        elif action == "drop":
            del server, connection, idle
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    # Still on the connection that was there before, which the server knows.
    len(ages())
    assert connection._idle is idle
print("parent went on")
"""


@pytest.mark.parametrize("action", ["close", "with", "call", "exit", "drop"])
def test_a_connection_belongs_to_the_process_that_made_it(real_smbd: Smbd, action: str) -> None:
    options = {"port": real_smbd.port, "username": real_smbd.admin.name}
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", FORK, json.dumps(options), action],
        input=real_smbd.admin.password + "\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
    )
    assert (done.returncode, done.stdout) == (0, "parent went on\n"), done.stderr
    assert "ResourceWarning" not in done.stderr


def test_a_child_keeps_no_connection_alive() -> None:
    """It has a copy of the socket, and may live for long without ever calling."""
    with Smbd() as smbd:
        server = server_of(smbd)
        assert server._client is not None
        list(server.sessions(level=1))
        smbd.wait_for_connections(1)
        waiting, going = os.pipe()
        child = os.fork()
        if not child:
            os.close(going)
            os.read(waiting, 1)
            os._exit(0)
        try:
            # As after a time-out or a malformed reply: dropped, not logged off.
            server._client._lock.try_run(server._client._drop)
            smbd.wait_for_connections(0)
        finally:
            os.close(going)
            os.close(waiting)
            assert os.waitpid(child, 0)[1] == 0


def test_a_child_s_close_ends_what_began_before(endpoint: Endpoint, endpoint_smbd: Smbd) -> None:
    row = {"client_name": "A", "user_name": "b", "active_time": 1, "idle_time": 1}
    endpoint.script = Script(rows={10: [row] * 3}, page_entries=1)
    server = server_of(endpoint_smbd)
    pages = server.sessions(level=10).pages()
    next(pages)
    child = os.fork()
    if not child:
        try:
            server.close()
            next(pages)
        except netsession.ConnectionLost:
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(list(pages)) == 2  # the parent's listing goes on
    server.close()


def test_a_server_that_is_dropped_is_left() -> None:
    """By reference counting, not when the collector happens to come by."""
    with Smbd() as smbd:
        server = server_of(smbd)
        assert len(list(server.sessions(level=1))) == 1
        smbd.wait_for_connections(1)
        gc.disable()
        try:
            with pytest.warns(ResourceWarning, match="unclosed connection of SrvsvcClient"):
                del server
            smbd.wait_for_connections(0)
        finally:
            gc.enable()


def test_a_server_that_was_closed_is_dropped_in_silence(real_smbd: Smbd) -> None:
    server = server_of(real_smbd)
    assert list(server.sessions(level=1))
    server.close()
    del server  # a warning is an error in these tests


def test_errors_keep_no_connection(real_smbd: Smbd) -> None:
    """Nor does a call that failed: nothing is left to warn of."""
    server = server_of(real_smbd, real_smbd.others[0])
    with pytest.raises(netsession.AccessDenied) as caught:
        list(server.sessions())
    server.close()
    del server
    assert caught.value.status == 5


def test_what_is_logged(real_smbd: Smbd, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"), server_of(real_smbd, encrypt=True) as server:
        assert list(server.sessions())
    assert (
        f"127.0.0.1: connecting to port {real_smbd.port} as {real_smbd.admin.name}" in caplog.text
    )
    assert "127.0.0.1: SMB 3.1.1, encrypted; the pipe is open" in caplog.text
    assert "level 502 is refused with status 124\n" in caplog.text
    assert "127.0.0.1: level 1" in caplog.text
    assert real_smbd.admin.password not in caplog.text
