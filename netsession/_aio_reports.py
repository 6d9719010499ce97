"""The reports of a scan in asyncio: the same iteration, which wakes the loop that waits for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ._aio import NEXT_LOOK
from ._crew import NoReportYet
from ._generic import OfRecords, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from .fleet import ServerReport, _Reader


class AsyncReports(OfRecords[Record]):
    """An asynchronous iterator of ServerReport; over once it has ended, raised or was cancelled."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self._run = reader.run
        self._bell: _Bell | None = None  # None: not begun
        self._is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerReport[Record]:
        if self._is_over:
            raise StopAsyncIteration
        if self._bell is not None and self._bell.is_waited_for:
            raise RuntimeError("another task waits for the next report of this iteration")
        try:
            report = await self._next_report(self._bell or self._begin())
            if report is None:
                raise StopAsyncIteration
            self._reader.count(report)
            return report
        except BaseException:  # a cancelled task among them
            self._leave()
            raise

    async def aclose(self) -> None:
        """Leaves early: calls off what is under way, and waits until connections are closed."""
        bell = self._bell
        begun = not self._is_over and bell is not None
        self._leave()
        if begun and bell is not None and not bell.is_waited_for:
            with suppress(Exception):
                while await self._next_report(bell) is not None:
                    pass

    def __del__(self) -> None:
        self._leave()

    def _begin(self) -> _Bell:
        bell = self._bell = _Bell()
        self._run.notify = bell.ring
        self._run.start()
        self._reader.begin()
        return bell

    def _leave(self) -> None:
        self._is_over = True
        self._run.leave(wait=False)

    async def _next_report(self, bell: _Bell) -> ServerReport[Any] | None:
        while True:
            with suppress(NoReportYet):
                return self._run.next_now()
            await bell.wait()


class _Bell:
    """Wakes whoever waits in the loop; apart from the iterator, which may be left meanwhile."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[None] | None = None

    @property
    def is_waited_for(self) -> bool:
        """Whether a task waits."""
        return self._waiting is not None

    async def wait(self) -> None:
        """Until it rings, or it is time to look whether anybody is left who would: memory may have
        been short. A ring before this wakes it too: the loop comes to it afterwards.
        """
        self._waiting = self._loop.create_future()
        look = self._loop.call_later(NEXT_LOOK, self._wake)
        try:
            await self._waiting
        finally:
            look.cancel()
            self._waiting = None

    def ring(self) -> None:
        """From any thread."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
