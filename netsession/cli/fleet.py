"""``netsession list`` with several servers: one scan, written as they answer."""

from __future__ import annotations

import os
from collections import Counter, namedtuple
from contextlib import closing
from operator import itemgetter

from netsession.errors import NetApiError
from netsession.records import SessionInfo502, bare_client

from . import conditions, connect, failures, output, progress, reader, selection, servers, shape
from .cells import cell_width
from .exits import DONE, SOME_FAILED, Stop
from .failures import Failure
from .parser import Misuse
from .parts import parts
from .rows import row_type
from .sink import opened
from .standard import note
from .text import counted
from .wording import usage_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from typing import Any, Self

    from netsession import Scan, ScanProgress, ServerReport, SessionPage
    from netsession.records import SessionInfo

    from .connect import Connection
    from .progress import NoProgress
    from .resolve import Resolver
    from .servers import Asked
    from .shape import Shape
    from .sink import Sink

_TIMEOUT = 10.0  # seconds a server, as netsession.scan has it
#: What a table on a terminal leaves out: they are the same in all rows, more or less.
_NOT_FOR_PEOPLE = ("collected_at", "level")

#: The fields with several servers, whatever levels these granted.
FIELDS: tuple[str, ...] = ("server", "collected_at", *SessionInfo502._fields, "level")

if TYPE_CHECKING:

    class _Fields(tuple[Any, ...]):
        """Those of FIELDS that are looked at here."""

        client_name: str | None

        @classmethod
        def _make(cls, values: Iterable[Any], /) -> Self: ...

else:
    _Fields = namedtuple("FleetSession", FIELDS)


class FleetSession(_Fields):
    """A session with its server; what the server's level lacks is None."""

    __slots__ = ()

    @property
    def client(self) -> str | None:
        """The client's name as people write it, as records have it."""
        return None if self.client_name is None else bare_client(self.client_name)


def run(options: Namespace, names: list[str]) -> int:
    """Prints the sessions of all servers and returns the exit code."""
    connection, asked = connection_of(options, names)
    chosen = output.choose(options.format, options.output)
    failures.check(options.errors)
    _check_files(options)
    level = selection.level_of(options.level)
    shaped = shape.Shape.of(options, FIELDS)
    with usage_errors():
        client, user, where = conditions.chosen(options)
    selection.check(connection, client=client, user=user, where=where, level=level)
    listing = Listing(asked, options, alone=len(names) < 2)
    listing.scan = _scan(options, connection, asked, listing)
    resolver = _resolver(options, connection.timeout)
    try:
        _write(listing, chosen, options, shaped, resolver)
    except _NoneListed:
        pass  # and a file stays what it was
    except NetApiError:  # --fail-fast, or the only server
        _end_early(listing, options)
        raise
    except KeyboardInterrupt:
        note(f"interrupted: {listing.progress}")
        raise
    return _end(listing, options)


# -- what is asked --------------------------------------------------------------------------------


def connection_of(options: Namespace, names: list[str]) -> tuple[Connection, list[Asked]]:
    """How servers are asked, and which. None are listed for --demo and for this machine."""
    servers.check_from(options)
    if options.servers_from is None and len(names) < 2:
        connection = connect.Connection.of(options, names[0] if names else None)
        return connection, servers.chosen(names, None, options.port) if names else []
    if options.timeout is None:
        options.timeout = _TIMEOUT
    return servers.connection_to(options, names)


def _check_files(options: Namespace) -> None:
    """Refuses one file for two things."""
    given = {
        "-o": options.output,
        "--errors": options.errors,
        "--servers-from": options.servers_from,
    }
    seen: dict[str, str] = {}
    for option, file in given.items():
        if file not in (None, "-"):
            path = os.path.realpath(file)
            if path in seen and (os.path.isfile(path) or not os.path.exists(path)):
                raise Misuse(f"{seen[path]} and {option} name the same file")
            seen[path] = option


def _scan(options: Namespace, connection: Connection, asked: list[Asked], listing: Listing) -> Scan:
    """The query; a password is asked for here, once for all servers."""
    from netsession import scan

    items = _items(asked, connection)
    client, user, where = conditions.chosen(options)
    with usage_errors():
        return scan(
            items,
            level=selection.level_of(options.level),
            client=client,
            user=user,
            where=where,
            page_bytes=options.page_bytes,
            username=connection.auth_user,
            password=connection.password() if asked else None,
            encrypt=connection.encrypt,
            timeout=connection.timeout,
            workers=options.jobs,
            on_progress=listing.on_progress,
            keep_going=options.keep_going,
        )


