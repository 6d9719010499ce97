"""An SMB server on loopback that can lie at the SMB layer, its lies properly signed.

A real smbd does not lie, and between it and a client nothing can be changed once messages are
signed. So here is a server that knows the password: it negotiates, logs a user on by NTLM (the
acceptor is pyspnego's), signs what it says, and answers on a pipe that speaks DCE/RPC just enough
for one call. ``tamper`` sees every reply before it is signed, and may change, multiply or drop it.

It shows what a client does with a hostile server, not that a client is right: for that there is
the real one, in ``samba/``.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import spnego
from cryptography.hazmat.primitives import cmac
from cryptography.hazmat.primitives.ciphers import algorithms
from spnego.exceptions import SpnegoError

from netsession.srvsvc.dcerpc import NDR20_SYNTAX

HOST: Final = "127.0.0.1"
USER, PASSWORD = "LIAR\\alice", "it is no secret"

NEGOTIATE, SESSION_SETUP, LOGOFF, TREE_CONNECT, CREATE = 0, 1, 2, 3, 5
READ, WRITE, IOCTL = 8, 9, 11
STATUS_PENDING: Final = 0x00000103
STATUS_BUFFER_OVERFLOW: Final = 0x80000005
MORE_PROCESSING: Final = 0xC0000016
LOGON_FAILURE: Final = 0xC000006D
SIGNED, REPLY = 0x08, 0x01
VALIDATE_NEGOTIATE_INFO: Final = 0x00140204

HEADER: Final = struct.Struct("<4sHHIHHIIQIIQ16s")
SESSION_ID, TREE_ID = 0x1122334455667788, 0x99AABBCC
FILE_ID: Final = bytes(range(1, 17))

# pyspnego's own acceptor, also where GSSAPI or SSPI could do it: it takes the password from a file.
_IN_PYTHON: Final = (
    spnego.NegotiateOptions.session_key
    | spnego.NegotiateOptions.use_negotiate
    | spnego.NegotiateOptions.use_ntlm
)

#: What is sent for one request: nothing, one or several messages, each signed on its way.
Tamper = Callable[[int, bytes], "bytes | list[bytes] | Iterator[bytes]"]


class Raw(bytes):
    """A message that is sent as it is, not signed."""


def truth(command: int, reply: bytes) -> bytes:
    """The tamper that tampers with nothing."""
    return reply


def context(kind: int, data: bytes) -> bytes:
    """A negotiate context, padded to 8 ([MS-SMB2] 2.2.3.1)."""
    return struct.pack("<HHI", kind, len(data), 0) + data + bytes(-len(data) % 8)


SHA_512 = context(1, struct.pack("<HHH", 1, 32, 1) + bytes(range(32)))
CMAC = context(8, struct.pack("<HH", 1, 1))
NO_CIPHER = context(2, struct.pack("<HH", 1, 0))


def negotiate_body(
    dialect: int = 0x0311,
    contexts: list[bytes] | None = None,
    *,
    mode: int = 1,
    sizes: tuple[int, int, int] = (65_536, 65_536, 65_536),
    token: bytes = b"",
    capabilities: int = 0x04,
) -> bytes:
    """The body of a NEGOTIATE reply ([MS-SMB2] 2.2.4)."""
    if contexts is None:
        contexts = [SHA_512, CMAC] if dialect == 0x0311 else []
    padding = bytes(-len(token) % 8)
    return (
        struct.pack("<HHHH", 65, mode, dialect, len(contexts))
        + bytes(range(16))
        + struct.pack("<IIII", capabilities, *sizes)
        + struct.pack("<QQHHI", 1 << 57, 0, 128, len(token), 128 + len(token + padding))
        + token
        + padding
        + b"".join(contexts)
    )


class SmbServer:
    """Listens until closed; each connection has a thread of its own. A context manager.

    ``stub`` is the answer to every call, in fragments of ``room`` bytes, each with its alloc_hint
    (0 where nothing is to be promised);
    ``tamper`` may be set anew between calls, ``negotiate`` is the body of the NEGOTIATE reply.
    """

    def __init__(self, stub: bytes = bytes(4), room: int = 4_256, tamper: Tamper = truth) -> None:
        self.stub = stub
        self.room = room
        self.tamper = tamper
        self.promises = True
        self.negotiate = negotiate_body()
        self.credits = 64  # granted with each reply
        self.commands: list[int] = []  #: of all requests
        self.errors: list[BaseException] = []  #: what went wrong in the server itself
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        handle, name = tempfile.mkstemp(prefix="netsession-users-")
        self._users = Path(name)
        os.write(handle, ":".join((*USER.split("\\"), PASSWORD)).encode())
        os.close(handle)
        self._environment = os.environ.get("NTLM_USER_FILE")
        os.environ["NTLM_USER_FILE"] = name  # where pyspnego's acceptor looks
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._spawn(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(30)
        self._users.unlink()
        if self._environment is None:
            del os.environ["NTLM_USER_FILE"]
        else:
            os.environ["NTLM_USER_FILE"] = self._environment

    def _spawn(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(connection)
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._client(connection, stream).serve()
        except OSError:
            pass  # the client has had enough
        except BaseException as error:
            self.errors.append(error)

    def _client(self, connection: socket.socket, stream: BinaryIO) -> _Client:
        return _Client(self, connection, stream)


class _Client:
    """One connection."""

    def __init__(self, server: SmbServer, connection: socket.socket, stream: BinaryIO) -> None:
        self._server = server
        self._connection = connection
        self._stream = stream
        self._preauth = bytes(64)
        self._context: Any = spnego.server(options=_IN_PYTHON)
        self._key: bytes | None = None
        self._dialect = 0
        self._pipe: Iterator[bytes] = iter(())  # what can be read, a message each
        self._rest = b""  # of the message that is being read

    def serve(self) -> None:
        while head := self._stream.read(4):
            request = self._stream.read(int.from_bytes(head, "big"))
            command, message_id = struct.unpack_from("<12xH10xQ", request)
            self._server.commands.append(command)
            status, body = self._answer(command, request)
            reply = self._reply(command, message_id, status, body)
            sent = self._server.tamper(command, reply)
            for message in [sent] if isinstance(sent, bytes) else sent:
                self._send(message, message_id)

    def _reply(self, command: int, message_id: int, status: int, body: bytes) -> bytes:
        session = SESSION_ID if command else 0
        tree = TREE_ID if command > LOGOFF else 0
        fields = (b"\xfeSMB", 64, 1, status, command, self._server.credits, REPLY, 0)
        return HEADER.pack(*fields, message_id, 0, tree, session, b"") + body

    def _send(self, message: bytes, message_id: int) -> None:
        if not isinstance(message, Raw):
            status, command = struct.unpack_from("<8xIH", message)
            if command == SESSION_SETUP and status == 0:
                self._derive_key()
            if self._key is not None:
                message = self._signed(message)
            elif command <= SESSION_SETUP:
                self._preauth = hashlib.sha512(self._preauth + message).digest()
        self._connection.sendall(len(message).to_bytes(4, "big") + message)

    def _signed(self, message: bytes) -> bytes:
        flags = bytes((message[16] | SIGNED,))
        message = b"".join((message[:16], flags, message[17:48], bytes(16), message[64:]))
        assert self._key is not None
        if self._dialect < 0x0300:
            signature = hmac.digest(self._key, message, "sha256")[:16]
        else:
            mac = cmac.CMAC(algorithms.AES(self._key))
            mac.update(message)
            signature = mac.finalize()
        return b"".join((message[:48], signature, message[64:]))

    def _derive_key(self) -> None:
        key = self._context.session_key[:16]
        if self._dialect >= 0x0300:  # [MS-SMB2] 3.1.4.2: SP800-108, counter mode, one block
            label, salt = (
                (b"SMBSigningKey\0", self._preauth)
                if self._dialect == 0x0311
                else (b"SMB2AESCMAC\0", b"SmbSign\0")
            )
            blocks = b"\0\0\0\1" + label + b"\0" + salt + b"\0\0\0\x80"
            key = hmac.digest(key, blocks, "sha256")[:16]
        self._key = key

    # -- the answers ----------------------------------------------------------------------------

    def _answer(self, command: int, request: bytes) -> tuple[int, bytes]:
        if command <= SESSION_SETUP:
            self._preauth = hashlib.sha512(self._preauth + request).digest()
        if command == NEGOTIATE:
            self._dialect = int.from_bytes(self._server.negotiate[4:6], "little")
            return 0, self._server.negotiate
        if command == SESSION_SETUP:
            at, size = struct.unpack_from("<HH", request, 64 + 12)
            try:
                token = self._context.step(request[at : at + size]) or b""
            except (SpnegoError, ValueError):  # a client that a lie misled
                return LOGON_FAILURE, struct.pack("<HHIx", 9, 0, 0)
            status = 0 if self._context.complete else MORE_PROCESSING
            return status, struct.pack("<HHHH", 9, 0, 72, len(token)) + token
        if command == TREE_CONNECT:
            return 0, struct.pack("<HBxIII", 16, 2, 0x30, 0, 0x1F01FF)
        if command == CREATE:
            times = bytes(32 + 16)
            return 0, struct.pack("<HBBI48sII16sII", 89, 0, 0, 1, times, 0x80, 0, FILE_ID, 0, 0)
        if command == READ:
            size = int.from_bytes(request[68:72], "little")
            data, status = self._read(size)
            return status, struct.pack("<HBBIII", 17, 80, 0, len(data), 0, 0) + data
        if command == WRITE:
            size = int.from_bytes(request[68:72], "little")
            return 0, struct.pack("<HHIIHH", 17, 0, size, 0, 0, 0)
        if command == IOCTL:
            return self._ioctl(request)
        return 0, struct.pack("<HH", 4, 0)  # LOGOFF

    def _ioctl(self, request: bytes) -> tuple[int, bytes]:
        code, at, size, most = struct.unpack_from("<4xI16xII8x4xI", request, 64)
        fixed = struct.pack("<HHI", 49, 0, code) + FILE_ID
        if code == VALIDATE_NEGOTIATE_INFO:  # [MS-SMB2] 2.2.32.6
            ours = self._server.negotiate
            data = ours[24:28] + ours[8:24] + ours[2:6]
            return 0, fixed + struct.pack("<IIIIII", 112, 0, 112, len(data), 0, 0) + data
        self._pipe, self._rest = self._rpc_reply(request[at : at + size]), b""
        data, status = self._read(most)
        return status, fixed + struct.pack("<IIIIII", 112, 0, 112, len(data), 0, 0) + data

    def _read(self, size: int) -> tuple[bytes, int]:
        first = self._rest or next(self._pipe, b"")
        self._rest = first[size:]
        return first[:size], STATUS_BUFFER_OVERFLOW if self._rest else 0

    def _rpc_reply(self, request: bytes) -> Iterator[bytes]:
        """The PDUs that answer a bind or a request."""
        call_id = request[12:16]
        if request[2] == 11:
            body = struct.pack("<HHIH", 4_280, 4_280, 1, 13) + b"\\PIPE\\srvsvc\0" + b"\0"
            body += struct.pack("<B3xHH", 1, 0, 0) + NDR20_SYNTAX
            yield _pdu(12, 3, call_id, body)
            return
        stub, room = self._server.stub, self._server.room
        for at in range(0, len(stub) or 1, room):
            flags = (at == 0) | (at + room >= len(stub)) << 1
            hint = len(stub) - at if self._server.promises else 0
            head = struct.pack("<IHBx", hint, 0, 0)
            yield _pdu(2, flags, call_id, head + stub[at : at + room])


def _pdu(kind: int, flags: int, call_id: bytes, body: bytes) -> bytes:
    return struct.pack("<BBBBIHH", 5, 0, kind, flags, 0x10, 16 + len(body), 0) + call_id + body
