"""Which listed sessions may be the caller's own, so that conditions never end it.

Where it is not known who the caller is, that may be anybody on this machine;
``where(exclude_self=True)``, which only shows less, leaves nobody out then.
"""

from __future__ import annotations

from ._caller import caller_of, clients_named, names_of_this_machine, names_towards

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._native import NativeCall
    from .records import SessionInfo
    from .server import Server
    from .srvsvc import Call

__all__ = ["OwnSession"]


class OwnSession:
    """Called with a record it says whether that may be the caller's own session (bool).

    ``call`` is the one that has listed, whose connection knows this machine's address; where it
    has not, the server's name is looked up, once and within its time.
    """

    def __init__(self, server: Server, call: NativeCall | Call) -> None:
        self._clients, self._users = caller_of(server, call)
        if server._client is None:
            return
        # Some servers list names; and a plan from an earlier list has no connection.
        names = names_of_this_machine() if self._clients else names_towards(server, call)
        self._clients += clients_named(names)

    def __call__(self, record: SessionInfo) -> bool:
        return any(client.fit(record.client_name) for client in self._clients) and (
            not self._users or any(user.fit(record.user_name) for user in self._users)
        )
