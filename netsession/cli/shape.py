"""``--sort``, ``--top``, ``--columns`` and ``--group-by``: what is made of the records.

Records are what cli/resolve.py makes of them too: tuples that have ``_fields``. They come and go in
parts, and what is not sorted, cut or grouped is passed on as it comes.
"""

from __future__ import annotations

from itertools import chain

from netsession._names import address_key
from netsession._netsession import upcase
from netsession.records import UNKNOWN_TIME, bare_client, known

from .parser import Misuse, one_of, quoted, whole_number
from .parts import parts
from .rows import row_type
from .text import heading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace, _ArgumentGroup
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from .resolve import Resolver

    Parts = Iterable[list[Any]]

_WINDOWS = 2  # the table of upper case that has most letters; only which names stand together
_MOST = 0xFFFFFFFF
_HOST = "host_name"

#: By what --group-by groups, and what it counts in each group beside sessions.
_GROUPS = {
    "user": ("user_name", ("clients",)),
    "client": ("client_name", ("users",)),
    "server": ("server", ("clients", "users")),
}
_TOTALS = ("num_opens", "longest_active_time", "longest_idle_time")
_COUNTED = {"clients": "client_name", "users": "user_name"}
#: Shorter than their headings.
_SHORT = {"longest_active_time": "active", "longest_idle_time": "idle", "collected_at": "collected"}


def add_options(group: _ArgumentGroup) -> None:
    """Adds them to a group."""
    group.add_argument(
        "--sort",
        metavar="COLUMNS",
        help="sort by these, as in -idle,user: - is descending; what is unknown comes last",
    )
    group.add_argument(
        "--top",
        metavar="N",
        type=whole_number(1, _MOST),
        help="only the first N, once they are sorted",
    )
    group.add_argument(
        "--columns",
        metavar="COLUMNS",
        help="these columns in this order, named as a table or json names them",
    )
    action = group.add_argument(
        "--group-by",
        metavar="WHAT",
        type=one_of(*_GROUPS),
        help="a row for each user, client or server: sessions, opens, longest times",
    )
    action.completer = lambda **_: tuple(_GROUPS)  # type: ignore[attr-defined]


def column_name(field: str) -> str:
    """What people call a field: as a table's heading does."""
    return _SHORT.get(field) or heading(field).lower()


