"""An SMB server on loopback that can lie at the SMB layer, its lies properly signed.

A real smbd does not lie, and between it and a client nothing can be changed once messages are
signed. So here is a server that knows the password: it negotiates, logs a user on by NTLM (the
acceptor is pyspnego's), signs what it says, and answers on a pipe that speaks DCE/RPC just enough
for one call. ``tamper`` sees every reply before it is signed, and may change, multiply or drop it.

It shows what a client does with a hostile server, not that a client is right: for that there is
the real one, in ``samba/``. That it is a server at all where it does not lie, Samba's own clients
say in ``hostile/test_honest.py``; what it does there in ``hostile/`` it does by ``Conversation``'s
four steps, each of which can be replaced.
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
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

import spnego
from cryptography.hazmat.primitives import cmac
from cryptography.hazmat.primitives.ciphers import algorithms
from spnego.exceptions import SpnegoError

from netsession.srvsvc.dcerpc import NDR20_SYNTAX, SRVSVC_SYNTAX
from netsession.srvsvc.security import TRANSFORM_ID, Sealer

HOST: Final = "127.0.0.1"
USER, PASSWORD = "LIAR\\alice", "it is no secret"

NEGOTIATE, SESSION_SETUP, LOGOFF, TREE_CONNECT, TREE_DISCONNECT, CREATE = 0, 1, 2, 3, 4, 5
CLOSE, READ, WRITE, IOCTL = 6, 8, 9, 11
STATUS_PENDING: Final = 0x00000103
STATUS_OBJECT_NAME_NOT_FOUND: Final = 0xC0000034
STATUS_NOT_SUPPORTED: Final = 0xC00000BB
STATUS_PIPE_EMPTY: Final = 0xC00000D9
STATUS_BUFFER_OVERFLOW: Final = 0x80000005
MORE_PROCESSING: Final = 0xC0000016
LOGON_FAILURE: Final = 0xC000006D
SIGNED, REPLY = 0x08, 0x01
VALIDATE_NEGOTIATE_INFO: Final = 0x00140204
PIPE_TRANSCEIVE: Final = 0x0011C017
OP_RNG_ERROR: Final = 0x1C010002  # nca_s_op_rng_error: no such procedure
BIND, REQUEST = 11, 0  # PDUs

HEADER: Final = struct.Struct("<4sHHIHHIIQIIQ16s")
SESSION_ID, TREE_ID = 0x1122334455667788, 0x99AABBCC
FILE_ID: Final = bytes(range(1, 17))

# pyspnego's own acceptor, also where GSSAPI or SSPI could do it: it takes the password from a file.
_IN_PYTHON: Final = (
    spnego.NegotiateOptions.session_key
    | spnego.NegotiateOptions.use_negotiate
    | spnego.NegotiateOptions.use_ntlm
)

#: The stub of an answer, for an opnum and the stub of a request.
Answer = Callable[[int, bytes], "bytes | None"]
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
AES_128_GCM = context(2, struct.pack("<HH", 1, 2))


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

    ``stub`` is the answer to every call, or ``answer`` gives it for an opnum and the stub of the
    request (None: there is no such procedure), in fragments of ``room`` bytes, each with its
    alloc_hint (0 where nothing is to be promised);
    ``tamper`` may be set anew between calls, ``negotiate`` is the body of the NEGOTIATE reply;
    ``encrypts`` demands encryption, for which ``negotiate`` must have a cipher.
    """

    def __init__(
        self,
        stub: bytes = bytes(4),
        room: int = 4_256,
        tamper: Tamper = truth,
        answer: Answer | None = None,
    ) -> None:
        self.stub = stub
        self.room = room
        self.tamper = tamper
        self.answer: Answer = answer or (lambda opnum, stub: self.stub)
        self.promises = True
        self.negotiate = negotiate_body()
        self.encrypts = False
        self.credits = 64  # granted with each reply
        self.commands: list[int] = []  #: of all requests
        self.calls: list[int] = []  #: opnums of the requests on the pipe that have come whole
        self.errors: list[BaseException] = []  #: what went wrong in the server itself
        self.closing = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        handle, name = tempfile.mkstemp(prefix="netsession-users-")
        self._users = Path(name)
        os.write(handle, users())
        os.close(handle)
        self._environment = os.environ.get("NTLM_USER_FILE")
        os.environ["NTLM_USER_FILE"] = name  # where pyspnego's acceptor looks
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
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

    def conversation(self, connection: socket.socket, stream: BinaryIO) -> Conversation:
        """What serves a new connection."""
        return Conversation(self, connection, stream)

    def all_gone(self, patience: float) -> bool:
        """Whether every client has closed its connection; waits for it so many seconds."""
        _, *clients = self._threads
        for thread in clients:
            thread.join(patience)
        self._threads[1:] = [thread for thread in clients if thread.is_alive()]
        return len(self._threads) == 1

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
                self.conversation(connection, stream).serve()
        except OSError:
            pass  # the client has had enough
        except BaseException as error:
            self.errors.append(error)
        finally:
            self._sockets.remove(connection)


