"""SrvsvcClient: calls to a server's srvsvc interface, by opnum and stub."""

from __future__ import annotations

import threading
import time
from typing import Any, Final

from ..errors import (
    CallTimeout,
    ConnectionLost,
    MalformedReply,
    MissingDependency,
    NetApiError,
    ServerUnreachable,
    error_from_status,
)
from .address import parse_address
from .deadline import Deadline, Task
from .failures import (
    ChainBrokenError,
    DeadlinePassedError,
    LinkBrokenError,
    WireError,
)
from .pipe import Pipe
from .rpc import RpcConnection

_NETR_SESSION_ENUM: Final = 12
_FUNCTIONS: Final = {_NETR_SESSION_ENUM: "NetSessionEnum", 13: "NetSessionDel"}
_ERROR_TIMEOUT: Final = 1460
_LINK_STATUSES: Final = frozenset({59, 64, 109, 232, 233})
# Servers end sessions that are idle for long ([MS-SMB2] 3.3.2.3: 15 minutes is Windows' default),
# so an old connection is not worth trying.
_TRUSTED_IDLE_SECONDS: Final = 600.0


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
        timeout: seconds that a call may take in all, connecting and logging on included.
        max_reply_bytes: the largest reply stub to accept, in bytes.

    Nothing is connected before the first call. Any thread may use it; calls take turns.
    """

    def __init__(
        self,
        server: str,
        *,
        port: int = 445,
        username: str | None = None,
        password: str | None = None,
        encrypt: bool = False,
        timeout: float = 60.0,
        max_reply_bytes: int = 1 << 30,
    ) -> None:
        if not 0 < port < 65536:
            raise ValueError(f"port {port} is not between 1 and 65535")
        if not 0 < timeout <= threading.TIMEOUT_MAX:
            raise ValueError(f"timeout {timeout} is not a positive number of seconds")
        if max_reply_bytes <= 0:
            raise ValueError(f"max_reply_bytes {max_reply_bytes} is not positive")
        if password is not None and username is None:
            raise ValueError("a password needs a username")
        self._server = server
        self._address = parse_address(server)
        self._port = port
        self._username = username
        self._password = password
        self._encrypt = encrypt
        self._timeout = timeout
        self._max_reply_bytes = max_reply_bytes
        self._lock = threading.Lock()
        self._connection: RpcConnection | None = None
        self._used_at = 0.0
        self._pipelined = True  # until the server turns out to need one READ at a time
        self._closings = 0
        # Of the call at hand: how far it got, which decides what may be said and done about it.
        self._reused = self._sent = self._answered = False

    def __repr__(self) -> str:
        return f"SrvsvcClient({self._server!r}, port={self._port}, username={self._username!r})"

    def call(self, opnum: int, stub: bytes) -> bytes:
        """Send ``stub`` to procedure ``opnum`` and return the stub of the reply.

        Raises, all from :mod:`netsession.errors`: LogonFailed, AccessDenied, ServerUnreachable,
        ConnectionLost (``maybe_done`` is True if the server may have carried the call out),
        CallTimeout, NotSupported, MalformedReply, NetApiError for any other status, and
        MissingDependency where smbprotocol is not installed. A status inside the stub is not
        looked at.

        A connection that was lost between calls is made anew once for opnum 12, never for others.
        """
        deadline = Deadline(self._timeout)
        function = _FUNCTIONS.get(opnum, f"srvsvc opnum {opnum}")
        if not self._lock.acquire(timeout=self._timeout):
            raise self._timed_out(function, opnum, sent=False)
        closings = self._closings
        try:
            return self._call(opnum, bytes(stub), deadline, function)
        finally:
            if closings != self._closings and self._connection is not None:
                self._connection.drop()  # closed meanwhile, by another thread
                self._connection = None
            self._lock.release()

    def close(self) -> None:
        """Leave the server, within about a second. Again: nothing. A later call connects anew."""
        self._closings += 1
        if not self._lock.acquire(blocking=False):
            connection = self._connection  # in use by another thread, whose call fails now
            if connection is not None:
                connection.abort()
            return
        try:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.leave()
        finally:
            self._lock.release()

    # -- one call ------------------------------------------------------------------------------

    def _call(self, opnum: int, stub: bytes, deadline: Deadline, function: str) -> bytes:
        closings = self._closings
        repeatable = opnum == _NETR_SESSION_ENUM
        while True:
            self._reused = self._connection is not None
            try:
                return self._attempt(opnum, stub, deadline)
            except ChainBrokenError:
                # Only a pipelined call raises this, so it is raised once at most.
                self._pipelined = False
            except LinkBrokenError as error:
                lost_between_calls = self._reused and not self._answered
                if not (repeatable and lost_between_calls) or closings != self._closings:
                    raise self._lost(error, function, opnum) from error
            except DeadlinePassedError:
                raise self._timed_out(function, opnum, self._sent) from None
            except WireError as error:
                raise error_from_status(
                    error.status, function, self._server, detail=error.detail
                ) from error
            except MalformedReply as error:
                raise self._placed(error, function) from error.__cause__

    def _attempt(self, opnum: int, stub: bytes, deadline: Deadline) -> bytes:
        self._sent = self._answered = False
        connection = self._connected(opnum, deadline)
        try:
            connection.set_deadline(deadline)
            pipelined = self._pipelined and opnum == _NETR_SESSION_ENUM
            return connection.call(opnum, stub, pipelined=pipelined)
        finally:
            self._sent, self._answered = connection.sent, connection.answered
            if connection.drained:  # so it is after a call, and after most faults
                self._used_at = time.monotonic()
            else:
                self._connection = None
                connection.drop()

    def _connected(self, opnum: int, deadline: Deadline) -> RpcConnection:
        connection = self._connection
        if connection is None:
            self._connection = connection = self._connect(deadline)
            return connection
        idle = time.monotonic() - self._used_at
        too_old = opnum == _NETR_SESSION_ENUM and idle > _TRUSTED_IDLE_SECONDS
        if too_old or not connection.is_alive:
            self._connection = None
            connection.drop()
            raise LinkBrokenError(64, "the connection was closed since the last call")
        return connection

    def _connect(self, deadline: Deadline) -> RpcConnection:
        smb = _import_smb()
        credentials = smb.Credentials(self._username, self._password)

        def work() -> RpcConnection:
            opened = smb.open_pipe(self._address, self._port, credentials, self._encrypt, deadline)
            pipe = Pipe(opened)
            try:
                return RpcConnection(pipe, self._max_reply_bytes)
            except BaseException:
                pipe.drop()
                raise

        connected: RpcConnection = Task(work, RpcConnection.drop).run(deadline)
        return connected

    # -- what is raised -------------------------------------------------------------------------

    def _lost(self, error: LinkBrokenError, function: str, opnum: int) -> NetApiError:
        if error.status not in _LINK_STATUSES:
            return error_from_status(error.status, function, self._server, detail=error.detail)
        if not self._sent and not self._reused:
            return ServerUnreachable(error.status, function, self._server, detail=error.detail)
        maybe_done = self._sent and opnum != _NETR_SESSION_ENUM
        return ConnectionLost(
            error.status,
            function,
            self._server,
            detail=f"{error.detail}{_what_was_done(self._sent, opnum)}",
            maybe_done=maybe_done,
        )

    def _timed_out(self, function: str, opnum: int, sent: bool) -> CallTimeout:
        detail = f"no complete answer within {self._timeout:g} s{_what_was_done(sent, opnum)}"
        return CallTimeout(_ERROR_TIMEOUT, function, self._server, detail=detail)

    def _placed(self, error: MalformedReply, function: str) -> MalformedReply:
        error.function = function
        error.server = self._server
        error.args = (error.status, function, self._server)
        return error


def _what_was_done(sent: bool, opnum: int) -> str:
    """For an error of a call that changes something: did it, perhaps?"""
    if opnum == _NETR_SESSION_ENUM:
        return ""
    return "; the server may have done it all the same" if sent else "; nothing was done"


def _import_smb() -> Any:
    """The module that needs smbprotocol."""
    try:
        from . import smb
    except ImportError as error:
        raise MissingDependency(
            f"asking a server over SMB needs smbprotocol ({error}): pip install netsession[smb]",
            name="smbprotocol",
        ) from error
    return smb
