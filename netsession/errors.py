"""Errors of the session functions: what a status means and what to do about it.

Every error of a call is a :class:`NetApiError`. Its subclasses are also the builtin exceptions
that people catch already (``PermissionError``, ``TimeoutError``, ``LookupError``, ``ValueError``),
so ``except PermissionError`` works without importing anything from here.

This module and the two tables that only a failed call loads (``_statuses``: symbols, ``_advice``:
what to do) are the only places that know status numbers. Statuses are those of Win32, [MS-ERREF]
2.2 and [MS-SRVS] 2.2.2.10 (``NERR_*``, 2100 to 2999), and from 0x80090000 those of SSPI.
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
    "NotAsked",
    "NotSupported",
    "ServerUnreachable",
    "SessionNotFound",
    "error_from_status",
    "symbol_of",
]

_RPC_X_BAD_STUB_DATA = 1783
_ERROR_MORE_DATA = 234
_CHANGES = "NetSessionDel"  # the one function that changes anything
_ERROR_INVALID_PARAMETER = 87
_ERROR_CANCELLED = 1223


class NetApiError(OSError):
    """A session function failed.

    Attributes:
        status: the NET_API_STATUS (``int``, unsigned), as Windows numbers it.
        function: the Win32 function that failed, e.g. ``"NetSessionEnum"``.
        server: the server's name without leading backslashes, or None for the local machine.
        detail: what else is known (``str``), or None.
        maybe_done: True where a call that changes something failed, and the server may have done
            it all the same (``bool``): its request may have left, and no answer says otherwise.
        step: how far it had got over SMB (``str``): ``"connect"``, ``"negotiate"`` (a dialect),
            ``"logon"``, ``"share"`` (IPC$), ``"pipe"`` (srvsvc), ``"bind"`` (the interface), or
            ``"call"`` (the function itself). None where that is not known, as natively.
        ntstatus: the NTSTATUS that the server answered (``int``, unsigned), or None.
        errno, strerror: for AccessDenied, CallTimeout and ServerUnreachable the C error of the same
            meaning, as OSError has it (``EACCES``, ``ETIMEDOUT``, ``ECONNREFUSED`` ...), else None.

    Source: NET_API_STATUS of the Win32 network management functions; [MS-ERREF] 2.2.
    """

    args: tuple[int, str, str | None]
    status: int
    function: str
    server: str | None
    detail: str | None
    maybe_done: bool
    step: str | None = None
    ntstatus: int | None = None

    def __init__(
        self,
        status: int,
        function: str,
        server: str | None = None,
        *,
        detail: str | None = None,
        maybe_done: bool = False,
        step: str | None = None,
        ntstatus: int | None = None,
    ) -> None:
        # One argument only: OSError would read two or more as errno, and a status is none.
        super().__init__(function)
        self.status = status
        self.function = function
        self.server = server.lstrip("\\") if server else None
        self.detail = detail
        self.maybe_done = maybe_done
        self.step = step
        self.ntstatus = ntstatus
        self.args = (status, function, self.server)
        _set_errno(self)

    @property
    def symbol(self) -> str | None:
        """The symbol of the status, e.g. ``"ERROR_ACCESS_DENIED"``, or None if it has none."""
        return symbol_of(self.status)

    @property
    def advice(self) -> str | None:
        """What to do next, in one sentence, or None where nothing general can be said."""
        from . import _advice  # texts that only a failed call needs

        return _advice.advice(self.status, self.step, self.function)

    @property
    def doubt(self) -> str | None:
        """For what may have been done all the same, a sentence that says so; otherwise None."""
        if not self.maybe_done:
            return None
        return (
            "The sessions may have been ended all the same, the caller's own among them: "
            "list them to see what is left"
        )

    def __str__(self) -> str:
        where = f" on {self.server}" if self.server else ""
        symbol = self.symbol
        sspi = self.status >> 16 == 0x8009  # numbers that people know in hexadecimal
        number = f"0x{self.status:08X}" if sspi else f"{self.status}"
        name = f"{symbol}, status {number}" if symbol else f"status {number}"
        parts = [f"{self.function}{where} failed{_AT.get(self.step, '')}: {name}"]
        told = (self.detail, self.doubt or self.advice)
        parts += [part[0].upper() + part[1:] for part in told if part]
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
    _set_errno(error)  # OSError keeps it beside __dict__
    return error


def _set_errno(error: NetApiError) -> None:
    """Gives an error the C error of the same meaning, for code that is made for OSError."""
    import errno  # built in; nobody needs it before something fails
    import os

    if isinstance(error, PermissionError):
        error.errno = errno.EACCES
    elif isinstance(error, TimeoutError):
        error.errno = errno.ETIMEDOUT
    elif isinstance(error, ConnectionError):
        error.errno = getattr(errno, _ERRNO_NAMES.get(error.status, "ECONNREFUSED"))
    else:
        return
    error.strerror = os.strerror(error.errno)


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
        kept = "Nothing was sent; name" if self.function == _CHANGES else "Name"
        return (
            f"{kept} the one that is meant as the server spells it "
            "(.\\user for one without a domain)"
        )


class SessionNotFound(NetApiError, LookupError):
    """No session matches (NERR_ClientNameNotFound, NERR_UserNotFound)."""


class ServerUnreachable(NetApiError, ConnectionError):
    """The server could not be reached, or offers no session functions at that address."""


class ConnectionLost(ServerUnreachable):
    """The connection broke after the request had been sent, or was closed by the caller.

    A NetSessionDel that ends the caller's own session is never answered: see ``maybe_done``.
    """


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
        step: str | None = None,
    ) -> None:
        at = "" if offset is None else f" at byte {offset}"
        super().__init__(
            _RPC_X_BAD_STUB_DATA,
            function,
            server,
            detail=f"the reply is malformed{at}: {what}",
            maybe_done=function == _CHANGES,
            step=step,
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
        step: str | None = None,
    ) -> None:
        super().__init__(status, function, server, detail=detail, step=step)

    @property
    def advice(self) -> str | None:
        """What to do next, in one sentence."""
        return (
            "The list cannot be completed by paging; ask for everything at once "
            "(leave page_bytes out) or restart the server's Server service"
        )


class NotAsked(NetApiError):
    """A scan asked this server nothing; ``detail`` says why (netsession.scan() only).

    After wrong logons, which may lock an account; where all threads are held by servers that do
    not answer; where an executor takes no more.
    """

    def __init__(
        self,
        detail: str,
        server: str | None = None,
    ) -> None:
        super().__init__(_ERROR_CANCELLED, "NetSessionEnum", server, detail=detail)

    @property
    def advice(self) -> str | None:
        """What to do next, in one sentence; here what is to be done is in the detail."""
        return None

    def __str__(self) -> str:
        return f"{self.server or 'The server'} was not asked: {self.detail}."


class MissingDependency(ImportError):
    """An optional library that this needs is not installed; the message says how to get it."""


def error_from_status(
    status: int,
    function: str,
    server: str | None = None,
    *,
    detail: str | None = None,
    step: str | None = None,
    ntstatus: int | None = None,
) -> NetApiError:
    """The exception for a status: the right subclass of :class:`NetApiError`, not raised.

    ``status`` is a NET_API_STATUS (``int``), ``function`` the Win32 function, ``server`` the name
    the caller used, ``detail`` a sentence that is known only here; ``step`` and ``ntstatus`` are
    those of NetApiError.
    """
    kind = _class_of(status, step)
    maybe_done = function == _CHANGES and step in (None, "call") and not _is_refusal(status, kind)
    return kind(
        status, function, server, detail=detail, step=step, ntstatus=ntstatus, maybe_done=maybe_done
    )


def _is_refusal(status: int, kind: type[NetApiError]) -> bool:
    """Whether a status can only mean that the function did not begin to do anything.

    All others leave it open: connections that broke, time-outs, calls that failed half-way.
    """
    return status in _NOT_BEGUN or (
        issubclass(kind, _REFUSALS) and not issubclass(kind, ConnectionLost)
    )


def _class_of(status: int, step: str | None) -> type[NetApiError]:
    kind = _CLASS.get(status, NetApiError)
    if step is None or step == "call":
        return kind
    if kind is ConnectionLost:
        return ServerUnreachable  # no request had been sent that could have been lost
    if step == "logon":
        return LogonFailed if status in _NO_LOGON or kind in _OF_A_CALL else kind
    # What the server says of a parameter or name is not about the caller's yet.
    return NetApiError if kind in _OF_A_CALL and kind is not NotSupported else kind


def symbol_of(status: int) -> str | None:
    """The symbol of a NET_API_STATUS, as ``"NERR_UserNotFound"``, or None if it has none."""
    from . import _statuses  # 400 names that only a failed call needs

    return _statuses.SYMBOLS.get(status)


#: How a step is called in the first sentence of an error; the call itself goes without saying.
_AT: dict[str | None, str] = {
    "connect": " to connect",
    "negotiate": " to agree on an SMB dialect",
    "logon": " to log on",
    "share": " to use IPC$",
    "pipe": " to open the srvsvc pipe",
    "bind": " to bind to srvsvc",
}

_CLASS: dict[int, type[NetApiError]] = {
    **dict.fromkeys((5, 65, 740, 1260, 1314), AccessDenied),
    # The account, and what was typed.
    **dict.fromkeys((86, *range(1324, 1332), 1315, 1317, 2202, 8636), LogonFailed),
    **dict.fromkeys((1239, 1240, 1371, 1380, 1384, 1385, 1395, 1399), LogonFailed),
    **dict.fromkeys((1793, 1807, 1808, 1809, 1907, 1909, 1935), LogonFailed),
    # Domains, controllers, trusts.
    **dict.fromkeys((568, 569, 581, 628, 1311, 1341, *range(1351, 1356)), LogonFailed),
    **dict.fromkeys((*range(1786, 1791), 1792, 1810, 1908), LogonFailed),
    # Ways to log on, Kerberos among them, and SSPI's numbers for it.
    **dict.fromkeys((608, 1008, 1265, 1312, 1313, 1347, 1348, 1349), LogonFailed),
    **dict.fromkeys((*range(1362, 1369), 1386, 1390, 1394, 1747, 1748, 1821, 1825), LogonFailed),
    **dict.fromkeys((1263, 1396, 1397, 1398, 1937), LogonFailed),
    **dict.fromkeys((0x80090305, 0x8009030E, 0x80090311, 0x80090317), LogonFailed),
    **dict.fromkeys(range(0x80090333, 0x80090362), LogonFailed),
    124: InvalidLevel,
    **dict.fromkeys((87, 123, 1210, 2351), InvalidParameter),
    **dict.fromkeys((2221, 2312), SessionNotFound),
    **dict.fromkeys((2, 3, 51, 52, 53, 55, 58, 66, 67, 70, 71, 384), ServerUnreachable),
    **dict.fromkeys(
        (1115, 1168, 1201, 1203, 1214, 1222, 1225, *range(1231, 1235)), ServerUnreachable
    ),
    **dict.fromkeys((1255, 1256, 1702, 1707, 1715, 1722, 2103, 2114), ServerUnreachable),
    **dict.fromkeys((38, 59, 64, 109, 232, 233, 240, 641, 995), ConnectionLost),
    **dict.fromkeys((1226, 1229, 1235, 1236, 1726, 1820), ConnectionLost),
    **dict.fromkeys((121, 1460), CallTimeout),
    **dict.fromkeys((1, 50, 120, 588, 1717, 1730, 1745, 1764, 2142, 2470), NotSupported),
}

_REFUSALS = (
    AccessDenied, InvalidLevel, InvalidParameter, NotSupported, ServerUnreachable, SessionNotFound
)  # fmt: skip
# Of those without a class: the pipe was busy, the caller had another connection, the server was
# too busy, the call failed and did not execute, no workstation service.
_NOT_BEGUN = frozenset((231, 1219, 1723, 1727, 2102, 2138))

#: Classes that speak of what the caller asked for. No server has looked at that before the call.
_OF_A_CALL = (InvalidLevel, InvalidParameter, SessionNotFound, NotSupported)

#: What says nothing by itself, but as the answer to a logon says that there is none: general
#: failure (also of an NTSTATUS that is not known here), internal errors, a broken token.
_NO_LOGON = (24, 31, 1305, 1306, 1346, 1358, 1359, 1383, 1784)

#: The C error of a ServerUnreachable, where it is another than ECONNREFUSED.
_ERRNO_NAMES = {
    **dict.fromkeys((2, 3, 1168), "ENOENT"),
    **dict.fromkeys((51, 53, 1203, 1214, 1232, 1256, 1702, 1707, 1722, 2103), "EHOSTUNREACH"),
    **dict.fromkeys((1222, 1231), "ENETUNREACH"),
    **dict.fromkeys((58, 384, 1233), "EPROTO"),
    **dict.fromkeys(
        (38, 59, 64, 109, 232, 233, 240, 641, 995, 1226, 1229, 1235, 1726, 1820), "ECONNRESET"
    ),
    1236: "ECONNABORTED",
}
