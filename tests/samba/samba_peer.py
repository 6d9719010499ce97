"""Samba's clients as witnesses: its Python bindings, and rpcclient."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from closing import Closing
from ndr_reference import (
    MAX_PREFERRED_LENGTH,
    DeleteRequest,
    EnumRequest,
    EnumResponse,
    Row,
)
from smbd import PATIENCE, SAMBA_PYTHON, Smbd, User, tool

SCRIPT: Final = Path(__file__).with_name("samba_script.py")


class PeerError(RuntimeError):
    """What Samba's bindings raised."""


class SambaPeer(Closing):
    """The bindings, in a process of the system's Python. A context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [SAMBA_PYTHON, str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """Ends the process. Idempotent."""
        if self._process.poll() is None:
            self._process.communicate(timeout=PATIENCE)

    def _ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise PeerError(f"Samba's bindings died in {do}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{do}: {answer['error']} {answer['args']}")
        return answer

    def connect(self, smbd: Smbd, user: User | None = None) -> None:
        """Opens the srvsvc pipe; the administrator unless told otherwise."""
        user = user or smbd.admin
        self._ask(
            "connect",
            config=str(smbd.config),
            host=smbd.host,
            user=user.name,
            password=user.password,
        )

    def enum(
        self,
        level: int,
        *,
        client: str | None = None,
        user: str | None = None,
        preferred_length: int = MAX_PREFERRED_LENGTH,
        resume_handle: int | None = 0,
    ) -> EnumResponse:
        """One NetrSessionEnum, encoded and decoded by Samba."""
        answer = self._ask(
            "enum",
            server="\\\\NSTEST",
            client=client,
            user=user,
            level=level,
            preferred_length=preferred_length,
            resume_handle=resume_handle,
        )
        return EnumResponse(**answer)

    def delete(self, client: str | None, user: str | None) -> int:
        """One NetrSessionDel; its status."""
        answer = self._ask("delete", server="\\\\NSTEST", client=client, user=user)
        return int(answer["status"])

    def pack_request(self, request: EnumRequest) -> bytes:
        """The stub as Samba's client would send it."""
        return bytes.fromhex(self._ask("pack_request", **vars(request))["stub"])

    def unpack_request(self, stub: bytes) -> EnumRequest:
        """The request as Samba's server would understand it."""
        return EnumRequest(**self._ask("unpack_request", stub=stub.hex()))

    def pack_response(
        self,
        level: int,
        rows: Sequence[Row] | None,
        *,
        total_entries: int,
        resume_handle: int | None,
        status: int,
    ) -> bytes:
        """The stub as Samba's server would send it."""
        answer = self._ask(
            "pack_response",
            level=level,
            rows=rows,
            total_entries=total_entries,
            resume_handle=resume_handle,
            status=status,
        )
        return bytes.fromhex(answer["stub"])

    def unpack_response(self, stub: bytes) -> EnumResponse:
        """The reply as Samba's client would understand it."""
        return EnumResponse(**self._ask("unpack_response", stub=stub.hex()))

    def pack_delete(self, request: DeleteRequest) -> bytes:
        """The stub as Samba's client would send it."""
        return bytes.fromhex(self._ask("pack_delete", **vars(request))["stub"])


def rpcclient(smbd: Smbd, command: str, user: User | None = None) -> str:
    """What rpcclient prints. The password goes through a file, not through its arguments."""
    user = user or smbd.admin
    secret = smbd.directory / "rpcclient.auth"
    secret.touch(mode=0o600)
    secret.write_text(f"username = {user.name}\npassword = {user.password}\n")
    arguments = ["-s", str(smbd.config), "-A", str(secret), "-p", str(smbd.port)]
    done = subprocess.run(
        [tool("rpcclient") or "rpcclient", *arguments, smbd.host, "-c", command],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.stdout + done.stderr
