"""Errors: the right class, what failed, and what to do."""

from __future__ import annotations

import errno
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

import netsession
from netsession.errors import (
    AccessDenied,
    AmbiguousName,
    CallTimeout,
    ConnectionLost,
    LogonFailed,
    MalformedReply,
    NetApiError,
    NoProgress,
    NotAsked,
    NotSupported,
    ServerUnreachable,
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
    assert error.errno != status  # a status is no errno


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


# -- the step -----------------------------------------------------------------------------------

STEPS = ["connect", "negotiate", "logon", "share", "pipe", "bind", "call"]


def test_what_is_not_known_is_none() -> None:
    error = error_from_status(5, "NetSessionEnum")
    assert (error.step, error.ntstatus) == (None, None)
    assert (NetApiError.step, NetApiError.ntstatus) == (None, None)
    assert MalformedReply("what").step is None


def test_the_text_names_the_step() -> None:
    texts = {step: str(error_from_status(5, "NetSessionEnum", "s", step=step)) for step in STEPS}
    starts = {step: text.partition(":")[0] for step, text in texts.items()}
    assert starts == {
        "connect": "NetSessionEnum on s failed to connect",
        "negotiate": "NetSessionEnum on s failed to agree on an SMB dialect",
        "logon": "NetSessionEnum on s failed to log on",
        "share": "NetSessionEnum on s failed to use IPC$",
        "pipe": "NetSessionEnum on s failed to open the srvsvc pipe",
        "bind": "NetSessionEnum on s failed to bind to srvsvc",
        "call": "NetSessionEnum on s failed",
    }
    assert str(error_from_status(5, "NetSessionEnum", "s")) == texts["call"]


def test_the_advice_for_access_denied_follows_the_step() -> None:
    advice = {
        step: error_from_status(5, "NetSessionEnum", step=step).advice or "" for step in STEPS
    }
    assert len(set(advice.values())) == len(STEPS)
    for step, text in advice.items():
        # Being an administrator helps with the call only.
        assert ("member of its Administrators" in text) == (step == "call")
    assert "encryption" in advice["logon"]
    assert "hosts deny" in advice["share"]
    assert "invalid users" in advice["share"]
    assert "srvsvc pipe" in advice["pipe"]


@pytest.mark.parametrize("step", ["call", None])
def test_access_denied_to_a_delete_may_mean_that_there_is_none(step: str | None) -> None:
    delete = error_from_status(5, "NetSessionDel", step=step)
    assert "Samba's answer where no such session is there" in str(delete)
    assert "Administrators" in str(delete)
    assert "no such session" not in str(error_from_status(5, "NetSessionEnum", step=step))
    assert "no such session" not in str(error_from_status(5, "NetSessionDel", step="share"))


@pytest.mark.parametrize("step", STEPS[:-1])
def test_before_the_call_no_class_speaks_of_the_call(step: str) -> None:
    """No argument has been looked at, and no request can have been lost."""
    for status in (87, 123, 124, 2351, 2312, 2221, 64, 59, 109, 233, 1726):
        error = error_from_status(status, "NetSessionEnum", step=step)
        assert not isinstance(error, (ConnectionLost, LookupError, ValueError))
    assert type(error_from_status(64, "NetSessionEnum", step=step)) is ServerUnreachable
    assert type(error_from_status(64, "NetSessionEnum", step="call")) is ConnectionLost
    assert type(error_from_status(5, "NetSessionEnum", step=step)) is AccessDenied


@pytest.mark.parametrize("status", [31, 50, 87, 1359])
def test_no_logon_is_a_failed_logon(status: int) -> None:
    assert type(error_from_status(status, "NetSessionEnum", step="logon")) is LogonFailed
    assert type(error_from_status(status, "NetSessionEnum", step="pipe")) is not LogonFailed


@pytest.mark.parametrize("status", [8, 71, 1450, 1130])
def test_a_busy_server_is_no_failed_logon(status: int) -> None:
    assert not isinstance(error_from_status(status, "f", step="logon"), AccessDenied)


def test_an_unknown_status_at_a_step_has_advice() -> None:
    advice = {step: error_from_status(0xDEAD, "f", step=step).advice for step in STEPS[:-1]}
    assert all(advice.values())
    assert len(set(advice.values())) == len(advice)
    assert error_from_status(0xDEAD, "f", step="call").advice is None


def test_every_status_that_has_a_class_has_advice() -> None:
    from netsession.errors import _CLASS

    for status in (*_CLASS, 1219, 1783):
        for step in (None, *STEPS):
            for function in ("NetSessionEnum", "NetSessionDel"):
                error = error_from_status(status, function, step=step)
                assert error.advice, (status, step)
                # Where it may have been done, "try again" would be the wrong advice.
                told = error.doubt or error.advice
                assert told.rstrip(".") in str(error)


def test_every_status_that_is_spoken_of_has_a_symbol() -> None:
    from netsession import _advice
    from netsession.errors import _CLASS, _ERRNO_NAMES

    tables = [_CLASS, _ERRNO_NAMES, _advice._GENERAL, _advice._OF_THE_CALL]
    spoken_of = {status for table in (*tables, *_advice._AT_STEP.values()) for status in table}
    # 0x80090333 to 0x80090361 are given as a range, in which SSPI has gaps.
    lacking = {status for status in spoken_of if symbol_of(status) is None}
    assert {status for status in lacking if not 0x80090333 <= status <= 0x80090361} == set()


# -- for code that is made for OSError ----------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "number"),
    [
        (5, errno.EACCES),
        (1326, errno.EACCES),
        (1909, errno.EACCES),
        (1460, errno.ETIMEDOUT),
        (121, errno.ETIMEDOUT),
        (1225, errno.ECONNREFUSED),
        (1232, errno.EHOSTUNREACH),
        (53, errno.EHOSTUNREACH),
        (1231, errno.ENETUNREACH),
        (64, errno.ECONNRESET),
        (1236, errno.ECONNABORTED),
        (2, errno.ENOENT),
        (58, errno.EPROTO),
        (2114, errno.ECONNREFUSED),
    ],
)
def test_errno(status: int, number: int) -> None:
    error = error_from_status(status, "NetSessionEnum", "s", detail="why")
    assert error.errno == number
    assert error.strerror == os.strerror(number)
    # Neither the text nor the arguments change by that.
    assert error.args == (status, "NetSessionEnum", "s")
    assert str(error).startswith("NetSessionEnum on s failed: ")
    again = pickle.loads(pickle.dumps(error))
    assert (again.errno, again.strerror) == (error.errno, error.strerror)


