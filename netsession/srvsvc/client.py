"""SrvsvcClient: calls to a server's srvsvc interface, by opnum and stub."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from .._eras import Eras
from .._log import debug
from .._netsession import CallLock
from .._options import check_options
from .._process import Process
from .._secret import Secret, hidden
from ..errors import (
    CallTimeout,
    ConnectionLost,
    MalformedReply,
    MissingDependency,
    NetApiError,
    error_from_status,
)
from .address import parse_address
from .deadline import Deadline, Task
from .failures import (
    CalledOffError,
    ChainBrokenError,
    DeadlinePassedError,
    LinkBrokenError,
    RpcFaultError,
    WireError,
)
from .pipe import Pipe
from .rpc import RpcConnection

_NETR_SESSION_ENUM: Final = 12
_FUNCTIONS: Final = {_NETR_SESSION_ENUM: "NetSessionEnum", 13: "NetSessionDel"}
_ERROR_CONNECTION_ABORTED: Final = 1236
_ERROR_TIMEOUT: Final = 1460
_LINK_STATUSES: Final = frozenset({59, 64, 109, 232, 233})
# Servers end sessions that are idle for long ([MS-SMB2] 3.3.2.3: 15 minutes is Windows' default),
# so an old connection is not worth trying.
_TRUSTED_IDLE_SECONDS: Final = 600.0

_Failure = WireError | MalformedReply | DeadlinePassedError | CalledOffError
_FAILURES: Final = (WireError, MalformedReply, DeadlinePassedError, CalledOffError)


class SrvsvcClient:
    r"""The srvsvc interface ([MS-SRVS]) of one server, over SMB.

    Args:
        server: a name, an IPv4 or an IPv6 address (brackets, zone and leading backslashes may be
            there).
        port: the TCP port of the SMB server.
        username: ``user``, ``DOMAIN\user`` or ``user@realm``; None for the user of the Kerberos
            ticket cache (on Windows: the user who is logged on).
        password: its password; None to use the ticket cache.
        encrypt: True to refuse servers without SMB 3 encryption. Messages are signed in any case,
            and encrypted where the server asks for it.
        timeout: seconds that a call may take in all, connecting and logging on included; None for
            no limit.
        max_reply_bytes: the largest reply stub to accept, in bytes.

    Nothing is connected before the first call. Any thread may use it; exchanges take turns. A
    connection belongs to the process that made it: after a fork the child makes its own.
    """

    def __init__(
        self,
        server: str,
        *,
        port: int = 445,
        username: str | None = None,
        password: str | Secret | None = None,
        encrypt: bool = False,
        timeout: float | None = 60.0,
        max_reply_bytes: int = 1 << 30,
    ) -> None:
        self._server, self._port, self._username = server, port, username  # for repr()
        secret = hidden(password)
        del password  # which a traceback's frame would show to some tools
        check_options(
            username=username,
            password=secret,
            port=port,
            encrypt=encrypt,
            timeout=timeout,
            max_reply_bytes=max_reply_bytes,
        )
        self._address = parse_address(server)
        self._password = secret
        self._encrypt = encrypt
        self._timeout = timeout
        self._max_reply_bytes = max_reply_bytes
        self._pipelined = True  # until the server turns out to need one READ at a time
        self.connections: int = 0  # made so far
        self._eras = Eras()
        self._start_afresh()

    def _start_afresh(self) -> None:
        """Without a connection, for this process."""
        self._process = Process()
        self._lock = CallLock()  # whoever holds it may use the three below
        self._idle: RpcConnection | None = None  # ready for the next exchange
        self._used_at = 0.0
        self._busy: Deadline | None = None  # of the exchange at hand; close() looks at it too

    def __repr__(self) -> str:
        return f"SrvsvcClient({self._server!r}, port={self._port}, username={self._username!r})"

    @property
    def username(self) -> str | None:
        """Who logs on (str), or None for whoever the ticket or the system's logon says."""
        return self._username

    def begin(self, timeout: float | None = None) -> Call:
        """A public call, whose exchanges share the time limit of the client.

        ``timeout`` is a second limit, in seconds, that also bounds all its renewals together.
        """
        self._leave_to_parent()
        return Call(self, timeout)

    def call(self, opnum: int, stub: bytes) -> bytes:
        """A public call of one exchange: see :meth:`Call.__call__`."""
        return self.begin()(opnum, stub)

    def close(self) -> None:
        """Leave the server, within about a second. Again: nothing. A later call connects anew.

        Calls that have begun fail, whatever they are at, and send nothing once this has returned.
        """
        # The mark first: who is about to wait looks at it, and who waits already is woken.
        self._eras.end()
        if self._leave_to_parent():
            return
        if not self._lock.try_run(self._leave):
            busy = self._busy
            if busy is not None:
                busy.call_off()

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        connection = getattr(self, "_idle", None)
        if connection is not None and self._process.is_here():
            text = f"unclosed connection of {self!r}"
            warn(text, ResourceWarning, stacklevel=2, source=self)
            connection.drop()

    # -- the idle connection -------------------------------------------------------------------

    def _leave(self) -> None:
        connection, self._idle = self._idle, None
        if connection is not None:
            debug("%s: logging off", self._server)
            connection.leave()

    def _drop(self) -> None:
        connection, self._idle = self._idle, None
        if connection is not None:
            connection.drop()

    def _leave_to_parent(self) -> bool:
        """After a fork: leaves connection and lock to the process that made them."""
        if self._process.is_here():
            return False
        connection = self._idle
        self._start_afresh()
        if connection is not None:
            connection.drop()  # our copy of its socket; the parent's stays open
        return True

    def _take_idle(self) -> RpcConnection | None:
        """The connection, if it can be expected to work. It is nobody's until it is idle again."""
        connection, self._idle = self._idle, None
        if connection is None:
            return None
        if time.monotonic() - self._used_at > _TRUSTED_IDLE_SECONDS or not connection.is_alive:
            debug("%s: the idle connection is not to be used any more", self._server)
            connection.drop()
            return None
        return connection

    # -- one exchange, with the lock held ------------------------------------------------------

    def _exchange(self, call: Call, opnum: int, stub: bytes) -> bytes:
        interrupted, self._busy = self._busy, call.deadline
        if interrupted is not None:  # by an exception from outside, anywhere in here
            interrupted.call_off()
        try:
            reply = self._ask(call, opnum, stub)
        except _FAILURES:
            self._be_idle(call)
            raise
        # After an interrupt the call stays here: what still waits for it can be woken.
        self._be_idle(call)
        return reply

    def _be_idle(self, call: Call) -> None:
        call.deadline.forget()
        self._busy = None

    def _ask(self, call: Call, opnum: int, stub: bytes) -> bytes:
        """Asks once; anew only where nothing was sent, or where asking twice does no harm."""
        while True:
            call.deadline.remaining()
            try:
                return self._attempt(call, opnum, stub)
            except ChainBrokenError:
                # Only a pipelined call raises this, so it is raised once at most.
                debug("%s: fragments out of order; from now on one READ at a time", self._server)
                self._pipelined = False
            except LinkBrokenError:
                harmless = opnum == _NETR_SESSION_ENUM and not call.answered
                if not (call.reused and harmless):
                    raise
                debug("%s: the connection was lost between calls; asking again", self._server)

    def _attempt(self, call: Call, opnum: int, stub: bytes) -> bytes:
        connection = self._take_idle()
        call.reused = connection is not None
        if connection is None:
            connection = self._connect(call.deadline)
        call.use(connection)
        try:
            call.deadline.step = "call"
            pipelined = self._pipelined and opnum == _NETR_SESSION_ENUM
            reply = connection.call(opnum, stub, pipelined=pipelined)
            debug("%s: %s answered by %d bytes", self._server, _function(opnum), len(reply))
            return reply
        finally:
            if connection.drained:  # so it is after a call, and after most faults
                self._used_at = time.monotonic()
                self._idle = connection
            else:
                connection.drop()

    def _connect(self, deadline: Deadline) -> RpcConnection:
        smb = _import_smb()
        address = self._address
        who = self._username or "the current user"
        debug("%s: connecting to port %d as %s", self._server, self._port, who)
        credentials = smb.Credentials(self._username, self._password)
        port, encrypt, max_reply_bytes = self._port, self._encrypt, self._max_reply_bytes

        def work() -> RpcConnection:
            opened = smb.open_pipe(address, port, credentials, encrypt, deadline)
            pipe = Pipe(opened)
            try:
                deadline.step = "bind"
                return RpcConnection(pipe, max_reply_bytes)
            except BaseException:
                pipe.drop()
                raise

        connected: RpcConnection = Task(work, RpcConnection.drop).run(deadline)
        self.connections += 1
        return connected


