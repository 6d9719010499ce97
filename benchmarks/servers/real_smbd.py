"""A private smbd that holds so many sessions; its own srvsvc answers. Argument: how many."""

from __future__ import annotations

import sys
from pathlib import Path

from waiting import serve_until_told, where_is

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "samba"))

from sessions import open_sessions
from smbd import Smbd


def main() -> None:
    count = int(sys.argv[1])
    with Smbd() as smbd:
        users = [smbd.users[number % len(smbd.users)] for number in range(count)]
        with open_sessions(smbd, users):
            serve_until_told(where_is(smbd))


if __name__ == "__main__":
    main()
