"""The command against a real smbd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from ask import server_of
from cli_process import Result, only_line, run
from netsession import AccessDenied
from smbd import Smbd

pytest.importorskip("rich")


@pytest.fixture
def smbd(samba_tools: None) -> Iterator[Smbd]:
    """An smbd of its own with each of three users connected once."""
    with Smbd() as smbd, ExitStack() as connected:
        for user in smbd.users[:3]:
            server = connected.enter_context(server_of(smbd, user))
            # Who is no administrator is refused, but connected all the same.
            with suppress(AccessDenied):
                list(server.sessions(level=0))
        yield smbd


def ask(smbd: Smbd, command: str, *arguments: str, password: str | None = None) -> Result:
    return run(
        command, *arguments, "--port", str(smbd.port), "--auth-user", smbd.admin.name,
        env={"NETSESSION_PASSWORD": password or smbd.admin.password},
    )  # fmt: skip


def users(smbd: Smbd, connected: int) -> list[str]:
    """Who is listed, once the sessions of earlier commands are gone: smbd takes its time."""
    smbd.wait_for_connections(connected)
    listed = ask(smbd, "list", smbd.host, "--format", "json")
    assert listed.code == 0, listed
    return sorted(row["user_name"] for row in json.loads(listed.out))


def test_lists_exactly_the_users_connected(smbd: Smbd) -> None:
    three = [user.name for user in smbd.users[:3]]
    # The command's own session is one more.
    assert users(smbd, 3) == sorted([*three, smbd.admin.name])


def test_refusals(smbd: Smbd) -> None:
    level = ask(smbd, "list", smbd.host, "--level", "502")
    assert (level.code, "Leave out --level" in only_line(level)) == (1, True)
    password = ask(smbd, "list", smbd.host, password="not this one")
    assert (password.code, "status 1326" in only_line(password)) == (1, True)
    assert "not this one" not in password.err


def test_a_failed_logon_tells_user_from_auth_user(smbd: Smbd) -> None:
    """Whoever gives --user to log on as somebody has no ticket, and is told."""
    failed = run("list", smbd.host, "--port", str(smbd.port), "--user", smbd.admin.name)
    assert failed.code == 1
    assert "to log on as somebody, give --auth-user" in only_line(failed)


def test_password_from_standard_input_and_names_of_addresses(smbd: Smbd) -> None:
    listed = run(
        "list", smbd.host, "--port", str(smbd.port), "--auth-user", smbd.admin.name,
        "--password-file", "-", "--format", "json", "--resolve",
        stdin=smbd.admin.password + "\n",
    )  # fmt: skip
    rows = json.loads(listed.out)
    assert smbd.admin.name in {row["user_name"] for row in rows}
    # Whatever this machine calls itself: the field is there, and the address still is.
    assert {tuple(row)[-1] for row in rows} == {"host_name"}
    assert {row["client_name"] for row in rows} == {smbd.host}


def test_shows_one_and_deletes_one(smbd: Smbd) -> None:
    admin, gone, stays = (user.name for user in smbd.users[:3])
    shown = ask(smbd, "show", smbd.host, smbd.host, gone, "--format", "json")
    assert [row["user_name"] for row in json.loads(shown.out)] == [gone]
    ended = ask(smbd, "delete", smbd.host, "--user", gone, "--yes", "--verify")
    assert (ended.code, "none is left" in ended.err) == (0, True), ended
    assert "your own session" not in ended.err
    assert users(smbd, 2) == sorted([admin, admin, stays])
    assert ask(smbd, "show", smbd.host, smbd.host, gone).code == 1


def test_deleting_ones_own_session_is_warned_of_and_settled_by_verify(smbd: Smbd) -> None:
    admin = smbd.admin.name
    ended = ask(smbd, "delete", smbd.host, "--user", admin, "--yes", "--verify")
    assert "your own session may be among these" in ended.err
    assert "may have been ended all the same" in ended.err
    assert (ended.code, "none is left" in ended.err) == (0, True), ended
