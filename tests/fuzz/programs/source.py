"""An input as decisions.  Beyond its end every decision is the first."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")

#: Levels and the fields of each, D for a DWORD and S for a string.
FIELDS = {0: "S", 1: "SSDDDD", 2: "SSDDDDS", 10: "SSDD", 502: "SSDDDDSS"}
LEVELS = tuple(FIELDS)
#: Where the fields of a level stand in those of level 502.
PLACES = {
    0: (0,),
    1: (0, 1, 2, 3, 4, 5),
    2: (0, 1, 2, 3, 4, 5, 6),
    10: (0, 1, 3, 4),
    502: (0, 1, 2, 3, 4, 5, 6, 7),
}
UNKNOWN = 0xFFFFFFFF
NUMBERS = (0, 1, 2, 59, 234, 2123, 0x7FFFFFFF, 0x80000000, UNKNOWN - 1, UNKNOWN)

#: Names are put together of these: separators, wildcards, brackets, surrogates, cases, addresses.
PIECES = (
    *("", "a", "A", "b", "\\", "\\\\", "@", "+", "/", ".", "*", "?", "$", "[", "]", ":", "%"),
    *("CORP", "corp.example", "alice", "ALICE", "WS17", "-", "s", "::", "10.1.2.3", "::1"),
    *("2001:db8::5", "2001:DB8:0:0::5", "fe80::1%eth0", "::ffff:10.1.2.3", ".ipv6-literal.net"),
    *("\xe9", "\xc9", "\xff", "\u0219", "\u0218", "\u03c2", "\u03c3", "\xdf", "\ufb01", "\u0131"),
    *("\U0001f600", "\ud83d", "\ude00", "\uffff", "\u202e", "\x1b", "\x01", "\x7f", "\x80"),
    *("\u07ff", "\u0800", "0", "255", "1e", "x" * 40, "\u5c71" * 30),
)


class Source:
    """Takes decisions out of bytes, from the start on."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def below(self, limit: int) -> int:
        """A number from 0 on, limit at most 256."""
        self._at += 1
        return self._data[self._at - 1] % limit if self._at <= len(self._data) else 0

    def bit(self) -> bool:
        return bool(self.below(2))

    def choice(self, of: Sequence[T]) -> T:
        return of[self.below(len(of))]

    def take(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def rest(self) -> bytes:
        return self.take(max(0, len(self._data) - self._at))

    def dword(self) -> int:
        which = self.below(len(NUMBERS) + 4)
        if which < len(NUMBERS):
            return NUMBERS[which]
        return int(struct.unpack("<I", self.take(4).ljust(4, b"\0"))[0])

    def text(self) -> str:
        """Pairs are whole, as in what comes from a server."""
        made = "".join(self._piece() for _ in range(self.below(5)))
        return made.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")

    def _piece(self) -> str:
        which = self.below(256)
        if which < 2 * len(PIECES):
            return PIECES[which // 2]
        return chr(int.from_bytes(self.take(2).ljust(2, b"\0"), "little") or 1)

    def name(self) -> str | None:
        return None if self.below(8) == 7 else self.text()

    def row(self, level: int) -> tuple[Any, ...]:
        return tuple(self.name() if kind == "S" else self.dword() for kind in FIELDS[level])

    def rows(self, level: int) -> list[tuple[Any, ...]]:
        """Some rows; many are copies, enough of them that strings are cached."""
        rows = [self.row(level) for _ in range(self.below(5))]
        return rows * (1 if self.below(8) < 7 else 1 + self.below(30))


def stub(
    level: int, rows: Sequence[tuple[Any, ...]], total: int = 0, handle: int | None = None,
    status: int = 0,
) -> bytes:  # fmt: skip
    """A reply of NetrSessionEnum."""
    out = bytearray(struct.pack("<6I", level, level, 1, len(rows), 1, len(rows)))
    kinds = FIELDS[level]
    for row in rows:
        for kind, value in zip(kinds, row, strict=True):
            out += struct.pack("<I", value if kind == "D" else value is not None)
    for row in rows:
        for kind, value in zip(kinds, row, strict=True):
            if kind == "S" and value is not None:
                units = value.encode("utf-16-le", "surrogatepass") + b"\0\0"
                out += struct.pack("<III", len(units) // 2, 0, len(units) // 2) + units
                out += bytes(-len(out) % 4)
    out += struct.pack("<II", total, handle is not None)
    out += struct.pack("<II", handle, status) if handle is not None else struct.pack("<I", status)
    return bytes(out)
