"""The sessions of many servers: ``netsession.scan()``, and what it reports of each.

    for report in netsession.scan(["fs01", "fs02", "fs03:1445"]):
        print(report.server, len(report.sessions), report.error or "")

The guide is docs/fleet.md. What happens during one iteration is in ``_crew``, what one server is
asked in ``_question``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate, chain
from typing import NamedTuple, overload

from . import _netsession
from ._generic import OfRecords, Record
from ._options import check_int
from ._secret import hidden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from concurrent.futures import Executor
    from typing import Any, ClassVar, Literal, NoReturn, TypedDict, Unpack

    from ._aio_reports import AsyncReports
    from ._crew import Run
    from ._netsession import SessionPage
    from ._question import Asking
    from ._where import Where
    from .records import (
        SessionInfo0,
        SessionInfo1,
        SessionInfo2,
        SessionInfo10,
        SessionInfo502,
    )
    from .server import Server

    class _Scanned(TypedDict, total=False):
        """What says which sessions are asked for, and how, beside servers and level."""

        client: str | None
        user: str | None
        where: Where | None
        page_bytes: int | None
        username: str | None
        password: str | None
        port: int | None
        encrypt: bool
        timeout: float | None
        workers: int
        executor: Executor | None
        on_progress: Callable[[ScanProgress], object] | None
        keep_going: bool
        errors: Literal["raise", "skip"]


__all__ = ["KeptSessions", "Scan", "ScanIncomplete", "ScanProgress", "ServerReport", "scan"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NAMED_IN_A_MESSAGE = 5


if TYPE_CHECKING:

    @overload
    def scan(
        servers: Iterable[str | Server], *, level: Literal[0], **options: Unpack[_Scanned]
    ) -> Scan[SessionInfo0]: ...
    @overload
    def scan(
        servers: Iterable[str | Server], *, level: Literal[1], **options: Unpack[_Scanned]
    ) -> Scan[SessionInfo1]: ...
    @overload
    def scan(
        servers: Iterable[str | Server], *, level: Literal[2], **options: Unpack[_Scanned]
    ) -> Scan[SessionInfo2]: ...
    @overload
    def scan(
        servers: Iterable[str | Server], *, level: Literal[10], **options: Unpack[_Scanned]
    ) -> Scan[SessionInfo10]: ...
    @overload
    def scan(
        servers: Iterable[str | Server], *, level: Literal[502], **options: Unpack[_Scanned]
    ) -> Scan[SessionInfo502]: ...
    @overload
    def scan(
        servers: Iterable[str | Server], *, level: int | None = None, **options: Unpack[_Scanned]
    ) -> Scan: ...


def scan(
    servers: Iterable[str | Server],
    *,
    level: int | None = None,
    client: str | None = None,
    user: str | None = None,
    where: Where | None = None,
    page_bytes: int | None = None,
    username: str | None = None,
    password: str | None = None,
    port: int | None = None,
    encrypt: bool = False,
    timeout: float | None = 10.0,
    workers: int = 32,
    executor: Executor | None = None,
    on_progress: Callable[[ScanProgress], object] | None = None,
    keep_going: bool = False,
    errors: Literal["raise", "skip"] = "raise",
) -> Scan:
    """The sessions of many servers, as a query that asks them afresh each time it is iterated.

    Args:
        servers: names or addresses (iterable of str, as Server takes one each), or Server objects,
            which are used as they are and left open. Any iterable, also an endless or a slow one:
            it is read in a thread of its own, no further than is needed. What is no server is a
            report with its error.
        level, client, user, where, page_bytes: which sessions, and how they are asked for, as for
            :meth:`Server.sessions`.
        username, password, port, encrypt: how to ask, as for :class:`Server`; not for Server
            objects, which have their own.
        timeout: seconds (float) for all that one server is asked, connecting included; None for no
            limit.
        workers: how many servers are asked at a time (int); as many threads, without ``executor``.
        executor: a concurrent.futures.Executor that asks instead of our own threads: threads,
            processes, Dask's. Each job holds the password.
        on_progress: called with a ScanProgress before the first report and with each report, in
            the thread that iterates. What it raises ends the iteration.
        keep_going: goes on after three refused logons with the same credentials (bool), which can
            lock the account.
        errors: ``"raise"`` or ``"skip"``: whether the Arrow stream ends with ScanIncomplete where
            servers failed. Iterating never raises for them.

    Nothing is asked before the first report is wanted. Raises TypeError or ValueError naming the
    argument. Source: NetSessionEnum, NetrSessionEnum ([MS-SRVS] 3.1.4.5), of each server.
    """
    from ._question import Asking

    secret = hidden(password)
    del password  # which a traceback's frame would show to some tools
    _check_servers(servers)
    check_int(workers, "workers")
    if workers < 1:
        raise ValueError(f"workers must be at least 1, not {workers}")
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(
            f"executor must be a concurrent.futures.Executor or None, not {type(executor).__name__}"
        )
    if on_progress is not None and not callable(on_progress):
        raise TypeError(f"on_progress must be callable or None, not {type(on_progress).__name__}")
    if not isinstance(keep_going, bool):
        raise TypeError(f"keep_going must be True or False, not {type(keep_going).__name__}")
    if errors not in ("raise", "skip"):
        raise ValueError(f"errors must be 'raise' or 'skip', not {errors!r:.80}")
    asking = Asking(
        level, client, user, where, username, secret, port, encrypt, timeout, page_bytes
    )
    asking.check()
    return Scan(servers, asking, workers, executor, on_progress, keep_going, errors == "skip")


def _check_servers(servers: Any) -> None:
    from .server import Server

    if isinstance(servers, (str, bytes, bytearray, Server)):
        raise TypeError(
            f"servers must be an iterable of names, not {type(servers).__name__}: "
            "put a single one into a list"
        )
    if not hasattr(servers, "__iter__") and not hasattr(servers, "__getitem__"):
        kind = type(servers).__name__
        if hasattr(servers, "__aiter__"):
            raise TypeError(
                f"servers must be an iterable, not {kind}, which is an asynchronous one"
            )
        raise TypeError(f"servers must be an iterable of names, not {kind}")


class Scan(OfRecords[Record]):
    """A query to many servers, made with :func:`scan`.

    ``for`` and ``async for`` (asyncio) yield a ServerReport for each server as it completes; each
    iteration asks afresh. As many reports come as there are servers, whatever happens; only an
    exception of ``servers`` itself ends it early, after the reports of what had been taken.
    Leaving early (break, close(), an exception, a cancelled task) calls off what is under way. An
    iteration goes on in the process that began it alone: RuntimeError in one that is forked off.
    """

    def __init__(
        self,
        servers: Iterable[str | Server],
        asking: Asking,
        workers: int,
        executor: Executor | None,
        on_progress: Callable[[ScanProgress], object] | None,
        keep_going: bool,
        skip: bool,
    ) -> None:
        self._servers = servers
        self._asking = asking
        self._workers = workers
        self._executor = executor
        self._on_progress = on_progress
        self._keep_going = keep_going
        self._skip = skip
        self._left_behind: set[object] = set()  # what threads are still at that were given up
        self._latest: _Reader | None = None

    @property
    def failures(self) -> list[ServerReport[Record]]:
        """The reports with an error of the latest iteration, as far as it has come (list)."""
        return [] if self._latest is None else self._latest.failures

    @property
    def abandoned(self) -> int:
        """How many calls were given up that have not come back yet (int).

        netapi32.dll cannot be called off: its thread stays until the function returns. Where an
        executor's workers were left with such a thread, they are counted for good.
        """
        return len(self._left_behind)

    @property
    def stopped(self) -> str | None:
        """Why the latest iteration asks no more servers (str): refused logons. None otherwise."""
        return None if self._latest is None else self._latest.run.stopped

    def __iter__(self) -> Generator[ServerReport[Record], None, None]:
        reader = _Reader(self)
        run = reader.run
        try:
            try:
                run.start()
                self._latest = reader
                reader.begin()
                # No condition in the loop's head: CPython 3.12 makes a jump of it that is outside
                # of the try statement, and an interrupt there would not get to leave().
                while True:
                    report = run.next_report()
                    if report is None:
                        break
                    reader.count(report)
                    yield report
                    del report  # it is the caller's alone while the next one is waited for
            finally:
                run.leave()
        except BaseException:  # it may be Ctrl-C, and have come in the middle of leaving
            run.leave(wait=False)
            raise

    def __aiter__(self) -> AsyncReports[Record]:
        from ._aio_reports import AsyncReports  # only where asyncio is already in use

        self._latest = _Reader(self)
        return AsyncReports(self._latest)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """All sessions as one Arrow stream: ``server``, ``collected_at``, the fields of level 502.

        Fields that a server's level lacks are null; ``level`` is which one it granted. A batch
        comes with each reply of a server, as servers answer. Servers that failed are no rows: the
        stream ends with ScanIncomplete, or not with ``errors="skip"``; ``failures`` has them.
        """
        return _netsession.arrow_fleet_stream(self._parts(), requested_schema)

    def __arrow_c_schema__(self) -> object:
        """The Arrow schema of that stream, always the same; asks nobody."""
        return _netsession.arrow_fleet_schema()

    def _parts(self) -> Iterator[tuple[str, int, SessionPage]]:
        reports = iter(self)
        failures: list[ServerReport] = []
        for report in reports:
            if report.error is not None:
                failures.append(report)
            yield from _parts_of(report)
            del report  # nor its pages are kept while the next one is waited for
        if failures and not self._skip:
            raise ScanIncomplete(failures)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"cannot pickle or copy {type(self).__name__!r} object: it holds credentials; pickle "
            "its reports"
        )

    def __repr__(self) -> str:
        total = _length(self._servers)
        return f"<{type(self).__name__} of {'' if total is None else f'{total} '}servers>"


class KeptSessions(Sequence[Record]):
    """The sessions of one server, kept: a sequence of records over the pages they came in.

    ``pages`` is a tuple of SessionPage. Records are built when they are asked for. A slice is a
    list. Two are equal where their records are. ``level`` (int) is that of an Arrow stream where
    there is no page to tell it.
    """

    __slots__ = ("_ends", "_level", "pages")

    def __init__(self, pages: Iterable[SessionPage[Record]] = (), level: int = 502) -> None:
        self.pages: tuple[SessionPage[Record], ...] = tuple(pages)
        self._level = level
        self._ends = tuple(accumulate(map(len, self.pages)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, key: int) -> Record: ...
    @overload
    def __getitem__(self, key: slice) -> list[Record]: ...
    def __getitem__(self, key: int | slice) -> Record | list[Record]:
        if isinstance(key, slice):
            return [self._at(index) for index in range(*key.indices(len(self)))]
        index = range(len(self))[key]  # TypeError and IndexError, and what counts from the end
        return self._at(index)

    def _at(self, index: int) -> Record:
        number = bisect_right(self._ends, index)
        return self.pages[number][index - (self._ends[number - 1] if number else 0)]

    def __iter__(self) -> Iterator[Record]:
        return chain.from_iterable(self.pages)

    def __reversed__(self) -> Iterator[Record]:
        return chain.from_iterable(map(reversed, reversed(self.pages)))

    def __contains__(self, record: object) -> bool:
        return any(record in page for page in self.pages)

    def count(self, record: object) -> int:
        """How many of the records equal this one (int)."""
        return sum(page.count(record) for page in self.pages)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The sessions as an Arrow stream, a record batch a page; see Sessions."""
        pages = iter(self.pages)
        first = next(pages, None)
        level = self._level if first is None else first.level
        return _netsession.arrow_stream(level, first, pages, requested_schema)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, KeptSessions):
            return NotImplemented
        return len(self) == len(other) and all(
            type(mine) is type(its) and mine == its for mine, its in zip(self, other, strict=True)
        )

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return KeptSessions, (self.pages, self._level)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {_counted(len(self), 'session')}>"


