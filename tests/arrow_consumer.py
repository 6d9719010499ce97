"""A consumer of the Arrow C data and C stream interfaces, with nothing but ctypes.

It does what https://arrow.apache.org/docs/format/CDataInterface.html allows a consumer to do,
moving structures and releasing them in any order included.
"""

from __future__ import annotations

import ctypes
import itertools
import struct
from collections.abc import Iterator
from ctypes import POINTER, Structure, c_char, c_char_p, c_int, c_int64, c_void_p, pythonapi
from typing import Any, ClassVar, TypeVar

Value = str | int | None


class _Released(Structure):
    """Whatever has a release callback, which is NULL once released or moved."""

    release: Any
    owner: object = None  # the capsule that it lies in

    @property
    def is_released(self) -> bool:
        return not self.release

    def give_back(self) -> None:
        self.release(ctypes.byref(self))


class ArrowSchema(_Released):
    pass


ArrowSchema._fields_ = [
    ("format", c_char_p),
    ("name", c_char_p),
    ("metadata", POINTER(c_char)),
    ("flags", c_int64),
    ("n_children", c_int64),
    ("children", POINTER(POINTER(ArrowSchema))),
    ("dictionary", POINTER(ArrowSchema)),
    ("release", ctypes.CFUNCTYPE(None, POINTER(ArrowSchema))),
    ("private_data", c_void_p),
]


class ArrowArray(_Released):
    pass


ArrowArray._fields_ = [
    ("length", c_int64),
    ("null_count", c_int64),
    ("offset", c_int64),
    ("n_buffers", c_int64),
    ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)),
    ("children", POINTER(POINTER(ArrowArray))),
    ("dictionary", POINTER(ArrowArray)),
    ("release", ctypes.CFUNCTYPE(None, POINTER(ArrowArray))),
    ("private_data", c_void_p),
]


class ArrowArrayStream(_Released):
    # CFUNCTYPE lets the GIL go around a call, as consumers of other languages do.
    _fields_: ClassVar = [
        ("get_schema", ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(ArrowSchema))),
        ("get_next", ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(ArrowArray))),
        ("get_last_error", ctypes.CFUNCTYPE(c_char_p, c_void_p)),
        ("release", ctypes.CFUNCTYPE(None, c_void_p)),
        ("private_data", c_void_p),
    ]

    def next(self) -> tuple[int, ArrowArray]:
        """What get_next returns, and the array that it filled in."""
        array = ArrowArray()
        return self.get_next(ctypes.byref(self), ctypes.byref(array)), array

    def next_with_the_gil(self) -> tuple[int, ArrowArray]:
        """The same from a thread that keeps the GIL."""
        array = ArrowArray()
        call = ctypes.cast(self.get_next, ctypes.PYFUNCTYPE(c_int, c_void_p, POINTER(ArrowArray)))
        return call(ctypes.byref(self), ctypes.byref(array)), array

    def batches(self) -> Iterator[ArrowArray]:
        while True:
            error, array = self.next()
            if error:
                raise OSError(error, self.last_error())
            if array.is_released:
                return
            yield array

    def last_error(self) -> str:
        return str(self.get_last_error(ctypes.byref(self)).decode())

    def schema(self) -> ArrowSchema:
        schema = ArrowSchema()
        assert self.get_schema(ctypes.byref(self), ctypes.byref(schema)) == 0
        return schema


def drain(stream: ArrowArrayStream) -> Iterator[ArrowArray]:
    for batch in stream.batches():
        yield batch
        batch.give_back()


_NAMES: dict[type[_Released], bytes] = {
    ArrowSchema: b"arrow_schema",
    ArrowArray: b"arrow_array",
    ArrowArrayStream: b"arrow_array_stream",
}

T = TypeVar("T", bound=_Released)


def move(kind: type[T], source: Any) -> T:
    """Takes a structure over: from where it is, bit by bit; the source becomes released."""
    address = ctypes.addressof(source)
    taken = kind.from_buffer_copy(ctypes.string_at(address, ctypes.sizeof(kind)))
    release_at = address + kind.release.offset
    ctypes.memset(release_at, 0, ctypes.sizeof(c_void_p))
    return taken


def content(kind: type[T], capsule: object) -> T:
    """The structure inside a capsule, which stays its owner."""
    get_pointer = pythonapi.PyCapsule_GetPointer
    get_pointer.restype = c_void_p
    get_pointer.argtypes = [ctypes.py_object, c_char_p]
    structure = kind.from_address(get_pointer(capsule, _NAMES[kind]))
    structure.owner = capsule
    return structure


def take(kind: type[T], capsule: object) -> T:
    """The structure of a capsule, moved out of it."""
    return move(kind, content(kind, capsule))


# --- reading ------------------------------------------------------------------------------------


def metadata(schema: ArrowSchema) -> dict[bytes, bytes]:
    if not schema.metadata:
        return {}
    address = ctypes.addressof(schema.metadata.contents)

    def number() -> int:
        nonlocal address
        address += 4
        return int(struct.unpack("=i", ctypes.string_at(address - 4, 4))[0])

    def text() -> bytes:
        nonlocal address
        size = number()
        address += size
        return ctypes.string_at(address - size, size)

    return {text(): text() for _ in range(number())}


def fields(schema: ArrowSchema) -> list[tuple[str, str]]:
    """Names and formats of a schema's children."""
    children = (schema.children[i].contents for i in range(schema.n_children))
    return [(child.name.decode(), child.format.decode()) for child in children]


def column(format_: str, array: ArrowArray) -> list[Value]:
    """The values of an array without children."""
    assert array.offset == 0
    length = array.length
    if format_ in ("u", "U"):
        return _nulls(array, _texts(array, "i" if format_ == "u" else "q"))
    kind = {"I": "I", "tDs": "q", "tsu:UTC": "q", "S": "H"}[format_]
    size = struct.calcsize(f"={length}{kind}")
    return _nulls(array, list(struct.unpack(f"={length}{kind}", _bytes(array, 1, size))))


def _bytes(array: ArrowArray, buffer: int, size: int) -> bytes:
    return ctypes.string_at(array.buffers[buffer], size) if size else b""


def offsets(array: ArrowArray, kind: str = "i") -> tuple[int, ...]:
    """Where the strings of a column start and end: of utf8 int32, of large_utf8 ("q") int64."""
    size = struct.calcsize(f"={array.length + 1}{kind}")
    return struct.unpack(f"={array.length + 1}{kind}", _bytes(array, 1, size))


def _texts(array: ArrowArray, kind: str) -> list[str]:
    bounds = offsets(array, kind)
    assert bounds[0] == 0
    data = _bytes(array, 2, bounds[-1])
    return [data[start:end].decode() for start, end in itertools.pairwise(bounds)]


def _nulls(array: ArrowArray, values: Any) -> list[Value]:
    if not array.buffers[0]:
        assert array.null_count == 0
        return list(values)
    bits = int.from_bytes(_bytes(array, 0, (array.length + 7) // 8), "little")
    found = [value if bits >> i & 1 else None for i, value in enumerate(values)]
    assert array.null_count == found.count(None)
    return found


def rows(schema: ArrowSchema, batch: ArrowArray) -> list[tuple[Value, ...]]:
    """The rows of a record batch."""
    assert schema.format == b"+s"
    assert batch.n_children == schema.n_children
    assert batch.null_count == 0
    columns = []
    for i, (_, format_) in enumerate(fields(schema)):
        child = batch.children[i].contents
        assert child.length == batch.length
        columns.append(column(format_, child))
    return list(zip(*columns, strict=True))
