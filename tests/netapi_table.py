"""A table of netapi32's entry points (src/netapi.h) whose functions are Python's."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

_DWORD = ctypes.c_uint32
_DWORDS = ctypes.POINTER(_DWORD)
_BUFFERS = ctypes.POINTER(ctypes.c_void_p)
_NAMES = [ctypes.c_void_p] * 4  # the context, server, client and user


class _Netapi(ctypes.Structure):
    _fields_ = [
        ("context", ctypes.c_void_p),
        ("session_enum",
         ctypes.CFUNCTYPE(_DWORD, *_NAMES, _DWORD, _BUFFERS, _DWORD, *[_DWORDS] * 3)),
        ("session_get_info", ctypes.CFUNCTYPE(_DWORD, *_NAMES, _DWORD, _BUFFERS)),
        ("session_del", ctypes.CFUNCTYPE(_DWORD, *_NAMES)),
        ("buffer_free", ctypes.CFUNCTYPE(_DWORD, ctypes.c_void_p, ctypes.c_void_p)),
    ]  # fmt: skip


def entry_points(netapi: Any) -> Any:
    """The table that a backend holds, which must outlive it."""
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return _Netapi.from_address(pointer_of(netapi, b"netsession.netapi"))


class Table:
    """``netapi`` is the backend; it must not outlive this.

    A function that is not given is a NULL pointer, but for ``buffer_free``, which notes in
    ``freed`` what it gets.
    """

    def __init__(self, **functions: Callable[..., int]) -> None:
        self.freed: list[int] = []
        self._table = _Netapi()
        for name, kind in _Netapi._fields_[1:]:
            function = functions.pop(name, self._free if name == "buffer_free" else None)
            if function is not None:
                setattr(self._table, name, kind(function))
        assert not functions
        new_capsule = ctypes.pythonapi.PyCapsule_New
        new_capsule.restype = ctypes.py_object
        new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        self.netapi: Any = new_capsule(ctypes.byref(self._table), b"netsession.netapi", None)

    def _free(self, context: int | None, buffer: int) -> int:
        self.freed.append(buffer)
        return 0
