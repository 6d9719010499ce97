"""What NetSessionDel ends: not a session, but every session of a user from a client.

Such a *pair* is named with the client and the user as the server lists them. Two listed names are
one where servers cannot tell them apart (docs/names.md); where some can and others cannot, it is
not known what naming one would end, and none is.
"""

from __future__ import annotations

from typing import NamedTuple

from . import _names, _netsession
from .records import UNKNOWN_TIME, bare_client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Literal, TypeAlias

    from ._plan import Target
    from ._where import Matcher
    from .errors import NetApiError
    from .records import SessionInfo

    #: Client and user as a server with one of the tables of upper case compares them.
    Compared: TypeAlias = tuple[str, str]
    #: The same by both tables.
    PairKey: TypeAlias = tuple[Compared, Compared]
    #: What can become of a pair, see PairOutcome.
    What: TypeAlias = Literal["ended", "gone", "left alone", "failed", "maybe", "not asked"]

_SAMBA, _WINDOWS = 1, 2  # the tables of _netsession.upcase
_SLOWEST = 0.999  # a server's clock, by ours: plans may be kept for hours


class LeftAlone(NamedTuple):
    """Sessions of which some were to be ended, and why none of them is.

    Attributes:
        client, user: the pair as the server lists it (str or None).
        reason: what follows "USER from CLIENT" in a sentence (str).
        sessions: all of the pair (tuple of SessionInfo).
    """

    client: str | None
    user: str | None
    reason: str
    sessions: tuple[SessionInfo, ...]

    def __str__(self) -> str:
        return f"{called(self.client, self.user)} {self.reason}"


class PairOutcome(NamedTuple):
    """What became of a pair when a plan by conditions was carried out.

    Attributes:
        client, user: the pair as it was named to the server (str).
        what: ``"ended"``, ``"gone"`` (before it was asked for), ``"left alone"`` (it did not match
            any more, and nothing was sent), ``"failed"``, ``"maybe"`` (a request may have left, and
            no answer says what became of it) or ``"not asked"`` (nothing was sent, since the
            whole ended before).
        reason: what follows "USER from CLIENT" in a sentence, for what was left alone (str), or
            None.
        error: for ``"failed"`` and ``"maybe"`` the NetApiError, or None where something else
            interrupted the request.
    """

    client: str
    user: str
    what: What
    reason: str | None = None
    error: NetApiError | None = None


def called(client: str | None, user: str | None) -> str:
    """A pair in words."""
    return f"{user or '(no user name)'} from {bare_client(client or '') or '(no client name)'}"


class Pair:
    """All the listed sessions that are of one pair, in the list's order."""

    __slots__ = ("clients", "key", "records")

    def __init__(self, key: PairKey | None, clients: tuple[str, ...]) -> None:
        self.key = key  # None: a name is missing
        #: What the client is known by; those that share one may be the same. Empty without a name.
        self.clients = clients
        self.records: list[SessionInfo] = []

    @property
    def client(self) -> str | None:
        """The client's first spelling."""
        return self.records[0].client_name

    @property
    def user(self) -> str | None:
        """The user's first spelling."""
        return self.records[0].user_name

    @property
    def zones(self) -> set[str]:
        """The links that its link-local address is listed on; one at most where it has none."""
        clients = {record.client_name or "" for record in self.records}
        keys = map(_names.address_key, map(bare_client, clients))
        return {key[1] for key in keys if key is not None}

    def targets(self) -> list[Target]:
        """What ends it: one request for each spelling of the client that servers tell apart."""
        sent: dict[str, str] = {}
        for record in self.records:
            client = as_sent(record.client_name or "")
            sent.setdefault(_netsession.upcase(client, _SAMBA), client)
        return [(client, self.user) for client in sent.values()]


def from_client_of(pair: Pair) -> Matcher | None:
    """What finds, in C, all that may be from the pair's client; None where only a look at all can.

    A zone is left out: the address on whatever link is one client here.
    """
    from ._where import Matcher

    bare = bare_client(pair.client or "")
    address = _names.address_key(bare)
    pattern = _names.ClientPattern(bare if address is None else address[0])
    found = all(pattern.fit(record.client_name) for record in pair.records)
    return Matcher([pattern]) if found else None  # a name that ends in a dot is a host's to it


