"""What is sent to end sessions by conditions, decided from a list; nothing here sends anything.

NetSessionDel ends all sessions of a user from a client, so one that does not match keeps the
others. Rules: docs/ending.md.
"""

from __future__ import annotations

from time import time

from . import _netsession, _plan
from ._names import FITS, NO
from ._own import OwnSession
from ._pairs import Doubles, LeftAlone, Pair, Pairs, called, why_not_named
from ._reasons import mismatch, some_of
from ._where import Where, _best
from .errors import AccessDenied, AmbiguousName, NetApiError
from .server import _joined, _may_not_list, _Pages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._names import ClientPattern, UserPattern
    from ._native import NativeCall
    from ._plan import DeletePlan
    from ._where import Matcher
    from .records import SessionInfo
    from .server import Server, Sessions
    from .srvsvc import Call

__all__ = ["check_names", "listed", "plan_listed", "plan_where", "query_of"]

_ERROR_ACCESS_DENIED = 5

_NAMES = frozenset({"client_name", "user_name"})
#: Conditions that are not true of every session; those of 0 are.
_CHOOSING = ("client", "user", "idle_for", "active_for", "no_opens", "min_opens")
_OWN = "may be your own session, which conditions never end"
_UNSURE = (
    "may be meant or not: servers differ in which letters are the same but for case, and in how a "
    "domain is written"
)


def plan_where(
    server: Server, call: NativeCall | Call, client: str | None, user: str | None, where: Where
) -> DeletePlan:
    """What ends the sessions of which the conditions are true, and only these. Sends nothing.

    Raises what Server.plan_delete() says of ``where``.
    """
    query = _checked_query(server, call, client, user, where)
    try:
        records = listed(query, call)
    except NetApiError as error:
        error.detail = _joined(error.detail, "nothing was done")
        raise
    return _decided(server, call, query, records, where, time())


def plan_listed(
    server: Server,
    records: list[SessionInfo],
    listed_at: float,
    *,
    client: str | None,
    user: str | None,
    where: Where,
) -> DeletePlan:
    """The same from what the server was listed as before, all of it; asks it nothing.

    Raises AccessDenied where the level that it granted lacks what the conditions look at.
    """
    call = server._begin_one("NetSessionDel")  # what looks names up has its time
    query = _checked_query(server, call, client, user, where)
    lacking = sorted(query._fields.difference(records[0]._fields)) if records else None
    if lacking:
        detail = f"ending by conditions needs the list, with {', '.join(lacking)}; nothing was done"
        raise AccessDenied(_ERROR_ACCESS_DENIED, "NetSessionEnum", server.name, detail=detail)
    return _decided(server, call, query, records, where, listed_at)


def check_names(server: Server, client: str | None, user: str | None, where: Where) -> None:
    """Raises TypeError or ValueError for what no server can be asked to end; asks none."""
    _checked_query(server, server._begin_one("NetSessionDel"), client, user, where)


def _checked_query(
    server: Server, call: NativeCall | Call, client: str | None, user: str | None, where: Where
) -> Sessions:
    _check(client, user, where)
    query = query_of(server, call, client=client, user=user, where=where)
    for matcher in query._matchers:
        # What may not be sent is not listed either: encoding checks the names as sending does.
        for pattern in matcher.clients:
            _netsession.encode_delete_request(None, pattern.typed, None)
        for user_pattern in matcher.users:
            _netsession.encode_delete_request(None, None, user_pattern.typed)
    return query


def _decided(
    server: Server,
    call: NativeCall | Call,
    query: Sessions,
    records: list[SessionInfo],
    where: Where,
    listed_at: float,
) -> DeletePlan:
    try:
        meant = _Meant(query._matchers, records)
    except AmbiguousName as error:
        error.server = server.name
        raise
    client, user = query._client, query._user
    if not meant.anybody and not (client is None and user is None):
        raise server._not_found(query, "NetSessionDel")
    plan = _Planning(records, meant, where, server, call).plan()
    plan.client = None if client is None else client.typed
    plan.user = None if user is None else user.typed
    plan.addresses, plan.listed_at = query.addresses, listed_at
    return plan


def _check(client: str | None, user: str | None, where: Where) -> None:
    """That conditions do choose: what is true of every session is none."""
    if not isinstance(where, Where):
        raise TypeError(f"where must be made by netsession.where(), not {type(where).__name__}")
    if client is None and user is None and not _chooses(where):
        raise ValueError(
            f"where must say which sessions are meant, and {where!r} leaves none out: ending "
            "every session of a server is never done"
        )


def _chooses(where: Where) -> bool:
    """Whether it says which sessions, not only which ones are left out."""
    said = where._conditions()
    return any(said.get(name) for name in _CHOOSING)


def query_of(
    server: Server,
    call: NativeCall | Call,
    *,
    client: str | None = None,
    user: str | None = None,
    where: Where,
) -> Sessions:
    """A query at a level that tells what the conditions look at, and whose sessions they are."""
    query = server.sessions(client=client, user=user, where=where)
    query._fields |= _NAMES
    query._look_up.call = call
    return query


def listed(
    query: Sessions, call: NativeCall | Call, near: Matcher | None = None
) -> list[SessionInfo]:
    """All that the server lists, whatever the query looks for: a pair is all of its sessions.

    With ``near`` only what that matches.
    """
    records: list[SessionInfo] = []
    try:
        for page in _Pages(query, call):
            records += page if near is None else near.filter(page)
            del page  # not kept while the next one comes
    except NetApiError as error:
        if _may_not_list(error):
            needed = ", ".join(sorted(query._fields))
            needed = f"ending by conditions needs the list, with {needed}"
            error.detail = _joined(error.detail, needed)
        raise
    return records


