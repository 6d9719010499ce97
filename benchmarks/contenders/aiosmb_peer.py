"""aiosmb."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from aiosmb.commons.connection.factory import SMBConnectionFactory
from aiosmb.dcerpc.v5 import srvs
from aiosmb.dcerpc.v5.dtypes import NULL
from aiosmb.dcerpc.v5.interfaces.srvsmgr import SRVSRPC
from serve import FIELDS, STRINGS, Connection, Contender, serve


def rows(response: Any, level: int) -> list[Any]:
    """Its decoder is impacket's, an earlier state of it."""
    names = [(f"sesi{level}_{name}", name in STRINGS) for name in FIELDS[level]]
    return [
        tuple(entry[name][:-1] if string else entry[name] for name, string in names)
        for entry in response["InfoStruct"]["SessionInfo"][f"Level{level}"]["Buffer"]
    ]


def _checked(pair: tuple[Any, Exception | None]) -> Any:
    """The library returns its errors beside its results."""
    result, error = pair
    if error is not None:
        raise error
    return result


class _Pipe(Connection):
    def __init__(self, where: dict[str, Any]) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._open(where))

    async def _open(self, where: dict[str, Any]) -> None:
        account = f"NSTEST\\{quote(where['user'])}:{quote(where['password'])}"
        url = f"smb2+ntlm-password://{account}@{where['host']}:{where['port']}/?timeout=600"
        self._smb = SMBConnectionFactory.from_url(url).get_connection()
        _checked(await self._smb.login())
        self._rpc = _checked(await SRVSRPC.from_smbconnection(self._smb))

    def sessions(self, level: int) -> list[Any]:
        call = srvs.hNetrSessionEnum(self._rpc.dce, NULL, NULL, level)
        return rows(_checked(self._loop.run_until_complete(call)), level)

    def close(self) -> None:
        self._loop.run_until_complete(self._rpc.close())
        self._loop.run_until_complete(self._smb.disconnect())
        self._loop.close()


class Aiosmb(Contender):
    def decode(self, stub: bytes, level: int) -> list[Any]:
        return rows(srvs.NetrSessionEnumResponse(stub), level)

    def connect(self, where: dict[str, Any]) -> Connection:
        return _Pipe(where)

    def version(self) -> str:
        return f"aiosmb {version('aiosmb')}"


if __name__ == "__main__":
    serve(Aiosmb())
