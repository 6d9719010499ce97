"""Watching a real smbd: connects, a delete, a reconnect between two lists; the server gone."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("rich", reason="the command needs rich: pip install netsession[cli]")

from ask import server_of
from netsession import LogonFailed, Server, Watch, WatchFailed
from netsession.cli.reader import Reader
from netsession.cli.watch import Followers
from sessions import connect, set_up
from smbd import PATIENCE, Smbd, User
from test_command import start

Event = tuple[str, str]  # kind, user


@pytest.fixture
def smbd() -> Iterator[Smbd]:
    with Smbd() as smbd:
        yield smbd


class People:
    """Users of an smbd, each on a connection of their own, as from machines of their own."""

    def __init__(self, smbd: Smbd) -> None:
        self._smbd = smbd
        self._connections: dict[User, Any] = {}

    def come(self, user: User) -> None:
        self._connections[user] = connect(self._smbd)
        set_up(self._connections[user], user)

    def go(self, user: User) -> None:
        self._connections.pop(user).disconnect(close=True)

    def forget(self, user: User) -> None:
        """Their connection was ended by the server."""
        self._connections.pop(user).disconnect(close=False)


@pytest.fixture
def people(smbd: Smbd) -> Iterator[People]:
    people = People(smbd)
    yield people
    for user in list(people._connections):
        people.forget(user)


def wait_until(is_so: Callable[[], object]) -> None:
    """Asks again and again; fails where it never is so."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.02)):
        if is_so():
            return
        pause.wait(0.02)
    raise AssertionError("it never came to be so")


def ages(server: Server, user: User) -> list[int]:
    """Samba says -1 at first."""
    found = server.sessions(user=user.name, level=1)
    return [-1 if each.active_time == 2**32 - 1 else each.active_time or 0 for each in found]


def told(events: list[Any]) -> list[Event]:
    return sorted((type(event).__name__, event.session.user_name) for event in events)


def next_events(watch: Watch) -> list[Event]:
    """Of the first list that has any."""
    events: list[Any] = []
    wait_until(lambda: events.extend(watch.poll()) or events)
    return told(events)


def test_connects_a_delete_and_a_reconnect(smbd: Smbd, people: People) -> None:
    one, two, three = smbd.others
    with server_of(smbd) as server, server.watch() as watch:
        assert watch.poll() == []
        assert [each.user_name for each in watch.sessions] == [smbd.admin.name]
        for user in (one, two, three):
            people.come(user)
        assert told(watch.poll()) == sorted(
            ("SessionOpened", user.name) for user in (one, two, three)
        )
        server.delete_sessions(user=one.name)
        people.forget(one)
        assert next_events(watch) == [("SessionClosed", one.name)]
        # What began within a second of another cannot be told from it.
        wait_until(lambda: min(ages(server, two), default=0) >= 3)
        assert watch.poll() == []
        people.go(two)
        wait_until(lambda: not ages(server, two))
        people.come(two)
        assert [(type(e).__name__, e.session.user_name) for e in watch.poll()] == [
            ("SessionClosed", two.name),
            ("SessionOpened", two.name),
        ]
        # The new one grows from -1 or 0 on, and nothing more happens.
        wait_until(lambda: watch.poll() or min(ages(server, two)) >= 2)
        assert watch.poll() == []
        assert len(watch.sessions) == 3
        assert server._connections == 1


def test_several_sessions_of_one_user(smbd: Smbd) -> None:
    """All from one address: only their number can be right, and is."""
    user = smbd.others[0]
    connections = [connect(smbd) for _ in range(3)]
    with server_of(smbd) as server, server.watch() as watch:
        assert watch.poll() == []
        for connection in connections:
            set_up(connection, user)
        assert told(watch.poll()) == [("SessionOpened", user.name)] * 3
        wait_until(lambda: watch.poll() or min(ages(server, user)) >= 2)
        connections.pop().disconnect(close=True)
        assert next_events(watch) == [("SessionClosed", user.name)]
        for connection in connections:
            connection.disconnect(close=True)
        closed: list[Event] = []
        wait_until(lambda: closed.extend(told(watch.poll())) or len(closed) == 2)
        assert closed == [("SessionClosed", user.name)] * 2


