"""What must not be left as it is where a signal ends the command."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

# What ends a process from outside. Ctrl-C is not among them: it is an exception already.
_ENDING = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK", "SIGXCPU", "SIGALRM", "SIGUSR1", "SIGUSR2")


@contextmanager
def undone_if_killed(undo: Callable[[], object]) -> Iterator[None]:
    """Within it, what ends the process calls ``undo()`` first. What is ignored stays ignored."""

    def undo_and_end(number: int, _: FrameType | None) -> None:
        with suppress(Exception):  # it ends in any case
            undo()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    caught: list[int] = []
    try:
        with suppress(ValueError):  # not the main thread
            for name in _ENDING:
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                    caught.append(number)
                    signal.signal(number, undo_and_end)
        yield
    finally:
        with suppress(ValueError):
            for number in caught:
                signal.signal(number, signal.SIG_DFL)
