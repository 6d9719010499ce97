"""Samba's Python bindings, which are C made from IDL. Runs under the system's Python."""

# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from operator import attrgetter
from typing import Any

from samba.credentials import Credentials
from samba.dcerpc import srvsvc
from samba.ndr import ndr_unpack_out
from samba.param import LoadParm
from serve import EVERYTHING, FIELDS, Connection, Contender, serve

import samba

_NAMES = {
    "cname": "client",
    "username": "user",
    "num_opens": "num_open",
    "cltype_name": "client_type",
}


def rows(container: Any, level: int) -> list[Any]:
    """A tuple a session; attrgetter of one name gives it bare, hence the two ways."""
    names = [_NAMES.get(name, name) for name in FIELDS[level]]
    if len(names) == 1:
        return [(getattr(entry, names[0]),) for entry in container.array]
    return list(map(attrgetter(*names), container.array))


class _Pipe(Connection):
    def __init__(self, where: dict[str, Any]) -> None:
        lp = LoadParm()
        lp.load(where["config"])  # its "smb ports" is the port that the bindings connect to
        lp.set("smb ports", str(where["port"]))
        credentials = Credentials()
        credentials.guess(lp)
        credentials.set_username(where["user"])
        credentials.set_password(where["password"])
        self._pipe = srvsvc.srvsvc(f"ncacn_np:{where['host']}", lp, credentials)
        self._pipe.request_timeout = 300  # its 60 seconds are for a whole reply

    def sessions(self, level: int) -> list[Any]:
        info = srvsvc.NetSessInfoCtr()
        info.level = level
        info.ctr = getattr(srvsvc, f"NetSessCtr{level}")()
        answer, _, _ = self._pipe.NetSessEnum(None, None, None, info, EVERYTHING, 0)
        return rows(answer.ctr, level)

    def close(self) -> None:
        del self._pipe  # what closes it


class Samba(Contender):
    def decode(self, stub: bytes, level: int) -> list[Any]:
        call = srvsvc.NetSessEnum()
        ndr_unpack_out(call, stub)
        return rows(call.out_info_ctr.ctr, level)

    def connect(self, where: dict[str, Any]) -> Connection:
        return _Pipe(where)

    def version(self) -> str:
        return f"Samba's Python bindings {samba.version}"


if __name__ == "__main__":
    serve(Samba())
