"""smbprotocol as its users call it: its own connection with its thread, its own logon, an ioctl.

What goes through the pipe and what comes back is made and read by netsession.
"""

from __future__ import annotations

import uuid
from importlib.metadata import version
from typing import Any

from serve import EVERYTHING, Connection, Contender, serve
from smbprotocol.connection import Connection as SmbConnection
from smbprotocol.ioctl import CtlCode, IOCTLFlags, SMB2IOCTLRequest, SMB2IOCTLResponse
from smbprotocol.open import Open
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from netsession import _netsession
from netsession.srvsvc import dcerpc

_NETR_SESSION_ENUM = 12
_READ_AND_WRITE = 0x0012019F
_LONGEST = 65_536


class _Pipe(Connection):
    def __init__(self, where: dict[str, Any]) -> None:
        self._connection = SmbConnection(uuid.uuid4(), where["host"], where["port"])
        self._connection.connect(timeout=120)
        self._session = Session(
            self._connection, where["user"], where["password"], require_encryption=False
        )
        self._session.connect()
        self._tree = TreeConnect(self._session, rf"\\{where['host']}\IPC$")
        self._tree.connect()
        self._open = Open(self._tree, "srvsvc")
        self._open.create(2, _READ_AND_WRITE, 0, 7, 1, 0)
        self._host = where["host"]
        dcerpc.parse_bind_reply(self._transceive(dcerpc.build_bind(1)), 1)

    def _transceive(self, pdu: bytes) -> bytes:
        request = SMB2IOCTLRequest()
        request["ctl_code"] = CtlCode.FSCTL_PIPE_TRANSCEIVE
        request["file_id"] = self._open.file_id
        request["max_output_response"] = _LONGEST
        request["flags"] = IOCTLFlags.SMB2_0_IOCTL_IS_FSCTL
        request["buffer"] = pdu
        sent = self._connection.send(request, self._session.session_id, self._tree.tree_connect_id)
        response = SMB2IOCTLResponse()
        response.unpack(self._connection.receive(sent)["data"].get_value())
        return bytes(response["buffer"].get_value())

    def sessions(self, level: int) -> list[Any]:
        stub = _netsession.encode_enum_request(self._host, None, None, level, EVERYTHING, None)
        (pdu,) = dcerpc.build_request(2, _NETR_SESSION_ENUM, stub, 4_280)
        reply = dcerpc.Reassembler(2, 1 << 30, 4_280)
        reply.feed(memoryview(self._transceive(pdu)))
        if not reply.done:
            raise RuntimeError("a reply of several fragments: this contender reads one")
        page = _netsession.decode_enum_response(reply.stub())[3]
        assert page is not None
        return list(page)

    def close(self) -> None:
        self._connection.disconnect()


class Smbprotocol(Contender):
    def decode(self, stub: bytes, level: int) -> list[Any]:
        raise NotImplementedError("smbprotocol decodes no DCE/RPC")

    def connect(self, where: dict[str, Any]) -> Connection:
        return _Pipe(where)

    def version(self) -> str:
        return f"smbprotocol {version('smbprotocol')}"


if __name__ == "__main__":
    serve(Smbprotocol())
