"""netsession.Server against smbd and its own srvsvc, as Debian installs it."""

from __future__ import annotations

import os
import signal
import traceback
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import netsession
from ask import server_of
from netsession import SessionInfo0, SessionInfo1
from proxy import Proxy
from samba_peer import SambaPeer
from sessions import connect, open_sessions, set_up
from smbd import Smbd, User


@pytest.fixture
def smbd() -> Iterator[Smbd]:
    """An smbd of the test's own, for exact counts."""
    with Smbd() as smbd:
        yield smbd


def who(sessions: Any) -> Counter[tuple[str | None, str | None]]:
    """How often each client and user occurs."""
    return Counter((session.client, session.user_name) for session in sessions)


def expected(*users: User) -> Counter[tuple[str | None, str | None]]:
    return Counter(("127.0.0.1", user.name) for user in users)


# -- listing --------------------------------------------------------------------------------------


def test_three_users_and_the_caller(smbd: Smbd) -> None:
    """Each on a connection of its own, as three machines would have."""
    connections = [connect(smbd) for _ in smbd.others]
    for connection, user in zip(connections, smbd.others, strict=True):
        set_up(connection, user)
    with server_of(smbd) as server:
        records = list(server.sessions())
        assert who(records) == expected(smbd.admin, *smbd.others)
        assert len(smbd.connections()) == len(smbd.others) + 1
        connections[0].disconnect(close=True)
        assert who(server.sessions()) == expected(smbd.admin, *smbd.others[1:])
    for connection in connections[1:]:
        connection.disconnect(close=True)
    for record in records:
        assert type(record) is SessionInfo1
        assert not record.is_guest
        assert record.transport is None


def test_several_users_on_one_connection(smbd: Smbd) -> None:
    users = [*smbd.users, *smbd.others, smbd.others[0]]
    with open_sessions(smbd, users), server_of(smbd) as server:
        assert who(server.sessions()) == expected(smbd.admin, *users)
        assert len(smbd.connections()) == 2


def test_the_same_as_samba_says(smbd: Smbd, samba_peer: SambaPeer) -> None:
    with open_sessions(smbd, smbd.users * 3), server_of(smbd) as server:
        assert list(server.sessions(level=1, user=smbd.admin.name))  # to be there as well
        samba_peer.connect(smbd)
        theirs = samba_peer.enum(1).rows or []
        ours = list(server.sessions(level=1))
        # Times move on between the two calls; the rest must be equal.
        fields = ("client_name", "user_name", "num_opens", "idle_time", "user_flags")
        assert Counter(tuple(row[name] for name in fields) for row in theirs) == Counter(
            tuple(getattr(record, name) for name in fields) for record in ours
        )
        assert len(ours) == 3 * len(smbd.users) + 2
        zero = list(server.sessions(level=0))
        assert Counter(zero) == Counter([SessionInfo0("127.0.0.1")] * len(ours))


def test_the_richest_level(real_smbd: Smbd) -> None:
    with server_of(real_smbd) as server:
        sessions = server.sessions()
        assert sessions.level is None
        records = list(sessions)
        assert sessions.level == 1
        assert server.sessions().level == 1
        assert {type(record) for record in records} == {SessionInfo1}


@pytest.mark.parametrize("level", [2, 10, 502])
def test_levels_that_samba_refuses(real_smbd: Smbd, level: int) -> None:
    with server_of(real_smbd) as server:
        with pytest.raises(netsession.InvalidLevel, match="level=None") as caught:
            list(server.sessions(level=level))
        assert caught.value.status == 124
        assert len(list(server.sessions(level=1))) == 1


def test_filters_that_samba_ignores(smbd: Smbd) -> None:
    one, two = smbd.others[:2]
    with open_sessions(smbd, [one, two, two]), server_of(smbd) as server:
        assert who(server.sessions(user=two.name.upper())) == expected(two, two)
        assert who(server.sessions(client="\\\\127.0.0.1", user=one.name)) == expected(one)
        assert list(server.sessions(client="10.1.2.3")) == []
        assert len(list(server.sessions(level=0, client="127.0.0.1"))) == 4


