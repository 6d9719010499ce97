"""A simulated server for tests: no Windows, no network, no rights needed.

    from netsession.testing import simulated_server

    with simulated_server(sessions=1000) as server:
        assert len(list(server.sessions())) == 1000

It is a simulator, written from the documentation; it proves nothing about a real server. The
guide is docs/testing.md; with pytest there are the fixtures ``netsession_server`` and
``netsession_fleet``.
"""

from __future__ import annotations

from . import records
from ._options import check_int
from ._simulator import Simulator
from .server import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Literal

    from ._native import NativeCall
    from .srvsvc import Call

    SomeSessions = int | Iterable[Mapping[str, Any] | tuple[Any, ...]]
    Only = Literal["first", "last"]

__all__ = ["SimulatedServer", "simulated_fleet", "simulated_server"]

_MOST = 0xFFFFFFFF
_LONGEST = 4_000_000  # seconds, 46 days: milliseconds fit a DWORD
_ACCESS_DENIED = 5
_FUNCTIONS = ("NetSessionEnum", "NetSessionGetInfo", "NetSessionDel")

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
    """A Server on the simulator, made with :func:`simulated_server` or :func:`simulated_fleet`.

    Any thread may use it, and change it while others ask. Like netapi32.dll, it cannot be called
    off: a call takes as long as its latency says, whatever Ctrl-C or close() do.
    """

    def __init__(
        self, simulator: Simulator, name: str = "simulated", condition: str = "well"
    ) -> None:
        super().__init__(name, backend=simulator.netapi)
        self._simulator = simulator
        self._condition = condition
        self._latency = 0.0

    def __repr__(self) -> str:
        name = "" if self.name == "simulated" else f" {self.name}"
        kind = "" if self._condition == "well" else f"{self._condition} "
        count = self.session_count
        return f"<{type(self).__name__}{name}, a {kind}simulator with {count} sessions>"

    def _resolve(self, name: str, call: NativeCall | Call) -> tuple[frozenset[str], str | None]:
        """No name is looked up: these clients do not exist."""
        return frozenset(), None

    @property
    def session_count(self) -> int:
        """How many sessions it has, those ended not counted (int)."""
        return self._simulator.count

    @property
    def condition(self) -> str:
        """As which kind of member simulated_fleet() made it: well, slow, dead or denied (str)."""
        return self._condition

    @property
    def latency(self) -> float:
        """What every call of a function takes, in seconds (float); may be set at any time."""
        return self._latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._simulator.delay(_milliseconds(seconds, "latency"))
        self._latency = float(seconds)

    def calls(self, function: str = "NetSessionEnum") -> int:
        """How often a function was called so far, calls that have not been answered included (int).

        ``function`` is ``"NetSessionEnum"``, ``"NetSessionGetInfo"`` or ``"NetSessionDel"``;
        ValueError for another.
        """
        return self._simulator.calls(function)

    def connect_session(
        self,
        client: str,
        user: str,
        *,
        num_opens: int = 0,
        active_time: int = 0,
        idle_time: int = 0,
        user_flags: int = 0,
        client_type: str | None = "",
        transport: str | None = "",
    ) -> None:
        """A session begins: from now on it is listed, after the others.

        Args:
            client: computer name or address (str), listed as it is spelled here.
            user: user name (str), likewise; empty for an anonymous one.
            num_opens, active_time, idle_time, user_flags: as in SessionInfo502 (int, times in
                seconds, 0xFFFFFFFF for an unknown one).
            client_type, transport: likewise (str or None).

        A user may have several sessions from one client. Raises TypeError or ValueError naming
        what does not fit.
        """
        _check_pair(client, user)
        self._simulator.add(
            client, user, num_opens, active_time, idle_time, user_flags, client_type, transport
        )

    def end_session(self, client: str, user: str, *, only: Only | None = None) -> int:
        """The sessions of a user from a client end, by themselves: no NetSessionDel is counted.

        Args:
            client: computer name or address (str) as it is listed, upper or lower case, with or
                without the two backslashes.
            user: user name (str), likewise; empty for the anonymous one.
            only: ``"first"`` or ``"last"`` ends one of several, in the order in which they are
                listed; None ends them all.

        Returns how many ended (int). Raises ValueError where there is none.
        """
        _check_pair(client, user)
        return _found(self._simulator.end(client, user, only), client, user)

    def change_session(
        self,
        client: str,
        user: str,
        *,
        num_opens: int | None = None,
        active_time: int | None = None,
        idle_time: int | None = None,
        user_flags: int | None = None,
        only: Only | None = None,
    ) -> int:
        """The sessions of a user from a client are used: their idle time is 0 from here.

        Args:
            client, user, only: which sessions, as for :meth:`end_session`.
            num_opens, active_time, user_flags: their new values (int); None leaves them.
            idle_time: seconds (int) instead of 0; None leaves a time that is unknown (0xFFFFFFFF).

        Returns how many they are (int). Raises ValueError where there is none.
        """
        _check_pair(client, user)
        found = self._simulator.change(
            client, user, num_opens, active_time, idle_time, user_flags, only
        )
        return _found(found, client, user)

    def advance(self, seconds: float) -> None:
        """Moves the server's clock, by which active_time and idle_time of its sessions grow.

        It does not move by itself. A time that is unknown (0xFFFFFFFF) stays so, others grow to
        0xFFFFFFFE at most. Fractions add up; times are whole seconds. Raises TypeError or
        ValueError for what is no number of seconds from 0 on.
        """
        self._simulator.advance(_milliseconds(seconds, "seconds", longest=_MOST))

    def hang(self, seconds: float | None = 60.0) -> None:
        """From now on it is dead: each call fails with ServerUnreachable (53), but only after so
        many seconds (float), None for never; :meth:`release` ends that. Nothing else does: a
        thread that is in a call stays there, and Ctrl-C waits, as with netapi32.dll.
        """
        self._simulator.hang(None if seconds is None else _milliseconds(seconds, "seconds"))

    def release(self) -> None:
        """It is alive again. The calls that :meth:`hang` holds fail at once, later ones do not."""
        self._simulator.release()

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
    sessions: SomeSessions = 100,
    *,
    page_entries: int | None = None,
    latency: float = 0.0,
    name: str = "simulated",
) -> SimulatedServer:
    """A server with simulated sessions; also a context manager.

    Args:
        sessions: how many to make up (int; always the same ones), or an iterable of the sessions
            themselves: SessionInfo records or mappings with their field names. Fields left out
            are None for the names, 0 for numbers, and empty for the others.
        page_entries: the most entries (int) that one reply holds, None for no limit.
        latency: what every call of a function takes at least, in seconds (float, to the
            millisecond). A listing is a call a page, and one for each level that is refused.
        name: what it is called (str), for reports and messages; nothing is looked up.

    Raises TypeError or ValueError naming what does not fit.
    """
    server = SimulatedServer(_simulator(sessions, page_entries), name)
    server.latency = latency
    return server