def users() -> bytes:
    """USER with PASSWORD as pyspnego's acceptor reads them; tests set other ones."""
    return ":".join((*USER.split("\\"), PASSWORD)).encode()


class Conversation:
    """One connection. Each reply goes through four steps: ``pdus``, ``messages``, ``protected``
    and ``deliver``; ``place`` tells what is being answered:

    negotiate, challenge, logon, share, validate (the negotiation), pipe, bind, call, read, leave.
    """

    def __init__(self, server: SmbServer, connection: socket.socket, stream: BinaryIO) -> None:
        self.server = server
        self.connection = connection
        self.place = ""
        self.as_sent = b""  # the request that is being answered
        self.request = b""  # the same, decrypted
        self.key: bytes | None = None
        self.session_key = b""  # which the key is derived from
        self.sealer: Sealer | None = None
        self.opnum = -1  # of the latest call
        self._sealed = False  # whether the request came encrypted
        self._stream = stream
        self._preauth = bytes(64)
        self._context: Any = spnego.server(options=_IN_PYTHON)
        self._dialect = 0
        self._written = b""  # PDUs of a request that is not whole
        self._stub = b""
        self._pipe: Iterator[bytes] = iter(())  # what can be read, a message each
        self._rest = b""  # of the message that is being read

    def serve(self) -> None:
        """Until the client has closed the connection."""
        while head := self._stream.read(4):
            self.take(self._stream.read(int.from_bytes(head, "big")))

    def take(self, request: bytes) -> None:
        """Answer one request."""
        self.as_sent = request
        self._sealed = request[:4] == TRANSFORM_ID
        if self._sealed:
            assert self.sealer is not None
            request = self.sealer.open(request)
        self.request = request
        command, message_id = struct.unpack_from("<12xH10xQ", request)
        if request[16] & SIGNED and not self._sealed:
            assert request == self.signed(request), "a request that is signed wrongly"
        self.server.commands.append(command)
        status, body = self._answer(command, request)
        reply = self._reply(command, message_id, status, body)
        for message in self.messages(command, reply):
            self.deliver(self.protected(message))

    def _reply(self, command: int, message_id: int, status: int, body: bytes) -> bytes:
        session = SESSION_ID if command else 0
        tree = TREE_ID if command > LOGOFF else 0
        fields = (b"\xfeSMB", 64, 1, status, command, self.server.credits, REPLY, 0)
        return HEADER.pack(*fields, message_id, 0, tree, session, b"") + body

    # -- the steps of a reply -------------------------------------------------------------------

    def pdus(self, pdus: Iterator[bytes]) -> Iterator[bytes]:
        """What can be read from the pipe, a message each."""
        return pdus

    def messages(self, command: int, reply: bytes) -> Iterable[bytes]:
        """The SMB messages that answer one request."""
        sent = self.server.tamper(command, reply)
        return [sent] if isinstance(sent, bytes) else sent

    def protected(self, message: bytes) -> bytes:
        """A message signed or encrypted, as far as there are keys."""
        if isinstance(message, Raw):
            return message
        status, command = struct.unpack_from("<8xIH", message)
        if command == SESSION_SETUP and status == 0:
            self._derive_keys()
        elif self.key is None and command <= SESSION_SETUP and status != STATUS_PENDING:
            self._preauth = hashlib.sha512(self._preauth + message).digest()
        if self._sealed and self.sealer is not None:
            return self.sealer.seal(message)
        return message if self.key is None else self.signed(message)

    def deliver(self, message: bytes) -> None:
        """A message on its way."""
        self.connection.sendall(len(message).to_bytes(4, "big") + message)

    def signed(self, message: bytes, key: bytes | None = None) -> bytes:
        """A message with flag and signature, by the session's key or another."""
        key = key or self.key
        assert key is not None
        flags = bytes((message[16] | SIGNED,))
        message = b"".join((message[:16], flags, message[17:48], bytes(16), message[64:]))
        if self._dialect < 0x0300:
            signature = hmac.digest(key, message, "sha256")[:16]
        else:
            mac = cmac.CMAC(algorithms.AES(key))
            mac.update(message)
            signature = mac.finalize()
        return b"".join((message[:48], signature, message[64:]))

    def _derive_keys(self) -> None:
        self.session_key = self._context.session_key[:16]
        if self._dialect < 0x0300:
            self.key = self.session_key
            return
        # [MS-SMB2] 3.3.5.5.3, 3.1.4.2: SP800-108, counter mode, one block
        newest = self._dialect == 0x0311
        labels = (
            (b"SMBSigningKey\0", b"SMBC2SCipherKey\0", b"SMBS2CCipherKey\0")
            if newest
            else (b"SMB2AESCMAC\0", b"SMB2AESCCM\0", b"SMB2AESCCM\0")
        )
        salts = (self._preauth,) * 3 if newest else (b"SmbSign\0", b"ServerIn \0", b"ServerOut\0")
        self.key, incoming, outgoing = (
            hmac.digest(
                self.session_key, b"\0\0\0\1" + label + b"\0" + salt + b"\0\0\0\x80", "sha256"
            )[:16]
            for label, salt in zip(labels, salts, strict=True)
        )
        if cipher := self._cipher():
            self.sealer = Sealer(cipher, SESSION_ID, outgoing, incoming)

    def _cipher(self) -> int:
        """AES-128-CCM (1), AES-128-GCM (2) or none (0), as the negotiation says."""
        if self._dialect < 0x0311:
            return int(self.server.negotiate[24] >> 6 & 1)
        return 2 if AES_128_GCM in self.server.negotiate else 0

    # -- the answers ----------------------------------------------------------------------------

    def _answer(self, command: int, request: bytes) -> tuple[int, bytes]:
        if command <= SESSION_SETUP:
            self._preauth = hashlib.sha512(self._preauth + request).digest()
        if command == NEGOTIATE:
            self.place = "negotiate"
            self._dialect = int.from_bytes(self.server.negotiate[4:6], "little")
            return 0, self.server.negotiate
        if command == SESSION_SETUP:
            return self._session_setup(request)
        if command == TREE_CONNECT:
            self.place = "share"
            return 0, struct.pack("<HBxIII", 16, 2, 0x30, 0, 0x1F01FF)
        if command == CREATE:
            return self._create(request)
        if command == READ:
            self.place = "read"
            data, status = self._read(int.from_bytes(request[68:72], "little"))
            return status, struct.pack("<HBBIII", 17, 80, 0, len(data), 0, 0) + data
        if command == WRITE:
            at, size = struct.unpack_from("<2xHI", request, 64)
            self._write(request[at : at + size])
            return 0, struct.pack("<HHIIHH", 17, 0, size, 0, 0, 0)
        if command == IOCTL:
            return self._ioctl(request)
        self.place = "leave"
        if command == CLOSE:
            return 0, struct.pack("<H58x", 60)
        if command in (LOGOFF, TREE_DISCONNECT):
            return 0, struct.pack("<HH", 4, 0)
        return STATUS_NOT_SUPPORTED, ERROR_BODY

    def _session_setup(self, request: bytes) -> tuple[int, bytes]:
        at, size = struct.unpack_from("<HH", request, 64 + 12)
        try:
            token = self._context.step(request[at : at + size]) or b""
        except (SpnegoError, ValueError):  # a client that a lie misled
            self.place = "logon"
            return LOGON_FAILURE, struct.pack("<HHIx", 9, 0, 0)
        complete = self._context.complete
        self.place = "logon" if complete else "challenge"
        flags = 4 if complete and self.server.encrypts else 0  # SMB2_SESSION_FLAG_ENCRYPT_DATA
        body = struct.pack("<HHHH", 9, flags, 72, len(token)) + token
        return 0 if complete else MORE_PROCESSING, body

    def _create(self, request: bytes) -> tuple[int, bytes]:
        self.place = "pipe"
        at, size = struct.unpack_from("<44xHH", request, 64)
        if request[at : at + size].decode("utf-16-le").lower().lstrip("\\") != "srvsvc":
            return STATUS_OBJECT_NAME_NOT_FOUND, ERROR_BODY
        times = bytes(32 + 16)
        return 0, struct.pack("<HBBI48sII16sII", 89, 0, 0, 1, times, 0x80, 0, FILE_ID, 0, 0)

    def _ioctl(self, request: bytes) -> tuple[int, bytes]:
        code, at, size, most = struct.unpack_from("<4xI16xII8x4xI", request, 64)
        if code == VALIDATE_NEGOTIATE_INFO:  # [MS-SMB2] 2.2.32.6
            self.place = "validate"
            ours = self.server.negotiate
            data, status = ours[24:28] + ours[8:24] + ours[2:6], 0
        elif code == PIPE_TRANSCEIVE:
            self._write(request[at : at + size])
            data, status = self._read(most)
        else:
            return STATUS_NOT_SUPPORTED, ERROR_BODY
        fixed = struct.pack("<HHI", 49, 0, code) + request[72:88]
        return status, fixed + struct.pack("<IIIIII", 112, 0, 112, len(data), 0, 0) + data

    def _read(self, size: int) -> tuple[bytes, int]:
        first = self._rest or next(self._pipe, None)
        if first is None:
            return b"", STATUS_PIPE_EMPTY
        self._rest = first[size:]
        return first[:size], STATUS_BUFFER_OVERFLOW if self._rest else 0

    # -- the pipe -------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        """A PDU or several; the last one of a request is answered."""
        self._written += data
        while len(self._written) >= 16:
            size = int.from_bytes(self._written[8:10], "little")
            pdu, self._written = self._written[:size], self._written[size:]
            if pdu[2] == REQUEST:
                self._stub += pdu[24:]
            if pdu[3] & 2:
                self._rest = b""
                self._pipe = self._answers(pdu)

    def _answers(self, pdu: bytes) -> Iterator[bytes]:
        if pdu[2] == BIND:
            self.place = "bind"
            return self.pdus(iter([_bind_ack(pdu)]))
        self.place = "call"
        self.opnum = int.from_bytes(pdu[22:24], "little")
        self.server.calls.append(self.opnum)
        stub, self._stub = self._stub, b""
        return self.pdus(self._fragments(pdu[12:16], self.server.answer(self.opnum, stub)))

    def _fragments(self, call_id: bytes, stub: bytes | None) -> Iterator[bytes]:
        if stub is None:
            body = struct.pack("<IHBxII", 0, 0, 0, OP_RNG_ERROR, 0)
            yield pdu_of(3, 3 | 0x20, call_id, body)  # did not execute
            return
        room = self.server.room
        for at in range(0, len(stub) or 1, room):
            flags = (at == 0) | (at + room >= len(stub)) << 1
            hint = len(stub) - at if self.server.promises else 0
            head = struct.pack("<IHBx", hint, 0, 0)
            yield pdu_of(2, flags, call_id, head + stub[at : at + room])