class ServerReport(OfRecords[Record]):
    """What one server of a scan answered, or why not.

    Attributes:
        server: its name as it was given (str); of a Server object its ``name``.
        collected_at: when its answer was complete, or it failed (datetime, in UTC).
        elapsed: for how long it was asked, in seconds (float).
        level: the information level it granted (int), None where it failed.
        sessions: its sessions (KeptSessions); empty where it failed.
        error: why it failed (an exception that is not raised), or None: a NetApiError;
            ValueError or TypeError for what is no server's name; whatever else went wrong.

    Reports can be pickled. They are equal where they say the same, however long that took and
    whenever it was: ``collected_at`` and ``elapsed`` do not count.
    """

    __slots__ = ("collected_at", "elapsed", "error", "level", "server", "sessions")

    def __init__(
        self,
        server: str,
        collected_at: datetime,
        elapsed: float,
        level: int | None,
        sessions: KeptSessions[Record],
        error: Exception | None = None,
    ) -> None:
        self.server: str = server
        self.collected_at: datetime = collected_at
        self.elapsed: float = elapsed
        self.level: int | None = level
        self.sessions: KeptSessions[Record] = sessions
        self.error: Exception | None = error

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ServerReport):
            return NotImplemented
        return (
            self.server == other.server
            and self.level == other.level
            and _says(self.error) == _says(other.error)
            and self.sessions == other.sessions
        )

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return ServerReport, (
            self.server,
            self.collected_at,
            self.elapsed,
            self.level,
            self.sessions,
            self.error,
        )

    def __repr__(self) -> str:
        name = self.server.rpartition("@")[2]  # a password may have been typed before it
        if self.error is not None:
            what = f"failed: {type(self.error).__name__}"
        else:
            what = f"{_counted(len(self.sessions), 'session')}, level {self.level}"
        return f"<{type(self).__name__} {name:.80}: {what}>"


