"""What is sent to end sessions, decided from a list of them; nothing here sends anything.

The rules, in a table: docs/names.md. Deleting never guesses: what fits more than one account as
the server spells them, or may fit only, is not sent.
"""

from __future__ import annotations

from ._names import FITS, NO, ClientPattern, UserPattern, address_key, grade, quoted
from .errors import AmbiguousName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from ._pairs import LeftAlone, PairOutcome
    from ._where import Where
    from .records import SessionInfo

    #: What NetSessionDel is called with: client (two backslashes first) and user; None means any.
    Target: TypeAlias = tuple[str | None, str | None]


class DeletePlan:
    r"""What is sent to end sessions, and which sessions that was learned from.

    Attributes:
        client, user: as typed (str or None).
        targets: what NetSessionDel is called with, once each: a list of (client, user) as the
            server spells them, the client with two leading backslashes; None means any.
        sessions: the sessions that fit (list of SessionInfo); empty where listing was refused.
        addresses: what the client's name resolves to, as far as listed (tuple of str).
        listed: whether the server let itself be listed (bool). Where not, ``targets`` is what was
            typed.
        server: the name of the server that it is for (str), as Server has it; None for any.

    A plan by conditions (docs/ending.md) names client and user in each target, and has also:

    Attributes:
        where: the conditions (Where); None for a plan by names alone.
        left_alone: what matches and is not ended, with the reason (list of LeftAlone).
        endangered: sessions from the clients of those that are ended (list of SessionInfo): a
            server that ends whole connections, as Samba does, may end them too.
        listed_at: when the list was complete (float, seconds since 1970 by this machine's clock).
        outcomes: what became of each pair of client and user, in order (list of PairOutcome);
            empty before the plan is carried out.
    """

    __slots__ = (
        "addresses",
        "client",
        "endangered",
        "left_alone",
        "listed",
        "listed_at",
        "outcomes",
        "server",
        "sessions",
        "targets",
        "user",
        "where",
    )

    def __init__(
        self,
        client: str | None,
        user: str | None,
        targets: list[Target],
        sessions: list[SessionInfo],
        addresses: tuple[str, ...] = (),
        listed: bool = True,
        server: str | None = None,
        where: Where | None = None,
        left_alone: Iterable[LeftAlone] = (),
        endangered: Iterable[SessionInfo] = (),
        listed_at: float | None = None,
        outcomes: Iterable[PairOutcome] = (),
    ) -> None:
        self.client: str | None = client
        self.user: str | None = user
        self.targets: list[Target] = targets
        self.sessions: list[SessionInfo] = sessions
        self.addresses: tuple[str, ...] = addresses
        self.listed: bool = listed
        self.server: str | None = server
        self.where: Where | None = where
        self.left_alone: list[LeftAlone] = list(left_alone)
        self.endangered: list[SessionInfo] = list(endangered)
        self.listed_at: float | None = listed_at
        self.outcomes: list[PairOutcome] = list(outcomes)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.targets!r}>"

    def __reduce__(self) -> tuple[object, ...]:
        # Of __slots__ alone, protocols 0 and 1 make an error, and the others a plan.
        return type(self), tuple(getattr(self, name) for name in _PLAN)


#: As DeletePlan takes them.
_PLAN = (
    *("client", "user", "targets", "sessions", "addresses", "listed", "server"),
    *("where", "left_alone", "endangered", "listed_at", "outcomes"),
)


def unclear(argument: str, typed: str, candidates: tuple[str, ...]) -> AmbiguousName:
    """The error for what fits more than one name, or may fit only."""
    names = ", ".join(candidates)
    detail = (
        f"{argument} {quoted(typed)} fits {names}"
        if len(candidates) > 1
        else f"{argument} {quoted(typed)} may mean {names} or not: servers differ in which letters "
        "are the same but for case, and in how a domain is written"
    )
    return AmbiguousName(detail, candidates)


