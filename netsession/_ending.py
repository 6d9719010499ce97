"""Ending by conditions: a plan from a list, and carrying it out pair by pair (docs/ending.md).

NetSessionDel ends all sessions of a user from a client. So one of them that does not match keeps
the others, and each pair is listed again right before its request.
"""

from __future__ import annotations

from contextlib import suppress
from copy import copy
from time import time

from . import _netsession, _plan
from ._names import FITS, NO
from ._own import OwnSession
from ._pairs import (
    Doubles,
    LeftAlone,
    Pair,
    PairOutcome,
    Pairs,
    called,
    has_new,
    ipv4_of,
    why_not_named,
)
from ._reasons import mismatch, some_of
from ._where import Where, _best
from .errors import (
    AccessDenied,
    AmbiguousName,
    CallTimeout,
    MalformedReply,
    NetApiError,
    ServerUnreachable,
    SessionNotFound,
)
from .server import _joined, _may_not_list, _Pages, _tell, _was_called

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._names import ClientPattern, UserPattern
    from ._native import NativeCall
    from ._plan import DeletePlan, Target
    from ._where import Matcher
    from .records import SessionInfo
    from .server import Server, Sessions
    from .srvsvc import Call

_NAMES = frozenset({"client_name", "user_name"})
#: Conditions that are not true of every session; those of 0 are.
_CHOOSING = ("client", "user", "idle_for", "active_for", "no_opens", "min_opens")
_OWN = "may be your own session, which conditions never end"
_UNSURE = (
    "may be meant or not: servers differ in which letters are the same but for case, and in how a "
    "domain is written"
)


# -- planning -------------------------------------------------------------------------------------


def plan_where(
    server: Server, call: NativeCall | Call, client: str | None, user: str | None, where: Where
) -> DeletePlan:
    """What ends the sessions of which the conditions are true, and only these. Sends nothing.

    Raises what Server.plan_delete() says of ``where``.
    """
    _check(client, user, where)
    query = _query(server, call, client=client, user=user, where=where)
    for matcher in query._matchers:
        # What may not be sent is not listed either: encoding checks the names as sending does.
        for pattern in matcher.clients:
            _netsession.encode_delete_request(None, pattern.typed, None)
        for user_pattern in matcher.users:
            _netsession.encode_delete_request(None, None, user_pattern.typed)
    try:
        records = _listed(query, call)
    except NetApiError as error:
        error.detail = _joined(error.detail, "nothing was done")
        raise
    listed_at = time()
    try:
        meant = _Meant(query._matchers, records)
    except AmbiguousName as error:
        error.server = server.name
        raise
    if not meant.anybody and not (client is None and user is None):
        raise server._not_found(query, "NetSessionDel")
    plan = _planned(records, meant, where, server)
    plan.client, plan.user = client, user
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


