"""What docs/credentials.md says of keytabs and NT hashes, tried in the domain."""

from __future__ import annotations

from pathlib import Path

import pytest

from asking import Who, command, listed, names
from lab import SAMBA_PYTHON, Lab

ADMIN = "CORP\\administrator"
NO_LM = "aad3b435b51404eeaad3b435b51404ee"  # the LM hash of nothing
HASHED = """import sys
from samba.credentials import Credentials
who = Credentials()
who.set_password(sys.stdin.read())
print(bytes(who.get_nt_hash()).hex())"""


@pytest.fixture(scope="module")
def keytab(lab: Lab) -> Path:
    file = lab.directory / "admin.keytab"
    principal = f"--principal={lab.admin.principal}"
    lab.dc.must_run("samba-tool", "domain", "exportkeytab", str(file), principal)
    return file


def cache_of(lab: Lab, who: Who) -> dict[str, str]:
    return {"KRB5CCNAME": f"FILE:{lab.directory}/cache-{who.cache}"}


def test_kinit_with_a_keytab(lab: Lab, keytab: Path) -> None:
    who = Who(cache="keytab")
    kinit = ("kinit", "-k", "-t", str(keytab), lab.admin.principal)
    lab.client.must_run(*kinit, env=cache_of(lab, who))
    assert names(listed(lab, "fs01.corp.example", who=who)) == [ADMIN]


@pytest.mark.parametrize("cache", [{}, {"KRB5CCNAME": "MEMORY:netsession"}], ids=["file", "memory"])
def test_a_client_keytab_needs_no_kinit(lab: Lab, keytab: Path, cache: dict[str, str]) -> None:
    who = Who(cache="client-keytab")
    env = {"KRB5_CLIENT_KTNAME": f"FILE:{keytab}", **cache}
    done = command(lab, "list", "fs01.corp.example", who=who, env=env)
    assert done.returncode == 0, done.stderr
    assert ADMIN in done.stdout


def test_a_pair_of_hashes_in_place_of_the_password(lab: Lab) -> None:
    nt_hash = lab.client.must_run(SAMBA_PYTHON, "-c", HASHED, stdin=lab.admin.password).strip()
    for lm_hash in (NO_LM, "0" * 32):
        who = Who(lab.admin.full_name, f"{lm_hash}:{nt_hash}")
        assert names(listed(lab, "fs01.corp.example", who=who)) == [ADMIN]
    # The hash alone is taken for a password, and is none.
    done = command(lab, "list", "fs01.corp.example", who=Who(lab.admin.full_name, nt_hash))
    assert done.returncode == 1
    assert "STATUS_LOGON_FAILURE" in done.stderr
