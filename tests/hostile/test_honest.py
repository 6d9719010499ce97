"""That the tests' SMB server is one, where it does not lie: ours and Samba's clients talk to it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("smbprotocol")

import spnego._ntlm as ntlm
from spnego._ntlm_raw.crypto import hmac_md5

from attempts import PATIENCE, listed, server_of
from liar import ROWS, WITH_CIPHER, Liar
from smb_server import CREATE, HOST, IOCTL, PASSWORD, TREE_CONNECT, USER, negotiate_body

KINDS = {
    "SMB 2.0.2": (negotiate_body(0x0202), False, "SMB2_02"),
    "SMB 2.1": (negotiate_body(0x0210), False, "SMB2_10"),
    "SMB 3.0": (negotiate_body(0x0300), False, "SMB3_00"),
    "SMB 3.0, encrypted": (negotiate_body(0x0300, capabilities=0x44), True, "SMB3_00"),
    "SMB 3.0.2": (negotiate_body(0x0302), False, "SMB3_02"),
    "SMB 3.0.2, encrypted": (negotiate_body(0x0302, capabilities=0x44), True, "SMB3_02"),
    "SMB 3.1.1": (WITH_CIPHER, False, "SMB3_11"),
    "SMB 3.1.1, encrypted": (WITH_CIPHER, True, "SMB3_11"),
}


@pytest.fixture
def server() -> Iterator[Liar]:
    with Liar() as server:
        yield server
    assert not server.errors, server.errors


@pytest.mark.parametrize(("negotiate", "encrypts", "_"), KINDS.values(), ids=KINDS)
def test_our_client(server: Liar, negotiate: bytes, encrypts: bool, _: str) -> None:
    server.negotiate, server.encrypts = negotiate, encrypts
    with server_of(server, PATIENCE) as ours:
        assert listed(ours) == ROWS
        assert ours.session("WS17", "alice", level=1) == ROWS[0]
        ours.delete_sessions(user="alice")
        assert listed(ours) == ROWS[1:]


Proof = Callable[..., tuple[bytes, bytes, bytes]]


def _without_the_last_four_bytes(proof: Proof) -> Proof:
    """pyspnego's acceptor expects four zeros at the end of NTLMv2_CLIENT_CHALLENGE, which Samba's
    client leaves out as it may ([MS-NLMP] 2.2.2.7)."""

    def response(
        key: bytes, server_challenge: bytes, client_challenge: bytes, time: object, pairs: object
    ) -> tuple[bytes, bytes, bytes]:
        whole, lm, _ = proof(key, server_challenge, client_challenge, time, pairs)
        challenge = whole[16:-4]
        proven = hmac_md5(key, server_challenge + challenge)
        return proven + challenge, lm, hmac_md5(key, proven)

    return response


def samba(tool: str, server: Liar, folder: Path, dialect: str, *arguments: str) -> str:
    """What one of Samba's clients prints."""
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"needs Samba's clients: {tool}")
    config = folder / "smb.conf"
    paths = [
        f"{name} = {folder}"
        for name in ("lock directory", "private dir", "state directory", "cache directory")
    ]
    protocols = [
        f"client {ipc}{end} protocol = {dialect}" for ipc in ("", "ipc ") for end in ("min", "max")
    ]
    ports = f"smb ports = {server.port}"
    config.write_text("\n".join(("[global]", ports, *paths, *protocols, "")))
    done = subprocess.run(
        [path, "-s", str(config), "-p", str(server.port), "-U", f"{USER}%{PASSWORD}", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("negotiate", "encrypts", "dialect"), list(KINDS.values())[1:], ids=list(KINDS)[1:]
)
def test_samba_s_client(
    server: Liar,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    negotiate: bytes,
    encrypts: bool,
    dialect: str,
) -> None:
    """It negotiates, logs on, verifies signatures, decrypts, and reads the list in fragments."""
    patched = _without_the_last_four_bytes(ntlm.compute_response_v2)
    monkeypatch.setattr(ntlm, "compute_response_v2", patched)
    server.negotiate, server.encrypts = negotiate, encrypts
    said = samba("rpcclient", server, tmp_path, dialect, HOST, "-c", "netsessenum any any 1")
    assert f"Received {len(ROWS)} entries" in said, said  # it prints no more of them
    assert {TREE_CONNECT, CREATE, IOCTL} <= set(server.commands)
    # A logon and a tree, without a pipe: smbclient's own list needs what is not served here.
    samba("smbclient", server, tmp_path, dialect, f"//{HOST}/IPC$", "-c", "exit")
