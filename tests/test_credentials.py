"""Who logs on: what pyspnego makes of the credentials is the same, with fewer hashes.

The rest is a contract with pyspnego, whose own acceptor judges: whatever of its inside is relied
on is used here as the product uses it.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
import os
import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("smbprotocol")

import spnego
from spnego import _gss, _ntlm

import smb_server
from netsession.errors import LogonFailed
from netsession.srvsvc import SrvsvcClient, credentials
from netsession.srvsvc.credentials import Credentials, for_spnego
from netsession.srvsvc.ntlm_name import ntlm_name

pytestmark = pytest.mark.skipif(os.name == "nt", reason="on Windows SSPI does the hashing")

ENUM = 12
PATIENCE = 60.0  # a hang guard
USER = "CORP\\großmann"
# Short, of exactly the 14 characters that LM hashes, longer, not ASCII, not of the BMP, empty.
PASSWORDS = ["s3cret", "fourteen chars", "x" * 128, "pässwörd ñ ß 山", "\U0001f600 smile", ""]
HASHES = "aad3b435b51404eeaad3b435b51404ee:8ADB9B997580D69E69CAA2BBB68F4697"
_IN_PYTHON = spnego.NegotiateOptions.use_ntlm


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LM_COMPAT_LEVEL", raising=False)
    monkeypatch.setenv("NETBIOS_COMPUTER_NAME", "HERE")


@pytest.fixture
def lm_hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What pyspnego makes LM hashes of, from here on."""
    made: list[str] = []
    original = _ntlm.lmowfv1

    def lmowfv1(password: str) -> bytes:
        made.append(password)
        return bytes(original(password))

    monkeypatch.setattr(_ntlm, "lmowfv1", lmowfv1)
    return made


@pytest.fixture
def acceptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Any]:
    """A server of pyspnego's that knows one user."""

    def make(user: str, password: str) -> Any:
        users = tmp_path / "users"
        domain, name = user.split("\\")
        users.write_text(f"{domain}:{name}:{password}", encoding="utf-8")
        monkeypatch.setenv("NTLM_USER_FILE", str(users))
        return spnego.server(protocol="ntlm", options=_IN_PYTHON)

    return make


def _client(username: Any, password: str | None) -> Any:
    return spnego.client(username, password, "fs01", "cifs", protocol="ntlm", options=_IN_PYTHON)


def _answer(client: Any, challenge: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, bytes]:
    """The AUTHENTICATE_MESSAGE and the key, whatever is random in them being the same."""
    with monkeypatch.context() as patched:
        patched.setattr(os, "urandom", lambda size: bytes(range(size)))
        return client.step(challenge), client.session_key


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("user", ["CORP\\alice", "alice@corp.example", "alice", USER])
def test_the_answer_is_the_one_of_the_password(
    user: str,
    password: str,
    acceptor: Callable[[str, str], Any],
    lm_hashes: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = ntlm_name(user)
    server = acceptor("CORP\\somebody", "else")
    ours = _client(*for_spnego(name, password))
    assert lm_hashes == []
    theirs = _client(name, password)
    assert lm_hashes == [password]  # why all this is done
    offer = ours.step()
    assert offer == theirs.step()
    challenge = server.step(offer)
    answers = [_answer(client, challenge, monkeypatch) for client in (ours, theirs)]
    assert answers[0] == answers[1]
    assert lm_hashes == [password]


@pytest.mark.parametrize("password", [p for p in PASSWORDS if p])
def test_pyspnego_accepts_it(
    password: str, acceptor: Callable[[str, str], Any], lm_hashes: list[str]
) -> None:
    server = acceptor("CORP\\alice", password)
    client = _client(*for_spnego(ntlm_name("corp\\Alice"), password))
    server.step(client.step(server.step(client.step())))
    assert server.complete
    assert client.session_key == server.session_key
    assert len(client.session_key) == 16


def test_a_wrong_password_is_still_wrong(acceptor: Callable[[str, str], Any]) -> None:
    server = acceptor("CORP\\alice", "right")
    client = _client(*for_spnego(ntlm_name("CORP\\alice"), "Right"))
    with pytest.raises(spnego.exceptions.InvalidTokenError):
        server.step(client.step(server.step(client.step())))


@pytest.mark.parametrize(
    ("user", "password"),
    [(None, None), ("alice", None), ("alice", HASHES), ("alice", HASHES.upper())],
)
def test_what_is_left_to_pyspnego(user: str | None, password: str | None) -> None:
    """Tickets; a pair of hashes, which must not be shown to a Kerberos realm as a password."""
    name = ntlm_name(user)
    assert for_spnego(name, password) == (name, password)


@pytest.mark.parametrize("level", ["0", "1", "2", "3", "5"])
def test_whoever_sets_the_level_of_ntlm_has_the_hashes_for_it(
    level: str, monkeypatch: pytest.MonkeyPatch, lm_hashes: list[str]
) -> None:
    monkeypatch.setenv("LM_COMPAT_LEVEL", level)
    _client(*for_spnego(ntlm_name(USER), "s3cret"))
    assert lm_hashes == ["s3cret"]


def test_on_windows_it_is_left_to_sspi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert for_spnego("alice", "s3cret") == ("alice", "s3cret")


def test_another_pyspnego_is_told_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_TAKES_A_HASH", False)
    assert for_spnego("alice", "s3cret") == ("alice", "s3cret")


def test_kerberos_has_the_password_and_is_asked_first() -> None:
    """Negotiating, pyspnego gives the list to each protocol, which takes what is for it."""
    given, nothing = for_spnego(ntlm_name("alice@CORP.EXAMPLE"), "s3cret")
    assert nothing is None
    for_kerberos, for_ntlm = spnego._credential.unify_credentials(
        given, None, required_protocol="kerberos"
    )
    assert isinstance(for_kerberos, spnego.Password)  # what pyspnego's GSSAPI part looks for
    assert (for_kerberos.username, for_kerberos.password) == ("alice@CORP.EXAMPLE", "s3cret")
    assert for_kerberos.supported_protocols == ["kerberos"]
    assert for_ntlm.supported_protocols == ["ntlm"]
    assert spnego._sspi.SSPIProxy.available_protocols() == []


@pytest.mark.skipif(importlib.util.find_spec("krb5") is None, reason="needs the Kerberos libraries")
def test_the_realm_is_asked_with_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[bytes, bytes, bool]] = []

    def kinit(username: bytes, password: bytes, is_keytab: bool, **_: object) -> None:
        asked.append((username, password, is_keytab))
        raise RuntimeError("no realm here")

    monkeypatch.setattr(_gss, "_kinit", kinit)
    username, password = for_spnego(ntlm_name("zoë@CORP.EXAMPLE"), "pässwörd")
    client = spnego.client(username, password, "fs01", "cifs", protocol="negotiate")
    assert client.step()  # goes on with NTLM
    assert asked == [("zoë@CORP.EXAMPLE".encode(), "pässwörd".encode(), False)]


