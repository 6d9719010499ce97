"""A private smbd that holds so many sessions; its own srvsvc answers. Argument: how many."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from smbprotocol.tree import TreeConnect
from waiting import serve_until_told, where_is

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "samba"))

from sessions import open_sessions
from smbd import Smbd

# smbd closes connections without a share after a minute: each must be through with its sessions
# by then.
ON_ONE_CONNECTION = 1_000


def _keep(connection: Any, smbd: Smbd) -> None:
    """A share, IPC$, so that smbd keeps the connection."""
    session = next(iter(connection.session_table.values()))
    TreeConnect(session, f"\\\\{smbd.host}\\IPC$").connect()


def main() -> None:
    count = int(sys.argv[1])
    with Smbd() as smbd, ExitStack() as connections:
        users = [smbd.users[number % len(smbd.users)] for number in range(count)]
        for first in range(0, count, ON_ONE_CONNECTION):
            some = users[first : first + ON_ONE_CONNECTION]
            _keep(connections.enter_context(open_sessions(smbd, some)), smbd)
        serve_until_told(where_is(smbd))


if __name__ == "__main__":
    main()
