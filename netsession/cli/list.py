"""``netsession list``: the sessions of a server (NetSessionEnum)."""

from __future__ import annotations

from netsession.server import Sessions

from .connect import Connection
from .exits import DONE, USAGE, Stop
from .formats import chunks, csv_text, fields_at, write_csv, write_json, write_jsonl
from .options import Format
from .parquet import require_pyarrow, write_parquet
from .sink import opened
from .standard import tell
from .table import require_rich, write_table
from .wording import usage_errors

WRITERS = {
    Format.TABLE: write_table,
    Format.JSON: write_json,
    Format.JSONL: write_jsonl,
    Format.CSV: write_csv,
}


def run(
    connection: Connection,
    *,
    level: int | None,
    client: str | None,
    user: str | None,
    page_bytes: int | None,
    output_format: Format,
    output: str | None,
) -> int:
    """Prints the sessions and returns the exit code."""
    connection.check()
    if output_format is Format.PARQUET:
        if output is None:
            raise Stop(USAGE, "--format parquet needs a file to write to: give -o FILE")
        require_pyarrow()
    if output_format is Format.TABLE:
        require_rich()
    with connection.open() as server:
        with usage_errors():
            sessions = server.sessions(level=level, client=client, user=user, page_bytes=page_bytes)
        count = _write(sessions, output_format, output)
    if output_format is Format.TABLE or output is not None:
        tell(_summary(count, sessions, connection, output))
    return DONE


def _write(sessions: Sessions, output_format: Format, output: str | None) -> int:
    with opened(output) as sink:
        if output_format is Format.PARQUET:
            if sink.is_terminal:
                raise Stop(USAGE, "parquet is not for terminals: give -o FILE")
            return write_parquet(sessions, sink)
        count = WRITERS[output_format](chunks(sessions), sink)
        if not count and output_format is Format.CSV:
            sink.write(csv_text([fields_at(sessions.level)], sink.is_terminal))
    return count


def _summary(count: int, sessions: Sessions, connection: Connection, output: str | None) -> str:
    level = "" if sessions.level is None else f", level {sessions.level}"
    where = "" if output in (None, "-") else f", written to {output}"
    return f"{counted(count)} on {connection.name}{level}{where}"


def counted(count: int) -> str:
    """A number of sessions in words."""
    return f"{count:,} session{'' if count == 1 else 's'}"
