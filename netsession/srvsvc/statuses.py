"""NTSTATUS of the SMB layer and DCE/RPC fault statuses, as Win32 statuses.

Sources: ``ntstatuses`` for NTSTATUS; for faults the Win32 status of the same name (C706 appendix E,
[MS-RPCE] 2.2.2.8).
"""

from __future__ import annotations

from typing import Final

from .failures import LinkBrokenError, WireError
from .ntstatuses import NTSTATUSES

STATUS_PENDING: Final = 0x00000103
STATUS_BUFFER_OVERFLOW: Final = 0x80000005
STATUS_MORE_PROCESSING_REQUIRED: Final = 0xC0000016

ERROR_NETNAME_DELETED: Final = 64
ERROR_GEN_FAILURE: Final = 31
RPC_S_CALL_FAILED: Final = 1726

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


def failure_of_ntstatus(ntstatus: int) -> WireError:
    """The failure, not raised, that an NTSTATUS (not 0) of the server means; the text keeps it."""
    win32, name = NTSTATUSES.get(ntstatus, (ERROR_GEN_FAILURE, ""))
    number = f"0x{ntstatus:08X}"
    detail = f"the server answered {name} ({number})" if name else f"the server answered {number}"
    kind = LinkBrokenError if ntstatus in LINK_IS_GONE else WireError
    return kind(win32, detail, ntstatus=ntstatus)


def win32_of_fault(fault: int) -> tuple[int, str]:
    """The Win32 status for a DCE/RPC fault status (not 0), and a sentence that keeps it."""
    win32, name = _WIN32_OF_FAULT.get(fault, (0, ""))
    if not win32:  # below 0x10000 it is a Win32 status already
        win32 = fault if fault < 0x10000 else RPC_S_CALL_FAILED
    number = f"0x{fault:08X}"
    return win32, f"DCE/RPC fault {name} ({number})" if name else f"DCE/RPC fault {number}"
