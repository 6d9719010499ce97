"""Sessions that stay: smbclient in the client machine, its standard input an open pipe."""

from __future__ import annotations

import contextlib
import json
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Self

from lab import Account, Lab
from network import PATIENCE, Machine, environment

READY = "it-is-connected"


class Seen(NamedTuple):
    """A session as the server's own smbstatus sees it, without any RPC."""

    user: str
    client: str


class Kept:
    """A context manager: all that it opened end with it, or with the tests."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.communicate(timeout=PATIENCE)

    def open(self, lab: Lab, server: Machine, *accounts: Account, ipv6: bool = False) -> None:
        """One session of each account on a server, each on a connection of its own."""
        address = server.address6 if ipv6 else server.address
        new = [self._start(lab, server, address, account) for account in accounts]
        for process in new:
            _wait_until_connected(process)

    def _start(
        self, lab: Lab, server: Machine, address: str, account: Account
    ) -> subprocess.Popen[str]:
        command = ["smbclient", f"//{server.dns_name}/data", "-I", address]
        process = subprocess.Popen(
            lab.client.command(*command, "-A", str(lab.secret(account))),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(),
            text=True,
        )
        self._processes.append(process)
        assert process.stdin is not None
        # smbclient runs this when it is connected; its own output would stay in its buffer.
        process.stdin.write(f"!echo {READY}\n")
        process.stdin.flush()
        return process


def _wait_until_connected(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(PATIENCE), "smbclient says nothing"
    line = process.stdout.readline()
    assert line == READY + "\n", f"smbclient: {line}{process.stdout.read()}"


def seen(server: Machine) -> list[Seen]:
    """All sessions of a server, sorted: the witness that nothing of ours has a part in."""
    status = json.loads(server.must_run("smbstatus", "--json"))
    return sorted(
        Seen(each["username"], each["remote_machine"]) for each in status["sessions"].values()
    )


def wait_until_seen(server: Machine, *expected: Seen) -> None:
    """Until the server has these sessions and no other, twice in a row.

    A session that is over, one that netsession has just asked with or one that was ended, is
    forgotten when its process has ended, which nobody waits for.
    """
    deadline = time.monotonic() + PATIENCE
    in_a_row = 0
    while in_a_row < 2:
        found = seen(server)
        in_a_row = in_a_row + 1 if found == sorted(expected) else 0
        assert in_a_row or time.monotonic() < deadline, (found, expected)
        time.sleep(0.02)


@contextlib.contextmanager
def frozen(server: Machine, user: str) -> Iterator[Callable[[], None]]:
    """Freezes the server's process of a user's connection until the end, or until it is called."""
    status = json.loads(server.must_run("smbstatus", "--json"))
    (process,) = (
        each["server_id"]["pid"] for each in status["sessions"].values() if each["username"] == user
    )

    def thaw() -> None:
        # May have ended meanwhile, as it should.
        server.run("sh", "-c", 'kill -CONT "$0"', process)

    server.must_run("sh", "-c", 'kill -STOP "$0"', process)
    try:
        yield thaw
    finally:
        thaw()
