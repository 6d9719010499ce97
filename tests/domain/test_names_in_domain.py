"""What people type finds what the server calls the user, and ends nobody else.

A joined server knows ``CORP\\alice``, a standalone one ``alice``, and people type either, or
``alice@corp.example``. Listing may show too much; ending never guesses.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

import pytest

from asking import command, library, listed, names, password_of
from lab import Lab
from sessions_kept import Kept, Seen, wait_until_seen
from test_domain_sessions import V4, V6, Where, at_member, at_standalone, both

TYPED = ["alice", "ALICE", "CORP\\alice", "corp\\Alice", "alice@corp.example", "ALICE@CORP.EXAMPLE"]
OF_OTHERS = ["ELSE\\alice", "alice@else.example", "ali", "alice2"]
#: IPv6 as people write it; the servers write fd77::30.
WRITTEN = ["[fd77::30]", "FD77::30", "fd77:0:0:0:0:0:0:30", "fd77:0000::0030", "\\\\[fd77::30]"]

#: the domain's alice and the member's own
TWO = [Seen("CORP\\alice", V4), Seen("alice", V4)]


@both
def test_what_is_typed_lists_and_shows_the_user(lab: Lab, kept: Kept, where: Where) -> None:
    server, accounts, admin, prefix = where(lab)
    kept.open(lab, server, accounts["alice"], accounts["bob"])
    calls = [("list", {"user": typed}) for typed in TYPED]
    calls += [("show", {"client": V4, "user": typed}) for typed in TYPED]
    answers = library(lab, server, *calls, who=admin)
    found = [names(answer.get("records", [])) for answer in answers]
    assert found == [[f"{prefix}alice"]] * len(calls)


def test_a_name_of_another_domain_is_nobody_of_this_one(lab: Lab, kept: Kept) -> None:
    kept.open(lab, lab.member, lab.people["alice"])
    calls = [("list", {"user": typed}) for typed in OF_OTHERS]
    calls += [("delete", {"user": typed}) for typed in OF_OTHERS]
    answers = library(lab, lab.member, *calls, who=password_of(lab.admin))
    for answer in answers[: len(OF_OTHERS)]:
        assert answer == {"records": []}
    for answer in answers[len(OF_OTHERS) :]:
        assert "text" in answer
    wait_until_seen(lab.member, TWO[0])


@both
@pytest.mark.parametrize("typed", ["alice", "CORP\\ALICE", "alice@corp.example"])
def test_what_is_typed_is_what_ends(lab: Lab, kept: Kept, where: Where, typed: str) -> None:
    server, accounts, admin, prefix = where(lab)
    kept.open(lab, server, accounts["alice"], accounts["bob"])
    arguments = ["--user", typed, "--yes"]
    done = command(lab, "delete", server.address, *arguments, who=admin)
    assert done.returncode == 0, done.stderr
    wait_until_seen(server, Seen(f"{prefix}bob", V4))


@both
@pytest.mark.parametrize("typed", ["alice", "CORP\\ALICE", "alice@corp.example"])
def test_the_library_ends_it_too(lab: Lab, kept: Kept, where: Where, typed: str) -> None:
    server, accounts, admin, prefix = where(lab)
    kept.open(lab, server, accounts["alice"], accounts["bob"])
    (answer,) = library(lab, server, ("delete", {"user": typed, "client": V4}), who=admin)
    assert answer == {"records": []}
    wait_until_seen(server, Seen(f"{prefix}bob", V4))


# -- two accounts of one bare name ----------------------------------------------------------------


@pytest.fixture
def two_alices(lab: Lab, kept: Kept) -> Lab:
    """The domain's alice and the member's own, both connected to the member."""
    kept.open(lab, lab.member, lab.people["alice"], lab.other_alice)
    wait_until_seen(lab.member, *TWO)
    return lab


def test_a_bare_name_lists_both(two_alices: Lab) -> None:
    lab = two_alices
    sessions = listed(lab, lab.member.address, "--user", "Alice", who=password_of(lab.admin))
    assert names(sessions) == ["CORP\\alice", "alice"]


def test_a_bare_name_of_two_ends_neither_and_both_are_named(two_alices: Lab) -> None:
    lab = two_alices
    admin = password_of(lab.admin)
    arguments = ["--user", "alice", "--yes"]
    done = command(lab, "delete", lab.member.address, *arguments, who=admin)
    assert done.returncode != 0
    assert "CORP\\alice" in done.stderr
    assert "alice" in done.stderr.replace("CORP\\alice", "")
    (answer,) = library(lab, lab.member, ("delete", {"user": "alice"}), who=admin)
    assert "CORP\\alice" in answer["text"]
    wait_until_seen(lab.member, *TWO)


@pytest.mark.parametrize("typed", ["CORP\\alice", "alice@corp.example"])
def test_a_name_with_domain_never_ends_the_servers_own(two_alices: Lab, typed: str) -> None:
    """Whether it ends the domain's alice or is refused as fitting both is not told here."""
    lab = two_alices
    (answer,) = library(lab, lab.member, ("delete", {"user": typed}), who=password_of(lab.admin))
    wait_until_seen(lab.member, *(TWO[1:] if answer == {"records": []} else TWO))


