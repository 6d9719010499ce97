"""``netsession list``: the sessions of servers (NetSessionEnum); of several, ``fleet`` does it."""

from __future__ import annotations

from contextlib import nullcontext

from netsession import records

from . import conditions, connect, output, selection, servers, shape
from .exits import DONE, USAGE, Stop
from .parquet import write_parquet, write_rows
from .parser import add_command, add_general, only_server, whole_number
from .parts import chunks
from .sink import opened
from .standard import note
from .table import write_table
from .text import counted
from .wording import usage_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from typing import Any

    from netsession.server import Sessions

    from .connect import Connection
    from .parser import Commands
    from .resolve import Resolver
    from .shape import Shape


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = add_command(
        commands,
        "list",
        run,
        does="List the sessions of a server, or of several",
        names="[SERVER ...]",
        more="SERVER is its name or address. On Windows it may be left out: this machine.",
        examples="""\
  netsession list fs01 --auth-user 'CORP\\admin'
  netsession list fs01 fs02 --user alice --format jsonl
  netsession list --servers-from servers.txt --errors bad.jsonl -o x.csv""",
    )
    connect.add_options(parser, more_timeout="; 10 with several servers")
    selected = conditions.add_options(parser)
    conditions.add_exclude_self(selected)
    selection.add_level(selected)
    printed = output.add_options(parser)
    output.add_file(printed)
    shape.add_options(printed)
    printed.add_argument(
        "--page-bytes",
        metavar="N",
        type=whole_number(1, 0xFFFFFFFF),
        help="preferred length of one reply in bytes (default: all at once)",
    )
    printed.add_argument(
        "--resolve", action="store_true", help="show the names of addresses (reverse look-ups)"
    )
    servers.add_options(parser)
    add_general(parser, quiet=True)


def run(options: Namespace, names: list[str]) -> int:
    """Prints the sessions and returns the exit code."""
    options.with_server |= options.group_by == "server"
    if servers.are_several(options, names):
        from . import fleet  # only where it is wanted

        return fleet.run(options, names)
    connection = connect.Connection.of(options, only_server(names))
    chosen = output.choose(options.format, options.output)
    level = selection.level_of(options.level)
    shaped = shape.Shape.of(options, _fields_at(level))
    with usage_errors():
        client, user, where = conditions.chosen(options)
    selection.check(connection, client=client, user=user, where=where, level=level)
    with _errors_kept(options, connection), connection.open() as server:
        sessions = server.sessions(
            level=level, client=client, user=user, where=where, page_bytes=options.page_bytes
        )
        resolver = _resolver(options, connection)
        count = _write(sessions, chosen, options.output, resolver, shaped)
    if chosen == output.TABLE or options.output is not None:
        note(_summary(count, sessions, shaped) + _where_it_is(sessions, connection, options.output))
    if not count and (why := sessions._why_nothing()) is not None:
        note(why)  # in every format: an empty list may only be for want of an address
    return DONE


def _fields_at(level: int | None) -> tuple[str, ...]:
    """The fields of a level; of the richest where it is not known yet."""
    record = records.SessionInfo502 if level is None else getattr(records, f"SessionInfo{level}")
    fields: tuple[str, ...] = record._fields
    return fields


def _errors_kept(options: Namespace, connection: Connection) -> AbstractContextManager[None]:
    if options.errors is None:
        return nullcontext()
    from .failures import kept  # only where it is wanted

    return kept(options.errors, connection.name)


def _resolver(options: Namespace, connection: Connection) -> Resolver | None:
    if not options.resolve:
        return None
    from .resolve import Resolver  # only where it is asked for

    return Resolver(connection.timeout)


def _write(
    sessions: Sessions,
    output_format: str,
    file: str | None,
    resolver: Resolver | None,
    shaped: Shape | None,
) -> int:
    """Returns how many records were written."""
    with opened(file) as sink:
        if output_format == output.PARQUET and sink.is_terminal:
            raise Stop(USAGE, "parquet is not for terminals: give -o FILE")
        if output_format == output.PARQUET and shaped is None:
            return write_parquet(sessions, sink, resolver)
        found: Iterable[list[Any]] = chunks(sessions)
        beside = output_format == output.TABLE
        if shaped is not None:
            found = shaped.apply(found, resolver, beside=beside)
        elif resolver is not None:
            found = resolver.add(found, beside=beside)
        fields = None if shaped is None else shaped.fields
        if output_format == output.PARQUET:
            return write_rows(
                found,
                sink,
                lambda: fields or _fields(sessions, resolver),
                are_groups=shaped is not None and shaped.group_by is not None,
            )
        if output_format == output.TABLE:
            return write_table(found, sink, every_column=fields is not None)
        count = output.writer_of(output_format)(found, sink)
        if not count and output_format == output.CSV:
            from .formats import csv_heading  # only where it is wanted: json is slow to import

            sink.write(csv_heading(fields or _fields(sessions, resolver)))
    return count


def _fields(sessions: Sessions, resolver: Resolver | None) -> tuple[str, ...]:
    """The fields that records would have had."""
    added = () if resolver is None else (resolver.field,)
    return _fields_at(sessions.level) + added


def _summary(count: int, sessions: Sessions, shaped: Shape | None) -> str:
    """How many rows were written, of what."""
    if shaped is not None and shaped.group_by is not None:
        groups = f"{shaped.groups:,} {shaped.group_by}{'' if shaped.groups == 1 else 's'}"
        shown = "" if count == shaped.groups else f"{count:,} of "
        return f"{shown}{groups} with {counted(shaped.sessions)}"
    if shaped is not None and shaped.is_cut:
        return f"the first {counted(count)}"
    total = sessions._seen
    if count == total or sessions._filter is not None:
        return counted(count)  # of how many only the server knows
    return f"{count:,} of {counted(total)}"


def _where_it_is(sessions: Sessions, connection: Connection, file: str | None) -> str:
    level = "" if sessions.level is None else f", level {sessions.level}"
    where = "" if file in (None, "-") else f", written to {file}"
    return f" on {connection.name}{level}{where}"
