"""Passwords of all kinds, with which a real smbd lets users in though it is told NT hashes only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ask import server_of
from netsession import LogonFailed, Server
from smbd import Smbd, User

#: Most are what an LM hash, of 14 bytes in upper case, does not tell apart from others.
PASSWORDS = {
    "short": "x",
    "long": "correct horse battery staple " * 4,
    "lower case": "fourteen chars",
    "not ASCII": "pässwörd ñ ß ŉ 山",
    "not of the BMP": "\U0001f600 smile",
    "empty": "",
}


@pytest.fixture(scope="module")
def smbd() -> Iterator[Smbd]:
    with Smbd({"null passwords": "yes"}) as smbd:
        yield smbd


def _listed(server: Server) -> bool:
    with server:
        return bool(list(server.sessions()))


@pytest.mark.parametrize("password", PASSWORDS.values(), ids=PASSWORDS)
@pytest.mark.parametrize("encrypt", [False, True], ids=["signed", "encrypted"])
def test_logging_on(smbd: Smbd, password: str, encrypt: bool) -> None:
    user = User(smbd.admin.name, password)
    smbd.set_password(user)
    assert _listed(server_of(smbd, user, encrypt=encrypt))
    wrong = User(user.name, password.swapcase() + "!")
    with pytest.raises(LogonFailed):
        _listed(server_of(smbd, wrong))


def test_two_hashes_in_the_place_of_a_password(smbd: Smbd) -> None:
    """pyspnego takes them, LM and NT in hexadecimal; no Kerberos realm is shown them."""
    user = User(smbd.admin.name, "pass the hash")
    smbd.set_password(user)
    hashes = f"{'0' * 32}:{smbd.nt_hashes()[user.name]}"
    assert _listed(server_of(smbd, User(user.name, hashes)))
