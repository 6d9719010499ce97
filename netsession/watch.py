"""Watching a server: its list again and again, and what has changed from one to the next."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from queue import Empty, SimpleQueue

from ._generic import OfRecords, Record
from ._identity import Moment, Roll
from ._netsession import CallLock
from .errors import (
    InvalidLevel,
    InvalidParameter,
    LogonFailed,
    NetApiError,
    error_from_status,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, NoReturn, Protocol, Self, TypeAlias, TypeVar

    from ._logons import Logons, Turn
    from ._native import NativeCall
    from ._where import Where
    from .records import SessionInfo
    from .server import Server, Sessions
    from .srvsvc import Call

    T = TypeVar("T")

    class Clock(Protocol):
        """What a Watch knows of time, and how it lets time pass."""

        def now(self) -> float:
            """Seconds that have passed, those asleep included."""

        def utc(self) -> datetime:
            """What the clock on the wall says."""

        def wait(self, seconds: float, woken: Alarm) -> object:
            """Lets time pass: so much at most, and no more once it is woken."""

        async def wait_async(self, seconds: float) -> object:
            """Lets time pass, in asyncio."""


__all__ = [
    "SessionChanged",
    "SessionClosed",
    "SessionOpened",
    "Watch",
    "WatchEvent",
    "WatchFailed",
    "WatchRecovered",
]

# So often a wait looks whether it is over; Windows delivers Ctrl-C only then.
_NEXT_LOOK = 0.25
_AWAITED = "this Watch is waited for already: make one for each task"
# Seconds from a refused logon to the next: two of them within half an hour lock no account, which
# is how long the usual policies count them.
_PAUSES = (300.0, 1800.0)
_ERROR_NOT_ENOUGH_MEMORY = 8
_MOST_STEPS = 1e9  # that were missed; there is no rhythm to be kept
_LONGEST_TIME = 1e9  # seconds, thirty years
_NAMES = frozenset(("client_name", "user_name"))  # what a session has as long as it is there
_LONGEST_CHAIN = 100  # of causes
# How large a part of its time-out a logon may take before others of the same user begin.
_PATIENCE, _USUAL_TIMEOUT = 0.25, 60.0


class WatchEvent(OfRecords[Record]):
    """What a Watch tells. All have ``at``, ``server`` and ``session``.

    Attributes:
        at: when the list came, or failed to, that it was found in (datetime, UTC, aware).
        server: the server's name (str), as Server.name; None for the local machine.
        session: the session (SessionInfo record), or None where it is about the server.
    """

    __slots__ = ()

    at: datetime
    server: str | None
    session: Record | None


@dataclass(frozen=True, slots=True)
class SessionOpened(WatchEvent[Record]):
    """A session is listed that was not in the list before."""

    at: datetime
    server: str | None
    session: Record


@dataclass(frozen=True, slots=True)
class SessionClosed(WatchEvent[Record]):
    """A session is listed no more; ``session`` is as it was listed last."""

    at: datetime
    server: str | None
    session: Record


@dataclass(frozen=True, slots=True)
class SessionChanged(WatchEvent[Record]):
    """A session's ``num_opens`` or ``user_flags`` are others than in ``before`` (SessionInfo)."""

    at: datetime
    server: str | None
    session: Record
    before: Record


@dataclass(frozen=True, slots=True)
class WatchFailed(WatchEvent["NoReturn"]):
    """The server could not be listed, from now on; ``error`` (NetApiError) says why.

    Told when it begins, and again when the error is another. The server is asked on.
    """

    at: datetime
    server: str | None
    error: NetApiError
    session: None = field(default=None, init=False, repr=False)


@dataclass(frozen=True, slots=True)
class WatchRecovered(WatchEvent["NoReturn"]):
    """The server is listed again. What has changed meanwhile comes next."""

    at: datetime
    server: str | None
    session: None = field(default=None, init=False, repr=False)


if TYPE_CHECKING:
    #: One of the five, so that a type checker knows what is left, and mypy of which level it is.
    _Told: TypeAlias = (
        SessionOpened[Record]
        | SessionClosed[Record]
        | SessionChanged[Record]
        | WatchFailed
        | WatchRecovered
    )


