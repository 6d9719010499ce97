"""One page is held, by whatever entry it is asked for: none is left when the next is fetched.

Counted by the simulator, which knows what was not given back, each time the cursor is asked.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

import arrow_consumer as consumer
from made_up import session
from netsession import _netsession, where, win32net
from netsession._simulator import Simulator
from netsession.cli import parts
from netsession.testing import SimulatedServer

SESSIONS, PAGES = 50, 5
LAST = session(SESSIONS - 1)
PATIENCE = 10.0  # only a page that stays costs so much, and fails the test


class Counted:
    """A server, and how many pages there were each time that its list was asked for another."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.server = SimulatedServer(simulator)
        self.held: list[int] = []

    def look(self) -> None:
        """A page of another thread may go only when that thread has ended, without a GIL."""
        end = time.monotonic() + PATIENCE
        while self.simulator.outstanding and not any(self.held) and time.monotonic() < end:
            time.sleep(0.001)
        self.held.append(self.simulator.outstanding)


@pytest.fixture
def counted(
    simulate: Callable[..., tuple[SimulatedServer, Simulator]], monkeypatch: pytest.MonkeyPatch
) -> Counted:
    counted = Counted(simulate(SESSIONS, SESSIONS // PAGES)[1])
    made = _netsession.SessionCursor

    class Cursor:
        def __init__(self, backend: Any, name: Any, client: Any, user: Any, *how: Any) -> None:
            self._cursor = made(backend, name, None, None, *how)  # a server that does not filter

        def __iter__(self) -> Cursor:
            return self

        def __next__(self) -> _netsession.SessionPage:
            counted.look()
            return next(self._cursor)

    monkeypatch.setattr(_netsession, "SessionCursor", Cursor)
    monkeypatch.setattr(win32net, "_server", lambda name: counted.server)
    return counted


def _iterate(server: SimulatedServer, **options: Any) -> int:
    return sum(1 for _ in server.sessions(**options))


def _iterate_from_the_second_level(server: SimulatedServer) -> int:
    server.refuse(502)
    return _iterate(server)


def _iterate_pages(server: SimulatedServer) -> int:
    count = 0
    pages = server.sessions().pages()
    while (page := next(pages, None)) is not None:
        count += len(page)
        del page
    return count


def _iterate_in_asyncio(server: SimulatedServer, **options: Any) -> int:
    async def count() -> int:
        return len([record async for record in server.sessions(**options)])

    return asyncio.run(count())


def _stream(server: SimulatedServer) -> int:
    stream = consumer.content(consumer.ArrowArrayStream, server.sessions().__arrow_c_stream__())
    count = 0
    for batch in stream.batches():
        count += batch.length
        batch.give_back()
    return count


def _written_to_parquet(server: SimulatedServer) -> int:
    pytest.importorskip("pyarrow")
    from netsession.cli.parquet import write_parquet
    from netsession.cli.sink import Sink

    return write_parquet(server.sessions(), Sink(io.BytesIO(), "memory"), None)


def _in_chunks(server: SimulatedServer) -> int:
    return sum(map(len, parts.chunks(server.sessions(), 3)))


def _watched(server: SimulatedServer) -> int:
    with server.watch(existing=True) as watch:
        return len(list(islice(watch, SESSIONS)))


def _one(server: SimulatedServer) -> int:
    """As NetSessionGetInfo's level 502 is answered, from the list."""
    found = server._listed(server._begin("NetSessionGetInfo"), 502, LAST.client, LAST.user_name)
    return len([found])


def _one_as_pywin32_shows_it(server: SimulatedServer) -> int:
    """Over SMB, where there is only the list; here that is the simulator's."""
    found = win32net._exact_row(server._begin("NetSessionGetInfo"), 502, None, *LAST[:2])
    return len([found])


ENTRIES: dict[str, Callable[[SimulatedServer], int]] = {
    "iterating": _iterate,
    "iterating, a level refused": _iterate_from_the_second_level,
    "iterating, client": lambda server: _iterate(server, client=LAST.client),
    "iterating, where": lambda server: _iterate(server, where=where(min_opens=1)),
    "iterating, cut down to level 0": lambda server: _iterate(server, level=0, user=LAST.user_name),
    "pages": _iterate_pages,
    "asyncio": _iterate_in_asyncio,
    "asyncio, where": lambda server: _iterate_in_asyncio(server, where=where(min_opens=1)),
    "arrow": _stream,
    "parquet": _written_to_parquet,
    "the command's chunks": _in_chunks,
    "watch": _watched,
    "one session": _one,
    "a plan": lambda server: len(server.plan_delete(user=LAST.user_name).sessions),
    "a plan by conditions": lambda server: len(
        server.plan_delete(where=where(min_opens=1)).targets
    ),
    "win32net": lambda server: len(win32net.NetSessionEnum(502)),
    "win32net, one session": _one_as_pywin32_shows_it,
}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())
def test_one_page_is_held(counted: Counted, entry: Callable[[SimulatedServer], int]) -> None:
    assert entry(counted.server) > 0
    assert counted.held[:PAGES] == [0] * PAGES