class _Meant:
    """Which of the listed sessions are meant: by their names for certain, and by all the rest.

    Raises AmbiguousName where a name without wildcards is more than one account or client.
    """

    def __init__(self, matchers: Sequence[Matcher], records: list[SessionInfo]) -> None:
        self._matchers = matchers
        fits = {id(record): self._fit(record) for record in records}
        fitting = [record for record in records if fits[id(record)] != NO]
        accounts = {
            pattern: _plan.one_account(pattern, _of(pattern, fitting))
            for matcher in matchers
            for pattern in matcher.users
            if not pattern.is_wild
        }
        for matcher in matchers:
            for pattern in matcher.clients:
                if not pattern.is_wild:
                    _plan.certain_clients(pattern, _from(pattern, fitting))
        self._accounts = accounts
        self._unsure = {key for key, fit in fits.items() if fit not in (NO, FITS)}
        self._certain = {
            id(record)
            for record in fitting
            if fits[id(record)] == FITS and self._has_account(record)
        }

    @property
    def anybody(self) -> bool:
        """Whether any session has the names, whatever else is true of it."""
        return bool(self._certain or self._unsure)

    def _fit(self, record: SessionInfo) -> int:
        return min(
            min(_best(matcher.clients, record.client_name), _best(matcher.users, record.user_name))
            for matcher in self._matchers  # one at least: conditions that say nothing are refused
        )

    def _has_account(self, record: SessionInfo) -> bool:
        """Whether it is of the accounts that the users' names mean, where there are several."""
        return all(
            not matcher.users or any(self._means(user, record) for user in matcher.users)
            for matcher in self._matchers
        )

    def _means(self, user: UserPattern, record: SessionInfo) -> bool:
        if user.is_wild:
            return user.fit(record.user_name) == FITS
        account = self._accounts[user]
        return account is not None and _plan.same(account, record.user_name)

    def matches(self, record: SessionInfo) -> bool:
        """Whether it is to be ended, as far as it goes by itself."""
        return id(record) in self._certain and self.matches_else(record)

    def matches_perhaps(self, record: SessionInfo) -> bool:
        """Whether it would be if it were certain that its names are meant."""
        return id(record) in self._unsure and self.matches_else(record)

    def matches_else(self, record: SessionInfo) -> bool:
        """Whether all is true that is not said with names."""
        return all(matcher._others(record) for matcher in self._matchers)


def _of(user: UserPattern, records: list[SessionInfo]) -> list[SessionInfo]:
    return [record for record in records if user.fit(record.user_name) != NO]


def _from(client: ClientPattern, records: list[SessionInfo]) -> list[SessionInfo]:
    return [record for record in records if client.fit(record.client_name) != NO]


class _Planning:
    """The pairs of which every session is meant; the others with the reason, and who is near."""

    def __init__(
        self,
        records: list[SessionInfo],
        meant: _Meant,
        where: Where,
        server: Server,
        call: NativeCall | Call,
    ) -> None:
        pairs = Pairs().group(records)
        self._pairs = pairs.values()
        self._doubles = Doubles(pairs)
        self._meant = meant
        self._where = where
        self._server = server
        self._call = call
        self._own: OwnSession | None = None

    def plan(self) -> DeletePlan:
        """As far as it follows from the list."""
        ending: list[Pair] = []
        left_alone: list[LeftAlone] = []
        for pair in self._pairs:
            hits = sum(map(self._meant.matches, pair.records))
            if not hits and not any(map(self._meant.matches_perhaps, pair.records)):
                continue
            reason = self._why_left(pair, hits)
            if reason is None:
                ending.append(pair)
            else:
                left_alone.append(LeftAlone(pair.client, pair.user, reason, tuple(pair.records)))
        return _plan.DeletePlan(
            None,
            None,
            [target for pair in ending for target in pair.targets()],
            [record for pair in ending for record in pair.records],
            server=self._server.name,
            where=self._where,
            left_alone=left_alone,
            endangered=self._endangered(ending),
        )

    def _why_left(self, pair: Pair, hits: int) -> str | None:
        """Why a pair with a session that matches is not ended; None where it is."""
        total = len(pair.records)
        if not hits:
            return _UNSURE
        if hits < total:
            misses = (record for record in pair.records if not self._meant.matches(record))
            return some_of(total, [mismatch(self._where, record) for record in misses])
        return (
            why_not_named(pair, self._server.name)
            or _why_double(pair, self._doubles)
            or self._why_own(pair)
        )

    def _why_own(self, pair: Pair) -> str | None:
        if self._own is None:  # looked up only where something would be ended
            self._own = OwnSession(self._server, self._call)
        return _OWN if any(map(self._own, pair.records)) else None

    def _endangered(self, ending: list[Pair]) -> list[SessionInfo]:
        """The other sessions from the clients of those that are ended."""
        clients = {client for pair in ending for client in pair.clients}
        ended = {id(pair) for pair in ending}
        near = (
            pair
            for pair in self._pairs
            if id(pair) not in ended and not clients.isdisjoint(pair.clients)
        )
        return [record for pair in near for record in pair.records]


def _why_double(pair: Pair, doubles: Doubles) -> str | None:
    for other in doubles.of(pair):
        return (
            f"may be the same to the server as {called(other.client, other.user)}: servers differ "
            "in which letters are the same but for case"
        )
    return None
