"""Errors of the session functions: what a status means and what to do about it.

Every error of a call is a :class:`NetApiError`. Its subclasses are also the builtin exceptions
that people catch already (``PermissionError``, ``TimeoutError``, ``LookupError``, ``ValueError``),
so ``except PermissionError`` works without importing anything from here.

This module is the only place that knows status numbers. Statuses are those of Win32, [MS-ERREF]
2.2 and [MS-SRVS] 2.2.2.10 (``NERR_*``, 2100 to 2999).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "AccessDenied",
    "AmbiguousName",
    "CallTimeout",
    "ConnectionLost",
    "InvalidLevel",
    "InvalidParameter",
    "LogonFailed",
    "MalformedReply",
    "MissingDependency",
    "NetApiError",
    "NoProgress",
    "NotSupported",
    "ServerUnreachable",
    "SessionNotFound",
    "error_from_status",
    "symbol_of",
]

_RPC_X_BAD_STUB_DATA = 1783
_ERROR_MORE_DATA = 234
_ERROR_INVALID_PARAMETER = 87


class NetApiError(OSError):
    """A session function failed.

    Attributes:
        status: the NET_API_STATUS (``int``, unsigned), as Windows numbers it.
        function: the Win32 function that failed, e.g. ``"NetSessionEnum"``.
        server: the server's name without leading backslashes, or None for the local machine.
        detail: what else is known (``str``), or None.

    Source: NET_API_STATUS of the Win32 network management functions; [MS-ERREF] 2.2.
    """

    status: int
    function: str
    server: str | None
    detail: str | None

    def __init__(
        self, status: int, function: str, server: str | None = None, *, detail: str | None = None
    ) -> None:
        # One argument only: OSError would read two or more as errno, and a status is none.
        super().__init__(function)
        self.status = status
        self.function = function
        self.server = server.lstrip("\\") if server else None
        self.detail = detail
        self.args = (status, function, self.server)

    @property
    def symbol(self) -> str | None:
        """The symbol of the status, e.g. ``"ERROR_ACCESS_DENIED"``, or None if it has none."""
        return symbol_of(self.status)

    @property
    def advice(self) -> str | None:
        """What to do next, in one sentence, or None where nothing general can be said."""
        return _ADVICE.get(self.status)

    def __str__(self) -> str:
        where = f" on {self.server}" if self.server else ""
        symbol = self.symbol
        name = f"{symbol}, status {self.status}" if symbol else f"status {self.status}"
        parts = [f"{self.function}{where} failed: {name}"]
        parts += [part[0].upper() + part[1:] for part in (self.detail, self.advice) if part]
        return ". ".join(part.rstrip(".") for part in parts) + "."

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.status}, {self.function!r}, {self.server!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError's own __reduce__ would lose what is not in args.
        return _unpickle, (type(self), self.__dict__.copy())


def _unpickle(cls: type[NetApiError], attributes: dict[str, Any]) -> NetApiError:
    error = cls.__new__(cls)
    error.__dict__.update(attributes)
    error.args = (error.status, error.function, error.server)
    return error


class AccessDenied(NetApiError, PermissionError):
    """The caller may not do this on that server (ERROR_ACCESS_DENIED and its kin)."""


class LogonFailed(AccessDenied):
    """The server did not accept the credentials (ERROR_LOGON_FAILURE and its kin)."""


class InvalidLevel(NetApiError, ValueError):
    """The server does not know that information level (ERROR_INVALID_LEVEL)."""


class InvalidParameter(NetApiError, ValueError):
    """An argument was refused (ERROR_INVALID_PARAMETER, NERR_InvalidComputer)."""


class AmbiguousName(InvalidParameter):
    """What was typed fits more than one account or client, or none for certain: nothing was sent.

    ``candidates`` (tuple of str) are the names in question as the server spells them.
    """

    candidates: tuple[str, ...]

    def __init__(
        self,
        detail: str,
        candidates: tuple[str, ...] = (),
        *,
        function: str = "NetSessionDel",
        server: str | None = None,
    ) -> None:
        super().__init__(_ERROR_INVALID_PARAMETER, function, server, detail=detail)
        self.candidates = candidates

    @property
    def advice(self) -> str | None:
        """What to do next, in one sentence."""
        return (
            "Nothing was sent; name the one that is meant as the server spells it "
            "(.\\user for one without a domain)"
        )


class SessionNotFound(NetApiError, LookupError):
    """No session matches (NERR_ClientNameNotFound, NERR_UserNotFound)."""


class ServerUnreachable(NetApiError, ConnectionError):
    """The server could not be reached, or offers no session functions at that address."""


class ConnectionLost(ServerUnreachable):
    """The connection broke after the request had been sent.

    ``maybe_done`` is True where the server may have carried the request out all the same: a
    NetSessionDel that ends the caller's own session is never answered.
    """

    maybe_done: bool

    def __init__(
        self,
        status: int,
        function: str,
        server: str | None = None,
        *,
        detail: str | None = None,
        maybe_done: bool = False,
    ) -> None:
        super().__init__(status, function, server, detail=detail)
        self.maybe_done = maybe_done


class CallTimeout(NetApiError, TimeoutError):
    """The call did not end within the time-out."""


class NotSupported(NetApiError):
    """The server does not have this function (ERROR_NOT_SUPPORTED and its kin)."""


class MalformedReply(NetApiError, ValueError):
    """The server's reply breaks the wire format ([MS-SRVS] 2.2, [MS-RPCE]); nothing of it is used.

    ``offset`` is the byte of the stub or PDU at which it was noticed (``int``), or None.
    """

    offset: int | None

    def __init__(
        self,
        what: str,
        offset: int | None = None,
        *,
        function: str = "NetSessionEnum",
        server: str | None = None,
    ) -> None:
        at = "" if offset is None else f" at byte {offset}"
        super().__init__(
            _RPC_X_BAD_STUB_DATA, function, server, detail=f"the reply is malformed{at}: {what}"
        )
        self.offset = offset

    @property
    def advice(self) -> str | None:
        """What to do next, in one sentence."""
        return "The server or something between is broken or hostile; nothing of this reply is used"


class NoProgress(NetApiError):
    """The server says "more data" but sends neither an entry nor a moved resume handle."""

    def __init__(
        self,
        status: int = _ERROR_MORE_DATA,
        function: str = "NetSessionEnum",
        server: str | None = None,
        *,
        detail: str | None = None,
    ) -> None:
        super().__init__(status, function, server, detail=detail)

    @property
    def advice(self) -> str | None:
        """What to do next, in one sentence."""
        return (
            "The list cannot be completed by paging; ask for everything at once "
            "(leave page_bytes out) or restart the server's Server service"
        )


class MissingDependency(ImportError):
    """An optional library that this needs is not installed; the message says how to get it."""


def error_from_status(
    status: int, function: str, server: str | None = None, *, detail: str | None = None
) -> NetApiError:
    """The exception for a status: the right subclass of :class:`NetApiError`, not raised.

    ``status`` is a NET_API_STATUS (``int``), ``function`` the Win32 function, ``server`` the name
    the caller used, ``detail`` a sentence that is known only here.
    """
    return _CLASS.get(status, NetApiError)(status, function, server, detail=detail)


def symbol_of(status: int) -> str | None:
    """The symbol of a NET_API_STATUS, as ``"NERR_UserNotFound"``, or None if it has none."""
    from . import _statuses  # 400 names that only a failed call needs

    return _statuses.SYMBOLS.get(status)


_CLASS: dict[int, type[NetApiError]] = {
    **dict.fromkeys((5, 65, 1314), AccessDenied),
    **dict.fromkeys(
        (86, 1311, 1317, *range(1326, 1332), 1385, 1396, 1793, 1825, 1907, 1909, 2202), LogonFailed
    ),
    124: InvalidLevel,
    **dict.fromkeys((87, 123, 1210, 2351), InvalidParameter),
    **dict.fromkeys((2221, 2312), SessionNotFound),
    **dict.fromkeys(
        (2, 51, 53, 67, 71, 1203, 1214, 1222, 1225, 1231, 1232, 1702, 1707, 1715, 1722, 2103, 2114),
        ServerUnreachable,
    ),
    **dict.fromkeys((59, 64, 109, 232, 233, 1236, 1726, 1820), ConnectionLost),
    **dict.fromkeys((121, 1460), CallTimeout),
    **dict.fromkeys((50, 120, 1717, 1730, 1745, 1764, 2142, 2470), NotSupported),
}

_NO_GROUP = (
    "The server wants the caller to be a member of its Administrators or Server Operators group "
    "(Windows before Server 2019 may grant levels 0 and 10 to any user; Samba wants "
    "BUILTIN\\Administrators to list, and root or Domain Admins to delete). "
    "Use an account that is, or ask the server's administrator"
)
_CREDENTIALS = "Check the user name (DOMAIN\\user or user@realm) and the password or ticket"
_ACCOUNT = "Ask the server's administrator about this account"
_UNREACHABLE = (
    "Check the name, the port (445 unless told otherwise), the network and any firewall, and that "
    "the server shares files over SMB"
)
_LOST = "The connection to the server broke; try again"
_RESOURCES = "The server or this machine is short of resources; try again later"

_ADVICE: dict[int, str] = {
    2: "The server has no srvsvc pipe: it does not offer the session functions",
    5: _NO_GROUP,
    8: _RESOURCES,
    14: _RESOURCES,
    50: "This server does not offer the session functions (a Samba AD DC on ntvfs is one such)",
    53: _UNREACHABLE,
    51: _UNREACHABLE,
    59: _LOST,
    64: _LOST,
    65: _NO_GROUP,
    67: "The server refused its IPC$ share; check that remote administration is allowed there",
    71: _RESOURCES,
    86: _CREDENTIALS,
    87: "An argument was refused: names may hold at most 1,023 UTF-16 units",
    109: _LOST,
    120: "This server does not implement the function",
    121: "Raise timeout=, or check the network to the server",
    124: "Use level=None to get the richest level that the server grants (Samba grants 0 and 1)",
    231: "All instances of the srvsvc pipe are busy; try again",
    232: _LOST,
    233: _LOST,
    1203: _UNREACHABLE,
    1219: (
        "Windows holds another connection to this server under another user; disconnect it "
        "(net use /delete) or give username= and password="
    ),
    1225: _UNREACHABLE,
    1231: _UNREACHABLE,
    1232: _UNREACHABLE,
    1311: "No domain controller could be reached to check the password",
    1314: _NO_GROUP,
    1317: _CREDENTIALS,
    1326: _CREDENTIALS,
    1327: _ACCOUNT,
    1328: _ACCOUNT,
    1329: _ACCOUNT,
    1330: "The password has expired; change it first",
    1331: _ACCOUNT,
    1385: _ACCOUNT,
    1396: "The Kerberos ticket is for another name; use the server's full DNS name",
    1460: "Raise timeout=, or check the network to the server",
    1717: "The server has the pipe but not the srvsvc interface",
    1722: _UNREACHABLE,
    1723: _RESOURCES,
    1726: _LOST,
    1745: "The server's srvsvc interface lacks this call",
    1783: "The server could not read the request; please report this as a bug of netsession",
    1825: _CREDENTIALS,
    1907: "The password must be changed before the first logon",
    1909: _ACCOUNT,
    2103: _UNREACHABLE,
    2114: "Start the Server service (LanmanServer) on that machine",
    2123: "Raise page_bytes, or leave it out",
    2221: "No session of that user; list the sessions without user= to see the names in use",
    2312: "No session from that client; list the sessions without client= to see the names in use",
    2351: "Give the client as its computer name or address, as listed by the server",
}
