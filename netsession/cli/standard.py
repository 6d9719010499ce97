"""Standard output and standard error, which may be closed, full, or a pipe that nobody reads."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from .exits import USAGE, Stop
from .text import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, TextIO


class ReaderGone(Exception):  # the usual end of `netsession list | head`
    """Whoever read the output wants no more of it."""


def occupy() -> None:
    """Gives each standard descriptor that is closed something that cannot be written to.

    Else the next file or socket would get its number, and what is meant for standard error would
    go there. Writing to it still fails, as it does for a descriptor that is closed.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            nothing = os.open(os.devnull, os.O_RDONLY)
            if nothing != descriptor:
                os.dup2(nothing, descriptor)
                os.close(nothing)


def say(text: str) -> None:
    """Writes to standard output. Raises ReaderGone, or Stop where it cannot be written."""
    if sys.stdout is None:
        raise Stop(USAGE, "there is no standard output")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        forget(sys.stdout)
        refuse("standard output", error)


def tell(message: str, by: str = "netsession") -> None:
    """One line on standard error, from netsession. Where that cannot be written, nothing."""
    tell_text(f"{by}: {visible(message)}\n")


def hush(quiet: bool) -> None:
    """Whether what :func:`note` says is left out from now on (``-q``)."""
    global _quiet
    _quiet = quiet


_quiet = False


def note(message: str) -> None:
    """A line as :func:`tell` writes it, of what is no failure: ``-q`` leaves it out."""
    if not _quiet:
        tell(message)


def tell_text(text: str) -> None:
    """Text on standard error, as it is. Where that cannot be written, nothing."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        forget(sys.stderr)  # there is nobody to tell


def forget(stream: TextIO) -> None:
    """Lets what is left in a stream's buffer go nowhere, or exiting would complain of it."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def refuse(name: str, error: OSError) -> NoReturn:
    """Ends the command where its output cannot be written: quietly if only its reader went."""
    # Windows says EINVAL of a pipe that nobody reads.
    if isinstance(error, BrokenPipeError) or (sys.platform == "win32" and error.errno == 22):
        raise ReaderGone from None
    raise cannot_write(name, error.strerror or str(error)) from None


def cannot_write(name: str, reason: str) -> Stop:
    """The end of the command where its output cannot be written."""
    return Stop(USAGE, f"cannot write {name}: {reason}")
