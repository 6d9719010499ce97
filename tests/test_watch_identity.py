"""Which sessions of a list are those of the list before: every way in which lists differ."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pytest

from netsession import SessionInfo0, SessionInfo1, SessionInfo2, SessionInfo10, SessionInfo502
from netsession._identity import Moment, Roll, Seen, _Growth, _Line

UNKNOWN = 0xFFFFFFFF
PC, ALICE = "\\\\10.1.2.3", "alice"

Lists = tuple[list[Any], list[Any], list[Any]]


def one(age: int, opens: int = 0, *, client: str = PC, user: str = ALICE, flags: int = 0) -> Any:
    return SessionInfo1(client, user, opens, age % (1 << 32), 0, flags)


def polled(
    *lists: Sequence[Any],
    every: float = 5.0,
    takes: float = 0.01,
    at: Sequence[float] | None = None,
) -> list[Lists]:
    """What each list after the first tells."""
    roll = Roll()
    times = at or [number * every for number in range(len(lists))]
    told = [
        roll.update(records, Moment(time, time + takes))
        for records, time in zip(lists, times, strict=True)
    ]
    assert roll.records == tuple(lists[-1])
    assert told[0] == ([], list(lists[0]), [])
    return told[1:]


NOTHING: Lists = ([], [], [])


def test_the_first_list_opens_all() -> None:
    assert polled([one(3), one(7)]) == []


@pytest.mark.parametrize("grown", [4, 5, 6])
def test_the_same_session_within_rounding(grown: int) -> None:
    assert polled([one(100)], [one(100 + grown)]) == [NOTHING]
    assert polled([one(0)], [one(grown)]) == [NOTHING]
    assert (polled([one(0)], [one(grown)], every=5.4) == [NOTHING]) is (grown > 4)


def test_one_closes_and_one_opens() -> None:
    bob = one(2, user="bob")
    assert polled([one(100)], [one(105), bob], [bob._replace(active_time=7)]) == [
        ([], [bob], []),
        ([one(105)], [], []),
    ]


@pytest.mark.parametrize("age", [-1, 0, 1, 2, 3])
def test_a_reconnect_between_two_lists(age: int) -> None:
    """-1 is what Samba says at first; where the server knows other ages it is one."""
    other = [one(1000 + 5 * k, user="bob") for k in range(2)]
    assert polled([one(100), other[0]], [one(age), other[1]]) == [([one(100)], [one(age)], [])]


def test_a_reconnect_of_a_young_session() -> None:
    """It is told as soon as the ages are two seconds apart."""
    assert polled([one(0)], [one(3)]) == [([one(0)], [one(3)], [])]
    assert polled([one(2)], [one(3)]) == [([one(2)], [one(3)], [])]


def test_a_server_that_was_started_again() -> None:
    """All are new, also where all had begun together: that is no clock that was put back."""
    before = [one(3600 + k % 2, client=f"pc{k}") for k in range(10)]
    now = [one(1 + k % 2, client=f"pc{k}") for k in range(10)]
    assert polled(before, now) == [(before, now, [])]


# -- several of one client and user ---------------------------------------------------------------


def test_the_one_that_closed_of_several() -> None:
    before = [one(100), one(200), one(300)]
    assert polled(before, [one(305), one(105)]) == [([one(200)], [], [])]


def test_the_nearest_are_the_same() -> None:
    """Not the first that fits: 100 grew by five as others did, 101 closed."""
    others = [[one(1000 + 5 * k, user=f"u{n}") for n in range(3)] for k in range(2)]
    told = polled([one(100), one(101), *others[0]], [one(105), *others[1]])
    assert told == [([one(101)], [], [])]
    told = polled([one(100), one(101), *others[0]], [one(106), *others[1]])
    assert told == [([one(100)], [], [])]


def test_all_that_can_be_are_the_same() -> None:
    """Each rounded its own way, which one by one from the youngest would not find."""
    assert polled([one(100), one(101)], [one(106), one(107)]) == [NOTHING]
    assert polled([one(100), one(101)], [one(104), one(105)]) == [NOTHING]
    assert polled([one(100), one(102), one(104)], [one(106), one(107), one(109)]) == [NOTHING]


def test_the_nearest_by_what_most_of_them_grew() -> None:
    """A server that rounds up now and then does so for all; where nothing tells, time does."""
    assert polled([one(100), one(101), one(110)], [one(106), one(116)]) == [([one(101)], [], [])]
    assert polled([one(100), one(101)], [one(106)]) == [([one(100)], [], [])]
    assert polled([one(100), one(101)], [one(105)]) == [([one(101)], [], [])]
    # What most grew is no bound for the others.
    assert polled([one(100), one(110), one(300)], [one(106), one(116), one(304)]) == [NOTHING]


def test_of_other_ages_those_are_the_same_that_are_as_old() -> None:
    """Whatever they do by now."""
    before, now = [one(100, 3), one(200, 5)], [one(105, 5), one(205, 3)]
    changes = list(zip(before, now, strict=True))
    assert polled(before, now) == [([], [], changes)]


def test_of_the_same_age_those_that_have_not_changed_are_the_same() -> None:
    assert polled([one(50, 3), one(50, 5)], [one(55, 5), one(55, 3)]) == [NOTHING]
    assert polled([one(50, 3), one(50, 5)], [one(55, 5)]) == [([one(50, 3)], [], [])]
    assert polled([one(0, 3)], [one(5, 9), one(5, 3)]) == [([], [one(5, 9)], [])]
    assert polled([one(50, 3), one(50, 5)], [one(55, 6), one(55, 5)]) == [
        ([], [], [(one(50, 3), one(55, 6))])
    ]


def test_the_order_of_the_list_does_not_matter() -> None:
    before = [one(age) for age in (10, 70, 300, 4000)]
    now = [one(age + 5) for age in (300, 10, 4000, 70)]
    assert polled(before, now) == [NOTHING]
    assert polled(before, now[1:]) == [([one(300)], [], [])]
    assert polled(before, [*now, one(2), one(1)]) == [([], [one(2), one(1)], [])]


def test_what_is_told_is_in_the_order_of_the_lists() -> None:
    """Also where some are the only ones of their names."""
    before = [one(100), one(200), one(50, user="bob")]
    now = [one(105), one(3), one(1, user="carol")]
    assert polled(before, now) == [(before[1:], now[1:], [])]


def test_thousands_of_one_client_and_user() -> None:
    """As a service has them: dense, so that many fit each other."""
    before = [one(1000 + k // 50, k % 7) for k in range(5000)]
    now = [record._replace(active_time=record.active_time + 5) for record in before]
    gone = set(range(0, 5000, 100))
    left = [record for k, record in enumerate(now) if k not in gone]
    closed, opened, changed = polled(before, left)[0]
    assert (opened, changed) == ([], [])
    assert sorted(closed) == sorted(before[k] for k in gone)
    # Rounded each its own way nobody can tell which closed; but how many did.
    uneven = [
        record._replace(active_time=record.active_time + k % 2) for k, record in enumerate(left)
    ]
    closed, opened, changed = polled(before, uneven, every=5.5)[0]
    assert (len(closed), opened) == (len(gone), [])


# -- what changed ---------------------------------------------------------------------------------


def test_opens_and_flags_are_changes() -> None:
    before, now = one(9, 1), one(14, 2)
    assert polled([before], [now]) == [([], [], [(before, now)])]
    guest = one(14, 1, flags=1)
    assert polled([before], [guest]) == [([], [], [(before, guest)])]


def test_times_and_types_are_none() -> None:
    before = SessionInfo502(PC, ALICE, 1, 9, 3, 0, "DOS LM 2.1", "\\Device\\NetbiosSmb")
    now = before._replace(active_time=14, idle_time=0, transport="other")
    assert polled([before], [now]) == [NOTHING]


# -- times that are not known ---------------------------------------------------------------------


def test_without_times_they_are_counted() -> None:
    def some(count: int, user: str = ALICE) -> list[Any]:
        return [one(UNKNOWN, user=user)] * count

    told = polled(some(3), some(3), some(1), some(4), some(4, "bob"))
    assert [tuple(map(len, each)) for each in told] == [
        (0, 0, 0), (2, 0, 0), (0, 3, 0), (4, 4, 0)
    ]  # fmt: skip


def test_a_time_that_becomes_known() -> None:
    """Samba says -1 in a session's first second, and then how old it is."""
    bob = [one(50 + 5 * k, user="bob") for k in range(3)]
    told = polled([bob[0]], [bob[1], one(-1)], [bob[2], one(4)])
    assert told == [([], [one(-1)], []), NOTHING]
    # It would be older than that if it were the same.
    told = polled([bob[0], one(-1)], [bob[1], one(-1)], [bob[2], one(4)])
    assert told == [NOTHING, ([one(-1)], [one(4)], [])]


