"""Several private smbd with the same accounts, each with its own srvsvc. Argument: how many."""

from __future__ import annotations

import dataclasses
import secrets
import sys
from contextlib import ExitStack
from pathlib import Path

from waiting import serve_until_told, where_is

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "samba"))

from smbd import Smbd


def main() -> None:
    password = secrets.token_hex(8)
    with ExitStack() as stack:
        where = []
        for _ in range(int(sys.argv[1])):
            smbd = Smbd()
            smbd.admin = dataclasses.replace(smbd.admin, password=password)
            where.append(where_is(stack.enter_context(smbd)))
        serve_until_told({"servers": where})


if __name__ == "__main__":
    main()
