"""DCE/RPC protocol data units of connection-oriented RPC: bytes in, bytes out, no I/O.

Sources: C706 chapter 12, [MS-RPCE] 2.2.2. Only what a client of srvsvc needs: bind and request
are built, bind_ack, bind_nak, response and fault are read. Every field that a server sends is
checked; what breaks the format raises MalformedReply with the byte at which it was noticed,
counted from the first byte of the reply.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Final, NamedTuple

from ..errors import MalformedReply
from .failures import ChainBrokenError, RpcFaultError, WireError
from .statuses import win32_of_fault

MAX_FRAGMENT: Final = 65535  # frag_length has 16 bits
# C706 12.6.3.1: what every implementation must accept; nobody may grant less.
MIN_FRAGMENT: Final = 1432
RESPONSE_HEADER: Final = 24

REQUEST: Final = 0
RESPONSE: Final = 2
FAULT: Final = 3
BIND: Final = 11
BIND_ACK: Final = 12
BIND_NAK: Final = 13

PFC_FIRST: Final = 0x01
PFC_LAST: Final = 0x02
PFC_DID_NOT_EXECUTE: Final = 0x20

_ERROR_INSUFFICIENT_BUFFER: Final = 122
_RPC_S_UNKNOWN_IF: Final = 1717
_RPC_S_SERVER_TOO_BUSY: Final = 1723
_RPC_S_PROTOCOL_ERROR: Final = 1728
_RPC_S_UNSUPPORTED_TRANS_SYN: Final = 1730
_RPC_S_UNKNOWN_AUTHN_SERVICE: Final = 1747
_RPC_S_CALL_FAILED_DNE: Final = 1727

# 4b324fc8-1670-01d3-1278-5a47bf6ee188 v3.0 [MS-SRVS] 1.9; 8a885d04-1ceb-11c9-9fe8-08002b104860
# v2.0, NDR20, [MS-RPCE] 1.9
SRVSVC_SYNTAX: Final = bytes.fromhex("c84f324b7016d30112785a47bf6ee18803000000")
NDR20_SYNTAX: Final = bytes.fromhex("045d888aeb1cc9119fe808002b10486002000000")

_LITTLE_ENDIAN: Final = b"\x10\0\0\0"
_COMMON = struct.Struct("<BBBB4sHHI")
_BIND_BODY = struct.Struct("<HHIB3xHBx")
_REQUEST_BODY = struct.Struct("<IHH")
_RESPONSE_BODY = struct.Struct("<IHBx")

_PTYPE_NAMES = {
    0: "request",
    2: "response",
    11: "bind",
    12: "bind_ack",
    13: "bind_nak",
    14: "alter_context",
    15: "alter_context_resp",
    16: "auth3",
    17: "shutdown",
}


def build_bind(call_id: int, *, max_fragment: int = MAX_FRAGMENT) -> bytes:
    """A bind PDU: one context (0), srvsvc v3.0 with NDR20; ``max_fragment`` both ways."""
    body = _BIND_BODY.pack(max_fragment, max_fragment, 0, 1, 0, 1) + SRVSVC_SYNTAX + NDR20_SYNTAX
    return _common(BIND, PFC_FIRST | PFC_LAST, 16 + len(body), call_id) + body


def build_request(call_id: int, opnum: int, stub: bytes, max_fragment: int) -> list[bytes]:
    """The request PDUs that carry ``stub``, each at most ``max_fragment`` bytes.

    The stub is cut at multiples of 8 (C706 12.6.4.9); alloc_hint is what is still to come.
    """
    if max_fragment < RESPONSE_HEADER + 8:
        raise ValueError(f"no request fits fragments of {max_fragment} bytes")
    room = (max_fragment - RESPONSE_HEADER) // 8 * 8
    pieces = [stub[start : start + room] for start in range(0, len(stub), room)] or [b""]
    left = len(stub)
    pdus = []
    for index, piece in enumerate(pieces):
        flags = (PFC_FIRST if index == 0 else 0) | (PFC_LAST if index == len(pieces) - 1 else 0)
        header = _common(REQUEST, flags, RESPONSE_HEADER + len(piece), call_id)
        pdus.append(b"".join((header, _REQUEST_BODY.pack(left, 0, opnum), piece)))
        left -= len(piece)
    return pdus


def _common(ptype: int, flags: int, length: int, call_id: int) -> bytes:
    return _COMMON.pack(5, 0, ptype, flags, _LITTLE_ENDIAN, length, 0, call_id)


class Header(NamedTuple):
    """The fields of the common header that are left to look at once it is checked."""

    ptype: int
    flags: int
    length: int


def parse_header(data: bytes | bytearray | memoryview, call_id: int, at: int = 0) -> Header:
    """Check the 16 common bytes at the start of ``data``; ``at`` is their place in the reply."""
    if len(data) < 16:
        raise MalformedReply(f"a PDU header cut short after {len(data)} bytes", at + len(data))
    version, minor, ptype, flags, drep, length, auth, replied = _COMMON.unpack_from(data)
    if version != 5 or minor > 1:
        raise MalformedReply(f"DCE/RPC version {version}.{minor} instead of 5.0", at)
    if drep[0] != 0x10 or drep[1]:
        raise MalformedReply(
            f"data representation {drep.hex()}: only little-endian ASCII IEEE (10000000) is read",
            at + 4,
        )
    if length < 16:
        raise MalformedReply(f"frag_length {length} is less than the header", at + 8)
    if auth:
        raise MalformedReply(f"auth_length {auth} in an unauthenticated association", at + 10)
    if replied != call_id:
        raise MalformedReply(f"call_id {replied} answers none of ours ({call_id})", at + 12)
    return Header(ptype, flags, length)


def missing_bytes(data: bytes | bytearray) -> int:
    """How many bytes the PDU that ``data`` begins still lacks, as far as one can tell."""
    if len(data) < 16:
        return 16 - len(data)
    return max(0, int.from_bytes(data[8:10], "little") - len(data))


def is_one_pdu(data: bytes | memoryview) -> bool:
    """True if ``data`` is one whole PDU and nothing else."""
    return len(data) >= 16 and int.from_bytes(data[8:10], "little") == len(data)


class BindAck(NamedTuple):
    """What a bind_ack grants."""

    max_send: int  # the largest fragment that the server takes
    max_receive: int  # the largest fragment that it sends
    results: tuple[tuple[int, int, bytes], ...]  # result, reason, transfer syntax
    results_at: int  # where they start in the PDU


def parse_bind_reply(pdu: bytes, call_id: int) -> BindAck:
    """The grant in the reply to a bind of one context.

    Raises WireError when the server rejects the bind (bind_nak, or a rejection in a bind_ack),
    MalformedReply when the reply is none.
    """
    header = parse_header(pdu, call_id)
    if header.length != len(pdu):
        raise MalformedReply(f"frag_length {header.length} of {len(pdu)} bytes", 8)
    if header.ptype == BIND_NAK:
        raise _bind_nak(pdu)
    if header.ptype == FAULT:
        raise _fault(pdu, 0)
    if header.ptype != BIND_ACK:
        raise MalformedReply(f"{_name(header.ptype)} in answer to a bind", 2)
    if header.flags & 3 != 3:
        raise MalformedReply("bind_ack in more than one fragment", 3)
    ack = parse_bind_ack(pdu)
    _check_results(ack)
    return ack


def parse_bind_ack(pdu: bytes) -> BindAck:
    """The body of a bind_ack ([MS-RPCE] 2.2.2.4) whose common header is checked already."""
    if len(pdu) < 26:
        raise MalformedReply("bind_ack cut short", len(pdu))
    max_send, max_receive = _received_fragment_sizes(pdu)
    address_length = int.from_bytes(pdu[24:26], "little")
    results_at = (26 + address_length + 3) // 4 * 4  # C706 12.6.4.4: padded to 4 from the PDU start
    if results_at + 4 > len(pdu):
        raise MalformedReply(f"secondary address of {address_length} bytes does not fit", 24)
    count = pdu[results_at]
    end = results_at + 4 + 24 * count
    if end > len(pdu):
        raise MalformedReply(f"{count} results do not fit", results_at)
    results = tuple(
        (
            int.from_bytes(pdu[start : start + 2], "little"),
            int.from_bytes(pdu[start + 2 : start + 4], "little"),
            pdu[start + 4 : start + 24],
        )
        for start in range(results_at + 4, end, 24)
    )
    return BindAck(max_send, max_receive, results, results_at + 4)


def _received_fragment_sizes(pdu: bytes) -> tuple[int, int]:
    """The server's (receive, transmit) limits: what we may send, and what we may get."""
    transmit, receive = struct.unpack_from("<HH", pdu, 16)
    for at, size in ((16, transmit), (18, receive)):
        if size < MIN_FRAGMENT:
            raise MalformedReply(f"fragment size {size} is below {MIN_FRAGMENT}", at)
    return receive, transmit