def simulated_fleet(
    n: int,
    *,
    sessions: int | Callable[[int], SomeSessions] = 100,
    page_entries: int | None = None,
    latency: float = 0.0,
    dead: int = 0,
    slow: int = 0,
    denied: int = 0,
    dead_latency: float | None = 60.0,
    slow_latency: float = 1.0,
) -> list[SimulatedServer]:
    """Simulated servers of which some are dead, slow or closed to you, for netsession.scan().

    Args:
        n: how many (int), from 0 on. They are called ``sim0001``, ``sim0002``, ...
        sessions: how many each has (int), all of them different ones; or what
            :func:`simulated_server` takes for them, as a function of the server's number from 0.
        page_entries, latency: as for simulated_server().
        dead: how many are down (int): a call fails with ServerUnreachable (53), but only after
            ``dead_latency`` seconds (float), or with None never: see SimulatedServer.hang().
        slow: how many take ``slow_latency`` seconds (float) a call.
        denied: how many answer every question with AccessDenied (5).

    Which they are is the same each time: they are spread evenly, and ``condition`` says it.
    Raises TypeError or ValueError naming what does not fit.
    """
    _check_count(n, "n")
    for count, argument in ((dead, "dead"), (slow, "slow"), (denied, "denied")):
        _check_count(count, argument)
    if dead + slow + denied > n:
        raise ValueError(f"dead, slow and denied are {dead + slow + denied} servers, of {n}")
    if not callable(sessions):
        _check_count(sessions, "sessions")
    conditions = _spread(n, {"dead": dead, "slow": slow, "denied": denied})
    fleet = []
    for number, condition in enumerate(conditions):
        simulator = (
            _simulator(sessions(number), page_entries)
            if callable(sessions)
            else _made_up(sessions, page_entries, number * sessions)
        )
        server = SimulatedServer(simulator, f"sim{number + 1:04d}", condition)
        server.latency = slow_latency if condition == "slow" else latency
        if condition == "dead":
            server.hang(dead_latency)
        elif condition == "denied":
            for function in _FUNCTIONS:
                server.fail(function, _ACCESS_DENIED)
        fleet.append(server)
    return fleet


