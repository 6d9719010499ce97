"""Scans over SMB, with a server that knows a password: how often a wrong one is tried."""

from __future__ import annotations

import itertools
import struct
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

import netsession
from fleet_peers import AGES, SilentServer, until
from netsession import scan

pytest.importorskip("smbprotocol")
from smb_server import PASSWORD, USER, SmbServer

EMPTY = struct.pack("<9I", 10, 10, 1, 0, 0, 0, 1, 0, 0)  # a list of nothing, at level 10


def test_a_server_object_is_left_open() -> None:
    with SmbServer(stub=EMPTY) as peer:
        user, password = USER, PASSWORD
        with netsession.Server("127.0.0.1", port=peer.port, username=user, password=password) as s:
            for _ in range(3):
                (report,) = scan([s], level=10)
                assert report.error is None
            assert s._connections == 1
        assert peer.errors == []


def wrong(count: int) -> int:
    """How many SESSION_SETUPs so many wrong logons are: negotiate and authenticate."""
    return 2 * count


def test_over_smb_32_workers_try_a_wrong_password_three_times() -> None:
    with SmbServer() as peer:
        names = [f"127.0.0.1:{peer.port}"] * 100
        query = scan(names, username=USER, password="hunter2", workers=32, timeout=AGES)
        kinds = Counter(type(report.error).__name__ for report in query)
        assert kinds == {"LogonFailed": 3, "NotAsked": 97}
        assert peer.commands.count(1) == wrong(3)
    assert USER in (query.stopped or "")
    assert "hunter2" not in repr([query, query.failures, query.stopped])


def test_dead_hosts_do_not_hold_up_the_first_logons() -> None:
    """It is the logon that waits for its turn, not the connection before it."""
    with SmbServer(stub=EMPTY) as peer, SilentServer() as silent:

        def names() -> Iterator[str]:
            yield from [silent.name] * 20
            silent.wait_until_asked(20)
            yield from [f"127.0.0.1:{peer.port}"] * 5

        reports = scan(
            names(), username=USER, password=PASSWORD, timeout=AGES, workers=30, level=10
        )
        first = list(itertools.islice(reports, 5))
        assert [report.error for report in first] == [None] * 5


def test_a_server_that_falls_silent_in_the_logon_holds_others_up_for_a_while_only() -> None:
    held = threading.Event()

    def tamper(command: int, reply: bytes) -> bytes | list[bytes]:
        return [] if command == 1 else reply  # no answer to a SESSION_SETUP

    with SmbServer(tamper=tamper) as mute, SmbServer(stub=EMPTY) as peer:

        def names() -> Iterator[str]:
            yield from [f"127.0.0.1:{mute.port}"] * 3
            until(lambda: mute.commands.count(1) == 3)
            held.set()
            yield from [f"127.0.0.1:{peer.port}"] * 3

        query = scan(names(), username=USER, password=PASSWORD, timeout=12, workers=8, level=10)
        reports = list(itertools.islice(query, 3))
        assert held.is_set()
        assert [report.error for report in reports] == [None] * 3


def test_credentials_are_counted_each_for_itself() -> None:
    with SmbServer(stub=EMPTY) as peer:

        def server(password: str) -> netsession.Server:
            return netsession.Server("127.0.0.1", port=peer.port, username=USER, password=password)

        bad, good = [server("wrong") for _ in range(10)], [server(PASSWORD) for _ in range(10)]
        mixed = list(itertools.chain.from_iterable(zip(bad, good, strict=True)))
        kinds = Counter(type(r.error).__name__ for r in scan(mixed, level=10, timeout=AGES))
        for each in mixed:
            each.close()
        assert kinds == {"LogonFailed": 3, "NotAsked": 7, "NoneType": 10}
