"""Blocking calls from asyncio, each in a thread of its own that nobody has to wait for."""

from __future__ import annotations

import asyncio
import contextvars
from contextlib import contextmanager, suppress
from time import sleep
from weakref import WeakKeyDictionary

from ._threads import called_off_at_end, start_new_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["NEXT_LOOK", "NoThreadError", "in_thread"]

#: The loop looks so often (seconds) whether Ctrl-C came, which does not always end its wait: not
#: where it comes just before that, since asyncio.run() has no descriptor to be woken by.
NEXT_LOOK = 0.25
_NEXT_TRY = 0.01


class NoThreadError(RuntimeError):
    """The system has no thread left; nothing was begun."""


class _Looks:
    """Of one loop: wakes it now and then as long as anybody waits."""

    def __init__(self) -> None:
        self.waiting = 0
        self._is_due = False

    def go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """For whoever begins to wait."""
        if not self._is_due:
            self._is_due = True
            loop.call_later(NEXT_LOOK, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_due = False
        if self.waiting:
            self.go_on(loop)


_looks: WeakKeyDictionary[asyncio.AbstractEventLoop, _Looks] = WeakKeyDictionary()


@contextmanager
def _looking_up(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Within it, whatever is awaited, Ctrl-C comes soon."""
    looks = _looks.setdefault(loop, _Looks())
    looks.waiting += 1
    looks.go_on(loop)
    try:
        yield
    finally:
        looks.waiting -= 1


async def in_thread(work: Callable[[], T], call_off: Callable[[], object]) -> T:
    """What ``work()`` returns or raises. Where the waiting is cancelled, calls ``call_off()``.

    Not asyncio.to_thread(): its few threads would make calls wait for each other, and
    asyncio.run() would wait for all of them at its end. Raises NoThreadError where no thread can be
    started.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    context = contextvars.copy_context()
    # One of them gets what is handed over. It is taken out again below: neither the thread, which
    # comes to its end later, nor the future keeps any of it.
    results: list[T] = []
    errors: list[BaseException] = []

    def finish() -> None:
        if not done.done():  # it is when the waiting was cancelled
            done.set_result(None)

    def run() -> None:
        try:
            with called_off_at_end(call_off):
                results.append(context.run(work))
        except BaseException as raised:
            errors.append(raised)
        with suppress(RuntimeError):  # the loop has ended
            while True:
                try:
                    loop.call_soon_threadsafe(finish)
                except MemoryError:  # nobody else tells it: again, until there is some
                    sleep(_NEXT_TRY)
                else:
                    break

    try:
        start_new_thread(run)
    except RuntimeError as error:
        raise NoThreadError(str(error)) from error
    try:
        with _looking_up(loop):
            await done
    except (asyncio.CancelledError, GeneratorExit):  # or the loop was closed under it
        call_off()
        raise
    if errors:
        raise errors.pop()
    return results.pop()
