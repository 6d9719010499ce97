"""NTSTATUS of the SMB layer and DCE/RPC fault statuses, as Win32 statuses.

Sources: [MS-ERREF] 2.3 and Samba's table for NTSTATUS; for faults the Win32 status of the same
name (C706 appendix E, [MS-RPCE] 2.2.2.8).
"""

from __future__ import annotations

from typing import Final

STATUS_PENDING: Final = 0x00000103
STATUS_BUFFER_OVERFLOW: Final = 0x80000005
STATUS_MORE_PROCESSING_REQUIRED: Final = 0xC0000016

ERROR_NETNAME_DELETED: Final = 64
ERROR_GEN_FAILURE: Final = 31
RPC_S_CALL_FAILED: Final = 1726

_WIN32_OF_NTSTATUS: Final = {
    0xC0000022: (5, "STATUS_ACCESS_DENIED"),
    0xC000006D: (1326, "STATUS_LOGON_FAILURE"),
    0xC000006A: (86, "STATUS_WRONG_PASSWORD"),
    0xC0000064: (1317, "STATUS_NO_SUCH_USER"),
    0xC0000072: (1331, "STATUS_ACCOUNT_DISABLED"),
    0xC000006E: (1327, "STATUS_ACCOUNT_RESTRICTION"),
    0xC0000234: (1909, "STATUS_ACCOUNT_LOCKED_OUT"),
    0xC0000071: (1330, "STATUS_PASSWORD_EXPIRED"),
    0xC0000224: (1907, "STATUS_PASSWORD_MUST_CHANGE"),
    0xC0000193: (1793, "STATUS_ACCOUNT_EXPIRED"),
    0xC000006F: (1328, "STATUS_INVALID_LOGON_HOURS"),
    0xC0000070: (1329, "STATUS_INVALID_WORKSTATION"),
    0xC000015B: (1385, "STATUS_LOGON_TYPE_NOT_GRANTED"),
    0xC000005E: (1311, "STATUS_NO_LOGON_SERVERS"),
    0xC00000CC: (67, "STATUS_BAD_NETWORK_NAME"),
    0xC00000BE: (53, "STATUS_BAD_NETWORK_PATH"),
    0xC00000C9: (64, "STATUS_NETWORK_NAME_DELETED"),
    0xC0000034: (2, "STATUS_OBJECT_NAME_NOT_FOUND"),
    0xC00000AC: (231, "STATUS_PIPE_NOT_AVAILABLE"),
    0xC00000AE: (231, "STATUS_PIPE_BUSY"),
    0xC00000AB: (231, "STATUS_INSTANCE_NOT_AVAILABLE"),
    0xC00000B0: (233, "STATUS_PIPE_DISCONNECTED"),
    0xC000014B: (109, "STATUS_PIPE_BROKEN"),
    0xC00000B1: (232, "STATUS_PIPE_CLOSING"),
    0xC0000128: (64, "STATUS_FILE_CLOSED"),
    0xC00000D0: (71, "STATUS_REQUEST_NOT_ACCEPTED"),
    0xC0000203: (59, "STATUS_USER_SESSION_DELETED"),
    0xC000035C: (59, "STATUS_NETWORK_SESSION_EXPIRED"),
    0xC00000B5: (121, "STATUS_IO_TIMEOUT"),
    0xC0000236: (1225, "STATUS_CONNECTION_REFUSED"),
    0xC000020D: (64, "STATUS_CONNECTION_RESET"),
    0xC000020C: (64, "STATUS_CONNECTION_DISCONNECTED"),
    0xC000023D: (1232, "STATUS_HOST_UNREACHABLE"),
    0xC000023C: (1231, "STATUS_NETWORK_UNREACHABLE"),
    0xC000000D: (87, "STATUS_INVALID_PARAMETER"),
    0xC00000BB: (50, "STATUS_NOT_SUPPORTED"),
    0xC0000205: (1130, "STATUS_INSUFF_SERVER_RESOURCES"),
    0xC000009A: (1450, "STATUS_INSUFFICIENT_RESOURCES"),
    0xC0000017: (8, "STATUS_NO_MEMORY"),
}

# The pipe, its session or its connection is no more; another connection may well work.
LINK_IS_GONE: Final = frozenset(
    {
        0xC00000B0,
        0xC000014B,
        0xC00000B1,
        0xC0000128,
        0xC00000C9,
        0xC0000203,
        0xC000035C,
        0xC000020D,
        0xC000020C,
    }
)

_WIN32_OF_FAULT: Final = {
    0x1C010001: (1820, "nca_s_comm_failure"),
    0x1C010002: (1745, "nca_s_op_rng_error"),
    0x1C010003: (1717, "nca_s_unk_if"),
    0x1C01000B: (1728, "nca_s_proto_error"),
    0x1C010014: (1723, "nca_s_server_too_busy"),
    0x1C000006: (1733, "nca_s_fault_invalid_tag"),
    0x1C000007: (1734, "nca_s_fault_invalid_bound"),
    0x1C00000D: (1818, "nca_s_fault_cancel"),
    0x1C00001A: (6, "nca_s_fault_context_mismatch"),
    0x1C00001D: (1821, "nca_s_unsupported_authn_level"),
}


def win32_of_ntstatus(ntstatus: int) -> tuple[int, str]:
    """The Win32 status for an NTSTATUS, and a sentence that keeps the original."""
    win32, name = _WIN32_OF_NTSTATUS.get(ntstatus, (ERROR_GEN_FAILURE, ""))
    number = f"0x{ntstatus:08X}"
    return (
        win32,
        f"the server answered {name} ({number})"
        if name
        else f"the server answered with NTSTATUS {number}",
    )


def win32_of_fault(fault: int) -> tuple[int, str]:
    """The Win32 status for a DCE/RPC fault status (not 0), and a sentence that keeps it."""
    win32, name = _WIN32_OF_FAULT.get(fault, (0, ""))
    if not win32:  # below 0x10000 it is a Win32 status already
        win32 = fault if fault < 0x10000 else RPC_S_CALL_FAILED
    number = f"0x{fault:08X}"
    return win32, f"DCE/RPC fault {name} ({number})" if name else f"DCE/RPC fault {number}"