def test_a_time_that_is_not_known_once() -> None:
    """On a server that does not know any, then: what was known before is remembered."""
    assert polled([one(100)], [one(UNKNOWN)], [one(110)]) == [NOTHING, NOTHING]
    assert polled([one(100)], [one(UNKNOWN)], [one(4)]) == [
        NOTHING,
        ([one(UNKNOWN)], [one(4)], []),
    ]


def test_the_nearest_after_times_were_not_known() -> None:
    before, unknown = ([one(age, opens) for age, opens in ages] for ages in (
        [(100, 1), (101, 2)], [(UNKNOWN, 1), (UNKNOWN, 2)]
    ))  # fmt: skip
    for now, closed in ((one(110, 1), unknown[1]), (one(111, 2), unknown[0])):
        assert polled(before, unknown, [now]) == [NOTHING, ([closed], [], [])]


def test_several_whose_times_become_known() -> None:
    """The oldest age is that of the one that was listed first."""
    first, second = one(UNKNOWN, 1), one(UNKNOWN, 2)
    told = polled([first], [second, first], [one(11, 1), one(4, 2)])
    assert told == [([], [second], []), NOTHING]


def test_an_age_that_is_first_told_is_at_least_the_time_since() -> None:
    """It may be any more: the session was there before it was listed."""
    assert polled([one(UNKNOWN)], [one(500)]) == [NOTHING]
    assert polled([one(UNKNOWN)], [one(3)]) == [
        NOTHING
    ]  # it was told 5 s ago, and may have been -1
    assert polled([one(UNKNOWN)], [one(2)]) == [([one(UNKNOWN)], [one(2)], [])]