class Pairs:
    """Records by pair. Keeps what it has worked out: the names of a list recur."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str | None, str | None], PairKey | None] = {}
        self._clients: dict[str | None, tuple[str, ...]] = {}

    def identity(self, client: str | None, user: str | None) -> object:
        """What is equal for names of one pair, also where one of them is missing."""
        return self._key(client, user) or (client, user)

    def group(self, records: Iterable[SessionInfo]) -> dict[object, Pair]:
        """The pairs by identity, in the order of their first records."""
        pairs: dict[object, Pair] = {}
        for record in records:
            client, user = record.client_name, record.user_name
            key = self._key(client, user)
            identity = key or (client, user)
            pair = pairs.get(identity)
            if pair is None:
                pair = pairs[identity] = Pair(key, self._clients_of(client))
            pair.records.append(record)
        return pairs

    def _key(self, client: str | None, user: str | None) -> PairKey | None:
        """None where a name is missing."""
        names = (client, user)
        if names not in self._keys:
            clients = self._clients_of(client) if user else ()
            self._keys[names] = (
                (
                    (clients[0], _netsession.upcase(user or "", _SAMBA)),
                    (clients[1], _netsession.upcase(user or "", _WINDOWS)),
                )
                if clients
                else None
            )
        return self._keys[names]

    def _clients_of(self, client: str | None) -> tuple[str, ...]:
        """The client as each of the tables compares it; empty where it has no name."""
        if client not in self._clients:
            self._clients[client] = _compared(bare_client(client or ""))
        return self._clients[client]


class Doubles:
    """The pairs that a server may take for one another, or not: it depends on its table.

    Of two such one has letters in which the tables differ; they are few.
    """

    def __init__(self, pairs: dict[object, Pair]) -> None:
        self._pairs = pairs
        self._odd: dict[tuple[int, Compared], list[Pair]] = {}
        for pair in pairs.values():
            if pair.key is not None and pair.key[0] != pair.key[1]:
                for at in enumerate(pair.key):
                    self._odd.setdefault(at, []).append(pair)

    def of(self, pair: Pair) -> Iterator[Pair]:
        """Those that may be this one."""
        for table, compared in enumerate(pair.key or ()):
            plain = self._pairs.get((compared, compared))
            for other in (*self._odd.get((table, compared), ()), plain):
                if other is not None and other is not pair:
                    yield other


def as_sent(client: str) -> str:
    """A listed client as it is sent: two backslashes and the name ([MS-SRVS] 3.1.4.6)."""
    return "\\\\" + client.lstrip("\\")


def why_not_named(pair: Pair, server: str | None) -> str | None:
    """Why no request would name exactly this pair; None where one does."""
    if not (pair.user and bare_client(pair.client or "")):
        which = "user" if not pair.user else "client"
        return f"cannot be named: without a {which} name a request would end more than these"
    if len(pair.zones) > 1:
        return "is listed on several links, and it is not known which of them a server means"
    for client, user in pair.targets():
        spellings = _names.client_spellings(client)
        if spellings[0] != client:
            return "cannot be named: the client's name begins with what is no part of names"
        for spelling in spellings:
            try:
                _netsession.encode_delete_request(server, spelling, user)
            except ValueError as error:  # from what a server may take for everyone
                return "cannot be named: " + str(error).partition(";")[0]
    return None


def ipv4_of(pair: Pair) -> str | None:
    """The pair's client where it is an IPv4 address, which all servers spell alike; else None."""
    clients = {bare_client(record.client_name or "") for record in pair.records}
    client = clients.pop()
    return client if not clients and _names.is_ipv4(client) else None


def stayed(planned: Iterable[SessionInfo], found: Iterable[SessionInfo], elapsed: float) -> int:
    """How many of a pair's sessions that are found may have been there when it was listed first.

    There is no session id in MS-SRVS; sessions tell by their age. It is in whole seconds, cut off,
    and ``elapsed`` is the least time between both listings: a session that was there is that much
    older by now. So each that is found needs one that was young enough; the others are new.
    """
    elapsed *= _SLOWEST
    before, unknown = _ages(planned)
    now, unknown_now = _ages(found)
    # What was too young to have an age (Samba says -1 at first) may have one by now.
    before = [-1] * max(unknown - unknown_now, 0) + before
    old = 0
    for age in now:
        if old < len(before) and before[old] + elapsed <= age + 1:
            old += 1
    return old + min(unknown, unknown_now)


def has_new(planned: Iterable[SessionInfo], found: list[SessionInfo], elapsed: float) -> bool:
    """Whether a pair has sessions that were not there when it was listed first."""
    return stayed(planned, found, elapsed) < len(found)


def _ages(records: Iterable[SessionInfo]) -> tuple[list[int], int]:
    """The known ages, ascending, and how many are not known."""
    ages = [record.active_time for record in records]
    known = sorted(age for age in ages if age is not None and age != UNKNOWN_TIME)
    return known, len(ages) - len(known)


def _compared(bare: str) -> tuple[str, ...]:
    """All spellings of an address are one, on whatever link; which servers may tell apart."""
    if not bare:
        return ()
    # An IPv4 address has one spelling, but for that as IPv6.
    address = _names.address_key(bare) if ":" in bare or "-" in bare else None
    if address is not None:
        return address[0], address[0]
    return _netsession.upcase(bare, _SAMBA), _netsession.upcase(bare, _WINDOWS)
