"""The tests' SMB server with one place per step where a misbehaviour is plugged in.

A ``Lie`` says at which place it is told (``smb_server.Conversation``'s) and replaces one or more of
the four steps of a reply there; everywhere else the server is honest.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Self

from scripted import Scripted, row
from smb_server import (
    AES_128_GCM,
    CMAC,
    SHA_512,
    Conversation,
    SmbServer,
    negotiate_body,
)

ENUM, DELETE = 12, 13
#: What the server has, so that its answer takes READs too; one row of it is alice's.
ROWS: Final = [row("WS17", "alice"), *(row(f"WS{n}", f"user{n}") for n in range(100, 140))]
ROOM: Final = 1_432  # bytes of stub in a fragment

#: ([MS-SMB2] 2.2.3.1) With a cipher, so that it can be asked to encrypt.
WITH_CIPHER: Final = negotiate_body(contexts=[SHA_512, AES_128_GCM, CMAC])


class HangUpError(ConnectionError):
    """The server ends the connection."""


@dataclass(frozen=True)
class Lie:
    """What is done at ``place``: each function gets the conversation and what an honest server
    would go on with; None is honesty. ``opnum`` limits it to calls of that procedure."""

    place: str
    pdus: Callable[[Talk, Iterator[bytes]], Iterable[bytes]] | None = None
    messages: Callable[[Talk, bytes], Iterable[bytes]] | None = None
    protect: Callable[[Talk, bytes], bytes] | None = None
    deliver: Callable[[Talk, bytes], None] | None = None
    opnum: int | None = None
    negotiate: bytes | None = None  # the body of the NEGOTIATE reply
    encrypts: bool = False
    credits: int = 64  # granted with each reply


class Liar(SmbServer):
    """Serves ``script``'s sessions at level 1; ``lie`` may be set anew between calls."""

    def __init__(self) -> None:
        self.script = Scripted(*ROWS, filters=False)
        super().__init__(room=ROOM, answer=self._srvsvc)
        self._lie: Lie | None = None
        self.told = 0  #: how often it lied
        self.wire: Callable[[Talk, bytes], None] | None = None  #: delivers everything

    def _srvsvc(self, opnum: int, stub: bytes) -> bytes | None:
        return self.script.answer(opnum, stub) if opnum in (ENUM, DELETE) else None

    @property
    def lie(self) -> Lie | None:
        return self._lie

    @lie.setter
    def lie(self, lie: Lie | None) -> None:
        self._lie = lie
        self.negotiate = (lie and lie.negotiate) or WITH_CIPHER
        self.encrypts = lie is not None and lie.encrypts
        self.credits = 64 if lie is None else lie.credits

    def __enter__(self) -> Self:
        self.lie = None
        return super().__enter__()

    def conversation(self, connection: socket.socket, stream: BinaryIO) -> Conversation:
        return Talk(self, connection, stream)


class Talk(Conversation):
    """A connection on which the lie is told."""

    server: Liar

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.said: list[bytes] = []  # all messages so far, protected
        self._about: Lie | None = None  # the lie that this reply is to be

    @property
    def _lie(self) -> Lie | None:
        lie = self.server.lie
        if lie is None or lie.place != self.place:
            return None
        if lie.opnum is not None and self.place in ("call", "read") and lie.opnum != self.opnum:
            return None
        return lie

    @property
    def message_id(self) -> int:
        """Of the request that is being answered."""
        return int(struct.unpack_from("<24xQ", self.request)[0])

    def pdus(self, pdus: Iterator[bytes]) -> Iterator[bytes]:
        lie = self._lie
        if lie is None or lie.pdus is None:
            return pdus
        self.server.told += 1
        return iter(lie.pdus(self, pdus))

    def messages(self, command: int, reply: bytes) -> Iterable[bytes]:
        self._about = lie = self._lie
        if lie is None:
            return [reply]
        self.server.told += 1
        return [reply] if lie.messages is None else lie.messages(self, reply)

    def protected(self, message: bytes) -> bytes:
        lie = self._about
        if lie is None or lie.protect is None:
            return super().protected(message)
        return lie.protect(self, message)

    def honestly(self, message: bytes) -> bytes:
        """A message as an honest server protects it."""
        return super().protected(message)

    def deliver(self, message: bytes) -> None:
        self.said.append(message)
        lie = self._about
        if lie is not None and lie.deliver is not None:
            lie.deliver(self, message)
        elif self.server.wire is not None:
            self.server.wire(self, message)
        else:
            super().deliver(message)

    def raw(self, data: bytes) -> None:
        """Bytes on their way, with nothing in front."""
        self.connection.sendall(data)

    def close(self, *, reset: bool = False) -> None:
        """Ends the connection: with a FIN, or with a RST."""
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.connection.shutdown(socket.SHUT_WR)
            while self.connection.recv(1 << 16):  # what is left unread would make it a RST
                pass
        raise HangUpError

    def pause(self, seconds: float) -> None:
        """Waits; the server's end ends it."""
        if self.server.closing.wait(seconds):
            raise HangUpError
