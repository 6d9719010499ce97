"""``netsession watch``: what happens on servers, as a live table or as a stream of events."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from math import inf
from queue import Empty, SimpleQueue
from time import monotonic

from netsession._logons import Logons
from netsession.errors import InvalidLevel, InvalidParameter, LogonFailed, NetApiError
from netsession.server import Server
from netsession.watch import SessionChanged, Watch, WatchFailed, WatchRecovered, check_every

from . import conditions, connect, reader, selection, servers
from .exits import DONE, SOME_FAILED
from .failures import Failure
from .parser import Misuse, add_command, add_general, duration, one_of, seconds, whole_number
from .sink import opened
from .standard import note, tell
from .table import require_rich
from .wording import in_options, usage_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator
    from typing import Any

    from netsession.records import SessionInfo
    from netsession.watch import WatchEvent

    from .connect import Connection
    from .parser import Commands
    from .servers import Asked
    from .sink import Sink

TABLE, JSONL = "table", "jsonl"
_FORMATS = (TABLE, JSONL)
_EVERY = 5.0  # seconds
_NEXT_LOOK = 0.25  # seconds: Windows delivers Ctrl-C only between waits
_MOST = 1_000_000_000
_ENDING = 1.0  # seconds that threads get to leave their servers

#: What events are called in jsonl, by their class.
NAMES = {
    "SessionOpened": "opened",
    "SessionClosed": "closed",
    "SessionChanged": "changed",
    "WatchFailed": "failed",
    "WatchRecovered": "recovered",
}


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = add_command(
        commands,
        "watch",
        run,
        does="Watch which sessions open, close and change",
        names="[SERVER ...]",
        more="A live table on a terminal, events as JSON lines elsewhere. Ctrl-C ends it.\n"
        "SERVER is its name or address. On Windows it may be left out: this machine.",
        examples="""\
  netsession watch fs01 fs02 --auth-user 'CORP\\admin'
  netsession watch fs01 --user alice --every 1
  netsession watch fs01 --format jsonl --existing >> events.jsonl""",
    )
    connect.add_options(parser)
    selected = conditions.add_options(parser)
    conditions.add_exclude_self(selected)
    selection.add_level(selected)
    group = parser.add_argument_group("Watching")
    group.add_argument(
        "--servers-from",
        metavar="FILE",
        help="watch the servers named in FILE too, one a line; # begins a comment; - is stdin",
    )
    group.add_argument(
        "--every",
        metavar="SECONDS",
        type=seconds,
        default=_EVERY,
        help=f"time from one list to the next ({_EVERY:g})",
    )
    action = group.add_argument(
        "--format",
        metavar="FORMAT",
        type=one_of(*_FORMATS),
        help="table (on a terminal) or jsonl (elsewhere)",
    )
    action.completer = lambda **_: _FORMATS  # type: ignore[attr-defined]
    group.add_argument(
        "--existing", action="store_true", help="tell the sessions that are there already too"
    )
    group.add_argument(
        "--count",
        metavar="N",
        type=whole_number(1, _MOST),
        help="end when each server was asked N times",
    )
    group.add_argument(
        "--for", metavar="TIME", type=duration, dest="lasts", help="end after 10m, 1h30m or 90s"
    )
    add_general(parser, quiet=True)


def run(options: Namespace, names: list[str]) -> int:
    """Watches until it is told to end, and returns the exit code."""
    connection, asked = _asked(options, names)
    with usage_errors(every="--every"):
        check_every(options.every)
        client, user, where = conditions.where_of(options)
    level = selection.level_of(options.level)
    selection.check(connection, client=client, user=user, where=where, level=level)
    with opened(None) as sink:
        chosen = _format(options.format, sink)
        with ExitStack() as stack:
            watches = {}
            for name, server in _servers(connection, asked):
                stack.enter_context(server)
                watches[name] = server.watch(
                    every=options.every,
                    level=level,
                    client=client,
                    user=user,
                    where=where,
                    existing=options.existing,
                )
            with (
                reader.watched(sink) as who_reads,
                _followed(watches, options, connection) as followers,
            ):
                who_reads.begin()
                _show(followers.news(who_reads), chosen, sink, list(watches), options)
    return followers.end()


def _asked(options: Namespace, names: list[str]) -> tuple[Connection, list[Asked]]:
    """How servers are asked, and which; none are listed for --demo and for this machine."""
    servers.check_from(options)
    if options.lasts == 0:
        raise Misuse("--for must be more than 0 seconds")
    if not names and options.servers_from is None:
        return connect.Connection.of(options, None), []
    return servers.connection_to(options, names)


def _format(given: str | None, sink: Sink) -> str:
    """A live table makes sense where it can be drawn anew."""
    if given == TABLE and not sink.is_terminal:
        raise Misuse("--format table is for a terminal, and this is none: use --format jsonl")
    chosen = given or (TABLE if sink.is_terminal else JSONL)
    if chosen == TABLE:
        require_rich()
    return chosen


def _servers(connection: Connection, asked: list[Asked]) -> Iterator[tuple[str, Server]]:
    """Each server with what it is called; one password is asked for, once."""
    if not asked:
        server = connection.open()
        yield server.name or "localhost", server
        return
    password = connection.password()
    for each in asked:
        with usage_errors():
            server = Server(
                each.address,
                username=connection.auth_user,
                password=password,
                encrypt=connection.encrypt,
                timeout=connection.timeout,
            )
        yield each.name, server


# -- following several at once --------------------------------------------------------------------


class News:
    """What one list of a server brought."""

    def __init__(self, server: str, events: list[WatchEvent], watch: Watch) -> None:
        self.server = server
        self.events = events
        self.sessions: list[tuple[int, SessionInfo]] = watch._roll.numbered
        #: Whether there is a list: the latest try may have failed.
        self.listed: bool = watch._failure is None and watch._listed


class Follower:
    """One server, followed in a thread of its own; what there is to tell goes into a queue."""

    def __init__(
        self, name: str, watch: Watch, count: int | None, tell_news: Callable[[News | None], None]
    ) -> None:
        self.name = name
        self.watch = watch
        self.error: NetApiError | None = None  # of the latest list
        self.crash: BaseException | None = None
        self._count = count
        self._tell = tell_news
        # It must not keep the command from ending: netapi32.dll cannot be called off.
        self.thread: threading.Thread = threading.Thread(
            target=self._run, name=f"netsession {name}", daemon=True
        )

    def _run(self) -> None:
        try:
            self._follow()
        except BaseException as error:  # a fault of ours, or something that is not installed
            self.crash = error
        finally:
            self._tell(None)

    def _follow(self) -> None:
        watch = self.watch
        while (self._count is None or watch.polls < self._count) and watch.wait():
            try:
                events = watch.poll()
            except (InvalidLevel, InvalidParameter, LogonFailed) as error:
                events = [WatchFailed(watch._clock.utc(), watch.server.name, error)]
            if events and isinstance(events[0], WatchFailed):
                self.error = events[0].error
            elif any(isinstance(event, WatchRecovered) for event in events):
                self.error = None
            self._tell(News(self.name, events, watch))
            if watch._logons is not None and self.error is not None and watch._logons.stopped:
                return


class Followers:
    """All of them, and what they tell."""

    def __init__(self, watches: dict[str, Watch], options: Namespace, who: str) -> None:
        self._news: SimpleQueue[News | None] = SimpleQueue()
        logons = Logons(who) if len(watches) > 1 else None
        self.all: list[Follower] = []
        for name, watch in watches.items():
            watch._logons = logons
            self.all.append(Follower(name, watch, options.count, self._news.put))
        self._ends_at = inf if options.lasts is None else monotonic() + options.lasts
        self._left = len(self.all)

    def start(self) -> None:
        """Begins to ask."""
        for each in self.all:
            each.thread.start()

    def stop(self) -> None:
        """Ends all, within a second."""
        for each in self.all:
            each.watch.close()
        end = monotonic() + _ENDING
        for each in self.all:
            if each.thread.ident is not None:
                each.thread.join(max(0.0, end - monotonic()))

    def news(self, who_reads: reader.Reader) -> Iterator[News | None]:
        """What comes, and None now and then; ends with the last of them, or with the time.

        Raises what ended a thread that should go on: something that is not installed.
        """
        while self._left and (time_left := self._ends_at - monotonic()) > 0:
            try:
                with who_reads.awaited():
                    news = self._news.get(timeout=min(time_left, _NEXT_LOOK))
            except Empty:
                yield None
                continue
            if news is not None:
                yield news
                continue
            self._left -= 1
            for each in self.all:
                if each.crash is not None:
                    raise each.crash

    def end(self) -> int:
        """The exit code. Raises what the only one failed with."""
        failed = [each for each in self.all if each.error is not None]
        if len(self.all) == 1 and failed and failed[0].error is not None:
            raise failed[0].error
        for each in failed:
            tell(f"{each.name}: {in_options(str(each.error))}")
        return SOME_FAILED if failed else DONE


@contextmanager
def _followed(
    watches: dict[str, Watch], options: Namespace, connection: Connection
) -> Iterator[Followers]:
    followers = Followers(watches, options, connection.auth_user or "the current user")
    demo = _Demo(followers.all[0].watch, options.every) if connection.demo is not None else None
    try:
        if demo is not None:
            demo.start()
        followers.start()
        yield followers
    finally:
        if demo is not None:
            demo.over.set()
        followers.stop()


# -- how it comes out -----------------------------------------------------------------------------


def _show(
    news: Iterator[News | None],
    chosen: str,
    sink: Sink,
    servers: list[str],
    options: Namespace,
) -> None:
    if chosen == TABLE:
        from .live import LiveTable  # only on terminals

        note("watching; Ctrl-C ends it")
        with LiveTable(sink, servers, options.every) as table:
            for each in news:
                table.show(each)
        return
    for each in news:
        if each is not None:
            write_events(each.server, each.events, sink)


def write_events(server: str, events: list[WatchEvent], sink: Sink) -> None:
    """An object a line for each event; all of one list are flushed together."""
    from .formats import json_line  # json is slow to import

    lines = [json_line(as_object(server, event), sink) for event in events]
    if lines:
        sink.write("".join(lines))


def as_object(server: str, event: WatchEvent) -> dict[str, Any]:
    """An event as it is written: what, when, where, and then the session's fields or the error."""
    from .formats import values

    at = event.at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    told = {"event": NAMES[type(event).__name__], "at": at, "server": server}
    if isinstance(event, WatchFailed):
        return told | Failure(server, event.error).as_object()
    if event.session is None:
        return told
    found: dict[str, Any] = dict(zip(event.session._fields, values(event.session), strict=True))
    if isinstance(event, SessionChanged):
        found["before"] = {
            field: getattr(event.before, field)
            for field in ("num_opens", "user_flags")
            if getattr(event.before, field) != getattr(event.session, field)
        }
    return told | found


# -- --demo ---------------------------------------------------------------------------------------


class _Demo(threading.Thread):
    """Life on the simulated server: now and then somebody comes, opens a file, or goes."""

    def __init__(self, watch: Watch, every: float) -> None:
        super().__init__(name="netsession demo", daemon=True)
        self._server: Any = watch.server
        self._every = every
        self.over = threading.Event()

    def run(self) -> None:
        step = 0
        while not self.over.wait(self._every):
            self._server.advance(self._every)
            client, user = f"10.9.8.{step // 3 % 250 + 1}", f"visitor{step // 3}"
            if step % 3 == 0:
                self._server.connect_session(client, user, num_opens=1)
            elif step % 3 == 1:
                self._server.change_session(client, user, num_opens=3)
            else:
                self._server.end_session(client, user)
            step += 1
