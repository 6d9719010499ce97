"""Errors: the right class, what failed, and what to do."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import netsession
from netsession.errors import (
    ConnectionLost,
    MalformedReply,
    NetApiError,
    NoProgress,
    error_from_status,
    symbol_of,
)


@pytest.mark.parametrize(
    ("status", "name", "builtin", "symbol"),
    [
        (5, "AccessDenied", PermissionError, "ERROR_ACCESS_DENIED"),
        (1326, "LogonFailed", PermissionError, "ERROR_LOGON_FAILURE"),
        (124, "InvalidLevel", ValueError, "ERROR_INVALID_LEVEL"),
        (87, "InvalidParameter", ValueError, "ERROR_INVALID_PARAMETER"),
        (2351, "InvalidParameter", ValueError, "NERR_InvalidComputer"),
        (2312, "SessionNotFound", LookupError, "NERR_ClientNameNotFound"),
        (2221, "SessionNotFound", LookupError, "NERR_UserNotFound"),
        (53, "ServerUnreachable", ConnectionError, "ERROR_BAD_NETPATH"),
        (64, "ConnectionLost", ConnectionError, "ERROR_NETNAME_DELETED"),
        (121, "CallTimeout", TimeoutError, "ERROR_SEM_TIMEOUT"),
        (50, "NotSupported", OSError, "ERROR_NOT_SUPPORTED"),
        (2140, "NetApiError", OSError, "NERR_InternalError"),
    ],
)
def test_class_and_message(status: int, name: str, builtin: type[Exception], symbol: str) -> None:
    error = error_from_status(status, "NetSessionEnum", "\\\\fs01")
    assert type(error) is getattr(netsession, name)
    assert isinstance(error, builtin)
    assert (error.status, error.function, error.server) == (status, "NetSessionEnum", "fs01")
    assert error.symbol == symbol
    message = f"NetSessionEnum on fs01 failed: {symbol}, status {status}."
    assert str(error).startswith(message)
    assert error.errno is None  # a status is no errno


@pytest.mark.parametrize("status", [2, 5, 53, 67, 87, 124, 1219, 1326, 2114, 2312, 2221, 2351])
def test_common_statuses_say_what_to_do(status: int) -> None:
    error = error_from_status(status, "NetSessionEnum")
    assert error.advice
    assert error.advice in str(error)


def test_access_denied_names_the_groups() -> None:
    text = str(error_from_status(5, "NetSessionEnum", "fs01"))
    assert "Administrators" in text
    assert "Server Operators" in text
    assert "Samba" in text


def test_an_unknown_status() -> None:
    error = error_from_status(0xDEADBEEF, "NetSessionEnum")
    assert error.symbol is None
    assert str(error) == "NetSessionEnum failed: status 3735928559."


def test_detail() -> None:
    error = error_from_status(59, "NetSessionEnum", "s", detail="STATUS_USER_SESSION_DELETED")
    assert "STATUS_USER_SESSION_DELETED" in str(error)


@pytest.mark.parametrize(
    "error",
    [
        error_from_status(5, "NetSessionEnum", "fs01", detail="d"),
        MalformedReply("what", 4, server="s"),
        NoProgress(server="s"),
        ConnectionLost(64, "NetSessionDel", "s", maybe_done=True),
        NetApiError(1, "f"),
    ],
)
def test_pickling(error: NetApiError) -> None:
    again: Any = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert again.args == error.args


def test_malformed_reply_tells_the_byte() -> None:
    error = MalformedReply("Level: no such level", 12, server="fs01")
    assert error.offset == 12
    assert "malformed at byte 12: Level: no such level" in str(error)


def test_every_status_has_its_symbol() -> None:
    """The statuses of the documents, and what they are called there."""
    known = json.loads((Path(__file__).parent / "data" / "error-codes.json").read_text())
    assert len(known) > 400
    for row in known:
        assert symbol_of(int(row["hex"], 16)) == row["symbol"]
