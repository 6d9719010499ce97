"""Memory of the wire backend: in proportion to what was asked for, whatever a server does.

Measured with tracemalloc, which counts the same bytes on every machine.
"""

from __future__ import annotations

import random
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from netsession import errors
from netsession.errors import MalformedReply
from netsession.srvsvc import SrvsvcClient
from netsession.srvsvc.dcerpc import Reassembler
from netsession.srvsvc.deadline import Deadline
from netsession.srvsvc.failures import LinkBrokenError
from netsession.srvsvc.link import Link

pytest.importorskip("smbprotocol")

from smb_server import HOST, IOCTL, PASSWORD, READ, STATUS_PENDING, USER, SmbServer

KIB, MIB = 1 << 10, 1 << 20
#: A message that is not whole, and what one recv() may bring.
LINK = 70 * KIB + 256 * KIB


class Peak:
    """The most that was allocated at once, in bytes, above what there was before."""

    bytes = 0


@contextmanager
def measured() -> Iterator[Peak]:
    peak = Peak()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield peak
    finally:
        peak.bytes = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()


def fragment(stub: bytes | memoryview, hint: int, flags: int) -> bytes:
    head = struct.pack("<BBBB4sHHI", 5, 0, 2, flags, b"\x10\0\0\0", 24 + len(stub), 0, 1)
    return head + struct.pack("<IHBx", hint, 0, 0) + stub


def flags_of(start: int, room: int, size: int) -> int:
    return (start == 0) | (start + room >= size) << 1


# -- the reassembler ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1 * MIB, 20 * MIB])
def test_a_stub_is_held_once(size: int) -> None:
    """It grows by an eighth at a time, and is handed over without a copy."""
    stub = random.Random(1).randbytes(size)
    view = memoryview(stub)
    with measured() as peak:
        reply = Reassembler(1, size, 65_535)
        for at in range(0, size, 4_256):
            piece = view[at : at + 4_256]
            reply.feed(fragment(piece, size - at, flags_of(at, 4_256, size)))
        whole = reply.stub()
    assert whole == stub
    assert peak.bytes < size * 9 / 8 + 128 * KIB


def test_fragments_of_one_byte_cost_no_more() -> None:
    size = 100_000
    with measured() as peak:
        reply = Reassembler(1, size, 65_535)
        for at in range(0, size, 1_000):  # a thousand in each READ
            pdus = [fragment(b"x", 0, flags_of(n, 1, size)) for n in range(at, at + 1_000)]
            reply.feed(b"".join(pdus))
        assert reply.stub() == b"x" * size
    assert peak.bytes < size * 9 / 8 + 300 * KIB


def test_messages_are_let_go() -> None:
    """A piece is a part of a larger message; only the piece is kept."""
    with measured() as peak:
        reply = Reassembler(1, 100_000, 65_535)
        for at in range(2_000):
            message = bytes(64 * KIB) + fragment(b"x" * 9, 0, at == 0)
            reply.feed(memoryview(message)[64 * KIB :])
    assert peak.bytes < 400 * KIB


def test_a_reply_a_byte_at_a_time() -> None:
    """The largest fragment there is, in the smallest pieces: no more than twice its size."""
    pdu = fragment(bytes(65_511), 65_511, 3)
    with measured() as peak:
        reply = Reassembler(1, 65_511, 65_535)
        for at in range(len(pdu)):
            reply.feed(pdu[at : at + 1])
        assert reply.stub() == bytes(65_511)
    assert peak.bytes < 3 * 65_535


def test_nothing_is_allocated_on_a_promise() -> None:
    with measured() as peak:
        reply = Reassembler(1, 1 << 40, 65_535)
        reply.feed(fragment(b"12345678", 0xFFFFFFF0, 1))
        reply.feed(fragment(b"12345678", 0xFFFFFFE8, 0)[:20])
    assert reply.bytes_to_come() > 1 << 31
    assert peak.bytes < 16 * KIB


# -- the link -------------------------------------------------------------------------------------


class Peer:
    """A socket whose peer sends this in pieces of that size, however much is asked for."""

    def __init__(self, data: bytes, piece: int) -> None:
        self._data = data
        self._piece = piece
        self._at = 0

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 0

    def settimeout(self, _: float) -> None: ...

    def recv(self, _: int) -> bytes:
        self._at += self._piece
        return self._data[self._at - self._piece : self._at]


def link_to(data: bytes, piece: int) -> Link:
    peer: Any = Peer(data, piece)
    return Link(peer, Deadline(60.0))


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 4_096, 70_000, 200_000])
def test_a_message_in_any_pieces(piece: int) -> None:
    messages = [random.Random(size).randbytes(size) for size in (0, 1, 64, 4_000, 69_000, 5)]
    data = b"".join(len(message).to_bytes(4, "big") + message for message in messages)
    link = link_to(data, piece)
    with measured() as peak:
        for message in messages:
            assert link.receive() == message
        with pytest.raises(LinkBrokenError, match="closed"):
            link.receive()
    assert peak.bytes < LINK + 2 * 70 * KIB


