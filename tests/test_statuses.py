"""NTSTATUS and DCE/RPC faults of the wire backend: what becomes of each."""

from __future__ import annotations

import pytest

from netsession.errors import LogonFailed, NetApiError, error_from_status, symbol_of
from netsession.srvsvc import statuses
from netsession.srvsvc.failures import LinkBrokenError, WireError
from netsession.srvsvc.ntstatuses import NTSTATUSES
from netsession.srvsvc.statuses import LINK_IS_GONE, failure_of_ntstatus, win32_of_fault

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
    gone = """PIPE_DISCONNECTED PIPE_BROKEN PIPE_CLOSING FILE_CLOSED NETWORK_NAME_DELETED
        USER_SESSION_DELETED NETWORK_SESSION_EXPIRED CONNECTION_RESET CONNECTION_DISCONNECTED"""
    assert {NTSTATUSES[number][1] for number in LINK_IS_GONE} == {
        f"STATUS_{name}" for name in gone.split()
    }
    for ntstatus in LINK_IS_GONE:
        assert type(failure_of_ntstatus(ntstatus)) is LinkBrokenError
    assert type(failure_of_ntstatus(0xC0000022)) is WireError


def test_a_status_that_nobody_knows_is_told_as_a_number() -> None:
    assert failure_of_ntstatus(0xC0001234).detail == "the server answered 0xC0001234"


# session-facts.md; symbols as error-codes.json has them. Below 0x10000 it is a Win32 status.
FAULTS = {
    0x1C010001: ("RPC_S_COMM_FAILURE", "nca_s_comm_failure"),
    0x1C010002: ("RPC_S_PROCNUM_OUT_OF_RANGE", "nca_s_op_rng_error"),
    0x1C010003: ("RPC_S_UNKNOWN_IF", "nca_s_unk_if"),
    0x1C01000B: ("RPC_S_PROTOCOL_ERROR", "nca_s_proto_error"),
    0x1C010014: ("RPC_S_SERVER_TOO_BUSY", "nca_s_server_too_busy"),
    0x1C000006: ("RPC_S_INVALID_TAG", "nca_s_fault_invalid_tag"),
    0x1C000007: ("RPC_S_INVALID_BOUND", "nca_s_fault_invalid_bound"),
    0x1C00000D: ("RPC_S_CALL_CANCELLED", "nca_s_fault_cancel"),
    0x1C00001A: ("ERROR_INVALID_HANDLE", "nca_s_fault_context_mismatch"),
    0x1C00001D: ("RPC_S_UNSUPPORTED_AUTHN_LEVEL", "nca_s_unsupported_authn_level"),
    0xFFFF: (None, ""),
    0x10000: ("RPC_S_CALL_FAILED", ""),
    5: ("ERROR_ACCESS_DENIED", ""),
}


@pytest.mark.parametrize("fault", FAULTS, ids=hex)
def test_every_fault_has_status_and_name(fault: int) -> None:
    symbol, name = FAULTS[fault]
    status, told = win32_of_fault(fault)
    assert symbol_of(status) == symbol
    number = f"0x{fault:08X}"
    assert told == f"DCE/RPC fault {f'{name} ({number})' if name else number}"


def test_statuses_by_name() -> None:
    assert symbol_of(statuses.ERROR_NETNAME_DELETED) == "ERROR_NETNAME_DELETED"
    header = pytest.importorskip("smbprotocol.header")
    for name in ("PENDING", "BUFFER_OVERFLOW", "MORE_PROCESSING_REQUIRED"):
        ours = getattr(statuses, f"STATUS_{name}")
        assert ours == getattr(header.NtStatus, f"STATUS_{name}")


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
