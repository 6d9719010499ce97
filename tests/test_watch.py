"""Server.watch(): its events, its rhythm, how it fails and how it ends."""

from __future__ import annotations

import asyncio
import pickle
import re
import threading
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import netsession
from forking import in_a_fork, needs_fork
from netsession import (
    AccessDenied,
    InvalidLevel,
    InvalidParameter,
    LogonFailed,
    Server,
    ServerUnreachable,
    SessionChanged,
    SessionClosed,
    SessionOpened,
    Watch,
    WatchFailed,
    WatchRecovered,
    where,
)
from netsession.srvsvc.client import Call
from netsession.testing import SimulatedServer, simulated_server
from scripted import Scripted, row
from watch_clock import NOON, FakeClock

PATIENCE = 60.0  # a hang guard
ACCESS_DENIED, BAD_NETPATH, LOGON_FAILURE, NO_MEMORY = 5, 53, 1326, 8
ENUM = "NetSessionEnum"


@pytest.fixture
def server() -> Iterator[SimulatedServer]:
    with simulated_server([{"client_name": "pc1", "user_name": "alice", "active_time": 100}]) as s:
        yield s


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def watched(server: Server, clock: FakeClock, **options: Any) -> Watch:
    return Watch(server, clock=clock, **options)


def kinds(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


# -- events ---------------------------------------------------------------------------------------


def test_what_happens_is_told(server: SimulatedServer, clock: FakeClock) -> None:
    watch = watched(server, clock)
    assert watch.sessions == ()
    assert watch.level is None
    assert watch.poll() == []
    assert [session.user_name for session in watch.sessions] == ["alice"]
    assert (watch.level, watch.every, watch.server) == (502, 5.0, server)
    clock.pass_by(5)
    server.advance(5)
    server.connect_session("pc2", "bob", num_opens=1)
    (opened,) = watch.poll()
    assert opened == SessionOpened(clock.wall, "simulated", watch.sessions[1])
    clock.pass_by(5)
    server.advance(5)
    server.change_session("pc2", "bob", num_opens=4)
    before, (changed,) = watch.sessions[1], watch.poll()
    assert changed == SessionChanged(clock.wall, "simulated", watch.sessions[1], before)
    assert (changed.before.num_opens, changed.session.num_opens) == (1, 4)
    clock.pass_by(5)
    server.advance(5)
    server.end_session("pc2", "bob")
    last, (closed,) = watch.sessions[1], watch.poll()
    assert closed == SessionClosed(NOON + timedelta(seconds=15), "simulated", last)
    assert closed.at.tzinfo is UTC


def test_a_reconnect_is_a_close_and_an_open(server: SimulatedServer, clock: FakeClock) -> None:
    watch = watched(server, clock)
    watch.poll()
    server.advance(3)
    server.end_session("pc1", "alice")
    server.connect_session("pc1", "alice")
    server.advance(2)
    closed, opened = watch.poll()
    assert (closed.session.active_time, opened.session.active_time) == (100, 2)
    assert kinds([closed, opened]) == ["SessionClosed", "SessionOpened"]


def test_existing_sessions_are_told_where_that_is_wanted(clock: FakeClock) -> None:
    with simulated_server(3) as server:
        assert kinds(watched(server, clock, existing=True).poll()) == ["SessionOpened"] * 3
        assert watched(server, clock).poll() == []


def test_a_selection_is_watched(server: SimulatedServer, clock: FakeClock) -> None:
    by_user = watched(server, clock, user="BOB")
    busy = watched(server, clock, where=where(min_opens=2))
    at_0 = watched(server, clock, client="pc2", level=0)
    for watch in (by_user, busy, at_0):
        assert watch.poll() == []
    server.connect_session("pc2", "bob", num_opens=1)
    assert kinds(by_user.poll()) == ["SessionOpened"]
    assert busy.poll() == []
    assert [event.session for event in at_0.poll()] == [netsession.SessionInfo0("pc2")]
    server.change_session("pc2", "bob", num_opens=2)
    assert kinds(busy.poll()) == ["SessionOpened"]  # it has come to match
    server.change_session("pc2", "bob", num_opens=1)
    assert kinds(busy.poll()) == ["SessionClosed"]
    assert kinds(by_user.poll()) == []


def test_one_comes_into_a_selection_as_another_leaves(clock: FakeClock) -> None:
    with simulated_server(0) as server:
        server.connect_session("pc", "alice", active_time=900, num_opens=3)
        server.connect_session("pc", "alice", active_time=200, num_opens=0)
        watch = watched(server, clock, where=where(min_opens=1))
        watch.poll()
        server.change_session("pc", "alice", num_opens=0, only="first")
        server.change_session("pc", "alice", num_opens=1, only="last")
        server.advance(5)
        assert kinds(watch.poll()) == ["SessionClosed", "SessionOpened"]


@pytest.mark.parametrize(
    ("selection", "told"),
    [
        ({}, []),
        ({"user": "alice"}, []),
        ({"where": where(client="p*")}, []),
        ({"where": where(user="a*")}, []),
        ({"where": where(client="p*", user="a*")}, []),
        ({"where": where(no_opens=True)}, ["SessionClosed", "SessionOpened"]),
        ({"where": where(user="a*", no_opens=True)}, ["SessionClosed", "SessionOpened"]),
    ],
)
def test_names_are_no_selection_that_one_comes_into(
    server: SimulatedServer, clock: FakeClock, selection: dict[str, Any], told: list[str]
) -> None:
    """What is too old to be new is there since before: a clock was set, or it matches by now."""
    watch = watched(server, clock, **selection)
    watch._time_of_ages = clock.now
    watch.poll()
    clock.pass_by(5)
    server.advance(3605)
    assert kinds(watch.poll()) == told


def test_a_server_has_no_clock_of_its_own(
    server: SimulatedServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_time_of_ages", None)
    watch = watched(server, clock)
    watch.poll()
    server.advance(50)
    clock.pass_by(50)
    assert watch.poll() == []


def test_a_list_was_made_between_asking_and_the_answer(
    server: SimulatedServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments: list[Any] = []
    watch = watched(server, clock)
    update = watch._roll.update

    def noted(records: Any, when: Any) -> Any:
        moments.append((when.asked, when.answered))
        return update(records, when)

    monkeypatch.setattr(watch._roll, "update", noted)
    watch._time_of_ages = iter([1.0, 2.0]).__next__
    watch.poll()
    assert moments == [(1.0, 2.0)]


def test_a_list_has_the_server_s_time_as_a_whole(
    server: SimulatedServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    sessions = server.sessions

    def noted(**options: Any) -> Any:
        asked.append(options)
        return sessions(**options)

    monkeypatch.setattr(server, "_timeout", 7.5)
    watch = watched(server, clock, level=1, user="alice")
    monkeypatch.setattr(server, "sessions", noted)
    watch.poll()
    names = {"level": 1, "client": None, "user": "alice", "where": None}
    assert asked == [{**names, "timeout": 7.5}]


def test_several_watches_of_one_server(server: SimulatedServer, clock: FakeClock) -> None:
    one, other = watched(server, clock), watched(server, clock)
    assert one.poll() == other.poll() == []
    server.end_session("pc1", "alice")
    assert kinds(one.poll()) == kinds(other.poll()) == ["SessionClosed"]


def test_events_are_values(server: SimulatedServer, clock: FakeClock) -> None:
    session = next(iter(server.sessions()))
    events = [kind(NOON, "fs01", session) for kind in (SessionOpened, SessionClosed)]
    events += [SessionChanged(NOON, "fs01", session, session), WatchRecovered(NOON, None)]
    failed = WatchFailed(NOON, "fs01", AccessDenied(5, ENUM, "fs01"))
    assert len({*events, failed}) == 5
    for event in events:
        assert pickle.loads(pickle.dumps(event)) == event
        assert isinstance(event, netsession.WatchEvent)
        assert repr(event).startswith(type(event).__name__ + "(at=datetime.datetime(2026")
        with pytest.raises(AttributeError):
            event.at = None  # type: ignore[misc]
    again = pickle.loads(pickle.dumps(failed))
    assert (again.at, again.server, again.session) == (NOON, "fs01", None)
    assert again.error.status == 5
    assert WatchRecovered(NOON, "fs01").session is None
    for kind, values in ((WatchRecovered, ()), (WatchFailed, (failed.error,))):
        assert "session" not in repr(kind(NOON, "fs01", *values))
        with pytest.raises(TypeError):
            kind(NOON, "fs01", *values, session)


def test_they_are_public_and_cost_nothing_before_they_are_wanted() -> None:
    for name in ("Watch", "WatchEvent", "SessionOpened", "SessionClosed", "SessionChanged"):
        assert name in netsession.__all__
        assert getattr(netsession, name).__module__ == "netsession.watch"


# -- rhythm ---------------------------------------------------------------------------------------


def test_it_asks_in_step_and_does_not_drift(server: SimulatedServer, clock: FakeClock) -> None:
    asked: list[float] = []
    watch = watched(server, clock, every=5)
    with_time = server._time_of_ages

    def time_of_ages() -> float:
        asked.append(clock.at)
        clock.pass_by(0.25)  # asking takes time
        return with_time() if with_time else 0.0

    watch._time_of_ages = time_of_ages
    rounds = iter([None] * 9)

    def meanwhile() -> None:
        if next(rounds, 0) == 0:
            server.connect_session("pc9", "zoe")

    clock.before_poll = meanwhile
    assert kinds([next(watch)]) == ["SessionOpened"]
    assert asked[::2] == [5000.0 + 5 * k for k in range(11)]
    assert watch.polls == 11


def test_a_poll_that_takes_long_skips_what_it_misses(
    server: SimulatedServer, clock: FakeClock
) -> None:
    watch = watched(server, clock, every=5)
    watch.poll()
    watch._time_of_ages = lambda: clock.pass_by(6) or 0.0  # type: ignore[func-returns-value]
    clock.pass_by(5)
    watch.poll()  # from 5 to 17
    assert watch._left == 3  # at 20


def test_who_comes_late_is_answered_at_once(server: SimulatedServer, clock: FakeClock) -> None:
    watch = watched(server, clock, every=5, existing=True)
    next(watch)
    clock.pass_by(12.5)  # the program was busy, or the machine asleep
    server.end_session("pc1", "alice")
    assert kinds([next(watch)]) == ["SessionClosed"]
    assert clock.waits == []
    assert watch._left == 2.5


def test_it_asks_no_sooner(server: SimulatedServer, clock: FakeClock) -> None:
    watch = watched(server, clock, every=0.5, existing=True)
    next(watch)
    clock.before_poll = lambda: server.end_session("pc1", "alice")
    assert kinds([next(watch)]) == ["SessionClosed"]
    assert clock.waits == [0.5]
    server.connect_session("pc1", "alice")

    async def main() -> None:
        assert kinds([await anext(watch)]) == ["SessionOpened"]

    clock.before_poll = lambda: None
    asyncio.run(main())
    assert clock.waits == [0.5, 0.5]


def test_who_has_a_rhythm_of_their_own_may_wait(server: SimulatedServer, clock: FakeClock) -> None:
    watch = watched(server, clock)
    assert watch.wait() is True
    assert clock.waits == []
    watch.poll()
    assert watch.wait() is True
    assert clock.waits == [5]
    watch.close()
    assert watch.wait() is False


def test_after_years_it_goes_on(server: SimulatedServer, clock: FakeClock) -> None:
    watch = watched(server, clock, every=1e-6, existing=True)
    next(watch)
    clock.pass_by(1e8)
    assert watch.poll() == []
    assert watch._left == 0


def test_the_wall_clock_only_says_when(server: SimulatedServer, clock: FakeClock) -> None:
    watch = watched(server, clock)
    watch.poll()
    clock.wall -= timedelta(days=400)
    clock.at += 5
    server.advance(5)
    server.connect_session("pc2", "bob")
    (event,) = watch.poll()
    assert event.at == clock.wall < NOON


def test_the_machine_s_clock_counts_what_was_slept_through() -> None:
    import time

    from netsession.watch import _SystemClock

    clock = _SystemClock()
    one, other = clock.now(), clock.now()
    assert one <= other
    if hasattr(time, "CLOCK_BOOTTIME"):
        assert abs(time.clock_gettime(time.CLOCK_BOOTTIME) - one) < PATIENCE
    assert clock.utc().tzinfo is UTC


def test_which_clock_that_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from netsession import watch

    numbers = {"CLOCK_MONOTONIC": 1, "CLOCK_BOOTTIME": 2}
    functions = {"clock_gettime": lambda number: number, "monotonic": lambda: 3}
    monkeypatch.setattr(watch, "time", SimpleNamespace(**numbers, **functions))
    for platform, number in (("linux", 2), ("darwin", 1)):
        monkeypatch.setattr(watch.sys, "platform", platform)
        assert watch._SystemClock().now() == number
    monkeypatch.setattr(watch, "time", SimpleNamespace(**functions))
    monkeypatch.setattr(watch.sys, "platform", "win32")
    assert watch._SystemClock().now() == 3


def test_who_waits_looks_whether_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    from netsession.watch import _SystemClock

    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def main() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "sleep", sleep)
            await clock.wait_async(3600)
            await clock.wait_async(0.125)

    clock = _SystemClock()
    asyncio.run(main())
    for seconds in (3600, 0.125):
        clock.wait(seconds, SimpleNamespace(wait=waits.append))  # type: ignore[arg-type]
    assert waits == [0.25, 0.125] * 2


def test_an_alarm_wakes_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    from netsession.watch import Alarm

    alarm = Alarm()
    assert alarm.wait(0.001) is False
    told: list[bool] = []
    thread = threading.Thread(target=lambda: told.append(alarm.wait(3600)), daemon=True)
    thread.start()
    alarm.set()
    thread.join(PATIENCE)
    assert told == [True]
    assert alarm.wait(3600) is True
    # It rings on for the others.
    alarm = Alarm()
    rings: list[None] = []
    queue = SimpleNamespace(get=lambda timeout: alarm.set(), put=rings.append)
    monkeypatch.setattr(alarm, "_rings", queue)
    assert alarm.wait(3600) is True
    assert rings == [None, None]


# -- failures -------------------------------------------------------------------------------------


def test_a_failure_is_told_once_and_what_changed_meanwhile(
    server: SimulatedServer, clock: FakeClock
) -> None:
    watch = watched(server, clock)
    watch.poll()
    server.fail(ENUM, BAD_NETPATH, times=2)
    clock.pass_by(5)
    (failed,) = watch.poll()
    assert isinstance(failed, WatchFailed)
    assert (failed.at, failed.server, failed.session) == (clock.wall, "simulated", None)
    assert isinstance(failed.error, ServerUnreachable)
    assert failed.error.__traceback__ is None  # no frames are kept
    assert watch.poll() == []
    assert len(watch.sessions) == 1  # what was listed last
    server.end_session("pc1", "alice")
    server.connect_session("pc2", "bob")
    server.advance(15)
    assert kinds(watch.poll()) == ["WatchRecovered", "SessionClosed", "SessionOpened"]
    assert watch.poll() == []


def test_another_failure_is_told_too(server: SimulatedServer, clock: FakeClock) -> None:
    watch = watched(server, clock)
    server.fail(ENUM, BAD_NETPATH)
    assert kinds(watch.poll()) == ["WatchFailed"]  # before the first list as well
    assert watch.poll() == []
    server.fail(ENUM, NO_MEMORY)
    (failed,) = watch.poll()
    assert failed.error.status == NO_MEMORY
    server.fail(ENUM, NO_MEMORY, times=0)
    assert kinds(watch.poll()) == ["WatchRecovered"]  # and the first list is told of no more


def test_an_error_that_is_kept_keeps_no_frames() -> None:
    from netsession.watch import _forget_frames

    def raised() -> Exception:
        try:
            raise ValueError
        except ValueError as error:
            return error

    error, caused, met = raised(), raised(), raised()
    error.__cause__, caused.__context__ = caused, met
    _forget_frames(error)
    assert [each.__traceback__ for each in (error, caused, met)] == [None] * 3
    met.__context__ = error  # round and round
    _forget_frames(error)


def test_access_that_is_denied_is_asked_for_again(
    server: SimulatedServer, clock: FakeClock
) -> None:
    watch = watched(server, clock)
    server.fail(ENUM, ACCESS_DENIED)
    assert isinstance(watch.poll()[0].error, AccessDenied)
    assert watch._left == 5


@pytest.mark.parametrize(
    ("status", "error"), [(124, InvalidLevel), (87, InvalidParameter), (LOGON_FAILURE, LogonFailed)]
)
def test_what_does_not_pass_is_raised_before_the_first_list(
    server: SimulatedServer, clock: FakeClock, status: int, error: type[Exception]
) -> None:
    server.fail(ENUM, BAD_NETPATH, times=1)
    watch = watched(server, clock)
    assert kinds(watch.poll()) == ["WatchFailed"]
    server.fail(ENUM, status)
    with pytest.raises(error):
        next(watch)
    calls = server.calls()
    assert list(watch) == []  # it is over: nobody is asked again
    assert server.calls() == calls


@pytest.mark.parametrize("status", [124, 87])
def test_later_it_is_an_event(server: SimulatedServer, clock: FakeClock, status: int) -> None:
    watch = watched(server, clock, level=1)
    watch.poll()
    server.fail(ENUM, status)
    assert kinds(watch.poll()) == ["WatchFailed"]
    assert watch._left == 5


def test_a_logon_that_is_refused_later_locks_no_account(
    server: SimulatedServer, clock: FakeClock
) -> None:
    watch = watched(server, clock, existing=True)
    next(watch)
    server.fail(ENUM, LOGON_FAILURE, times=4)
    tried = []

    def note() -> None:
        tried.append(clock.at)

    clock.pass_by(5)
    begun = clock.at
    assert kinds([next(watch)]) == ["WatchFailed"]
    clock.before_poll = note
    assert kinds([next(watch)]) == ["WatchRecovered"]
    assert [at - begun for at in tried] == [300, 2100, 3900, 5700]
    clock.before_poll = lambda: server.end_session("pc1", "alice")
    assert kinds([next(watch)]) == ["SessionClosed"]
    assert clock.waits[-1] <= 5  # in step again
    # Counted anew, since it was accepted.
    server.fail(ENUM, LOGON_FAILURE, times=1)
    watch.poll()
    assert watch._left == 300
    # Who asks all the same, and is let in, is in step again.
    watch.poll()
    assert watch._left <= 5


def test_a_rhythm_that_is_slower_than_that_stays(server: SimulatedServer, clock: FakeClock) -> None:
    watch = watched(server, clock, every=86400)
    watch.poll()
    server.fail(ENUM, LOGON_FAILURE)
    watch.poll()
    assert watch._left == 86400


def test_a_rhythm_that_is_too_fast_to_be_kept_pauses_too(
    server: SimulatedServer, clock: FakeClock
) -> None:
    watch = watched(server, clock, every=1e-12)
    watch.poll()
    server.fail(ENUM, LOGON_FAILURE)
    clock.pass_by(1)
    watch.poll()
    assert watch._left == 300


class Noted:
    """What a Watch tells the Logons that it shares with others."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def accept(self, logon: object) -> None:
        self.told.append(("accept", logon))

    def refuse(self, logon: object, name: str) -> None:
        self.told.append(("refuse", logon, name))

    def drop(self, logon: object) -> None:
        self.told.append(("drop", logon))


def test_several_that_log_on_alike_are_told_what_became_of_it(
    server: SimulatedServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    logons = Noted()
    watch = watched(server, clock)
    watch._logons = logons  # type: ignore[assignment]
    watch.poll()
    server.fail(ENUM, LOGON_FAILURE, times=1)
    watch.poll()
    monkeypatch.setattr(server, "_name", None)
    server.fail(ENUM, LOGON_FAILURE, times=1)
    watch.poll()
    server.fail(ENUM, BAD_NETPATH, times=1)
    watch.poll()
    assert [(told[0], *told[2:]) for told in logons.told] == [
        ("accept",), ("refuse", "simulated"), ("refuse", "this machine"), ("drop",)
    ]  # fmt: skip
    # Each poll is a logon of its own.
    assert len({id(told[1]) for told in logons.told}) == 4


@pytest.mark.parametrize(("timeout", "patience"), [(8.0, 2.0), (None, 15.0)])
def test_over_smb_a_watch_waits_for_its_turn(
    clock: FakeClock, timeout: float | None, patience: float
) -> None:
    script = Scripted(row("pc1", "alice"))
    server, _ = script.server(timeout=timeout)
    logons = Noted()
    turns: list[Any] = []
    with server:
        watch = watched(server, clock)
        watch._logons = logons  # type: ignore[assignment]

        def note(number: int) -> None:
            deadline = watch._call.deadline  # type: ignore[union-attr]
            turns.append(deadline.turn)
            assert deadline.turn._deadline is deadline

        script.on_list = note
        watch.poll()
    (turn,) = turns
    assert (turn._logons, turn._patience) == (logons, patience)
    assert logons.told == [("accept", turn)]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"every": 0}, ValueError, "every must be a number of seconds, more than 0, not 0"),
        ({"every": -1}, ValueError, "every"),
        ({"every": float("nan")}, ValueError, "every"),
        ({"every": float("inf")}, ValueError, "every"),
        ({"every": 10**400}, ValueError, "every"),
        ({"every": 1e9}, ValueError, "every"),
        ({"every": "5"}, TypeError, "every must be a number of seconds, not str"),
        ({"every": True}, TypeError, "every"),
        ({"every": timedelta(seconds=5)}, TypeError, r"every\.total_seconds\(\)"),
        ({"level": 7}, ValueError, "level"),
        ({"level": "1"}, TypeError, "level"),
        ({"client": ""}, ValueError, "client"),
        ({"user": "CORP\\"}, ValueError, "user"),
        ({"existing": 1}, TypeError, "existing must be True or False, not int"),
        ({"where": "idle"}, TypeError, "where"),
        ({"level": 0, "where": where(no_opens=True)}, ValueError, "level"),
    ],
)
def test_wrong_arguments_are_refused_at_once(
    server: SimulatedServer, options: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        server.watch(**options)
    assert server.calls() == 0


# -- its end --------------------------------------------------------------------------------------


def test_a_with_block_ends_it(server: SimulatedServer, clock: FakeClock) -> None:
    with watched(server, clock, existing=True) as watch:
        assert isinstance(next(watch), SessionOpened)
        server.connect_session("pc2", "bob")
    assert list(watch) == []
    assert watch.poll() == []
    watch.close()
    assert server.calls() == 1


def test_the_server_s_end_ends_it(clock: FakeClock) -> None:
    with simulated_server(2) as server:
        watch = watched(server, clock, existing=True)
        next(watch)
    assert list(watch) == []


@pytest.mark.parametrize("close", ["watch", "server"])
def test_closing_wakes_who_waits(server: SimulatedServer, close: str) -> None:
    """With the machine's clock: it would sleep for an hour."""
    watch = server.watch(every=3600, existing=True)
    told: list[Any] = []
    waits = threading.Event()

    def follow() -> None:
        for event in watch:
            told.append(event)
            waits.set()

    thread = threading.Thread(target=follow)
    thread.start()
    assert waits.wait(PATIENCE)
    (watch if close == "watch" else server).close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert kinds(told) == ["SessionOpened"]


@needs_fork
def test_a_fork_does_not_wait_for_who_waits(server: SimulatedServer) -> None:
    """That thread is the parent's, and would be waited for until the end."""
    watch = server.watch(every=3600, existing=True)
    told = threading.Event()

    def follow() -> None:
        for _ in watch:
            told.set()

    thread = threading.Thread(target=follow)
    thread.start()
    assert told.wait(PATIENCE)
    guard = threading.Event()
    while watch._turn.try_run(lambda: None):  # until it waits for the next one
        assert not guard.wait(0.001)

    def asks() -> bool:
        server.connect_session("pc2", "bob")
        return kinds(watch.poll()) == ["SessionOpened"]

    in_a_fork(asks)
    watch.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_closing_while_it_asks(server: SimulatedServer) -> None:
    """A simulator cannot be called off; once it has answered, nothing is told."""
    server.hang()
    watch = server.watch(existing=True)
    told: list[Any] = []
    thread = threading.Thread(target=lambda: told.extend(watch))
    thread.start()
    guard = threading.Event()
    while not server.calls():
        assert not guard.wait(0.001)
    watch.close()
    server.release()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert told == []


@pytest.mark.parametrize("when", ["before", "early", "meanwhile", "after"])
def test_closing_calls_off_what_is_asked(
    clock: FakeClock, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls_off: list[Call] = []
    monkeypatch.setattr(Call, "call_off", lambda call: calls_off.append(call))
    script = Scripted(row("pc1", "alice"))
    server, _ = script.server()
    with server:
        watch = watched(server, clock, existing=True)

        def close_early() -> float:  # it has begun, and nobody can see the call yet
            watch.close()
            return clock.at

        if when == "before":
            watch.close()
        elif when == "early":
            monkeypatch.setattr(clock, "now", close_early)
        elif when == "meanwhile":
            script.on_list = lambda number: watch.close()
        assert kinds(watch.poll()) == (["SessionOpened"] if when == "after" else [])
        watch.close()
    assert len(calls_off) == (when in ("early", "meanwhile"))


def test_what_is_left_to_tell_is_not_told_any_more(clock: FakeClock) -> None:
    with simulated_server(5) as server:
        watch = watched(server, clock, existing=True)
        next(watch)
        watch.close()
        assert list(watch) == []
        assert watch.poll() == []


def test_threads_may_share_one(server: SimulatedServer, clock: FakeClock) -> None:
    with simulated_server(500) as server:
        watch = watched(server, clock, existing=True)
        told: list[Any] = []

        def take() -> None:
            for _ in range(100):
                told.append(next(watch).session)

        threads = [threading.Thread(target=take) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert sorted(told) == sorted(server.sessions())
        assert server.calls() == 2


def test_it_stays_where_it_is(server: SimulatedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = server.watch()
    with pytest.raises(TypeError, match="cannot pickle or copy 'Watch'"):
        pickle.dumps(watch)
    assert repr(watch) == "<Watch of simulated, every 5 s>"
    monkeypatch.setattr(server, "_name", None)
    assert repr(watch) == "<Watch of local machine, every 5 s>"


# -- asyncio --------------------------------------------------------------------------------------


def test_the_same_in_asyncio(server: SimulatedServer, clock: FakeClock) -> None:
    changes = iter(
        [
            lambda: server.connect_session("pc2", "bob"),
            lambda: None,
            lambda: server.fail(ENUM, BAD_NETPATH, times=1),
        ]
    )
    clock.before_poll = lambda: next(changes, lambda: None)()

    async def main() -> list[Any]:
        told = []
        async with watched(server, clock, existing=True) as watch:
            async for event in watch:
                told.append(event)
                if len(told) == 4:
                    break
        assert [event async for event in watch] == []
        return told

    assert kinds(asyncio.run(main())) == [
        "SessionOpened", "SessionOpened", "WatchFailed", "WatchRecovered"
    ]  # fmt: skip


def test_first_failures_are_raised_in_asyncio(server: SimulatedServer, clock: FakeClock) -> None:
    server.fail(ENUM, LOGON_FAILURE)

    async def main() -> None:
        with pytest.raises(LogonFailed):
            await anext(watched(server, clock))

    asyncio.run(main())


@pytest.mark.parametrize("while_it", ["sleeps", "asks"])
def test_cancelling(server: SimulatedServer, while_it: str) -> None:
    """It goes on where it was: a cancelled poll is asked again."""

    async def main() -> None:
        watch = server.watch(every=3600, existing=True)
        if while_it == "sleeps":
            await anext(watch)
        else:
            server.hang()
        waiting = asyncio.create_task(anext(watch))
        calls = server.calls()
        while while_it == "asks" and server.calls() == calls:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        server.release()
        if while_it == "asks":
            assert isinstance(await anext(watch), SessionOpened)
        watch.close()
        with pytest.raises(StopAsyncIteration):
            await anext(watch)

    asyncio.run(main())


def test_closing_ends_waiting_in_asyncio(server: SimulatedServer) -> None:
    async def main() -> list[Any]:
        watch = server.watch(every=3600)
        waiting = asyncio.create_task(anext(watch, None))
        while not watch.polls:
            await asyncio.sleep(0.001)
        await watch.aclose()
        return [await waiting]

    assert asyncio.run(main()) == [None]


def test_two_tasks_cannot_wait_for_one(server: SimulatedServer) -> None:
    async def main() -> None:
        watch = server.watch(every=3600)
        waiting = asyncio.create_task(anext(watch))
        while not watch.polls:
            await asyncio.sleep(0.001)
        with pytest.raises(RuntimeError, match="one for each task"):
            await anext(watch)
        with pytest.raises(RuntimeError, match="one for each task"):
            watch.poll()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())


def test_without_a_thread_it_is_a_failure_like_others(
    server: SimulatedServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from netsession import _aio

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        watch = watched(server, clock)
        with monkeypatch.context() as patch:
            patch.setattr(_aio, "start_new_thread", refuse)
            failed = await anext(watch)
        error = failed.error
        assert (error.status, error.function, error.server) == (NO_MEMORY, ENUM, "simulated")
        assert "thread could be started" in str(failed.error)
        assert isinstance(await anext(watch), WatchRecovered)

    asyncio.run(main())


def test_the_examples_of_the_guide(capsys: pytest.CaptureFixture[str]) -> None:
    guide = Path(__file__).parents[1] / "docs" / "watch.md"
    if not guide.exists():
        pytest.skip("needs the source tree")
    first, last = re.findall(r"```python\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(last, names)
    names["test_who_comes_and_goes"]()
    # The loop with a server that tells five things, and is closed then.
    server = simulated_server([{"client_name": "pc1", "user_name": "alice"}])
    steps = iter(
        [
            lambda: None,
            lambda: server.connect_session("pc2", "bob"),
            lambda: server.change_session("pc2", "bob", num_opens=3),
            lambda: server.end_session("pc2", "bob"),
            lambda: server.fail(ENUM, BAD_NETPATH, times=1),
            lambda: None,
            server.close,
        ]
    )
    clock = FakeClock()
    clock.before_poll = lambda: next(steps)()
    server.watch = lambda every: watched(server, clock, every=every)  # type: ignore[method-assign]
    stand_in = SimpleNamespace(**{name: getattr(netsession, name) for name in netsession.__all__})
    stand_in.Server = lambda name: server
    exec(first.replace("import netsession\n", ""), {"netsession": stand_in})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("+00:00 ")[1].split(" failed")[0] for line in lines] == [
        "+ pc2 bob",
        "~ pc2 bob 0 -> 3",
        "- pc2 bob",
        "cannot be listed: NetSessionEnum on simulated",
        "is listed again",
    ]
