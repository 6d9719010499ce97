"""Servers that could not be listed: in words, as a table, and as ``--errors FILE``."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager

from netsession.errors import (
    AccessDenied,
    CallTimeout,
    InvalidLevel,
    LogonFailed,
    MalformedReply,
    NetApiError,
    NotAsked,
    NotSupported,
    ServerUnreachable,
)

from .parser import Misuse
from .parts import parts as in_parts
from .rows import row_type
from .sink import Sink, opened
from .standard import tell
from .wording import in_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

#: How failures are called, by their class: the first that fits.
_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (NotAsked, "not asked"),
    (LogonFailed, "logon failed"),
    (AccessDenied, "access denied"),
    (CallTimeout, "timed out"),
    (ServerUnreachable, "unreachable"),
    (NotSupported, "not supported"),
    (InvalidLevel, "unknown level"),
    (MalformedReply, "malformed reply"),
    (NetApiError, "failed"),
    (ValueError, "wrong name"),
    (Exception, "failed"),
)
#: In the order in which they are told.
KINDS = ("access denied", "logon failed", "unreachable", "timed out", "not supported",
         "unknown level", "malformed reply", "failed", "wrong name", "not asked")  # fmt: skip

_Row = row_type("_Row", ("server", "failure", "step", "status"))


class Failure:
    """A server that could not be listed.

    Attributes:
        server: its name as it was given (str).
        error: what happened (an exception).
        kind: one of KINDS.
    """

    def __init__(self, server: str, error: Exception) -> None:
        self.server = server
        self.error = error
        self.kind: str = kind_of(error)

    @property
    def row(self) -> Any:
        """It as a row of the table."""
        error = self.error
        if not isinstance(error, NetApiError) or isinstance(error, NotAsked):
            return _Row(self.server, self.kind, None, None)
        return _Row(self.server, self.kind, error.step, error.symbol or f"status {error.status}")

    def as_object(self) -> dict[str, str | int | None]:
        """It as an object of --errors."""
        error = self.error
        known = error if isinstance(error, NetApiError) else None
        detail = str(error) if known is None else known.detail
        advice = None if known is None else known.doubt or known.advice
        return {
            "server": self.server,
            "error": type(error).__name__,
            "status": None if known is None else known.status,
            "symbol": None if known is None else known.symbol,
            "step": None if known is None else known.step,
            "detail": None if detail is None else in_options(detail),
            "advice": None if advice is None else in_options(advice),
        }


def kind_of(error: Exception) -> str:
    """What an error is called in a summary."""
    return next(kind for kind_class, kind in _KINDS if isinstance(error, kind_class))


def in_words(kinds: Counter[str]) -> list[str]:
    """How many there are of each: ``22 access denied``."""
    return [f"{kinds[kind]:,} {kind}" for kind in KINDS if kinds[kind]]


def show(failures: Iterable[Failure]) -> None:
    """A table on standard error, by kind, and what each kind of failure means, once."""
    asked = [each for each in failures if not isinstance(each.error, NotAsked)]
    if not asked:
        return
    asked.sort(key=lambda each: KINDS.index(each.kind))
    tell(f"{len(asked):,} could not be listed:")
    explained: dict[object, str] = {}
    sink = _standard_error()
    if sink is not None:
        from .table import write_table

        write_table(in_parts(each.row for each in asked), sink)
    for each in asked:
        which = each.server if sink is None else each.row[1:]
        explained.setdefault(which, in_options(str(each.error)))
    for message in explained.values():
        tell(message)


def tell_why_not_asked(failures: Iterable[Failure]) -> None:
    """For how many servers a scan did not ask, and why; they are too many to be shown."""
    reasons = Counter(each.error.detail for each in failures if isinstance(each.error, NotAsked))
    for reason, count in reasons.items():
        tell(f"{count:,} not asked: {in_options(reason or 'the scan ended')}")


def _standard_error() -> Sink | None:
    """Where the table goes; None where it cannot be made, and messages must do."""
    import sys
    from importlib.util import find_spec

    if sys.stderr is None or find_spec("rich") is None:
        return None
    sys.stderr.flush()
    return Sink(sys.stderr.buffer, "standard error")


def check(file: str | None) -> None:
    """Refuses a place for --errors where nothing can be written, before anybody is asked."""
    if file is None:
        return
    if file in ("", "-"):
        raise Misuse("--errors needs the name of a file: standard output has the sessions")
    from .replace import find  # only for files

    find(file)


@contextmanager
def kept(file: str | None, server: str) -> Iterator[None]:
    """``--errors`` with one server: what fails within it is written, and goes on its way."""
    check(file)
    if file is None:
        yield
        return
    try:
        yield
    except NetApiError as error:
        write([Failure(server, error)], file)
        raise
    write([], file)


def write(failures: Iterable[Failure], file: str) -> None:
    """``--errors``: an object a line; the file is empty where nothing failed."""
    from json import dumps

    lines = [dumps(each.as_object(), ensure_ascii=True) + "\n" for each in failures]
    with opened(file) as sink:
        sink.write("".join(lines))
