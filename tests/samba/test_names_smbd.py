"""Names as Samba compares and hashes them: its own comparison, and logons to a real smbd."""

# ruff: noqa: RUF001 - letters that look alike are what it is about

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from ask import server_of
from endpoint import Endpoint, Script
from ndr_reference import Row
from netsession import (
    AccessDenied,
    AmbiguousName,
    LogonFailed,
    Server,
    SessionNotFound,
    _netsession,
    win32net,
)
from netsession.srvsvc.ntlm_name import SAMBA_TABLE
from rows import make_rows
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


# --- what is asked and sent -----------------------------------------------------------------------


@pytest.fixture
def server(endpoint_smbd: Smbd) -> Iterator[Server]:
    with server_of(endpoint_smbd) as server:
        yield server


def listed(*names: tuple[str, str]) -> list[Row]:
    rows = make_rows(1, len(names))
    for row, (client, user) in zip(rows, names, strict=True):
        row |= {"client_name": client, "user_name": user}
    return rows


MEMBER = listed(("10.1.2.3", "CORP\\alice"), ("10.1.2.4", "CORP\\bob"), ("::1", "CORP\\zoë"))
STANDALONE = listed(("10.1.2.3", "alice"), ("10.1.2.4", "bob"), ("::1", "zoë"))


@pytest.mark.parametrize("rows", [MEMBER, STANDALONE], ids=["member", "standalone"])
@pytest.mark.parametrize("filters", [True, False], ids=["applied", "ignored"])
@pytest.mark.parametrize(
    "typed", ["alice", "ALICE", "CORP\\alice", "corp\\Alice", "alice@corp.example"]
)
def test_a_user_is_found_shown_and_ended(
    endpoint: Endpoint, server: Server, rows: list[Row], filters: bool, typed: str
) -> None:
    endpoint.script = Script(rows={1: rows}, filters=filters)
    spelled = rows[0]["user_name"]
    assert [record.user_name for record in server.sessions(user=typed)] == [spelled]
    assert server.session("10.1.2.3", typed).user_name == spelled
    server.delete_sessions(user=typed)
    server.delete_sessions(client="10.1.2.3", user=typed)
    sent = [(request.client, request.user) for request in endpoint.deletes]
    by_case = typed if str(spelled) == typed else spelled
    assert sent == [(None, by_case), ("\\\\10.1.2.3", by_case)]


@pytest.mark.parametrize(
    "typed", ["OTHER\\alice", "alice@other.example", ".\\alice", "alic", "malice"]
)
def test_another_account_is_not(endpoint: Endpoint, server: Server, typed: str) -> None:
    endpoint.script = Script(rows={1: MEMBER}, filters=False)
    assert list(server.sessions(user=typed)) == []
    for ask in (
        lambda: server.session("10.1.2.3", typed),
        lambda: server.delete_sessions(user=typed),
        lambda: server.delete_sessions(client="10.1.2.3", user=typed),
    ):
        with pytest.raises(SessionNotFound):
            ask()
    assert endpoint.deletes == []


def test_two_accounts_of_a_name(endpoint: Endpoint, server: Server) -> None:
    rows = listed(("10.1.2.3", "CORP\\alice"), ("10.1.2.3", "OTHER\\alice"), ("10.1.2.4", "alice"))
    endpoint.script = Script(rows={1: rows}, filters=False)
    assert len(list(server.sessions(user="alice"))) == 3
    for ask, function in (
        (lambda: server.delete_sessions(user="alice"), "NetSessionDel"),
        (lambda: server.session("10.1.2.3", "alice"), "NetSessionGetInfo"),
    ):
        with pytest.raises(AmbiguousName, match=r"CORP\\alice, OTHER\\alice") as caught:
            ask()
        assert caught.value.function == function
        assert caught.value.candidates[:2] == ("CORP\\alice", "OTHER\\alice")
        assert (caught.value.status, caught.value.server) == (87, "127.0.0.1")
    assert endpoint.deletes == []
    server.delete_sessions(user=".\\alice")
    server.delete_sessions(user="OTHER\\alice")
    assert [request.user for request in endpoint.deletes] == ["alice", "OTHER\\alice"]


