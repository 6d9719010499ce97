"""Where the output goes: standard output, or a file that appears when it is complete."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from .exits import USAGE, Stop


class ReaderGone(Exception):  # the usual end of `netsession list | head`
    """Whoever read standard output wants no more of it."""


class Sink:
    """Takes text and passes it on at once.

    What the encoding does not have, lone surrogates above all, becomes a backslash escape.
    """

    def __init__(self, stream: BinaryIO, name: str, *, terminal: bool, encoding: str) -> None:
        self._stream = stream
        self._name = name
        self._encoding = encoding
        self.is_terminal = terminal

    def write(self, text: str) -> None:
        """Writes and flushes. Raises ReaderGone, or Stop where it cannot be written."""
        try:
            left = memoryview(text.encode(self._encoding, "backslashreplace"))
            while left:  # with PYTHONUNBUFFERED a write may take only a part
                left = left[self._stream.write(left) :]
            self._stream.flush()
        except BrokenPipeError:
            _forget_stdout()
            raise ReaderGone from None
        except OSError as error:
            _forget_stdout()
            raise cannot_write(self._name, error) from None


def _forget_stdout() -> None:
    """Lets what is left in the buffer of stdout go nowhere, or exiting would complain of it."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def cannot_write(name: str, error: OSError) -> Stop:
    """The end of the command where its output cannot be written."""
    return Stop(USAGE, f"cannot write {name}: {error.strerror or error}")


@contextmanager
def opened(file: str | None) -> Iterator[Sink]:
    """The sink for ``-o FILE``, or for standard output where that is None or ``-``.

    Files and pipes get UTF-8 on every system; a terminal gets its own encoding.
    """
    if file is None or file == "-":
        if sys.stdout is None:
            raise Stop(USAGE, "there is no standard output; give -o FILE")
        terminal = sys.stdout.isatty()
        encoding = sys.stdout.encoding if terminal else "utf-8"
        yield Sink(sys.stdout.buffer, "standard output", terminal=terminal, encoding=encoding)
        return
    with complete_file(file) as path:
        try:
            stream = open(path, "wb")  # noqa: SIM115
        except OSError as error:
            raise cannot_write(file, error) from None
        with stream:
            yield Sink(stream, file, terminal=False, encoding="utf-8")


@contextmanager
def complete_file(file: str) -> Iterator[str]:
    """A path to write to, that becomes ``file`` at the end, and vanishes where anything fails.

    So a file that exists is either complete or what it was before. Devices and pipes are
    written to directly.
    """
    target = os.path.realpath(file)
    if os.path.exists(target) and not os.path.isfile(target):
        yield target
        return
    part = f"{target}.{os.getpid()}.part"
    try:
        yield part
        try:
            os.replace(part, target)
        except OSError as error:
            raise cannot_write(file, error) from None
    finally:
        with suppress(OSError):
            os.unlink(part)
