"""``netsession show``: one session (NetSessionGetInfo)."""

from __future__ import annotations

from .connect import Connection
from .exits import DONE, USAGE, Stop
from .list import WRITERS
from .options import Format
from .sink import opened
from .table import require_rich, write_card
from .wording import usage_errors


def run(
    connection: Connection, client: str, user: str, *, level: int | None, output_format: Format
) -> int:
    """Prints the session and returns the exit code."""
    connection.check()
    if output_format is Format.PARQUET:
        raise Stop(USAGE, "show prints one session: give table, json, jsonl or csv as --format")
    if output_format is Format.TABLE:
        require_rich()
    with connection.open() as server:
        with usage_errors():
            server.sessions(level=level, client=client, user=user)  # checks the arguments
        record = server.session(client, user, level=level)
    with opened(None) as sink:
        if output_format is Format.TABLE:
            write_card(record, sink)
        else:
            WRITERS[output_format]([[record]], sink)
    return DONE