def test_an_age_that_is_told_until_it_is_minus_one() -> None:
    """Its clock was put back before it began; -1 is spelled as not known is."""
    bob = [one(50 + 5 * k, user="bob") for k in range(2)]
    assert polled([bob[0], one(-6)], [bob[1], one(-1)]) == [NOTHING]


def test_known_and_unknown_times_side_by_side() -> None:
    before = [one(UNKNOWN), one(100), one(UNKNOWN)]
    assert polled(before, [one(105), one(UNKNOWN), one(UNKNOWN)]) == [NOTHING]
    assert polled(before, [one(UNKNOWN), one(UNKNOWN)]) == [([one(100)], [], [])]


# -- clocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-3600, -90, 45, 3600, 10**8])
def test_a_server_s_clock_is_stepped(step: int) -> None:
    """All ages jump: nothing has happened, but for what has."""
    before = [one(4000 + 7 * k, client=f"pc{k}") for k in range(6)]
    now = [record._replace(active_time=record.active_time + 5 + step) for record in before]
    assert polled(before, now) == [NOTHING]
    fresh = one(2, client="new")
    closed, opened, changed = polled(before, [*now[1:], fresh])[0]
    assert (closed, opened, changed) == ([before[0]], [fresh], [])
    # From then on as before.
    later = [record._replace(active_time=record.active_time + 5) for record in now]
    assert polled(before, now, later) == [NOTHING, NOTHING]


