"""``netsession delete``: ends sessions (NetSessionDel), after showing which."""

from __future__ import annotations

import socket
import sys
import time
from contextlib import suppress
from getpass import getuser
from typing import NamedTuple

from netsession.errors import ConnectionLost
from netsession.records import bare_client
from netsession.server import Server, Sessions

from .connect import Connection
from .exits import DONE, REFUSED, UNREACHABLE, USAGE, Stop
from .list import counted
from .sink import opened
from .standard import tell
from .table import write_table
from .text import UNKNOWN_TIME
from .wording import usage_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netsession.records import SessionInfo

_LOSS = (
    "open files are closed and unsaved data is lost; Samba ends whole connections, other users' "
    "sessions on them too"
)
_SAMBA_ROUNDS = 2.0  # seconds, until Samba knows the age of a session


class Choice(NamedTuple):
    """Which sessions, and what was said about asking."""

    client: str | None
    user: str | None
    yes: bool
    dry_run: bool
    verify: bool


def run(connection: Connection, choice: Choice) -> int:
    """Shows the sessions, asks, ends them, and returns the exit code."""
    _check(choice)
    connection.check()
    with connection.open() as server:
        with usage_errors():
            sessions = server.sessions(client=choice.client, user=choice.user)
        started = time.monotonic()
        matching = list(sessions)
        if not matching:
            raise Stop(REFUSED, f"no session on {connection.name} matches; nothing was ended")
        _show(matching, connection)
        if choice.dry_run:
            tell(f"--dry-run: {counted(len(matching))} would be ended; nothing was")
            return DONE
        if not (choice.yes or _agreed(len(matching))):
            raise Stop(REFUSED, "nothing was ended")
        answered = _delete(server, choice)
        if choice.verify:
            return _verify(sessions, len(matching), time.monotonic() - started)
    if not answered:
        return UNREACHABLE
    tell(f"{connection.name} ended what matched: {counted(len(matching))} as listed above")
    return DONE


def _check(choice: Choice) -> None:
    if choice.client is None and choice.user is None:
        raise Stop(
            USAGE,
            "give --client, --user or both: ending every session of a server is never done",
        )
    if not (choice.yes or choice.dry_run or _can_ask()):
        raise Stop(
            USAGE,
            "this is no terminal to ask at, so nothing was ended: give --yes to end without "
            "asking, or --dry-run to see what would end",
        )


def _can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _show(matching: list[SessionInfo], connection: Connection) -> None:
    with opened(None) as sink:
        write_table([matching], sink)
    if any(_may_be_ours(record, connection) for record in matching):
        tell("warning: your own session may be among these, and this command with it")
    tell(f"warning: {_LOSS}")


def _agreed(count: int) -> bool:
    """Asks on the terminal; only a clear yes is one."""
    print(f"End {counted(count)}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().casefold() in ("y", "yes")


def _delete(server: Server, choice: Choice) -> bool:
    """Ends the sessions. Returns whether the server said that it did."""
    try:
        server.delete_sessions(client=choice.client, user=choice.user)
    except ConnectionLost as error:
        if not error.maybe_done:
            raise
        advice = "listing again" if choice.verify else "netsession list shows what is left"
        tell(
            f"the connection broke before the answer ({error.symbol or error.status}): the "
            f"sessions may have been ended all the same, your own among them; {advice}"
        )
        return False
    return True


def _verify(sessions: Sessions, count: int, elapsed: float) -> int:
    """Lists again. Sessions younger than the first listing are new ones, not survivors."""
    now = list(sessions)
    if any(record.active_time == UNKNOWN_TIME for record in now):
        # Samba says so of a session of less than a second, and the new one may be ours.
        time.sleep(_SAMBA_ROUNDS)
        elapsed += _SAMBA_ROUNDS
        now = list(sessions)
    left = sum(not _is_younger(record, elapsed) for record in now)
    new = f"; newer ones that match: {len(now) - left}" if len(now) > left else ""
    if left:
        raise Stop(REFUSED, f"listed again: {left} of {counted(count)} still there{new}")
    tell(f"listed again: of {counted(count)} none is left{new}")
    return DONE


def _is_younger(record: SessionInfo, seconds: float) -> bool:
    age = record.active_time
    return age is not None and age != UNKNOWN_TIME and age < seconds


def _may_be_ours(record: SessionInfo, connection: Connection) -> bool:
    """Whether a session may be the caller's own: from this machine, and of no other user.

    Without --auth-user the ticket may be anyone's except on Windows, so the machine decides.
    """
    if record.client_name is None:
        return True
    if bare_client(record.client_name).casefold() not in _this_machine(connection):
        return False
    us = _caller(connection)
    return us is None or record.user_name is None or record.user_name.casefold() == us


def _caller(connection: Connection) -> str | None:
    """The user that the server knows the caller by, without domain or realm, if that is known."""
    if connection.auth_user is not None:
        return connection.auth_user.rpartition("\\")[2].partition("@")[0].casefold()
    return getuser().casefold() if sys.platform == "win32" else None


def _this_machine(connection: Connection) -> frozenset[str]:
    """The names and addresses that the server may know this machine by."""
    host = socket.gethostname().casefold()
    names = {host, host.partition(".")[0]}
    if connection.demo is not None:
        return frozenset(names)
    # The address that a packet to the server would have; connecting UDP sends none.
    with suppress(OSError, UnicodeError):
        port = connection.port or 445
        for family, kind, protocol, _, address in socket.getaddrinfo(
            connection.server or "localhost", port, type=socket.SOCK_DGRAM
        ):
            with suppress(OSError), socket.socket(family, kind, protocol) as ours:
                ours.connect(address)
                names.add(str(ours.getsockname()[0]).partition("%")[0].casefold())
    return frozenset(names)
