"""What a scan asks one server: a question that may be asked here or, pickled, elsewhere."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from time import monotonic
from typing import NamedTuple

from ._logons import Logons, Turn
from ._secret import Secret
from .errors import AccessDenied, CallTimeout, InvalidLevel, LogonFailed, NetApiError, NotAsked
from .fleet import KeptSessions, ServerReport
from .server import Server
from .srvsvc.deadline import Deadline, Task
from .srvsvc.failures import CalledOffError, DeadlinePassedError, WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._native import NativeCall
    from ._where import Where
    from .server import Sessions
    from .srvsvc import Call

_ERROR_TIMEOUT = 1460
#: Over SMB a call ends by itself when its time is over; only what does not is given up after this.
_SMB_GRACE = 1.0
#: How large a part of its time-out a logon over SMB may take before others of the same user begin.
_SMB_PATIENCE = 1 / 4
#: Natively, where a logon cannot be told from the rest: a call that takes so long is a dead host's.
_NATIVE_PATIENCE = 1 / 40
#: A simulator logs nobody on: its refusals count too, but it is hardly waited for them.
_SIMULATED_PATIENCE = 1 / 1000
_USUAL_TIMEOUT = 10.0


class Asking(NamedTuple):
    """What every server of a scan is asked, and as whom. Pickles hold the password."""

    level: int | None
    client: str | None
    user: str | None
    where: Where | None
    username: str | None
    password: Secret | None
    port: int | None
    encrypt: bool
    timeout: float | None
    page_bytes: int | None = None

    def __repr__(self) -> str:
        return f"Asking(as {self.username!r})"

    def check(self) -> None:
        """Raises TypeError or ValueError for what can be asked of no server."""
        self.query(self.server("any", backend=()))

    def server(self, name: str, backend: Any = None) -> Server:
        """A server of that name. Raises ValueError for what is none."""
        return Server(
            name,
            username=self.username,
            password=self.password,  # type: ignore[arg-type]  # which hides it in any case
            port=self.port,
            encrypt=self.encrypt,
            timeout=self.timeout,
            backend=backend,
        )

    def query(self, server: Server) -> Sessions:
        """The listing that is wanted of it."""
        return server.sessions(
            level=self.level,
            client=self.client,
            user=self.user,
            where=self.where,
            page_bytes=self.page_bytes,
            timeout=self.timeout,
        )


class Question:
    """One server's listing: prepared, asked once, and closed.

    Args:
        asking: what is asked.
        item: a server's name (str), or a Server, which is used as it is and left open.
        number: bytes that no other question has: Dask takes equal jobs for one.

    ``began`` is when it began to be asked (monotonic; None before). Whoever runs it in a thread of
    its own may call it off or give it up from another one.
    """

    def __init__(self, asking: Asking, item: object, number: bytes | None = None) -> None:
        self.asking = asking
        self.number = os.urandom(16) if number is None else number
        self.name = _spelled(item)
        self.began: float | None = None
        self.finished = False  # its thread is through with it
        self._item = item
        self._forget()

    def _forget(self) -> None:
        self._server: Server | None = None
        self._query: Sessions | None = None
        self._call: NativeCall | Call | None = None
        self._turn: Turn | None = None
        self._off = False
        self._waiting: Deadline | None = None  # what waits for it in an executor's worker

    def __reduce__(self) -> Any:
        return Question, (self.asking, self._item, self.number)

    def __repr__(self) -> str:
        return f"<Question to {self.name!r}>"

    def check(self) -> ServerReport | None:
        """The report of what is no server, None where it is one; nothing is kept."""
        report = self.prepare()
        self._forget()
        return report

    def prepare(self) -> ServerReport | None:
        """Makes what it takes to ask; the report of what is no server, None where all is well."""
        try:
            self._server = self._made_server()
            self._query = self.asking.query(self._server)
        except BaseException as error:
            return self.failed(error)
        return None

    def _made_server(self) -> Server:
        item = self._item
        if isinstance(item, Server):
            return item
        if not isinstance(item, str):
            raise TypeError(
                f"servers must hold names (str) or Server objects, not {type(item).__name__}"
            )
        if not item.strip("\\/ "):
            raise ValueError("a server's name must not be empty")
        return self.asking.server(item)

    @property
    def can_be_sent(self) -> bool:
        """Whether it can be asked elsewhere: a Server object stays where it is."""
        return not isinstance(self._item, Server)

    @property
    def is_native(self) -> bool:
        """Whether nothing can stop the thread that asks it (bool), once it is prepared."""
        return self._server is not None and self._server._client is None

    @property
    def credentials(self) -> tuple[str | None, Secret | None]:
        """Whose logon it is: user and password, both None for the caller's own."""
        client = None if self._server is None else self._server._client
        if client is not None:
            return client._username, client._password
        if isinstance(self._item, Server):
            return None, None
        return self.asking.username, self.asking.password

    @property
    def patience(self) -> float:
        """For how many seconds (float) it may keep logons of the same user from beginning."""
        if self._server is not None and self._server._backend is not None and self.is_native:
            part = _SIMULATED_PATIENCE
        else:
            part = _NATIVE_PATIENCE if self.is_native else _SMB_PATIENCE
        return part * (self.asking.timeout or _USUAL_TIMEOUT)

    @property
    def limit(self) -> float | None:
        """After how many seconds (float) it is given up; None for never."""
        if self.asking.timeout is None:
            return None
        return self.asking.timeout + (0.0 if self.is_native else _SMB_GRACE)

    def ask(self, logons: Logons | None = None) -> ServerReport:
        """Asks, and reports whatever comes of it. ``logons`` say when it may log on."""
        self.began = monotonic()
        try:
            report = self._answered(logons)
        except BaseException as error:
            report = self.failed(error)
        if logons is not None:
            self.settle(logons, report.error)
        return report

    def _answered(self, logons: Logons | None) -> ServerReport:
        query = self._query
        if query is None:
            raise RuntimeError("a question is prepared before it is asked")
        call = self._call = query._begin()
        if self._off:  # looked at once the call is there: call_off() marks first
            call.call_off()
        if logons is not None and not self.is_native:
            self._turn = call.deadline.turn = Turn(logons, self.patience, call.deadline)
        pages = tuple(query._pages(call))
        level = pages[0].level if pages else query.level
        return self._report(level, KeptSessions(pages, level or 0), None)

    def settle(self, logons: Logons, error: Exception | None) -> None:
        """Tells what the answer says about the credentials."""
        logon: object = self if self._turn is None else self._turn
        if isinstance(error, LogonFailed):
            logons.refuse(logon, self.name)
        elif error is None or (isinstance(error, NetApiError) and _has_logged_on(error)):
            logons.accept(logon)
        else:
            logons.drop(logon)

    def failed(self, error: BaseException) -> ServerReport:
        """The report of a failure."""
        if self._turn is not None and self._turn.turned_away:
            return self.not_asked(getattr(error, "detail", None) or str(error))
        return self._report(None, KeptSessions(), _kept(error))

    def not_asked(self, why: str) -> ServerReport:
        """The report of a server that nothing was asked."""
        return self._report(None, KeptSessions(), NotAsked(why, self.name))

    def given_up(self) -> ServerReport:
        """The report of a server whose answer has not come in time."""
        detail = f"no complete answer within {self.asking.timeout:g} s"
        error = CallTimeout(_ERROR_TIMEOUT, "NetSessionEnum", self.name, detail=detail)
        return self._report(None, KeptSessions(), error)

    def _report(
        self, level: int | None, sessions: KeptSessions, error: Exception | None
    ) -> ServerReport:
        elapsed = 0.0 if self.began is None else monotonic() - self.began
        return ServerReport(self.name, datetime.now(UTC), elapsed, level, sessions, error)

    @property
    def leaves_nothing(self) -> bool:
        """Whether there is nothing to be closed."""
        return self._server is None or self.is_native or isinstance(self._item, Server)

    def close(self) -> None:
        """Leaves the server, within about a second."""
        server, self._server = self._server, None
        self._query = self._call = None
        if server is not None and server is not self._item:
            server.close()

    def call_off(self) -> None:
        """Ends it, from another thread, as soon as can be: over SMB its socket is shut down."""
        self._off = True
        for waiting in (self._call, self._waiting):
            if waiting is not None:
                waiting.call_off()


