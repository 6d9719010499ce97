"""``netsession delete``: ends sessions (NetSessionDel), after showing which.

What names a user or a client of one server is here; conditions, patterns and several servers are
in ``ending``.
"""

from __future__ import annotations

import socket
import sys
from contextlib import contextmanager, suppress
from time import monotonic, sleep

from netsession import _netsession
from netsession._caller import names_of_this_machine
from netsession._names import ClientPattern, UserPattern, split_user
from netsession._plan import same
from netsession.errors import NetApiError, SessionNotFound
from netsession.records import UNKNOWN_TIME

from . import conditions, connect, selection, servers
from .answer import typed_line
from .exits import DONE, REFUSED, UNREACHABLE, USAGE, Stop
from .parser import Misuse, add_command, add_general, whole_number
from .parts import parts
from .sink import opened
from .standard import ReaderGone, note, tell, tell_text
from .table import require_rich, write_table
from .text import counted, visible
from .wording import stop_for, usage_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator
    from typing import Any

    from netsession import DeletePlan
    from netsession.records import SessionInfo
    from netsession.server import Server

    from .connect import Connection
    from .parser import Commands
    from .sink import Sink

LOSS = (
    "open files are closed and unsaved data is lost; Samba ends whole connections, other users' "
    "sessions on them too"
)
_MOST = 1_000_000_000
_PERHAPS = "the sessions may have been ended all the same"
# Seconds: how long --verify waits for sessions to go, as far as --timeout lets it.
_PATIENCE = 10.0
_BETWEEN_LOOKS = 0.25


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = add_command(
        commands,
        "delete",
        run,
        does="End the sessions from a client, of a user, or that are idle for long",
        names="[SERVER ...]",
        more="It shows the sessions and asks. Open files are closed, unsaved data is lost.\n"
        "SERVER is its name or address. On Windows it may be left out: this machine.",
        examples="""\
  netsession delete fs01 --user alice --client WS17 --dry-run
  netsession delete fs01 --user alice --yes --verify
  netsession delete fs01 fs02 --idle-for 8h --no-opens --yes --max 50""",
    )
    connect.add_options(parser)
    conditions.add_options(parser)
    group = parser.add_argument_group("Ending")
    group.add_argument("-y", "--yes", action="store_true", help="do not ask")
    group.add_argument("--dry-run", action="store_true", help="only show what would be ended")
    group.add_argument(
        "--max",
        metavar="N",
        type=whole_number(0, _MOST),
        help="end nothing where more than N sessions would be ended in all; --yes with several "
        "servers needs it",
    )
    group.add_argument(
        "--verify",
        action="store_true",
        help="list again afterwards; fail if any is left (always done with conditions, patterns "
        "and several servers)",
    )
    servers.add_asked(parser)
    add_general(parser, quiet=True)


def run(options: Namespace, names: list[str]) -> int:
    """Shows the sessions, asks, ends them, and returns the exit code."""
    if options.quiet and not options.yes:
        raise Misuse("-q leaves out what somebody who is asked must read: give --yes with it")
    if conditions.are_given(options) or servers.are_named(options, names):
        from . import ending  # pair by pair

        return ending.run(options, names)
    connection = connect.Connection.of(options, names[0] if names else None)
    client, user = conditions.name_of(options.client), conditions.name_of(options.user)
    check_names_given(options)
    check_who_is_asked(options, connection)
    require_rich()
    selection.check(connection, client=client, user=user)
    with usage_errors():  # for what may not be sent nobody is asked a password
        _netsession.encode_delete_request(None, client, user)
    with connection.open() as server:
        plan = _planned(server, client, user, connection)
        listed_at = monotonic()
        _show(plan, connection, dry_run=options.dry_run)
        _check_most(plan, options.max)
        if options.dry_run:
            tell(f"--dry-run: {_what(plan)} would be ended; nothing was")
            return DONE
        if not (options.yes or agreed(_asked(plan))):
            raise Stop(REFUSED, "nothing was ended")
        connections = server._connections
        can_look = options.verify and plan.listed
        answered = _delete(server, plan, can_look)
        if options.verify:
            again = Verification(server, plan, listed_at, connections)
            return _verified(again, plan, connection, answered)
        if not answered:
            return UNREACHABLE
        # Before the connection is closed, where Ctrl-C may come.
        note(f"{connection.name} ended what matched: {_what(plan)}")
        return DONE


