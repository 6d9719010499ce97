"""A pipe in memory for tests of what is above it: it answers requests as it is told.

No server: those are in tests/samba.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, cast

from netsession.srvsvc import SrvsvcClient, dcerpc
from netsession.srvsvc.deadline import Deadline, Task
from netsession.srvsvc.pipe import Pipe
from netsession.srvsvc.rpc import RpcConnection

#: The stub of the request -> the stub of the reply; may raise what a pipe raises.
Answer = Callable[[int, bytes], bytes]


def response(call_id: int, stub: bytes) -> bytes:
    """A response PDU in one fragment."""
    head = struct.pack("<BBBBIHHI", 5, 0, dcerpc.RESPONSE, 3, 0x10, 24 + len(stub), 0, call_id)
    return head + struct.pack("<IHBB", len(stub), 0, 0, 0) + stub


class FakePipe:
    """What RpcConnection wants of a Pipe."""

    is_alive = True

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.opnums: list[int] = []
        self.open = True
        self.deadline = Deadline(None)

    def transceive(self, message: bytes) -> memoryview:
        """A bind is granted, a request answered."""
        (call_id,) = struct.unpack_from("<I", message, 12)
        if message[2] == dcerpc.BIND:
            body = struct.pack("<HHIH", 4280, 4280, 1, 0) + b"\0\0" + struct.pack("<B3x", 1)
            body += struct.pack("<HH", 0, 0) + dcerpc.NDR20_SYNTAX
            head = struct.pack("<BBBBIHHI", 5, 0, 12, 3, 0x10, 16 + len(body), 0, call_id)
            return memoryview(head + body)
        (opnum,) = struct.unpack_from("<H", message, 22)
        self.opnums.append(opnum)
        return memoryview(response(call_id, self._answer(opnum, message[24:])))

    def set_deadline(self, deadline: Deadline) -> None:
        """Kept; it may be called off."""
        self.deadline = deadline

    def leave(self) -> None:
        """Closed."""
        self.open = False

    drop = abort = leave


class FakeClient(SrvsvcClient):
    """A client whose connections are pipes in memory; ``pipes`` are those made so far."""

    def __init__(self, answer: Answer, **options: Any) -> None:
        super().__init__("fake", **options)
        self.pipes: list[FakePipe] = []
        self._answer = answer

    def _connect(self, deadline: Deadline) -> RpcConnection:
        # In another thread, as for a real one.
        connected: RpcConnection = Task(self._new_pipe, RpcConnection.drop).run(deadline)
        return connected

    def _new_pipe(self) -> RpcConnection:
        pipe = FakePipe(self._answer)
        self.pipes.append(pipe)
        return RpcConnection(cast(Pipe, pipe), self._max_reply_bytes)
