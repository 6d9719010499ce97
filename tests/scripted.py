"""A server in memory whose sessions change between what it is asked: no SMB, but its own NDR.

It lists at level 1 and ends (client, user) pairs as Windows does: an empty or missing name means
any, and names are compared without regard to the case of ASCII letters. A real server is in
tests/samba.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

from fake_pipe import FakeClient, server_of
from netsession import Server, SessionInfo1

NERR_CLIENT_NAME_NOT_FOUND = 2312
ERROR_INVALID_LEVEL = 124
_LEVEL = 1

HOUR = 3600


def row(
    client: str | None, user: str | None, idle: int = 9 * HOUR, *, opens: int = 0, age: int = 86_400
) -> SessionInfo1:
    """A session; without more it is old, idle and has nothing open."""
    return SessionInfo1(client, user, opens, age, idle, 0)


class Scripted:
    """The server's sessions and what it was asked.

    ``on_list`` and ``on_delete`` are called before it answers, with the number of lists or deletes
    that it has answered so far; they may change ``rows`` or the other attributes, and raise what
    a pipe raises.
    """

    def __init__(self, *rows: SessionInfo1, filters: bool = True) -> None:
        self.rows = list(rows)
        self.filters = filters  #: whether it applies a client's filter (Windows) or not (Samba)
        self.list_status = 0
        self.statuses: dict[str, int] = {}  #: by user: what a delete is answered with
        self.on_list: Callable[[int], object] = lambda number: None
        self.on_delete: Callable[[int], object] = lambda number: None
        self.listed: list[str | None] = []  #: the client's filter of each list
        self.deleted: list[tuple[str | None, str | None]] = []  #: what each delete named

    def server(self, **options: Any) -> tuple[Server, FakeClient]:
        """A Server that asks it, and its client."""
        server, client = server_of(self.answer, **options)
        server._granted = _LEVEL
        # Nobody is called so: nothing is asked of a resolver.
        server._resolve = lambda name, call: (frozenset(), None)  # type: ignore[method-assign]
        return server, client

    def answer(self, opnum: int, stub: bytes) -> bytes:
        """The reply to a request."""
        (_, client, user), rest = _strings(stub, 3)
        if opnum == 13:
            return self._delete(client, user)
        (level,) = struct.unpack_from("<I", stub, rest)
        if level != _LEVEL:
            return _listing([], ERROR_INVALID_LEVEL)
        self.on_list(len(self.listed))
        self.listed.append(client)
        rows = self.rows
        if client is not None and self.filters:
            rows = [each for each in rows if _is_client(client, each)]
        if self.list_status:
            return _listing([], self.list_status)
        return _listing(rows, 0)

    def _delete(self, client: str | None, user: str | None) -> bytes:
        self.on_delete(len(self.deleted))
        self.deleted.append((client, user))
        status = self.statuses.get(user or "", 0)
        ended = [each for each in self.rows if _is_meant(client, user, each)]
        if not status:
            self.rows = [each for each in self.rows if not _is_meant(client, user, each)]
            status = 0 if ended else NERR_CLIENT_NAME_NOT_FOUND
        return struct.pack("<I", status)


def _is_client(client: str, each: SessionInfo1) -> bool:
    return (each.client_name or "").lstrip("\\").lower() == client.lstrip("\\").lower()


def _is_meant(client: str | None, user: str | None, each: SessionInfo1) -> bool:
    return (not client or _is_client(client, each)) and (
        not user or (each.user_name or "").lower() == user.lower()
    )


def _strings(stub: bytes, count: int) -> tuple[list[str | None], int]:
    """Unique pointers to strings, and where the rest begins."""
    found: list[str | None] = []
    at = 0
    for _ in range(count):
        (referent,) = struct.unpack_from("<I", stub, at)
        at += 4
        if not referent:
            found.append(None)
            continue
        (units,) = struct.unpack_from("<I", stub, at + 8)
        text = stub[at + 12 : at + 12 + 2 * units]
        found.append(text.decode("utf-16-le", "surrogatepass").rstrip("\0"))
        at += 12 + 2 * units + -2 * units % 4
    return found, at


def _string(text: str) -> bytes:
    units = (text + "\0").encode("utf-16-le", "surrogatepass")
    count = len(units) // 2
    return struct.pack("<III", count, 0, count) + units + bytes(-len(units) % 4)


def _listing(rows: Iterable[SessionInfo1], status: int) -> bytes:
    """NetrSessionEnum's reply at level 1 ([MS-SRVS] 3.1.4.5)."""
    rows = list(rows)
    fixed, strings = b"", b""
    for client, user, *numbers in rows:
        referents = [0 if name is None else 0x20010 for name in (client, user)]
        fixed += struct.pack("<IIIIII", *referents, *numbers)
        strings += b"".join(_string(name) for name in (client, user) if name is not None)
    head = struct.pack("<IIIIII", _LEVEL, _LEVEL, 0x20000, len(rows), 0x20004, len(rows))
    return head + fixed + strings + struct.pack("<III", len(rows), 0, status)
