"""Logging on in a domain: tickets, passwords, names, and accounts that may not."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest

from asking import (
    Answer,
    Call,
    Job,
    Who,
    command,
    kinit,
    klist,
    libraries,
    library,
    listed,
    names,
    password_of,
)
from lab import LOCK_AFTER, PATIENCE, Lab
from requirements import find

ADMIN = "CORP\\administrator"


@pytest.fixture(scope="module")
def ticket(lab: Lab) -> Who:
    """A domain administrator with a ticket and nothing else."""
    return kinit(lab, lab.admin, "admin")


def clock(shift: str) -> Mapping[str, str]:
    """The environment of a process whose clock is wrong; the machine's is not touched."""
    return {
        "LD_PRELOAD": str(find("lib/*/faketime/libfaketime.so.1")),
        "FAKETIME": shift,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def refused(lab: Lab, server: str, who: Who, **env: str) -> str:
    """What ``netsession list`` says where it is not let in."""
    done = command(lab, "list", server, who=who, env=env)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "failed to log on: " in done.stderr
    return done.stderr


# -- tickets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["fs01.corp.example", "fs01", "dc.corp.example"])
def test_a_ticket_is_enough(lab: Lab, ticket: Who, server: str) -> None:
    # As the controller spells it, or as the member does.
    found = names(listed(lab, server, who=ticket))
    assert ADMIN.casefold() in [name.casefold() for name in found]
    # It was Kerberos indeed; a short name is made a long one.
    assert f"cifs/{server.partition('.')[0]}.corp.example@" in klist(lab, ticket).stdout


def test_a_ticket_is_enough_for_the_library(lab: Lab, ticket: Who) -> None:
    for who in (ticket, replace(ticket, typed=lab.admin.principal)):
        for options in ({}, {"encrypt": True}):
            (answer,) = library(
                lab, lab.member.dns_name, ("list", {"level": 1}), who=who, **options
            )
            assert names(answer["records"]) == [ADMIN]


def test_ones_own_session_is_known_by_the_ticket(lab: Lab, ticket: Who) -> None:
    """It is listed as CORP\\administrator, and the ticket is administrator@CORP.EXAMPLE's."""
    arguments = ["list", lab.member.dns_name, "--format", "csv"]
    done = command(lab, *arguments, who=ticket)
    assert ADMIN in done.stdout, done.stderr
    done = command(lab, *arguments, "--exclude-self", who=ticket)
    assert (done.returncode, ADMIN in done.stdout) == (0, False), done.stderr


def test_there_is_no_ticket_for_an_address(lab: Lab, ticket: Who) -> None:
    told = refused(lab, lab.member.address, ticket)
    assert "ERROR_WRONG_TARGET_NAME" in told
    assert "not by an address" in told
    assert "DNS name" in told


def test_no_ticket_at_all(lab: Lab) -> None:
    told = refused(lab, lab.member.dns_name, Who())
    assert "kinit" in told
    assert "--auth-user" in told


def test_there_is_no_ticket_for_a_server_outside_the_domain(lab: Lab, ticket: Who) -> None:
    told = refused(lab, lab.standalone.dns_name, ticket)
    assert "has no server cifs/fs02.corp.example" in told
    assert "give --auth-user" in told


def test_an_expired_ticket(lab: Lab) -> None:
    who = kinit(lab, lab.admin, "expired", "-l", "1s")
    deadline = time.monotonic() + PATIENCE
    while klist(lab, who, "-s").returncode == 0:
        assert time.monotonic() < deadline, "the ticket does not expire"
        time.sleep(0.05)
    told = refused(lab, lab.member.dns_name, who)
    assert "expired" in told.casefold()
    assert "kinit" in told


@pytest.mark.parametrize("shift", ["+1h", "-1h"])
def test_a_wrong_clock(lab: Lab, shift: str) -> None:
    """Before there is a ticket for the server: the domain controller refuses to give one."""
    who = kinit(lab, lab.admin, f"clock{shift}")
    assert "clock" in refused(lab, lab.member.dns_name, who, **clock(shift)).casefold()


def test_a_wrong_clock_with_a_ticket_for_the_server(lab: Lab) -> None:
    """Samba says LOGON_FAILURE and no more; no password was given that could be wrong."""
    who = kinit(lab, lab.admin, "clock")
    listed(lab, lab.member.dns_name, who=who)
    told = refused(lab, lab.member.dns_name, who, **clock("+1h"))
    assert "clock" in told.casefold()


@pytest.mark.parametrize("shift", ["+1h", "-1h"])
def test_a_password_needs_no_clock(lab: Lab, shift: str) -> None:
    """NTLM, also by name, where Kerberos was tried first and has failed."""
    for server in (lab.member.address, lab.member.dns_name):
        done = command(lab, "list", server, who=password_of(lab.admin), env=clock(shift))
        assert done.returncode == 0, done.stderr


# -- names and passwords --------------------------------------------------------------------------


TYPED = (
    "CORP\\Administrator",
    "corp\\ADMINISTRATOR",
    "corp.example\\Administrator",
    "Administrator@corp.example",
    "ADMINISTRATOR@CORP.EXAMPLE",
    "Administrator@CORP",
)


@pytest.mark.parametrize("encrypt", [False, True])
def test_a_password_and_every_way_to_type_a_name(lab: Lab, encrypt: bool) -> None:
    """By address, which is NTLM; and by name, where the library may choose Kerberos."""
    jobs: list[Job] = [
        (server, password_of(lab.admin, typed), [("list", {})])
        for typed in TYPED
        for server in (lab.member.address, lab.member.dns_name)
    ]
    for job, (answer,) in zip(jobs, libraries(lab, *jobs, encrypt=encrypt), strict=True):
        assert names(answer.get("records", [])) == [ADMIN], (job[0], job[1].typed, answer)


def test_a_bare_name_is_the_servers_own_account(lab: Lab) -> None:
    """By NTLM. The member has an alice of its own, who is no administrator."""
    assert names(listed(lab, lab.standalone.address, who=password_of(lab.locals["root"], "root")))
    accounts = (lab.other_alice, lab.people["alice"])
    jobs: list[Job] = [
        (lab.member, password_of(account, "alice"), [("list", {})]) for account in accounts
    ]
    (own,), (domains,) = libraries(lab, *jobs)
    assert own["status"] == 5, own
    assert domains["status"] == 1326, domains


def test_a_bare_name_by_dns_name_is_the_domains(lab: Lab) -> None:
    """Kerberos has a default realm."""
    who = password_of(lab.admin, "Administrator")
    assert names(listed(lab, lab.member.dns_name, who=who)) == [ADMIN]


def test_a_password_in_a_file(lab: Lab) -> None:
    file = lab.directory / "password"
    file.touch(mode=0o600)
    file.write_text(lab.admin.password + "\n")
    wrong = Who(lab.admin.upn, "quite-wrong-6251")  # what the environment says
    assert listed(lab, lab.member.address, "--password-file", str(file), who=wrong)


#: Accounts that a test may give wrong passwords for: how they are typed, by which name.
WRONG = {
    "wanda": ("CORP\\wanda", "address"),
    "wendy": ("CORP\\wendy", "name"),
    "wolf": ("wolf", "name"),
    "willy": ("willy@corp.example", "address"),
    "wim": ("wim@corp.example", "name"),
}


@pytest.fixture(scope="module")
def wrong_passwords(lab: Lab) -> Mapping[str, tuple[Answer, int]]:
    """What one call says each account, and how many tries the domain has counted since."""
    by = {"address": lab.member.address, "name": lab.member.dns_name}
    jobs: list[Job] = [
        (by[how], Who(typed, "quite-wrong-6251"), [("list", {})]) for typed, how in WRONG.values()
    ]
    answers = libraries(lab, *jobs)
    counts = lab.ask_accounts(*({"do": "wrong_tries", "name": name} for name in WRONG))
    return {
        name: (answer, count) for name, (answer,), count in zip(WRONG, answers, counts, strict=True)
    }


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_password_is_tried_once(
    wrong_passwords: Mapping[str, tuple[Answer, int]], name: str
) -> None:
    """Every try counts towards locking the account; a UPN is not even counted by Samba 4.17."""
    assert wrong_passwords[name][1] == ("@" not in WRONG[name][0])


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_password_is_called_so(
    wrong_passwords: Mapping[str, tuple[Answer, int]], name: str
) -> None:
    answer = wrong_passwords[name][0]
    assert answer["kinds"][:2] == ["LogonFailed", "AccessDenied"], answer
    assert answer["status"] == 1326
    assert "password" in answer["text"]


# -- accounts that may not ------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["CORP\\alice", "alice@corp.example"])
def test_a_user_who_is_no_administrator(lab: Lab, typed: str) -> None:
    alice = password_of(lab.people["alice"], typed)
    calls: list[Call] = [
        ("list", {}),
        ("list", {"level": 0}),
        ("show", {"client": "10.77.0.30", "user": "CORP\\bob"}),
        ("delete", {"user": "CORP\\bob"}),
    ]
    for answer in library(lab, lab.member, *calls, who=alice):
        assert answer["status"] == 5, answer
        assert answer["kinds"][0] == "AccessDenied"
        assert "PermissionError" in answer["kinds"]
        assert "Administrators" in answer["text"]


def test_a_user_with_a_ticket_who_is_no_administrator(lab: Lab) -> None:
    alice = kinit(lab, lab.people["alice"], "alice")
    done = command(lab, "list", lab.member.dns_name, who=alice)
    assert (done.returncode, done.stdout) == (1, "")
    assert "ERROR_ACCESS_DENIED" in done.stderr
    assert "Administrators" in done.stderr


NO_LOGON = {
    "dora": (1331, "ERROR_ACCOUNT_DISABLED"),
    "enno": (1793, "ERROR_ACCOUNT_EXPIRED"),
    "mia": (1907, "ERROR_PASSWORD_MUST_CHANGE"),
    "linus": (1909, "ERROR_ACCOUNT_LOCKED_OUT"),
}


@pytest.fixture(scope="module")
def no_logon(lab: Lab) -> Mapping[str, list[Answer]]:
    """What is said, by address and by name, to accounts that may not log on."""
    wrong = Who(lab.people["linus"].full_name, "quite-wrong-6251")
    libraries(lab, *[(lab.member, wrong, [("list", {})])] * LOCK_AFTER)
    jobs: list[Job] = [
        (server, password_of(lab.people[name], typed), [("list", {})])
        for name in NO_LOGON
        for server, typed in (
            (lab.member.address, None),
            (lab.member.dns_name, None),
            # where Kerberos would be the first choice: NTLM's answer is told all the same
            (lab.member.dns_name, lab.people[name].upn),
        )
    ]
    told: dict[str, list[Answer]] = {name: [] for name in NO_LOGON}
    for job, (answer,) in zip(jobs, libraries(lab, *jobs), strict=True):
        assert job[1].typed is not None
        told[job[1].typed.removeprefix("CORP\\").partition("@")[0]].append(answer)
    return told


@pytest.mark.parametrize("name", NO_LOGON)
def test_an_account_that_may_not_log_on(no_logon: Mapping[str, list[Answer]], name: str) -> None:
    for answer in no_logon[name]:
        assert answer["kinds"][:2] == ["LogonFailed", "AccessDenied"], answer
        assert (answer["status"], NO_LOGON[name][1] in answer["text"]) == (NO_LOGON[name][0], True)


@pytest.mark.parametrize("name", NO_LOGON)
def test_what_to_do_about_it(no_logon: Mapping[str, list[Answer]], name: str) -> None:
    """Beyond naming the status, as Win32 and as NTSTATUS."""
    for text in (answer["text"] for answer in no_logon[name]):
        rest = re.sub(r"NetSessionEnum on .*? failed: \w+, status \d+\.", "", text)
        rest = re.sub(r"The server answered (with NTSTATUS )?\w+( \(0x\w+\))?\.?", "", rest)
        assert rest.strip()
