"""Watching against a model: the events are exactly what happened, however ages are rounded.

The model knows when sessions begin and end, to the millisecond. Servers tell ages in whole seconds,
each its own way, of a list that was made at some time between asking and the answer.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as st

import examples
from netsession import SessionInfo1
from netsession._identity import Moment, Roll

UNKNOWN = 0xFFFFFFFF

checked = examples.the_same(120)


@dataclass(frozen=True)
class Session:
    """When it begins and ends, in milliseconds."""

    client: str
    user: str
    begins: int
    ends: int


def cut_off(now: float, begins: float) -> int:
    """Windows: whole seconds that have passed."""
    return math.floor(now - begins)


def of_samba(now: float, begins: float) -> int:
    """Samba: the present cut off, the beginning rounded; -1 in the first half second."""
    return math.floor(now) - math.floor(begins + 0.5)


def rounded_up(now: float, begins: float) -> int:
    return math.ceil(now - begins)


def rounded(now: float, begins: float) -> int:
    return math.floor(now - begins + 0.5)


def unknown(now: float, begins: float) -> int:
    return UNKNOWN


ROUNDINGS = [cut_off, of_samba, rounded_up, rounded]
NAMES = st.tuples(st.sampled_from(["pc1", "pc2"]), st.sampled_from(["alice", "bob"]))


@st.composite
def histories(draw: st.DrawFn, apart: int) -> tuple[list[Session], list[tuple[int, int, int]]]:
    """Sessions, and lists: asked, made and answered at. Those of one name begin ``apart``."""
    sessions = []
    begun: dict[tuple[str, str], list[int]] = {}
    for _ in range(draw(st.integers(0, 14))):
        names = draw(NAMES)
        begins = draw(st.integers(-100_000, 60_000))
        if all(abs(begins - other) >= apart for other in begun.setdefault(names, [])):
            begun[names].append(begins)
            sessions.append(Session(*names, begins, begins + draw(st.integers(1, 90_000))))
    polls = []
    time = 0
    for _ in range(draw(st.integers(2, 8))):
        asked = time
        made = asked + draw(st.integers(0, 150))
        time = made + draw(st.integers(0, 150))
        polls.append((asked, made, time))
        time += draw(st.integers(200, 15_000))
    return sessions, polls


def listed(sessions: list[Session], at: int, age_of: Any, shuffle: Any = None) -> list[Any]:
    found = [
        SessionInfo1(
            each.client,
            each.user,
            0,
            age_of(at / 1000, each.begins / 1000) % 2**32,
            0,
            0,
        )
        for each in sessions
        if each.begins <= at < each.ends
    ]
    return shuffle(found) if shuffle else found


def ages_of(records: list[Any]) -> Counter[Any]:
    return Counter((record.client_name, record.user_name, record.active_time) for record in records)


@pytest.mark.parametrize("age_of", ROUNDINGS)
@checked
@given(data=st.data())
def test_exactly_what_happened(age_of: Any, data: st.DataObject) -> None:
    """Of sessions of one client and user that begin at least four seconds apart."""
    sessions, polls = data.draw(histories(apart=4000))
    shuffle = lambda found: data.draw(st.permutations(found))  # noqa: E731
    # One that is there all the time, as the watch's own mostly is: the server tells ages.
    sessions.append(Session("own", "watch", -200_000, 10**9))
    roll = Roll()
    before: set[Session] = set()
    last = 0
    for number, (asked, made, answered) in enumerate(polls):
        there = {each for each in sessions if each.begins <= made < each.ends}
        records = listed(sessions, made, age_of, shuffle)
        closed, opened, changed = roll.update(records, Moment(asked / 1000, answered / 1000))
        assert not changed
        assert ages_of(opened) == ages_of(listed(sorted_list(there - before), made, age_of))
        if number:
            gone = listed(sorted_list(before - there), last, age_of)
            assert ages_of(closed) == ages_of(gone)
        before, last = there, made


def sorted_list(sessions: set[Session]) -> list[Session]:
    return sorted(sessions, key=lambda each: (each.client, each.user, each.begins))


@pytest.mark.parametrize("age_of", [*ROUNDINGS, unknown])
@checked
@given(data=st.data())
def test_the_numbers_are_always_right(age_of: Any, data: st.DataObject) -> None:
    """However close they begin: what opened less what closed is what there is; no pair is told
    where nothing has happened, nor anything of names of which nothing has."""
    sessions, polls = data.draw(histories(apart=0))
    roll = Roll()
    before: list[Any] = []
    there_before: set[Session] = set()
    for asked, made, answered in polls:
        there = {each for each in sessions if each.begins <= made < each.ends}
        records = listed(sessions, made, age_of)
        closed, opened, _ = roll.update(records, Moment(asked / 1000, answered / 1000))
        count = Counter((record.client_name, record.user_name) for record in before)
        count.subtract((record.client_name, record.user_name) for record in closed)
        count.update((record.client_name, record.user_name) for record in opened)
        assert +count == Counter((record.client_name, record.user_name) for record in records)
        assert not ages_of(closed) - ages_of(before)
        assert not ages_of(opened) - ages_of(records)
        told = {(record.client_name, record.user_name) for record in [*closed, *opened]}
        assert told <= {(each.client, each.user) for each in there ^ there_before}
        before, there_before = records, there


@checked
@given(data=st.data())
def test_rounded_at_will(data: st.DataObject) -> None:
    """Each age up or down anew in each list: still no session is told that did nothing."""
    sessions, polls = data.draw(histories(apart=8000))
    sessions = [
        Session(each.client, each.user, min(each.begins, -9000), 10**9)
        for each in {(s.client, s.user): s for s in sessions}.values()
    ]
    roll = Roll()
    for number, (asked, made, answered) in enumerate(polls):
        at_will = lambda now, begins: math.floor(now - begins) + data.draw(st.integers(0, 1))  # noqa: E731
        records = listed(sessions, made, at_will)
        told = roll.update(records, Moment(asked / 1000, answered / 1000))
        if number:
            assert told == ([], [], [])


@pytest.mark.parametrize("age_of", ROUNDINGS)
@checked
@given(data=st.data(), step=st.integers(-(10**6), 10**6))
def test_a_step_of_the_clock_is_none_of_what_happened(
    age_of: Any, step: int, data: st.DataObject
) -> None:
    """Between two lists the server's clock is set: what stays is known by staying together."""
    sessions, polls = data.draw(histories(apart=4000))
    clients = [f"old{k}" for k in range(3)]
    # So old that each of them is, with its new age, older than the last list, or not born yet.
    sessions = [
        *(Session(client, "old", -2_000_000 - 7000 * k, 10**9) for k, client in enumerate(clients)),
        *({(s.client, s.user): s for s in sessions}.values()),
    ]
    at = data.draw(st.integers(1, len(polls) - 1))
    if abs(step) < 60 or -2_100 < step < -1_900:  # its age would be a new session's
        step = 5000
    roll = Roll()
    before: set[Session] = set()
    for number, (asked, made, answered) in enumerate(polls):
        there = {each for each in sessions if each.begins <= made < each.ends}
        records = [
            record._replace(active_time=(record.active_time + step) % 2**32)
            if number >= at and not began_after(record, sessions, polls[at - 1][1])
            else record
            for record in listed(sessions, made, age_of)
        ]
        closed, opened, _ = roll.update(records, Moment(asked / 1000, answered / 1000))
        if number:
            assert names_of(closed) == Counter((s.client, s.user) for s in before - there)
            assert names_of(opened) == Counter((s.client, s.user) for s in there - before)
        before = there


def began_after(record: Any, sessions: list[Session], time: int) -> bool:
    """Whether a session, the only one of its names, began later."""
    return any(
        (each.client, each.user) == (record.client_name, record.user_name) and each.begins > time
        for each in sessions
    )


def names_of(records: list[Any]) -> Counter[Any]:
    return Counter((record.client_name, record.user_name) for record in records)
