"""Selecting sessions of a real smbd: open files, ages, patterns, one's own session."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import csv
import io
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    FileAttributes,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    ShareAccess,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from ask import server_of
from cli_process import Result, run
from netsession import where
from sessions import connect, set_up
from smbd import HOST, PATIENCE, Smbd, let_everybody_in

OPENED = 3


def open_files(session: Session, count: int) -> None:
    """Opens files in the share, and leaves them open."""
    tree = TreeConnect(session, rf"\\{HOST}\data")
    tree.connect()
    for number in range(count):
        Open(tree, f"file{number}").create(
            ImpersonationLevel.Impersonation,
            FilePipePrinterAccessMask.GENERIC_READ,
            FileAttributes.FILE_ATTRIBUTE_NORMAL,
            ShareAccess.FILE_SHARE_READ,
            CreateDisposition.FILE_OPEN,
            CreateOptions.FILE_NON_DIRECTORY_FILE,
        )


@pytest.fixture
def smbd(samba_tools: None, tmp_path: Path) -> Iterator[Smbd]:
    """One user with open files, one without, one twice on one connection."""
    for number in range(OPENED):
        (tmp_path / f"file{number}").write_text("x")
        (tmp_path / f"file{number}").chmod(0o666)
    let_everybody_in(tmp_path)
    # A section of its own, after that of IPC$.
    share = {"comment": f"none\n[data]\n\tpath = {tmp_path}\n\tread only = no"}
    with Smbd(ipc=share) as smbd:
        with_files, without, twice = smbd.others
        connections = [connect(smbd) for _ in range(3)]
        open_files(set_up(connections[0], with_files), OPENED)
        set_up(connections[1], without)
        for _ in range(2):
            set_up(connections[2], twice)
        yield smbd
        for connection in connections:
            connection.disconnect(close=False)


def ask(smbd: Smbd, *arguments: str) -> Result:
    return run(
        "list", smbd.host, *arguments, "--port", str(smbd.port), "--auth-user", smbd.admin.name,
        env={"NETSESSION_PASSWORD": smbd.admin.password},
    )  # fmt: skip


def users(smbd: Smbd, *arguments: str) -> Counter[str]:
    listed = ask(smbd, "--format", "json", *arguments)
    assert listed.code == 0, listed
    return Counter(row["user_name"] for row in json.loads(listed.out))


def test_selecting(smbd: Smbd) -> None:
    with_files, without, twice = (user.name for user in smbd.others)
    admin = smbd.admin.name
    everybody = Counter([with_files, without, twice, twice])

    with server_of(smbd) as server:

        def found(**conditions: Any) -> Counter[str | None]:
            listed = list(server.sessions(where=where(**conditions)))
            by_calling = [r for r in server.sessions() if where(**conditions)(r)]
            assert [tuple(r)[:3] for r in listed] == [tuple(r)[:3] for r in by_calling]
            return Counter(record.user_name for record in listed)

        assert found() == everybody + Counter([admin])
        assert found(min_opens=OPENED) == Counter([with_files])
        assert found(min_opens=OPENED + 1) == Counter()
        assert found(no_opens=True) == Counter([without, twice, twice, admin])
        pattern = f"{twice[:1]}*{twice[-1:]}"
        assert twice in found(user=pattern)
        assert found(user=[twice.upper(), without]) == Counter([without, twice, twice])
        assert found(client="127.0.0.?") == found(client=HOST) == found()
        assert found(client="10.*") == Counter()
        # Its own session is the administrator's; of another of his own machine it cannot be told.
        own = where(exclude_self=True)
        assert Counter(r.user_name for r in server.sessions(where=own)) == everybody


def test_ages(smbd: Smbd) -> None:
    """Samba counts whole seconds since a session began, and says 0 of the time since its use."""
    with server_of(smbd) as server:
        deadline = time.monotonic() + PATIENCE
        # -1 at first, which is not known, then 0 and more: what counts is what the list says.
        while True:
            listed = [r for r in server.sessions() if r.user_name != smbd.admin.name]
            least = min(record.active_time for record in listed)
            if 1 <= least < 0xFFFFFFF0:
                break
            assert time.monotonic() < deadline
        assert len(list(server.sessions(where=where(active_for=1)))) >= len(listed)
        assert list(server.sessions(where=where(active_for=86_400))) == []
        query = server.sessions(where=where(idle_for=1))
        assert list(query) == []
        assert "idle for 0 s, as Samba does" in (query._why_nothing() or "")


def test_the_command(smbd: Smbd) -> None:
    with_files, without, twice = (user.name for user in smbd.others)
    assert users(smbd, "--exclude-self") == Counter([with_files, without, twice, twice])
    assert users(smbd, "--min-opens", "1") == Counter([with_files])
    assert users(smbd, "--user", twice, "--user", f"{without}*") == Counter([twice, twice, without])
    by_opens = ask(smbd, "--exclude-self", "--sort", "-opens,user", "--columns", "user,opens",
                   "--format", "csv")  # fmt: skip
    rows = list(csv.reader(io.StringIO(by_opens.text)))
    assert rows == [
        ["user_name", "num_opens"],
        [with_files, str(OPENED)],
        *([name, "0"] for name in sorted([without, twice, twice])),
    ]
    grouped = ask(smbd, "--exclude-self", "--group-by", "user", "--format", "json")
    groups = [
        (row["user_name"], row["sessions"], row["clients"], row["num_opens"])
        for row in json.loads(grouped.out)
    ]
    assert groups[0] == (twice, 2, 1, 0)
    assert sorted(groups[1:]) == sorted([(with_files, 1, 1, OPENED), (without, 1, 1, 0)])
    idle = ask(smbd, "--idle-for", "1h")
    assert idle.code == 0
    assert "as Samba does" in idle.err
    assert f"0 of {4 + 1} sessions on {HOST}, level 1" in idle.err
    level = ask(smbd, "--level", "0", "--idle-for", "1h")
    assert level.code == 2