ERROR_BODY: Final = struct.pack("<HHIx", 9, 0, 0)  # [MS-SMB2] 2.2.2


def _bind_ack(pdu: bytes) -> bytes:
    """Accepts srvsvc in NDR20, and no bind-time feature ([MS-RPCE] 2.2.2.4, 3.3.1.5.3)."""
    results = b""
    at = 28
    for _ in range(pdu[24]):
        transfers = pdu[at + 2]
        abstract, offered = pdu[at + 4 : at + 24], pdu[at + 24 : at + 24 + 20 * transfers]
        at += 24 + 20 * transfers
        if offered.startswith(bytes.fromhex("2c1cb76c12984045")):
            results += struct.pack("<HH", 3, 0) + bytes(20)
        elif abstract == SRVSVC_SYNTAX and NDR20_SYNTAX in offered:
            results += struct.pack("<HH", 0, 0) + NDR20_SYNTAX
        else:
            results += struct.pack("<HH", 2, 1 if abstract != SRVSVC_SYNTAX else 2) + bytes(20)
    body = struct.pack("<HHIH", 4_280, 4_280, 1, 13) + b"\\PIPE\\srvsvc\0" + b"\0"
    body += struct.pack("<B3x", len(results) // 24) + results
    return pdu_of(12, 3, pdu[12:16], body)


def pdu_of(kind: int, flags: int, call_id: bytes, body: bytes) -> bytes:
    """A PDU of connection-oriented DCE/RPC (C706 12.6.3.1)."""
    return struct.pack("<BBBBIHH", 5, 0, kind, flags, 0x10, 16 + len(body), 0) + call_id + body
