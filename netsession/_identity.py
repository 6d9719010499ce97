"""Which sessions of a list are those of the list before: MS-SRVS gives them no id.

A session is a client, a user and the moment that it began, which servers tell as an age in whole
seconds: cut off by Windows; Samba cuts off the present and rounds the beginning, so that an age may
be -1, which as a DWORD is also how "not known" is spelled. The age of one session therefore grows
by the time between two lists, give or take a second; what does not fit is another session.

Nothing here asks anybody: it is given lists, and when they were made.
"""

from __future__ import annotations

from collections import Counter, deque
from math import ceil, floor

from ._names import address_key
from ._netsession import upcase
from .records import UNKNOWN_TIME, SessionInfo0, bare_client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from typing import TypeAlias

    from .records import SessionInfo

    Names: TypeAlias = tuple[str | None, str | None]
    Pair: TypeAlias = tuple["Seen", "Seen"]
    Change: TypeAlias = tuple[SessionInfo, SessionInfo]  # before, now

__all__ = ["Moment", "Roll"]

_DWORDS = 1 << 32
_HALF = 1 << 31

_YOUNGEST = -1  # what Samba says of a session that begins in the second half of a second
_ROUNDING = 1.0  # seconds by which the growth of an age may differ from the time that passed
_DRIFT = 0.001  # of the time between lists: NTP slews a clock by at most half of that
_STEPPED = 0.5  # more, where the step of a clock is only known from such ages
# For what can be no new session, since it began before the last list: seconds, and of the time.
_LOOSE = 3.0
_LOOSE_DRIFT = 0.05
# Of the tables that find the best pairs, each and all together; beyond them good ones must do, so
# that a list costs in proportion to its length, whatever a server sends.
_MOST_CELLS, _ALL_CELLS = 40_000, 400_000
_SAMPLES = 64  # pairs at either end of a group that tell of a step


class Moment:
    """When a list was made: between asking and the answer, in seconds of any clock that runs on."""

    __slots__ = ("answered", "asked")

    def __init__(self, asked: float, answered: float) -> None:
        self.asked = asked
        self.answered = answered


class Seen:
    """A session that was listed, and what is known of it from earlier lists."""

    __slots__ = ("age", "names", "number", "record", "told", "when")

    def __init__(self, record: SessionInfo, when: Moment) -> None:
        self.record = record
        self.number = 0  # in the order in which sessions were first listed, from 1 on
        self.names: Names = (record.client_name, record.user_name)
        #: Seconds (a DWORD) when last told, and in which list; if never, since which list it is.
        self.age = UNKNOWN_TIME if record.active_time is None else record.active_time
        self.when = when
        #: The last record that had opens and flags, if any had.
        self.told = record

    @property
    def is_dated(self) -> bool:
        """Whether its age was ever told."""
        return self.age != UNKNOWN_TIME

    @property
    def lacks_user(self) -> bool:
        """Whether it was only ever listed at level 0."""
        return self.names[1] is None and isinstance(self.record, SessionInfo0)

    def follow(self, before: Seen) -> None:
        """It is the session that was seen before: what is not told now is taken from there."""
        if self.age == UNKNOWN_TIME:
            self.age, self.when = before.age, before.when
        if self.record.num_opens is None:
            self.told = before.told
            if self.lacks_user:
                self.names = before.names


class Roll:
    """The sessions there are, list by list.

    ``selected``: whether a session may come into the list, and go, that is neither new nor over.
    """

    def __init__(self, *, selected: bool = False) -> None:
        # A single one that is too old to be new may then be just that, and no clock was set.
        self._least_gain = 2 if selected else 1
        self._last: Moment | None = None
        self._seen: list[Seen] = []
        self._count = 0

    @property
    def records(self) -> tuple[SessionInfo, ...]:
        """Those of the latest list, in its order."""
        return tuple(seen.record for seen in self._seen)

    @property
    def numbered(self) -> list[tuple[int, SessionInfo]]:
        """The same, each with a number that it keeps as long as it is there."""
        return [(seen.number, seen.record) for seen in self._seen]

    def update(
        self, records: Iterable[SessionInfo], when: Moment
    ) -> tuple[list[SessionInfo], list[SessionInfo], list[Change]]:
        """Takes a list; returns what closed and opened since the last, and (before, now) of others.

        The first list opens all of its sessions. Closed ones are as they were last listed, in that
        order; opened and changed ones in the order of this list.
        """
        now = [Seen(record, when) for record in records]
        if self._last is None:
            new, closed, changed = now, [], []
        else:
            found = _attempt(self._seen, now, self._last, when, self._least_gain)
            closed = [seen.record for seen in _in_order(found.gone, self._seen)]
            new = _in_order(found.new, now)
            changed = _followed(found.pairs, now)
        for number, seen in enumerate(new, self._count + 1):
            seen.number = number
        self._count += len(new)
        self._seen, self._last = now, when
        return closed, [seen.record for seen in new], changed


