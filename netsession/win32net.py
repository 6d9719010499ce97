"""pywin32's three session functions, so that a program changes one import.

    from netsession import win32net

Argument order, keys, return types and the shape of errors are pywin32's; keywords work too.
The deliberate differences:

===================================  ==================  ================================
what                                 pywin32             here
===================================  ==================  ================================
DWORDs of 2**31 and more             negative            positive, as they were sent
the text of an error                 Windows' message    the symbol and what to do
a server that says "more" for ever   loops for ever      error 234
NetSessionDel that names neither,    sent to the server  error 87, nothing is sent
or whose client or username is
empty (once slashes, brackets,
wildcards, dots and blanks are gone) or
above 1,023 UTF-16 units
keyword arguments                    refused             server, client, username, level
a NUL character in a name            the name is cut     ValueError
elsewhere than on Windows            does not exist      asks over SMB
===================================  ==================  ================================

Nothing else is done to names or results: client names need their two backslashes, as Windows
wants them, and filters are the server's. Programs that are written anew use
:class:`netsession.Server`.
"""

from __future__ import annotations

from itertools import chain

from . import _netsession
from ._netsession import same_tables
from .errors import InvalidLevel, NetApiError, error_from_status
from .records import bare_client
from .server import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, overload

    from ._dicts import SessionDict0, SessionDict1, SessionDict2, SessionDict10, SessionDict502
    from ._native import NativeCall
    from .srvsvc import Call

__all__ = [
    "NetSessionDel",
    "NetSessionEnum",
    "NetSessionGetInfo",
    "SessionDict0",
    "SessionDict1",
    "SessionDict2",
    "SessionDict10",
    "SessionDict502",
    "error",
]

_LEVELS = (0, 1, 2, 10, 502)
_EVERYTHING = 0xFFFFFFFF  # MAX_PREFERRED_LENGTH, as pywin32 asks
_ERROR_INVALID_PARAMETER = 87
_ERROR_INVALID_NAME = 123
_NERR_CLIENT_NAME_NOT_FOUND = 2312


class error(Exception):  # noqa: N801 - pywin32's name
    """A function failed: ``args`` is (status, function, text), as pywin32's ``error`` has it.

    Attributes ``winerror`` (int), ``funcname`` (str) and ``strerror`` (str) are the same three.
    ``maybe_done`` (bool) is ours: as with :class:`netsession.NetApiError`.
    """

    args: tuple[int, str, str]
    winerror: int
    funcname: str
    strerror: str
    maybe_done: bool = False

    def __init__(self, winerror: int, funcname: str, strerror: str) -> None:
        super().__init__(winerror, funcname, strerror)
        self.winerror = winerror
        self.funcname = funcname
        self.strerror = strerror


#: What advice names that only netsession.Server has.
_ELSEWHERE = ("timeout=", "port=", "encrypt=", "username= and", "page_bytes")


def _advice(cause: NetApiError) -> str | None:
    """What to do, in the words of these functions."""
    if cause.advice is None:
        return None
    told = cause.advice.replace(
        "Use level=None to get the richest level that the server grants", "Ask for another level"
    ).replace(" user=", " username=")
    if any(argument in told for argument in _ELSEWHERE):
        told += " (arguments of netsession.Server)"
    return told


def _error(cause: NetApiError, function: str) -> error:
    parts = (cause.symbol, cause.detail, cause.doubt, _advice(cause))
    told = error(cause.status, function, ". ".join(part for part in parts if part))
    told.maybe_done = cause.maybe_done
    return told


def _check_level(level: int, function: str) -> None:
    if not isinstance(level, int):
        raise TypeError(f"level must be an int, not {type(level).__name__}")
    if level not in _LEVELS:
        raise ValueError(f"Invalid level for {function}")


def _server(name: str | None) -> Server:
    return Server(name)


def _asked(name: str | None, function: str) -> Server:
    """The server of that name; one that cannot be a name is the server's error, as in pywin32."""
    try:
        return _server(name)
    except ValueError as cause:
        if not name:
            raise  # not the name is wrong: there is no local machine to ask
        raise error(_ERROR_INVALID_NAME, function, f"ERROR_INVALID_NAME. {cause}") from cause


if TYPE_CHECKING:

    @overload
    def NetSessionEnum(
        level: Literal[0],
        server: str | None = None,
        client: str | None = None,
        username: str | None = None,
    ) -> list[SessionDict0]: ...
    @overload
    def NetSessionEnum(
        level: Literal[1],
        server: str | None = None,
        client: str | None = None,
        username: str | None = None,
    ) -> list[SessionDict1]: ...
    @overload
    def NetSessionEnum(
        level: Literal[2],
        server: str | None = None,
        client: str | None = None,
        username: str | None = None,
    ) -> list[SessionDict2]: ...
    @overload
    def NetSessionEnum(
        level: Literal[10],
        server: str | None = None,
        client: str | None = None,
        username: str | None = None,
    ) -> list[SessionDict10]: ...
    @overload
    def NetSessionEnum(
        level: Literal[502],
        server: str | None = None,
        client: str | None = None,
        username: str | None = None,
    ) -> list[SessionDict502]: ...
    @overload
    def NetSessionEnum(
        level: int,
        server: str | None = None,
        client: str | None = None,
        username: str | None = None,
    ) -> list[Any]: ...


