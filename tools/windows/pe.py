"""Reads what a wheel inspection needs from a PE file: machine, imports, exports.

Offsets are those of Microsoft's "PE Format" page (COFF file header, optional header data
directories, import directory table, export directory table).  binutils' objdump could show the
same, but not for arm64, and this is shorter than parsing its text.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

MACHINES = {0x014C: "win32", 0x8664: "amd64", 0xAA64: "arm64"}

_EXPORT_DIRECTORY = 0
_IMPORT_DIRECTORY = 1
_DELAY_IMPORT_DIRECTORY = 13


class NotAnImageError(ValueError):
    """The file is not a PE image."""


@dataclass
class Image:
    """One PE file: its machine, the names it imports per DLL, and the names it exports."""

    machine: str
    imports: dict[str, list[str]] = field(default_factory=dict)
    delay_imports: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        if data[:2] != b"MZ":
            raise NotAnImageError("no MZ signature")
        (header,) = struct.unpack_from("<I", data, 0x3C)
        if data[header : header + 4] != b"PE\0\0":
            raise NotAnImageError("no PE signature")
        machine, sections, optional_size = struct.unpack_from("<HH12xH", data, header + 4)
        self.machine = MACHINES.get(machine, hex(machine))
        optional = header + 24
        (magic,) = struct.unpack_from("<H", data, optional)
        self.wide = magic == 0x20B  # PE32+: 8-byte thunks
        directories = optional + (112 if self.wide else 96)
        (count,) = struct.unpack_from("<I", data, directories - 4)
        self.directories = [
            struct.unpack_from("<II", data, directories + 8 * i)[0] for i in range(count)
        ]
        table = optional + optional_size
        self.sections = [
            struct.unpack_from("<8xIIII", data, table + 40 * i) for i in range(sections)
        ]

    def offset(self, address: int) -> int:
        """File offset of a relative virtual address."""
        for virtual_size, virtual, raw_size, raw in self.sections:
            if virtual <= address < virtual + max(virtual_size, raw_size):
                return int(raw + address - virtual)
        raise NotAnImageError(f"address {address:#x} lies in no section")

    def directory(self, index: int) -> int:
        return self.directories[index] if index < len(self.directories) else 0

    def string(self, address: int) -> str:
        start = self.offset(address)
        return self.data[start : self.data.index(b"\0", start)].decode("ascii")

    def u32(self, address: int) -> int:
        return int(struct.unpack_from("<I", self.data, self.offset(address))[0])

    def imports(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        entry = self.directory(_IMPORT_DIRECTORY)
        while entry:
            names, _, _, dll, thunks = struct.unpack_from("<5I", self.data, self.offset(entry))
            if not dll:
                break
            found.setdefault(self.string(dll), []).extend(self._thunk_names(names or thunks))
            entry += 20
        return found

    def _thunk_names(self, address: int) -> list[str]:
        size, pattern = (8, "<Q") if self.wide else (4, "<I")
        names: list[str] = []
        while True:
            (thunk,) = struct.unpack_from(pattern, self.data, self.offset(address))
            if not thunk:
                return names
            by_ordinal = thunk >> (8 * size - 1)
            names.append(f"#{thunk & 0xFFFF}" if by_ordinal else self.string(thunk + 2))
            address += size

    def delay_imports(self) -> list[str]:
        found = []
        entry = self.directory(_DELAY_IMPORT_DIRECTORY)
        while entry and (name := self.u32(entry + 4)):
            found.append(self.string(name))
            entry += 32
        return found

    def exports(self) -> list[str]:
        table = self.directory(_EXPORT_DIRECTORY)
        if not table:
            return []
        count, names = self.u32(table + 24), self.u32(table + 32)
        return [self.string(self.u32(names + 4 * i)) for i in range(count)]


def read(source: Path | bytes) -> Image:
    """Read a PE file (its path, or its bytes); NotAnImageError when it is none."""
    reader = _Reader(source if isinstance(source, bytes) else source.read_bytes())
    return Image(
        machine=reader.machine,
        imports=reader.imports(),
        delay_imports=reader.delay_imports(),
        exports=reader.exports(),
    )
