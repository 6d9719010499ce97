"""``netsession list``: the sessions of a server (NetSessionEnum)."""

from __future__ import annotations

from . import connect, output, selection
from .exits import DONE, USAGE, Stop
from .parquet import write_parquet
from .parser import add_command, add_general, only_server, whole_number
from .parts import chunks
from .sink import opened
from .standard import tell
from .text import counted
from .wording import usage_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

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
        does="List the sessions of a server",
        names="[SERVER]",
        more="SERVER is its name or address. On Windows it may be left out: this machine.",
        examples="""\
  netsession list fs01 --auth-user 'CORP\\admin'
  netsession list fs01 --user alice --format json
  netsession list fs01 -o sessions.csv""",
    )
    connect.add_options(parser)
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
    add_general(parser)


def run(options: Namespace, names: list[str]) -> int:
    """Prints the sessions and returns the exit code."""
    connection = connect.Connection.of(options, only_server(names))
    chosen = output.choose(options.format, options.output)
    level = selection.level_of(options.level)
    selection.check(connection, client=options.client, user=options.user)
    with connection.open() as server:
        with usage_errors():
            sessions = server.sessions(
                level=level, client=options.client, user=options.user, page_bytes=options.page_bytes
            )
        resolver = _resolver(options)
        count = _write(sessions, chosen, options.output, resolver)
    if chosen == output.TABLE or options.output is not None:
        tell(_summary(count, sessions, connection, options.output))
    if not count and (why := sessions._why_nothing()) is not None:
        tell(why)  # in every format: an empty list may only be for want of an address
    return DONE


def _resolver(options: Namespace) -> Resolver | None:
    if not options.resolve:
        return None
    from .resolve import Resolver  # only where it is asked for

    return Resolver(options.timeout)


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