def _query(
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


def _listed(query: Sessions, call: NativeCall | Call) -> list[SessionInfo]:
    """All that the server lists, whatever the query looks for: a pair is all of its sessions."""
    records: list[SessionInfo] = []
    try:
        for page in _Pages(query, call):
            records += page
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
            (
                min(
                    _best(matcher.clients, record.client_name),
                    _best(matcher.users, record.user_name),
                )
                for matcher in self._matchers
            ),
            default=FITS,
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


def _planned(records: list[SessionInfo], meant: _Meant, where: Where, server: Server) -> DeletePlan:
    """The pairs of which every session is meant; the others with the reason, and who is near."""
    pairs = Pairs().group(records).values()
    own = OwnSession(server)
    doubles = Doubles(pairs)
    ending: list[Pair] = []
    left_alone: list[LeftAlone] = []
    for pair in pairs:
        hits = sum(map(meant.matches, pair.records))
        if not hits and not any(map(meant.matches_perhaps, pair.records)):
            continue
        reason = (
            _why_left(pair, hits, meant, where)
            or why_not_named(pair, server.name)
            or (_OWN if any(map(own, pair.records)) else None)
            or _why_double(pair, doubles)
        )
        if reason is None:
            ending.append(pair)
        else:
            left_alone.append(LeftAlone(pair.client, pair.user, reason, tuple(pair.records)))
    clients = frozenset[str]().union(*(pair.clients for pair in ending))
    ended = {id(pair) for pair in ending}
    near = (pair for pair in pairs if id(pair) not in ended and pair.clients & clients)
    return _plan.DeletePlan(
        None,
        None,
        [target for pair in ending for target in pair.targets()],
        [record for pair in ending for record in pair.records],
        where=where,
        left_alone=left_alone,
        endangered=[record for pair in near for record in pair.records],
    )


def _why_left(pair: Pair, hits: int, meant: _Meant, where: Where) -> str | None:
    """Why not all of a pair is to be ended, of which some may be; None where all is."""
    if not hits:
        return _UNSURE
    if hits == len(pair.records):
        return None
    misses = [record for record in pair.records if not meant.matches(record)]
    return some_of(len(pair.records), [mismatch(where, record) for record in misses])


def _why_double(pair: Pair, doubles: Doubles) -> str | None:
    for other in doubles.of(pair):
        return (
            f"may be the same to the server as {called(other.client, other.user)}: servers differ "
            "in which letters are the same but for case"
        )
    return None


# -- carrying out ---------------------------------------------------------------------------------


class CarryingOut:
    """A plan by conditions while it is carried out: each pair is looked at, then ended, or not.

    What has become of the pairs so far is in ``outcomes`` of the plan, in the order of the targets.
    """

    def __init__(self, server: Server, call: NativeCall | Call, plan: DeletePlan) -> None:
        if not isinstance(plan.where, Where):
            raise TypeError("plan has conditions that netsession.where() did not make")
        self._server = server
        self._call = call
        self._plan = plan
        self._where = plan.where
        self._conditions = plan.where._matcher()
        self._pairs = Pairs()
        self._planned = self._pairs.group(plan.sessions)
        #: Everybody whom the plan shows.
        self._shown = set(self._planned) | set(self._pairs.group(plan.endangered))
        self._targets: dict[object, list[Target]] = {}
        for client, user in plan.targets:
            self._targets.setdefault(self._checked(client, user), []).append((client, user))

    def _checked(self, client: str | None, user: str | None) -> object:
        identity = self._pairs.identity(client, user)
        if identity not in self._planned:
            raise ValueError(
                f"plan has a target that is none of its sessions: {(client, user)!r:.80}"
            )
        return identity

    def run(self) -> None:
        """Carries it out. Raises what Server.delete_sessions() says of plans by conditions."""
        outcomes = self._plan.outcomes = []
        failure: NetApiError | None = None
        try:
            for identity, targets in self._targets.items():
                outcome = self._carry_out(identity, targets)
                outcomes.append(outcome)
                if outcome.error is not None:
                    failure = failure or outcome.error
                    if _is_the_end(outcome.error):
                        break
            if failure is not None:
                raise copy(failure)  # the outcome's own is kept without a traceback
        except BaseException as error:
            self._tell(error)
            raise

    def _tell(self, error: BaseException) -> None:
        """Adds to what ended it what became of the pairs, those that were not asked for too."""
        outcomes = self._plan.outcomes
        for targets in list(self._targets.values())[len(outcomes) :]:
            outcomes.append(_outcome(targets, "not asked"))
        counts: dict[str, int] = {}
        for outcome in outcomes:
            counts[outcome.what] = counts.get(outcome.what, 0) + 1
        told = ", ".join(f"{count} {what}" for what, count in counts.items())
        told = f"of {len(outcomes)} pairs: {told}"
        if counts.get("ended") or counts.get("maybe"):
            _tell(error, told)
        elif isinstance(error, NetApiError):
            error.detail = _joined(error.detail, told)
        else:
            error.add_note(f"O{told[1:]}.")

    def _carry_out(self, identity: object, targets: list[Target]) -> PairOutcome:
        self._call.renew()  # as for a page of a listing: a pair has the time of a call
        elapsed = time() - (self._plan.listed_at or 0.0)
        found = self._look(identity)
        reason = self._why_not(identity, found, elapsed)
        if reason is not None:
            return _outcome(targets, "left alone", reason)
        if identity not in found:
            return _outcome(targets, "gone")
        sent = 0
        try:
            for target in targets:
                sent += self._is_ended(target)
        except NetApiError as error:
            return self._failed(identity, targets, error, sent)
        except BaseException:
            self._plan.outcomes.append(_outcome(targets, "maybe"))
            raise
        return _outcome(targets, "ended" if sent else "gone")

    def _look(self, identity: object) -> dict[object, Pair]:
        """The pairs of a fresh list, of that client where all servers spell it alike."""
        client = ipv4_of(self._planned[identity])
        query = _query(self._server, self._call, client=client, where=self._where)
        return self._pairs.group(_listed(query, self._call))

    def _why_not(self, identity: object, found: dict[object, Pair], elapsed: float) -> str | None:
        """What has changed since the plan was made, so that the pair is left alone."""
        pair, planned = found.get(identity), self._planned[identity]
        if pair is None:
            return None
        misses = [record for record in pair.records if not self._matches(record)]
        if misses:
            reasons = [mismatch(self._where, record) for record in misses]
            return f"is active again: it {some_of(len(pair.records), reasons)}"
        if has_new(planned.records, pair.records, elapsed):
            return "has a session that was not there when the plan was made"
        for other_identity, other in found.items():
            if other_identity not in self._shown and other.clients & pair.clients:
                return (
                    f"shares its client by now with {called(other.client, other.user)}, whose "
                    "session was not there when the plan was made and might end too"
                )
        return _why_double(pair, Doubles(found.values()))

    def _matches(self, record: SessionInfo) -> bool:
        return self._conditions._others(record)

    def _is_ended(self, target: Target) -> bool:
        """Sends a request. Returns whether there was anything to end."""
        try:
            self._server._end(self._call, *target)
        except SessionNotFound as error:
            if error.maybe_done:
                raise
            return False
        return True

    def _failed(
        self, identity: object, targets: list[Target], error: NetApiError, sent: int
    ) -> PairOutcome:
        """What a failed request means for the pair."""
        if isinstance(error, AccessDenied) and not error.maybe_done and _was_called(error):
            # Samba's answer also where there is nothing to end (any more).
            with suppress(NetApiError):
                if identity not in self._look(identity):
                    return _outcome(targets, "ended" if sent else "gone")
        kept = copy(error)  # without its traceback, which has frames that have the plan
        what = "maybe" if kept.maybe_done or sent else "failed"
        return _outcome(targets, what, error=kept)


def _outcome(
    targets: list[Target], what: str, reason: str | None = None, error: NetApiError | None = None
) -> PairOutcome:
    client, user = targets[0]
    return PairOutcome(client or "", user or "", what, reason, error)


def _is_the_end(error: NetApiError) -> bool:
    """Whether it concerns the server, not the one pair: then no other is asked for."""
    lost = isinstance(error, (ServerUnreachable, CallTimeout, MalformedReply))
    return lost or not _was_called(error)
