"""One deadline that bounds a whole call, whatever it waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from .failures import DeadlinePassedError


class Deadline:
    """A moment on the monotonic clock, ``seconds`` from now.

    ``step`` is how far the call has got that it bounds (see NetApiError), for whoever has to say
    where it failed or was too late.
    """

    def __init__(self, seconds: float) -> None:
        self.step: str | None = None
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left (above 0); raises DeadlinePassedError when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise DeadlinePassedError
        return left


class Task:
    """Work that may block where no time-out reaches: name resolution, a Kerberos library.

    It runs in a daemon thread, which cannot keep the interpreter from exiting. When the deadline
    passes first, the work is abandoned: ``discard`` gets what it still returns.
    """

    def __init__(self, work: Callable[[], Any], discard: Callable[[Any], None]) -> None:
        self._work = work
        self._discard = discard
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._abandoned = False
        self._result: Any = None
        self._error: BaseException | None = None

    def run(self, deadline: Deadline) -> Any:
        """The work's result, or its exception; raises DeadlinePassedError when that comes first."""
        threading.Thread(target=self._run, name="netsession-connect", daemon=True).start()
        try:
            finished = self._done.wait(deadline.remaining())
        except BaseException:  # KeyboardInterrupt too: nobody will take the result
            self._abandon()
            raise
        if not finished:
            self._abandon()
            raise DeadlinePassedError
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            result = self._work()
        except BaseException as error:
            self._error = error
        else:
            with self._lock:
                self._result = result
                abandoned = self._abandoned
            if abandoned:
                self._discard(result)
        self._done.set()

    def _abandon(self) -> None:
        with self._lock:
            self._abandoned = True
            result, self._result = self._result, None
        if result is not None:
            self._discard(result)
