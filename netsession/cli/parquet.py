"""parquet, where pyarrow is installed."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

from netsession.server import Sessions

from .exits import USAGE, Stop
from .formats import chunks, fields_at, values
from .output import complete_file
from .text import is_integer, is_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netsession.records import SessionInfo

_ROW_GROUP = 1 << 16
_SURROGATES = re.compile("[\ud800-\udfff]")  # Arrow strings are UTF-8, which has none


def require_pyarrow() -> ModuleType:
    """pyarrow, or the end of the command."""
    try:
        import pyarrow.parquet  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ModuleNotFoundError:
        raise Stop(
            USAGE, "--format parquet needs pyarrow, which is not installed: pip install pyarrow"
        ) from None
    module: ModuleType = pyarrow
    return module


def write_parquet(sessions: Sessions, file: str) -> int:
    """One file with the sessions; it appears when it is complete. Returns their number."""
    pyarrow = require_pyarrow()
    count = 0
    writer = None
    with complete_file(file) as path:
        try:
            for part in chunks(sessions, _ROW_GROUP):
                table = _table(pyarrow, part[0]._fields, part)
                writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema)
                writer.write_table(table)
                count += len(part)
            if writer is None:
                pyarrow.parquet.write_table(_table(pyarrow, fields_at(sessions.level), []), path)
        finally:
            if writer is not None:
                writer.close()
    return count


def _table(pyarrow: Any, fields: tuple[str, ...], part: list[SessionInfo]) -> Any:
    columns = list(zip(*map(values, part), strict=True)) or [()] * len(fields)
    return pyarrow.table(
        {
            field: _column(pyarrow, field, column)
            for field, column in zip(fields, columns, strict=True)
        }
    )


def _column(pyarrow: Any, field: str, column: tuple[Any, ...]) -> Any:
    if is_time(field):
        return pyarrow.array(column, pyarrow.duration("s"))
    if is_integer(field):
        return pyarrow.array(column, pyarrow.uint32())
    texts = [text and _SURROGATES.sub("\ufffd", text) for text in column]
    return pyarrow.array(texts, pyarrow.string())