def test_a_server_that_goes_and_comes_back(smbd: Smbd, people: People) -> None:
    user = smbd.others[0]
    with server_of(smbd, timeout=PATIENCE) as server, server.watch() as watch:
        assert watch.poll() == []
        people.come(user)
        assert told(watch.poll()) == [("SessionOpened", user.name)]
        smbd.kill()
        people.forget(user)
        (failed,) = watch.poll()
        assert isinstance(failed, WatchFailed)
        assert {type(event) for event in watch.poll()} <= {WatchFailed}  # refused, by now
        port = smbd.port
        smbd.start()
        if smbd.port != port:
            pytest.skip("another process took the port")
        recovered, *rest = watch.poll()
        assert type(recovered).__name__ == "WatchRecovered"
        # Our own connection went with it.
        assert ("SessionClosed", user.name) in told(rest)


def test_closing_while_a_frozen_server_is_asked(smbd: Smbd) -> None:
    """Nothing but close() would end it."""
    told: list[Any] = []
    with server_of(smbd, timeout=None) as server, server.watch(every=0.01) as watch:
        assert watch.poll() == []
        smbd.stop()
        polls = watch.polls
        thread = threading.Thread(target=lambda: told.extend(watch))
        try:
            thread.start()
            wait_until(lambda: watch.polls > polls and watch._call is not None)
            watch.close()
            thread.join(PATIENCE)
            assert not thread.is_alive()
        finally:
            smbd.cont()
    assert told == []


def test_a_wrong_password_is_not_tried_on_every_server(smbd: Smbd) -> None:
    """Eight watches of the command as one user: three logons, and nobody is asked any more."""
    wrong = User(smbd.admin.name, "wrong")
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(server_of(smbd, wrong)) for _ in range(8)]
        watches = {f"fs{k}": server.watch(every=0.05) for k, server in enumerate(servers)}
        followers = Followers(watches, Namespace(count=None, lasts=None), wrong.name)
        followers.start()
        news = [each for each in followers.news(Reader()) if each is not None]
        followers.stop()
    errors = [event.error for each in news for event in each.events]
    refused = [error for error in errors if isinstance(error, LogonFailed)]
    assert len(refused) == 3
    assert all("may lock the account" in str(error) for error in errors if error not in refused)
    assert followers.end() == 4


def test_the_command(smbd: Smbd, people: People) -> None:
    one, two, three = smbd.others
    people.come(three)
    users = [f"--user={user.name}" for user in smbd.others]
    options = ["--format", "jsonl", "--every", "0.1", "--existing", *users]
    with start(smbd, "watch", *options) as process, server_of(smbd) as server:
        try:
            assert lines(process, 1) == [("opened", three.name)]
            people.come(one)
            people.come(two)
            assert lines(process, 2) == sorted([("opened", one.name), ("opened", two.name)])
            server.delete_sessions(user=one.name)
            people.forget(one)
            assert lines(process, 1) == [("closed", one.name)]
            wait_until(lambda: min(ages(server, two), default=0) >= 3)
            # Meanwhile it makes no list: the reconnect is between two.
            os.kill(process.pid, signal.SIGSTOP)
            people.go(two)
            wait_until(lambda: not ages(server, two))
            people.come(two)
            os.kill(process.pid, signal.SIGCONT)
            assert lines(process, 2, ordered=True) == [("closed", two.name), ("opened", two.name)]
            people.go(three)
            assert lines(process, 1) == [("closed", three.name)]
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=PATIENCE)
        except BaseException:
            process.kill()
            raise
    assert (process.returncode, out, errors) == (130, "", "")


def lines(process: subprocess.Popen[str], count: int, *, ordered: bool = False) -> list[Event]:
    """The next lines; each comes by itself, nothing is held back."""
    assert process.stdout is not None
    found = []
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(found) < count:
            assert selector.select(PATIENCE), found
            data = os.read(process.stdout.fileno(), 1 << 16).decode()
            assert data, process.wait(PATIENCE)
            assert data.endswith("\n")
            found += [json.loads(line) for line in data.splitlines()]
    assert all(each["server"] == "127.0.0.1" and each["at"].endswith("Z") for each in found)
    events = [(each["event"], each["user_name"]) for each in found]
    return events if ordered else sorted(events)