class ScanProgress(NamedTuple):
    """How far a scan has come, for ``scan(on_progress=)``.

    Attributes:
        report: the ServerReport that comes next, None before the first one.
        taken: how many servers were taken from ``servers`` so far (int).
        done: how many reports have come, this one included (int).
        listed: how many of them have no error (int).
        failed: how many have one, by its class (mapping of str to int), as ``{"CallTimeout": 2}``.
        sessions: how many sessions they have together (int).
        in_flight: how many servers are being asked (int).
        total: how many servers there are (int), None where ``servers`` does not say.
        elapsed: seconds since the iteration began (float).
    """

    report: ServerReport | None
    taken: int
    done: int
    listed: int
    failed: Mapping[str, int]
    sessions: int
    in_flight: int
    total: int | None
    elapsed: float


class ScanIncomplete(RuntimeError):
    """Servers of a scan failed; raised at the end of its Arrow stream.

    ``failures`` are their reports (list of ServerReport).
    """

    def __init__(self, failures: list[ServerReport]) -> None:
        super().__init__(failures)
        self.failures = failures

    def __str__(self) -> str:
        named = [
            f"{report.server} ({type(report.error).__name__})"
            for report in self.failures[:_NAMED_IN_A_MESSAGE]
        ]
        more = len(self.failures) - len(named)
        others = f" and {more} more" if more else ""
        return (
            f"{_counted(len(self.failures), 'server')} failed: {', '.join(named)}{others}; "
            "scan.failures has their errors, and errors='skip' leaves them out"
        )


