"""What docs/security.md claims: that each claim has its tests, and the tests of some."""

from __future__ import annotations

import ast
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import netsession

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "security.md"

in_the_source_tree = pytest.mark.skipif(not DOCUMENT.exists(), reason="needs the source tree")


def _claims() -> dict[str, list[str]]:
    """The rows of the tables of claims, with the tests that they name."""
    rows: dict[str, list[str]] = {}
    are_claims = False
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        are_claims = line.startswith("| claim |") or (are_claims and line.startswith("|"))
        if are_claims and not line.startswith(("| claim |", "|---")):
            _, claim, tests, _ = line.split(" | ") if line.count(" | ") > 2 else line.split("|")
            rows[claim.strip()] = re.findall(r"`([^`]+)`", tests)
    return rows


@in_the_source_tree
def test_each_claim_names_its_tests() -> None:
    claims = _claims()
    assert len(claims) >= 22
    assert not [claim for claim, tests in claims.items() if not tests]


@in_the_source_tree
def test_each_test_that_is_named_is_there() -> None:
    named = {name for tests in _claims().values() for name in tests}
    named |= set(re.findall(r"`(tests/[^`]+)`", DOCUMENT.read_text(encoding="utf-8")))
    missing = [name for name in named if not _is_there(*name.split("::"))]
    assert not missing


def _is_there(file: str, test: str) -> bool:
    path = ROOT / file
    if not path.exists():
        return False
    functions = ast.parse(path.read_text(encoding="utf-8")).body
    return any(isinstance(each, ast.FunctionDef) and each.name == test for each in functions)


# -- claims that have no other place ---------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Any]:
    pytest.importorskip("smbprotocol", reason="asks over SMB: needs smbprotocol")
    from smb_server import SmbServer

    with SmbServer() as server:
        yield server
        assert server.errors == []


def _asked(server: Any, **options: Any) -> BaseException:
    """How asking it fails."""
    from smb_server import HOST, PASSWORD, USER

    asked = netsession.Server(HOST, port=server.port, username=USER, password=PASSWORD, **options)
    with asked, pytest.raises(netsession.NetApiError) as caught:
        list(asked.sessions())
    return caught.value


@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed by whatever"])
def test_a_server_that_does_not_know_the_password(
    server: Any, is_signed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that the logon is complete, as whoever only passes messages on could."""
    import smb_server
    from smb_server import LOGON_FAILURE, SESSION_SETUP, SIGNED, Raw

    def accept(command: int, reply: bytes) -> bytes:
        if command != SESSION_SETUP or struct.unpack_from("<I", reply, 8)[0] != LOGON_FAILURE:
            return reply
        flags = reply[16] | (SIGNED if is_signed else 0)
        token = bytes.fromhex("a1073005a0030a0100")  # NegTokenResp: accept-completed
        body = struct.pack("<HHHH", 9, 0, 72, len(token)) + token
        signature = bytes(range(16)) if is_signed else bytes(16)
        head = reply[:8] + bytes(4) + reply[12:16] + bytes([flags]) + reply[17:48]
        return Raw(head + signature + body)

    known = smb_server.PASSWORD
    users = server._users.read_text()
    server._users.write_text(users.replace(known, "another one"))
    server.tamper = accept
    error = _asked(server)
    assert isinstance(error, netsession.MalformedReply)
    assert "signature of the SMB logon reply" in str(error)
    assert max(server.commands) == SESSION_SETUP  # nothing was asked of it


def test_without_encryption_nobody_logs_on(server: Any) -> None:
    from smb_server import NEGOTIATE

    error = _asked(server, encrypt=True)
    assert "ncryption was asked for" in str(error)
    assert server.commands == [NEGOTIATE]


@pytest.mark.parametrize("place", [64 + 2, 64 + 8, 64 + 24], ids=["mode", "guid", "capabilities"])
@pytest.mark.parametrize("dialect", [0x0202, 0x0210, 0x0300, 0x0302])
def test_a_negotiation_that_was_changed(server: Any, dialect: int, place: int) -> None:
    """On its way: the server confirms what it said itself. (3.1.1: tests/samba/test_wire.py.)"""
    from smb_server import IOCTL, NEGOTIATE, negotiate_body

    def change(command: int, reply: bytes) -> bytes:
        if command != NEGOTIATE:
            return reply
        return reply[:place] + bytes([reply[place] ^ 2]) + reply[place + 1 :]

    server.negotiate = negotiate_body(dialect)
    server.tamper = change
    error: Any = _asked(server)
    assert error.step == "share"
    assert server.commands.count(IOCTL) == 1  # which asks for the confirmation


@pytest.mark.parametrize("flag", [1, 2], ids=["guest", "null"])
def test_guest_and_null_sessions(server: Any, flag: int) -> None:
    from smb_server import SESSION_SETUP

    def let_in(command: int, reply: bytes) -> bytes:
        if command != SESSION_SETUP or struct.unpack_from("<I", reply, 8)[0]:
            return reply
        return reply[:66] + struct.pack("<H", flag) + reply[68:]

    server.tamper = let_in
    error = _asked(server)
    assert isinstance(error, netsession.LogonFailed)
    assert "guest" in str(error)
    assert max(server.commands) == SESSION_SETUP