def _in_order(some: list[Seen], all_of_them: list[Seen]) -> list[Seen]:
    """Some of a list, in its order."""
    if not some:
        return some
    wanted = set(map(id, some))
    return [seen for seen in all_of_them if id(seen) in wanted]


def _followed(pairs: list[Pair], now: list[Seen]) -> list[Change]:
    """What has changed, in the order of the list; lets the list take over what is known."""
    changes = {}
    for before, seen in pairs:
        seen.number = before.number
        old, new = before.told, seen.record
        if old.num_opens != new.num_opens or old.user_flags != new.user_flags:
            # Levels 0 and 10 do not tell.
            if old.num_opens is not None and new.num_opens is not None:
                changes[id(seen)] = (old, new)
            seen.follow(before)
        elif seen.age == UNKNOWN_TIME:
            seen.follow(before)
    return [changes[id(seen)] for seen in now if id(seen) in changes] if changes else []


# -- how ages may have grown ----------------------------------------------------------------------


class _Growth:
    """What ages may have grown by until now, by the list that they were told in.

    ``jump`` is by how much the server's clock was stepped since the last list, in seconds.
    """

    def __init__(self, last: Moment, now: Moment, jump: int = 0) -> None:
        self.last = last
        self._now = now
        self._jump = jump
        self.usual = self.bounds(last)
        #: The likeliest growth since the last list: most servers let all ages grow alike.
        self.likeliest = sum(self.usual) / 2
        self.cells_left = _ALL_CELLS

    def bounds(self, when: Moment) -> tuple[float, float]:
        """The least and the most that the age of one session can have grown by."""
        shortest, longest = self._now.asked - when.answered, self._now.answered - when.asked
        slack = _ROUNDING + _DRIFT * longest + (_STEPPED if self._jump else 0)
        return shortest - slack + self._jump, longest + slack + self._jump

    def loose_bounds(self, when: Moment) -> tuple[float, float]:
        """The same for what can only be an old session."""
        least, most = self.bounds(when)
        slack = _LOOSE + _LOOSE_DRIFT * (self._now.answered - when.asked)
        return least - slack, most + slack

    def centre(self, when: Moment) -> float:
        """The likeliest growth since a list."""
        return self.likeliest if when is self.last else sum(self.bounds(when)) / 2

    def learn(self, pairs: list[Pair], groups: Iterable[tuple[list[Seen], list[Seen]]]) -> None:
        """Finds the likeliest growth: what most ages have grown by that tell it beyond doubt."""
        votes = Counter(other.age - one.age for one, other in pairs)
        if not votes:
            least, most = self.usual
            grown = range(ceil(least), floor(most) + 1)[:_SAMPLES]
            for before, now in groups:
                told = [seen for seen in before if seen.is_dated and seen.when is self.last]
                ages = Counter(seen.age for seen in told)
                for age, count in Counter(seen.age for seen in now if seen.is_dated).items():
                    for each in grown:
                        votes[each] += min(count, ages[age - each])
        middle = sum(self.usual) / 2
        if any(votes.values()):
            self.likeliest = max(votes, key=lambda each: (votes[each], -abs(each - middle), each))

    def is_too_old(self, seen: Seen) -> bool:
        """Whether a session cannot have begun since the last list, if the clocks are right."""
        age = _signed(seen.age)
        longest = self._now.answered - self.last.asked
        return age > longest + _ROUNDING + _DRIFT * longest or age < _YOUNGEST