class _Reader:
    """One iteration as its consumer sees it, in the consumer's thread: counts and failures."""

    def __init__(self, scan: Scan) -> None:
        from ._crew import Run

        self.run: Run = Run(
            scan._servers,
            scan._asking,
            scan._workers,
            scan._executor,
            scan._left_behind,
            scan._keep_going,
        )
        self.failures: list[ServerReport[Any]] = []
        self._failed: dict[str, int] = {}
        self._listed = self._sessions = 0
        self._total = _length(scan._servers)
        self._tell = scan._on_progress

    def begin(self) -> None:
        """The iteration has begun."""
        if self._tell is not None:
            self._tell(self._progress(None))

    def count(self, report: ServerReport) -> None:
        """A report that comes next."""
        if report.error is None:
            self._listed += 1
            self._sessions += len(report.sessions)
        else:
            kind = type(report.error).__name__
            self._failed[kind] = self._failed.get(kind, 0) + 1
            self.failures.append(report)
        if self._tell is not None:
            self._tell(self._progress(report))

    def _progress(self, report: ServerReport | None) -> ScanProgress:
        return ScanProgress(
            report,
            self.run.taken,
            self._listed + len(self.failures),
            self._listed,
            dict(self._failed),
            self._sessions,
            self.run.in_flight,
            self._total,
            self.run.elapsed,
        )


def _parts_of(report: ServerReport) -> Iterator[tuple[str, int, SessionPage]]:
    collected_at = (report.collected_at - _EPOCH) // _MICROSECOND
    for page in report.sessions.pages:
        yield report.server, collected_at, page


def _length(servers: Any) -> int | None:
    try:
        return len(servers)
    except Exception:  # it has none, or will not say
        return None


def _says(error: Exception | None) -> tuple[object, ...]:
    """What two errors have in common that say the same: exceptions are equal to themselves only."""
    return () if error is None else (type(error), str(error), error.args)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
