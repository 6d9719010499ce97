"""Who refuses, where, and what netsession says about it: real smbds set up to refuse."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import netsession
from ask import server_of
from netsession.errors import symbol_of
from netsession.srvsvc.ntstatuses import NTSTATUSES
from netsession.srvsvc.statuses import LINK_IS_GONE
from proxy import Proxy
from smbd import SAMBA_PYTHON, Smbd, User

NEGOTIATE, SESSION_SETUP = 0, 1
STATUS_NOT_FOUND = 0xC0000225
_HERE = "127.0.0.1 ::1"


def refusal_of(smbd: Smbd, user: User | None = None, **options: Any) -> netsession.NetApiError:
    """What one list at one level raises."""
    with (
        server_of(smbd, user, **options) as server,
        pytest.raises(netsession.NetApiError) as caught,
    ):
        list(server.sessions(level=1))
    return caught.value


# -- the step -------------------------------------------------------------------------------------

NO_ENCRYPTION = {"server smb encrypt": "required", "server max protocol": "SMB2_10"}
REFUSALS: dict[str, tuple[Mapping[str, str], Mapping[str, str], str, list[str]]] = {
    "encryption demanded of SMB 2.1": (
        NO_ENCRYPTION, {}, "logon", ["SMB 2.1 ", "without encryption", "SMB 3"],
    ),
    "encryption demanded of SMB 2.0.2": (
        {**NO_ENCRYPTION, "server max protocol": "SMB2_02"}, {}, "logon", ["SMB 2.0.2", "SMB 3"],
    ),
    "user not allowed": ({"invalid users": "{admin}"}, {}, "share", ["invalid users"]),
    "IPC$ closed to the user": ({}, {"invalid users": "{admin}"}, "share", ["invalid users"]),
    "IPC$ closed to this host": ({}, {"hosts deny": _HERE}, "share", ["hosts deny"]),
}  # fmt: skip


@pytest.fixture(params=REFUSALS.values(), ids=REFUSALS)
def refusing(request: pytest.FixtureRequest) -> Iterator[tuple[Smbd, str, list[str]]]:
    """An smbd that refuses, the step that it does it at, and what the text must say."""
    options, ipc, step, words = request.param
    smbd = Smbd(options, ipc=ipc)
    with smbd:
        yield smbd, step, words


def test_access_denied_says_where(refusing: tuple[Smbd, str, list[str]]) -> None:
    smbd, step, words = refusing
    error = refusal_of(smbd)
    assert type(error) is netsession.AccessDenied
    assert (error.status, error.step, error.ntstatus) == (5, step, 0xC0000022)
    for word in words:
        assert word in str(error)
    assert "Administrators" not in str(error)
    assert "STATUS_ACCESS_DENIED (0xC0000022)" in str(error)


def test_a_refused_connection_is_tried_once(refusing: tuple[Smbd, str, list[str]]) -> None:
    """Not once a level: it was not the call that was refused."""
    smbd, step, _ = refusing
    with Proxy(smbd) as proxy:
        server = server_of(smbd, port=proxy.port)
        for ask in (
            lambda: list(server.sessions()),
            lambda: server.session("127.0.0.1", "nobody there"),
            lambda: server.plan_delete(user="nobody there"),
            lambda: server.delete_sessions(user="nobody there"),
        ):
            before = proxy.connections, logons(proxy)
            with pytest.raises(netsession.AccessDenied) as caught:
                ask()
            assert (caught.value.step, caught.value.maybe_done) == (step, False)
            # A logon by NTLM is two SESSION_SETUP requests.
            assert (proxy.connections - before[0], logons(proxy) - before[1]) == (1, 2)
        server.close()


def logons(proxy: Proxy) -> int:
    """How many SESSION_SETUP requests have passed."""
    return sum(
        message[:4] == b"\xfeSMB" and message[12] == SESSION_SETUP and not message[16] & 1
        for message in proxy.messages
    )


def test_a_caller_who_is_no_administrator_is_refused_the_call(real_smbd: Smbd) -> None:
    error = refusal_of(real_smbd, real_smbd.others[0])
    assert (error.step, error.ntstatus) == ("call", None)
    assert "Administrators" in str(error)
    assert " failed: ERROR_ACCESS_DENIED" in str(error)


def test_ending_what_is_not_there_says_that_it_may_not_be_there(real_smbd: Smbd) -> None:
    """A plan that is out of date: the session was there when the list was asked for."""
    gone = netsession.DeletePlan(None, "gone", [(None, "nobody there")], [])
    with server_of(real_smbd) as server:
        with pytest.raises(netsession.SessionNotFound):
            server.delete_sessions(user="nobody there")
        with pytest.raises(netsession.AccessDenied) as caught:
            server.delete_sessions(plan=gone)
        assert caught.value.step == "call"
        assert "also Samba's answer where no such session is there" in str(caught.value)


def test_a_host_that_is_refused_before_anything() -> None:
    with Smbd({"hosts deny": _HERE}) as smbd, Proxy(smbd) as proxy:
        error = refusal_of(smbd, port=proxy.port)
        assert proxy.connections == 1
    assert type(error) is netsession.ServerUnreachable
    assert (error.status, error.step) == (1225, "negotiate")
    assert "refuses connections from this machine" in str(error)
    assert "hosts deny" in str(error)


@pytest.mark.parametrize("lowest", ["NT1", "LANMAN2"])
def test_a_server_of_smb_1_only(lowest: str) -> None:
    with Smbd({"server max protocol": "NT1", "server min protocol": lowest}) as smbd:
        error = refusal_of(smbd)
    assert type(error) is netsession.ServerUnreachable
    assert (error.status, error.step) == (384, "negotiate")
    assert "speaks SMB 1 only" in str(error)
    assert "try again" not in str(error)


def test_a_call_that_succeeds_after_a_refusal_was_refused_for_a_reason_of_its_own() -> None:
    """The step is that of the call at hand, not of the first."""
    with Smbd() as smbd, server_of(smbd) as server:
        assert list(server.sessions(level=1))
        with pytest.raises(netsession.InvalidLevel) as caught:
            list(server.sessions(level=502))
        assert caught.value.step == "call"
        smbd.kill()
        with pytest.raises(netsession.ServerUnreachable) as lost:
            list(server.sessions(level=1))
        assert lost.value.step == "connect"


# -- why no logon ---------------------------------------------------------------------------------


def test_ntlm_that_is_blocked() -> None:
    with Smbd({"ntlm auth": "disabled"}) as smbd:
        error = refusal_of(smbd)
    assert type(error) is netsession.LogonFailed
    assert (error.status, error.symbol) == (1937, "ERROR_NTLM_BLOCKED")
    assert (error.step, error.ntstatus) == ("logon", 0xC0000418)
    assert "Kerberos" in str(error)
    assert "netsession[kerberos]" in str(error)


#: What python3-samba can set of an account, and what the logon then answers.
ACCOUNTS = {
    "disabled": ("user.acct_ctrl |= 1", 1331, 0xC0000072, "disabled"),
    "locked": ("user.acct_ctrl |= 0x400", 1909, 0xC0000234, "locked"),
    "must change": ("user.pass_last_set_time = 0", 1907, 0xC0000224, "must be changed"),
    "expired": ("user.kickoff_time = 1", 1793, 0xC0000193, "expired"),
    "of other hours": ("user.hours = [0] * 21", 1328, 0xC000006F, "hour"),
    "of another machine": ("user.workstations = 'ELSEWHERE'", 1329, 0xC0000070, "this machine"),
}


@pytest.mark.parametrize(("change", "status", "ntstatus", "text"), ACCOUNTS.values(), ids=ACCOUNTS)
def test_accounts_that_may_not(change: str, status: int, ntstatus: int, text: str) -> None:
    with Smbd() as smbd:
        victim = smbd.others[0]
        change_account(smbd, victim, change)
        error = refusal_of(smbd, victim)
        assert refusal_of(smbd, smbd.others[1]).step == "call"  # the others may
    assert type(error) is netsession.LogonFailed
    assert (error.status, error.step, error.ntstatus) == (status, "logon", ntstatus)
    assert text in (error.advice or "")
    assert victim.password not in str(error)


def test_a_password_that_has_expired() -> None:
    with Smbd() as smbd:
        victim = smbd.others[0]
        change_account(smbd, victim, "user.pass_last_set_time = 1000")
        smbd._run("pdbedit", "-P", "maximum password age", "-C", "86400")
        error = refusal_of(smbd, victim)
    assert (error.status, error.ntstatus) == (1330, 0xC0000071)
    assert "change it first" in str(error)


def change_account(smbd: Smbd, user: User, change: str) -> None:
    """Runs a statement about ``user`` with Samba's own bindings to its password database."""
    program = f"""
from samba.samba3 import param, passdb
param.get_context().load({str(smbd.config)!r})
database = passdb.PDB({f"tdbsam:{smbd.directory}/private/passdb.tdb"!r})
user = database.getsampwnam({user.name!r})
{change}
database.update_sam_account(user)
"""
    subprocess.run([SAMBA_PYTHON, "-c", program], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def answers(real_smbd: Smbd) -> Iterator[tuple[Proxy, list[int]]]:
    """A proxy that replaces the final answer to a logon by the NTSTATUS in the list."""
    ntstatus = [0]

    def tamper(message: bytes) -> bytes:
        status = int.from_bytes(message[8:12], "little")
        if message[12:14] != b"\1\0" or status == 0xC0000016:
            return message
        # An error reply of [MS-SMB2] 2.2.2; before the session has a key it is not signed.
        flags = (int.from_bytes(message[16:20], "little") & ~8).to_bytes(4, "little")
        head = message[:8] + ntstatus[0].to_bytes(4, "little") + message[12:16] + flags
        return head + message[20:48] + bytes(16) + b"\x09\0" + bytes(7)

    with Proxy(real_smbd, tamper) as proxy:
        yield proxy, ntstatus


def test_every_ntstatus_as_the_answer_to_a_logon(
    real_smbd: Smbd, answers: tuple[Proxy, list[int]]
) -> None:
    proxy, wanted = answers
    unknown = [0xC0001234, 0xC000A999, 0x80001234]
    for ntstatus in (*NTSTATUSES, *unknown):
        wanted[0] = ntstatus
        before = proxy.connections
        error = refusal_of(real_smbd, port=proxy.port)
        win32, name = NTSTATUSES.get(ntstatus, (31, ""))
        if ntstatus == STATUS_NOT_FOUND:
            win32 = 1326  # Samba's word for the wrong password of a user@realm
        assert (error.status, error.step, error.ntstatus) == (win32, "logon", ntstatus)
        assert f"0x{ntstatus:08X}" in str(error)
        assert name in str(error)
        assert symbol_of(win32)
        assert error.advice
        assert not isinstance(error, (netsession.ConnectionLost, ValueError, LookupError))
        assert isinstance(error, netsession.ServerUnreachable) or ntstatus not in LINK_IS_GONE
        assert proxy.connections == before + 1


# -- the table ------------------------------------------------------------------------------------

#: Where Samba has no entry or another one, and why this one is right.
DIFFERENT = {
    "STATUS_FILE_CLOSED": "the pipe is gone, as with STATUS_PIPE_DISCONNECTED",
    "STATUS_NO_SUCH_DEVICE": "Samba's",
}


def test_names_and_statuses_are_samba_s_too() -> None:
    """Samba knows every name here; where it has a Win32 status of its own, it is the same."""
    program = """
import ctypes, samba.ntstatus, samba.param
names = {}
for name in dir(samba.ntstatus):
    if name.startswith("NT_STATUS_"):
        names.setdefault(getattr(samba.ntstatus, name) & 0xFFFFFFFF, []).append(name)
# Loaded by the bindings, from wherever this Samba keeps it.
with open("/proc/self/maps") as maps:
    path = next(line.split()[-1] for line in maps if "samba-errors" in line)
convert = ctypes.CDLL(path).ntstatus_to_werror
convert.restype, convert.argtypes = ctypes.c_uint32, [ctypes.c_uint32]
for number in sorted(names):
    print(number, convert(number), *names[number])
"""
    listed = subprocess.run(
        [SAMBA_PYTHON, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    theirs = {}
    for line in listed.stdout.splitlines():
        number, win32, *names = line.split()
        theirs[int(number)] = int(win32), names
    for ntstatus, (win32, name) in NTSTATUSES.items():
        their_win32, their_names = theirs[ntstatus]
        ours = name.replace("RPC_NT_", "STATUS_RPC_").replace("EPT_NT_", "STATUS_EPT_")
        assert f"NT_{ours}" in their_names
        # Without an entry of its own Samba takes the lower 16 bits.
        if their_win32 != ntstatus & 0xFFFF and name not in DIFFERENT:
            assert their_win32 == win32, name