@pytest.mark.parametrize("status", [124, 87, 2312, 2221, 50, 8, 2140])
def test_no_errno_where_c_has_none(status: int) -> None:
    error = error_from_status(status, "NetSessionEnum")
    assert (error.errno, error.strerror) == (None, None)
    assert not isinstance(error, (PermissionError, ConnectionError, TimeoutError))


def test_every_unreachable_server_has_an_errno() -> None:
    from netsession.errors import _CLASS

    for status, kind in _CLASS.items():
        has_one = issubclass(kind, (AccessDenied, CallTimeout, ServerUnreachable))
        assert (error_from_status(status, "f").errno is not None) == has_one
    assert _CLASS[50] is NotSupported


def test_an_unknown_status() -> None:
    error = error_from_status(0xDEADBEEF, "NetSessionEnum")
    assert error.symbol is None
    assert str(error) == "NetSessionEnum failed: status 3735928559."


def test_a_status_of_sspi_is_in_hexadecimal() -> None:
    error = error_from_status(0x8009030E, "NetSessionEnum", "s", step="logon")
    assert "SEC_E_NO_CREDENTIALS, status 0x8009030E." in str(error)


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
        error_from_status(1326, "NetSessionEnum", "s", step="logon", ntstatus=0xC000006D),
        error_from_status(1225, "NetSessionEnum", "s", step="connect"),
        error_from_status(1460, "NetSessionEnum", "s", step="negotiate"),
        NetApiError(1, "f"),
    ],
)
def test_pickling(error: NetApiError) -> None:
    again: Any = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert again.args == error.args
    for name in ("step", "ntstatus", "errno", "strerror", "advice"):
        assert getattr(again, name) == getattr(error, name)


def test_what_each_class_says_of_itself() -> None:
    error = NetApiError(5, "NetSessionEnum", "\\\\xfs01", detail="it is so.")
    assert (error.server, error.args) == ("xfs01", (5, "NetSessionEnum", "xfs01"))
    assert ".." not in str(error)
    deleting, listing = (
        AmbiguousName("two are called so", ("a", "b"), function=function, server="fs01")
        for function in ("NetSessionDel", "NetSessionEnum")
    )
    assert (deleting.status, deleting.function, deleting.server) == (87, "NetSessionDel", "fs01")
    assert str(deleting.advice).startswith("Nothing was sent; name the one that is meant")
    assert str(listing.advice).startswith("Name the one that is meant")
    malformed = MalformedReply("a count is wrong", 3, step="bind")
    assert malformed.step == "bind"
    assert "nothing of this reply is used" in str(malformed)
    assert NoProgress(detail="after 3 pages").detail == "after 3 pages"
    skipped = NotAsked("too many wrong logons", "fs01")
    assert (skipped.status, skipped.function, skipped.server) == (1223, "NetSessionEnum", "fs01")


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