class Shape:
    """What the options say is to be made of records.

    Attributes:
        group_by: user, client or server (str), or None.
        fields: the fields that come out (tuple of str), where that is known; None: all there are.
        sessions: how many sessions have come in so far (int).
        groups: how many groups they made (int), where they are grouped.
        is_cut: whether there may have been more, which were not looked at (bool).
    """

    def __init__(
        self,
        fields: Sequence[str],
        *,
        sort: str | None = None,
        top: int | None = None,
        columns: str | None = None,
        group_by: str | None = None,
    ) -> None:
        self.group_by = group_by
        self._all = tuple(fields) if group_by is None else _group_fields(group_by, fields)
        self._order = [] if sort is None else self._sorted_by(sort)
        if group_by is not None and sort is None:
            self._order = [("sessions", True)]
        self._top = top
        chosen = None if columns is None else self._chosen(columns)
        self.fields: tuple[str, ...] | None = (
            self._all if chosen is None and group_by is not None else chosen
        )
        self.sessions: int = 0
        self.groups: int = 0
        self.is_cut: bool = False

    @classmethod
    def of(cls, options: Namespace, fields: Sequence[str]) -> Shape | None:
        """What the parsed options say of records with these fields; None where it is nothing.

        Raises Misuse for columns that there are not.
        """
        names = ("sort", "top", "columns", "group_by")
        given = {name: getattr(options, name) for name in names}
        if all(value is None for value in given.values()):
            return None
        if options.resolve and options.group_by in (None, "client"):
            fields = (*fields, _HOST)
        elif options.resolve:
            raise Misuse(f"--resolve names clients, and --group-by {options.group_by} shows none")
        return cls(fields, **given)

    # -- which columns -------------------------------------------------------------------------

    def _field(self, name: str, option: str) -> str:
        for field in self._all:
            if name in (field, column_name(field)):
                return field
        if name in (_HOST, column_name(_HOST)):
            raise Misuse(f"{option} {quoted(name)} needs --resolve, which looks the names up")
        there = ", ".join(map(column_name, self._all))
        raise Misuse(f"{option} has no column {quoted(name)}: there are {there}")

    def _chosen(self, columns: str) -> tuple[str, ...]:
        chosen = tuple(
            self._field(name.strip().lower(), "--columns") for name in columns.split(",")
        )
        twice = next((field for field in chosen if chosen.count(field) > 1), None)
        if twice is not None:
            raise Misuse(f"--columns names {column_name(twice)} twice")
        return chosen

    def _sorted_by(self, sort: str) -> list[tuple[str, bool]]:
        """Fields, and whether they descend."""
        keys = [key.strip().lower() for key in sort.split(",")]
        return [(self._field(key.removeprefix("-"), "--sort"), key[:1] == "-") for key in keys]

    # -- what is made of records ---------------------------------------------------------------

    @property
    def keeps_records(self) -> bool:
        """Whether every record comes out as it came in, but for columns (bool)."""
        return self.group_by is None and not self._order and self._top is None

    def apply(self, found: Parts, resolver: Resolver | None = None, *, beside: bool) -> Parts:
        """The records as they come out; ``beside`` is how ``Resolver.add`` takes it.

        Addresses are looked up as late as can be: only of what comes out.
        """
        found = self._counted(found)
        if self.group_by is not None:
            found = self._grouped(found)
        early = resolver is not None and any(field == _HOST for field, _ in self._order)
        if resolver is not None and early:
            found = resolver.add(found, beside=beside)
        found = self._cut(self._ordered(found))
        if resolver is not None and not early:
            found = resolver.add(found, beside=beside)
        return found if self.fields is None else _with_fields(found, self.fields)

    def _counted(self, found: Parts) -> Iterator[list[Any]]:
        for part in found:
            self.sessions += len(part)
            yield part

    def _ordered(self, found: Parts) -> Parts:
        if not self._order:
            return found
        return parts(_in_order(found, _key_of(self._order), self._top))

    def _cut(self, found: Parts) -> Parts:
        """The first of them; what comes after is not even asked for."""
        if self._top is None or self._order:
            return found
        return self._first(found, self._top)

    def _first(self, found: Parts, left: int) -> Iterator[list[Any]]:
        for part in found:
            yield part[:left]
            left -= len(part)
            if left <= 0:
                self.is_cut = True
                return

    def _grouped(self, found: Parts) -> Iterator[list[Any]]:
        assert self.group_by is not None  # noqa: S101 - or nobody calls it
        field, counted = _GROUPS[self.group_by]
        counted = tuple(name for name in counted if name in self._all)
        groups: dict[Any, _Group] = {}
        for part in found:
            for record, key in zip(part, _identities(part, field), strict=True):
                group = groups.get(key)
                if group is None:
                    group = groups[key] = _Group(getattr(record, field), counted)
                group.add(record)
        self.groups = len(groups)
        record_type = _new_group_type(tuple(f for f in self._all if f != _HOST))
        yield from parts(record_type._make(group.row()) for group in groups.values())


def _group_fields(group_by: str, fields: Sequence[str]) -> tuple[str, ...]:
    field, counted = _GROUPS[group_by]
    if field not in fields:
        raise Misuse(f"--group-by {group_by} needs a level that tells it")
    known = tuple(name for name in counted if _COUNTED[name] in fields)
    host = (_HOST,) if _HOST in fields else ()
    return (field, *host, "sessions", *known, *_TOTALS)


def _new_group_type(fields: tuple[str, ...]) -> Any:
    """A record of a group, with the client's name where --resolve looks for it."""
    made = row_type("Group", fields)
    if "client_name" in fields:
        made.client = property(lambda self: bare_client(self.client_name or ""))
    return made