# -- who may end what he may not list -------------------------------------------------------------


@pytest.fixture
def no_listing(lab: Lab) -> Iterator[Lab]:
    """Domain Admins may not list on the member, but Samba lets them end sessions."""
    member = ("BUILTIN\\Administrators", "CORP\\Domain Admins")
    lab.member.must_run("net", "sam", "delmem", *member)
    yield lab
    lab.member.must_run("net", "sam", "addmem", *member)


def test_ending_without_listing_sends_what_was_typed(no_listing: Lab, kept: Kept) -> None:
    lab = no_listing
    kept.open(lab, lab.member, lab.people["alice"], lab.people["bob"], lab.other_alice)
    admin = password_of(lab.admin)
    listing, ending = library(
        lab, lab.member, ("list", {}), ("delete", {"user": "CORP\\bob"}), who=admin
    )
    assert listing["kinds"][0] == "AccessDenied"
    assert ending == {"records": []}
    wait_until_seen(lab.member, *TWO)
    # A bare name is that account only, whoever else may be meant.
    (ending,) = library(lab, lab.member, ("delete", {"user": "alice"}), who=admin)
    assert ending == {"records": []}
    wait_until_seen(lab.member, *TWO[:1])


def test_the_command_ends_without_listing(no_listing: Lab, kept: Kept) -> None:
    lab = no_listing
    kept.open(lab, lab.member, lab.people["alice"], lab.people["bob"])
    arguments = ["delete", lab.member.address, "--user", "CORP\\bob", "--yes"]
    done = command(lab, *arguments, who=password_of(lab.admin))
    assert done.returncode == 0, done.stderr
    wait_until_seen(lab.member, *TWO[:1])


# -- clients --------------------------------------------------------------------------------------


def test_an_ipv6_client_however_it_is_written(lab: Lab, kept: Kept) -> None:
    kept.open(lab, lab.member, lab.people["alice"], ipv6=True)
    kept.open(lab, lab.member, lab.people["alice"])
    calls = [("list", {"client": written}) for written in WRITTEN]
    calls += [("show", {"client": written, "user": "CORP\\alice"}) for written in WRITTEN]
    for answer in library(lab, lab.member, *calls, who=password_of(lab.admin)):
        assert [record["client_name"] for record in answer.get("records", [])] == [V6], answer


@pytest.mark.parametrize(
    ("where", "written"), list(zip(cycle([at_member, at_standalone]), WRITTEN, strict=False))
)
def test_an_ipv6_client_ends_however_it_is_written(
    lab: Lab, kept: Kept, where: Where, written: str
) -> None:
    server, accounts, admin, prefix = where(lab)
    kept.open(lab, server, accounts["alice"], ipv6=True)
    kept.open(lab, server, accounts["bob"])
    (answer,) = library(lab, server, ("delete", {"client": written}), who=admin)
    assert answer == {"records": []}
    wait_until_seen(server, Seen(f"{prefix}bob", V4))


@pytest.mark.parametrize("name", ["cl", "CL.corp.example"])
def test_a_client_by_its_host_name(lab: Lab, kept: Kept, name: str) -> None:
    """Over port 445 servers know addresses, people know names."""
    kept.open(lab, lab.member, lab.people["alice"], lab.people["bob"])
    admin = password_of(lab.admin)
    sessions = listed(lab, lab.member.address, "--client", name, who=admin)
    assert names(sessions, but="CORP\\administrator") == ["CORP\\alice", "CORP\\bob"]
    arguments = ["--client", name, "--user", "CORP\\bob", "--yes"]
    done = command(lab, "delete", lab.member.address, *arguments, who=admin)
    assert done.returncode == 0, done.stderr
    assert V4 in done.stdout + done.stderr  # delete says which address it took
    wait_until_seen(lab.member, Seen("CORP\\alice", V4))
