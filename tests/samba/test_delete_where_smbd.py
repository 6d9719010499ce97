"""Ending by conditions on a real smbd, and with idle times, which smbd does not have, behind one.

smbd 4.17 lists every session as idle for 0 seconds. So what is busy here is a session with an open
file (``--no-opens``); idle times come from our own endpoint behind smbd's pipe.
"""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from smbprotocol.connection import Connection
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
from endpoint import Call, Endpoint, Reply, Script
from ndr_reference import Row, encode_enum_response
from netsession import where
from sessions import connect, set_up
from smbd import Smbd, User, let_everybody_in

pytest.importorskip("rich")

SHARE = "data"


@pytest.fixture(scope="module")
def smbd(samba_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Smbd]:
    """An smbd with a share that everybody may write to."""
    folder = tmp_path_factory.mktemp("share")
    let_everybody_in(folder)
    section = f"remote IPC\n[{SHARE}]\n\tpath = {folder}\n\tread only = no"
    with Smbd(ipc={"comment": section}) as smbd:
        yield smbd


@contextmanager
def sessions_of(smbd: Smbd, *users: User) -> Iterator[list[Session]]:
    """A session of each user, all on one TCP connection."""
    connection: Connection = connect(smbd)
    try:
        yield [set_up(connection, user) for user in users]
    finally:
        with suppress(Exception):  # smbd may have ended it
            connection.disconnect(close=False)


def open_file(session: Session, smbd: Smbd, name: str) -> Open:
    """A file that stays open."""
    tree = TreeConnect(session, rf"\\{smbd.host}\{SHARE}")
    tree.connect()
    file = Open(tree, name)
    file.create(
        ImpersonationLevel.Impersonation,
        FilePipePrinterAccessMask.GENERIC_READ | FilePipePrinterAccessMask.GENERIC_WRITE,
        FileAttributes.FILE_ATTRIBUTE_NORMAL,
        ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE,
        CreateDisposition.FILE_OPEN_IF,
        CreateOptions.FILE_NON_DIRECTORY_FILE,
    )
    return file


def ask(smbd: Smbd, *arguments: str) -> Result:
    return run(
        "delete", smbd.host, *arguments, "--port", str(smbd.port), "--auth-user", smbd.admin.name,
        env={"NETSESSION_PASSWORD": smbd.admin.password},
    )  # fmt: skip


def users(smbd: Smbd) -> list[str]:
    with server_of(smbd) as server:
        return sorted(
            record.user_name or ""
            for record in server.sessions()
            if record.user_name != smbd.admin.name
        )


def test_a_user_with_a_busy_session_keeps_both(smbd: Smbd) -> None:
    """Two sessions from one client on two connections, one with an open file: neither is ended."""
    victim = smbd.others[0]
    with sessions_of(smbd, victim), sessions_of(smbd, victim) as (busy,):
        open_file(busy, smbd, "busy.txt")
        result = ask(smbd, "--no-opens", "--yes")
        assert result.code == 0, result
        why = f"{victim.name} from {smbd.host} has 2 sessions, one of which has 1 open"
        assert why in result.text.partition("Left alone:")[2].splitlines()
        assert "there is nothing to end" in result.err
        assert users(smbd) == [victim.name] * 2


def test_who_has_nothing_open_is_ended_and_the_busy_ones_stay(smbd: Smbd) -> None:
    idle, busy_user = smbd.others[:2]
    smbd.wait_for_connections(0)
    with sessions_of(smbd, idle), sessions_of(smbd, busy_user) as (busy,):
        open_file(busy, smbd, "other.txt")
        result = ask(smbd, "--no-opens", "--yes")
        assert result.code == 0, result
        assert f"ended: {idle.name} from {smbd.host} (1 session)" in result.err
        assert "listed again: none of 1 session is left" in result.err
        own = f"{smbd.admin.name} from {smbd.host} may be your own session"
        assert own in result.text
        endangered = result.text.partition("These share a client")[2]
        assert busy_user.name in endangered
        assert users(smbd) == [busy_user.name]


def test_the_endangered_do_go_with_their_connection(smbd: Smbd) -> None:
    """That warning is no idle one: on smbd a whole connection goes."""
    idle, busy_user = smbd.others[:2]
    smbd.wait_for_connections(0)
    with sessions_of(smbd, idle, busy_user) as (_, busy):
        open_file(busy, smbd, "shared.txt")
        shown = ask(smbd, "--no-opens", "--dry-run")
        assert busy_user.name in shown.text.partition("These share a client")[2]
        result = ask(smbd, "--no-opens", "--yes")
        assert result.code == 0, result
        assert users(smbd) == []


