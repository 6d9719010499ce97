"""Which listed sessions may be the caller's own: from this machine, and of no other user."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress

from ._names import ClientPattern, UserPattern, split_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .records import SessionInfo
    from .server import Server


class OwnSession:
    """Called with a record it says whether that may be the caller's own session (bool).

    Where nobody is named to log on as, the ticket may be anyone's except on Windows: the machine
    decides.
    """

    def __init__(self, server: Server) -> None:
        client = server._client
        self._machine = [
            ClientPattern(name) for name in this_machine(None if client is None else server.name)
        ]
        self._user = caller(None if client is None else client._username)

    def __call__(self, record: SessionInfo) -> bool:
        if record.client_name is None:
            return True
        return any(name.fit(record.client_name) for name in self._machine) and (
            self._user is None or record.user_name is None or bool(self._user.fit(record.user_name))
        )


def caller(username: str | None) -> UserPattern | None:
    """The user that the server knows the caller by, without domain or realm, if that is known."""
    if username is not None:
        with suppress(ValueError):  # no user can be called so, as for CORP\\ without one
            return UserPattern(split_user(username)[1])
        return None
    if sys.platform != "win32":
        return None
    from getpass import getuser

    return UserPattern(getuser())


def this_machine(host: str | None) -> frozenset[str]:
    """The names and addresses that a server may know this machine by; host None: any name only."""
    own = socket.gethostname()
    names = {own, own.partition(".")[0]} - {""}
    if host is None:
        return frozenset(names)
    # The address that a packet to the server would have; connecting UDP sends none.
    with suppress(OSError, UnicodeError):
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, 445, type=socket.SOCK_DGRAM
        ):
            with suppress(OSError), socket.socket(family, kind, protocol) as ours:
                ours.connect(address)
                names.add(str(ours.getsockname()[0]).partition("%")[0])
    return frozenset(names)
