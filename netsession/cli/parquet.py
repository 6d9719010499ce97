"""parquet, where pyarrow is installed."""

from __future__ import annotations

from io import RawIOBase

from netsession import _netsession
from netsession.records import UNKNOWN_TIME, is_time

from .exits import USAGE, Stop
from .text import is_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from types import ModuleType, TracebackType
    from typing import Any, Self

    from netsession import SessionPage
    from netsession.server import Sessions

    from .resolve import Resolver
    from .sink import Sink


_ROW_GROUP = 65_536  # rows, at least, but in the last group


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


def write_parquet(sessions: Sessions, sink: Sink, resolver: Resolver | None) -> int:
    """The sessions, a row group a page. Returns their number.

    Page by page, not as one Arrow stream: so a failed call keeps its exception.
    """
    pyarrow = require_pyarrow()
    count = 0
    writer = None
    with _File(sink) as file:
        for page in sessions.pages():
            batch = pyarrow.record_batch(page)
            if resolver is not None:
                names = resolver.names(record.client or "" for record in page)
                column = pyarrow.array(map(_utf8, names), pyarrow.string())
                batch = batch.append_column(resolver.field, column)
            if writer is None:
                writer = pyarrow.parquet.ParquetWriter(file, batch.schema)
            writer.write_batch(batch)
            count += len(page)
            del page, batch  # not kept while the next one comes
        if writer is None:  # no page at all: a filter that matched nothing
            schema = pyarrow.schema(sessions)
            if resolver is not None:
                schema = schema.append(pyarrow.field(resolver.field, pyarrow.string()))
            writer = pyarrow.parquet.ParquetWriter(file, schema)
        writer.close()
    return count


def write_fleet(
    pages: Iterable[tuple[str, datetime, SessionPage]], sink: Sink, resolver: Resolver | None
) -> int:
    """The sessions of several servers, with the columns of a scan. Returns their number.

    Servers share row groups: there may be many that have few sessions.
    """
    pyarrow = require_pyarrow()
    schema = pyarrow.schema(_FleetStream(()))
    if resolver is not None:
        schema = schema.append(pyarrow.field(resolver.field, pyarrow.string()))
    count = written = 0
    waiting: list[Any] = []
    with _File(sink) as file:
        writer = pyarrow.parquet.ParquetWriter(file, schema)
        for page in pages:
            table = pyarrow.table(_FleetStream([page]))
            if resolver is not None:
                names = resolver.names(record.client or "" for record in page[2])
                column = pyarrow.array(map(_utf8, names), pyarrow.string())
                table = table.append_column(resolver.field, column)
            waiting.append(table)
            del page
            count += table.num_rows
            if count - written >= _ROW_GROUP:
                writer.write_table(pyarrow.concat_tables(waiting).combine_chunks())
                waiting.clear()
                written = count
        if waiting:
            writer.write_table(pyarrow.concat_tables(waiting).combine_chunks())
        writer.close()
    return count


def write_rows(
    found: Iterable[list[Any]],
    sink: Sink,
    fields: Callable[[], tuple[str, ...]],
    *,
    are_groups: bool,
) -> int:
    """Records of any fields, with the types that these have elsewhere. Returns their number.

    ``fields`` tells those of the records where there is none. What groups add up to has 64 bits.
    """
    pyarrow = require_pyarrow()
    count = 0
    writer = None
    with _File(sink) as file:
        for part in _gathered(found):
            if writer is None:
                schema = _schema_of(part[0]._fields, are_groups)
                writer = pyarrow.parquet.ParquetWriter(file, schema)
            columns = zip(schema, zip(*part, strict=True), strict=True)
            arrays = [pyarrow.array(_cells(at.name, values), at.type) for at, values in columns]
            writer.write_table(pyarrow.table(arrays, schema=schema))
            count += len(part)
        if writer is None:
            writer = pyarrow.parquet.ParquetWriter(file, _schema_of(fields(), are_groups))
        writer.close()
    return count


def _gathered(found: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """As many at a time as a row group has."""
    rows: list[Any] = []
    for part in found:
        rows += part
        if len(rows) >= _ROW_GROUP:
            yield rows
            rows = []
    if rows:
        yield rows


def _schema_of(fields: Iterable[str], are_groups: bool) -> Any:
    pyarrow = require_pyarrow()
    known = pyarrow.schema(_FleetStream(()))
    schema = []
    for field in fields:
        if is_time(field):
            schema.append(pyarrow.field(field, pyarrow.duration("s")))
        elif are_groups and is_number(field):
            schema.append(pyarrow.field(field, pyarrow.uint64()))
        elif field in known.names:
            schema.append(known.field(field))
        else:
            schema.append(pyarrow.field(field, pyarrow.string()))
    return pyarrow.schema(schema)


def _cells(field: str, values: Iterable[Any]) -> list[Any]:
    """As pyarrow takes them: None for a time that is not known, text that UTF-8 has."""
    if is_time(field):
        return [None if value == UNKNOWN_TIME else value for value in values]
    if field == "collected_at":
        from datetime import datetime

        return [datetime.fromisoformat(value) for value in values]
    return [_without_surrogates(value) if isinstance(value, str) else value for value in values]


def _without_surrogates(text: str) -> str:
    """With U+FFFD for each that is alone, as pages have it in Arrow."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class _FleetStream:
    """Pages with their servers as what pyarrow takes columns from."""

    def __init__(self, pages: Iterable[tuple[str, datetime, SessionPage]]) -> None:
        self._pages = pages

    def __arrow_c_schema__(self) -> object:
        return _netsession.arrow_fleet_schema()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        parts = ((server, _microseconds(at), page) for server, at, page in self._pages)
        return _netsession.arrow_fleet_stream(parts, requested_schema)


def _microseconds(at: datetime) -> int:
    """Since 1970, exactly."""
    return int(at.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond


def _utf8(name: str | None) -> str | None:
    return None if name is None else name.encode("utf-8", "replace").decode()


class _File(RawIOBase):
    """A sink as pyarrow wants it.

    After a failure it takes everything and passes nothing on: a writer that is dropped writes the
    file's end all the same, and what broke off must not look complete.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink: Sink | None = sink

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._sink = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        taken = bytes(data)
        if self._sink is not None:
            self._sink.write_bytes(taken)
        return len(taken)
