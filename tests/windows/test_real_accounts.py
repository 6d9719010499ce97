"""A real Windows and two accounts of it, over SMB: an administrator's and a plain user's.

For hosted runners, where tools/windows/accounts.ps1 makes them. Both log on to this machine over
SMB, not through netapi32.dll: what the tests ask of Samba is asked of Windows itself. Nobody has
seen these tests pass yet; until a runner has, they claim nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

import netsession
from netsession import errors

ADDRESS = "127.0.0.1"
LEVELS = (0, 1, 2, 10, 502)

_NAMES = ("NETSESSION_REAL_ADMIN", "NETSESSION_REAL_PLAIN")


def _why_not() -> str | None:
    if sys.platform != "win32":
        return "only a real Windows has accounts to log on with"
    if not all(os.environ.get(name) for name in _NAMES):
        return f"needs the accounts that {' and '.join(_NAMES)} name"
    return None


if (_reason := _why_not()) is not None:
    if os.environ.get("NETSESSION_REQUIRE_REAL_WINDOWS") == "1":
        raise RuntimeError(_reason)
    pytest.skip(_reason, allow_module_level=True)


def _server(role: str) -> netsession.Server:
    name = os.environ[f"NETSESSION_REAL_{role}"]
    password = os.environ[f"NETSESSION_REAL_{role}_PASSWORD"]
    return netsession.Server(ADDRESS, username=name, password=password)


def _name(role: str) -> str:
    return os.environ[f"NETSESSION_REAL_{role}"].casefold()


def _users(server: netsession.Server) -> set[str]:
    return {str(record.user_name).casefold() for record in server.sessions(level=502)}


@pytest.fixture
def administrator() -> Iterator[netsession.Server]:
    with _server("ADMIN") as server:
        yield server


@pytest.fixture
def plain() -> Iterator[netsession.Server]:
    with _server("PLAIN") as server:
        yield server


@pytest.mark.parametrize("level", LEVELS)
def test_an_administrator_lists_at_each_level(administrator: netsession.Server, level: int) -> None:
    listing = administrator.sessions(level=level)
    assert list(listing)  # at least the session that asks
    assert listing.level == level


def test_the_administrator_s_own_session_is_listed(administrator: netsession.Server) -> None:
    assert _name("ADMIN") in _users(administrator)


def test_a_plain_user_is_refused(plain: netsession.Server) -> None:
    for level in (1, 2, 502):
        with pytest.raises(errors.AccessDenied):
            list(plain.sessions(level=level))


def test_a_plain_user_cannot_end_sessions(plain: netsession.Server) -> None:
    with pytest.raises(PermissionError):
        plain.delete_sessions(user=os.environ["NETSESSION_REAL_ADMIN"])


def test_an_administrator_ends_the_plain_user_s_session(
    administrator: netsession.Server, plain: netsession.Server
) -> None:
    with pytest.raises(errors.AccessDenied):  # which has logged on to be refused
        list(plain.sessions(level=502))
    assert _name("PLAIN") in _users(administrator)
    administrator.delete_sessions(user=os.environ["NETSESSION_REAL_PLAIN"])
    assert _name("PLAIN") not in _users(administrator)