def planned(
    records: Iterable[SessionInfo], client: ClientPattern | None, user: UserPattern | None
) -> DeletePlan:
    """What to send to end the sessions that fit for certain; nothing fits: no targets.

    Raises AmbiguousName where the user is not one account as the server spells them, or the
    client is none for certain.
    """
    fitting = [record for record in records if _fits(record, client, user)]
    account = None
    if user is not None:
        account = one_account(user, fitting)
        fitting = [
            record for record in fitting if account is not None and same(account, record.user_name)
        ]
    if client is not None:
        fitting = certain_clients(client, fitting)
    targets: dict[Target, None] = {}
    for record in fitting:
        name = None if client is None else _to_send(record.client_name or "", targets)
        targets[name, account] = None
    return DeletePlan(
        None if client is None else client.typed,
        None if user is None else user.typed,
        list(targets),
        fitting,
        () if client is None else tuple(client.taken),
    )


def one_session(records: Iterable[SessionInfo], user: UserPattern) -> SessionInfo | None:
    """The first session that fits, one of exactly the typed name before others; None for none.

    Raises AmbiguousName where the sessions are of more than one account, as the server spells
    them. What fits only perhaps is taken where nothing fits for certain: it is shown, not ended.
    """
    fitting = [record for record in records if user.fit(record.user_name) != NO]
    exact = next((record for record in fitting if same(user.typed, record.user_name)), None)
    if exact is not None:
        return exact
    spellings = dict.fromkeys(record.user_name for record in fitting if record.user_name)
    if len(spellings) > 1:
        account = one_account(user, fitting)
        fitting = [r for r in fitting if account is not None and same(account, r.user_name)]
    return next(iter(fitting), None)


def typed_plan(client: ClientPattern | None, user: UserPattern | None) -> DeletePlan:
    """Where listing is refused: what was typed, which ends that one account's sessions only."""
    name = None if client is None else "\\\\" + client.typed.lstrip("\\/")
    typed_user = None if user is None else user.typed
    return DeletePlan(
        None if client is None else client.typed,
        typed_user,
        [(name, typed_user)],
        [],
        listed=False,
    )


def _fits(record: SessionInfo, client: ClientPattern | None, user: UserPattern | None) -> bool:
    return (client is None or client.fit(record.client_name) != NO) and (
        user is None or user.fit(record.user_name) != NO
    )


def same(one: str, other: str | None) -> bool:
    """Whether two listed names are one for certain: ending one ends the other."""
    return other is not None and grade(one, other) == FITS


def _to_send(listed: str, targets: Iterable[Target]) -> str:
    """A listed client as it is sent; as it was before, where only the case differs."""
    name = "\\\\" + listed.lstrip("\\")
    return next((sent for sent, _ in targets if sent is not None and same(sent, name)), name)


def one_account(user: UserPattern, records: list[SessionInfo]) -> str | None:
    """The account that was meant, as the server spells it; None where there is no session."""
    spellings = dict.fromkeys(record.user_name for record in records if record.user_name)
    certain = [name for name in spellings if user.fit(name) == FITS]
    if not certain:
        if spellings:
            raise unclear("user", user.typed, tuple(spellings))
        return None
    if user.domain is not None:
        # Who names the domain means that account, not one of the same name without a domain.
        certain = [name for name in certain if user.has_domain(name)] or certain
    if user.typed in certain and (user.domain is not None or len(certain) == 1):
        return user.typed
    first = certain[0]
    others = [name for name in certain if not same(first, name)]
    if others:
        raise unclear("user", user.typed, (first, *others))
    return user.typed if user.typed in certain else first


def certain_clients(client: ClientPattern, records: list[SessionInfo]) -> list[SessionInfo]:
    """The records whose client fits for certain."""
    certain = [record for record in records if client.fit(record.client_name) == FITS]
    if records and not certain:
        listed = dict.fromkeys(record.client or "" for record in records)
        raise unclear("client", client.typed, tuple(listed))
    links: dict[str, dict[str, str]] = {}  # by address and zone, how it is listed
    for record in certain:
        address, zone = address_key(record.client or "") or ("", "")
        if zone:
            links.setdefault(address, {})[zone] = record.client or ""
    for listed_at in links.values():
        if len(listed_at) > 1:  # one link-local address on two links is two machines
            raise unclear("client", client.typed, tuple(listed_at.values()))
    return certain