def _items(asked: list[Asked], connection: Connection) -> list[Any]:
    """The servers as a scan takes them."""
    if not asked:
        return [connection.open()]  # the simulated server, or this machine
    return [each.address for each in asked]


# -- what comes of it -----------------------------------------------------------------------------


class Listing:
    """The answers of a scan, and their count so far."""

    scan: Scan

    def __init__(self, asked: list[Asked], options: Namespace, *, alone: bool) -> None:
        self._names = {each.address: each.name for each in asked}
        self._places = {each.name: place for place, each in enumerate(asked)}
        self.alone: bool = alone and options.servers_from is None
        self._ends_at_failure = options.fail_fast or self.alone
        self.servers: int = max(len(asked), 1)
        self.done: int = 0
        self.listed: int = 0
        self.sessions: int = 0
        self.level: int | None = None
        self._only = ""
        self._failures: list[Failure] = []
        self._kinds: Counter[str] = Counter()
        self.bar: NoProgress = progress.NoProgress()
        self.reader: reader.Reader = reader.Reader()

    def on_progress(self, progress: ScanProgress) -> None:
        """The scan's: it has begun, and all that it imports is there."""
        if progress.report is None:
            self.reader.begin()

    def pages(self) -> Iterator[tuple[str, datetime, int, SessionPage]]:
        """Server, time, level and page, as they come."""
        with closing(iter(self.scan)) as reports:
            while (report := self._next(reports)) is not None:
                self._count(report)
                yield from self._pages_of(report)
                report = None  # nor its pages are kept while the next one is waited for
                self.bar.show(self.done, self._outcomes(f"{self.listed:,} listed"))

    def _pages_of(self, report: ServerReport) -> Iterator[tuple[str, datetime, int, SessionPage]]:
        for page in report.sessions.pages:
            if len(page):
                yield self._name(report), report.collected_at, report.level or 0, page

    def _next(self, reports: Iterator[ServerReport]) -> ServerReport | None:
        with self.reader.awaited():
            return next(reports, None)

    def records(self) -> Iterator[list[FleetSession]]:
        """The sessions, some at a time, all of the same fields."""
        for server, at, level, page in self.pages():
            begin = (server, _iso(at))
            for part in parts(page):
                yield _records(begin, part, level)
            del page

    @property
    def failures(self) -> list[Failure]:
        """What failed, in the order in which the servers were given."""
        return sorted(self._failures, key=lambda each: self._places.get(each.server, 0))

    @property
    def width(self) -> int:
        """How many cells the servers' names take (int)."""
        return max(map(cell_width, self._names.values()), default=0)

    @property
    def progress(self) -> str:
        """How far it got, for people."""
        return f"{self.done:,} of {_counted(self.servers, 'server')} had answered"

    @property
    def summary(self) -> str:
        """What came of it, for people."""
        if self.alone:
            level = "" if self.level is None else f", level {self.level}"
            return f"{counted(self.sessions)} on {self._only}{level}"
        listed = f"{self.listed:,} listed ({counted(self.sessions)})"
        cut = f", {self.left:,} not waited for (--top)" if self.left else ""
        return f"{_counted(self.servers, 'server')}: {self._outcomes(listed)}{cut}"

    @property
    def left(self) -> int:
        """How many have not answered (int): at the end only where not all were waited for."""
        return self.servers - self.done

    @property
    def abandoned(self) -> int:
        """How many calls would not end (int)."""
        return self.scan.abandoned

    def _outcomes(self, listed: str) -> str:
        return ", ".join([listed, *failures.in_words(self._kinds)])

    def _name(self, report: ServerReport) -> str:
        return self._names.get(report.server, report.server)

    def _count(self, report: ServerReport) -> None:
        self.done += 1
        if report.error is None:
            self.listed += 1
            self.sessions += len(report.sessions)
            self.level = report.level
            self._only = self._name(report)
            return
        failure = Failure(self._name(report), report.error)
        self._failures.append(failure)
        self._kinds[failure.kind] += 1
        if self._ends_at_failure:
            raise report.error


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _iso(at: datetime) -> str:
    """ISO 8601 in UTC, always as long: 2026-11-25T11:20:31.004512Z."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _records(begin: tuple[str, str], part: list[SessionInfo], level: int) -> list[FleetSession]:
    fields = part[0]._fields
    if fields == SessionInfo502._fields:
        return [FleetSession._make((*begin, *record, level)) for record in part]
    # Where each field of 502 is in such a record; the last place is nothing's.
    places = [fields.index(f) if f in fields else -1 for f in SessionInfo502._fields]
    rows = [(*record, None) for record in part]
    return [FleetSession._make((*begin, *(row[i] for i in places), level)) for row in rows]


# -- how it comes out -----------------------------------------------------------------------------


def _write(
    listing: Listing,
    chosen: str,
    options: Namespace,
    shaped: Shape | None,
    resolver: Resolver | None,
) -> None:
    with opened(options.output) as sink, reader.watched(sink) as listing.reader:
        # What reads a pipe writes to the same terminal, and knows nothing of a bar.
        wanted = not (options.quiet or options.verbose or sink.is_pipe)
        with progress.of(listing.servers, wanted=wanted) as listing.bar:
            _write_to(listing.bar.beside(sink), listing, chosen, shaped, resolver)
        if not listing.listed and options.output is not None:
            raise _NoneListed(SOME_FAILED)


class _NoneListed(Stop):
    """No server could be listed: a file stays what it was."""


def _write_to(
    sink: Sink, listing: Listing, chosen: str, shaped: Shape | None, resolver: Resolver | None
) -> None:
    if chosen == output.PARQUET and shaped is None:
        from .parquet import write_fleet

        write_fleet(map(itemgetter(0, 1, 3), listing.pages()), sink, resolver)
        return
    found: Iterable[list[Any]] = listing.records()
    beside = chosen == output.TABLE
    if shaped is not None:
        found = shaped.apply(found, resolver, beside=beside)
    elif resolver is not None:
        found = resolver.add(found, beside=beside)
    fields = None if shaped is None else shaped.fields
    if chosen == output.PARQUET:
        from .parquet import write_rows

        write_rows(
            found,
            sink,
            lambda: fields or _fields(resolver),
            are_groups=shaped is not None and shaped.group_by is not None,
        )
        return
    if chosen == output.TABLE:
        from .table import write_table

        if sink.is_terminal and fields is None:
            found = _without(found, _NOT_FOR_PEOPLE)
        widths = {"server": listing.width}
        write_table(found, sink, widths=widths, every_column=fields is not None)
        return
    count = output.writer_of(chosen)(found, sink)
    if not count and chosen == output.CSV:
        from .formats import csv_heading

        sink.write(csv_heading(fields or _fields(resolver)))


def _resolver(options: Namespace, timeout: float) -> Resolver | None:
    if not options.resolve:
        return None
    from .resolve import Resolver  # only where it is asked for

    return Resolver(timeout)


def _fields(resolver: Resolver | None) -> tuple[str, ...]:
    """The fields that come out where nothing else is said."""
    return FIELDS + (() if resolver is None else (resolver.field,))


def _without(found: Iterable[list[Any]], fields: tuple[str, ...]) -> Iterator[list[Any]]:
    """The same records without some fields."""
    for part in found:
        kept = [(i, name) for i, name in enumerate(part[0]._fields) if name not in fields]
        make = row_type("Shown", [name for _, name in kept])._make
        yield [make(record[i] for i, _ in kept) for record in part]


# -- the end --------------------------------------------------------------------------------------


def _end_early(listing: Listing, options: Namespace) -> None:
    """Where it could not go on, which is told by whoever catches it: mostly at a failure."""
    if options.errors is not None and listing.failures:
        failures.write(listing.failures, options.errors)
    if options.fail_fast and not listing.alone:
        note(f"--fail-fast: {listing.progress}")


def _end(listing: Listing, options: Namespace) -> int:
    if options.errors is not None:
        failures.write(listing.failures, options.errors)
    else:
        failures.show(listing.failures)
    failures.tell_why_not_asked(listing.failures)
    if listing.abandoned and not listing.left:
        note(
            f"{_counted(listing.abandoned, 'call')} did not end in time, and wait on by themselves"
        )
    written = options.output not in (None, "-") and listing.listed
    where = f", written to {options.output}" if written else ""
    note(listing.summary + where)  # the last line: it is what is seen first
    return SOME_FAILED if listing.failures else DONE