@pytest.mark.parametrize("length", [69_633, 1 << 20, 0xFFFFFF])
def test_a_message_that_answers_nothing(length: int) -> None:
    link = link_to(length.to_bytes(4, "big") + bytes(length), 4_096)
    with pytest.raises(MalformedReply, match="SMB message of"), measured() as peak:
        link.receive()
    assert peak.bytes < 64 * KIB


# -- a whole call ---------------------------------------------------------------------------------

#: What READs on their way may bring at most: 64 of them, of the largest size.
WINDOW = 64 * 64 * KIB
#: smbprotocol's structures and pyspnego's, the modules they load, and the server of the test.
LOGON = 3 * MIB


def peak_of_a_call(server: SmbServer, cap: int, timeout: float = 60.0) -> tuple[int, object]:
    """The most memory during one call on an open connection, and what it ended with."""
    client = SrvsvcClient(
        HOST,
        port=server.port,
        username=USER,
        password=PASSWORD,
        timeout=timeout,
        max_reply_bytes=cap,
    )
    outcome: object
    with measured() as peak:
        try:
            outcome = client.call(12, bytes(40))
        except errors.NetApiError as error:
            outcome = error
        client.close()
    return peak.bytes, outcome


def test_padded_replies() -> None:
    """READ replies that carry one byte of the stub and all the padding that is let through."""

    def tamper(command: int, reply: bytes) -> bytes:
        if command != READ:
            return reply
        padded = reply[:66] + b"\xff" + reply[67:80] + bytes(175) + reply[80:]
        return padded + bytes(4_280 + 512 - len(padded))

    with SmbServer(bytes(4_000), room=1, tamper=tamper) as server:
        server.promises = False
        cap = 3_000
        peak, outcome = peak_of_a_call(server, cap)
    assert "max_reply_bytes" in str(outcome)
    assert server.commands.count(READ) >= cap - 1  # 14 MB passed by
    assert peak < cap + LOGON


@pytest.mark.parametrize("padding", [60_000, 200_000])
def test_replies_padded_beyond_all_measure(padding: int) -> None:
    def tamper(command: int, reply: bytes) -> bytes:
        return reply + bytes(padding) if command == READ else reply

    with SmbServer(bytes(100_000), room=1, tamper=tamper) as server:
        peak, outcome = peak_of_a_call(server, 100_000)
    assert isinstance(outcome, MalformedReply)
    assert server.commands.count(READ) < 80
    assert peak < LOGON


def test_replies_in_reverse() -> None:
    """Those that nobody has asked for yet are held, one window of them at most."""
    held: list[bytes] = []

    def tamper(command: int, reply: bytes) -> list[bytes]:
        if command != READ:
            return [reply]
        held.append(reply + bytes(300))
        if len(held) < 8:
            return []
        batch, held[:] = held[::-1], []
        return batch

    stub = bytes(range(224)) * 19 * 9  # one fragment by IOCTL, eight by READ
    with SmbServer(stub, room=4_256, tamper=tamper) as server:
        peak, outcome = peak_of_a_call(server, len(stub))
    assert outcome == stub
    assert peak < len(stub) + LOGON


def test_interim_replies_without_end() -> None:
    def tamper(command: int, reply: bytes) -> bytes | Iterator[bytes]:
        if command != IOCTL:
            return reply
        pending = reply[:8] + STATUS_PENDING.to_bytes(4, "little") + reply[12:] + bytes(50_000)
        return iter(lambda: pending, None)

    with SmbServer(tamper=tamper) as server:
        peak, outcome = peak_of_a_call(server, 100_000, timeout=1.0)
    assert isinstance(outcome, errors.NetApiError)
    assert peak < LOGON


def test_compounded_interim_replies_without_end() -> None:
    def tamper(command: int, reply: bytes) -> bytes | Iterator[bytes]:
        if command != IOCTL:
            return reply
        return iter(lambda: reply[:8] + STATUS_PENDING.to_bytes(4, "little") + reply[12:], None)

    with SmbServer(tamper=tamper) as server:
        peak, outcome = peak_of_a_call(server, 100_000, timeout=1.0)
    assert isinstance(outcome, errors.CallTimeout)
    assert peak < LOGON


@pytest.mark.parametrize("answers", [1, 5, 10])
def test_a_large_reply_peaks_at_little_more_than_itself(answers: int) -> None:
    stub = bytes(range(256)) * 4_096 * answers  # MiB
    with SmbServer(stub, room=65_511) as server:
        peak, outcome = peak_of_a_call(server, len(stub))
    assert outcome == stub
    assert peak < len(stub) * 9 / 8 + WINDOW + LOGON
