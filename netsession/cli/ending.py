"""``netsession delete`` by conditions, by patterns and on several servers: pair by pair.

A pair is a user's sessions from a client: what NetSessionDel ends. docs/ending.md has the rules.
"""

from __future__ import annotations

from contextlib import closing, nullcontext

from netsession.errors import LogonFailed, NetApiError, SessionNotFound
from netsession.server import Server

from . import conditions, delete, failures, fleet, progress, servers
from .exits import DONE, REFUSED, SOME_FAILED, Stop
from .failures import Failure
from .parser import Misuse
from .parts import parts
from .report import Report
from .rows import row_type
from .standard import note, tell
from .table import require_rich, write_table
from .text import counted, visible
from .wording import in_options, usage_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import Any

    from netsession import DeletePlan, ServerReport, Where
    from netsession.records import SessionInfo

    from .connect import Connection
    from .servers import Asked
    from .sink import Sink

_ENDANGERED = (
    "These share a client with them. A server that ends whole connections, as Samba does, may end "
    "them too:"
)
_FIELDS = ("client_name", "user_name", "num_opens", "active_time", "idle_time")
_Row = row_type("_Row", ("server", *_FIELDS))


class Part:
    """What is planned on one server.

    Attributes:
        name: the server's, for people (str).
        plan: the DeletePlan.
        opened: makes a context manager of the Server.
    """

    def __init__(
        self, name: str, plan: DeletePlan, opened: Callable[[], AbstractContextManager[Server]]
    ) -> None:
        self.name = name
        self.plan = plan
        self.opened = opened


def run(options: Namespace, names: list[str]) -> int:
    """Shows what would be ended and what not, asks once, ends, verifies; the exit code."""
    with usage_errors():
        client, user, where = conditions.where_of(options)
    _check(options)
    connection, asked = fleet.connection_of(options, names)
    several = servers.are_named(options, names)
    _check_agreement(options, connection, several=several)
    require_rich()
    wanted = Wanted(client, user, where)
    wanted.check()
    if several:
        planned, failed = wanted.on_several(connection, asked, options)
        return _ended(planned, failed, connection, options, several=True)
    with connection.open() as server:
        part = Part(connection.name, wanted.on(server, connection), lambda: nullcontext(server))
        return _ended([part], [], connection, options, several=False)


# -- what is wanted -------------------------------------------------------------------------------


def _check(options: Namespace) -> None:
    """Refuses a delete that says of nobody that he is meant."""
    chooses = options.no_opens or options.idle_for or options.active_for or options.min_opens
    if not chooses:
        delete.check_names_given(options)


def _check_agreement(options: Namespace, connection: Connection, *, several: bool) -> None:
    """Refuses what nobody could agree to."""
    if several and options.yes and options.max is None and not options.dry_run:
        raise Misuse(
            "--yes with several servers needs --max N, the most sessions that may be ended in all; "
            "nothing was ended"
        )
    if options.servers_from == "-" and not (options.yes or options.dry_run):
        raise Misuse(
            "--servers-from - takes standard input, so nobody can be asked there and nothing was "
            "ended: give --yes and --max N, or --dry-run to see what would end"
        )
    delete.check_who_is_asked(options, connection)


class Wanted:
    """Which sessions are to be ended, wherever: client and user that are one name, and the rest."""

    def __init__(self, client: str | None, user: str | None, where: Where) -> None:
        self._names = {"client": client, "user": user}
        self._where = where

    def check(self) -> None:
        """Refuses what no server can be asked, before a password is asked for."""
        from netsession._plan_where import check_names

        with usage_errors(), Server(backend=()) as nobody:
            check_names(nobody, **self._names, where=self._where)

    def on(self, server: Server, connection: Connection) -> DeletePlan:
        """The plan for the only server."""
        try:
            with usage_errors():
                return server.plan_delete(**self._names, where=self._where)
        except SessionNotFound as error:
            raise delete.nothing_matches(connection.name, error) from None

    def on_several(
        self, connection: Connection, asked: list[Asked], options: Namespace
    ) -> tuple[list[Part], list[Failure]]:
        """The plans of all that let themselves be listed, at once, and what came of the others."""
        password = connection.password()
        planned: dict[str, Part] = {}
        failed: list[Failure] = []
        nobody: SessionNotFound | None = None
        by_address = {each.address: each for each in asked}
        for report in _listed(connection, asked, options, password):
            each = by_address[report.server]
            if report.error is not None:
                failed.append(Failure(each.name, report.error))
                continue
            try:
                plan = self._of(report, _server(each, connection, password))
            except SessionNotFound as error:
                nobody = error  # elsewhere there may be somebody
                continue
            except NetApiError as error:
                failed.append(Failure(each.name, error))
                continue
            planned[each.name] = Part(
                each.name,
                plan,
                lambda each=each: _server(each, connection, password),  # type: ignore[misc]
            )
        if nobody is not None and not planned and not failed:
            raise delete.nothing_matches(f"{len(asked):,} servers", nobody)
        return [planned[each.name] for each in asked if each.name in planned], failed

    def _of(self, report: ServerReport, server: Server) -> DeletePlan:
        from netsession._plan_where import plan_listed

        listed_at = report.collected_at.timestamp()
        with server:
            return plan_listed(
                server, list(report.sessions), listed_at, **self._names, where=self._where
            )