def _verified(again: Verification, plan: DeletePlan, connection: Connection, answered: bool) -> int:
    """The exit code, or stops with it; what stays unsure is never called refused."""
    if not plan.listed:
        said = "said that it is done, but " if answered else ""
        raise Stop(
            REFUSED if answered else UNREACHABLE,
            f"{connection.name} {said}does not let you list its sessions, so that nothing could "
            "be verified",
        )
    try:
        return again.run(connection)
    except NetApiError as error:
        stop = stop_for(error)
        code = stop.code if answered else UNREACHABLE
        raise Stop(code, f"nothing could be verified: {stop.message}") from None
    except KeyboardInterrupt:
        tell("interrupted before all was verified; netsession list shows what is left")
        raise


def _planned(
    server: Server, client: str | None, user: str | None, connection: Connection
) -> DeletePlan:
    try:
        with usage_errors():
            return server.plan_delete(client=client, user=user)
    except SessionNotFound as error:
        raise nothing_matches(connection.name, error) from None


def nothing_matches(where: str, error: SessionNotFound) -> Stop:
    """The end of the command where no session has the names."""
    why = f" ({error.detail})" if error.detail else ""
    return Stop(REFUSED, f"no session on {where} matches; nothing was ended{why}")


def check_names_given(options: Namespace) -> None:
    """Refuses a delete that says of nobody that he is meant."""
    if not options.client and not options.user:
        raise Misuse(
            "give --client, --user or both, or a condition such as --idle-for: ending every "
            "session of a server is never done"
        )


def check_who_is_asked(options: Namespace, connection: Connection) -> None:
    """Refuses a delete that somebody must agree to where nobody can be asked."""
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


@contextmanager
def shown(*, dry_run: bool) -> Iterator[Sink]:
    """Standard output, for what would be ended. What nobody has read is not ended, nor called done.

    With ``dry_run`` a reader that wants no more is the usual end.
    """
    try:
        with opened(None) as sink:
            yield sink
    except ReaderGone:
        if dry_run:
            raise
        raise Stop(
            USAGE,
            "nobody reads standard output, which shows what would be ended; nothing was",
        ) from None


def _show(plan: DeletePlan, connection: Connection, *, dry_run: bool) -> None:
    """Shows what will be ended, and what else may go with it."""
    if plan.addresses:
        note(f"{plan.client} is {', '.join(plan.addresses)} here")
    if plan.listed:
        with shown(dry_run=dry_run) as sink:
            write_table(parts(plan.sessions), sink, whole=True)
    else:
        tell(
            f"warning: {connection.name} does not let you list its sessions, so they cannot be "
            f"shown; what you typed is sent as it is: {_what(plan)}"
        )
    if not plan.listed or may_hold_ours(plan.sessions, connection):
        note("warning: your own session may be among these, and this command with it")
    note(f"warning: {LOSS}")


def _what(plan: DeletePlan) -> str:
    """What is ended, for people."""
    if plan.listed:
        return f"{counted(len(plan.sessions))} as listed above"
    whose = [] if plan.user is None else [f"of user {plan.user}"]
    whose += [] if plan.client is None else [f"from client {plan.client}"]
    return f"all sessions {' '.join(whose)}"


def _asked(plan: DeletePlan) -> str:
    return counted(len(plan.sessions)) if plan.listed else _what(plan)


def _check_most(plan: DeletePlan, most: int | None) -> None:
    if most is None:
        return
    if not plan.listed:
        raise Stop(REFUSED, "--max: how many would be ended is not known; nothing was ended")
    check_most(len(plan.sessions), most)


def check_most(count: int, most: int | None) -> None:
    """Ends the command where more would be ended than --max allows."""
    if most is not None and count > most:
        raise Stop(
            REFUSED, f"{counted(count)} would be ended, more than --max {most}; nothing was ended"
        )


def agreed(what: str) -> bool:
    """Asks on the terminal; only a clear yes is one."""
    answer = ""
    try:
        tell_text(f"End {visible(what)}? [y/N] ")
        answer = typed_line()
    except UnicodeDecodeError:
        return False
    finally:
        if not answer.endswith("\n"):  # Ctrl-C or the end of input
            tell_text("\n")
    return answer.strip().casefold() in ("y", "yes")


