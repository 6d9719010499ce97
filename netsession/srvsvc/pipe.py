"""The open named pipe: messages in and out by SMB2 IOCTL, WRITE and READ.

The requests are put together here rather than by smbprotocol's structures, which cost some 200
microseconds of Python a message; a long reply takes thousands of READs.
Sources: [MS-SMB2] 2.2.19 to 2.2.22, 2.2.31, 2.2.32; [MS-FSCC] 2.3.49 (FSCTL_PIPE_TRANSCEIVE).
"""

from __future__ import annotations

import contextlib
import struct
from typing import Any, Final, NamedTuple

from ..errors import MalformedReply
from .deadline import Deadline
from .failures import DeadlinePassedError, WireError
from .statuses import STATUS_BUFFER_OVERFLOW, failure_of_ntstatus

_LOGOFF: Final = 2
_READ: Final = 8
_WRITE: Final = 9
_IOCTL: Final = 11

_FSCTL_PIPE_TRANSCEIVE: Final = 0x0011C017
_FLAG_SIGNED: Final = 0x08
_MAX_IO: Final = 65536  # what one credit pays for ([MS-SMB2] 3.1.5.2)
# What a reply may have beside its data: header, body, and a DataOffset of up to 255.
_REPLY_OVERHEAD: Final = 512
_GOODBYE_SECONDS: Final = 1.0

# protocol, size, charge, channel, reserved, command, credits, flags, next, message id, process,
# tree, session, signature
_HEADER: Final = struct.Struct("<4sHHHHHHIIQIIQ16s")
_READ_BODY: Final = struct.Struct("<HBBIQ16sIIIHHB")
_WRITE_BODY: Final = struct.Struct("<HHIQ16sIIHHI")
_IOCTL_BODY: Final = struct.Struct("<HHI16sIIIIIIII")
_LOGOFF_BODY: Final = struct.Struct("<HH")


class Reply(NamedTuple):
    """A final SMB reply, its signature verified where there is a key."""

    status: int
    message: bytes  # header and body


class Request(NamedTuple):
    """An SMB request, not yet signed or encrypted."""

    message_id: int
    command: int
    message: bytes
    largest_reply: int  # how long the reply may be, header included


class OpenPipe(NamedTuple):
    """The open pipe as ``smb.open_pipe`` hands it over."""

    connection: Any  # an smb.SmbConnection, whose module wants smbprotocol
    session_id: int
    tree_id: int
    file_id: bytes