def test_a_clock_that_is_put_back_before_sessions_began() -> None:
    """Ages below nothing are large DWORDs, and grow over the end."""
    before = [one(age, client=f"pc{age}") for age in (2, 20, 200)]
    stepped = [record._replace(active_time=(record.active_time - 95) % 2**32) for record in before]
    later = [record._replace(active_time=(record.active_time - 85) % 2**32) for record in before]
    much_later = [record._replace(active_time=record.active_time + 5) for record in before]
    told = polled(before, stepped, later, much_later, at=[0, 5, 15, 105])
    assert told == [NOTHING, NOTHING, NOTHING]


def test_ages_at_the_end_of_a_dword() -> None:
    assert polled([one(2**32 - 4)], [one(1)]) == [NOTHING]
    assert polled([one(2**31 - 2)], [one(2**31 + 3)]) == [NOTHING]
    pair = [one(2**31 - 2), one(2**31 - 90)]
    assert polled(pair, [one(2**31 + 3), one(2**31 - 85)]) == [NOTHING]


def test_a_lone_session_whose_server_s_clock_is_stepped() -> None:
    """It cannot be new, so it is the one that there was."""
    assert polled([one(100)], [one(3705)]) == [NOTHING]


@pytest.mark.parametrize("missing", range(3))
def test_several_of_one_user_whose_server_s_clock_is_stepped(missing: int) -> None:
    """One that is missing shifts those behind it, from the youngest on or from the oldest."""
    before = [one(age) for age in (26_000, 10_000, 15_000)]
    now = [one(age + 5 - 3600) for age in (15_000, 26_000, 10_000)]
    assert polled(before, now) == [NOTHING]
    left = [each for each in now if each.active_time != before[missing].active_time + 5 - 3600]
    assert polled(before, left) == [([before[missing]], [], [])]


def test_a_step_is_told_by_ages_that_are_rounded() -> None:
    """Three that jump within a second of each other are more than two that jump alike."""
    before = [one(9000, user=user) for user in "abcde"]
    jumps = (-3601, -3600, -3599, 1000, 1000)
    now = [one(9005 + jump, user=user) for jump, user in zip(jumps, "abcde", strict=True)]
    assert polled(before, now) == [(before[3:], now[3:], [])]
    # Of two that are told by as many, the smaller.
    now = [one(9005 + jump, user=user) for jump, user in ((2000, "a"), (1000, "b"))]
    assert polled(before[:2], now) == [(before[:1], now[:1], [])]


def test_a_step_is_no_whole_second() -> None:
    """Two tell of 100 seconds, one of 102: of 101, which another rounding makes of all three."""
    before = [one(1000), one(2000, user="bob"), one(100, user="carol")]
    now = [one(910), one(1910, user="bob"), one(9, user="carol")]
    assert polled(before, now, every=10.5) == [NOTHING]


def test_a_step_is_what_lies_in_the_middle() -> None:
    """So that those that were rounded down fit, and those that were rounded up."""
    before = [one(1000), one(2000, user="b"), one(100, user="c"), one(100, user="d")]
    now = [one(910), one(1910, user="b"), one(9, user="c"), one(11, user="d")]
    assert polled(before, now, every=10) == [NOTHING]


def test_how_old_is_too_old_to_be_new() -> None:
    """A second more than the time that has passed, and what a clock may be off."""
    assert polled([one(1000)], [one(11)], every=10) == [([one(1000)], [one(11)], [])]
    assert polled([one(1000)], [one(12)], every=10) == [NOTHING]  # a clock was stepped


def test_too_old_to_be_new_and_none_that_was_there() -> None:
    old = one(500, user="bob")
    assert polled([one(100)], [one(105), old]) == [([], [old], [])]


def test_an_odd_one_among_many_is_no_step() -> None:
    others = [[one(900 + 5 * k, client=f"pc{n}") for n in range(9)] for k in range(2)]
    assert polled([one(100), *others[0]], [one(3705), *others[1]]) == [
        ([one(100)], [one(3705)], [])
    ]


