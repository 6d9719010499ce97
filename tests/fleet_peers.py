"""Servers for the tests of scans: some that say nothing, some that raise, some that wait."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest

from netsession import Server
from netsession._simulator import Simulator
from netsession.testing import SimulatedServer

# A hang guard. Nothing passes or fails by how long it took.
PATIENCE = 60.0

# A time-out that does not pass, however slow the machine; so that nothing that is bounded by a
# part of it goes on for being slow.
AGES = 100_000.0


over_smb = pytest.mark.skipif(
    sys.platform == "win32" or importlib.util.find_spec("smbprotocol") is None,
    reason="needs smbprotocol, and on Windows the caller's own logon is native",
)


@contextlib.contextmanager
def full_listener() -> Iterator[int]:
    """A port of this machine whose queue is full: it answers no SYN."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(2):
            other = waiting.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


class SilentServer:
    """A TCP server on loopback that takes every connection and never says a word."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.name = f"127.0.0.1:{self.port}"
        self._taken: list[socket.socket] = []
        self._heard = threading.Semaphore(0)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for each in (self._listener, *self._taken):
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(PATIENCE)
            self._taken.append(connection)
            if connection.recv(1):
                self._heard.release()

    def wait_until_asked(self, times: int = 1) -> None:
        """Until so many more clients have sent something, and wait for an answer."""
        for _ in range(times):
            assert self._heard.acquire(timeout=PATIENCE)

    def wait_until_left(self) -> int:
        """Until every client has closed its connection; how many there were."""
        for connection in self._taken:
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(4096):
                    pass
        return len(self._taken)


class GatedServer(SimulatedServer):
    """A simulator whose listing waits until the test lets it go on."""

    def __init__(self, name: str, sessions: int = 1) -> None:
        super().__init__(Simulator(sessions), name)
        self.asked = threading.Event()
        self.gate = threading.Event()

    def sessions(self, **options: Any) -> Any:
        query = super().sessions(**options)
        pages = query._pages

        def wait(call: Any) -> Any:
            self.asked.set()
            assert self.gate.wait(PATIENCE)
            return pages(call)

        query._pages = wait  # type: ignore[method-assign]
        return query


class RaisingServer(Server):
    """Its listing raises what it is given."""

    def __init__(self, name: str, raised: Callable[[], BaseException]) -> None:
        super().__init__(name, backend=Simulator(0).netapi)
        self._raised = raised

    def sessions(self, **options: Any) -> Any:
        raise self._raised()


def refusing(name: str, status: int) -> SimulatedServer:
    """A simulator that answers every listing with that status."""
    server = SimulatedServer(Simulator(3), name)
    server.fail("NetSessionEnum", status)
    return server


def until(done: Callable[[], object]) -> None:
    """Waits for it; fails after PATIENCE."""
    waited = threading.Event()
    for _ in range(int(PATIENCE * 100)):
        if done():
            return
        waited.wait(0.01)
    raise AssertionError("it never came to that")


class Source:
    """An iterable of servers that counts how many were taken."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self.taken = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        item = next(self._items)
        self.taken += 1
        return item