def _signed(age: int) -> int:
    """An age as the server reckoned it: less than nothing where its clock was put back."""
    return age if age < _HALF else age - _DWORDS


def _grown(before: Seen, now: Seen) -> int:
    """By how much an age has grown, also over the end of a DWORD."""
    return (now.age - before.age + _HALF) % _DWORDS - _HALF


# -- the whole list -------------------------------------------------------------------------------


class _Attempt:
    """Pairs the sessions of two lists, with one idea of how ages have grown."""

    def __init__(self, before: list[Seen], now: list[Seen], growth: _Growth) -> None:
        self.growth = growth
        self.pairs: list[Pair] = []
        self.gone: list[Seen] = []
        self.new: list[Seen] = []
        self._knows_ages = any(seen.is_dated for seen in now)
        self._pair_by_spelling(_by_names(before), _by_names(now))
        # Names that are spelled otherwise by now, and lists without users: few or none.
        self._pair_the_rest(_folded, self.gone, self.new)
        self._pair_the_rest(_client, [seen for seen in self.gone if seen.lacks_user], self.new)
        self._pair_the_rest(_client, self.gone, [seen for seen in self.new if seen.lacks_user])

    def _pair_by_spelling(self, before: _ByNames, now: _ByNames) -> None:
        """Those that are the only ones of their names, which most are; then the others."""
        growth, last = self.growth, self.growth.last
        least, most = growth.usual
        groups = []
        for names, ours in now.items():
            theirs = before.pop(names, None)
            if theirs is None:
                self.new += _listed(ours)
            elif not (isinstance(theirs, Seen) and isinstance(ours, Seen)):
                groups.append((_listed(theirs), _listed(ours)))
            elif ours.age == UNKNOWN_TIME or theirs.age == UNKNOWN_TIME or theirs.when is not last:
                groups.append(([theirs], [ours]))
            elif least <= ours.age - theirs.age <= most or least <= _grown(theirs, ours) <= most:
                self.pairs.append((theirs, ours))
            else:
                self.gone.append(theirs)
                self.new.append(ours)
        for theirs in before.values():
            self.gone += _listed(theirs)
        if groups:
            growth.learn(self.pairs, groups)
        for some, others in groups:
            self._pair_group(some, others)

    def _pair_the_rest(
        self, key: Callable[[Seen], Hashable], gone: list[Seen], new: list[Seen]
    ) -> None:
        if not gone or not new:
            return
        before, now = _grouped(gone, key), _grouped(new, key)
        # What is spelled alike has been tried.
        common = [
            names
            for names in now
            if names in before and len({seen.names for seen in before[names] + now[names]}) > 1
        ]
        tried = {id(seen) for names in common for seen in (*before[names], *now[names])}
        self.gone = [seen for seen in self.gone if id(seen) not in tried]
        self.new = [seen for seen in self.new if id(seen) not in tried]
        for names in common:
            self._pair_group(before[names], now[names])

    def pair_loosely(self) -> None:
        """What is left and too old to be new is rather an old one whose age is a little out."""
        growth = self.growth
        new = _grouped(
            [seen for seen in self.new if seen.is_dated and growth.is_too_old(seen)], _folded
        )
        if not new or not self.gone:
            return
        gone = _grouped([seen for seen in self.gone if seen.is_dated], _folded)
        pairs = []
        for names, ours in new.items():
            if theirs := gone.get(names):
                pairs += _Line(theirs, ours, growth, growth.loose_bounds).pairs()
        taken = {id(seen) for pair in pairs for seen in pair}
        self.pairs += pairs
        self.gone = [seen for seen in self.gone if id(seen) not in taken]
        self.new = [seen for seen in self.new if id(seen) not in taken]

    def _pair_group(self, before: list[Seen], now: list[Seen]) -> None:
        group = _Group(before, now, self.growth, self._knows_ages)
        self.pairs += group.pairs
        self.gone += group.gone
        self.new += group.new


if TYPE_CHECKING:
    _Groups: TypeAlias = dict[Hashable, list[Seen]]
    _ByNames: TypeAlias = dict[Names, Seen | list[Seen]]


