"""A line that somebody types, for which Ctrl-C is never too early."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from select import select


def typed_line() -> str:
    """The next line of standard input, with its end; an empty string where there is none."""
    if sys.platform != "win32":
        with suppress(ValueError):  # not the main thread, or no file: then without
            _wait()
    return sys.stdin.readline()


def _wait() -> None:
    """Until there is a line. A signal ends the wait also where it comes just before it.

    It would not end a read: Python has marked the signal by then, and looks again when the read is
    over. select() ends for the byte that each signal writes.
    """
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        before = signal.set_wakeup_fd(writer)
        try:
            while sys.stdin not in select((sys.stdin, reader), (), ())[0]:
                os.read(reader, 64)  # of signals that raised nothing
        finally:
            signal.set_wakeup_fd(before)
    finally:
        os.close(reader)
        os.close(writer)
