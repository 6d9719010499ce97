"""An SMB server that stops in a phase of a call, and says nothing until it is told to go on.

It is ``smb_server``'s, with two sessions to list, a page each, which it ends where it is asked to.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from typing import Any, Final

from fake_pipe import ALICE
from scripted import _strings
from smb_server import (
    CREATE,
    HOST,
    IOCTL,
    LOGOFF,
    NEGOTIATE,
    PASSWORD,
    READ,
    REQUEST,
    SESSION_SETUP,
    TREE_CONNECT,
    USER,
    Conversation,
    SmbServer,
)

#: In the order in which a call comes to them; a listing is two pages, each longer than a fragment.
PHASES: Final = (
    "negotiate", "logon 1", "logon 2", "share", "pipe", "bind",
    "call 1", "read 1", "call 2", "read 2",
)  # fmt: skip
#: Those of ending sessions, once they have been listed; and of leaving.
ENDING, LEAVING = "ending", "leaving"

PATIENCE: Final = 60.0  # which only a failure reaches
_ENUM, _DEL = 12, 13
_MORE_DATA: Final = 234
_NO_LEVEL: Final = 124

_NAMES: Final = {
    NEGOTIATE: "negotiate", TREE_CONNECT: "share", CREATE: "pipe", LOGOFF: LEAVING,
}  # fmt: skip


def _page(number: int) -> bytes:
    """NetrSessionEnum's reply at level 10: alice's session from A, the first or the second page."""
    end = struct.pack("<IIII", 2, 0x20014, number, _MORE_DATA if number == 1 else 0)
    return ALICE[:-12] + end


class PhaseServer(SmbServer):
    """Stops where ``hold`` says, once ``reached`` is set, until :meth:`go_on`.

    ``on_reached`` is called there, in a thread of the server's. ``deletes`` counts what it ended.
    """

    def __init__(self) -> None:
        super().__init__(room=48)
        self.hold: str | None = None
        self.on_reached: Callable[[], object] = lambda: None
        self.reached = threading.Event()
        self.deletes = 0
        self._goes_on = threading.Event()

    def go_on(self) -> None:
        """From now on everything is answered."""
        self.hold = None
        self._goes_on.set()

    def __exit__(self, *reason: Any) -> None:
        self.go_on()
        super().__exit__(*reason)

    def credentials(self) -> dict[str, Any]:
        """What ``netsession.Server`` needs to ask it, its name beside."""
        return {"username": USER, "password": PASSWORD, "port": self.port}

    @property
    def name(self) -> str:
        """Where it listens."""
        return HOST

    def come_to(self, phase: str) -> None:
        """A connection's thread, before the answer is sent."""
        if phase == self.hold:
            self.reached.set()
            self.on_reached()
            self._goes_on.wait(10 * PATIENCE)

    def conversation(self, *connection: Any) -> Conversation:
        """What serves a new connection."""
        return _Conversation(self, *connection)


class _Conversation(Conversation):
    """A connection, which knows how far it has come."""

    server: PhaseServer

    def __init__(self, *connection: Any) -> None:
        super().__init__(*connection)
        self._setups = 0
        self._page = 1
        self._request = "bind"

    def _answer(self, command: int, request: bytes) -> tuple[int, bytes]:
        answer = super()._answer(command, request)
        self.server.come_to(self._phase(command))
        return answer

    def _phase(self, command: int) -> str:
        if command == SESSION_SETUP:
            self._setups += 1
            return f"logon {self._setups}"
        if command == IOCTL:
            return self._request
        if command == READ:
            return f"read {self._page}"
        return _NAMES.get(command, "")

    def _answers(self, pdu: bytes) -> Any:
        if pdu[2] == REQUEST:
            (opnum,) = struct.unpack_from("<H", pdu, 22)
            if opnum == _DEL:
                self._request, self.server.stub = ENDING, bytes(4)
                self.server.deletes += 1
            else:
                self._list(pdu[24:])
        return super()._answers(pdu)

    def _list(self, stub: bytes) -> None:
        (level,) = struct.unpack_from("<I", stub, _strings(stub, 3)[1])
        if level != 10:
            self._request = f"level {level}"
            self.server.stub = struct.pack("<8I", level, level, 0x20000, 0, 0, 0, 0, _NO_LEVEL)
            return
        # What comes last is the resume handle, which is that of our first page or none.
        self._page = 2 if stub[-4:] == b"\1\0\0\0" else 1
        self._request = f"call {self._page}"
        self.server.stub = _page(self._page)
