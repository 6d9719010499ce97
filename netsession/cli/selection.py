"""``--level``, and what is checked of a selection before anybody is asked."""

from __future__ import annotations

from netsession.server import Server

from .connect import Connection
from .parser import one_of
from .wording import usage_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import _ArgumentGroup

    from netsession import Where

_LEVELS = ("0", "1", "2", "10", "502")


def add_level(group: _ArgumentGroup) -> None:
    """Adds ``--level`` to a group."""
    action = group.add_argument(
        "--level",
        metavar="N",
        type=one_of(*_LEVELS),
        help="information level: 0, 1, 2, 10 or 502 (default: the richest granted)",
    )
    action.completer = lambda **_: _LEVELS  # type: ignore[attr-defined]


def level_of(text: str | None) -> int | None:
    """The level as the library takes it."""
    return None if text is None else int(text)


def check(
    connection: Connection,
    *,
    client: str | None,
    user: str | None,
    where: Where | None = None,
    level: int | None = None,
    client_is: str = "--client",
    user_is: str = "--user",
) -> None:
    """Refuses what no server can be asked for, before a password is asked for."""
    with usage_errors(client=client_is, user=user_is):
        if connection.demo is not None:
            from netsession.testing import simulated_server

            server: Server = simulated_server(0)
        else:
            server = Server(
                connection.server,
                username=connection.auth_user,
                port=connection.port,
                encrypt=connection.encrypt,
                timeout=connection.timeout,
            )
        with server:
            server.sessions(level=level, client=client, user=user, where=where)
