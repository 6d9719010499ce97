"""A plan by conditions while it is carried out: each pair is looked at again right before its end.

Rules: docs/ending.md.
"""

from __future__ import annotations

from contextlib import suppress
from copy import copy
from time import time

from ._pairs import Pair, PairOutcome, Pairs, called, from_client_of, has_new, ipv4_of
from ._plan_where import listed, query_of
from ._reasons import mismatch, some_of
from ._where import Where
from .errors import (
    AccessDenied,
    CallTimeout,
    MalformedReply,
    NetApiError,
    ServerUnreachable,
    SessionNotFound,
)
from .server import _joined, _tell, _was_called

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._native import NativeCall
    from ._pairs import What
    from ._plan import DeletePlan, Target
    from .records import SessionInfo
    from .server import Server
    from .srvsvc import Call

__all__ = ["CarryingOut"]


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
        self._asked = False  # whether a request for the pair at hand may have left
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
                self._asked = False
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
            outcomes.append(_outcome(targets, "maybe" if self._asked else "not asked"))
            self._asked = False
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
        ended = False
        try:
            for target in targets:
                ended |= self._is_ended(target)
        except NetApiError as error:
            return self._failed(identity, targets, error, ended)
        return _outcome(targets, "ended" if ended else "gone")

    def _look(self, identity: object) -> dict[object, Pair]:
        """The pairs of a fresh list that are from that client, however it is spelled.

        The server is asked for that client only where all servers spell it alike.
        """
        planned = self._planned[identity]
        query = query_of(self._server, self._call, client=ipv4_of(planned), where=self._where)
        return self._pairs.group(listed(query, self._call, from_client_of(planned)))

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
        near = set(pair.clients)
        for other_identity, other in found.items():
            if other_identity not in self._shown and not near.isdisjoint(other.clients):
                return (
                    f"shares its client by now with {called(other.client, other.user)}, whose "
                    "session was not there when the plan was made and might end too"
                )
        return None

    def _matches(self, record: SessionInfo) -> bool:
        return self._conditions._others(record)

    def _is_ended(self, target: Target) -> bool:
        """Sends a request. Returns whether there was anything to end."""
        self._asked = True
        try:
            self._server._end(self._call, *target)
        except SessionNotFound as error:
            if error.maybe_done:
                raise
            return False
        return True

    def _failed(
        self, identity: object, targets: list[Target], error: NetApiError, ended: bool
    ) -> PairOutcome:
        """What a failed request means for the pair; whether one before it has ended anything."""
        if isinstance(error, AccessDenied) and not error.maybe_done and _was_called(error):
            # Samba's answer also where there is nothing to end (any more).
            with suppress(NetApiError):
                if identity not in self._look(identity):
                    return _outcome(targets, "ended" if ended else "gone")
        kept = copy(error)  # without its traceback, which has frames that have the plan
        what: What = "maybe" if kept.maybe_done or ended else "failed"
        return _outcome(targets, what, error=kept)


def _outcome(
    targets: list[Target], what: What, reason: str | None = None, error: NetApiError | None = None
) -> PairOutcome:
    client, user = targets[0]
    return PairOutcome(client or "", user or "", what, reason, error)


def _is_the_end(error: NetApiError) -> bool:
    """Whether it concerns the server, not the one pair: then no other is asked for."""
    lost = isinstance(error, (ServerUnreachable, CallTimeout, MalformedReply))
    return lost or not _was_called(error)