# -- over a connection -----------------------------------------------------------------------------


@pytest.fixture
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server whose user may have another name."""
    monkeypatch.setattr(smb_server, "USER", getattr(request, "param", smb_server.USER))
    with smb_server.SmbServer() as server:
        yield server
    assert not server.errors, server.errors


def _ask(server: Any, password: str = smb_server.PASSWORD) -> bytes:
    client = SrvsvcClient(
        smb_server.HOST,
        port=server.port,
        username=smb_server.USER,
        password=password,
        timeout=PATIENCE,
    )
    try:
        return client.call(ENUM, bytes(40))
    finally:
        client.close()


def test_a_logon_gives_ntlm_the_hash(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The acceptor, in the same process, makes LM hashes: what it is given is no Password."""
    given: list[type] = []
    original = _ntlm._NTLMCredential.__init__

    def init(self: Any, credential: Any = None) -> None:
        given.append(type(credential))
        original(self, credential)

    monkeypatch.setattr(_ntlm._NTLMCredential, "__init__", init)
    assert _ask(server) == bytes(4)
    assert given.count(spnego.NTLMHash) == 1
    assert spnego.Password not in given


# Windows upcases these, Samba's table, which is that of Windows XP, does not. pyspnego's acceptor
# says a build as Windows does, and upcases as Python, which for these two is as Windows.
@pytest.mark.parametrize("server", ["LIAR\\ƀoɐz"], indirect=True)
def test_a_server_that_is_windows_upcases_by_its_own_table(server: Any) -> None:
    assert _ask(server) == bytes(4)


# -- secrets ---------------------------------------------------------------------------------------


def test_credentials_do_not_tell_the_password() -> None:
    who = Credentials("alice", "s3cret")
    assert (who.username, who.password) == ("alice", "s3cret")
    assert repr(who) == str(who) == "Credentials('alice')"
    for write_down in (*(_pickler(p) for p in range(6)), copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled") as caught:
            write_down(who)
        assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def _pickler(protocol: int) -> Callable[[object], bytes]:
    return lambda value: pickle.dumps(value, protocol)


def test_what_pyspnego_gets_does_not_print_it() -> None:
    given, _ = for_spnego(ntlm_name("alice"), "s3cret")
    nt_hash = given[1].nt_hash
    assert len(nt_hash) == 32
    for text in (repr(given), str(given)):
        assert "alice" in text
        assert "s3cret" not in text
        assert nt_hash.lower() not in text.lower()


def test_nothing_that_is_logged_or_raised_tells_it(
    server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    password = "wr0ng-and-secret"
    with pytest.raises(LogonFailed) as caught:
        _ask(server, password)
    said = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "alice" in said
    assert password not in said
    assert for_spnego(ntlm_name("alice"), password)[0][1].nt_hash not in said.lower()
