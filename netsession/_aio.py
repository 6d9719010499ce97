"""Blocking calls from asyncio, each in a thread of its own that nobody has to wait for."""

from __future__ import annotations

import asyncio
import contextvars
from _thread import start_new_thread
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["NoThreadError", "in_thread"]


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
    # What it came to. Not in the future: an error's traceback has frames that refer to that.
    ends: list[tuple[T | None, BaseException | None]] = []
    context = contextvars.copy_context()

    def finish(result: T | None, error: BaseException | None) -> None:
        if not done.done():  # not cancelled
            ends.append((result, error))
            done.set_result(None)

    def run() -> None:
        result, error = None, None
        try:
            result = context.run(work)
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(finish, result, error)
        del result, error  # the error's traceback has this frame

    try:
        start_new_thread(run, ())
    except RuntimeError as error:
        raise NoThreadError(str(error)) from error
    try:
        await done
    except (asyncio.CancelledError, GeneratorExit):  # or the loop was closed under it
        call_off()
        raise
    came, failure = ends.pop()
    try:
        if failure is not None:
            raise failure
        return came  # type: ignore[return-value]
    finally:
        del failure
