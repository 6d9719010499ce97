r"""Conditions on sessions: :func:`where` makes them, a Matcher has them at work in one query.

    where(idle_for=timedelta(hours=8), no_opens=True, user=["svc-*", "CORP\\backup"])

Everything that is said must be true of a session; of several names any. Rules: docs/selecting.md.
"""

from __future__ import annotations

from ._names import FITS, NO, ClientPattern, UserPattern, is_machine_account
from ._netsession import SessionFilter
from .records import UNKNOWN_TIME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta
    from typing import Any, NoReturn

    from ._names import Resolve
    from ._netsession import SessionPage
    from .records import SessionInfo

__all__ = ["Matcher", "Where", "where"]

_MOST_OPENS = 0xFFFFFFFF  # in opens it is a number like any other

#: What Where is made with, and what means that nothing was said.
_CONDITIONS: dict[str, Any] = {
    "user": None,
    "client": None,
    "idle_for": None,
    "active_for": None,
    "no_opens": False,
    "min_opens": None,
    "exclude_machine_accounts": False,
    "exclude_self": False,
}

#: The fields of a record that a condition looks at.
_FIELDS = {
    "user": ("user_name",),
    "client": ("client_name",),
    "idle_for": ("idle_time",),
    "active_for": ("active_time",),
    "no_opens": ("num_opens",),
    "min_opens": ("num_opens",),
    "exclude_machine_accounts": ("user_name",),
    "exclude_self": ("client_name", "user_name"),
}


def where(
    *,
    user: str | Iterable[str] | None = None,
    client: str | Iterable[str] | None = None,
    idle_for: timedelta | float | None = None,
    active_for: timedelta | float | None = None,
    no_opens: bool = False,
    min_opens: int | None = None,
    exclude_machine_accounts: bool = False,
    exclude_self: bool = False,
) -> Where:
    """Conditions on sessions, for ``Server.sessions(where=)`` and to be called with a record.

    Args:
        user: any of these users (str, or an iterable of str), as ``sessions(user=)`` takes them,
            or patterns in which ``*`` is any characters and ``?`` is one.
        client: any of these clients, likewise.
        idle_for: idle at least so long (timedelta, or seconds as int or float). A time that the
            server did not know (0xFFFFFFFF) never matches.
        active_for: connected at least so long, likewise.
        no_opens: only sessions without an open file, device or pipe (bool).
        min_opens: only sessions with at least so many of them (int).
        exclude_machine_accounts: no sessions of computers, whose accounts end in ``$`` (bool).
        exclude_self: not the caller's own session (bool): what is listed with the caller's user
            and client. Only ``Server.sessions`` knows it; see docs/selecting.md.

    Raises TypeError or ValueError naming the argument. Source: the fields of SESSION_INFO_x,
    [MS-SRVS] 2.2.4.11 to 2.2.4.15.
    """
    return Where(
        user=user,
        client=client,
        idle_for=idle_for,
        active_for=active_for,
        no_opens=no_opens,
        min_opens=min_opens,
        exclude_machine_accounts=exclude_machine_accounts,
        exclude_self=exclude_self,
    )


