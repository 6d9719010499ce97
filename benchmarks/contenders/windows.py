"""All contenders on one netapi32.dll, in one process. Runs under the Windows Python.

The netapi32.dll beside python.exe is the stand-in of src/simulator_dll.c, which hands out one
prepared buffer again and again. Its argument is JSON: ``{"cases": [[level, entries, rounds,
seconds a round], ...]}``; it prints JSON.
"""

from __future__ import annotations

import ctypes
import json
import sys
from ctypes import wintypes
from operator import attrgetter, itemgetter
from typing import Any

import netsession_floor as floor
import win32api
import win32net
from timing import in_turn, kernel_share, must_equal

import netsession
from netsession import records
from netsession import win32net as our_win32net

EVERYTHING = 0xFFFFFFFF
_SHARES = ("netsession columns", "netsession list", "pywin32 win32net")

# --- a good hand-written ctypes loop ------------------------------------------------------------

_STRING, _DWORD = ctypes.c_wchar_p, wintypes.DWORD
_FIELDS = {
    0: [("cname", _STRING)],
    1: [
        *(("cname", _STRING), ("username", _STRING), ("num_opens", _DWORD), ("time", _DWORD)),
        *(("idle_time", _DWORD), ("user_flags", _DWORD)),
    ],
    502: [
        *(("cname", _STRING), ("username", _STRING), ("num_opens", _DWORD), ("time", _DWORD)),
        *(("idle_time", _DWORD), ("user_flags", _DWORD)),
        *(("cltype_name", _STRING), ("transport", _STRING)),
    ],
}
_STRUCTURES = {
    level: type(f"SESSION_INFO_{level}", (ctypes.Structure,), {"_fields_": fields})
    for level, fields in _FIELDS.items()
}
_GETTERS = {level: attrgetter(*(name for name, _ in fields)) for level, fields in _FIELDS.items()}

_netapi32 = ctypes.WinDLL("netapi32.dll")
_enum = _netapi32.NetSessionEnum
_enum.argtypes = [
    *(_STRING, _STRING, _STRING, _DWORD, ctypes.POINTER(ctypes.c_void_p), _DWORD),
    *(ctypes.POINTER(_DWORD), ctypes.POINTER(_DWORD), ctypes.POINTER(_DWORD)),
]
_enum.restype = _DWORD
_free = _netapi32.NetApiBufferFree
_free.argtypes = [ctypes.c_void_p]


def _call(level: int) -> tuple[ctypes.c_void_p, int]:
    buffer, read, total, resume = ctypes.c_void_p(), _DWORD(), _DWORD(), _DWORD()
    status = _enum(None, None, None, level, buffer, EVERYTHING, read, total, resume)
    if status:
        raise OSError(status)
    return buffer, read.value


def server_only(level: int) -> int:
    """Asks and frees: what the server costs, which is in everybody's time."""
    buffer, count = _call(level)
    _free(buffer)
    return count


def ctypes_loop(level: int) -> list[Any]:
    """A tuple a session; level 0 has one field, and attrgetter gives it bare."""
    buffer, count = _call(level)
    try:
        array = ctypes.cast(buffer, ctypes.POINTER(_STRUCTURES[level] * count)).contents
        return list(map(_GETTERS[level], array))
    finally:
        _free(buffer)


# --- the others ---------------------------------------------------------------------------------

_server = netsession.Server()


def our_list(level: int) -> list[Any]:
    return list(_server.sessions(level=level))


def our_iteration(level: int) -> None:
    for _ in _server.sessions(level=level):
        pass


def our_columns(level: int) -> list[Any]:
    return [page.__arrow_c_array__() for page in _server.sessions(level=level).pages()]


def jobs(level: int) -> dict[str, Any]:
    record_type = getattr(records, f"SessionInfo{level}")
    made = {
        "server only": lambda: server_only(level),
        "netsession list": lambda: our_list(level),
        "netsession iteration": lambda: our_iteration(level),
        "netsession win32net dicts": lambda: our_win32net.NetSessionEnum(level),
        "bare C loop, list": lambda: floor.records(None, level, record_type),
        "bare C loop, dropped": lambda: floor.discard(None, level, record_type),
        "pywin32 win32net": lambda: win32net.NetSessionEnum(level),
        "ctypes loop": lambda: ctypes_loop(level),
    }
    if hasattr(netsession.SessionPage, "__arrow_c_array__"):
        made["netsession columns"] = lambda: our_columns(level)
    return made


def set_up(entries: int) -> None:
    if not _netapi32.SimulatorReset(entries, 0):
        raise MemoryError
    _netapi32.SimulatorPrepare(1)


def check() -> None:
    """The same sessions from everybody; the thousandth has a time that pywin32 makes negative."""
    set_up(999)
    for level in _FIELDS:
        ours = our_list(level)
        must_equal("pywin32", win32net.NetSessionEnum(level), our_win32net.NetSessionEnum(level))
        must_equal(
            "win32net dicts", our_win32net.NetSessionEnum(level), [r._asdict() for r in ours]
        )
        bare = list(map(itemgetter(0), ours)) if level == 0 else ours
        must_equal("the ctypes loop", ctypes_loop(level), bare)
        must_equal("the floor", floor.records(None, level, type(ours[0])), ours)


def main() -> None:
    check()
    answer = []
    for level, entries, rounds, seconds in json.loads(sys.argv[1])["cases"]:
        set_up(entries)
        times = in_turn(jobs(level), rounds, seconds)
        answer += [
            {"contender": name, "level": level, "entries": entries, **spent}
            for name, spent in times.items()
        ]
    set_up(100_000)
    shares = {name: kernel_share(work) for name, work in jobs(502).items() if name in _SHARES}
    build = win32api.GetFileVersionInfo(win32api.__file__, "\\")["FileVersionLS"] >> 16
    versions = {"Windows Python": sys.version, "pywin32": f"build {build}"}
    print("JSON" + json.dumps({"samples": answer, "versions": versions, "shares": shares}))


if __name__ == "__main__":
    main()