def _check_results(ack: BindAck) -> None:
    # One context was offered. A further result can only be a negotiate_ack (3) for bind-time
    # features; anything else is a rejection of what we need.
    if not ack.results:
        raise MalformedReply("bind_ack without a result", ack.results_at - 4)
    for index, (result, reason, syntax) in enumerate(ack.results):
        if result == 3 and index:
            continue
        if result:
            raise _rejection(result, reason)
        if syntax != NDR20_SYNTAX:
            raise MalformedReply(
                f"bind_ack accepts a transfer syntax that was not offered ({syntax.hex()})",
                ack.results_at + 24 * index + 4,
            )


def _rejection(result: int, reason: int) -> WireError:
    status, why = {
        1: (_RPC_S_UNKNOWN_IF, "the server does not know the srvsvc interface"),
        2: (_RPC_S_UNSUPPORTED_TRANS_SYN, "the server does not speak NDR20"),
        3: (_RPC_S_SERVER_TOO_BUSY, "a local limit of the server is exceeded"),
    }.get(reason, (_RPC_S_CALL_FAILED_DNE, "no reason is given"))
    return WireError(status, f"bind rejected (result {result}, reason {reason}): {why}")


def _bind_nak(pdu: bytes) -> WireError | MalformedReply:
    if len(pdu) < 18:
        return MalformedReply("bind_nak cut short", len(pdu))
    reason = int.from_bytes(pdu[16:18], "little")
    status, why = {
        1: (_RPC_S_SERVER_TOO_BUSY, "congestion"),
        2: (_RPC_S_SERVER_TOO_BUSY, "a local limit is exceeded"),
        4: (_RPC_S_PROTOCOL_ERROR, "protocol version not supported"),
        8: (_RPC_S_UNKNOWN_AUTHN_SERVICE, "authentication type not recognised"),
    }.get(reason, (_RPC_S_CALL_FAILED_DNE, "no known reason"))
    return WireError(status, f"bind_nak, reason {reason}: {why}")


