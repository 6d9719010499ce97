"""A real Windows and its own netapi32.dll: lists, shows and ends a session to this machine itself.

For hosted runners. It runs on nothing but a real Windows: not under Wine, not beside the stand-in
netapi32.dll. The project is developed without a Windows machine, so nobody has seen these tests
pass yet; until a runner has, they claim nothing.

A session comes into being by connecting to \\\\localhost\\IPC$. Listing and ending it needs an
elevated administrator, as hosted runners are. The refusal is asked for with a token that has
Administrators taken out.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import netsession
from netsession import errors, win32net

SHARE = r"\\localhost\IPC$"
LEVELS = (0, 1, 2, 10, 502)

_RESOURCETYPE_ANY = 0
_CONNECT_TEMPORARY = 4
_TOKEN_ALL_ACCESS = 0xF01FF
_DISABLE_MAX_PRIVILEGE = 1
_WIN_BUILTIN_ADMINISTRATORS = 26  # WinBuiltinAdministratorsSid


def _why_not() -> str | None:
    if sys.platform != "win32":
        return "only a real Windows has netapi32.dll"
    if hasattr(ctypes.WinDLL("ntdll"), "wine_get_version"):
        return "Wine's netapi32.dll has no sessions"
    if hasattr(ctypes.WinDLL("netapi32"), "SimulatorReset"):
        return "netapi32.dll is the stand-in"
    if not ctypes.WinDLL("shell32").IsUserAnAdmin():
        return "needs an elevated administrator"
    return None


if (_reason := _why_not()) is not None:
    if os.environ.get("NETSESSION_REQUIRE_REAL_WINDOWS") == "1":
        raise RuntimeError(_reason)
    pytest.skip(_reason, allow_module_level=True)


class _NetResource(ctypes.Structure):
    """NETRESOURCEW of winnetwk.h."""

    _fields_ = (
        ("scope", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("display_type", ctypes.c_uint32),
        ("usage", ctypes.c_uint32),
        ("local_name", ctypes.c_wchar_p),
        ("remote_name", ctypes.c_wchar_p),
        ("comment", ctypes.c_wchar_p),
        ("provider", ctypes.c_wchar_p),
    )


class _SidAndAttributes(ctypes.Structure):
    _fields_ = (("sid", ctypes.c_void_p), ("attributes", ctypes.c_uint32))


def _checked(done: int) -> None:
    if not done:
        raise ctypes.WinError(ctypes.get_last_error())


@pytest.fixture
def connected() -> Iterator[None]:
    """A session of the current user to this machine."""
    mpr = ctypes.WinDLL("mpr")
    share = _NetResource(type=_RESOURCETYPE_ANY, remote_name=SHARE)
    status = mpr.WNetAddConnection2W(ctypes.byref(share), None, None, _CONNECT_TEMPORARY)
    if status:
        raise ctypes.WinError(status)
    yield
    mpr.WNetCancelConnection2W(SHARE, 0, True)  # the session may have been ended meanwhile


@contextmanager
def without_administrators() -> Iterator[None]:
    """This thread acts with a token in which Administrators only denies."""
    advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)
    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel32.GetCurrentProcess.restype = ctypes.c_void_p
    process = ctypes.c_void_p(kernel32.GetCurrentProcess())
    token, restricted = ctypes.c_void_p(), ctypes.c_void_p()
    sid = ctypes.create_string_buffer(68)  # SECURITY_MAX_SID_SIZE
    size = ctypes.c_uint32(len(sid))
    _checked(
        advapi32.CreateWellKnownSid(_WIN_BUILTIN_ADMINISTRATORS, None, sid, ctypes.byref(size))
    )
    _checked(advapi32.OpenProcessToken(process, _TOKEN_ALL_ACCESS, ctypes.byref(token)))
    denied = _SidAndAttributes(ctypes.addressof(sid), 0)
    nothing: tuple[Any, ...] = (0, None, 0, None)  # privileges to delete, SIDs to restrict
    try:
        _checked(
            advapi32.CreateRestrictedToken(
                *(token, _DISABLE_MAX_PRIVILEGE, 1, ctypes.byref(denied)),
                *(*nothing, ctypes.byref(restricted)),
            )
        )
        _checked(advapi32.ImpersonateLoggedOnUser(restricted))
        yield
    finally:
        _checked(advapi32.RevertToSelf())
        for handle in (token, restricted):
            if handle:
                kernel32.CloseHandle(handle)


def my_sessions(level: int) -> list[Any]:
    """This user's sessions; at level 0, which has no user names, everybody's."""
    user = os.environ["USERNAME"].casefold()
    return [
        record
        for record in netsession.Server().sessions(level=level)
        if record.user_name is None or record.user_name.casefold() == user
    ]


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("level", LEVELS)
def test_list_at_each_level(level: int) -> None:
    found = my_sessions(level)
    assert found
    assert all(record.client for record in found)
    assert win32net.NetSessionEnum(level)


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("level", [0, 1, 2, 10, 502])
def test_show(level: int) -> None:
    wanted = my_sessions(502)[0]
    shown = netsession.Server().session(wanted.client_name, wanted.user_name, level=level)
    assert shown.client == wanted.client
    assert shown.user_name in (None, wanted.user_name)


@pytest.mark.usefixtures("connected")
def test_filters() -> None:
    wanted = my_sessions(502)[0]
    server = netsession.Server()
    by_both = list(server.sessions(client=wanted.client_name, user=wanted.user_name))
    assert {(record.client, record.user_name) for record in by_both} == {
        (wanted.client, wanted.user_name)
    }
    assert list(server.sessions(user="no-such-user-here")) == []


@pytest.mark.usefixtures("connected")
def test_delete() -> None:
    wanted = my_sessions(502)[0]
    netsession.Server().delete_sessions(client=wanted.client_name, user=wanted.user_name)
    left = {(record.client, record.user_name) for record in my_sessions(502)}
    assert (wanted.client, wanted.user_name) not in left
    with pytest.raises(errors.SessionNotFound):
        netsession.Server().session(wanted.client_name, wanted.user_name)


@pytest.mark.usefixtures("connected")
def test_refusal_without_rights() -> None:
    wanted = my_sessions(502)[0]
    server = netsession.Server()
    with without_administrators():
        with pytest.raises(errors.AccessDenied):
            list(server.sessions(level=502))
        with pytest.raises(PermissionError):
            server.delete_sessions(client=wanted.client_name, user=wanted.user_name)
    assert my_sessions(502)  # the rights are back, and nothing was ended
