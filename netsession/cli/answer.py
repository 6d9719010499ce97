"""What somebody types, for which Ctrl-C is never too early."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from select import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def typed_line() -> str:
    """The next line of standard input, with its end; an empty string where there is none."""
    wait_for_line(sys.stdin)
    return sys.stdin.readline()


class Prompt:
    """getpass's ``stream``, which it flushes right before it reads: so flushing it waits."""

    def __init__(self, shown: TextIO, terminal: int) -> None:
        self.encoding: str = shown.encoding
        self._shown = shown
        self._terminal = terminal
        self._asks = False

    def write(self, text: str) -> None:
        """The question; or the end of its line, once it is answered."""
        self._shown.write(text)
        self._asks = text != "\n"

    def flush(self) -> None:
        """Shows it, and waits until it is answered."""
        self._shown.flush()
        if self._asks and sys.exception() is None:  # getpass flushes where Ctrl-C leaves it, too
            self._asks = False
            wait_for_line(self._terminal)


def wait_for_line(terminal: TextIO | int) -> None:
    """Until there is one. A signal ends the wait also where it comes just before it.

    It would not end a read: Python has marked the signal by then, and looks again when the read is
    over. select() ends for the byte that each signal writes. On Windows, outside of the main
    thread, and where it is no file, there is no wait.
    """
    if sys.platform != "win32":
        with suppress(ValueError):
            _wait(terminal)


def _wait(terminal: TextIO | int) -> None:
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        before = signal.set_wakeup_fd(writer)
        try:
            while terminal not in select((terminal, reader), (), ())[0]:
                os.read(reader, 64)  # of signals that raised nothing
        finally:
            signal.set_wakeup_fd(before)
    finally:
        os.close(reader)
        os.close(writer)