def _fault(pdu: bytes | memoryview, at: int) -> RpcFaultError | MalformedReply:
    # C706 12.6.4.7 has 32 bytes; some servers leave out the last, reserved four.
    if len(pdu) < 28:
        return MalformedReply(f"fault of {len(pdu)} bytes", at + 8)
    status = int.from_bytes(pdu[24:28], "little")
    if status == 0:
        return MalformedReply("fault with status 0", at + 24)
    return RpcFaultError(
        *win32_of_fault(status), did_not_execute=bool(pdu[3] & PFC_DID_NOT_EXECUTE)
    )


def _name(ptype: int) -> str:
    return f"{_PTYPE_NAMES.get(ptype, 'PDU')} (ptype {ptype})"


class Reassembler:
    """Puts the stub of one reply together from what the READs bring.

    ``feed`` takes any piece of the stream of PDUs: part of one, or several. ``remaining`` is the
    number of stub bytes that alloc_hint still promises, or None where it cannot be relied on.
    With ``verify`` set, a fragment that does not continue the chain of alloc_hints exactly raises
    ChainBrokenError: fragments carry no sequence number, so that chain is what proves their order.

    Memory follows what has arrived, never what is promised: stub bytes are copied out of the piece,
    so that no message outlives its ``feed``, into a buffer that becomes the stub without another
    copy. Beside it there is at most one incomplete PDU, of 65,535 bytes.
    """

    def __init__(self, call_id: int, max_reply_bytes: int, max_fragment: int) -> None:
        self.done: bool = False
        self.verify = False
        self.remaining: int | None = None
        self._call_id = call_id
        self._cap = max_reply_bytes
        self._max_fragment = max_fragment
        self._tail = bytearray()  # an incomplete PDU
        self._at = 0  # where the PDU at hand starts in the reply
        # Grows by an eighth at a time, as lists do, and hands its content over uncopied.
        self._stub = BytesIO()
        self._size = 0

    def stub(self) -> bytes:
        """The stub; only once ``done``."""
        return self._stub.getvalue()

    @property
    def max_fragment(self) -> int:
        """The longest fragment that the server may send, as far as known."""
        return self._max_fragment

    def bytes_to_come(self) -> int:
        """How many bytes the pipe will still deliver at least; 0 if that is not known."""
        left = self.remaining
        if left is None:
            return 0
        have = len(self._tail)
        if have >= 16:  # the rest of the fragment at hand, then whole ones
            length = int.from_bytes(self._tail[8:10], "little")
            left = max(0, left - (length - RESPONSE_HEADER))
            have -= length
        room = self._max_fragment - RESPONSE_HEADER
        return left + (left + room - 1) // room * RESPONSE_HEADER - have

    def feed(self, data: bytes | memoryview) -> None:
        """Take what one READ brought; not kept."""
        if not len(data):
            raise MalformedReply("a READ brought no bytes", self._at + len(self._tail))
        view = memoryview(data)
        if self._tail:
            view = self._complete(view)
        while not self.done and len(view) >= 16:
            header = self._header(view)
            if len(view) < header.length:
                break
            self._fragment(header, view[: header.length])
            view = view[header.length :]
        if self.done and len(view):
            raise MalformedReply("bytes after the last fragment", self._at)
        self._tail += view

    def _complete(self, view: memoryview) -> memoryview:
        """Take from ``view`` what the PDU begun in ``_tail`` lacks; what is left of it."""
        tail = self._tail
        view = _move(view, tail, missing_bytes(tail))
        if len(tail) < 16:
            return view
        header = self._header(tail)
        view = _move(view, tail, header.length - len(tail))
        if len(tail) == header.length:
            self._tail = bytearray()
            self._fragment(header, memoryview(tail))
        return view

    def _header(self, pdu: bytearray | memoryview) -> Header:
        return parse_header(pdu, self._call_id, self._at)

    def _fragment(self, header: Header, pdu: memoryview) -> None:
        at = self._at
        if header.ptype == FAULT:
            raise _fault(pdu, at)
        if header.ptype != RESPONSE:
            raise MalformedReply(f"{_name(header.ptype)} in answer to a request", at + 2)
        if len(pdu) < RESPONSE_HEADER:
            raise MalformedReply(f"response fragment of {len(pdu)} bytes", at + 8)
        hint, context, _ = _RESPONSE_BODY.unpack_from(pdu, 16)
        if context:
            raise MalformedReply(f"context id {context} was never negotiated", at + 20)
        if bool(header.flags & PFC_FIRST) != (at == 0):
            raise MalformedReply("first-fragment flag where it does not belong", at + 3)
        self._append(pdu[RESPONSE_HEADER:], hint, bool(header.flags & PFC_LAST))
        self._at += header.length

    def _append(self, piece: memoryview, hint: int, last: bool) -> None:
        size = len(piece)
        if not size and not last:
            raise MalformedReply("an empty fragment that is not the last", self._at + 8)
        self._size += size
        # Only the first of several tells what is still to come.
        least = self._size if self._at or last else max(self._size, hint)
        if least > self._cap:
            raise self._too_large(least)
        self._follow_chain(size, hint, last)
        self._stub.write(piece)
        self.done = last

    def _follow_chain(self, size: int, hint: int, last: bool) -> None:
        length = size + RESPONSE_HEADER
        if not self._at:
            # Promises nothing where it counts no more than this fragment.
            self.remaining = hint - size if (hint == size if last else hint > size) else None
            self._max_fragment = max(self._max_fragment, length)
            return
        expected = self.remaining
        exact = hint == expected and last == (hint == size) and size <= hint
        if exact and length <= self._max_fragment:
            self.remaining = hint - size
            return
        if self.verify:
            raise ChainBrokenError
        self.remaining = None

    def _too_large(self, size: int) -> WireError:
        return WireError(
            _ERROR_INSUFFICIENT_BUFFER,
            f"the reply has at least {size:,} bytes, more than max_reply_bytes={self._cap:,} "
            "allows; raise max_reply_bytes, or ask for smaller pages with page_bytes",
        )


def _move(view: memoryview, target: bytearray, count: int) -> memoryview:
    """Append up to ``count`` bytes of ``view`` to ``target``; what is left of it."""
    target += view[:count]
    return view[count:]
