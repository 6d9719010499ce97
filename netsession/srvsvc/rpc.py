"""DCE/RPC calls over the open pipe: bind once, then requests and their replies in fragments."""

from __future__ import annotations

from collections import deque
from typing import Final

from ..errors import MalformedReply
from . import dcerpc
from .deadline import Deadline
from .failures import RpcFaultError
from .pipe import Pipe

# READs on their way at once, at first and at most. Over 20 ms of round trip 64 fragments of
# 5,840 bytes are 18 MB/s; more gains little and takes more of the server's credits.
_FIRST_WINDOW: Final = 8
_MAX_WINDOW: Final = 64
_BATCH: Final = 8

_NO_CREDIT: Final = "the server grants no credit for another READ"
_CREDITS_AT: Final = 14  # CreditResponse in the SMB header


class RpcConnection:
    """The srvsvc interface at the other end of a pipe. For one thread at a time."""

    def __init__(self, pipe: Pipe, max_reply_bytes: int) -> None:
        self._pipe = pipe
        self._max_reply_bytes = max_reply_bytes
        self._call_id = 1
        ack = dcerpc.parse_bind_reply(self._bind(), self._call_id)
        self._max_send = ack.max_send
        self._max_receive = ack.max_receive
        self.sent: bool = False  # has anything of the call at hand been sent?
        self.answered: bool = False  # and has any of the answer come?
        #: Has the pipe nothing left of the call, not even a READ waiting?
        self.drained: bool = False

    @property
    def own_address(self) -> str | None:
        """This machine's address on the connection (str); None where it is gone."""
        return self._pipe.own_address

    def _bind(self) -> bytes:
        reply = bytearray(self._pipe.transceive(dcerpc.build_bind(self._call_id)))
        if not reply:
            raise MalformedReply("the answer to a bind brought no bytes", 0)
        while missing := dcerpc.missing_bytes(reply):
            if len(reply) >= 16:  # whose length is not to be relied on before
                dcerpc.parse_header(reply, self._call_id)
            more = self._read(self._pipe.read_size(missing))
            if not more:
                raise MalformedReply("a READ brought no bytes", len(reply))
            reply += more
        return bytes(reply)

    def _read(self, size: int) -> memoryview:
        started = self._pipe.start_reads(1, size)
        if not started:
            raise MalformedReply(_NO_CREDIT, _CREDITS_AT)
        return self._pipe.finish_read(started[0], size)

    def call(self, opnum: int, stub: bytes, *, pipelined: bool) -> bytes:
        """The reply's stub. ``pipelined`` keeps many READs on their way if that is safe.

        Raises RpcFaultError, ChainBrokenError (only if pipelined), LinkBrokenError, WireError,
        DeadlinePassedError and MalformedReply.
        """
        self.sent = self.answered = self.drained = False
        self._call_id = self._call_id % 0xFFFFFFFF + 1
        *first, last = dcerpc.build_request(self._call_id, opnum, stub, self._max_send)
        reply = dcerpc.Reassembler(self._call_id, self._max_reply_bytes, self._max_receive)
        self.sent = True
        for pdu in first:  # one by one: a server may work on several WRITEs in any order
            self._pipe.write(pdu)
        data = self._pipe.transceive(last)
        self.answered = True
        try:
            reply.feed(data)
        except RpcFaultError:
            self.drained = dcerpc.is_one_pdu(data)
            raise
        if not reply.done:
            self._read_on(reply, _FIRST_WINDOW if pipelined else 1)
        self.drained = True
        return reply.stub()

    def _read_on(self, reply: dcerpc.Reassembler, window: int) -> None:
        """READ until the reply is whole.

        A READ without anything left to read blocks, so no more are sent than the alloc_hints
        promise data for. A reply whose hints cannot be relied on is read one READ at a time.
        """
        most = _MAX_WINDOW if window > 1 else 1
        size = self._pipe.read_size(reply.max_fragment)
        on_their_way: deque[int] = deque()
        while not reply.done:
            to_come = -(-reply.bytes_to_come() // size)
            wanted = max(1, min(window, to_come)) - len(on_their_way)
            # In batches, since each costs a system call and a packet.
            if wanted >= _BATCH or not on_their_way:
                on_their_way += self._pipe.start_reads(wanted, size)
            if not on_their_way:
                raise MalformedReply(_NO_CREDIT, _CREDITS_AT)
            data = self._pipe.finish_read(on_their_way.popleft(), size)
            reply.verify = bool(on_their_way)
            reply.feed(data)
            window = min(most, window + 1)

    def begin(self, deadline: Deadline) -> None:
        """A new call: no wait in it lasts longer than this, nor longer than it is wanted."""
        self.sent = self.answered = False
        self._pipe.set_deadline(deadline)
        deadline.on_call_off(self.abort)

    def __del__(self) -> None:
        self.drop()  # by reference counting: smbprotocol's objects below refer to each other

    @property
    def is_alive(self) -> bool:
        """False if the server has closed the connection meanwhile. Asks nobody."""
        return self._pipe.is_alive

    def leave(self) -> None:
        """End the session politely, within a second."""
        self._pipe.leave()

    def drop(self) -> None:
        """Close the connection at once."""
        self._pipe.drop()

    def abort(self) -> None:
        """Break the connection under the thread that uses it."""
        self._pipe.abort()
