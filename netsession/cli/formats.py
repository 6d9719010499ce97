"""json, jsonl and csv: every field of the records, as documented in docs/cli.md."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from netsession import records
from netsession.records import UNKNOWN_TIME, is_time, known

from .sink import Sink
from .text import is_integer, visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netsession.records import SessionInfo

Value = str | int | None

_COMPACT = (",", ":")
_encode: Callable[[object], str] = json.JSONEncoder(ensure_ascii=False, separators=_COMPACT).encode
_encode_in_ascii: Callable[[object], str] = json.JSONEncoder(separators=_COMPACT).encode

# What JSON allows in a string but a terminal obeys: DEL, C1 controls, line separators, and what
# turns the direction of writing. Escaped they are the same JSON.
_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def fields_at(level: int | None) -> tuple[str, ...]:
    """The fields of a level; of the richest where no server has said which level it is."""
    classes = [getattr(records, name) for name in records.__all__ if name.startswith("SessionInfo")]
    if level is not None:
        classes = [getattr(records, f"SessionInfo{level}")]
    return max((each._fields for each in classes), key=len)


def values(record: SessionInfo) -> Sequence[Value]:
    """A record's fields, with None for a time that the server did not know."""
    if UNKNOWN_TIME not in record:
        return record
    return [known(field, value) for field, value in zip(record._fields, record, strict=True)]


def write_jsonl(parts: Iterable[list[SessionInfo]], sink: Sink) -> int:
    """An object a line. Returns how many records were written, as all of these do."""
    count = 0
    for part in parts:
        sink.write("\n".join(_objects(part, sink)) + "\n")
        count += len(part)
    return count


def write_json(parts: Iterable[list[SessionInfo]], sink: Sink) -> int:
    """One array. Its end is written last, so that what breaks off is no valid JSON."""
    count = 0
    for part in parts:
        sink.write((",\n" if count else "[\n") + ",\n".join(_objects(part, sink)))
        count += len(part)
    sink.write("\n]\n" if count else "[]\n")
    return count


def _objects(part: list[SessionInfo], sink: Sink) -> list[str]:
    # Column by column and then one % a record: three times as fast as a dict a record.
    fields = part[0]._fields
    # What a terminal's encoding lacks a sink would write as \\xe9, which is no JSON.
    encode = _encode if sink.encoding == "utf-8" else _encode_in_ascii
    template = "{" + ",".join(f"{_encode(field)}:%s" for field in fields) + "}"
    columns = (
        _json_column(field, column, encode)
        for field, column in zip(fields, zip(*part, strict=True), strict=True)
    )
    texts = map(template.__mod__, zip(*columns, strict=True))
    return [
        text if text.isascii() and "\x7f" not in text else _OBEYED.sub(_escaped, text)
        for text in texts
    ]


def json_line(fields: Mapping[str, object], sink: Sink) -> str:
    """One object as a line, as write_jsonl has them."""
    encode = _encode if sink.encoding == "utf-8" else _encode_in_ascii
    return _OBEYED.sub(_escaped, encode(fields)) + "\n"


def _json_column(
    field: str, column: Iterable[Value], encode: Callable[[Value], str]
) -> list[object]:
    unknown = UNKNOWN_TIME if is_time(field) else None
    if is_integer(field):
        return ["null" if value is None or value == unknown else value for value in column]
    return ["null" if value is None else encode(value) for value in column]


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def write_csv(parts: Iterable[list[SessionInfo]], sink: Sink) -> int:
    """A heading line, then a line a record; None is an empty field.

    The data is exact, also where a spreadsheet would take it for a formula. Only on a terminal
    are names made harmless.
    """
    count = 0
    for part in parts:
        rows: list[Sequence[Value]] = [values(record) for record in part]
        sink.write(csv_text(rows if count else [part[0]._fields, *rows], sink.is_terminal))
        count += len(part)
    return count


def csv_heading(fields: Sequence[str]) -> str:
    """The heading line, where there are no rows to take it from."""
    return csv_text([fields], terminal=False)


def csv_text(rows: Iterable[Sequence[Value]], terminal: bool) -> str:
    """Rows as CSV ([RFC 4180], lines end in CR LF)."""
    if terminal:
        rows = [[visible(v) if isinstance(v, str) else v for v in row] for row in rows]
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()
