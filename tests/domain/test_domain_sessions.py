"""Listing, showing and ending sessions of a domain's servers; smbstatus is the witness."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from asking import Who, command, kinit, libraries, library, listed, names, password_of
from lab import Account, Lab
from network import Machine
from sessions_kept import Kept, Seen, frozen, wait_until_seen

V4, V6 = "10.77.0.30", "fd77::30"


def at_member(lab: Lab) -> tuple[Machine, dict[str, Account], Who, str]:
    """The joined server, who connects to it, its administrator, and how it spells users."""
    return lab.member, lab.people, password_of(lab.admin), "CORP\\"


def at_standalone(lab: Lab) -> tuple[Machine, dict[str, Account], Who, str]:
    """The same of the standalone one."""
    return lab.standalone, lab.locals, password_of(lab.locals["root"], "root"), ""


Where = Callable[[Lab], tuple[Machine, dict[str, Account], Who, str]]
both = pytest.mark.parametrize("where", [at_member, at_standalone], ids=["member", "standalone"])


def three(prefix: str) -> list[Seen]:
    """What the server has when these are connected."""
    return [Seen(f"{prefix}{name}", V4) for name in ("alice", "bob", "carol")]


def connect_three(lab: Lab, kept: Kept, where: Where) -> tuple[Machine, Who, str]:
    """alice, bob and carol connect, over IPv4."""
    server, accounts, admin, prefix = where(lab)
    kept.open(lab, server, *(accounts[name] for name in ("alice", "bob", "carol")))
    return server, admin, prefix


@both
def test_users_are_spelled_as_the_server_does(lab: Lab, kept: Kept, where: Where) -> None:
    server, admin, prefix = connect_three(lab, kept, where)
    sessions = listed(lab, server.address, who=admin)
    us = "CORP\\administrator" if prefix else "root"
    assert names(sessions, but=us) == [f"{prefix}{name}" for name in ("alice", "bob", "carol")]
    assert {session["client_name"] for session in sessions} == {V4}
    wait_until_seen(server, *three(prefix))  # ours is over


def test_rpcclient_counts_the_same(lab: Lab, kept: Kept) -> None:
    server, admin, _ = connect_three(lab, kept, at_member)
    auth = ("-A", str(lab.secret(lab.admin)))
    told = lab.client.must_run("rpcclient", *auth, server.address, "-c", "netsessenum")
    # Each counts the session that it asks with.
    assert f"Received {len(listed(lab, server.address, who=admin))} entries" in told


@both
def test_one_user_ends_and_the_others_stay(lab: Lab, kept: Kept, where: Where) -> None:
    server, admin, prefix = connect_three(lab, kept, where)
    arguments = ["delete", server.address, "--user", f"{prefix}bob"]
    done = command(lab, *arguments, "--dry-run", who=admin)
    assert done.returncode == 0, done.stderr
    assert f"{prefix}bob" in done.stdout
    wait_until_seen(server, *three(prefix))
    done = command(lab, *arguments, "--yes", who=admin)
    assert done.returncode == 0, done.stderr
    wait_until_seen(server, Seen(f"{prefix}alice", V4), Seen(f"{prefix}carol", V4))


@both
def test_the_library_ends_one_user(lab: Lab, kept: Kept, where: Where) -> None:
    server, admin, prefix = connect_three(lab, kept, where)
    one = {"client": V4, "user": f"{prefix}alice"}
    shown, ended = library(lab, server, ("show", one), ("delete", one), who=admin)
    assert shown["records"][0]["user_name"] == f"{prefix}alice"
    assert ended == {"records": []}
    wait_until_seen(server, Seen(f"{prefix}bob", V4), Seen(f"{prefix}carol", V4))
    (gone,) = library(lab, server, ("show", one), who=admin)
    assert gone["kinds"][0] == "SessionNotFound"


def test_a_ticket_lists_shows_and_ends(lab: Lab, kept: Kept) -> None:
    server, _, _ = connect_three(lab, kept, at_member)
    ticket = kinit(lab, lab.admin, "sessions")
    done = command(lab, "show", server.dns_name, V4, "CORP\\carol", who=ticket)
    assert done.returncode == 0, done.stderr
    assert "CORP\\carol" in done.stdout
    arguments = ["--client", V4, "--user", "CORP\\carol", "--yes"]
    done = command(lab, "delete", server.dns_name, *arguments, who=ticket)
    assert done.returncode == 0, done.stderr
    wait_until_seen(server, Seen("CORP\\alice", V4), Seen("CORP\\bob", V4))


# -- verifying ------------------------------------------------------------------------------------

# Samba answers NetSessionDel when it has sent word to the process of the connection, not when that
# has ended. Listing again only once may come before that.
# And a session that is a second older than the server's whole seconds say counts as a newer one.


@both
def test_ended_and_verified(lab: Lab, kept: Kept, where: Where) -> None:
    server, admin, prefix = connect_three(lab, kept, where)
    arguments = ["--user", f"{prefix}bob", "--yes", "--verify"]
    done = command(lab, "delete", server.address, *arguments, who=admin)
    assert done.returncode == 0, done.stderr
    assert "none is left" in done.stderr
    wait_until_seen(server, Seen(f"{prefix}alice", V4), Seen(f"{prefix}carol", V4))


def test_a_session_that_takes_a_second_to_end(lab: Lab, kept: Kept) -> None:
    kept.open(lab, lab.standalone, lab.locals["alice"])
    with frozen(lab.standalone, "alice") as thaw:
        threading.Timer(1, thaw).start()
        arguments = ["--user", "alice", "--yes", "--verify"]
        who = password_of(lab.locals["root"], "root")
        done = command(lab, "delete", lab.standalone.address, *arguments, who=who)
    assert done.returncode == 0, done.stderr
    assert "newer" not in done.stderr
    wait_until_seen(lab.standalone)


def test_a_session_that_does_not_end(lab: Lab, kept: Kept) -> None:
    """Verifying can fail, and then says so."""
    kept.open(lab, lab.standalone, lab.locals["alice"])
    with frozen(lab.standalone, "alice"):
        arguments = ["--user", "alice", "--yes", "--verify"]
        who = password_of(lab.locals["root"], "root")
        done = command(lab, "delete", lab.standalone.address, *arguments, who=who)
    assert done.returncode == 1
    assert "still there" in done.stderr


# -- who may not ----------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["CORP\\bob", "bob"])
def test_who_is_no_administrator_ends_nothing(lab: Lab, kept: Kept, typed: str) -> None:
    server, _, prefix = connect_three(lab, kept, at_member)
    alice = password_of(lab.people["alice"])
    done = command(lab, "delete", server.address, "--user", typed, "--yes", who=alice)
    assert done.returncode == 1
    assert "ERROR_ACCESS_DENIED" in done.stderr
    (answer,) = library(lab, server, ("delete", {"user": typed}), who=alice)
    assert answer["kinds"][0] == "AccessDenied"
    wait_until_seen(server, *three(prefix))


# -- IPv6 -----------------------------------------------------------------------------------------


@both
def test_a_server_by_its_ipv6_address(lab: Lab, kept: Kept, where: Where) -> None:
    server, accounts, admin, prefix = where(lab)
    kept.open(lab, server, accounts["alice"], ipv6=True)
    kept.open(lab, server, accounts["alice"])
    calls = [("list", {"user": f"{prefix}alice"})]
    spellings = (server.address6, f"[{server.address6}]", server.address6.upper())
    for (answer,) in libraries(lab, *((spelling, admin, calls) for spelling in spellings)):
        assert sorted(record["client_name"] for record in answer["records"]) == [V4, V6]
    done = command(lab, "list", f"[{server.address6}]", who=admin)
    assert done.returncode == 0, done.stderr
    assert V6 in done.stdout


@both
def test_one_users_ipv6_session_ends_and_the_other_stays(
    lab: Lab, kept: Kept, where: Where
) -> None:
    server, accounts, admin, prefix = where(lab)
    kept.open(lab, server, accounts["alice"], accounts["bob"], ipv6=True)
    kept.open(lab, server, accounts["alice"])
    arguments = ["--client", V6, "--user", f"{prefix}alice", "--yes"]
    done = command(lab, "delete", server.address6, *arguments, who=admin)
    assert done.returncode == 0, done.stderr
    wait_until_seen(server, Seen(f"{prefix}alice", V4), Seen(f"{prefix}bob", V6))