class Pipe:
    """A named pipe in message mode, over one SMB session of its own."""

    def __init__(self, opened: OpenPipe) -> None:
        self._connection = opened.connection
        self._session_id = opened.session_id
        self._tree_id = opened.tree_id
        self._file_id = opened.file_id
        self._flags = 0 if self._connection.must_encrypt else _FLAG_SIGNED
        # Dialect 2.0.2 knows no credit charge ([MS-SMB2] 3.2.4.1.5).
        self._charge = 1 if self._connection.supports_multi_credit else 0
        self._max_read = min(_MAX_IO, self._connection.max_read_size)
        self._max_transact = min(_MAX_IO, self._connection.max_transact_size)

    def set_deadline(self, deadline: Deadline) -> None:
        """From now on no wait lasts longer than this."""
        self._connection.link.deadline = deadline

    @property
    def own_address(self) -> str | None:
        """This machine's address on the connection (str), or None."""
        address: str | None = self._connection.link.own_address
        return address

    @property
    def is_alive(self) -> bool:
        """False if the server has closed the connection meanwhile. Asks nobody."""
        return bool(self._connection.link.is_quiet())

    def transceive(self, message: bytes) -> memoryview:
        """Write one message and read (the beginning of) the answer, in one round trip."""
        body = _IOCTL_BODY.pack(
            57, 0, _FSCTL_PIPE_TRANSCEIVE, self._file_id, 120, len(message), 0, 0, 0,
            self._max_transact, 1, 0,
        )  # fmt: skip
        reply = self._exchange(_IOCTL, body + message, self._max_transact)
        return _payload(reply, 49, 32, 36, self._max_transact)

    def write(self, message: bytes) -> None:
        """Write one message."""
        body = _WRITE_BODY.pack(49, 112, len(message), 0, self._file_id, 0, 0, 0, 0, 0)
        reply = self._exchange(_WRITE, body + message)
        written = _field(reply, 17, 4)
        if written != len(message):
            raise MalformedReply(f"the pipe took {written} of {len(message)} bytes", 68)

    def start_reads(self, count: int, size: int) -> list[int]:
        """Send up to ``count`` READs of ``size`` bytes; their ids, fewer if credits are short.

        Each must be fetched by ``finish_read``, in this order. ``size`` is one of ``read_size``'s.
        """
        body = _READ_BODY.pack(49, 0x50, 0, size, 0, self._file_id, 0, 0, 0, 0, 0, 0)
        largest = size + _REPLY_OVERHEAD
        requests = []
        for _ in range(count):
            message_id = self._connection.take_message_id()
            if message_id is None:
                break
            message = self._header(_READ, message_id) + body
            requests.append(Request(message_id, _READ, message, largest))
        if requests:
            self._connection.post(requests)
        return [request.message_id for request in requests]

    def finish_read(self, message_id: int, size: int) -> memoryview:
        """What that READ of ``size`` bytes brought."""
        reply = self._checked(self._connection.wait_for(message_id))
        return _payload(reply, 17, 2, 4, size)

    def read_size(self, size: int) -> int:
        """How much a READ of ``size`` bytes can bring at most."""
        return int(min(size, self._max_read))

    def leave(self) -> None:
        """Log off, which closes the pipe too, and wait a moment for the server to take note."""
        self.set_deadline(Deadline(_GOODBYE_SECONDS))
        try:
            with contextlib.suppress(WireError, DeadlinePassedError, MalformedReply):
                self._exchange(_LOGOFF, _LOGOFF_BODY.pack(4, 0))
        finally:
            self.drop()

    def drop(self) -> None:
        """Close the connection without a word."""
        self._connection.link.close()

    def abort(self) -> None:
        """Break the connection under the thread that uses it."""
        self._connection.link.abort()

    def _exchange(self, command: int, body: bytes, size: int = 0) -> bytes:
        """The reply, which may bring up to ``size`` bytes of data."""
        message_id = self._connection.take_message_id()
        if message_id is None:
            raise MalformedReply("the server grants no credit to send another request", 14)
        message = self._header(command, message_id) + body
        request = Request(message_id, command, message, size + _REPLY_OVERHEAD)
        self._connection.post([request])
        return self._checked(self._connection.wait_for(message_id))

    def _header(self, command: int, message_id: int) -> bytes:
        credits = self._connection.credits_to_ask(message_id)
        return _HEADER.pack(
            b"\xfeSMB", 64, self._charge, 0, 0, command, credits, self._flags, 0, message_id, 0,
            self._tree_id, self._session_id, b"",
        )  # fmt: skip

    @staticmethod
    def _checked(reply: Reply) -> bytes:
        # On a pipe BUFFER_OVERFLOW says that more of this message follows.
        if reply.status and reply.status != STATUS_BUFFER_OVERFLOW:
            raise failure_of_ntstatus(reply.status)
        return reply.message


def _field(message: bytes, structure_size: int, at: int) -> int:
    """A 32-bit field of a reply's body whose StructureSize is as it must be."""
    if len(message) < 64 + (structure_size & ~1):
        raise MalformedReply("SMB reply cut short", len(message))
    if int.from_bytes(message[64:66], "little") != structure_size:
        raise MalformedReply(f"SMB reply with a StructureSize other than {structure_size}", 64)
    return int.from_bytes(message[64 + at : 68 + at], "little")


def _payload(
    message: bytes, structure_size: int, offset_at: int, count_at: int, most: int
) -> memoryview:
    """The data of a READ or IOCTL reply, where its offset and count say; ``most`` were asked for.

    It is part of the message: copy what is to be kept.
    """
    count = _field(message, structure_size, count_at)
    if count > most:
        raise MalformedReply(f"{count} bytes where at most {most} were asked for", 64 + count_at)
    if structure_size == 17:  # a READ has one byte of offset, an IOCTL four
        offset = message[64 + offset_at]
    else:
        offset = _field(message, structure_size, offset_at)
    if count and (offset < 64 + (structure_size & ~1) or offset + count > len(message)):
        raise MalformedReply(f"{count} bytes at {offset} of an SMB reply do not fit", 64)
    return memoryview(message)[offset : offset + count]
