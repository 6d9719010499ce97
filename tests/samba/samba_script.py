"""Runs under the system's Python, which has Samba's bindings; ``samba_peer.py`` talks to it.

Reads requests from standard input and writes answers to standard output, one JSON object a line. It
uses Samba's marshalling for both directions and nothing of ours, so that it can bear witness.
"""

# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import sys
from typing import Any

from samba.credentials import Credentials
from samba.dcerpc import srvsvc
from samba.ndr import ndr_pack_in, ndr_pack_out, ndr_unpack_in, ndr_unpack_out
from samba.param import LoadParm

# Samba's names of the fields, and those that everybody else here uses (pywin32's).
NAMES = {
    "client": "client_name",
    "user": "user_name",
    "num_open": "num_opens",
    "time": "active_time",
    "idle_time": "idle_time",
    "user_flags": "user_flags",
    "client_type": "client_type",
    "transport": "transport",
}


def container(level: int, rows: list[dict[str, Any]] | None) -> Any:
    """A NetSessInfoCtr; ``rows`` None makes a NULL array."""
    info = srvsvc.NetSessInfoCtr()
    info.level = level
    info.ctr = getattr(srvsvc, f"NetSessCtr{level}")()
    if rows is not None:
        items = []
        for row in rows:
            item = getattr(srvsvc, f"NetSessInfo{level}")()
            for samba_name, name in NAMES.items():
                if name in row:
                    setattr(item, samba_name, row[name])
            items.append(item)
        info.ctr.array = items
        info.ctr.count = len(items)
    return info


def rows_of(info: Any) -> list[dict[str, Any]] | None:
    """The rows of a NetSessInfoCtr as JSON has them."""
    if info.ctr is None or info.ctr.array is None:
        return None
    return [
        {name: getattr(item, old) for old, name in NAMES.items() if hasattr(item, old)}
        for item in info.ctr.array
    ]


def enum_call(ask: dict[str, Any]) -> Any:
    """The request as an object of Samba's."""
    call = srvsvc.NetSessEnum()
    call.in_server_unc = ask["server"]
    call.in_client = ask["client"]
    call.in_user = ask["user"]
    call.in_info_ctr = container(ask["level"], None)
    call.in_max_buffer = ask["preferred_length"]
    call.in_resume_handle = ask["resume_handle"]
    return call


def decoded(stub: bytes) -> dict[str, Any]:
    """A reply's fields. The status is read by hand: the bindings' `result` attribute crashes."""
    call = srvsvc.NetSessEnum()
    ndr_unpack_out(call, stub)
    return {
        "level": call.out_info_ctr.level,
        "rows": rows_of(call.out_info_ctr),
        "total_entries": call.out_totalentries,
        "resume_handle": call.out_resume_handle,
        "status": int.from_bytes(stub[-4:], "little"),
    }


class Peer:
    """The operations that can be asked for; each takes and returns what JSON can carry."""

    def connect(self, ask: dict[str, Any]) -> dict[str, Any]:
        lp = LoadParm()
        lp.load(ask["config"])
        credentials = Credentials()
        credentials.guess(lp)
        credentials.set_username(ask["user"])
        credentials.set_password(ask["password"])
        self.pipe = srvsvc.srvsvc(f"ncacn_np:{ask['host']}", lp, credentials)
        return {}

    def enum(self, ask: dict[str, Any]) -> dict[str, Any]:
        call = enum_call(ask)
        return decoded(self.pipe.request(call.opnum(), ndr_pack_in(call)))

    def delete(self, ask: dict[str, Any]) -> dict[str, Any]:
        call = srvsvc.NetSessDel()
        call.in_server_unc, call.in_client, call.in_user = ask["server"], ask["client"], ask["user"]
        stub = self.pipe.request(call.opnum(), ndr_pack_in(call))
        return {"status": int.from_bytes(stub, "little")}

    def pack_request(self, ask: dict[str, Any]) -> dict[str, Any]:
        return {"stub": ndr_pack_in(enum_call(ask)).hex()}

    def unpack_request(self, ask: dict[str, Any]) -> dict[str, Any]:
        call = srvsvc.NetSessEnum()
        ndr_unpack_in(call, bytes.fromhex(ask["stub"]))
        return {
            "server": call.in_server_unc,
            "client": call.in_client,
            "user": call.in_user,
            "level": call.in_info_ctr.level,
            "has_container": call.in_info_ctr.ctr is not None,
            "preferred_length": call.in_max_buffer,
            "resume_handle": call.in_resume_handle,
        }

    def pack_response(self, ask: dict[str, Any]) -> dict[str, Any]:
        call = srvsvc.NetSessEnum()
        call.out_info_ctr = container(ask["level"], ask["rows"])
        call.out_totalentries = ask["total_entries"]
        call.out_resume_handle = ask["resume_handle"]
        call.result = ask["status"]
        return {"stub": ndr_pack_out(call).hex()}

    def unpack_response(self, ask: dict[str, Any]) -> dict[str, Any]:
        return decoded(bytes.fromhex(ask["stub"]))

    def pack_delete(self, ask: dict[str, Any]) -> dict[str, Any]:
        call = srvsvc.NetSessDel()
        call.in_server_unc, call.in_client, call.in_user = ask["server"], ask["client"], ask["user"]
        return {"stub": ndr_pack_in(call).hex()}


def main() -> None:
    peer = Peer()
    for line in sys.stdin:
        ask = json.loads(line)
        try:
            answer = getattr(peer, ask.pop("do"))(ask)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}", "args": repr(error.args)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