class Call:
    """One public call: its exchanges share a time limit, and are called off together.

    It is a backend of the native core: called with an opnum and a stub it gives the reply's stub.
    """

    def __init__(self, client: SrvsvcClient, timeout: float | None) -> None:
        self._client = client
        self._timeout = timeout
        self._whole = Deadline(timeout)
        self.deadline: Deadline = Deadline(_shorter(client._timeout, timeout), client._eras.watch())
        self._connection: RpcConnection | None = None  # of the exchange at hand, and the last one
        self.reused = False  # had it served earlier exchanges?

    @property
    def backend(self) -> Call:
        """What the native core calls."""
        return self

    @property
    def own_address(self) -> str | None:
        """This machine's address on the connection of the latest exchange (str), if it is known."""
        return None if self._connection is None else self._connection.own_address

    @property
    def sent(self) -> bool:
        """Whether anything of the exchange at hand may have left."""
        return self._connection is not None and self._connection.sent

    @property
    def answered(self) -> bool:
        """Whether any of its answer has come."""
        return self._connection is not None and self._connection.answered

    def use(self, connection: RpcConnection) -> None:
        """From here on the exchange is on that connection."""
        connection.begin(self.deadline)
        self._connection = connection

    def renew(self) -> None:
        """For the next page of a listing the client's time limit begins anew.

        Raises CallTimeout where the limit of the whole is over, ConnectionLost after close().
        """
        self._connection = self.deadline.step = None
        try:
            left = None if self._timeout is None else self._whole.remaining()
            self.deadline.extend(_shorter(self._client._timeout, left))
        except DeadlinePassedError:
            raise self._timed_out(_NETR_SESSION_ENUM) from None
        self.check()

    def check(self) -> None:
        """Raises ConnectionLost once it was called off."""
        if self.deadline.is_off:
            raise self._explained(CalledOffError(), _NETR_SESSION_ENUM)

    def call_off(self) -> None:
        """Ends it, from another thread, within a second: whatever it waits for fails."""
        self.deadline.call_off()

    def __call__(self, opnum: int, stub: bytes) -> bytes:
        """Send ``stub`` to procedure ``opnum`` and return the stub of the reply.

        Raises, all from :mod:`netsession.errors`: LogonFailed, AccessDenied, ServerUnreachable,
        ConnectionLost, CallTimeout, NotSupported, MalformedReply, NetApiError for any other
        status, and MissingDependency where smbprotocol is not installed. ``maybe_done`` is True
        where the server may have carried out a call that changes something. A status inside the
        stub is not looked at.

        A connection that was lost between calls is made anew: for opnum 12 also where that shows
        only after the request was sent, for others never then.
        """
        client = self._client
        client._leave_to_parent()
        self._connection = self.deadline.step = None
        try:
            exchange = partial(client._exchange, self, opnum, bytes(stub))
            return client._lock.run(exchange, self.deadline.remaining)
        except _FAILURES as failure:
            raise self._explained(failure, opnum) from _cause_of(failure)
        except BaseException as error:
            self.deadline.call_off()  # an interrupt: nobody wants the answer
            if self.sent and opnum != _NETR_SESSION_ENUM:
                error.add_note("The server may have done it all the same.")
            raise
        finally:
            if self.deadline.is_off:  # by a close() that could not take the connection itself
                client._lock.try_run(client._drop)

    # -- what is raised ------------------------------------------------------------------------

    def _explained(self, failure: _Failure, opnum: int) -> NetApiError:
        error = self._error_of(failure, opnum)
        error.maybe_done = (
            opnum != _NETR_SESSION_ENUM and self.sent and not _did_not_execute(failure)
        )
        return error

    def _error_of(self, failure: _Failure, opnum: int) -> NetApiError:
        function, server = _function(opnum), self._client._server
        step = self.deadline.step
        if isinstance(failure, CalledOffError):
            detail = f"the connection was closed during the call{self._comfort(opnum)}"
            return ConnectionLost(
                _ERROR_CONNECTION_ABORTED, function, server, detail=detail, step=step
            )
        if isinstance(failure, DeadlinePassedError):
            return self._timed_out(opnum)
        if isinstance(failure, WireError):
            return self._failed(failure, opnum)
        failure.function, failure.server, failure.step = function, server, step
        failure.args = (failure.status, function, server)
        return failure

    def _failed(self, failure: WireError, opnum: int) -> NetApiError:
        lost = isinstance(failure, LinkBrokenError) and failure.status in _LINK_STATUSES
        after_more = lost and (self.sent or self.reused)
        return error_from_status(
            failure.status,
            _function(opnum),
            self._client._server,
            detail=f"{failure.detail}{self._comfort(opnum) if after_more else ''}",
            step=self.deadline.step,
            ntstatus=failure.ntstatus,
        )

    def _timed_out(self, opnum: int) -> CallTimeout:
        seconds = self._client._timeout
        what = "no complete answer"
        if self._timeout not in (None, seconds) and (seconds is None or self._whole.is_over):
            seconds = self._timeout
            what = "not all of the answers"
        detail = f"{what} within {seconds:g} s{self._comfort(opnum)}"
        return CallTimeout(
            _ERROR_TIMEOUT,
            _function(opnum),
            self._client._server,
            detail=detail,
            step=self.deadline.step,
        )

    def _comfort(self, opnum: int) -> str:
        """For an error of a call that changes something, where that is certain."""
        return "" if opnum == _NETR_SESSION_ENUM or self.sent else "; nothing was done"


def _shorter(one: float | None, other: float | None) -> float | None:
    """The shorter of two time limits; None is no limit."""
    return min((each for each in (one, other) if each is not None), default=None)


def _function(opnum: int) -> str:
    return _FUNCTIONS.get(opnum, f"srvsvc opnum {opnum}")


def _did_not_execute(failure: _Failure) -> bool:
    return isinstance(failure, RpcFaultError) and failure.did_not_execute


def _cause_of(failure: _Failure) -> BaseException | None:
    """What the caller is told as the cause: that time is over or a call off tells nothing more."""
    return failure if isinstance(failure, WireError) else failure.__cause__


def _import_smb() -> Any:
    """The module that needs smbprotocol."""
    try:
        from . import smb
    except ImportError as error:
        raise MissingDependency(
            f"asking a server over SMB needs smbprotocol ({error}): pip install 'netsession[smb]'",
            name="smbprotocol",
        ) from error
    return smb
