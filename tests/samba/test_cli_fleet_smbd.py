"""``netsession list`` against several real smbd, of which one refuses and one is not there."""

from __future__ import annotations

import csv
import io
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ask import server_of
from cli_process import HANG_GUARD, Result, command, environment, run
from netsession import AccessDenied
from smbd import Smbd

pytest.importorskip("rich")

PASSWORD = "one for 3 of them"
#: The users that are connected to each.
CONNECTED = [0, 1, 3]


class Fleet:
    """Three smbd with one administrator's password, one with another, and a closed port."""

    def __init__(self, good: list[Smbd], refusing: Smbd, closed: socket.socket) -> None:
        self.good = [f"{smbd.host}:{smbd.port}" for smbd in good]
        self.smbds = good
        self.refusing = f"{refusing.host}:{refusing.port}"
        self.admin = refusing.admin.name
        self.closed = f"127.0.0.1:{closed.getsockname()[1]}"
        self.all = [self.closed, *self.good, self.refusing]

    def list(self, *arguments: str, stdin: str = "", setup: str | None = None) -> Result:
        return run(
            "list", *arguments, "--auth-user", self.admin, "--timeout", "60",
            env={"NETSESSION_PASSWORD": PASSWORD}, stdin=stdin, setup=setup,
        )  # fmt: skip


@pytest.fixture(scope="module")
def fleet(samba_tools: None) -> Iterator[Fleet]:
    with ExitStack() as stack:
        good = []
        for count in CONNECTED:
            smbd = Smbd()
            smbd.admin = replace(smbd.admin, password=PASSWORD)
            good.append(stack.enter_context(smbd))
            for user in smbd.others[:count]:
                server = stack.enter_context(server_of(smbd, user))
                with suppress(AccessDenied):  # connected all the same
                    list(server.sessions(level=0))
        closed = stack.enter_context(socket.socket())
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        yield Fleet(good, stack.enter_context(Smbd()), closed)


def settled(fleet: Fleet) -> None:
    """Earlier commands' sessions are gone: smbd takes its time."""
    for smbd, count in zip(fleet.smbds, CONNECTED, strict=True):
        smbd.wait_for_connections(count)


def test_who_is_listed_and_who_is_not(fleet: Fleet, tmp_path: Path) -> None:
    settled(fleet)
    errors = tmp_path / "errors.jsonl"
    result = fleet.list(*fleet.all, "--errors", str(errors), "--format", "json")
    assert result.code == 4
    rows = json.loads(result.out)
    listed = {name: [row for row in rows if row["server"] == name] for name in fleet.good}
    assert sum(map(len, listed.values())) == len(rows)
    for name, smbd, count in zip(fleet.good, fleet.smbds, CONNECTED, strict=True):
        users = {user.name for user in smbd.others[:count]} | {fleet.admin}
        # The scan's own session is one more.
        assert {row["user_name"] for row in listed[name]} == users
        assert len({row["collected_at"] for row in listed[name]}) == 1
    # Samba grants level 1 at most.
    assert {(row["level"], row["transport"], row["client_type"]) for row in rows} == {
        (1, None, None)
    }
    failed = [json.loads(line) for line in errors.read_text().splitlines()]
    assert [(row["server"], row["error"], row["step"]) for row in failed] == [
        (fleet.closed, "ServerUnreachable", "connect"),
        (fleet.refusing, "LogonFailed", "logon"),
    ]
    assert [(row["status"], row["symbol"]) for row in failed] == [
        (1225, "ERROR_CONNECTION_REFUSED"),
        (1326, "ERROR_LOGON_FAILURE"),
    ]
    assert result.err == (
        f"netsession: 5 servers: 3 listed ({len(rows)} sessions), 1 logon failed, 1 unreachable\n"
    )
    assert PASSWORD not in result.text + result.err + errors.read_text()


def test_formats_from_a_file(fleet: Fleet, tmp_path: Path) -> None:
    """As cron runs it: names from a file, output to a file, nothing of a terminal."""
    names = tmp_path / "servers.txt"
    names.write_bytes(b"\xef\xbb\xbf# all\r\n" + "\r\n".join(fleet.all * 2).encode())
    kinds = {"csv", "jsonl", "json", *(["parquet"] if _has_pyarrow() else [])}
    seen = {}
    for kind in kinds:
        settled(fleet)
        file = tmp_path / f"out.{kind}"
        result = fleet.list("--servers-from", str(names), "-o", str(file), "--quiet")
        assert result.code == 4
        assert result.out == b""
        assert "\x1b" not in result.err
        assert "listed (" not in result.err
        seen[kind] = _pairs(file, kind)
    assert len(seen["csv"]) == len(CONNECTED) + sum(CONNECTED)
    assert all(pairs == seen["csv"] for pairs in seen.values())


