"""From the negotiation to a call's answer, with a server in memory that knows the password.

It lies where the input says so: before a message is signed, which may be believed, or behind that,
which must never be: then the call fails as calls do, or the answer is the true one.
"""

from __future__ import annotations

import functools
import os
import struct
import tempfile
from collections import deque
from collections.abc import Iterable
from typing import Any
from unittest import mock

from netsession.errors import MalformedReply
from netsession.srvsvc.address import Address
from netsession.srvsvc.credentials import Credentials
from netsession.srvsvc.deadline import Deadline
from netsession.srvsvc.failures import ChainBrokenError, LinkBrokenError, WireError
from netsession.srvsvc.pipe import Pipe
from netsession.srvsvc.rpc import RpcConnection

from .source import Source
from .wire import poke

try:
    from netsession.srvsvc import smb
except ImportError:  # smbprotocol is not installed
    smb = None  # type: ignore[assignment]
else:
    import smb_server
    from smb_server import AES_128_GCM, CMAC, PASSWORD, SHA_512, USER, negotiate_body

_FAILURES = (MalformedReply, WireError, ChainBrokenError)
_MOST_MESSAGES = 500
_PENDING = 0x103
_STUB = bytes(range(251)) * 40
_STATUSES = (0, 0xC0000022, 0xC000006D, 0xC0000016, 0x80000005, 0xC000035C, 0xC0000203, _PENDING)


def kinds() -> list[tuple[bytes, bool]]:
    """What servers negotiate, and whether they demand encryption."""
    plain = negotiate_body()
    sealed = negotiate_body(contexts=[SHA_512, CMAC, AES_128_GCM])
    old = negotiate_body(0x0302)
    encrypting = negotiate_body(0x0302, capabilities=0x44)
    return [
        *((plain, False), (sealed, True), (sealed, False), (old, False), (encrypting, True)),
        (negotiate_body(0x0210), False),
    ]


@functools.cache
def _users() -> Any:
    """The file in which pyspnego's acceptor finds the password."""
    file = tempfile.NamedTemporaryFile(prefix="netsession-users-")  # noqa: SIM115  # kept
    file.write(smb_server.users())
    file.flush()
    return file


class Facts:
    """What a Conversation wants to know of its server."""

    def __init__(self, source: Source) -> None:
        self.negotiate, self.encrypts = source.choice(kinds())
        self.room = source.choice((4256, 100, 1000))
        self.promises = not source.bit()
        self.credits = source.choice((64, 1, 2, 512))
        self.commands: list[int] = []
        self.calls: list[int] = []

    def answer(self, opnum: int, stub: bytes) -> bytes:
        return _STUB


def conversation(source: Source, server: Facts) -> Any:
    """In place of a Link, too: what is sent is answered at once."""

    class Talk(smb_server.Conversation):  # a class of its own, as smb_server may be missing
        """Lies at most so often as the input wants."""

        connected = True
        own_address = "127.0.0.1"
        heard = b"\0\0\0\x40\xfeSMB"

        def __init__(self) -> None:
            super().__init__(server, None, None)  # type: ignore[arg-type]
            self.deadline = Deadline(None)
            self.believable = self.lied = False
            self._replies: deque[bytes] = deque()
            self._lies = {source.below(16): source.below(6) for _ in range(source.below(3))}
            self._count = 0

        @property
        def has_cipher(self) -> bool:
            return self._cipher() != 0

        def _lie(self) -> int | None:
            """Which lie the message at hand is to be."""
            return self._lies.get(self._count)

        def messages(self, command: int, reply: bytes) -> Iterable[bytes]:
            self._count += 1
            lie = self._lie()
            if lie == 0:
                self.believable = True
                return [poke(source, reply)]
            if lie == 1:
                self.believable = True
                status = struct.pack("<I", source.choice(_STATUSES))
                return [reply[:8] + status + reply[12:]]
            if lie == 2:
                self.lied = True
                return [reply, reply] if source.bit() else []
            if source.below(8) == 7:  # first it takes its time
                return [reply[:8] + struct.pack("<I", _PENDING) + reply[12:64] + bytes(9), reply]
            return [reply]

        def deliver(self, message: bytes) -> None:
            lie = self._lie()
            if lie == 3:
                self.lied = True
                message = poke(source, message)
            elif lie == 4:
                self.lied = True
                self._replies.append(poke(source, message))  # and the true one
            elif lie == 5:
                self.lied = True
                at = source.below(64)
                message = message[:at] + bytes((message[at] ^ 1 << source.below(8),))
                message += self.as_sent[at + 1 :] if source.bit() else b""
            self._replies.append(message)

        # -- a Link --------------------------------------------------------------------------

        def send(self, message: Any) -> None:
            self.send_all([message if isinstance(message, bytes) else message.pack()])

        def send_all(self, messages: list[bytes]) -> None:
            for message in messages:
                try:
                    self.take(message)
                except Exception as error:
                    # A server that is asked for nonsense since it told some hangs up.
                    assert self.lied or self.believable, error
                    self._replies.clear()

        def receive(self) -> bytes:
            if not self._replies or self._count > _MOST_MESSAGES:
                assert self.lied or self.believable, "waits for what nobody sends"
                raise LinkBrokenError(64, "the server closed the connection")
            return self._replies.popleft()

        def send_without_delay(self) -> None:
            """It is."""

        def is_quiet(self) -> bool:
            return True

        def close(self) -> None:
            """Nothing to close."""

        abort = close

    return Talk()


def call(talk: Any, *, encrypt: bool) -> Any:
    """What comes of a call; a failure of ours, if it fails."""
    address = Address("fake", "fake", True)
    try:
        with mock.patch.object(smb, "connect_link", return_value=talk):
            pipe = smb.open_pipe(address, 445, Credentials(USER, PASSWORD), encrypt, talk.deadline)
        rpc = RpcConnection(Pipe(pipe), 1 << 20)
        first = rpc.call(12, bytes(40), pipelined=False)
        return first, rpc.call(12, bytes(5000), pipelined=True)
    except _FAILURES as error:
        assert PASSWORD not in str(error)
        return error


def run(data: bytes) -> None:
    if smb is None:
        return
    source = Source(data)
    encrypt = source.below(4) == 3
    with mock.patch.dict(os.environ, NTLM_USER_FILE=_users().name):
        talk = conversation(source, Facts(source))
        found = call(talk, encrypt=encrypt)
    if talk.believable:
        return  # what is signed rightly is believed
    if encrypt and not talk.has_cipher:
        assert isinstance(found, _FAILURES), found
    elif talk.lied:
        assert isinstance(found, _FAILURES) or found == (_STUB, _STUB), "a lie was believed"
    else:
        assert found == (_STUB, _STUB), found


def seeds() -> list[bytes]:
    honest = [bytes((encrypt, kind, 0, kind & 1)) for encrypt in (0, 3) for kind in range(6)]
    lying = [
        bytes((0, (at + lie) % 6, 0, 0, 0, 1, at, lie, *([7 * at + lie] * 4)))
        for at in range(1, 10)
        for lie in range(6)
    ]
    return honest + lying
