"""A simulated server for tests: no Windows, no network, no rights needed.

    from netsession.testing import simulated_server

    with simulated_server(sessions=1000) as server:
        assert len(list(server.sessions())) == 1000

It is a simulator, written from the documentation; it proves nothing about a real server.
"""

from __future__ import annotations

from . import records
from ._options import check_int
from ._simulator import Simulator
from .server import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ._native import NativeCall
    from .srvsvc import Call

__all__ = ["SimulatedServer", "simulated_server"]

_MOST = 0xFFFFFFFF

#: What a field is where a record or mapping leaves it out.
_DEFAULTS: dict[str, str | int | None] = {
    "client_name": None,
    "user_name": None,
    "num_opens": 0,
    "active_time": 0,
    "idle_time": 0,
    "user_flags": 0,
    "client_type": "",
    "transport": "",
}


class SimulatedServer(Server):
    """A Server on the simulator, made with :func:`simulated_server`."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__("simulated", backend=simulator.netapi)
        self._simulator = simulator

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, a simulator with {self.session_count} sessions>"

    def _resolve(self, name: str, call: NativeCall | Call) -> tuple[frozenset[str], str | None]:
        """No name is looked up: these clients do not exist."""
        return frozenset(), None

    @property
    def session_count(self) -> int:
        """How many sessions it has, those deleted not counted (int)."""
        return self._simulator.count

    def refuse(self, level: int, status: int = 5) -> None:
        """From now on answers this level with this status (int, 5 is ERROR_ACCESS_DENIED).

        A status of 0 serves the level again. Raises ValueError for an unknown level.
        """
        self._simulator.refuse(level, status)

    def fail(self, function: str, status: int, *, after: int = 0, times: int | None = None) -> None:
        """Answers calls of a function with a status instead of doing them.

        ``function`` is ``"NetSessionEnum"``, ``"NetSessionGetInfo"`` or ``"NetSessionDel"``;
        ``after`` so many more calls are served first, then ``times`` calls fail (None: all).
        Raises ValueError for an unknown function.
        """
        self._simulator.fail(function, status, after, times)


def simulated_server(
    sessions: int | Iterable[Mapping[str, Any] | tuple[Any, ...]] = 100,
    *,
    page_entries: int | None = None,
) -> SimulatedServer:
    """A server with simulated sessions; also a context manager.

    Args:
        sessions: how many to make up (int; always the same ones), or an iterable of the sessions
            themselves: SessionInfo records or mappings with their field names. Fields left out
            are None for the names, 0 for numbers, and empty for the others.
        page_entries: the most entries (int) that one reply holds, None for no limit.

    Raises TypeError or ValueError naming what does not fit.
    """
    if page_entries is not None:
        check_int(page_entries, "page_entries")
        if page_entries < 1:
            raise ValueError(f"page_entries must be at least 1 or None, not {page_entries}")
    if isinstance(sessions, int):
        check_int(sessions, "sessions")
        if not 0 <= sessions <= _MOST:
            raise ValueError(f"sessions must be between 0 and {_MOST:,}, not {sessions}")
        return SimulatedServer(Simulator(sessions, page_entries or 0))
    if isinstance(sessions, (str, bytes)) or not hasattr(sessions, "__iter__"):
        raise TypeError(
            "sessions must be an int or an iterable of records or mappings, "
            f"not {type(sessions).__name__}"
        )
    simulator = Simulator(0, page_entries or 0)
    for session in sessions:
        fields = _as_mapping(session)
        unknown = fields.keys() - _DEFAULTS.keys()
        if unknown:
            raise ValueError(f"sessions: there is no field {sorted(unknown)[0]!r}")
        simulator.add(*(fields.get(name, default) for name, default in _DEFAULTS.items()))
    return SimulatedServer(simulator)


def _as_mapping(session: Mapping[str, Any] | tuple[Any, ...]) -> Mapping[str, Any]:
    if isinstance(session, tuple):
        record = session
        if not isinstance(record, _RECORDS):
            raise TypeError("sessions must hold SessionInfo records or mappings, not tuples")
        return record._asdict()
    if not hasattr(session, "keys"):
        raise TypeError(
            f"sessions must hold SessionInfo records or mappings, not {type(session).__name__}"
        )
    return session


_RECORDS = (
    records.SessionInfo0,
    records.SessionInfo1,
    records.SessionInfo2,
    records.SessionInfo10,
    records.SessionInfo502,
)
