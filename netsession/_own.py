"""Which listed sessions may be the caller's own: from this machine, and of no other user."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress

from . import _names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._native import NativeCall
    from .records import SessionInfo
    from .server import Server
    from .srvsvc import Call

__all__ = ["OwnSession", "caller", "this_machine"]


class OwnSession:
    """Called with a record it says whether that may be the caller's own session (bool).

    Where nobody is named to log on as, the ticket may be anyone's except on Windows: the machine
    decides. The server's name is looked up once, within the time of ``call``.
    """

    def __init__(self, server: Server, call: NativeCall | Call) -> None:
        client = server._client
        addresses: Iterable[str] = ()
        if client is not None and server.name is not None:
            known = _names.address_key(server.name) is not None
            addresses = [server.name] if known else server._resolve(server.name, call)[0]
        self._machine = [_names.ClientPattern(name) for name in this_machine(addresses)]
        self._user = caller(None if client is None else client._username)

    def __call__(self, record: SessionInfo) -> bool:
        if record.client_name is None:
            return True
        return any(name.fit(record.client_name) for name in self._machine) and (
            self._user is None or record.user_name is None or bool(self._user.fit(record.user_name))
        )


def caller(username: str | None) -> _names.UserPattern | None:
    r"""The user that the server knows the caller by, without domain or realm, if that is known."""
    if username is not None:
        with suppress(ValueError):  # no user can be called so, as for CORP\ without one
            return _names.UserPattern(_names.split_user(username)[1])
        return None
    if sys.platform != "win32":
        return None
    from getpass import getuser

    return _names.UserPattern(getuser())


def this_machine(addresses: Iterable[str]) -> frozenset[str]:
    """The names and addresses that a server at these addresses may know this machine by."""
    own = socket.gethostname()
    names = {own, own.partition(".")[0]} - {""}
    for address in addresses:
        # The address that a packet to the server would have; connecting UDP sends none.
        with suppress(OSError, UnicodeError):
            for family, kind, protocol, _, place in socket.getaddrinfo(
                address, 445, type=socket.SOCK_DGRAM
            ):
                with suppress(OSError), socket.socket(family, kind, protocol) as ours:
                    ours.connect(place)
                    names.add(str(ours.getsockname()[0]).partition("%")[0])
    return frozenset(names)
