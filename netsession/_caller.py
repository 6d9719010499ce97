"""Who the caller is, as the server lists its own session: for ``where(exclude_self=True)``.

There is no session id in MS-SRVS, so it is a user and a client. Where either is not known, nothing
is left out (docs/selecting.md).
"""

from __future__ import annotations

import sys
from contextlib import suppress

from ._names import ClientPattern, UserPattern, split_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ._native import NativeCall
    from ._netsession import SessionPage
    from ._where import Matcher
    from .server import Server
    from .srvsvc import Call

__all__ = [
    "WithoutCaller",
    "caller_of",
    "clients_named",
    "names_of_this_machine",
    "names_towards",
]


class WithoutCaller:
    """What is left of the pages of one listing without the caller's own session.

    The caller is found out when the first page has come: over SMB the connection tells it.
    """

    def __init__(self, matcher: Matcher, server: Server, call: NativeCall | Call) -> None:
        self._matcher = matcher
        self._server = server
        self._call = call
        self._without: Matcher | None = None

    def __call__(self, page: SessionPage) -> SessionPage:
        if self._without is None:
            self._without = self._matcher.without(*caller_of(self._server, self._call))
        return self._without.filter(page)


def caller_of(
    server: Server, call: NativeCall | Call
) -> tuple[list[ClientPattern], list[UserPattern]]:
    """The clients and users that the caller's session may be listed with; empty if not known."""
    client = server._client
    if client is not None:
        address = getattr(call, "own_address", None)
        return clients_named([address] if address else []), _users(client.username or _logged_on())
    if sys.platform != "win32":
        return [], []  # the simulator: nobody is listed who asks it
    return clients_named(names_towards(server, call)), _users(_logged_on())


def clients_named(names: Iterable[str]) -> list[ClientPattern]:
    """Patterns of those that can be a client's name."""
    patterns = []
    for name in names:
        with suppress(ValueError):
            patterns.append(ClientPattern(name))
    return patterns


def _users(name: str | None) -> list[UserPattern]:
    # Without the domain, which servers spell in many ways: from here it can be nobody else.
    with suppress(ValueError):  # for an account that has no name
        return [] if name is None else [UserPattern(split_user(name)[1])]
    return []


def _logged_on() -> str | None:
    """Whose logon or Kerberos ticket is used where no user was named; None if that is not known."""
    if sys.platform == "win32":
        import os

        with suppress(OSError):
            return os.getlogin()  # GetUserNameW
        return None
    try:
        import gssapi  # type: ignore[import-not-found,import-untyped,unused-ignore]

        return str(gssapi.Credentials(usage="initiate").name)
    except Exception:  # not installed, no ticket, whatever a Kerberos library says
        return None


def names_towards(server: Server, call: NativeCall | Call) -> set[str]:
    """This machine's names, and its addresses on the way to the server."""
    import socket

    return names_of_this_machine(
        (socket.AF_INET6 if ":" in address else socket.AF_INET, (address, 445))
        for address in server._resolve(server.name or "localhost", call)[0]
    )


def names_of_this_machine(ways: Iterable[tuple[int, Any]] = ()) -> set[str]:
    """What servers may list this machine by: its names, and its addresses on these ways.

    A way is a family and an address as sockets take it.
    """
    import socket

    host = socket.gethostname()
    names = {host, host.partition(".")[0]} - {""}
    # The address that a packet would have there; connecting UDP sends none.
    for family, address in ways:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as ours:
            ours.connect(address)
            names.add(str(ours.getsockname()[0]).partition("%")[0])
    return names
