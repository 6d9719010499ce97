"""A pipe in memory for tests of what is above it: it answers requests as it is told.

No server: those are in tests/samba.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, cast

from netsession import Server
from netsession.srvsvc import SrvsvcClient, dcerpc
from netsession.srvsvc.deadline import Deadline, Task
from netsession.srvsvc.pipe import Pipe
from netsession.srvsvc.rpc import RpcConnection

#: The stub of the request -> the stub of the reply; may raise what a pipe raises.
Answer = Callable[[int, bytes], bytes]


def _string(text: str) -> bytes:
    units = (text + "\0").encode("utf-16-le")
    count = len(units) // 2
    return struct.pack("<III", count, 0, count) + units + bytes(-len(units) % 4)


def _listing() -> bytes:
    """NetrSessionEnum's reply at level 10 with one session, alice's from A."""
    head = struct.pack("<IIIIII", 10, 10, 0x20000, 1, 0x20004, 1)
    entry = struct.pack("<IIII", 0x20008, 0x2000C, 1, 1)
    return head + entry + _string("A") + _string("alice") + struct.pack("<III", 1, 0, 0)


ALICE = _listing()


def server_of(answer: Answer, **options: Any) -> tuple[Server, FakeClient]:
    """A Server over such a client. It lists at level 10 first, as if that had been granted."""
    client = FakeClient(answer, **options)
    server = Server("fake", backend=client.call, timeout=options.get("timeout", 60.0))
    server._client = client
    server._granted = 10
    return server, client


def listing(delete: Answer) -> Answer:
    """Lists alice's session; what is answered to a delete is given."""

    def answer(opnum: int, stub: bytes) -> bytes:
        return ALICE if opnum == 12 else delete(opnum, stub)

    return answer


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
