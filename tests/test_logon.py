"""Why no ticket can be used: one sentence and one next step.

The exceptions are made here, with the codes that MIT's library raised in each case (krb5 1.20,
gssapi 1.12, krb5 0.10); with the library itself the domain's tests try it.
"""

from __future__ import annotations

import importlib.util

import pytest

pytest.importorskip("smbprotocol")

from spnego.exceptions import SpnegoError

from netsession.errors import LogonFailed, error_from_status
from netsession.srvsvc.logon import why_no_logon

KRB5 = 0x96C73A00


class GssError(Exception):
    """gssapi.exceptions.GSSError, as far as anybody looks at it."""

    def __init__(self, major: int, minor: int, text: str) -> None:
        super().__init__(f"Major ({major}): No, Minor ({minor}): {text}")
        self.maj_code = major
        self.min_code = minor


class Krb5Error(Exception):
    """krb5.Krb5Error, likewise."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{code}")
        self.err_code = code


CASES = [
    (GssError(458752, KRB5 + 141, "No Kerberos credentials available"), 0x8009030E, "no Kerberos "),
    (GssError(458752, KRB5 + 195, "No credentials cache found"), 0x8009030E, "ticket of alice"),
    (GssError(851968, KRB5 + 32, "Ticket expired"), 0x80090317, "has expired"),
    (GssError(720896, 0, "The referenced credential has expired"), 0x80090317, "has expired"),
    (GssError(851968, KRB5 + 7, "Server not found"), 1396, "no server cifs/fs01"),
    (GssError(851968, KRB5 + 37, "Clock skew too great"), 1398, "clocks"),
    (GssError(851968, KRB5 + 156, "Cannot contact any KDC"), 0x80090311, "domain controller"),
    (Krb5Error(KRB5 + 24 - (1 << 32)), 1326, "password of alice"),
    (Krb5Error(KRB5 + 31 - (1 << 32)), 1326, "password of alice"),
    (Krb5Error(KRB5 + 154 - (1 << 32)), 0x80090311, "domain controller"),
    (ImportError("GSSAPIProxy requires the Python gssapi library"), 0x80090305, "not installed"),
]


def wrapped(inner: Exception) -> Exception:
    """As pyspnego and smbprotocol wrap it, seven lines long."""
    try:
        try:
            raise SpnegoError(error_code=1, base_error=inner, context_msg="Unable to negotiate")
        except SpnegoError as error:
            raise RuntimeError(f"Failed to authenticate with server: {error}") from error
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(("inner", "status", "text"), CASES, ids=lambda value: str(value)[-25:])
def test_each_reason_has_its_status(inner: Exception, status: int, text: str) -> None:
    for password in (None, "s3cret"):
        failure = why_no_logon(wrapped(inner), "alice", password, "fs01")
        assert failure.status == status
        assert text in failure.detail
        assert failure.detail.startswith("no password was given, and ") == (password is None)
        error = error_from_status(
            failure.status, "NetSessionEnum", "fs01", detail=failure.detail, step="logon"
        )
        assert type(error) is LogonFailed
        assert error.advice
        for noise in ("SpnegoError", "Major (", "Context:", "\n", "s3cret", "Failed to auth"):
            assert noise not in str(error)


def test_what_is_not_known_is_said_as_it_was() -> None:
    error = wrapped(GssError(851968, 12345, "Something {else} happened"))
    failure = why_no_logon(error, "alice", "s3cret", "fs01")
    assert failure.status == 1326
    assert failure.detail == "this machine says: Something {else} happened"


@pytest.mark.skipif(
    importlib.util.find_spec("gssapi") is not None, reason="a Kerberos library is installed"
)
def test_without_the_library_it_says_how_to_get_it() -> None:
    """The real thing: pyspnego without gssapi. NTLM's complaint, which hides it, is not told."""
    hidden = SpnegoError(error_code=1, context_msg="Unable to negotiate common mechanism")
    failure = why_no_logon(hidden, None, None, "fs01")
    assert failure.status == 0x80090305
    error = error_from_status(failure.status, "NetSessionEnum", "fs01", detail=failure.detail)
    assert "pip install 'netsession[kerberos]'" in str(error)
    assert "libkrb5-dev" in str(error)
    assert "smbprotocol[" not in str(error)
