"""Blocking calls from asyncio, each in a thread of its own that nobody has to wait for."""

from __future__ import annotations

import asyncio
import contextvars
from _thread import start_new_thread
from contextlib import suppress
from time import sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["NoThreadError", "in_thread"]

_NEXT_TRY = 0.01  # seconds


class NoThreadError(RuntimeError):
    """The system has no thread left; nothing was begun."""


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
        start_new_thread(run, ())
    except RuntimeError as error:
        raise NoThreadError(str(error)) from error
    try:
        await done
    except (asyncio.CancelledError, GeneratorExit):  # or the loop was closed under it
        call_off()
        raise
    if errors:
        raise errors.pop()
    return results.pop()
