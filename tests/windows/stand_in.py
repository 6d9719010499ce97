"""The stand-in netapi32.dll seen from Python: see src/simulator_dll.c for what each call does."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

from netsession import SessionInfo502

FUNCTIONS = ("NetSessionEnum", "NetSessionGetInfo", "NetSessionDel")
FOR_EVER = 0xFFFFFFFF


_NAMES = (("cname", ctypes.c_wchar_p), ("username", ctypes.c_wchar_p))
_OPENS = (("num_opens", ctypes.c_uint32),)
_TIMES = (("time", ctypes.c_uint32), ("idle_time", ctypes.c_uint32))
_FLAGS = (("user_flags", ctypes.c_uint32),)
_TYPE = (("cltype_name", ctypes.c_wchar_p),)

#: SESSION_INFO_x as lmshare.h declares them, told here a second time: the library and the
#: extension share one table, and a mistake in it would be in both.
_LAYOUTS = {
    0: _NAMES[:1],
    1: _NAMES + _OPENS + _TIMES + _FLAGS,
    2: _NAMES + _OPENS + _TIMES + _FLAGS + _TYPE,
    10: _NAMES + _TIMES,
    502: _NAMES + _OPENS + _TIMES + _FLAGS + _TYPE + (("transport", ctypes.c_wchar_p),),
}
_STRUCTURES = {
    level: type(f"SESSION_INFO_{level}", (ctypes.Structure,), {"_fields_": fields})
    for level, fields in _LAYOUTS.items()
}


class StandIn:
    """One simulated server for the whole process."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.SimulatorLastServer.restype = ctypes.c_wchar_p
        for name in ("Count", "Outstanding", "BadFrees", "Calls", "LastPreferredLength", "End"):
            getattr(library, f"Simulator{name}").restype = ctypes.c_uint32

    def read(self, level: int) -> list[tuple[object, ...]]:
        """All sessions by a NetSessionEnum of our own, without the extension."""
        entries, count, total = ctypes.c_void_p(), ctypes.c_uint32(), ctypes.c_uint32()
        status = self._library.NetSessionEnum(
            *(None, None, None, level, ctypes.byref(entries), ctypes.c_uint32(FOR_EVER)),
            *(ctypes.byref(count), ctypes.byref(total), None),
        )
        assert status == 0
        structure = _STRUCTURES[level]
        array = ctypes.cast(entries, ctypes.POINTER(structure * count.value)).contents
        found = [tuple(getattr(one, name) for name, _ in _LAYOUTS[level]) for one in array]
        assert self._library.NetApiBufferFree(entries) == 0
        return found

    def reset(self, made_up: int, page_entries: int = 0) -> None:
        assert self._library.SimulatorReset(made_up, page_entries)

    def add(self, sessions: Iterable[SessionInfo502]) -> None:
        for session in sessions:
            assert self._library.SimulatorAdd(ctypes.byref(_STRUCTURES[502](*session)))

    def end(self, client: str, user: str) -> int:
        """End the sessions of exactly this user from this client; how many they were."""
        return int(self._library.SimulatorEnd(ctypes.c_wchar_p(client), ctypes.c_wchar_p(user)))

    def advance(self, milliseconds: int) -> None:
        """Move the clock by which the sessions' times grow."""
        self._library.SimulatorAdvance(ctypes.c_uint32(milliseconds))

    def hang(self, milliseconds: int = FOR_EVER) -> None:
        """Answer nothing until release(), or ERROR_BAD_NETPATH after so long."""
        self._library.SimulatorHang(ctypes.c_uint32(milliseconds))

    def release(self) -> None:
        """Answer again; calls that hang get ERROR_BAD_NETPATH now."""
        self._library.SimulatorRelease()

    def refuse(self, level: int, status: int) -> None:
        assert self._library.SimulatorRefuseLevel(level, status)

    def fail(self, function: str, status: int, after: int = 0, times: int = FOR_EVER) -> None:
        """Answer calls of a function with a status only, after `after` calls that are served."""
        arguments = (FUNCTIONS.index(function), status, after, times)
        self._library.SimulatorFail(*(ctypes.c_uint32(argument) for argument in arguments))

    def fail_with_buffer(self, status: int) -> None:
        """Do what is asked, hand out the buffer, and answer this status all the same."""
        self._library.SimulatorOverrideStatus(ctypes.c_uint32(status))

    def stay_silent(self) -> None:
        """Say success and touch no output, as Wine's own NetSessionEnum does."""
        self._library.SimulatorSilent(1)

    def stick(self) -> None:
        """Say "more" for ever, with nothing in the replies."""
        self._library.SimulatorStick(1, 0)

    def delay(self, milliseconds: int) -> None:
        self._library.SimulatorDelay(milliseconds)

    def calls(self, function: str) -> int:
        return int(self._library.SimulatorCalls(FUNCTIONS.index(function)))

    @property
    def count(self) -> int:
        return int(self._library.SimulatorCount())

    @property
    def outstanding(self) -> int:
        return int(self._library.SimulatorOutstanding())

    @property
    def bad_frees(self) -> int:
        return int(self._library.SimulatorBadFrees())

    @property
    def last_server(self) -> str | None:
        server: str | None = self._library.SimulatorLastServer()
        return server

    @property
    def last_preferred_length(self) -> int:
        return int(self._library.SimulatorLastPreferredLength())


def load() -> StandIn | None:
    """The stand-in, or None where netapi32.dll is another one."""
    try:
        library = ctypes.CDLL("netapi32.dll")
        return StandIn(library) if library.SimulatorReset else None
    except (OSError, AttributeError):
        return None
