"""Where the output goes: standard output, a descriptor or device, or a file that is replaced."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager
from io import FileIO

from .exits import USAGE, Stop
from .standard import cannot_write, forget, refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import RawIOBase
    from typing import BinaryIO

    from .replace import Place

_USUAL_WIDTH = 80
_LONGEST_WIDTH = 6  # digits: a number that is longer is no width


class Sink:
    """Takes text or bytes and passes them on at once.

    What the encoding does not have, lone surrogates above all, becomes a backslash escape. Files
    and pipes get UTF-8 on every system; a terminal gets its own encoding.
    """

    def __init__(self, stream: RawIOBase | BinaryIO, name: str) -> None:
        self.stream = stream
        self.name = name
        self.is_terminal: bool = stream.isatty()
        self.encoding: str = "utf-8"
        if self.is_terminal:
            self.encoding = _encoding_of_terminal(stream)

    @property
    def width(self) -> int:
        """How many columns a terminal has (int)."""
        told = os.environ.get("COLUMNS", "")
        if told.isascii() and told.isdigit() and len(told) < _LONGEST_WIDTH and int(told) > 0:
            return int(told)
        try:
            return os.get_terminal_size(self.stream.fileno()).columns or _USUAL_WIDTH
        except (OSError, ValueError):
            return _USUAL_WIDTH

    @property
    def is_pipe(self) -> bool:
        """Whether somebody may read it who may also go (bool)."""
        try:
            mode = os.fstat(self.stream.fileno()).st_mode
        except (OSError, ValueError):
            return False
        return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)

    def write(self, text: str) -> None:
        """Writes and flushes. Raises ReaderGone, or Stop where it cannot be written."""
        self.write_bytes(text.encode(self.encoding, "backslashreplace"))

    def write_bytes(self, data: bytes) -> None:
        """The same with bytes."""
        left = memoryview(data)
        try:
            while left:  # a write may take only a part
                written = self.stream.write(left)
                if written is None:
                    _wait_for(self.stream)
                else:
                    left = left[written:]
            self.stream.flush()
        except OSError as error:
            if sys.stdout is not None:
                forget_if_standard(self.stream)
            refuse(self.name, error)


def forget_if_standard(stream: RawIOBase | BinaryIO) -> None:
    """Lets nothing more go to standard output, where that is what failed."""
    try:
        if stream.fileno() == sys.stdout.fileno():
            forget(sys.stdout)
    except (OSError, ValueError, AttributeError):
        return


def _wait_for(stream: RawIOBase | BinaryIO) -> None:
    """Until a pipe that does not block has room again."""
    import select

    select.select([], [stream], [])


def _encoding_of_terminal(stream: RawIOBase | BinaryIO) -> str:
    try:
        if sys.stdout is not None and stream.fileno() == sys.stdout.fileno():
            return sys.stdout.encoding.lower()
        return (os.device_encoding(stream.fileno()) or "utf-8").lower()
    except (OSError, ValueError):
        return "utf-8"


@contextmanager
def opened(file: str | None) -> Iterator[Sink]:
    """The sink for ``-o FILE``, or for standard output where that is None or ``-``."""
    if file is None or file == "-":
        yield _standard_output()
        return
    from . import replace  # only for files

    place = replace.find(file)
    if place.is_replaced:
        with replace.replaced(place) as stream:
            yield Sink(stream, file)
        return
    if place.descriptor == 1 and sys.stdout is not None:
        yield _standard_output()
        return
    with _written_to(place) as stream:
        yield Sink(stream, file)


def _standard_output() -> Sink:
    if sys.stdout is None:
        raise Stop(USAGE, "there is no standard output; give -o FILE")
    sys.stdout.flush()
    # Unbuffered: what could not be written must not be tried again when Python exits.
    return Sink(getattr(sys.stdout.buffer, "raw", sys.stdout.buffer), "standard output")


def _written_to(place: Place) -> FileIO:
    """What is written to as it stands: nothing of it is cut off, nothing replaced."""
    try:
        if place.descriptor is not None:
            return FileIO(os.dup(place.descriptor), "w")
        flags = os.O_WRONLY | getattr(os, "O_APPEND", 0) | getattr(os, "O_NOCTTY", 0)
        return FileIO(os.open(place.path, flags | getattr(os, "O_BINARY", 0)), "w")
    except OSError as error:
        raise cannot_write(place.name, error.strerror or str(error)) from None