def _grouped(those: list[Seen], key: Callable[[Seen], Hashable]) -> _Groups:
    groups: _Groups = {}
    for seen in those:
        groups.setdefault(key(seen), []).append(seen)
    return groups


def _by_names(those: list[Seen]) -> _ByNames:
    """By names as they are spelled: a session, or a list of several."""
    groups: _ByNames = {}
    for seen in those:
        found = groups.setdefault(seen.names, seen)
        if found is not seen:
            if isinstance(found, Seen):
                groups[seen.names] = [found, seen]
            else:
                found.append(seen)
    return groups


def _listed(some: Seen | list[Seen]) -> list[Seen]:
    return [some] if isinstance(some, Seen) else some


def _folded(seen: Seen) -> tuple[Hashable, Hashable]:
    """The names as all who are called the same have them, however they are spelled."""
    client, user = seen.names
    bare = bare_client(client or "")
    address = address_key(bare) if ":" in bare else None
    return _upper(bare) if address is None else "%".join(filter(None, address)), _upper(user or "")


def _client(seen: Seen) -> Hashable:
    return _folded(seen)[0]


def _upper(name: str) -> Hashable:
    return name.upper() if name.isascii() else (upcase(name, 1), upcase(name, 2))


def _attempt(
    before: list[Seen], now: list[Seen], last: Moment, when: Moment, least_gain: int
) -> _Attempt:
    """Which sessions of both lists are the same."""
    first = _Attempt(before, now, _Growth(last, when))
    jump = _step(first)
    if jump:
        # A clock was stepped, if that explains more than that none was.
        second = _Attempt(before, now, _Growth(last, when, jump))
        if len(second.pairs) >= len(first.pairs) + least_gain:
            first = second
    first.pair_loosely()
    return first


def _step(attempt: _Attempt) -> int:
    """By how much a clock may have been stepped (seconds, 0: not at all), from what is left over.

    Where all is well nothing can be listed that is older than the last list and was not in it.
    Only where something is, ages are compared; a server that was started again is none.
    """
    growth = attempt.growth
    new = [seen for seen in attempt.new if seen.is_dated]
    if not any(map(growth.is_too_old, new)):
        return 0
    gone = _grouped([seen for seen in attempt.gone if seen.is_dated], _folded)
    votes: Counter[int] = Counter()
    for names, ours in _grouped(new, _folded).items():
        theirs = gone.get(names, [])
        ours.sort(key=lambda seen: _signed(seen.age))
        theirs.sort(key=lambda seen: _signed(seen.age))
        # From the youngest and from the oldest on: one that is missing shifts all behind it.
        ends = zip(theirs[:_SAMPLES], ours, strict=False)
        other_ends = zip(theirs[: -_SAMPLES - 1 : -1], reversed(ours), strict=False)
        for one, other in {*ends, *other_ends}:
            votes[round(_grown(one, other) - growth.centre(one.when))] += 1
    return max(
        votes,
        key=lambda each: (
            votes[each - 1] + votes[each] + votes[each + 1], votes[each], -abs(each), each
        ),
        default=0,
    )  # fmt: skip


# -- several sessions of one client and user ------------------------------------------------------


