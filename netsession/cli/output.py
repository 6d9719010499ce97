"""How the sessions come out: ``--format`` and ``-o``."""

from __future__ import annotations

import os
import sys

from .parquet import require_pyarrow
from .parser import Misuse, Parser, one_of, quoted
from .table import require_rich, write_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import _ArgumentGroup
    from collections.abc import Callable, Iterable

    from netsession.records import SessionInfo

    from .sink import Sink

    Writer = Callable[[Iterable[list[SessionInfo]], Sink], int]

TABLE, JSON, JSONL, CSV, PARQUET = FORMATS = ("table", "json", "jsonl", "csv", "parquet")

# What a file's name says of what is in it. Anything may be in .txt.
_SUFFIXES = {".json": JSON, ".jsonl": JSONL, ".ndjson": JSONL, ".csv": CSV, ".parquet": PARQUET}


def add_options(parser: Parser, formats: tuple[str, ...] = FORMATS) -> _ArgumentGroup:
    """Adds the group; a command may add to it."""
    group = parser.add_argument_group("Output")
    listed = ", ".join(formats[:-1])
    action = group.add_argument(
        "--format", metavar="FORMAT", type=one_of(*formats), help=f"{listed} or {formats[-1]}"
    )
    action.completer = lambda **_: formats  # type: ignore[attr-defined]
    return group


def add_file(group: _ArgumentGroup) -> None:
    """Adds ``-o`` to the group."""
    group.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="write here, complete or not at all; the format follows from .json, .jsonl, .csv "
        "and .parquet",
    )


def choose(output_format: str | None, file: str | None) -> str:
    """The format, and whether it can be written there; before a password is asked for."""
    if file == "":
        raise Misuse("-o needs the name of a file")
    chosen = _chosen(output_format, file)
    if chosen == PARQUET:
        if file is None:
            raise Misuse("--format parquet needs a file to write to: give -o FILE")
        if file == "-" and sys.stdout is not None and sys.stdout.isatty():
            raise Misuse("parquet is not for terminals: give -o FILE")
        require_pyarrow()
    if chosen == TABLE:
        require_rich()
    if file is not None and file != "-":
        from .replace import find  # only for files

        find(file)
    return chosen


def _chosen(output_format: str | None, file: str | None) -> str:
    suffix = os.path.splitext(file or "")[1].lower()
    said = _SUFFIXES.get(suffix)
    if output_format is None:
        return said or TABLE
    if said is not None and said != output_format:
        raise Misuse(
            f"-o {quoted(file or '')} says {said}, and --format {output_format}: leave one out"
        )
    return output_format


def writer_of(output_format: str) -> Writer:
    """What writes records in a format that is text."""
    if output_format == TABLE:
        return write_table
    from . import formats  # only where it is wanted: json is slow to import

    writers = {JSON: formats.write_json, JSONL: formats.write_jsonl, CSV: formats.write_csv}
    return writers[output_format]
