"""Names as Samba compares and hashes them: its own comparison, and logons to a real smbd."""

# ruff: noqa: RUF001 - letters that look alike are what it is about

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from ask import server_of
from netsession import LogonFailed, _netsession
from netsession.srvsvc.ntlm_name import SAMBA_TABLE
from smbd import PATIENCE, SAMBA_PYTHON, Smbd, User

#: Sorts all units of the BMP by Samba's comparison, so that equal ones are neighbours.
_CLASSES = """
import functools, json, samba
compare = samba.strcasecmp_m
units = [chr(u) for u in range(1, 0x10000) if not 0xD800 <= u < 0xE000]
units.sort(key=functools.cmp_to_key(compare))
classes = [units[:1]]
for before, unit in zip(units, units[1:]):
    if compare(before, unit):
        classes.append([])
    classes[-1].append(unit)
print(json.dumps([sorted(map(ord, units)) for units in classes]))
"""


def test_the_whole_bmp_is_compared_as_samba_does() -> None:
    """All pairs: the classes of equal units are the same, and no unit is in two of them."""
    done = subprocess.run(
        [SAMBA_PYTHON, "-c", _CLASSES], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    theirs = json.loads(done.stdout)
    ours: dict[str, list[int]] = {}
    for unit in range(1, 0x10000):
        if not 0xD800 <= unit < 0xE000:
            ours.setdefault(_netsession.upcase(chr(unit), SAMBA_TABLE), []).append(unit)
    assert sum(map(len, theirs)) == 0xFFFF - 0x800
    assert sorted(theirs) == sorted(ours.values())
    assert sum(len(units) > 1 for units in theirs) > 500


def test_whole_names_are_compared_as_samba_does() -> None:
    names = ["großmann", "GROSSMANN", "GROßMANN", "ırmak", "IRMAK", "µwe", "ΜWE", "ŉame", "ʼNAME",
             "ﬁnn", "FINN", "zoë", "ZOË", "ștefan", "ȘTEFAN", "ςigma", "ΣIGMA", "σigma", "😀a",
             "😀A", "\U00010428", "\U00010400", "a", "ab", ""]  # fmt: skip
    code = (
        "import json, samba, sys; n = json.load(sys.stdin);"
        "print(json.dumps([[samba.strcasecmp_m(a, b) == 0 for a in n] for b in n]))"
    )
    done = subprocess.run(
        [SAMBA_PYTHON, "-c", code],
        input=json.dumps(names), capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    ours = [
        [bool(_netsession.same_tables(left, right) & SAMBA_TABLE) for left in names]
        for right in names
    ]
    assert json.loads(done.stdout) == ours


# --- logons ---------------------------------------------------------------------------------------

_FAILED = "FAILED with error NT_STATUS_WRONG_PASSWORD"

#: Names whose ``str.upper()`` is not Samba's, and two for which it is.
NAMES = ("großmann", "ırmak", "µwe", "ŉame", "ﬁnn", "ștefan", "ǆordan", "zoë", "ΣIGMAς")


@pytest.fixture(scope="module")
def smbd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Smbd]:
    """An smbd that knows those names, all as its administrator.

    ``username map`` renames the account after the client has named it; what NTLM hashes stays the
    client's name, as it does for an account of that name.
    """
    users = tmp_path_factory.mktemp("names") / "users.map"
    users.touch()
    with Smbd({"username map": str(users), "log level": "1 auth:2"}) as smbd:
        users.write_text(
            "".join(f"{smbd.admin.name} = {name}\n" for name in NAMES), encoding="utf-8"
        )
        yield smbd


@pytest.mark.parametrize("name", NAMES)
def test_logging_on(smbd: Smbd, name: str) -> None:
    with server_of(smbd, User(name, smbd.admin.password)) as server:
        assert smbd.admin.name in {record.user_name for record in server.sessions(level=1)}


def test_logging_on_with_a_domain(smbd: Smbd) -> None:
    with server_of(smbd, User("NSTEST\\großmann", smbd.admin.password)) as server:
        assert list(server.sessions(level=1))


def test_a_wrong_password_is_tried_once(smbd: Smbd) -> None:
    """No second spelling is tried: each counts towards locking the account."""
    before = smbd.log.count(_FAILED)
    with server_of(smbd, User("großmann", "wrong")) as server, pytest.raises(LogonFailed):
        list(server.sessions())
    assert smbd.log.count(_FAILED) - before == 1