def test_one_session(smbd: Smbd) -> None:
    with open_sessions(smbd, smbd.others), server_of(smbd) as server:
        record = server.session("127.0.0.1", smbd.others[0].name)
        assert (record.client, record.user_name) == ("127.0.0.1", smbd.others[0].name)
        for client, user in (("127.0.0.1", "nobody there"), ("10.1.2.3", smbd.others[0].name)):
            with pytest.raises(netsession.SessionNotFound):
                server.session(client, user)


def test_a_list_of_many_reads(smbd: Smbd) -> None:
    """More than 64 KB, of which each READ brings a part; endpoints of ours serve 100,000."""
    users = [smbd.users[number % len(smbd.users)] for number in range(1500)]
    with open_sessions(smbd, users), server_of(smbd) as server:
        assert who(server.sessions()) == expected(smbd.admin, *users)
        assert len(list(server.sessions(level=0))) == 1501
        # smbd answers whole lists only, whatever length is preferred.
        assert who(server.sessions(page_bytes=4096)) == expected(smbd.admin, *users)
        assert len(smbd.connections()) == 2


# -- who may not ----------------------------------------------------------------------------------


def test_a_caller_who_is_no_administrator(real_smbd: Smbd) -> None:
    with server_of(real_smbd, real_smbd.others[0]) as server:
        for level in (None, 0, 1):
            with pytest.raises(netsession.AccessDenied, match="Administrators") as caught:
                list(server.sessions(level=level))
            assert caught.value.status == 5
            assert not isinstance(caught.value, netsession.LogonFailed)
            assert isinstance(caught.value, PermissionError)


@pytest.mark.parametrize("name", [None, "no-such-user-here"])
def test_a_wrong_password(real_smbd: Smbd, name: str | None) -> None:
    wrong = User(name or real_smbd.admin.name, "not the password")
    with Proxy(real_smbd) as proxy:
        server = server_of(real_smbd, wrong, port=proxy.port)
        with pytest.raises(netsession.LogonFailed) as caught:
            list(server.sessions())
        assert caught.value.status == 1326
        # Once: every further try counts towards locking the account.
        assert proxy.connections == 1
        with pytest.raises(netsession.LogonFailed):
            server.delete_sessions(user="nobody there")
        server.close()


@pytest.mark.parametrize("right", [True, False])
def test_passwords_are_not_told(real_smbd: Smbd, right: bool) -> None:
    secret = real_smbd.others[0].password if right else "quite-wrong-6251"
    server = server_of(real_smbd, User(real_smbd.others[0].name, secret))
    with pytest.raises(netsession.AccessDenied) as caught:
        list(server.sessions())
    error = caught.value
    told = [str(error), repr(error), repr(error.args), repr(vars(error)), repr(server)]
    told += traceback.format_exception(error)
    assert not [text for text in told if secret in text]
    server.close()


# -- how it travels -------------------------------------------------------------------------------

PROTOCOLS = {
    "2.0.2": {"server max protocol": "SMB2_02"},
    "2.1": {"server max protocol": "SMB2_10"},
    "3.0": {"server max protocol": "SMB3_00"},
    "3.0.2": {"server max protocol": "SMB3_02"},
    "3.1.1": {"server min protocol": "SMB3_11"},
    "signing mandatory": {"server signing": "mandatory"},
    "encryption required": {"server smb encrypt": "required"},
    "encryption required by IPC$ only": {"server smb encrypt": "desired"},
    "encrypted 3.0": {"server smb encrypt": "required", "server max protocol": "SMB3_00"},
    "encrypted with AES-128-CCM": {
        "server smb encrypt": "required",
        "server smb3 encryption algorithms": "AES-128-CCM",
    },
    "encrypted with AES-256-GCM": {
        "server smb encrypt": "required",
        "server smb3 encryption algorithms": "AES-256-GCM",
    },
    "signed with HMAC-SHA256": {"server smb3 signing algorithms": "HMAC-SHA256"},
    "signed with AES-128-CMAC": {"server smb3 signing algorithms": "AES-128-CMAC"},
}


