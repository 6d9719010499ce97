"""netsession: typed records."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from serve import Connection, Contender, serve

import netsession
from netsession import _netsession


class _Server(Connection):
    def __init__(self, where: dict[str, Any]) -> None:
        self._server = netsession.Server(
            where["host"],
            port=where["port"],
            username=where["user"],
            password=where["password"],
            timeout=120,
        )

    def sessions(self, level: int) -> list[Any]:
        return list(self._server.sessions(level=level))

    def close(self) -> None:
        self._server.close()


class Netsession(Contender):
    def decode(self, stub: bytes, level: int) -> list[Any]:
        page = _netsession.decode_enum_response(stub)[3]
        assert page is not None
        return list(page)

    def connect(self, where: dict[str, Any]) -> Connection:
        return _Server(where)

    def version(self) -> str:
        return f"netsession {netsession.__version__} (smbprotocol {version('smbprotocol')})"


class NetsessionColumns(Netsession):
    """The same reply as Arrow columns, without Python objects."""

    def decode(self, stub: bytes, level: int) -> list[Any]:
        page = _netsession.decode_enum_response(stub)[3]
        assert page is not None
        return [page.__arrow_c_array__()]


if __name__ == "__main__":
    serve(Netsession())
