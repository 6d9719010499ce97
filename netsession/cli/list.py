"""``netsession list``: the sessions of servers (NetSessionEnum); of several, ``fleet`` does it."""

from __future__ import annotations

from contextlib import nullcontext

from . import connect, output, selection, servers
from .exits import DONE, USAGE, Stop
from .parquet import write_parquet
from .parser import add_command, add_general, only_server, whole_number
from .parts import chunks
from .sink import opened
from .standard import note
from .text import counted
from .wording import usage_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from contextlib import AbstractContextManager

    from netsession.server import Sessions

    from .connect import Connection
    from .parser import Commands
    from .resolve import Resolver


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
    selected = selection.add_options(parser)
    selection.add_level(selected)
    printed = output.add_options(parser)
    output.add_file(printed)
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
    if servers.are_several(options, names):
        from . import fleet  # only where it is wanted

        return fleet.run(options, names)
    connection = connect.Connection.of(options, only_server(names))
    chosen = output.choose(options.format, options.output)
    level = selection.level_of(options.level)
    selection.check(connection, client=options.client, user=options.user)
    with _errors_kept(options, connection), connection.open() as server:
        with usage_errors():
            sessions = server.sessions(
                level=level, client=options.client, user=options.user, page_bytes=options.page_bytes
            )
        resolver = _resolver(options, connection)
        count = _write(sessions, chosen, options.output, resolver)
    if chosen == output.TABLE or options.output is not None:
        note(_summary(count, sessions, connection, options.output))
    if not count and (why := sessions._why_nothing()) is not None:
        note(why)  # in every format: an empty list may only be for want of an address
    return DONE


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
    sessions: Sessions, output_format: str, file: str | None, resolver: Resolver | None
) -> int:
    with opened(file) as sink:
        if output_format == output.PARQUET:
            if sink.is_terminal:
                raise Stop(USAGE, "parquet is not for terminals: give -o FILE")
            return write_parquet(sessions, sink, resolver)
        parts = chunks(sessions)
        if resolver is not None:
            parts = resolver.add(parts, beside=output_format == output.TABLE)
        count = output.writer_of(output_format)(parts, sink)
        if not count and output_format == output.CSV:
            sink.write(_csv_heading(sessions, resolver))
    return count


def _csv_heading(sessions: Sessions, resolver: Resolver | None) -> str:
    from .formats import csv_text, fields_at

    added = () if resolver is None else (resolver.field,)
    return csv_text([fields_at(sessions.level) + added], terminal=False)


def _summary(count: int, sessions: Sessions, connection: Connection, file: str | None) -> str:
    level = "" if sessions.level is None else f", level {sessions.level}"
    where = "" if file in (None, "-") else f", written to {file}"
    return f"{counted(count)} on {connection.name}{level}{where}"