class _Group:
    """Pairs sessions of the same names: by age as far as ages are told, else by their number."""

    def __init__(
        self, before: list[Seen], now: list[Seen], growth: _Growth, knows_ages: bool
    ) -> None:
        self._growth = growth
        self._knows_ages = knows_ages
        self.pairs: list[Pair] = []
        self.gone = before
        self.new = now
        self._pair_ages()
        self._prefer_unchanged()
        self._pair_first_ages()
        self._pair_unknown()

    def _take(self, pairs: list[Pair]) -> None:
        self.pairs += pairs
        taken = {id(seen) for pair in pairs for seen in pair}
        self.gone = [seen for seen in self.gone if id(seen) not in taken]
        self.new = [seen for seen in self.new if id(seen) not in taken]

    def _pair_ages(self) -> None:
        """By age: as many as can be, and of those that fit several ways the nearest."""
        gone = [seen for seen in self.gone if seen.is_dated]
        new = [seen for seen in self.new if seen.is_dated]
        if gone and new:
            self._take(_Line(gone, new, self._growth, self._growth.bounds).pairs())

    def _prefer_unchanged(self) -> None:
        """Of sessions of the same age those are the same that did the same, whichever they were."""
        if len(self.pairs) + len(self.gone) < 2 and len(self.pairs) + len(self.new) < 2:
            return
        for side in (0, 1):
            classes: dict[Hashable, tuple[list[Seen], list[Seen]]] = {}
            singles = [self.gone, self.new][side]
            for pair in self.pairs:
                mine, others = classes.setdefault(_class(pair[side]), ([], []))
                mine.append(pair[side])
                others.append(pair[1 - side])
            for seen in singles:
                if (found := classes.get(_class(seen))) is not None:
                    found[0].append(seen)
            pairs = []
            taken = set()
            for mine, others in classes.values():
                for one, other in _by_rest(mine, others):
                    pairs.append((one, other) if side == 0 else (other, one))
                    taken.add(id(one))
            left = [seen for mine, _ in classes.values() for seen in mine if id(seen) not in taken]
            left += [seen for seen in singles if _class(seen) not in classes]
            self.pairs = pairs
            if side == 0:
                self.gone = left
            else:
                self.new = left

    def _pair_first_ages(self) -> None:
        """What had no age has one now: not less than the time since it was first listed."""
        growth = self._growth
        least = {
            id(seen): _YOUNGEST + growth.bounds(seen.when)[0]
            for seen in self.gone
            if not seen.is_dated
        }
        gone = [seen for seen in self.gone if not seen.is_dated]
        gone.sort(key=lambda seen: -least[id(seen)])
        new = [seen for seen in self.new if seen.is_dated]
        new.sort(key=lambda seen: _signed(seen.age))
        pairs = []
        for seen in gone:
            if new and _signed(new[-1].age) >= least[id(seen)]:
                pairs += [(seen, new.pop())]
        self._take(pairs)

    def _pair_unknown(self) -> None:
        """What has no age now: it can only be counted, unless the server knows other ages."""
        unknown = [seen for seen in self.new if not seen.is_dated]
        self._take(_by_rest([seen for seen in self.gone if not seen.is_dated], unknown))
        left = [seen for seen in self.new if not seen.is_dated]
        self._take(_by_rest([seen for seen in self.gone if self._may_lose_age(seen, left)], left))

    def _may_lose_age(self, before: Seen, unknown: list[Seen]) -> bool:
        """Whether a session whose age was told can be one of those without.

        Where other ages are told this one is -1: it has just begun, on Samba.
        """
        if not unknown or not before.is_dated:
            return False
        if not self._knows_ages:
            return True
        least, most = self._growth.bounds(before.when)
        return least <= _YOUNGEST - _signed(before.age) <= most


def _class(seen: Seen) -> Hashable:
    return seen.age, id(seen.when)


def _rest(seen: Seen) -> tuple[int | None, int | None, str | None, str | None]:
    told = seen.told
    return told.num_opens, told.user_flags, told.client_type, told.transport


def _by_rest(before: list[Seen], now: list[Seen]) -> list[Pair]:
    """Pairs as many as there are: those first that have not changed, the others in their order."""
    same: dict[Hashable, deque[Seen]] = {}
    for seen in before:
        same.setdefault(_rest(seen), deque()).append(seen)
    pairs = []
    changed = []
    for seen in now:
        if (found := same.get(_rest(seen))) is not None and found:
            pairs.append((found.popleft(), seen))
        else:
            changed.append(seen)
    taken = {id(one) for one, _ in pairs}
    left = [seen for seen in before if id(seen) not in taken]
    return [*pairs, *zip(left, changed, strict=False)]


