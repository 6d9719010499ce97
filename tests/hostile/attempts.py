"""One attempt: a misbehaviour at a place, what a call makes of it, and what is left behind."""

from __future__ import annotations

import _thread
import re
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from liar import DELETE, ENUM, ROWS, Liar
from misbehaviours import ANSWERED, WAITS, Misbehaviour
from netsession import DeletePlan, NetApiError, Server
from smb_server import HOST, PASSWORD, USER

#: A hang guard. Only a failure reaches it.
WATCHDOG: Final = 120.0
#: What a call may take that a server keeps waiting, and others: those end by themselves.
SHORT, PATIENCE = 1.0, 60.0
#: The most that a call may hold at once: smbprotocol's and pyspnego's objects of a logon, a reply
#: of at most MAX_REPLY, one message and one recv(); and what our server holds, in the same process.
MAX_REPLY: Final = 1 << 20
MAX_MEMORY: Final = 4 << 20
_ERROR_TIMEOUT: Final = 1460


class Lab:
    """A server that lies, and a good one."""

    def __init__(self, liar: Liar, good: Liar) -> None:
        self.liar = liar
        self._good = _server(good, PATIENCE)
        self.threads = _thread._count()
        self.attempts = 0
        self.ends: dict[str, int] = {}

    def close(self) -> None:
        self._good.close()

    def good_answers(self) -> None:
        assert _listed(self._good) == ROWS

    def count(self, how: str) -> None:
        self.attempts += 1
        self.ends[how] = self.ends.get(how, 0) + 1


@contextmanager
def lab() -> Iterator[Lab]:
    """Both servers, checked at the end for faults of their own."""
    with Liar() as good, Liar() as liar:
        made = Lab(liar, good)
        made.good_answers()
        made.threads = _thread._count()
        try:
            yield made
        finally:
            made.close()
        assert not liar.errors, liar.errors
        assert not good.errors, good.errors


def _server(liar: Liar, timeout: float) -> Server:
    options: dict[str, Any] = {"username": USER, "password": PASSWORD}
    return Server(HOST, port=liar.port, timeout=timeout, max_reply_bytes=MAX_REPLY, **options)


def _listed(server: Server) -> list[Any]:
    return list(server.sessions(level=1))


def watched(work: Callable[[], Any]) -> Any:
    """What ``work`` returns or raises; a failure where it hangs."""
    ends: list[Any] = []

    def run() -> None:
        try:
            ends.append(work())
        except BaseException as error:
            ends.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(WATCHDOG)
    assert ends, "the call hangs"
    thread.join()
    return ends[0]


def attempt(lab: Lab, bad: Misbehaviour, place: str, *, delete: bool, memory: bool = False) -> None:
    """Lists, or ends alice's sessions, with the server misbehaving; then with it behaving."""
    liar, (ends, _) = lab.liar, bad.end(place)
    liar.script.rows = list(ROWS)
    server = _server(liar, SHORT if ends == WAITS else PATIENCE)
    with server:
        work: Callable[[], Any]
        if delete:
            plan: DeletePlan = server.plan_delete(user="alice")
            server.close()
            work = lambda: server.delete_sessions(plan=plan)  # noqa: E731
        else:
            work = lambda: _listed(server)  # noqa: E731
        liar.calls.clear()
        liar.told = 0
        lie = bad.tell(place)
        liar.lie = replace(lie, opnum=DELETE if delete else ENUM)
        try:
            outcome = _measured(work) if memory else watched(work)
        finally:
            liar.lie = None
        _check(bad, place, outcome, delete=delete, reached=DELETE in liar.calls)
        assert liar.told or lie.negotiate or lie.encrypts or lie.credits == 0, "it never lied"
        lab.count(type(outcome).__name__ if isinstance(outcome, Exception) else ANSWERED)
        # The same Server, now that it behaves; time-outs were for the misbehaviour only.
        server._client._timeout = PATIENCE  # type: ignore[union-attr]
        liar.script.rows = list(ROWS)
        assert watched(lambda: _listed(server)) == ROWS
    lab.good_answers()
    _check_nothing_left(lab)


def _measured(work: Callable[[], Any]) -> Any:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        outcome = watched(work)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < MAX_MEMORY, f"{peak:,} bytes"
    return outcome


def _check(bad: Misbehaviour, place: str, outcome: Any, *, delete: bool, reached: bool) -> None:
    ends, says = bad.end(place)
    if ends == ANSWERED:
        if isinstance(outcome, BaseException):
            raise AssertionError("no harm, and yet an error") from outcome
        assert delete or outcome == ROWS
        return
    assert isinstance(outcome, NetApiError), repr(outcome)
    text = f"{type(outcome).__name__} {outcome.step}: {outcome}"
    assert ends in ("", type(outcome).__name__), text
    assert outcome.step == bad.step(place), text
    assert re.search(says, str(outcome), re.IGNORECASE), text
    assert outcome.status, text
    assert outcome.ntstatus == bad.ntstatus or bad.ntstatus is None, text
    timed_out = outcome.status == _ERROR_TIMEOUT  # by us, not by the server
    assert timed_out == (ends == WAITS), text
    if not delete:
        assert not outcome.maybe_done, text
        return
    # The server knows whether the request has reached it; only its own word undoes the doubt.
    assert outcome.maybe_done == (reached and not bad.sure), text


def _check_nothing_left(lab: Lab) -> None:
    assert lab.liar.all_gone(WATCHDOG), "a connection is still open"
    end = time.monotonic() + WATCHDOG
    while (left := _thread._count() - lab.threads) > 0:
        assert time.monotonic() < end, f"{left} threads more than before"
        time.sleep(0.001)