@pytest.mark.parametrize("options", PROTOCOLS.values(), ids=PROTOCOLS)
def test_protocols(options: dict[str, str]) -> None:
    with (
        Smbd(options) as smbd,
        open_sessions(smbd, smbd.others, encrypt="encrypted" in str(options)),
        server_of(smbd) as server,
    ):
        assert who(server.sessions()) == expected(*smbd.users)


def test_encryption_is_used_where_required() -> None:
    with Smbd({"server smb encrypt": "required"}) as smbd, Proxy(smbd) as proxy:
        with server_of(smbd, port=proxy.port) as server:
            assert len(list(server.sessions())) == 1
        seen = b"".join(proxy.messages)
        assert smbd.admin.name.encode("utf-16-le") in seen  # in the logon
        assert "srvsvc".encode("utf-16-le") not in seen


def test_encryption_that_the_server_cannot() -> None:
    with Smbd({"server max protocol": "SMB2_10"}) as smbd:
        with (
            server_of(smbd, encrypt=True) as server,
            pytest.raises(netsession.NetApiError, match="encrypt"),
        ):
            list(server.sessions())
        with server_of(smbd) as server:
            assert len(list(server.sessions())) == 1


@pytest.mark.parametrize(
    ("name", "client"),
    [("127.0.0.1", "127.0.0.1"), ("\\\\127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("[::1]", "::1")],
)
def test_addresses(real_smbd: Smbd, name: str, client: str) -> None:
    if ":" in name and not real_smbd.has_ipv6:
        pytest.skip("this machine has no ::1")
    with server_of(real_smbd, name=name) as server:
        assert who(server.sessions()) == Counter({(client, real_smbd.admin.name): 1})
        (record,) = server.sessions(client=f"\\\\[{client}]" if ":" in client else client)
        assert record.client == client


def test_a_name(real_smbd: Smbd) -> None:
    with server_of(real_smbd, name="localhost") as server:
        (record,) = server.sessions()
        assert record.client in ("127.0.0.1", "::1")
        assert record.user_name == real_smbd.admin.name


def test_nobody_listens(smbd: Smbd) -> None:
    smbd.kill()
    with server_of(smbd) as server:
        with pytest.raises(netsession.ServerUnreachable, match=r"127\.0\.0\.1") as caught:
            list(server.sessions())
        assert isinstance(caught.value, ConnectionError)


# -- going away -----------------------------------------------------------------------------------


def test_a_server_that_comes_back(smbd: Smbd) -> None:
    with server_of(smbd) as server:
        assert len(list(server.sessions())) == 1
        smbd.kill_connections()
        assert len(list(server.sessions())) == 1
        smbd.kill()
        smbd.start()
        assert len(list(server.sessions())) == 1


@pytest.mark.parametrize("ntstatus", [0xC0000203, 0xC000035C])
def test_a_session_that_ended_while_the_connection_stays(real_smbd: Smbd, ntstatus: int) -> None:
    """USER_SESSION_DELETED, NETWORK_SESSION_EXPIRED: what is only read is asked anew."""
    ended = [False]

    def tamper(message: bytes) -> bytes:
        if not ended[0]:
            return message
        ended[0] = False
        # An error reply of [MS-SMB2] 2.2.2, not signed: the server has no key any more.
        head = message[:8] + ntstatus.to_bytes(4, "little") + message[12:16] + b"\1\0\0\0"
        return head + message[20:48] + bytes(16) + b"\x09\0" + bytes(7)

    # Nobody's: Samba refuses it once it is asked.
    plan = netsession.DeletePlan(None, "x", [(None, "nobody there")], [])
    with Proxy(real_smbd, tamper) as proxy, server_of(real_smbd, port=proxy.port) as server:
        assert list(server.sessions())
        ended[0] = True
        assert list(server.sessions())
        assert proxy.connections == 2
        ended[0] = True
        with pytest.raises(netsession.ConnectionLost) as caught:
            server.delete_sessions(plan=plan)
        assert (caught.value.maybe_done, caught.value.ntstatus) == (True, ntstatus)
        assert proxy.connections == 2
        assert list(server.sessions())
        ended[0] = True  # now it is the listing that a delete begins with
        with pytest.raises(netsession.SessionNotFound):
            server.delete_sessions(user="nobody there")


def test_a_frozen_server(smbd: Smbd) -> None:
    """It accepts connections, as the kernel does that for it, and says nothing."""
    smbd.stop()
    with server_of(smbd, timeout=0.5) as server:
        with pytest.raises(netsession.CallTimeout) as caught:
            list(server.sessions())
        assert isinstance(caught.value, TimeoutError)
    smbd.cont()
    with server_of(smbd) as server:
        assert len(list(server.sessions(user=smbd.admin.name))) >= 1


# -- ending sessions ------------------------------------------------------------------------------


def test_ending_one_of_three_users(smbd: Smbd) -> None:
    """The others stay: they are on connections of their own."""
    victim, *others = smbd.others
    connections = {user.name: connect(smbd) for user in smbd.others}
    for user in smbd.others:
        set_up(connections[user.name], user)
    with server_of(smbd) as server:
        server.delete_sessions(user=victim.name)
        # smbd answers before the process of the session has ended.
        smbd.wait_for_connections(len(others) + 1)
        assert who(server.sessions()) == expected(smbd.admin, *others)
        with pytest.raises(netsession.SessionNotFound):
            server.session("127.0.0.1", victim.name)
    for user in others:
        connections[user.name].disconnect(close=True)
    connections[victim.name].disconnect(close=False)


def test_ending_what_is_not_there(real_smbd: Smbd) -> None:
    """Samba would say "access denied" where nothing matches; its list says more, and is asked."""
    with server_of(real_smbd) as server:
        with pytest.raises(netsession.SessionNotFound) as caught:
            server.delete_sessions(user="nobody there")
        assert caught.value.function == "NetSessionDel"
        assert len(list(server.sessions())) == 1


def test_ending_after_the_connection_was_dropped(smbd: Smbd) -> None:
    """As idle ones are while somebody thinks about "End it? [y/N]": nothing was sent yet."""
    victim = smbd.others[0]
    connection = connect(smbd)
    set_up(connection, victim)
    smbd.wait_for_connections(1)
    theirs = set(smbd.connections())
    with server_of(smbd) as server:
        plan = server.plan_delete(user=victim.name)
        (ours,) = set(smbd.connections()) - theirs
        os.kill(ours, signal.SIGKILL)
        smbd.wait_for_connections(1)
        server.delete_sessions(plan=plan)
        smbd.wait_for_connections(1)
        assert who(server.sessions()) == expected(smbd.admin)
    connection.disconnect(close=False)


def test_ending_the_own_session(smbd: Smbd) -> None:
    """Samba ends the whole connection, so that no answer comes."""
    with server_of(smbd) as server:
        with pytest.raises(netsession.ConnectionLost) as caught:
            server.delete_sessions(user=smbd.admin.name)
        assert caught.value.maybe_done
        assert who(server.sessions()) == expected(smbd.admin)


def test_ending_as_somebody_else(real_smbd: Smbd) -> None:
    with (
        server_of(real_smbd, real_smbd.others[0]) as server,
        pytest.raises(netsession.AccessDenied),
    ):
        server.delete_sessions(user=real_smbd.admin.name)