class _Line:
    """Sessions of both lists in a line, by the age that they should have now."""

    def __init__(
        self,
        before: list[Seen],
        now: list[Seen],
        growth: _Growth,
        bounds: Callable[[Moment], tuple[float, float]],
    ) -> None:
        self._growth = growth
        self._bounds = {id(seen.when): bounds(seen.when) for seen in before}
        self._centres = {id(seen.when): growth.centre(seen.when) for seen in before}
        self._before = sorted(before, key=self._due)
        self._now = sorted(now, key=lambda seen: _signed(seen.age))

    def _due(self, before: Seen) -> float:
        return _signed(before.age) + self._centres[id(before.when)]

    def _off(self, before: Seen, now: Seen) -> float | None:
        """By how many seconds an age is not what it should be; None where that is too much."""
        grown = _grown(before, now)
        least, most = self._bounds[id(before.when)]
        return abs(grown - self._centres[id(before.when)]) if least <= grown <= most else None

    def pairs(self) -> list[Pair]:
        """The pairs: as many as can be, and together as little off as they can be."""
        before, now = deque(self._before), deque(self._now)
        pairs = []
        # The ends are settled where they are as they should be, which they mostly are.
        while before and now and self._off(before[0], now[0]) == 0:
            pairs.append((before.popleft(), now.popleft()))
        while before and now and self._off(before[-1], now[-1]) == 0:
            pairs.append((before.pop(), now.pop()))
        for some, others in self._parted(before, now):
            cells = len(some) * len(others)
            if cells <= min(_MOST_CELLS, self._growth.cells_left):
                self._growth.cells_left -= cells
                pairs += self._best(some, others)
            else:
                pairs += self._good(some, others)
        return pairs

    def _parted(
        self, before: Iterable[Seen], now: Iterable[Seen]
    ) -> Iterable[tuple[list[Seen], list[Seen]]]:
        """Parts of the line between which no pair can be."""
        reach = max(
            max(most - self._centres[each], self._centres[each] - least)
            for each, (least, most) in self._bounds.items()
        )
        places = [(self._due(seen), 0, seen) for seen in before]
        places += [(_signed(seen.age), 1, seen) for seen in now]
        places.sort(key=lambda place: place[0])
        part: tuple[list[Seen], list[Seen]] = ([], [])
        latest = 0.0
        for at, side, seen in places:
            if at - latest > reach and (part[0] or part[1]):
                yield part
                part = ([], [])
            part[side].append(seen)
            latest = at
        yield part

    def _best(self, before: list[Seen], now: list[Seen]) -> list[Pair]:
        """No two pairs cross, so that the best of a part is found from its end on."""
        rows, columns = len(before), len(now)
        # Of what is left from (i, j) on: how many are in no pair, and how far off the others are.
        ends = [
            [(rows - i + columns - j, 0.0) for j in range(columns + 1)] for i in range(rows + 1)
        ]
        for i in reversed(range(rows)):
            for j in reversed(range(columns)):
                ends[i][j] = min(
                    (lonely + 1, off) for lonely, off in (ends[i + 1][j], ends[i][j + 1])
                )
                off = self._off(before[i], now[j])
                if off is not None:
                    lonely, others = ends[i + 1][j + 1]
                    ends[i][j] = min(ends[i][j], (lonely, others + off))
        pairs = []
        i = j = 0
        while i < rows and j < columns:
            off = self._off(before[i], now[j])
            lonely, others = ends[i + 1][j + 1]
            if off is not None and ends[i][j] == (lonely, others + off):
                pairs.append((before[i], now[j]))
                i, j = i + 1, j + 1
            elif ends[i + 1][j] <= ends[i][j + 1]:
                i += 1
            else:
                j += 1
        return pairs

    def _good(self, before: list[Seen], now: list[Seen]) -> list[Pair]:
        """For thousands within seconds: as they should be, or else as many as can be."""
        exact: dict[float, deque[Seen]] = {}
        for seen in before:
            exact.setdefault(self._due(seen), deque()).append(seen)
        pairs = [(found.popleft(), seen) for seen in now if (found := exact.get(_signed(seen.age)))]
        return pairs if len(pairs) == len(now) else self._many(deque(before), deque(now))

    def _many(self, before: deque[Seen], now: deque[Seen]) -> list[Pair]:
        """As many as can be: each with the first that fits."""
        pairs = []
        while before and now:
            if self._off(before[0], now[0]) is not None:
                pairs.append((before.popleft(), now.popleft()))
            elif self._due(before[0]) < _signed(now[0].age):
                before.popleft()
            else:
                now.popleft()
        return pairs