class _Group:
    """What the sessions of a group add up to."""

    __slots__ = ("_counted", "active", "idle", "name", "opens", "sessions")

    def __init__(self, name: str | None, counted: Sequence[str]) -> None:
        self.name = name
        self.sessions = 0
        self.opens: int | None = None
        self.active: int | None = None
        self.idle: int | None = None
        self._counted: list[tuple[str, set[Any]]] = [(_COUNTED[each], set()) for each in counted]

    def add(self, record: Any) -> None:
        """One session more."""
        self.sessions += 1
        opens = getattr(record, "num_opens", None)
        if opens is not None:
            self.opens = (self.opens or 0) + opens
        self.active = _longer(self.active, getattr(record, "active_time", None))
        self.idle = _longer(self.idle, getattr(record, "idle_time", None))
        for field, seen in self._counted:
            seen.add(_identity(field, getattr(record, field, None)))

    def row(self) -> tuple[Any, ...]:
        """In the order of _group_fields."""
        others = (len(seen - {None, ""}) for _, seen in self._counted)
        return (self.name, self.sessions, *others, self.opens, self.active, self.idle)


def _longer(longest: int | None, seconds: int | None) -> int | None:
    if seconds is None or seconds == UNKNOWN_TIME:
        return longest
    return seconds if longest is None else max(longest, seconds)


def _identities(part: list[Any], field: str) -> Iterator[Any]:
    return (_identity(field, getattr(record, field)) for record in part)


def _identity(field: str, value: Any) -> Any:
    """What is the same in all spellings of a name: case, and how an address is written."""
    if not isinstance(value, str):
        return value
    if field == "client_name":
        value = bare_client(value)
        key = address_key(value) if ":" in value else None
        if key is not None:
            return key
    return upcase(value, _WINDOWS)


# -- order -----------------------------------------------------------------------------------------


class _Descending:
    """A value that is less where the other one is."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: _Descending) -> bool:
        smaller: bool = other.value < self.value
        return smaller

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)


def _in_order(found: Parts, key: Callable[[Any], Any], top: int | None) -> Iterator[Any]:
    """All records, or the first ones without keeping more than these."""
    records = chain.from_iterable(found)
    if top is None:
        yield from sorted(records, key=key)
        return
    import heapq  # seldom wanted

    yield from heapq.nsmallest(top, records, key)


def _key_of(order: Sequence[tuple[str, bool]]) -> Callable[[Any], Any]:
    """What records are compared by; equal ones stay as they came."""

    def key(record: Any) -> tuple[Any, ...]:
        made: list[Any] = []
        for field, descends in order:
            value = _comparable(field, getattr(record, field, None))
            made.append(value is None)  # unknown comes last, ascending or not
            if value is not None and descends:
                value = -value if isinstance(value, int) else _Descending(value)
            made.append(0 if value is None else value)
        return tuple(made)

    return key


def _comparable(field: str, value: Any) -> Any:
    """What a field is compared by; None for what is not known."""
    value = known(field, value)
    if value is None:
        return None
    if not isinstance(value, str):
        return value
    return _address_or_name(bare_client(value) if field == "client_name" else value)


def _address_or_name(text: str) -> tuple[int, int, str]:
    """Addresses by their number, IPv4 before IPv6, and before names, which have no case."""
    key = address_key(text)
    if key is None:
        return 2, 0, upcase(text, _WINDOWS)
    if ":" not in key[0]:
        first, second, third, fourth = map(int, key[0].split("."))
        return 0, first << 24 | second << 16 | third << 8 | fourth, key[1]
    from ipaddress import IPv6Address  # slow to import

    return 1, int(IPv6Address(key[0])), key[1]


# -- columns ---------------------------------------------------------------------------------------


def _with_fields(found: Parts, fields: tuple[str, ...]) -> Iterator[list[Any]]:
    """Records of these fields only; None for one that a record lacks."""
    make = row_type("Shaped", fields)._make
    for part in found:
        there = part[0]._fields
        places = [there.index(field) if field in there else -1 for field in fields]
        if -1 in places:
            rows: Iterable[Any] = (
                (*record, None) for record in part
            )  # its last place is nothing's
        else:
            rows = part
        yield [make([row[i] for i in places]) for row in rows]