def _delete(server: Server, plan: DeletePlan, verify: bool) -> bool:
    """Ends the sessions. Returns whether the server said that it did."""
    try:
        with usage_errors():
            server.delete_sessions(plan=plan)
    except NetApiError as error:
        if not error.maybe_done:
            raise
        advice = "listing again" if verify else "netsession list shows what is left"
        known = (error.symbol, f"status {error.status}", error.detail)
        cause = ", ".join(part for part in known if part)
        tell(
            f"no clear answer to NetSessionDel ({cause}): {_PERHAPS}, your own among them; {advice}"
        )
        return False
    except KeyboardInterrupt:
        tell(f"interrupted before the answer: {_PERHAPS}; netsession list shows what is left")
        raise
    return True


class Verification:
    """Lists again until nothing is left of what was to be ended, or patience is.

    Samba answers before it has ended anything, so the first look may come too early. There is no
    session id in MS-SRVS: what tells a session that stayed from one that came after is its age.
    """

    def __init__(
        self, server: Server, plan: DeletePlan, listed_at: float, connections: int
    ) -> None:
        self._server = server
        self._plan = plan
        self._listed_at = listed_at
        self._connections = connections
        ages = map(_age, plan.sessions)
        self._youngest = min((age for age in ages if age is not None), default=None)

    def run(self, connection: Connection) -> int:
        """Returns the exit code, or stops with it. Raises NetApiError where it cannot list."""
        total = counted(len(self._plan.sessions))
        left, new = self._look(connection)
        for _ in range(int(min(connection.timeout, _PATIENCE) / _BETWEEN_LOOKS)):
            if not left:
                break
            sleep(_BETWEEN_LOOKS)
            left, new = self._look(connection)
        newer = f"; newer ones that match: {new}" if new else ""
        if left:
            raise Stop(REFUSED, f"listed again: {left} of {total} still there{newer}")
        note(f"listed again: of {total} none is left{newer}")
        return DONE

    def _look(self, connection: Connection) -> tuple[int, int]:
        """How many stayed, as far as one can tell, and how many are new."""
        elapsed = monotonic() - self._listed_at
        query = self._server.sessions(client=self._plan.client, user=self._plan.user)
        # Not planned anew: what was meant is decided, also where others fit by now.
        found = [record for record in query if self._is_meant(record)]
        stayed = [record for record in found if not self._is_new(record, elapsed)]
        left, new = len(stayed), len(found) - len(stayed)
        # Whose connection went with the sessions has logged on again to look.
        if self._server._connections > self._connections and may_hold_ours(stayed, connection):
            left, new = left - 1, new + 1
        return left, new

    def _is_meant(self, record: SessionInfo) -> bool:
        """Whether it is of the account whose sessions were ended, as the server spells it."""
        _, account = self._plan.targets[0]  # each has the same
        return account is None or same(account, record.user_name)

    def _is_new(self, record: SessionInfo, elapsed: float) -> bool:
        """Whether a session is too young to be one of those that were listed first.

        Ages are whole seconds, cut off; ``elapsed`` is the least time between both listings.
        """
        age = _age(record)
        return age is not None and self._youngest is not None and age + 1 < self._youngest + elapsed


def _age(record: SessionInfo) -> int | None:
    """A session's age in seconds; Samba rounds its start, and says -1 (unsigned) at first."""
    return -1 if record.active_time == UNKNOWN_TIME else record.active_time


def may_hold_ours(sessions: Iterable[SessionInfo], connection: Connection) -> bool:
    """Whether a session may be the caller's own: from this machine, and of no other user.

    Without --auth-user the ticket may be anyone's except on Windows, so the machine decides.
    """
    caller = _caller(connection)
    machine = [ClientPattern(name) for name in _this_machine(connection)]
    return any(
        record.client_name is None
        or (
            any(name.fit(record.client_name) for name in machine)
            and (caller is None or record.user_name is None or caller.fit(record.user_name))
        )
        for record in sessions
    )


def _caller(connection: Connection) -> UserPattern | None:
    """The user that the server knows the caller by, without domain or realm, if that is known."""
    if connection.auth_user is not None:
        with suppress(ValueError):  # no user can be called so, as for CORP\\ without one
            return UserPattern(split_user(connection.auth_user)[1])
        return None
    if sys.platform != "win32":
        return None
    from getpass import getuser

    return UserPattern(getuser())


def _this_machine(connection: Connection) -> frozenset[str]:
    """The names and addresses that the server may know this machine by."""
    found: list[Any] = []
    if connection.demo is None:
        with suppress(OSError, UnicodeError):
            found = socket.getaddrinfo(connection.host, 445, type=socket.SOCK_DGRAM)
    return frozenset(names_of_this_machine((way[0], way[4]) for way in found))