@pytest.mark.parametrize("typed", ["straße", "ștefan"])
def test_letters_of_which_servers_differ_are_never_ended(
    endpoint: Endpoint, server: Server, typed: str
) -> None:
    rows = listed(("10.1.2.3", typed.upper()), ("10.1.2.4", "STRASSE"))
    endpoint.script = Script(rows={1: rows}, filters=False)
    shown = [record.user_name for record in server.sessions(user=typed)]
    assert shown == (["ȘTEFAN"] if typed == "ștefan" else [])
    with pytest.raises((AmbiguousName, SessionNotFound)):
        server.delete_sessions(user=typed)
    assert endpoint.deletes == []


@pytest.mark.parametrize("denied", [frozenset({0, 1, 2, 10, 502}), frozenset()])
def test_where_listing_is_refused_the_typed_is_sent(
    endpoint: Endpoint, server: Server, denied: frozenset[int]
) -> None:
    """Refused for want of rights, or because no level is known."""
    endpoint.script = Script(denied=denied)
    plan = server.delete_sessions(client="\\\\WS17", user="CORP\\alice")
    assert not plan.listed
    assert server.delete_sessions(user="alice").targets == [(None, "alice")]
    sent = [(request.client, request.user) for request in endpoint.deletes]
    assert sent == [("\\\\WS17", "CORP\\alice"), (None, "alice")]


def test_a_host_name_means_its_addresses(endpoint: Endpoint, server: Server) -> None:
    rows = listed(("127.0.0.1", "a"), ("\\\\10.1.2.3", "b"), ("\\\\LOCALHOST", "c"), ("x", "d"))
    endpoint.script = Script(rows={1: rows}, filters=True)
    query = server.sessions(client="localhost")
    assert [record.user_name for record in query] == ["a", "c"]
    assert query.addresses == ("127.0.0.1",)
    plan = server.delete_sessions(client="localhost")
    assert plan.addresses == ("127.0.0.1",)
    sent = [(request.client, request.user) for request in endpoint.deletes]
    assert sent == plan.targets == [("\\\\127.0.0.1", None), ("\\\\LOCALHOST", None)]


@pytest.mark.parametrize("typed", ["[::1]", "::1", "\\\\[::1]", "0:0::0001"])
def test_an_ipv6_client_is_ended_on_samba(typed: str) -> None:
    with Smbd() as smbd:
        if not smbd.has_ipv6:
            pytest.skip("this machine has no ::1")
        with server_of(smbd) as server, server_of(smbd, smbd.others[0], name="::1") as other:
            with pytest.raises(AccessDenied):
                list(other.sessions())  # to be there
            assert server.session(typed, smbd.others[0].name).client == "::1"
            server.delete_sessions(client=typed)
            smbd.wait_for_connections(1)
            assert list(server.sessions(client=typed)) == []


@pytest.mark.parametrize("level", [0, 1, 10])
def test_win32net_keeps_to_exact_names(
    endpoint: Endpoint, endpoint_smbd: Smbd, monkeypatch: pytest.MonkeyPatch, level: int
) -> None:
    monkeypatch.setattr(win32net, "_server", lambda name: server_of(endpoint_smbd))
    rows = {each: [{**row, "client_type": ""} for row in MEMBER] for each in (1, 10)}
    endpoint.script = Script(rows=rows, filters=False)
    get_info = win32net.NetSessionGetInfo
    assert get_info(level, "fs", "\\\\10.1.2.3", "corp\\ALICE")["client_name"] == "10.1.2.3"
    assert endpoint.enums[0].client == "\\\\10.1.2.3"
    assert endpoint.enums[0].user == "corp\\ALICE"
    for client, user in (("\\\\10.1.2.3", "alice"), ("\\\\10.1.2.4", "CORP\\alice")):
        with pytest.raises(win32net.error) as caught:
            get_info(level, "fs", client, user)
        assert caught.value.winerror == 2312
    win32net.NetSessionDel("fs", None, "alice")
    assert [(request.client, request.user) for request in endpoint.deletes] == [(None, "alice")]
    with pytest.raises(win32net.error) as refused:
        get_info(502, "fs", "\\\\10.1.2.3", "CORP\\alice")
    assert refused.value.winerror == 124
