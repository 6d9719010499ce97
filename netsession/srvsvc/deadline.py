"""What ends a call early: its deadline, and whoever calls it off."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Final

from .._threads import start_new_thread
from .failures import CalledOffError, DeadlinePassedError, WireError

# Time-outs of sockets and locks have upper limits of their own; a wait that was cut to this one
# is simply begun again.
_LONGEST_WAIT: Final = 1_000_000.0

# Work in a thread is woken only where the call is known to be waiting for it, as in an exchange;
# elsewhere, as for the look-up of a client's name, it is looked so often whether the call is off.
_NEXT_LOOK: Final = 0.25

_ERROR_NOT_ENOUGH_MEMORY: Final = 8


class Deadline:
    """When a call must end: ``seconds`` from now (None: never), or as soon as it is called off.

    It is off too once ``is_closed()`` is true, which is asked whenever something is about to wait.

    What may be waiting says with ``on_call_off`` how it is woken. No lock is involved, so that
    neither an exception in the wrong place nor a signal handler can block anyone: calling off
    sets the mark first and wakes then, waiting registers first and looks at the mark then.

    ``step`` is how far the call has got that it bounds (see NetApiError), for whoever has to say
    where it failed or was too late. ``turn`` is entered around a logon: in a scan logons of the
    same user wait for each other there (``_logons.Turn``).
    """

    turn: contextlib.AbstractContextManager[None] = contextlib.nullcontext()

    def __init__(
        self, seconds: float | None, is_closed: Callable[[], bool] = lambda: False
    ) -> None:
        self.step: str | None = None
        self._is_closed = is_closed
        self._off = False
        self._wake: list[Callable[[], object]] = []
        self.extend(seconds)

    def extend(self, seconds: float | None) -> None:
        """From now on ends so many seconds from now."""
        self._end = math.inf if seconds is None else time.monotonic() + seconds

    @property
    def is_off(self) -> bool:
        """True once it was called off."""
        return self._off or self._is_closed()

    @property
    def is_over(self) -> bool:
        """True once no time is left."""
        return time.monotonic() >= self._end

    def remaining(self) -> float:
        """Seconds to wait now at most (above 0).

        Raises CalledOffError once it was called off, DeadlinePassedError when no time is left.
        A wait that ended in vain asks again: it may have been shortened.
        """
        if self.is_off:
            raise CalledOffError
        left = self._end - time.monotonic()
        if left <= 0:
            raise DeadlinePassedError
        return min(left, _LONGEST_WAIT)

    def on_call_off(self, wake: Callable[[], object]) -> None:
        """Calls ``wake`` once the call is off, from any thread; at once where it is already."""
        self._wake.append(wake)
        if self.is_off:
            wake()

    def call_off(self) -> None:
        """Ends every wait of the call. Again: nothing."""
        self._off = True
        for wake in tuple(self._wake):
            wake()

    def forget(self) -> None:
        """Nobody waits any more."""
        self._wake.clear()


class Task:
    """Work that may block where no time-out reaches: name resolution, a Kerberos library.

    It runs in a thread that cannot keep the interpreter from exiting. When the deadline passes
    first, or the call is called off, the caller goes on at once and the work is abandoned:
    ``discard`` gets what it still returns. Queue and thread are the C ones, which an exception in
    the caller's thread cannot leave half-way.
    """

    def __init__(self, work: Callable[[], Any], discard: Callable[[Any], None]) -> None:
        self._work = work
        self._discard = discard
        # (result, exception), or None to look whether the call is off
        self._ends: SimpleQueue[tuple[Any, BaseException | None] | None] = SimpleQueue()
        self._abandoned = False

    def run(self, deadline: Deadline) -> Any:
        """The work's result or exception; CalledOffError or DeadlinePassedError if that is first.

        Raises WireError (ERROR_NOT_ENOUGH_MEMORY) where the system has no thread left.
        """
        try:
            self._start()
            deadline.on_call_off(self._look_up)
            while (end := self._next_end(deadline)) is None:
                pass
        except BaseException:  # KeyboardInterrupt too: nobody will take the result
            self._abandon()
            raise
        result, error = end
        try:
            if error is not None:
                raise error
            return result
        finally:
            del end, error  # whose traceback has this frame

    def _start(self) -> None:
        try:
            self._thread = start_new_thread(self._run)
        except RuntimeError as error:
            raise WireError(
                _ERROR_NOT_ENOUGH_MEMORY, f"no thread could be started ({error}); nothing was sent"
            ) from error

    def _look_up(self) -> None:
        self._ends.put(None)

    def _next_end(self, deadline: Deadline) -> tuple[Any, BaseException | None] | None:
        is_over = self._thread() is None  # before looking: then all that it said has come
        with contextlib.suppress(Empty):
            return self._ends.get(timeout=min(deadline.remaining(), _NEXT_LOOK))
        if is_over:
            raise MemoryError("no memory was left to do this in a thread")
        return None

    def _run(self) -> None:
        try:
            end: tuple[Any, BaseException | None] = (self._work(), None)
        except BaseException as error:
            end = (None, error)
        self._ends.put(end)
        del end  # the exception's traceback has this frame: no cycle is left behind
        if self._abandoned:
            self._discard_what_came()

    def _abandon(self) -> None:
        self._abandoned = True  # before looking: either side then finds what has come
        self._discard_what_came()

    def _discard_what_came(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                end = self._ends.get_nowait()
                if end is not None and end[1] is None:
                    self._discard(end[0])
