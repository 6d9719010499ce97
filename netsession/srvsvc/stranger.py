r"""Who it is that answers at a port where no SMB 2 server does.

Only for the message: nothing of what is said here is trusted or acted upon.
Sources: RFC 1002 4.3 (session service packets), [MS-SMB2] 2.1 (the four bytes before a message),
[MS-CIFS] 2.2.4.52 (SMB_COM_NEGOTIATE).
"""

from __future__ import annotations

import contextlib
import socket
from typing import Final

from .deadline import Deadline
from .failures import DeadlinePassedError, LinkBrokenError, WireError

_ERROR_BAD_NET_RESP: Final = 58
_ERROR_NETNAME_DELETED: Final = 64
_ERROR_SMB1_NOT_AVAILABLE: Final = 384
_ERROR_CONNECTION_REFUSED: Final = 1225

_SMB_1: Final = b"\xffSMB"
_SMB_2: Final = (b"\xfeSMB", b"\xfdSMB", b"\xfcSMB")
_NEGATIVE_SESSION_RESPONSE: Final = 0x83
# How long an SMB 1 server may take to say that it is one, where the deadline is later.
_PROBE_SECONDS: Final = 2.0

_LOOKS_LIKE: Final = {
    b"\x15\x03": "TLS",
    b"\x16\x03": "TLS",
    b"\x05\x00": "DCE/RPC without SMB",
    b"\x30\x84": "LDAP",
    b"\x30\x0c": "LDAP",
    b"\x82\x00": "a NetBIOS session service",
    b"\x84\x00": "a NetBIOS session service that sends callers elsewhere",
    b"\x85\x00": "a NetBIOS session service",
}
_NO_DIALECT: Final = b"\xff\xff"

# SMB_COM_NEGOTIATE for the one dialect that SMB 1 servers of this century speak.
_SMB_1_NEGOTIATE: Final = (
    _SMB_1 + b"\x72" + bytes(4) + b"\x18\x01\x48" + bytes(12) + b"\xff\xff\xff\xfe" + bytes(4)
    + b"\x00\x0c\x00\x02NT LM 0.12\x00"
)  # fmt: skip


def is_smb_2(heard: bytes) -> bool:
    """Whether the first bytes of a peer are those of an SMB 2 server, if perhaps a broken one."""
    return heard[:1] == b"\0" and heard[4:8] in _SMB_2


def who_answers(heard: bytes, peer: tuple[str, int], deadline: Deadline) -> WireError:
    """The failure, not raised, where the first bytes that a peer sent are ``heard``.

    Where it closed the connection without a word, as an SMB 1 server does that is spoken to in
    SMB 2, ``peer`` (host, port) is asked in SMB 1 whether it is one.
    """
    if not heard:
        heard = _said_in_smb_1(peer, deadline)
        # A server of SMB 2 and 3 answers that too, but has no such dialect.
        if heard[4:8] == _SMB_1 and heard[37:39] == _NO_DIALECT:
            heard = b""
    if not heard:
        return LinkBrokenError(
            _ERROR_NETNAME_DELETED, "what answers there closes the connection without a word"
        )
    if heard[:1] == b"\0" and heard[4:8] == _SMB_1:
        return WireError(_ERROR_SMB1_NOT_AVAILABLE, "that server speaks SMB 1 only")
    if heard[0] == _NEGATIVE_SESSION_RESPONSE:
        code = f" (NetBIOS error 0x{heard[4]:02X})" if len(heard) > 4 else ""
        return WireError(
            _ERROR_CONNECTION_REFUSED, f"the server refuses connections from this machine{code}"
        )
    return WireError(_ERROR_BAD_NET_RESP, f"what answers there {_looks_like(heard)}")


def _looks_like(heard: bytes) -> str:
    kind = _LOOKS_LIKE.get(heard[:2])
    if kind is not None:
        return f"looks like {kind}"
    line = heard.splitlines()[0][:40]
    if len(line) > 3 and all(32 <= byte < 127 for byte in line):
        return f"says {line.decode('ascii')!r}"
    return f"begins with the bytes {heard[:8].hex(' ')}"


def _said_in_smb_1(peer: tuple[str, int], deadline: Deadline) -> bytes:
    """The first bytes of the answer to an SMB 1 negotiation, empty where there is none."""
    said = b""
    with contextlib.suppress(OSError, DeadlinePassedError):
        wait = min(_PROBE_SECONDS, deadline.remaining())
        with socket.create_connection(peer, wait) as sock:
            deadline.remaining()  # nothing is sent for a call that was called off meanwhile
            sock.sendall(len(_SMB_1_NEGOTIATE).to_bytes(4, "big") + _SMB_1_NEGOTIATE)
            while len(said) < 39:
                sock.settimeout(min(_PROBE_SECONDS, deadline.remaining()))
                more = sock.recv(64)
                if not more:
                    break
                said += more
    return said