def _server(asked: Asked, connection: Connection, password: str | None) -> Server:
    return Server(
        asked.address,
        username=connection.auth_user,
        password=password,
        encrypt=connection.encrypt,
        timeout=connection.timeout,
    )


def _listed(
    connection: Connection, asked: list[Asked], options: Namespace, password: str | None
) -> Iterator[ServerReport]:
    """The whole lists of all servers, each at the richest level that it grants."""
    from netsession import scan

    query = scan(
        [each.address for each in asked],
        username=connection.auth_user,
        password=password,
        encrypt=connection.encrypt,
        timeout=connection.timeout,
        workers=options.jobs,
        keep_going=options.keep_going,
        errors="skip",
    )
    bar = progress.of(len(asked), wanted=not options.verbose)
    with bar, closing(iter(query)) as reports:
        for done, report in enumerate(reports, 1):
            bar.show(done, f"{done - len(query.failures):,} listed")
            yield report


# -- showing and asking ---------------------------------------------------------------------------


def _ended(
    planned: list[Part],
    failed: list[Failure],
    connection: Connection,
    options: Namespace,
    *,
    several: bool,
) -> int:
    _show(planned, connection, several=several, dry_run=options.dry_run)
    if failed:
        failures.show(failed)
        failures.tell_why_not_asked(failed)
    count = sum(len(part.plan.sessions) for part in planned)
    what = _in_words(planned, count, len(failed), several=several)
    code = SOME_FAILED if failed else DONE
    if not count:
        note(f"there is nothing to end{_not_listed(len(failed))}")
        return code
    if options.dry_run:
        tell(f"--dry-run: {what} would be ended; nothing was")
    delete.check_most(count, options.max)
    if options.dry_run:
        return code
    if not (options.yes or delete.agreed(what)):
        raise Stop(REFUSED, "nothing was ended")
    ended = _carry_out([part for part in planned if part.plan.targets], several=several)
    return SOME_FAILED if several and ended else ended or code


def _in_words(planned: list[Part], count: int, failed: int, *, several: bool) -> str:
    if not several:
        return counted(count)
    hosts = sum(bool(part.plan.targets) for part in planned)
    return f"{counted(count)} on {hosts:,} server{'' if hosts == 1 else 's'}{_not_listed(failed)}"


def _not_listed(failed: int) -> str:
    return f" ({failed:,} could not be listed)" if failed else ""


def _show(planned: list[Part], connection: Connection, *, several: bool, dry_run: bool) -> None:
    """What would be ended, what might go with it, and what is left alone."""
    for part in planned:
        if part.plan.addresses:
            note(f"{part.plan.client} is {', '.join(part.plan.addresses)} here")
    with delete.shown(dry_run=dry_run) as sink:
        _write(planned, lambda plan: plan.sessions, sink, "To be ended:", several=several)
        _write(planned, lambda plan: plan.endangered, sink, _ENDANGERED, several=several)
        title = "Left alone:\n"
        for part in planned:
            for left in part.plan.left_alone:
                server = f"{part.name}: " if several else ""
                sink.write(title + visible(f"{server}{left}") + "\n")
                title = ""
    if any(delete.may_hold_ours(part.plan.endangered, connection) for part in planned):
        note("warning: your own session may be among those that share a client")
    if any(part.plan.targets for part in planned):
        note(f"warning: {delete.LOSS}")


def _write(
    planned: list[Part],
    sessions_of: Callable[[DeletePlan], list[SessionInfo]],
    sink: Sink,
    title: str,
    *,
    several: bool,
) -> None:
    records: Iterable[Any]
    if several:
        records = [
            _Row(part.name, *(getattr(record, field) for field in _FIELDS))
            for part in planned
            for record in sessions_of(part.plan)
        ]
    else:
        records = sessions_of(planned[0].plan)
    if records:
        sink.write(f"{title}\n")
        write_table(parts(records), sink, whole=True)
        sink.write("\n")


# -- ending ---------------------------------------------------------------------------------------


def _carry_out(planned: list[Part], *, several: bool) -> int:
    """Server by server; the worst of the exit codes."""
    worst = DONE
    for place, part in enumerate(planned):
        try:
            code, error = _carry_out_on(part, several=several)
        except KeyboardInterrupt:
            _tell_what_is_left(planned[place + 1 :])
            raise
        worst = max(worst, code)
        if isinstance(error, LogonFailed):  # each more counts towards locking the account
            _tell_what_is_left(planned[place + 1 :])
            break
    return worst


def _tell_what_is_left(planned: list[Part]) -> None:
    if planned:
        tell(f"nothing was ended on {', '.join(part.name for part in planned)}")


def _carry_out_on(part: Part, *, several: bool) -> tuple[int, NetApiError | None]:
    """Ends, verifies and reports on one server; the exit code and what failed."""
    failure: NetApiError | None = None
    report = Report(part.name, part.plan, several=several)
    with part.opened() as server:
        try:
            server.delete_sessions(plan=part.plan)
        except NetApiError as error:
            failure = error
        except KeyboardInterrupt:
            report.tell()
            tell("interrupted; netsession list shows what is left")
            raise
        report.verify(server)
    report.tell()
    if failure is not None:
        tell(in_options(str(failure)))
    return report.code(failure), failure