def _has_pyarrow() -> bool:
    try:
        import pyarrow.parquet  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


def _pairs(file: Path, kind: str) -> list[tuple[str, str]]:
    if kind == "parquet":
        import pyarrow.parquet

        rows = pyarrow.parquet.read_table(file).to_pylist()
    elif kind == "csv":
        rows = list(csv.DictReader(io.StringIO(file.read_text())))
    elif kind == "json":
        rows = json.loads(file.read_text())
    else:
        rows = [json.loads(line) for line in file.read_text().splitlines()]
    return sorted((row["server"], row["user_name"]) for row in rows)


def test_the_table_says_what_failed_and_what_to_do(fleet: Fleet) -> None:
    settled(fleet)
    result = fleet.list(*fleet.all)
    assert result.code == 4
    head, *rows = result.text.splitlines()
    assert head.split()[:4] == ["SERVER", "COLLECTED", "CLIENT", "USER"]
    assert {row.split()[0] for row in rows} == set(fleet.good)
    assert f"{fleet.refusing}  logon failed  logon    ERROR_LOGON_FAILURE" in result.err
    assert "unreachable   connect  ERROR_CONNECTION_REFUSED" in result.err


@pytest.mark.parametrize(("which", "code"), [("refusing", 1), ("closed", 3)])
def test_fail_fast_has_its_code(fleet: Fleet, which: str, code: int) -> None:
    result = fleet.list(getattr(fleet, which), fleet.good[0], "--fail-fast", "--jobs", "1")
    assert result.code == code
    assert result.out == b""


def test_port_is_for_names_without_one(fleet: Fleet) -> None:
    first, second = fleet.good[:2]
    host, _, port = second.partition(":")
    result = fleet.list("--servers-from", "-", "--port", port, "--format", "jsonl",
                        stdin=f"{first}\n{host}\n")  # fmt: skip
    assert result.code == 0
    assert {json.loads(line)["server"] for line in result.text.splitlines()} == {first, host}


#: A time-out that is that server's alone: the others may take what a busy machine needs.
_LATE = """
from netsession import _question
made = _question.Asking.server

def server_of(asking, name, backend=None):
    return made(asking._replace(timeout=2) if name == {name!r} else asking, name, backend)

_question.Asking.server = server_of
server = None
"""


def test_a_frozen_server_is_told_as_too_late(fleet: Fleet) -> None:
    frozen, name = fleet.smbds[0], fleet.good[0]
    frozen.stop()
    try:
        result = fleet.list(name, fleet.good[1], "--format", "jsonl", setup=_LATE.format(name=name))
    finally:
        frozen.cont()
    assert result.code == 4
    assert {json.loads(line)["server"] for line in result.text.splitlines()} == {fleet.good[1]}
    assert "1 timed out" in result.err.splitlines()[-1]


@pytest.mark.parametrize("how", ["Ctrl-C", "the reader goes"])
def test_leaving_while_a_server_is_waited_for(fleet: Fleet, how: str) -> None:
    """Its time would be an hour. What others answered is there already."""
    frozen, name = fleet.smbds[0], fleet.good[0]
    arguments = ("list", name, fleet.good[1], "--format", "jsonl", "--auth-user", fleet.admin)
    frozen.stop()
    try:
        with subprocess.Popen(
            [sys.executable, *command(*arguments, "--timeout", "3600", setup="server = None")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(NETSESSION_PASSWORD=PASSWORD),
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stderr is not None
                assert json.loads(process.stdout.readline())["server"] == fleet.good[1]
                if how == "Ctrl-C":
                    process.send_signal(signal.SIGINT)
                else:
                    process.stdout.close()
                code = process.wait(HANG_GUARD)
                told = process.stderr.read()
            finally:
                process.kill()
    finally:
        frozen.cont()
    if how == "Ctrl-C":
        assert (code, told) == (130, b"netsession: interrupted: 1 of 2 servers had answered\n")
    else:
        assert (code, told) == (0, b"")