@pytest.mark.parametrize("rate", [0.9, 0.99, 1.01, 1.1])
def test_a_server_whose_clock_runs_at_another_rate(rate: float) -> None:
    """By a minute a list, too: an old session tells the rate, a young one is none other."""
    lists = [
        [one(int(start + 60 * k * rate), client=f"pc{start}") for start in (1, 5000, 90000)]
        for k in range(5)
    ]
    assert polled(*lists, every=60) == [NOTHING] * 4


def test_a_list_that_took_long_leaves_room() -> None:
    """It was made at some time between asking and the answer."""
    assert polled([one(100)], [one(101)], every=20, takes=19) == [NOTHING]
    assert polled([one(100)], [one(139)], every=20, takes=19) == [NOTHING]
    assert polled([one(2000), one(100)], [one(2020), one(90)], every=100, takes=1)[0][0]


def test_after_a_sleep() -> None:
    hours = 10 * 3600
    assert polled([one(100)], [one(100 + hours)], every=hours) == [NOTHING]
    assert polled([one(100)], [one(100)], every=hours) == [([one(100)], [one(100)], [])]


def test_a_clock_may_be_slewed() -> None:
    """By NTP: in ten hours by half a minute, which makes no new session an old one."""
    hours = 10 * 3600
    assert polled([one(1)], [one(hours + 31)], every=hours) == [NOTHING]
    told: list[Lists] = [([one(5000)], [one(hours + 31)], [])]
    assert polled([one(5000)], [one(hours + 31)], every=hours) == told


@pytest.mark.parametrize(("age", "later"), [(0, 1002), (2, 1000)])
def test_ages_at_the_very_bounds(age: int, later: int) -> None:
    """After 1,000 seconds these are two off."""
    assert polled([one(age)], [one(later)], every=1000, takes=0) == [NOTHING]
    pair = [one(age), one(500)], [one(later), one(1500)]
    assert polled(*pair, every=1000, takes=0) == [NOTHING]


def test_what_is_a_little_out_is_an_old_one() -> None:
    """A clock at another rate, where one session alone tells nothing of a step."""
    for grown, told in ((54, NOTHING), (30, ([one(5000)], [one(5030)], []))):
        roll = Roll(selected=True)
        roll.update([one(5000)], Moment(1000, 1000))
        assert roll.update([one(5000 + grown)], Moment(1060, 1060)) == told
        assert [number for number, _ in roll.numbered] == [1 if told == NOTHING else 2]


def test_a_selection_that_sessions_come_into() -> None:
    """An old one that is new there is no clock that was set."""
    roll = Roll(selected=True)
    roll.update([one(1000)], Moment(0, 0))
    assert roll.update([one(500)], Moment(5, 5)) == ([one(1000)], [one(500)], [])
    # Two that jump alike are.
    pair = [one(7000), one(9000, user="bob")]
    roll.update(pair, Moment(10, 10))
    stepped = [each._replace(active_time=each.active_time + 3605) for each in pair]
    assert roll.update(stepped, Moment(15, 15)) == NOTHING


