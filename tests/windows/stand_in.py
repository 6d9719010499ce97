"""The stand-in netapi32.dll seen from Python: see src/simulator_dll.c for what each call does."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

from netsession import SessionInfo502

FUNCTIONS = ("NetSessionEnum", "NetSessionGetInfo", "NetSessionDel")
FOR_EVER = 0xFFFFFFFF


class _SessionInfo502(ctypes.Structure):
    _fields_ = (
        ("cname", ctypes.c_wchar_p),
        ("username", ctypes.c_wchar_p),
        ("num_opens", ctypes.c_uint32),
        ("time", ctypes.c_uint32),
        ("idle_time", ctypes.c_uint32),
        ("user_flags", ctypes.c_uint32),
        ("cltype_name", ctypes.c_wchar_p),
        ("transport", ctypes.c_wchar_p),
    )


class StandIn:
    """One simulated server for the whole process."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.SimulatorLastServer.restype = ctypes.c_wchar_p
        for name in ("Count", "Outstanding", "BadFrees", "Calls", "LastPreferredLength"):
            getattr(library, f"Simulator{name}").restype = ctypes.c_uint32

    def reset(self, made_up: int, page_entries: int = 0) -> None:
        assert self._library.SimulatorReset(made_up, page_entries)

    def add(self, sessions: Iterable[SessionInfo502]) -> None:
        for session in sessions:
            assert self._library.SimulatorAdd(ctypes.byref(_SessionInfo502(*session)))

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
