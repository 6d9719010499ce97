"""Asking servers through netsession.Server, and comparing what it says with what was served."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ndr_reference import FIELDS, Row
from netsession import (
    Server,
    SessionInfo0,
    SessionInfo1,
    SessionInfo2,
    SessionInfo10,
    SessionInfo502,
)
from smbd import Smbd, User

CLASSES: Final[dict[int, type]] = {
    0: SessionInfo0,
    1: SessionInfo1,
    2: SessionInfo2,
    10: SessionInfo10,
    502: SessionInfo502,
}


def server_of(smbd: Smbd, user: User | None = None, **options: Any) -> Server:
    """A Server for an smbd, with the credentials of its administrator unless told otherwise."""
    user = user or smbd.admin
    options = {"port": smbd.port, **options}
    name = options.pop("name", smbd.host)
    return Server(name, username=user.name, password=user.password, **options)


def records_of(level: int, rows: Iterable[Row]) -> list[Any]:
    """The records that rows served at a level must arrive as.

    Records are NamedTuples: two of them are equal exactly if all their fields are.
    """
    names = [name for name, _ in FIELDS[level]]
    return [CLASSES[level](*(row[name] for name in names)) for row in rows]
