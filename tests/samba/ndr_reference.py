"""A second, independent NDR20 codec of NetrSessionEnum and NetrSessionDel, in plain Python.

It serves the endpoint that the tests put behind a real smbd, and it is what the tests compare
against. It shares no code with the extension module and favours being obvious over being fast: the
rules are those of MS-SRVS 2.2.3 to 2.2.5 and 3.1.4.5/6 and of DCE 1.1 C706 chapter 14. It is
watched in turn by Samba's own bindings (see ``test_codec.py``).

Names, client types and transports are ``str`` or None (a NULL pointer). Ill-formed UTF-16 is kept
as lone surrogates, exactly as it came.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

OPNUM_SESSION_ENUM: Final = 12
OPNUM_SESSION_DEL: Final = 13
MAX_PREFERRED_LENGTH: Final = 0xFFFFFFFF

Value = str | int | None
Row = Mapping[str, Value]
Kind = Literal["string", "dword"]

#: The fields of SESSION_INFO_x in the order of MS-SRVS 2.2.4.11 to 2.2.4.15.
FIELDS: Final[Mapping[int, tuple[tuple[str, Kind], ...]]] = {
    0: (("client_name", "string"),),
    1: (
        ("client_name", "string"),
        ("user_name", "string"),
        ("num_opens", "dword"),
        ("active_time", "dword"),
        ("idle_time", "dword"),
        ("user_flags", "dword"),
    ),
    2: (
        ("client_name", "string"),
        ("user_name", "string"),
        ("num_opens", "dword"),
        ("active_time", "dword"),
        ("idle_time", "dword"),
        ("user_flags", "dword"),
        ("client_type", "string"),
    ),
    10: (
        ("client_name", "string"),
        ("user_name", "string"),
        ("active_time", "dword"),
        ("idle_time", "dword"),
    ),
    502: (
        ("client_name", "string"),
        ("user_name", "string"),
        ("num_opens", "dword"),
        ("active_time", "dword"),
        ("idle_time", "dword"),
        ("user_flags", "dword"),
        ("client_type", "string"),
        ("transport", "string"),
    ),
}


class NdrError(ValueError):
    """A stub that breaks the rules; the text says what and at which byte."""


@dataclass(frozen=True)
class EnumRequest:
    """The [in] parameters of NetrSessionEnum."""

    server: str | None
    client: str | None
    user: str | None
    level: int
    has_container: bool
    preferred_length: int
    resume_handle: int | None


@dataclass(frozen=True)
class EnumResponse:
    """The [out] parameters of NetrSessionEnum; ``rows`` is None where the array is NULL."""

    level: int
    rows: Sequence[Row] | None
    total_entries: int
    resume_handle: int | None
    status: int


@dataclass(frozen=True)
class DeleteRequest:
    """The [in] parameters of NetrSessionDel."""

    server: str | None
    client: str | None
    user: str | None


class _Writer:
    """Appends NDR primitives; alignment counts from the start of the stub."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._referent = 0x0001FFFC

    def dword(self, value: int) -> None:
        self._data += bytes(-len(self._data) % 4)
        self._data += struct.pack("<I", value)

    def referent(self, present: bool) -> None:
        if present:
            self._referent += 4
        self.dword(self._referent if present else 0)

    def string(self, text: str) -> None:
        units = text.encode("utf-16-le", "surrogatepass") + b"\0\0"
        self._data += bytes(-len(self._data) % 4)
        self._data += struct.pack("<III", len(units) // 2, 0, len(units) // 2)
        self._data += units

    def unique_string(self, text: str | None) -> None:
        self.referent(text is not None)
        if text is not None:
            self.string(text)

    def unique_dword(self, value: int | None) -> None:
        self.referent(value is not None)
        if value is not None:
            self.dword(value)

    def done(self) -> bytes:
        return bytes(self._data)


class _Reader:
    """Reads NDR primitives strictly; gaps may hold anything."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.offset = 0

    def _take(self, size: int, what: str) -> bytes:
        if size > len(self._data) - self.offset:
            raise NdrError(f"{what} at byte {self.offset} reaches beyond {len(self._data)} bytes")
        piece = self._data[self.offset : self.offset + size]
        self.offset += size
        return piece

    def dword(self, what: str) -> int:
        self.offset += -self.offset % 4
        return int.from_bytes(self._take(4, what), "little")

    def string(self, what: str) -> str:
        size = self.dword(what + ".max_count")
        start = self.dword(what + ".offset")
        count = self.dword(what + ".actual_count")
        if start or not 1 <= count <= size:
            raise NdrError(f"{what} counts {size}, {start}, {count} at byte {self.offset - 12}")
        units = self._take(2 * count, what).decode("utf-16-le", "surrogatepass")
        if not units.endswith("\0"):
            raise NdrError(f"{what} has no terminator at byte {self.offset - 2}")
        return units[:-1]

    def unique_string(self, what: str) -> str | None:
        return self.string(what) if self.dword(what) else None

    def unique_dword(self, what: str) -> int | None:
        return self.dword(what) if self.dword(what) else None

    def end(self) -> None:
        if self.offset != len(self._data):
            raise NdrError(f"{len(self._data) - self.offset} bytes too many at {self.offset}")


def encode_enum_request(request: EnumRequest) -> bytes:
    """The stub of NetrSessionEnum with an empty container (MS-SRVS 3.1.4.5)."""
    out = _Writer()
    out.unique_string(request.server)
    out.unique_string(request.client)
    out.unique_string(request.user)
    out.dword(request.level)
    out.dword(request.level)
    out.referent(request.has_container)
    if request.has_container:
        out.dword(0)
        out.referent(False)
    out.dword(request.preferred_length)
    out.unique_dword(request.resume_handle)
    return out.done()


def decode_enum_request(stub: bytes) -> EnumRequest:
    """Raises NdrError for anything that a strict server would answer with a fault."""
    read = _Reader(stub)
    server = read.unique_string("ServerName")
    client = read.unique_string("ClientName")
    user = read.unique_string("UserName")
    level = read.dword("Level")
    if read.dword("discriminant") != level:
        raise NdrError(f"level and discriminant differ at byte {read.offset - 4}")
    has_container = read.dword("container") != 0
    if has_container:
        read.dword("EntriesRead")
        if read.dword("Buffer") and read.dword("Buffer.max_count"):
            raise NdrError(f"the request carries rows at byte {read.offset - 4}")
    preferred = read.dword("PreferedMaximumLength")
    resume = read.unique_dword("ResumeHandle")
    read.end()
    return EnumRequest(server, client, user, level, has_container, preferred, resume)


def encode_enum_response(
    level: int,
    rows: Sequence[Row] | None,
    *,
    total_entries: int,
    resume_handle: int | None,
    status: int,
) -> bytes:
    """The stub of a reply; ``rows=None`` makes a NULL array, ``[]`` one of length 0."""
    out = _Writer()
    out.dword(level)
    out.dword(level)
    out.referent(True)
    out.dword(len(rows or ()))
    out.referent(rows is not None)
    if rows is not None:
        out.dword(len(rows))
        _encode_rows(out, level, rows)
    out.dword(total_entries)
    out.unique_dword(resume_handle)
    out.dword(status)
    return out.done()


def _encode_rows(out: _Writer, level: int, rows: Sequence[Row]) -> None:
    # The array's elements first, what their pointers mean after all of them (C706 14.3.12.3).
    deferred: list[str] = []
    for row in rows:
        for name, kind in FIELDS[level]:
            value = row[name]
            if kind == "dword":
                assert isinstance(value, int)
                out.dword(value)
                continue
            assert value is None or isinstance(value, str)
            out.referent(value is not None)
            if value is not None:
                deferred.append(value)
    for text in deferred:
        out.string(text)


def decode_enum_response(stub: bytes) -> EnumResponse:
    """Raises NdrError for malformed replies."""
    read = _Reader(stub)
    level = read.dword("Level")
    if read.dword("discriminant") != level:
        raise NdrError(f"level and discriminant differ at byte {read.offset - 4}")
    rows: list[Row] | None = None
    if read.dword("container"):
        count = read.dword("EntriesRead")
        has_array = read.dword("Buffer") != 0
        size = read.dword("Buffer.max_count") if has_array else 0
        if size != count:
            raise NdrError(f"EntriesRead {count} and {size} array elements")
        rows = _decode_rows(read, level, count) if has_array else None
    total = read.dword("TotalEntries")
    resume = read.unique_dword("ResumeHandle")
    status = read.dword("status")
    read.end()
    return EnumResponse(level, rows, total, resume, status)


def _decode_rows(read: _Reader, level: int, count: int) -> list[Row]:
    if level not in FIELDS:
        raise NdrError(f"rows of level {level}")
    fields = FIELDS[level]
    raw = [[read.dword(name) for name, _ in fields] for _ in range(count)]
    rows: list[Row] = []
    for values in raw:
        row: dict[str, Value] = {}
        for (name, kind), value in zip(fields, values, strict=True):
            if kind == "string":
                row[name] = read.string(name) if value else None
            else:
                row[name] = value
        rows.append(row)
    return rows


def encode_delete_request(request: DeleteRequest) -> bytes:
    """The stub of NetrSessionDel (MS-SRVS 3.1.4.6)."""
    out = _Writer()
    out.unique_string(request.server)
    out.unique_string(request.client)
    out.unique_string(request.user)
    return out.done()


def decode_delete_request(stub: bytes) -> DeleteRequest:
    """Raises NdrError for anything that a strict server would answer with a fault."""
    read = _Reader(stub)
    request = DeleteRequest(
        read.unique_string("ServerName"),
        read.unique_string("ClientName"),
        read.unique_string("UserName"),
    )
    read.end()
    return request


def encode_delete_response(status: int) -> bytes:
    """The stub of the reply: a NET_API_STATUS and nothing else."""
    return struct.pack("<I", status)