def _spread(n: int, kinds: dict[str, int]) -> list[str]:
    """``n`` conditions, those of each kind as evenly among them as can be."""
    conditions = ["well"] * n
    places = sorted(
        ((2 * k + 1) / (2 * count), kind) for kind, count in kinds.items() for k in range(count)
    )
    for k, (_, kind) in enumerate(places):
        conditions[(2 * k + 1) * n // (2 * len(places))] = kind
    return conditions


def _simulator(sessions: SomeSessions, page_entries: int | None) -> Simulator:
    if isinstance(sessions, int):
        return _made_up(sessions, page_entries)
    if isinstance(sessions, (str, bytes)) or not hasattr(sessions, "__iter__"):
        raise TypeError(
            "sessions must be an int or an iterable of records or mappings, "
            f"not {type(sessions).__name__}"
        )
    simulator = _made_up(0, page_entries)
    for session in sessions:
        fields = _as_mapping(session)
        unknown = fields.keys() - _DEFAULTS.keys()
        if unknown:
            raise ValueError(f"sessions: there is no field {sorted(unknown)[0]!r}")
        simulator.add(*(fields.get(name, default) for name, default in _DEFAULTS.items()))
    return simulator


def _made_up(sessions: int, page_entries: int | None, first: int = 0) -> Simulator:
    _check_count(sessions, "sessions")
    if page_entries is not None:
        check_int(page_entries, "page_entries")
        if page_entries < 1:
            raise ValueError(f"page_entries must be at least 1 or None, not {page_entries}")
    return Simulator(sessions, page_entries or 0, first & _MOST)


def _check_count(value: int, name: str) -> None:
    check_int(value, name)
    if not 0 <= value <= _MOST:
        raise ValueError(f"{name} must be between 0 and {_MOST:,}, not {value}")


def _check_pair(client: str, user: str) -> None:
    for value, name in ((client, "client"), (user, "user")):
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a str, not {type(value).__name__}")


def _found(count: int, client: str, user: str) -> int:
    if count == 0:
        raise ValueError(f"there is no session of {user!r} from {client!r}")
    return count


def _milliseconds(seconds: float, name: str, longest: int = _LONGEST) -> int:
    """Whole milliseconds; what is not nothing is one at least."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(seconds).__name__}")
    if not 0 <= seconds <= longest:  # NaN compares false with everything
        raise ValueError(f"{name} must be a number of seconds from 0 to {longest:,}, not {seconds}")
    return max(round(seconds * 1000), int(seconds > 0))


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