def ask_elsewhere(question: Question) -> tuple[ServerReport, bool]:
    """Asks in a worker of an executor: the report, and whether a thread had to be left behind."""
    report = question.prepare()
    if report is not None:
        return report, False
    waiting = question._waiting = Deadline(question.limit)
    if question._off:
        waiting.call_off()
    try:
        report = Task(question.ask, lambda report: None).run(waiting)
    except (DeadlinePassedError, CalledOffError):
        question.call_off()
        return question.given_up(), True
    except WireError as error:  # no thread
        return question.failed(NetApiError(error.status, "NetSessionEnum", question.name)), False
    finally:
        question.close()
    return report, False


def _spelled(item: object) -> str:
    """An item of the servers as its report calls it."""
    if isinstance(item, Server):
        return item.name or "local machine"
    if isinstance(item, str):
        return str(item)
    try:
        return f"{item!r:.80}"
    except Exception:
        return f"<{type(item).__name__}>"


def _has_logged_on(error: NetApiError) -> bool:
    """Whether it is what somebody is told who has logged on."""
    if error.step is None:  # natively
        return isinstance(error, (AccessDenied, InvalidLevel))
    return error.step in ("share", "pipe", "bind", "call")


def _kept(error: BaseException) -> Exception:
    """An error to keep: what it holds of frames, and of passwords in them, is let go."""
    kept = (
        error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
    )
    kept.__traceback__ = kept.__cause__ = kept.__context__ = None
    return kept