class Alarm:
    """A threading.Event without a lock, which an exception from outside could leave locked."""

    def __init__(self) -> None:
        self._is_set = False
        self._rings: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Wakes whoever waits, and will wait."""
        self._is_set = True  # first: who is woken looks at it
        self._rings.put(None)

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Until it is set, or the seconds are over; whether it is set."""
        if not self._is_set:
            with suppress(Empty):
                self._rings.get(timeout=seconds)
                self._rings.put(None)  # for whoever waits too
        return self._is_set


class _SystemClock:
    """The machine's clock that runs on while it sleeps, where there is one."""

    def __init__(self) -> None:
        name = "CLOCK_MONOTONIC" if sys.platform == "darwin" else "CLOCK_BOOTTIME"
        number = getattr(time, name, None)
        # Windows' time.monotonic() counts the time asleep.
        self.now: Callable[[], float] = (
            time.monotonic if number is None else lambda: time.clock_gettime(number)
        )

    def utc(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, seconds: float, woken: Alarm) -> None:
        woken.wait(min(seconds, _NEXT_LOOK))

    async def wait_async(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(min(seconds, _NEXT_LOOK))


class Watch(OfRecords[Record]):
    """What happens on a server, as it is found by listing its sessions again and again.

    Made with :meth:`Server.watch`; an iterator of events, with ``for`` and with ``async for``
    (asyncio). Nothing is asked but while it waits for the next event, and nothing runs beside it.
    It ends with :meth:`close`, at the end of a ``with`` block, or when its server is closed.
    """

    _every = 0.0  # repr() may look at it before it is known

    def __init__(
        self,
        server: Server,
        *,
        every: float = 5.0,
        level: int | None = None,
        client: str | None = None,
        user: str | None = None,
        where: Where | None = None,
        existing: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._server = server
        check_every(every)
        self._every = every
        if not isinstance(existing, bool):
            raise TypeError(f"existing must be True or False, not {type(existing).__name__}")
        self._options: dict[str, Any] = {
            "level": level,
            "client": client,
            "user": user,
            "where": where,
        }
        self._existing = existing
        self._clock = _SystemClock() if clock is None else clock
        self._time_of_ages = server._time_of_ages or self._clock.now
        server.sessions(**self._options)  # it checks them
        self._roll = Roll(selected=where is not None and not where.fields <= _NAMES)
        self._pending: deque[_Told[Any]] = deque()
        self._level: int | None = None
        self._failure: tuple[object, ...] | None = None
        self._refused = 0  # logons, one after the other
        self._begun = 0.0  # the latest poll
        self._due: float | None = None  # when to ask next; None: at once
        self._patient = 0.0  # until then nobody logs on
        self._polls = 0
        self._listed = False  # at least once
        self._woken = Alarm()  # by close()
        self._is_closed: Callable[[], bool] | None = None  # of the server, since the first poll
        self._call: NativeCall | Call | None = None
        self._turn = CallLock()  # whoever has it asks, and tells what came
        self._is_awaited = False  # by a task
        self._logons: Logons | None = None  # of several watches as the same user

    @property
    def server(self) -> Server:
        """The server that is watched."""
        return self._server

    @property
    def every(self) -> float:
        """Seconds from one list to the next (float)."""
        return self._every

    @property
    def level(self) -> int | None:
        """The level of the latest list (int); None before there is any."""
        return self._level

    @property
    def polls(self) -> int:
        """How often the server was asked, those that failed included (int)."""
        return self._polls

    @property
    def sessions(self) -> tuple[Record, ...]:
        """The sessions of the latest list that came, in its order (tuple of SessionInfo records).

        Also those of events that have not been taken yet.
        """
        records: tuple[Any, ...] = self._roll.records  # all of its level
        return records

    def close(self) -> None:
        """Ends it: whoever waits for an event waits no more than a second. Again: nothing.

        Iterating then ends, whatever is left to tell. From any thread. (What a function of
        netapi32.dll is doing goes on.)
        """
        # The mark first: who is about to ask looks at it, and who asks already is called off.
        self._woken.set()
        call = self._call
        if call is not None:
            call.call_off()

    async def aclose(self) -> None:
        """The same, for contextlib.aclosing()."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- iterating --------------------------------------------------------------------------------

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _Told[Record]:
        return self._in_turn(self._next_event)

    def _next_event(self) -> _Told[Record]:
        while not self._is_over:
            if self._pending:
                return self._pending.popleft()
            if self._wait():
                self._ask()
        raise StopIteration

    def _ask(self) -> None:
        poll = self._begin()
        poll.run()
        self._end(poll)

    def _in_turn(self, work: Callable[[], T]) -> T:
        """What the work returns or raises, once no other thread is at it."""

        def alone() -> T:
            if self._is_awaited:
                raise RuntimeError(_AWAITED)
            return work()

        return self._turn.run(alone, lambda: _NEXT_LOOK)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _Told[Record]:
        if self._is_awaited or not self._turn.try_run(self._await):
            raise RuntimeError(_AWAITED)
        try:
            while not self._is_over:
                if self._pending:
                    return self._pending.popleft()
                if (left := self._left) > 0:
                    await self._clock.wait_async(left)
                    continue
                poll = self._begin()
                await poll.run_async()
                self._end(poll)
            raise StopAsyncIteration
        finally:
            self._is_awaited = False

    def _await(self) -> None:
        self._is_awaited = True

    def poll(self) -> list[WatchEvent[Record]]:
        """Asks the server now, and returns what there is to tell (list of events), if anything.

        For programs that have a rhythm of their own, and for tests. Raises what iterating raises.
        """
        return self._in_turn(self._polled)

    def _polled(self) -> list[WatchEvent[Record]]:
        if not self._is_over:
            self._ask()
        events: list[WatchEvent[Record]] = []
        while self._pending and not self._is_over:
            events.append(self._pending.popleft())
        return events

    def wait(self) -> bool:
        """Waits until it is time to :meth:`poll`; False where it was closed."""
        return self._in_turn(self._wait)

    def _wait(self) -> bool:
        while not self._is_over:
            if (left := self._left) <= 0:
                return True
            self._clock.wait(left, self._woken)
        return False

    @property
    def _is_over(self) -> bool:
        return self._woken.is_set() or (self._is_closed is not None and self._is_closed())

    @property
    def _left(self) -> float:
        """Seconds until the server is asked."""
        return 0.0 if self._due is None else max(self._due, self._patient) - self._clock.now()

    def _begin(self) -> _Poll:
        if self._is_closed is None:
            self._is_closed = self._server._eras.watch()
        # A query of its own, which looks the client's name up afresh.
        query = self._server.sessions(**self._options, timeout=self._server._timeout)
        poll = _Poll(query, self._time_of_ages)
        if self._logons is not None:
            poll.wait_for_turn(self._logons, self._server)
        self._begun = self._clock.now()
        self._call = poll.call
        if self._woken.is_set():  # by a close() that came too early to see the call
            poll.call.call_off()
        self._polls += 1
        return poll

    def _end(self, poll: _Poll) -> None:
        """Makes events of what came, and sets the time of the next."""
        self._call = None
        now = self._clock.now()
        self._due = self._next_due(now)
        if self._logons is not None:
            poll.settle(self._logons, self._server.name or "this machine")
        if self._is_over:
            return
        if poll.error is None:
            self._refused = 0
            self._patient = 0.0
            self._tell_changes(poll)
        else:
            self._tell_failure(poll.error, now)

    def _next_due(self, now: float) -> float:
        """In step with the first poll. One that took longer than there is time skips the next."""
        due = self._begun if self._due is None else self._due
        steps = (now - due) / self._every
        if steps > _MOST_STEPS:
            return now
        # poll() may have asked before it was time.
        return due + self._every * max(self._begun >= due, math.ceil(steps))

    def _tell_changes(self, poll: _Poll) -> None:
        at, name = self._clock.utc(), self._server.name
        is_first, self._listed = not self._listed, True
        closed, opened, changed = self._roll.update(poll.records, poll.when)
        self._level = poll.level
        if self._failure is not None:
            self._failure = None
            self._pending.append(WatchRecovered(at, name))
        if is_first and not self._existing:
            return
        self._pending += [SessionClosed(at, name, session) for session in closed]
        self._pending += [SessionOpened(at, name, session) for session in opened]
        self._pending += [SessionChanged(at, name, now, before) for before, now in changed]

    def _tell_failure(self, error: NetApiError, now: float) -> None:
        """An event where it is another failure than before; raises what will not pass by itself."""
        if not self._listed and isinstance(error, (InvalidLevel, InvalidParameter, LogonFailed)):
            self._woken.set()
            raise error
        if isinstance(error, LogonFailed):
            pause = _PAUSES[min(self._refused, len(_PAUSES) - 1)]
            self._patient = now + pause
            self._refused += 1
        failure = (type(error), error.status, error.step)
        if failure != self._failure:
            self._failure = failure
            _forget_frames(error)
            self._pending.append(WatchFailed(self._clock.utc(), self._server.name, error))

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle or copy {type(self).__name__!r} object: it is at work")

    def __repr__(self) -> str:
        name = self._server.name or "local machine"
        return f"<{type(self).__name__} of {name}, every {self._every:g} s>"


class _Poll:
    """One listing, and when it was made."""

    def __init__(self, query: Sessions, time_of_ages: Callable[[], float]) -> None:
        self._query = query
        self._time = time_of_ages
        self.call = query._begin()
        self.records: list[SessionInfo] = []
        self.when = Moment(0.0, 0.0)
        self.error: NetApiError | None = None

        self._logon: Turn | None = None

    @property
    def level(self) -> int | None:
        return self._query.level

    def wait_for_turn(self, logons: Logons, server: Server) -> None:
        """Over SMB it logs on when it may."""
        from ._logons import Turn  # only where there are several

        if server._client is not None:
            patience = (server._timeout or _USUAL_TIMEOUT) * _PATIENCE
            self._logon = Turn(logons, patience, self.call.deadline)
            self.call.deadline.turn = self._logon

    def settle(self, logons: Logons, name: str) -> None:
        """Tells what the answer says about the credentials."""
        logon: object = self if self._logon is None else self._logon
        if isinstance(self.error, LogonFailed):
            logons.refuse(logon, name)
        elif self.error is None:
            logons.accept(logon)
        else:
            logons.drop(logon)

    def run(self) -> None:
        """Lists; a failure of the server's is kept."""
        asked = self._time()
        try:
            self.records = list(chain.from_iterable(self._query._pages(self.call)))
        except NetApiError as error:
            self.error = error
        self.when = Moment(asked, self._time())

    async def run_async(self) -> None:
        """The same in a thread."""
        from ._aio import NoThreadError, in_thread  # only where asyncio is already in use

        try:
            await in_thread(self.run, self.call.call_off)
        except NoThreadError as error:
            detail = f"no thread could be started ({error}); nothing was asked"
            name = self._query.server.name
            self.error = error_from_status(
                _ERROR_NOT_ENOUGH_MEMORY, "NetSessionEnum", name, detail=detail
            )


def _forget_frames(error: BaseException) -> None:
    """An error that is kept keeps no frames, nor what is in them."""
    chained: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if chained is None:
            return
        chained.__traceback__ = None
        chained = chained.__cause__ or chained.__context__


def check_every(every: object) -> None:
    """Raises TypeError or ValueError for what is no time between two lists."""
    if hasattr(every, "total_seconds"):
        raise TypeError("every must be a number of seconds: give every.total_seconds()")
    if isinstance(every, bool) or not isinstance(every, (int, float)):
        raise TypeError(f"every must be a number of seconds, not {type(every).__name__}")
    if not 0 < every < _LONGEST_TIME:
        raise ValueError(f"every must be a number of seconds, more than 0, not {every}")
