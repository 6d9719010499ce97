"""A Server that nobody refers to any more is let go of at once, whatever it was asked before.

Reference counting does that, the collector is off: a cycle anywhere would keep the connection, and
the server would show the caller's session until the collector comes by.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import netsession
from fake_pipe import ALICE, server_of
from netsession import DeletePlan, Server

PATIENCE = 60.0  # a hang guard

pytestmark = pytest.mark.filterwarnings("ignore:unclosed connection:ResourceWarning")

ADDRESS = ALICE[:-12].replace("A\0".encode("utf-16-le"), "::".encode("utf-16-le")) + ALICE[-12:]


@pytest.fixture(autouse=True)
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def listing_async(server: Server) -> object:
    async def main() -> object:
        # Caught here: asyncio.run() has a cycle of its own with what leaves it.
        try:
            return [record async for record in server.sessions(level=10, client="A")]
        except netsession.NetApiError:
            return None

    return asyncio.run(main())


PLAN = DeletePlan(None, None, [("\\\\A", "alice"), ("\\\\B", "alice")], [])
ASKED: dict[str, Callable[[Server], object]] = {
    "list": lambda server: list(server.sessions(level=10)),
    "list a client": lambda server: list(server.sessions(level=10, client="A")),
    "list a client that is looked up": lambda server: list(server.sessions(level=10, client="B")),
    "page": lambda server: next(server.sessions(level=10, client="A").pages()),
    "show": lambda server: server.session("A", "alice", level=10),
    "show nobody": lambda server: server.session("B", "alice", level=10),
    "plan": lambda server: server.plan_delete(client="A", user="alice"),
    "delete": lambda server: server.delete_sessions(client="A"),
    "delete nobody": lambda server: server.delete_sessions(client="B"),
    "delete by plan": lambda server: server.delete_sessions(plan=PLAN),
    "async": listing_async,
}


def words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "little") for number in numbers)


ANSWERED = {
    "done": (ALICE, words(0)),
    "by address": (ADDRESS, words(0)),
    "not found": (ALICE, words(2312)),
    "denied": (words(10, 10, 0, 0, 0, 5), words(5)),
    "malformed": (b"\1", b"\1"),
}


@pytest.mark.parametrize("work", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize(("listed", "deleted"), ANSWERED.values(), ids=ANSWERED)
def test_it_goes_with_the_last_reference(
    work: Callable[[Server], object],
    listed: bytes,
    deleted: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OSError("Name or service not known")

    gone = threading.Event()

    def ask() -> weakref.ref[Any]:
        server, client = server_of(lambda opnum, stub: listed if opnum == 12 else deleted)
        with contextlib.suppress(netsession.NetApiError):
            work(server)
        return weakref.ref(client, lambda _: gone.set())

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    reference = ask()
    # The thread of an asyncio call may end a moment later; and without a GIL this one has to look
    # in now and then to count the references that others have given up.
    assert any(gone.wait(0.01) for _ in range(int(PATIENCE * 100)))
    assert reference() is None
