"""NTSTATUS and DCE/RPC faults of the wire backend: what becomes of each."""

from __future__ import annotations

import pytest

from netsession.errors import LogonFailed, NetApiError, error_from_status, symbol_of
from netsession.srvsvc.failures import LinkBrokenError, WireError
from netsession.srvsvc.ntstatuses import NTSTATUSES
from netsession.srvsvc.statuses import LINK_IS_GONE, failure_of_ntstatus

STEPS = ["negotiate", "logon", "share", "pipe", "bind", "call"]


def error_of(ntstatus: int, step: str) -> NetApiError:
    failure = failure_of_ntstatus(ntstatus)
    return error_from_status(
        failure.status,
        "NetSessionEnum",
        "s",
        detail=failure.detail,
        step=step,
        ntstatus=failure.ntstatus,
    )


@pytest.mark.parametrize("step", STEPS)
def test_every_ntstatus_has_symbol_advice_and_name(step: str) -> None:
    for ntstatus, (win32, name) in NTSTATUSES.items():
        error = error_of(ntstatus, step)
        assert error.status == win32
        assert error.ntstatus == ntstatus
        assert symbol_of(win32), hex(win32)
        assert error.advice, (name, win32, step)
        assert name in str(error)
        assert f"0x{ntstatus:08X}" in str(error)


@pytest.mark.parametrize(
    ("ntstatus", "status", "symbol"),
    [
        (0xC0000418, 1937, "ERROR_NTLM_BLOCKED"),
        (0xC0000133, 1398, "ERROR_TIME_SKEW"),
        (0xC000018D, 1789, "ERROR_TRUSTED_RELATIONSHIP_FAILURE"),
        (0xC0000413, 1935, "ERROR_AUTHENTICATION_FIREWALL_FAILED"),
        (0xC000018B, 1787, "ERROR_NO_TRUST_SAM_ACCOUNT"),
        (0xC0000192, 1792, "ERROR_NETLOGON_NOT_STARTED"),
        (0xC00002FD, 0x80090342, "SEC_E_KDC_UNKNOWN_ETYPE"),
        (0xC0000388, 1265, "ERROR_DOWNGRADE_DETECTED"),
        (0xC0000193, 1793, "ERROR_ACCOUNT_EXPIRED"),
        (0xC0000202, 1394, "ERROR_NO_USER_SESSION_KEY"),
        (0xC0000001, 31, "ERROR_GEN_FAILURE"),
        (0xC0001234, 31, "ERROR_GEN_FAILURE"),  # nobody's
    ],
)
def test_no_logon(ntstatus: int, status: int, symbol: str) -> None:
    error = error_of(ntstatus, "logon")
    assert type(error) is LogonFailed
    assert (error.status, error.symbol) == (status, symbol)
    assert f"0x{ntstatus:08X}" in str(error)


def test_a_link_that_is_gone() -> None:
    for ntstatus in LINK_IS_GONE:
        assert type(failure_of_ntstatus(ntstatus)) is LinkBrokenError
    assert type(failure_of_ntstatus(0xC0000022)) is WireError
    assert set(NTSTATUSES) >= LINK_IS_GONE


def test_any_number_is_an_error_that_can_be_told() -> None:
    """Whatever 32 bits a server answers: numbers next to known ones, and some from everywhere."""
    known = {*NTSTATUSES, *(status for status, _ in NTSTATUSES.values())}
    near = {number + step for number in known for step in (-1, 0, 1)}
    everywhere = {number * 0x01010107 % 2**32 for number in range(2000)}
    for number in sorted((near | everywhere) - {0, -1}):
        failure = failure_of_ntstatus(number % 2**32)
        assert f"0x{number % 2**32:08X}" in failure.detail
        for step in (None, *STEPS):
            error = error_from_status(number % 2**32, "NetSessionEnum", "s", step=step)
            assert error.status == number % 2**32
            assert any(told in str(error) for told in (f"{number}", f"0x{number % 2**32:08X}"))
            assert isinstance(error.advice, (str, type(None)))
            assert str(error).isprintable()
