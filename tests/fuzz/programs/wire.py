"""The SMB layer over a server in memory that tells the truth where the input does not have it lie:
replies that open a session, the pipe, DCE/RPC fragments.  What it says truly must arrive; lies end
in an error of ours, in a bounded number of steps.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Any

from netsession.errors import MalformedReply
from netsession.srvsvc import dcerpc, opening
from netsession.srvsvc.address import Address
from netsession.srvsvc.deadline import Deadline
from netsession.srvsvc.failures import ChainBrokenError, LinkBrokenError, WireError
from netsession.srvsvc.pipe import OpenPipe, Pipe
from netsession.srvsvc.rpc import RpcConnection

from .source import Source

try:
    from netsession.srvsvc.smb import SmbConnection
except ImportError:  # smbprotocol is not installed: the rest is worth it
    SmbConnection = None  # type: ignore[assignment,misc]

_IOCTL, _READ, _WRITE = 11, 8, 9
_OVERFLOW, _PENDING = 0x80000005, 0x103
_SESSION = 0x1122334455
_FAILURES = (MalformedReply, WireError, ChainBrokenError)
_NUMBERS = (
    0,
    1,
    2,
    4,
    8,
    16,
    23,
    24,
    57,
    63,
    64,
    65,
    72,
    120,
    128,
    255,
    256,
    1432,
    0xFFFF,
    0x10000,
)
_MOST_REPLIES = 2000


def poke(source: Source, message: bytes) -> bytes:
    """The message with a number somewhere in it that is not what it was."""
    made = bytearray(message)
    size = source.choice((1, 2, 4, 8))
    at = int.from_bytes(source.take(2), "little") % (len(made) + 1)
    value = source.choice(_NUMBERS) if source.below(3) else int.from_bytes(source.take(size), "big")
    made[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, "little")
    return bytes(made[: at if source.below(16) == 15 else None])


# --- replies that open a session ----------------------------------------------------------------


def context(kind: int, data: bytes) -> bytes:
    return struct.pack("<HHI", kind, len(data), 0) + data + bytes(-len(data) % 8)


def negotiate_reply(source: Source, dialect: int) -> bytes:
    """As [MS-SMB2] 2.2.4 has it."""
    token = bytes(source.choice((0, 1, 74)))
    contexts = [context(1, struct.pack("<HHH", 1, 32, 1) + bytes(32))]
    contexts += [context(2, struct.pack("<HH", 1, source.below(5)))] if source.bit() else []
    contexts += [context(8, struct.pack("<HH", 1, source.below(3)))] if source.bit() else []
    contexts += [context(source.below(256), source.take(source.below(9)))] if source.bit() else []
    if source.bit():
        contexts.reverse()
    count, at = (len(contexts), 128 + len(token) + -len(token) % 8) if dialect == 0x311 else (0, 0)
    body = struct.pack(
        "<HHHH16sIIIIQQHHI", 65, 1 + source.below(3), dialect, count, bytes(16),
        source.below(256), 1 << 20, 65536, 65536, 0, 0, 128, len(token), at,
    )  # fmt: skip
    return (
        bytes(64) + body + token + (bytes(-len(token) % 8) + b"".join(contexts) if count else b"")
    )


def check_opening(source: Source) -> None:
    offer = opening.Offer((0x202, 0x210, 0x300, 0x302, 0x311), (2, 1, 4, 3), (2, 1, 0))
    dialect = source.choice((0x311, 0x302, 0x210, 0x202, 0x2FF))
    header = bytes(36) + struct.pack("<IQ", 5, 9) + bytes(16)
    made, check = (
        (negotiate_reply(source, dialect), lambda message: opening.check_negotiate(message, offer)),
        (header + struct.pack("<HHHH", 9, 0, 72, 4) + b"abcd", opening.check_session_setup),
        (header + struct.pack("<HBBIII", 16, 2, 0, 0, 0, 5), opening.check_tree_connect),
        (header + struct.pack("<H62x16s8x", 89, b"f" * 16), opening.check_create),
    )[source.below(4)]
    lies = source.below(4)
    for _ in range(lies):
        made = poke(source, made)
    try:
        found = check(made)  # type: ignore[no-untyped-call]
    except MalformedReply as error:
        assert lies or dialect == 0x2FF or b"\2\0" in made, error  # a second context of a kind
        assert error.offset is None or 0 <= error.offset <= len(made) + 65535 * 2
        return
    if isinstance(found, opening.Negotiated):
        # What is handed on says the same when it is read again.
        again = opening.check_negotiate(bytes(64) + found._replace(dialect=0x302).body(), offer)
        assert again.token == found.token
        assert again[2:7] == (found.server_guid, found.capabilities & 0x7F, *found[4:7])
        assert found.dialect in offer.dialects
        assert found.cipher in (None, 0, *offer.ciphers)
    else:
        assert check(bytes(made[:64]) + found) == found or len(found) < 24  # type: ignore[no-untyped-call]


# --- fragments ------------------------------------------------------------------------------------


def fragments(source: Source, stub: bytes, call_id: int, most: int) -> list[bytes]:
    """A reply's PDUs; hints are true or nothing."""
    hints = source.below(4) < 3
    room = min(most, source.choice((most, 24 + 8, 24 + 100, 1432, 4280))) - 24
    room = max(room, len(stub) // 400 // 8 * 8)
    pieces = [stub[at : at + room] for at in range(0, len(stub), room)] or [b""]
    left, made = len(stub), []
    for index, piece in enumerate(pieces):
        flags = (index == 0) | (index == len(pieces) - 1) << 1
        head = struct.pack("<BBBBIHHI", 5, 0, 2, flags, 0x10, 24 + len(piece), 0, call_id)
        made.append(head + struct.pack("<IHBB", left if hints else 0, 0, 0, 0) + piece)
        left -= len(piece)
    return made


def check_reassembly(source: Source) -> None:
    """Cut anywhere the stream is the same reply, or the same refusal."""
    stub = bytes(range(256)) * 40
    stub = stub[: source.choice((0, 1, 8, 100, 1408, 5000, len(stub)))]
    pdus = fragments(source, stub, 7, 5840)
    lies = source.below(3)
    for _ in range(lies):
        at = source.below(len(pdus))
        pdus[at] = poke(source, pdus[at])
    stream = b"".join(pdus)
    cap = source.choice((1 << 20, 1 << 20, 1000))
    whole = feed(stream, [len(stream)], cap)
    cuts = [1 + source.choice(_NUMBERS) for _ in range(source.below(12))]
    assert feed(stream, cuts, cap) == whole
    if not lies:
        assert whole == stub or len(stub) > cap


def feed(stream: bytes, cuts: list[int], cap: int) -> Any:
    reply = dcerpc.Reassembler(7, cap, 1432)
    at = 0
    try:
        for size in [*cuts, len(stream)]:
            if at >= len(stream):
                break
            reply.feed(stream[at : at + size])
            at += size
            reply.bytes_to_come()
            if reply.done and at < len(stream):
                return "more"
        return reply.stub() if reply.done else "unfinished"
    except MalformedReply as error:
        return "more" if "after the last" in str(error) else (str(error), error.offset)
    except WireError as error:
        # How much of a reply that is too large has come depends on the cuts.
        return error.status if error.status == 122 else (error.status, error.detail)


def check_bind(source: Source) -> None:
    results = source.below(3)
    body = struct.pack("<HHIH", 4280, 4280, 1, 13) + b"\\PIPE\\srvsvc\0"[:13] + b"\0" * 1
    body += bytes(-(16 + len(body)) % 4) + struct.pack("<B3x", results)
    for _ in range(results):
        body += struct.pack("<HH", source.below(4), source.below(4)) + dcerpc.NDR20_SYNTAX
    kind = source.choice((12, 12, 12, 13, 3))
    made = struct.pack("<BBBBIHHI", 5, 0, kind, 3, 0x10, 16 + len(body), 0, 7) + body
    for _ in range(source.below(3)):
        made = poke(source, made)
    try:
        ack = dcerpc.parse_bind_reply(made, 7)
    except (MalformedReply, WireError):
        return
    assert min(ack.max_send, ack.max_receive) >= dcerpc.MIN_FRAGMENT
    assert ack.results[0][0] == 0
    assert b"".join(dcerpc.build_request(1, 12, bytes(9000), ack.max_send))


# --- the pipe -------------------------------------------------------------------------------------


class Signer:
    """Signs nothing and finds everything signed: what is looked at is what is behind that."""

    def signed(self, message: bytes, message_id: int) -> bytes:
        return message

    def verify(self, message: bytes, message_id: int) -> bool:
        return True


class Server:
    """In place of a Link: answers what is posted."""

    connected = True
    own_address = "127.0.0.1"

    def __init__(self, source: Source) -> None:
        self.deadline = Deadline(None)
        self.lied = False
        self.stub = b""
        self._source = source
        self._replies: deque[bytes] = deque()
        self._messages: deque[bytes] = deque()  # what is to be read from the pipe
        self._count = 0

    def send_all(self, messages: list[bytes]) -> None:
        for message in messages:
            self._answer(message)

    def _answer(self, request: bytes) -> None:
        command = int.from_bytes(request[12:14], "little")
        if command == _IOCTL:
            size = int.from_bytes(request[64 + 44 : 64 + 48], "little")
            self._messages = deque(self._rpc(request[120:]))
            data, more = self._read(size)
            at = 112
            body = struct.pack(
                "<HHI16sIIIIII", 49, 0, 0x11C017, b"f" * 16, at, 0, at, len(data), 0, 0
            )
            body += data
        elif command == _READ:
            size = int.from_bytes(request[68:72], "little")
            data, more = self._read(size)
            body = struct.pack("<HBBIII", 17, 80, 0, len(data), 0, 0) + data
        else:
            length = int.from_bytes(request[68:72], "little")
            body, more = struct.pack("<HHIIHH", 17, 0, length, 0, 0, 0), False
        self._reply(request, command, _OVERFLOW if more else 0, body)

    def _reply(self, request: bytes, command: int, status: int, body: bytes) -> None:
        source = self._source
        credits = source.choice((1, 1, 2, 128))
        header = struct.pack(
            "<4sHHIHHIIQIIQ16s", b"\xfeSMB", 64, 1, status, command, credits, 9, 0,
            int.from_bytes(request[24:32], "little"), 0, 5, _SESSION, bytes(16),
        )  # fmt: skip
        if source.below(8) == 7:  # first it takes its time
            self._replies.append(header[:8] + struct.pack("<I", _PENDING) + header[12:] + bytes(9))
        message = header + body
        if source.below(16) == 15:
            self.lied = True
            message = poke(source, message)
        self._replies.append(message)

    def _read(self, size: int) -> tuple[bytes, bool]:
        """Of the first message so much; whether there is more of it."""
        if not self._messages:
            assert self.lied, "a READ with nothing left to read would wait for ever"
            raise LinkBrokenError(64, "nothing to read")
        message = self._messages.popleft()
        if self._source.below(16) == 15:
            size = max(1, min(size, self._source.below(256)))
        if len(message) > size:
            self._messages.appendleft(message[size:])
        return message[:size], len(message) > size

    def _rpc(self, request: bytes) -> list[bytes]:
        source = self._source
        (call_id,) = struct.unpack_from("<I", request, 12)
        if request[2] == dcerpc.BIND:
            body = struct.pack("<HHIH", source.choice((4280, 1432, 5840, 65535)), 4280, 1, 0)
            body += b"\0\0" + struct.pack("<B3x", 1) + bytes(4) + dcerpc.NDR20_SYNTAX
            pdus = [struct.pack("<BBBBIHHI", 5, 0, 12, 3, 0x10, 16 + len(body), 0, call_id) + body]
        else:
            pdus = fragments(source, self.stub, call_id, 4280)
        if source.below(16) == 15:
            self.lied = True
            at = source.below(len(pdus)) if len(pdus) <= 256 else 0
            pdus[at] = poke(source, pdus[at])
            if source.below(4) == 3:
                pdus.append(pdus[at])
        return [pdu for pdu in pdus if pdu]

    def receive(self) -> bytes:
        """In any order, and several in one."""
        self._count += 1
        if not self._replies or self._count > _MOST_REPLIES:
            assert self.lied or self._replies, "waits for what nobody sends"
            raise LinkBrokenError(64, "the server closed the connection")
        if self._source.below(4) == 3:
            self._replies.rotate(-self._source.below(8))
            # An interim reply comes before its final one.
            self._replies = deque(sorted(self._replies, key=lambda one: one[8:12] != b"\3\1\0\0"))
        if self._source.below(8) == 7 and len(self._replies) > 1:
            first, second = self._replies.popleft(), self._replies.popleft()
            first += bytes(-len(first) % 8)
            return first[:20] + struct.pack("<I", len(first)) + first[24:] + second
        return self._replies.popleft()

    def is_quiet(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing to close."""

    abort = close


def connection_to(server: Server) -> Any:
    made = SmbConnection(Address("fake", "fake", True), 445, server)  # type: ignore[arg-type]
    made._signer = Signer()  # type: ignore[assignment]
    made._session_id = _SESSION
    made.supports_multi_credit = True
    made.max_read_size = made.max_transact_size = made.max_write_size = 65536
    made.sequence_window = {"low": 5, "high": 40}
    return made


def check_pipe(source: Source) -> None:
    if SmbConnection is None:
        return
    server = Server(source)
    connection = connection_to(server)
    connection.sequence_window["high"] = 6 + source.choice((128, 0, 1, 9))
    cap = source.choice((1 << 20, 1 << 20, 1 << 20, 3000))
    try:
        rpc = RpcConnection(Pipe(OpenPipe(connection, _SESSION, 5, b"f" * 16)), cap)
    except _FAILURES as error:
        assert server.lied, error
        return
    for _ in range(1 + source.below(2)):
        size = source.choice((0, 4, 100, 5000, 20000, 60000, 200_000))
        server.stub = (bytes(range(251)) * (size // 251 + 1))[:size]
        try:
            found = rpc.call(12, bytes(source.choice((0, 40, 5000))), pipelined=source.bit())
        except _FAILURES as error:
            assert server.lied or size > cap, error
            return
        assert server.lied or found == server.stub
        assert len(connection._replies) <= 128


def run(data: bytes) -> None:
    source = Source(data)
    source.choice((check_opening, check_reassembly, check_bind, check_pipe))(source)


def seeds() -> list[bytes]:
    found = [bytes([which, *([step] * 20)]) for which in range(4) for step in range(16)]
    found += [bytes([3, start, *(at * 5 % 16 for at in range(start, 60))]) for start in range(8)]
    return [*found, *(bytes([0, kind, 0, 0, 2]) for kind in range(5))]
