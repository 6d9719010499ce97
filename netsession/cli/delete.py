"""``netsession delete``: ends sessions (NetSessionDel), after showing which."""

from __future__ import annotations

import socket
import sys
import time
from contextlib import suppress

from netsession.errors import NetApiError
from netsession.records import bare_client

from . import connect, selection
from .exits import DONE, REFUSED, UNREACHABLE, Stop
from .parser import Misuse, add_command, add_general, only_server
from .parts import chunks
from .sink import opened
from .standard import tell, tell_text
from .table import require_rich, write_table
from .text import UNKNOWN_TIME, counted
from .wording import usage_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from netsession.records import SessionInfo
    from netsession.server import Server, Sessions

    from .connect import Connection
    from .parser import Commands

_LOSS = (
    "open files are closed and unsaved data is lost; Samba ends whole connections, other users' "
    "sessions on them too"
)
_PERHAPS = "the sessions may have been ended all the same"
_SAMBA_ROUNDS = 2.0  # seconds, until Samba knows the age of a session


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = add_command(
        commands,
        "delete",
        run,
        does="End the sessions from a client, of a user, or of both",
        names="[SERVER]",
        more="It shows the sessions and asks. Open files are closed, unsaved data is lost.\n"
        "SERVER is its name or address. On Windows it may be left out: this machine.",
        examples="""\
  netsession delete fs01 --user alice --client WS17 --dry-run
  netsession delete fs01 --client WS17
  netsession delete fs01 --user alice --yes --verify""",
    )
    connect.add_options(parser)
    selection.add_options(parser)
    group = parser.add_argument_group("Ending")
    group.add_argument("-y", "--yes", action="store_true", help="do not ask")
    group.add_argument("--dry-run", action="store_true", help="only show what would be ended")
    group.add_argument(
        "--verify", action="store_true", help="list again afterwards; fail if any is left"
    )
    add_general(parser)


def run(options: Namespace, names: list[str]) -> int:
    """Shows the sessions, asks, ends them, and returns the exit code."""
    connection = connect.Connection.of(options, only_server(names))
    _check(options, connection)
    require_rich()
    selection.check(connection, client=options.client, user=options.user)
    with connection.open() as server:
        with usage_errors():
            sessions = server.sessions(client=options.client, user=options.user)
        started = time.monotonic()
        count = _show(sessions, connection)
        if not count:
            raise Stop(REFUSED, f"no session on {connection.name} matches; nothing was ended")
        if options.dry_run:
            tell(f"--dry-run: {counted(count)} would be ended; nothing was")
            return DONE
        if not (options.yes or _agreed(count)):
            raise Stop(REFUSED, "nothing was ended")
        answered = _delete(server, options)
        if options.verify:
            return _verify(sessions, count, started)
    if not answered:
        return UNREACHABLE
    tell(f"{connection.name} ended what matched: {counted(count)} as listed above")
    return DONE


def _check(options: Namespace, connection: Connection) -> None:
    if options.client is None and options.user is None:
        raise Misuse(
            "give --client, --user or both: ending every session of a server is never done"
        )
    if options.yes or options.dry_run:
        return
    if connection.reads_password_from_stdin:
        raise Misuse(
            "--password-file - takes standard input, so nobody can be asked there and nothing was "
            "ended: give --yes to end without asking, or --dry-run to see what would end"
        )
    if not _can_ask():
        raise Misuse(
            "this is no terminal to ask at, so nothing was ended: give --yes to end without "
            "asking, or --dry-run to see what would end"
        )


def _can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _show(sessions: Sessions, connection: Connection) -> int:
    """Shows what matches as it comes, keeping none of it. Returns how many there are."""
    ours = False

    def watched() -> Iterator[list[SessionInfo]]:
        nonlocal ours
        for part in chunks(sessions):
            ours = ours or _may_hold_ours(part, connection)
            yield part

    with opened(None) as sink:
        count = write_table(watched(), sink, whole=True)
    if ours:
        tell("warning: your own session may be among these, and this command with it")
    if count:
        tell(f"warning: {_LOSS}")
    return count


def _agreed(count: int) -> bool:
    """Asks on the terminal; only a clear yes is one."""
    answer = ""
    try:
        tell_text(f"End {counted(count)}? [y/N] ")
        answer = sys.stdin.readline()
    except UnicodeDecodeError:
        return False
    finally:
        if not answer.endswith("\n"):  # Ctrl-C or the end of input
            tell_text("\n")
    return answer.strip().casefold() in ("y", "yes")


def _delete(server: Server, options: Namespace) -> bool:
    """Ends the sessions. Returns whether the server said that it did."""
    try:
        with usage_errors():
            server.delete_sessions(client=options.client, user=options.user)
    except NetApiError as error:
        if not getattr(error, "maybe_done", False):
            raise
        advice = "listing again" if options.verify else "netsession list shows what is left"
        cause = error.symbol or f"status {error.status}"
        tell(
            f"no clear answer to NetSessionDel ({cause}): {_PERHAPS}, your own among them; {advice}"
        )
        return False
    except KeyboardInterrupt:
        tell(f"interrupted before the answer: {_PERHAPS}; netsession list shows what is left")
        raise
    return True


def _verify(sessions: Sessions, count: int, started: float) -> int:
    """Lists again. Sessions younger than the first listing are new ones, not survivors."""
    left, new, unsure = _listed_again(sessions, started)
    if unsure:
        # Samba says so of a session of less than a second, and the new one may be ours.
        time.sleep(_SAMBA_ROUNDS)
        left, new, _ = _listed_again(sessions, started)
    newer = f"; newer ones that match: {new}" if new else ""
    if left:
        raise Stop(REFUSED, f"listed again: {left} of {counted(count)} still there{newer}")
    tell(f"listed again: of {counted(count)} none is left{newer}")
    return DONE


def _listed_again(sessions: Sessions, started: float) -> tuple[int, int, bool]:
    """How many stayed, how many are new, and whether there is one of unknown age."""
    elapsed = time.monotonic() - started
    left = new = 0
    unsure = False
    for record in sessions:
        age = record.active_time
        unsure = unsure or age == UNKNOWN_TIME
        if age is not None and age != UNKNOWN_TIME and age < elapsed:
            new += 1
        else:
            left += 1
    return left, new, unsure


def _may_hold_ours(part: list[SessionInfo], connection: Connection) -> bool:
    """Whether a session may be the caller's own: from this machine, and of no other user.

    Without --auth-user the ticket may be anyone's except on Windows, so the machine decides.
    """
    caller, machine = _caller(connection), _this_machine(connection)
    return any(
        record.client_name is None
        or (
            bare_client(record.client_name).casefold() in machine
            and caller in (None, _bare_user(record.user_name or caller))
        )
        for record in part
    )


def _caller(connection: Connection) -> str | None:
    """The user that the server knows the caller by, without domain or realm, if that is known."""
    if connection.auth_user is not None:
        return _bare_user(connection.auth_user)
    if sys.platform != "win32":
        return None
    from getpass import getuser

    return _bare_user(getuser())


def _bare_user(name: str | None) -> str | None:
    return None if name is None else name.rpartition("\\")[2].partition("@")[0].casefold()


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