def test_several_servers_of_which_one_is_dead(smbd: Smbd, tmp_path: Path) -> None:
    idle = smbd.others[0]
    smbd.wait_for_connections(0)
    names = tmp_path / "servers.txt"
    names.write_text(f"{smbd.host}:{smbd.port}\n{smbd.host}:1\n")
    with sessions_of(smbd, idle):
        result = run(
            *("delete", "--servers-from", str(names), "--no-opens", "--yes", "--max", "1"),
            *("--auth-user", smbd.admin.name),
            env={"NETSESSION_PASSWORD": smbd.admin.password},
        )
        assert result.code == 4, result
        assert "1 could not be listed" in result.err
        name = f"{smbd.host}:{smbd.port}"
        assert f"{name}: ended: {idle.name} from {smbd.host} (1 session)" in result.err
        own = f"{name}: {smbd.admin.name} from {smbd.host} may be your own session"
        assert own in result.text
        assert users(smbd) == []


def test_a_session_that_begins_after_the_plan_is_noticed(smbd: Smbd) -> None:
    victim = smbd.others[0]
    smbd.wait_for_connections(0)
    with server_of(smbd) as server, sessions_of(smbd, victim):
        plan = server.plan_delete(user=victim.name, where=where(no_opens=True))
        assert [user for _, user in plan.targets] == [victim.name]
        with sessions_of(smbd, victim):
            server.delete_sessions(plan=plan)
            assert [each.what for each in plan.outcomes] == ["left alone"]
            assert "not there when the plan was made" in (plan.outcomes[0].reason or "")
            assert users(smbd) == [victim.name] * 2
    smbd.wait_for_connections(0)
    with server_of(smbd) as server:
        server.delete_sessions(plan=plan)
        assert [each.what for each in plan.outcomes] == ["gone"]


# -- idle times, behind smbd ----------------------------------------------------------------------

HOUR = 3600


def session(user: str, idle: int, client: str = "10.1.2.3") -> Row:
    return {
        "client_name": client,
        "user_name": user,
        "num_opens": 0,
        "active_time": 24 * HOUR,
        "idle_time": idle,
        "user_flags": 0,
    }


def changing(*lists: list[Row]) -> Script:
    """One list after another, the last one from then on."""
    left = list(lists)

    def respond(call: Call) -> Reply | None:
        if call.enum is None or call.enum.level != 1:
            return None
        rows = left.pop(0) if left[1:] else left[0]
        handle = None if call.enum.resume_handle is None else 0
        stub = encode_enum_response(
            1, rows, total_entries=len(rows), resume_handle=handle, status=0
        )
        return Reply(stub)

    return Script(rows={1: []}, respond=respond)


def test_an_idle_and_an_active_session_of_one_user(endpoint_smbd: Smbd, endpoint: Endpoint) -> None:
    alice = [session("alice", 9 * HOUR), session("alice", 5)]
    both = [*alice, session("bob", 9 * HOUR, "10.9.9.9")]
    endpoint.script = changing(both, both, alice)
    result = ask(endpoint_smbd, "--idle-for", "8h", "--yes")
    assert result.code == 0, result
    why = "alice from 10.1.2.3 has 2 sessions, one of which is idle for 5 s only"
    assert f"Left alone:\n{why}\n" in result.text
    assert [(each.client, each.user) for each in endpoint.deletes] == [("\\\\10.9.9.9", "bob")]
    assert "ended: bob from 10.9.9.9 (1 session)" in result.err
    assert "listed again: none of 1 session is left" in result.err


def test_who_wakes_between_list_and_request_is_not_ended(
    endpoint_smbd: Smbd, endpoint: Endpoint
) -> None:
    bob = session("bob", 9 * HOUR, "10.9.9.9")
    before = [session("alice", 9 * HOUR), bob]
    endpoint.script = changing(before, [session("alice", 1), bob])
    with server_of(endpoint_smbd) as server:
        plan = server.delete_sessions(where=where(idle_for=8 * HOUR))
    assert [each.what for each in plan.outcomes] == ["left alone", "ended"]
    assert [each.user for each in endpoint.deletes] == ["bob"]
    asked = [each.client for each in endpoint.enums if each.level == 1]
    assert asked == [None, "\\\\10.1.2.3", "\\\\10.9.9.9"]


def test_names_that_a_hostile_list_has_end_nobody(endpoint_smbd: Smbd, endpoint: Endpoint) -> None:
    """Whatever is listed, only what names exactly one pair is sent."""
    names = ["", "*", "CORP\\", "\\\\", "\u200b", "x" * 1500, "[]", "@corp"]
    clients = ["", "*", "\\\\", "//ws1", "\u00a5", "[]", "\\\\[*]"]
    rows = [session(name, 9 * HOUR) for name in names]
    rows += [session("alice", 9 * HOUR, client) for client in clients]
    endpoint.script = Script(rows={1: rows}, filters=False)
    with server_of(endpoint_smbd) as server:
        plan = server.delete_sessions(where=where(idle_for=HOUR))
    assert endpoint.deletes == []
    assert plan.targets == []
    assert len(plan.left_alone) == len(rows)