class Where:
    """Conditions on sessions, made with :func:`where`. Immutable; two that say the same are equal.

    Called with a record it says whether all conditions are true of it (bool), as
    ``Server.sessions(where=)`` does, but looks no host name up: a client's name is then a name
    only. With ``exclude_self`` that raises ValueError: without a server nobody knows who is meant.
    """

    __slots__ = ("_alone", "_said")

    _said: dict[str, Any]
    _alone: Matcher

    def __init__(self, **conditions: Any) -> None:
        unknown = conditions.keys() - _CONDITIONS.keys()
        if unknown:
            raise TypeError(f"where() has no argument {sorted(unknown)[0]!r}")
        said = _CONDITIONS | conditions
        for name in ("user", "client"):
            said[name] = _names_in(said[name], name)
        for name in ("no_opens", "exclude_machine_accounts", "exclude_self"):
            if not isinstance(said[name], bool):
                raise TypeError(f"{name} must be True or False, not {_kind(said[name])}")
        _check_opens(said["min_opens"], said["no_opens"])
        object.__setattr__(self, "_said", said)
        object.__setattr__(self, "_alone", self._matcher())  # checks names and times

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} cannot be changed: make another one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} cannot be changed: make another one")

    @property
    def fields(self) -> frozenset[str]:
        """The fields of a record that are looked at (frozenset of str); a level must have them."""
        return frozenset(field for name in self._conditions() for field in _FIELDS[name])

    def __call__(self, record: SessionInfo) -> bool:
        if self._said["exclude_self"]:
            raise ValueError(
                "exclude_self is known by a server only: give where= to Server.sessions()"
            )
        return self._alone(record)

    def _conditions(self) -> dict[str, Any]:
        """What was said, without what says nothing."""
        return {name: said for name, said in self._said.items() if said != _CONDITIONS[name]}

    def _matcher(self, resolve: Resolve | None = None) -> Matcher:
        """The conditions at work, with a way to look host names up."""
        said = self._said
        return Matcher(
            [ClientPattern(each, resolve, wildcards=True) for each in _several(said["client"])],
            [UserPattern(each, wildcards=True) for each in _several(said["user"])],
            idle_for=_seconds(said["idle_for"], "idle_for"),
            active_for=_seconds(said["active_for"], "active_for"),
            most_opens=0 if said["no_opens"] else None,
            least_opens=said["min_opens"],
            no_machines=said["exclude_machine_accounts"],
            not_self=said["exclude_self"],
        )

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Where) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return tuple(
            _several(said) if name in ("user", "client") else _in_seconds(said)
            for name, said in self._said.items()
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (self._conditions(),)

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={said!r}" for name, said in self._conditions().items())
        return f"where({said})"


def _remade(conditions: dict[str, Any]) -> Where:
    return Where(**conditions)


class Matcher:
    """Conditions at work in one query.

    Its patterns remember what the query's messages and plans tell of: which addresses were taken,
    which names were met.
    """

    def __init__(
        self,
        clients: Sequence[ClientPattern] = (),
        users: Sequence[UserPattern] = (),
        *,
        idle_for: float | None = None,
        active_for: float | None = None,
        most_opens: int | None = None,
        least_opens: int | None = None,
        no_machines: bool = False,
        not_self: bool = False,
    ) -> None:
        self.clients = tuple(clients)
        self.users = tuple(users)
        self._least_idle = _whole_seconds(idle_for)
        self._least_active = _whole_seconds(active_for)
        self._least_opens = least_opens
        self._most_opens = most_opens
        self._no_machines = no_machines
        self.not_self = not_self
        self._own_clients: tuple[ClientPattern, ...] = ()
        self._own_users: tuple[UserPattern, ...] = ()  # both, or nothing is left out
        self._compiled: SessionFilter | None = None
        self._told = {"idle": not self._least_idle}  # also to those that are made of this one

    def __call__(self, record: SessionInfo) -> bool:
        return self.fit(record) != NO

    def filter(self, page: SessionPage) -> SessionPage:
        """The sessions of a page that fit, also those that only may; in C."""
        compiled = self._compiled  # other threads may be here
        if compiled is None:
            compiled = self._compiled = SessionFilter(
                self.clients,
                self.users,
                self._own_clients,
                self._own_users,
                self._least_idle,
                self._least_active,
                self._least_opens,
                self._most_opens,
                self._no_machines,
            )
        kept = page.filter(compiled)
        if not self.idle_is_told:
            self._told["idle"] = len(kept) > 0 or len(page.filter(_IDLE)) > 0
        return kept

    @property
    def idle_is_told(self) -> bool:
        """False where idle ones were asked for and no session that was looked at was ever idle.

        There are servers that say 0 of every session.
        """
        return self._told["idle"]

    def fit(self, record: SessionInfo) -> int:
        """How well a record fits: NO, MAY_FIT (to be shown, never ended) or FITS."""
        fit = _best(self.clients, record.client_name)
        if fit != NO:
            fit = min(fit, _best(self.users, record.user_name))
        return fit if fit != NO and self._others(record) else NO

    def without(self, clients: Sequence[ClientPattern], users: Sequence[UserPattern]) -> Matcher:
        """One with the same patterns that leaves out these users' sessions from these clients."""
        made = Matcher.__new__(Matcher)
        vars(made).update(vars(self))
        made._own_clients, made._own_users = tuple(clients), tuple(users)
        made._compiled = None
        return made

    def _others(self, record: SessionInfo) -> bool:
        """Whether all is true that is not said with names to look for."""
        return (
            _lasts(record.idle_time, self._least_idle)
            and _lasts(record.active_time, self._least_active)
            and self._opens_fit(record.num_opens)
            and not (self._no_machines and is_machine_account(record.user_name))
            and not self._is_own(record)
        )

    def _opens_fit(self, opens: int | None) -> bool:
        least, most = self._least_opens, self._most_opens
        if opens is None:
            return least is None and most is None
        return (least is None or opens >= least) and (most is None or opens <= most)

    def _is_own(self, record: SessionInfo) -> bool:
        """Whether it may be the caller's own session."""
        return any(each.fit(record.user_name) for each in self._own_users) and any(
            each.fit(record.client_name) for each in self._own_clients
        )


#: Sessions that were idle for a second at least.
_IDLE = SessionFilter((), (), (), (), 1, None, None, None, False)


def _whole_seconds(least: float | None) -> int | None:
    """The least whole seconds that are so many; nothing is longer than the longest DWORD."""
    return None if least is None else min(int(-(-least // 1)), UNKNOWN_TIME)


def _lasts(seconds: int | None, least: int | None) -> bool:
    return least is None or (seconds is not None and seconds != UNKNOWN_TIME and seconds >= least)


def _best(patterns: Sequence[ClientPattern] | Sequence[UserPattern], listed: str | None) -> int:
    """How well a name fits any of the patterns; FITS where there are none."""
    best = NO if patterns else FITS
    for pattern in patterns:
        if fit := pattern.fit(listed):
            pattern.met = True
            best = max(best, fit)
    return best


# -- what may be said ------------------------------------------------------------------------------


def _names_in(given: Any, argument: str) -> str | tuple[str, ...] | None:
    """A name as it is, several as a tuple of them. Patterns are made of them, which check each."""
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, (bytes, bytearray)) or not hasattr(given, "__iter__"):
        raise TypeError(f"{argument} must be a str or an iterable of str, not {_kind(given)}")
    names = tuple(given)
    if not names:
        raise ValueError(f"{argument} holds no name; leave it out to mean any {argument}")
    return names


def _several(given: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given or ()


def _in_seconds(given: Any) -> Any:
    return given.total_seconds() if hasattr(given, "total_seconds") else given


def _seconds(given: Any, argument: str) -> float | None:
    """A length of time in seconds; None where nothing was said."""
    if given is None:
        return None
    seconds = _in_seconds(given)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(
            f"{argument} must be a timedelta or a number of seconds, not {_kind(given)}"
        )
    if not 0 <= seconds < float("inf"):  # NaN compares false with everything
        raise ValueError(f"{argument} must be 0 seconds or more, and finite, not {given!r}")
    return seconds


def _check_opens(least: Any, none_at_all: bool) -> None:
    if least is None:
        return
    if isinstance(least, bool) or not isinstance(least, int):
        raise TypeError(f"min_opens must be an int, not {_kind(least)}")
    if not 0 <= least <= _MOST_OPENS:
        raise ValueError(f"min_opens must be between 0 and {_MOST_OPENS}, not {least}")
    if least and none_at_all:
        raise ValueError("min_opens and no_opens contradict each other: leave one out")


def _kind(value: object) -> str:
    return type(value).__name__
