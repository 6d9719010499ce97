"""An exchange that ends at a certain byte of what the server says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attempts import ERROR_TIMEOUT, PATIENCE, Lab, check_nothing_left, listed, server_of, watched
from liar import DELETE, ROWS, Talk
from lies import framed
from misbehaviours import ANSWERED, STEPS
from netsession import NetApiError


class Cut:
    """Delivers the first ``count`` bytes of a connection, and ends it; ``place`` is where."""

    def __init__(self, count: int, *, reset: bool) -> None:
        self._left = count
        self._reset = reset
        self.place: str | None = None

    def __call__(self, talk: Talk, message: bytes) -> None:
        data = framed(message)
        talk.raw(data[: self._left])
        if len(data) > self._left:
            self.place = talk.place
            talk.close(reset=self._reset)
        self._left -= len(data)


def recorded(lab: Lab, *, delete: bool) -> list[int]:
    """How long each message is that the server sends until the answer is whole."""
    sizes: list[int] = []

    def wire(talk: Talk, message: bytes) -> None:
        if talk.place != "leave":
            sizes.append(len(framed(message)))
        talk.raw(framed(message))

    _call(lab, wire, delete=delete)
    return sizes


def _call(lab: Lab, wire: Callable[[Talk, bytes], None], *, delete: bool) -> Any:
    """Lists one session, or ends it, on a connection of its own; what that returns or raises."""
    liar = lab.liar
    liar.script.rows = list(ROWS[:1])
    with server_of(liar, PATIENCE) as server:
        plan = server.plan_delete(user="alice") if delete else None
        server.close()
        liar.calls.clear()
        liar.wire = wire
        try:
            outcome = watched(
                lambda: listed(server) if plan is None else server.delete_sessions(plan=plan)
            )
        finally:
            liar.wire = None
        liar.script.rows = list(ROWS)
        if isinstance(wire, Cut):
            assert watched(lambda: listed(server)) == ROWS
    return outcome


def attempt_cut(lab: Lab, count: int, *, delete: bool, reset: bool) -> None:
    """The call with a connection that ends after ``count`` bytes of the server's."""
    cut = Cut(count, reset=reset)
    outcome = _call(lab, cut, delete=delete)
    if cut.place in (None, "leave"):
        assert not isinstance(outcome, BaseException), outcome
        lab.count(ANSWERED)
    else:
        assert isinstance(outcome, NetApiError), repr(outcome)
        text = f"{type(outcome).__name__} {outcome.step}: {outcome}"
        assert outcome.step == STEPS[cut.place], text
        assert outcome.status != ERROR_TIMEOUT, text
        assert isinstance(outcome, ConnectionError), text
        assert outcome.maybe_done == (delete and DELETE in lab.liar.calls), text
        lab.count(type(outcome).__name__)
    lab.good_answers()
    check_nothing_left(lab)