def NetSessionEnum(  # noqa: N802
    level: int,
    server: str | None = None,
    client: str | None = None,
    username: str | None = None,
) -> list[Any]:
    """The sessions of a server as dicts.

    Args:
        level: 0, 1, 2, 10 or 502 (int).
        server: name (str), None for the local machine.
        client: computer name with its two backslashes (str), None for any.
        username: user name (str), None for any.

    Returns a list of dicts with the keys of the level out of client_name, user_name, num_opens,
    active_time and idle_time (seconds), user_flags, client_type, transport: SessionDict0 to
    SessionDict502, for annotations. Raises :class:`error`, and ValueError for another level.
    Source: NetSessionEnum.
    """
    _check_level(level, "NetSessionEnum")
    sessions: list[dict[str, Any]] = []
    with _asked(server, "NetSessionEnum") as asked:
        call = asked._begin("NetSessionEnum")
        cursor = _netsession.SessionCursor(
            call.backend, server, client, username, level, _EVERYTHING
        )
        try:
            for page in cursor:
                sessions += page.as_dicts()
                del page  # not kept while the next one comes
                call.renew()
        except NetApiError as cause:
            raise _error(cause, "NetSessionEnum") from cause
    return sessions


if TYPE_CHECKING:

    @overload
    def NetSessionGetInfo(
        level: Literal[0], server: str | None, client: str, username: str
    ) -> SessionDict0: ...
    @overload
    def NetSessionGetInfo(
        level: Literal[1], server: str | None, client: str, username: str
    ) -> SessionDict1: ...
    @overload
    def NetSessionGetInfo(
        level: Literal[2], server: str | None, client: str, username: str
    ) -> SessionDict2: ...
    @overload
    def NetSessionGetInfo(
        level: Literal[10], server: str | None, client: str, username: str
    ) -> SessionDict10: ...
    @overload
    def NetSessionGetInfo(
        level: Literal[502], server: str | None, client: str, username: str
    ) -> SessionDict502: ...
    @overload
    def NetSessionGetInfo(level: int, server: str | None, client: str, username: str) -> Any: ...


def NetSessionGetInfo(  # noqa: N802
    level: int, server: str | None, client: str, username: str
) -> Any:
    """One session of a user from a client as a dict.

    Args:
        level: 0, 1, 2, 10 or 502 (int); Windows documents the first four.
        server: name (str), None for the local machine.
        client: computer name with its two backslashes (str).
        username: user name (str).

    Dicts and errors are those of :func:`NetSessionEnum`. Source: NetSessionGetInfo; over SMB,
    NetrSessionEnum with both filters.
    """
    _check_level(level, "NetSessionGetInfo")
    for argument, value in (("client", client), ("username", username)):
        if not isinstance(value, str):
            raise TypeError(f"{argument} must be a str, not {type(value).__name__}")
    with _asked(server, "NetSessionGetInfo") as asked:
        try:
            call = asked._begin("NetSessionGetInfo")
            if asked._speaks_srvsvc:
                return _exact_row(call, level, server, client, username)
            page = _netsession.session_get_info(call.backend, server, client, username, level)
        except NetApiError as cause:
            raise _error(cause, "NetSessionGetInfo") from cause
        return page.as_dicts()[0]


def _exact_row(
    call: NativeCall | Call, level: int, server: str | None, client: str, username: str
) -> dict[str, Any]:
    """The session of exactly that client and user, which servers may not have filtered by."""
    refused: InvalidLevel | None = None
    for each in (10, 1) if level == 0 else (level,):  # level 0 would not tell whose it is
        cursor = _netsession.SessionCursor(
            call.backend, server, client, username, each, _EVERYTHING
        )
        try:
            for row in chain.from_iterable(map(_netsession.SessionPage.as_dicts, cursor)):
                names = bare_client(str(row["client_name"])), str(row["user_name"])
                if all(map(same_tables, names, (bare_client(client), username))):
                    return row if level == each else {"client_name": row["client_name"]}
        except InvalidLevel as error:
            refused = error
        else:
            break
    if refused is not None and level != 0:
        raise refused
    raise error_from_status(_NERR_CLIENT_NAME_NOT_FOUND, "NetSessionGetInfo", server)


def NetSessionDel(  # noqa: N802
    server: str | None = None, client: str | None = None, username: str | None = None
) -> None:
    """Ends the sessions from a client, of a user, or of a user from a client.

    Args:
        server: name (str), None for the local machine.
        client: computer name with its two backslashes (str), None for any.
        username: user name (str), None for any.

    Raises :class:`error`: with status 87, and nothing sent, where neither is named, or where one
    is given that a server may take for everybody's: ``""``, ``"\\\\"``, ``" "``, ``"*"``. Source:
    NetSessionDel.
    """
    with _asked(server, "NetSessionDel") as asked:
        try:
            call = asked._begin("NetSessionDel")
            _netsession.session_del(call.backend, server, client, username)
        except _netsession.UnsafeDeleteError as cause:
            text = f"ERROR_INVALID_PARAMETER. {cause}"
            raise error(_ERROR_INVALID_PARAMETER, "NetSessionDel", text) from cause
        except NetApiError as cause:
            raise _error(cause, "NetSessionDel") from cause


def __getattr__(name: str) -> object:
    if name in __all__:  # what is not here yet, since typing is slow to import: the dicts
        from . import _dicts

        return getattr(_dicts, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # which a shell completes