def test_no_server_can_make_it_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters that fit each other in many ways: the tables for them are bounded all together."""
    from netsession import _identity

    cells = []
    best = _identity._Line._best

    def counted(self: Any, before: Any, now: Any) -> Any:
        cells.append(len(before) * len(now))
        return best(self, before, now)

    monkeypatch.setattr(_identity._Line, "_best", counted)
    before = [one(100 + 20 * (k // 190) + k % 3) for k in range(9500)]
    now = [one(each.active_time + 4 + k % 3) for k, each in enumerate(before) if k % 190 > 1]
    closed, opened, _ = polled(before, now)[0]
    assert len(closed) - len(opened) == 100
    assert 0 < sum(cells) <= _identity._ALL_CELLS


def line(before: Sequence[int], now: Sequence[int], *, grown: float = 5.0) -> _Line:
    """Ages of one client and user in two lists, made so many seconds apart."""
    last, when = Moment(0, 0), Moment(grown, grown)
    growth = _Growth(last, when)
    some, others = (
        [Seen(one(age), at) for age in ages] for ages, at in ((before, last), (now, when))
    )
    return _Line(some, others, growth, growth.bounds)


def test_what_was_told_long_ago_may_be_further_off() -> None:
    """Two seconds in a thousand, beside one that was told ten seconds ago."""
    long_ago, last, when = Moment(0, 0), Moment(1000, 1000), Moment(1010, 1010)
    growth = _Growth(last, when)
    before = [Seen(one(0), long_ago), Seen(one(5000), last)]
    now = [Seen(one(1012), when), Seen(one(5011), when)]
    assert ages(_Line(before, now, growth, growth.bounds).pairs()) == [(0, 1012), (5000, 5011)]


def ages(pairs: Iterable[tuple[Seen, Seen]]) -> list[tuple[int, int]]:
    return [(one.age, other.age) for one, other in pairs]


def best_by_trying(before: list[int], now: list[int]) -> tuple[int, int]:
    """How many pairs there can be, and how far off they are together (less is more), by trying."""
    if not before or not now:
        return 0, 0
    found = [best_by_trying(before[1:], now), best_by_trying(before, now[1:])]
    off = abs(now[0] - before[0] - 5)
    if off <= 1:
        pairs, others = best_by_trying(before[1:], now[1:])
        found.append((pairs + 1, others - off))
    return max(found)


@pytest.mark.parametrize("seed", range(60))
def test_as_many_as_can_be_and_as_near_as_can_be(seed: int) -> None:
    chance = Random(seed)
    before, now = (
        sorted(chance.randrange(9) + start for _ in range(chance.randrange(1, 8)))
        for start in (0, 5)
    )
    expected = best_by_trying(before, now)
    of_all = line(before, now)
    for found in (of_all.pairs(), of_all._best(of_all._before, of_all._now)):
        told = ages(found)
        assert (len(told), -sum(abs(b - a - 5) for a, b in told)) == expected
        # Each once, and none crosses another.
        assert len({id(seen) for pair in found for seen in pair}) == 2 * len(found)
        assert sorted(a for a, _ in told) == [a for a, _ in sorted(told, key=lambda p: p[1])]
    told = ages(of_all._many(deque(of_all._before), deque(of_all._now)))
    assert len(told) == expected[0]
    assert all(abs(b - a - 5) <= 1 for a, b in told)


def test_parts_are_as_small_as_they_can_be() -> None:
    """No pair can be between two of them; each is a table of its own."""
    of_all = line([0, 1, 4, 50, 90, 200], [6, 9, 55, 56, 150, 205])
    parts = [
        ([seen.age for seen in some], [seen.age for seen in others])
        for some, others in of_all._parted(of_all._before, of_all._now)
    ]
    assert parts == [
        ([0, 1], [6]), ([4], [9]), ([50], [55, 56]), ([90], []), ([], [150]), ([200], [205])
    ]  # fmt: skip


def test_many_are_as_they_should_be_or_else_as_many_as_can_be() -> None:
    of_all = line([10, 20, 30, 40], [45, 15, 35])
    assert sorted(ages(of_all._good(of_all._before, of_all._now))) == [(10, 15), (30, 35), (40, 45)]
    uneven = line([10, 20, 30, 40], [46, 15, 24])
    assert ages(uneven._good(uneven._before, uneven._now)) == [(10, 15), (20, 24), (40, 46)]


def test_a_number_stays_with_a_session() -> None:
    roll = Roll()
    roll.update([one(100), one(7, user="bob")], Moment(0, 0))
    assert roll.numbered == [(1, one(100)), (2, one(7, user="bob"))]
    now = [one(2, user="carol"), one(12, user="bob"), one(1)]
    roll.update(now, Moment(5, 5))
    assert roll.numbered == list(zip((3, 2, 4), now, strict=True))
    later = [one(6), one(3, user="dave"), one(17, user="bob")]
    roll.update(later, Moment(10, 10))
    assert roll.numbered == list(zip((4, 5, 2), later, strict=True))


# -- levels and names -----------------------------------------------------------------------------


def test_level_0_knows_clients_only() -> None:
    pc, other = SessionInfo0("PC"), SessionInfo0("OTHER")
    assert polled([pc, pc, other], [other, pc, pc]) == [NOTHING]
    assert polled([pc, pc, other], [pc, other, other]) == [([pc], [other], [])]


@pytest.mark.parametrize("poor", ["level 0", "level 10"])
def test_a_level_that_is_refused_for_a_while(poor: str) -> None:
    """What it does not tell is remembered: users, ages, opens."""
    rich = [one(100, 1), one(50, 2, user="bob"), one(50, 3, client="pc", user="bob")]
    lean = [
        SessionInfo0(each.client_name)
        if poor == "level 0"
        else SessionInfo10(each.client_name, each.user_name, each.active_time + 5, 0)
        for each in rich
    ]
    after = [each._replace(active_time=each.active_time + 10) for each in rich]
    assert polled(rich, lean, after) == [NOTHING, NOTHING]
    after[1] = after[1]._replace(num_opens=9)
    assert polled(rich, lean, after) == [NOTHING, ([], [], [(rich[1], after[1])])]
    # Who reconnected meanwhile is noticed once ages are told again.
    after = [one(110, 1), one(2, 2, user="bob"), one(60, 3, client="pc", user="bob")]
    closed, opened, changed = polled(rich, lean, after)[1]
    assert (len(closed), opened, changed) == (1, [after[1]], [])


def test_levels_that_get_richer() -> None:
    poor = [SessionInfo0(PC), SessionInfo0("pc")]
    rich = [SessionInfo2(PC, ALICE, 1, 50, 0, 0, ""), SessionInfo2("pc", "bob", 1, 4, 0, 0, "")]
    assert polled(poor, rich) == [NOTHING]
    rich[1] = rich[1]._replace(active_time=1)
    assert polled(poor, rich) == [([poor[1]], [rich[1]], [])]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (("PC17", "Alice"), ("\\\\pc17", "ALICE")),
        (("\\\\[2001:DB8::0:5]", "alice"), ("2001:db8::5", "alice")),
        (("::ffff:10.1.2.3", "alice"), ("10.1.2.3", "alice")),
        (("pc", "GRÜN"), ("pc", "grün")),
    ],
)
def test_names_that_are_spelled_otherwise(before: Any, now: Any) -> None:
    for age in (100, 0):  # a young one might be new
        first = one(age, client=before[0], user=before[1])
        second = one(age + 5, client=now[0], user=now[1])
        third = first._replace(active_time=age + 10)
        assert polled([first], [second], [third]) == [NOTHING, NOTHING]


def test_a_user_is_remembered_where_none_is_told() -> None:
    told = polled([one(100)], [SessionInfo0(PC)], [one(110, user="bob")])
    assert told == [NOTHING, ([SessionInfo0(PC)], [one(110, user="bob")], [])]


def test_names_that_are_others() -> None:
    for user in ("CORP\\alice", "alice$", "älice", None):
        other = one(105, user=user)  # type: ignore[arg-type]
        assert polled([one(100)], [other]) == [([one(100)], [other], [])]
    # Servers upcase by two tables, each of which has one of these pairs; and no name is none.
    for user, another in (("ștefan", "ȘTEFAN"), ("ςigma", "ΣIGMA")):
        first, second = one(100, user=user), one(105, user=another)
        assert polled([first], [second]) == [([first], [second], [])]
    for name in ("client", "user"):
        named: dict[str, Any] = {name: "X"}
        first, second = one(100, **named), one(105, **{name: None})  # type: ignore[arg-type]
        assert polled([first], [second]) == [([first], [second], [])]
    # Both spellings at once are two sessions, each with its own.
    pair = [one(100), one(100, user="ALICE")]
    assert polled(pair, [one(105, user="ALICE"), one(105)], [one(110)])[0] == NOTHING


def test_nothing_is_listed() -> None:
    assert polled([one(5)], [], [], [one(2)]) == [([one(5)], [], []), NOTHING, ([], [one(2)], [])]
