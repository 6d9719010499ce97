"""Opens SMB sessions, many and cheaply: all on one TCP connection (3 ms each)."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from smbprotocol.connection import Connection
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect
from spnego import NTLMHash

from smbd import Smbd, User

# A hang guard, generous.
CONNECT_SECONDS: Final = 60
# More do not help: client and server share the machine, and Python's lock.
THREADS: Final = 3
_hashes: Final[dict[User, str]] = {}  # which a program of Samba's tells


def connect(smbd: Smbd) -> Connection:
    """One TCP connection to an smbd, negotiated."""
    connection = Connection(uuid.uuid4(), smbd.host, smbd.port)
    connection.connect(timeout=CONNECT_SECONDS)
    return connection


def set_up(
    connection: Connection, user: User, nt_hash: str | None = None, *, encrypt: bool = False
) -> Session:
    """One more session on a connection, whoever else has one there.

    With the hash in place of the password half of the client's work falls away.
    """
    session = Session(
        connection,
        username=NTLMHash(user.name, nt_hash=nt_hash) if nt_hash else user.name,
        password=None if nt_hash else user.password,
        require_encryption=encrypt,
        auth_protocol="ntlm",
    )
    session.connect()
    if len(connection.session_table) == 1:
        # smbd drops who has no share connected after a minute, which a busy machine can take
        # (deadtime_fn() in its smb2_process.c).
        TreeConnect(session, rf"\\{connection.server_name}\IPC$").connect()
    return session


@contextlib.contextmanager
def open_sessions(
    smbd: Smbd, users: Sequence[User], *, encrypt: bool = False
) -> Iterator[Connection]:
    """A session for each user given, all on one connection, until the end of the block.

    The connection is then dropped without logging off, which is quicker and just as final.
    """
    if not _hashes.keys() >= set(users):
        told = smbd.nt_hashes()
        _hashes.update({user: told[user.name] for user in users})
    connection = connect(smbd)

    def add(user: User) -> None:
        set_up(connection, user, _hashes[user], encrypt=encrypt)

    try:
        # The first alone: it brings the credits that the others spend at the same time.
        for user in users[:1]:
            add(user)
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(add, users[1:]):
                pass
        yield connection
    finally:
        # A test may have killed the server meanwhile.
        with contextlib.suppress(Exception):
            connection.disconnect(close=False)
