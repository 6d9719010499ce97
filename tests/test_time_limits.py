"""Time limits of whole public calls, on a clock that the tests move."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import netsession
from fake_pipe import ALICE, FakeClient, server_of
from netsession import _native
from netsession._simulator import Simulator
from netsession.srvsvc import deadline
from netsession.srvsvc.deadline import Deadline, Task
from netsession.testing import SimulatedServer


class Clock:
    """In the place of time.monotonic()."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_native, "monotonic", clock.monotonic)
    monkeypatch.setattr(deadline, "time", clock)
    return clock


def page(status: int, handle: int) -> bytes:
    """A reply of level 10 without entries, and a resume handle."""
    words = [10, 10, 0x20000, 0, 0, 0, 0x20004, handle, status]
    return b"".join(word.to_bytes(4, "little") for word in words)


def over_smb(answer: Callable[[int, bytes], bytes], **options: Any) -> netsession.Server:
    client = FakeClient(answer, **options)
    server = netsession.Server("fake", backend=client.call)
    server._client = client
    return server


def test_a_whole_listing_natively(
    clock: Clock, simulate: Callable[..., tuple[SimulatedServer, Simulator]]
) -> None:
    server, simulator = simulate(30, 10)
    pages = server.sessions(timeout=5).pages()
    assert len(next(pages)) == 10
    clock.now += 4
    assert len(next(pages)) == 10
    clock.now += 1
    with pytest.raises(netsession.CallTimeout, match=r"(?i)not all of the answers within 5 s"):
        next(pages)
    assert simulator.calls("NetSessionEnum") == 2
    assert len(list(server.sessions(timeout=5))) == 30  # each listing has its own


def test_a_whole_listing_over_smb(clock: Clock) -> None:
    handles = iter(range(1, 1000))

    def answer(opnum: int, stub: bytes) -> bytes:
        clock.now += 2
        return page(234, next(handles))

    with over_smb(answer, timeout=3) as server:
        with pytest.raises(netsession.CallTimeout, match=r"(?i)not all of the answers within 15 s"):
            list(server.sessions(level=10, timeout=15))
        assert server._client is not None
        # Without it only each page is bounded: here the server's nonsense ends it.
        with pytest.raises(netsession.NoProgress):
            list(server.sessions(level=10))


def test_all_levels_share_one_time_limit(clock: Clock) -> None:
    """A server that takes two seconds to refuse each level."""
    asked = []

    def answer(opnum: int, stub: bytes) -> bytes:
        asked.append(opnum)
        clock.now += 2
        return b"".join(word.to_bytes(4, "little") for word in (10, 10, 0, 0, 0, 5))

    with over_smb(answer, timeout=5) as server:
        with pytest.raises(netsession.CallTimeout, match=r"(?i)no complete answer within 5 s"):
            list(server.sessions())
        assert len(asked) == 3
        with pytest.raises(netsession.CallTimeout):
            server.session("A", "b")
        assert len(asked) == 6


@pytest.mark.parametrize(
    "work",
    [
        lambda server: server.delete_sessions(user="alice"),
        lambda server: server.plan_delete(client="A"),
        lambda server: server.session("A", "bob", level=10),
    ],
    ids=["delete", "plan", "show"],
)
def test_calls_that_list_are_bounded_over_all_pages(
    clock: Clock, work: Callable[[netsession.Server], object]
) -> None:
    """Of a list without an end: there is always one session more."""
    asked = []

    def answer(opnum: int, stub: bytes) -> bytes:
        asked.append(opnum)
        clock.now += 2
        end = (0x20010, len(asked), 234)  # a resume handle, and that there is more
        return ALICE[:-8] + b"".join(word.to_bytes(4, "little") for word in end)

    server, _ = server_of(answer, timeout=5)
    with (
        server,
        pytest.raises(netsession.CallTimeout, match=r"(?i)no complete answer within 5 s") as caught,
    ):
        work(server)
    assert asked == [12] * 3
    assert not caught.value.maybe_done


@pytest.mark.parametrize(
    "work",
    [
        lambda server: list(server.sessions(level=10)),
        lambda server: server.sessions(level=10, timeout=0.5).pages(),
        lambda server: list(server.sessions(level=10, timeout=0.5)),
        lambda server: server.plan_delete(user="alice"),
        lambda server: server.session("A", "alice"),
    ],
    ids=["each", "begun", "whole", "delete", "show"],
)
def test_a_time_limit_that_is_over_at_once(
    monkeypatch: pytest.MonkeyPatch, work: Callable[[netsession.Server], object]
) -> None:
    """Whenever one looks, a second has passed."""

    class Racing(Clock):
        def monotonic(self) -> float:
            self.now += 1
            return self.now

    monkeypatch.setattr(deadline, "time", Racing())
    server, client = server_of(lambda opnum, stub: ALICE, timeout=0.5)
    with server, pytest.raises(netsession.CallTimeout, match=r"within 0\.5 s"):
        next(iter(work(server)))  # type: ignore[call-overload]
    assert client.pipes == []


@pytest.mark.parametrize("timeout", [None, 1e9, 10**12, math.inf, 0.5])
def test_time_limits_that_are_taken(
    timeout: float | None, simulate: Callable[..., tuple[SimulatedServer, Simulator]]
) -> None:
    with over_smb(lambda opnum, stub: page(0, 0), timeout=timeout) as server:
        assert list(server.sessions(level=10, timeout=timeout)) == []
    natively, _ = simulate(3)
    assert len(list(natively.sessions(timeout=timeout))) == 3


def test_a_time_that_is_over_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """As what is left of somebody's own time limit may be."""
    clock = Clock()

    def later() -> float:
        clock.now += 1
        return clock.now

    monkeypatch.setattr(clock, "monotonic", later)
    monkeypatch.setattr(deadline, "time", clock)
    with over_smb(lambda opnum, stub: page(0, 0), timeout=0.5) as server:
        for whole in (0.5, None):
            with pytest.raises(netsession.CallTimeout):
                list(server.sessions(level=10, timeout=whole))


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        (0, ValueError),
        (-1, ValueError),
        (math.nan, ValueError),
        ("5", TypeError),
        (True, TypeError),
        (timedelta(seconds=5), TypeError),
    ],
)
def test_time_limits_that_are_refused(timeout: Any, error: type[Exception]) -> None:
    server = netsession.Server("s", backend=lambda opnum, stub: b"")
    with pytest.raises(error, match="timeout must be"):
        server.sessions(timeout=timeout)


def test_work_whose_thread_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory is short it cannot tell its result: nobody waits for it for ever."""
    monkeypatch.setattr(Task, "_run", lambda task: sys.exit())
    with pytest.raises(MemoryError, match="no memory was left"):
        Task(lambda: None, lambda result: None).run(Deadline(None))
