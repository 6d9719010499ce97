"""impacket."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from impacket.dcerpc.v5 import srvs, transport
from impacket.dcerpc.v5.dtypes import NULL
from serve import FIELDS, STRINGS, Connection, Contender, serve


def rows(response: Any, level: int) -> list[Any]:
    """Its strings come with their terminator, which its users cut off."""
    names = [(f"sesi{level}_{name}", name in STRINGS) for name in FIELDS[level]]
    return [
        tuple(entry[name][:-1] if string else entry[name] for name, string in names)
        for entry in response["InfoStruct"]["SessionInfo"][f"Level{level}"]["Buffer"]
    ]


class _Pipe(Connection):
    def __init__(self, where: dict[str, Any]) -> None:
        self._transport = transport.SMBTransport(
            where["host"], where["port"], r"\srvsvc", where["user"], where["password"]
        )
        self._transport.setRemoteHost(where["host"])
        self._dce = self._transport.get_dce_rpc()
        self._dce.connect()
        self._dce.bind(srvs.MSRPC_UUID_SRVS)

    def sessions(self, level: int) -> list[Any]:
        return rows(srvs.hNetrSessionEnum(self._dce, NULL, NULL, level), level)

    def close(self) -> None:
        self._dce.disconnect()  # closes the SMB connection as well


class Impacket(Contender):
    def decode(self, stub: bytes, level: int) -> list[Any]:
        return rows(srvs.NetrSessionEnumResponse(stub), level)

    def connect(self, where: dict[str, Any]) -> Connection:
        return _Pipe(where)

    def version(self) -> str:
        return f"impacket {version('impacket')}"


if __name__ == "__main__":
    serve(Impacket())
