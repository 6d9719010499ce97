"""Our own server of ``\\PIPE\\srvsvc``, behind a real smbd.

smbd hands each opened pipe to whoever listens on the Unix socket ``<ncalrpc dir>/np/srvsvc``. There
it first says who connected and asks what kind of pipe it is (the NPAM handshake, librpc's
named_pipe_auth.idl); then the bytes of the pipe flow, in message mode each message behind its
length in two bytes. So a client meets real SMB, signing and encryption, and behind it any reply,
well-formed or not, in any fragments, that a test asks for: see ``Script``.

The endpoint is strict about what clients send (MS-RPCE 2.2.2, C706 chapter 12): every breach is
kept in ``Endpoint.breaches``, and the fixture that hands out endpoints fails the test for them.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from closing import Closing
from ndr_reference import (
    FIELDS,
    MAX_PREFERRED_LENGTH,
    OPNUM_SESSION_DEL,
    OPNUM_SESSION_ENUM,
    DeleteRequest,
    EnumRequest,
    NdrError,
    Row,
    decode_delete_request,
    decode_enum_request,
    encode_delete_response,
    encode_enum_response,
)


def _syntax(name: str, version: int) -> bytes:
    return uuid.UUID(name).bytes_le + struct.pack("<I", version)


SRVSVC: Final = _syntax("4b324fc8-1670-01d3-1278-5a47bf6ee188", 3)
NDR20: Final = _syntax("8a885d04-1ceb-11c9-9fe8-08002b104860", 2)
# Bind time feature negotiation (MS-RPCE 3.3.1.5.3): the first eight bytes tell.
FEATURES: Final = uuid.UUID("6cb71c2c-9812-4540-0000-000000000000").bytes_le[:8]

REQUEST, RESPONSE, FAULT, BIND, BIND_ACK, BIND_NAK = 0, 2, 3, 11, 12, 13
ALTER_CONTEXT, ALTER_CONTEXT_RESPONSE = 14, 15
FIRST, LAST, DID_NOT_EXECUTE = 0x01, 0x02, 0x20

FAULT_OP_RANGE: Final = 0x1C010002
FAULT_BAD_STUB: Final = 0x000006F7

ERROR_ACCESS_DENIED: Final = 5
ERROR_INVALID_LEVEL: Final = 124
ERROR_MORE_DATA: Final = 234
NERR_BUF_TOO_SMALL: Final = 2123
NERR_USER_NOT_FOUND: Final = 2221
NERR_CLIENT_NAME_NOT_FOUND: Final = 2312
NERR_INVALID_COMPUTER: Final = 2351

BYTE_MODE, MESSAGE_MODE = 1, 2
_BYTES_OF_STRUCT: Final = {0: 8, 1: 32, 2: 40, 10: 24, 502: 48}


class _PipeClosedError(Exception):
    """The client closed the pipe, or the endpoint is being closed."""


@dataclass(frozen=True)
class Call:
    """One request, as a script's ``respond`` sees it."""

    opnum: int
    stub: bytes
    number: int  #: of this call among all calls of this script, from 0
    enum: EnumRequest | None = None
    delete: DeleteRequest | None = None


@dataclass(frozen=True)
class Reply:
    """What goes back. With ``fault`` set a fault PDU instead of the stub.

    ``interrupt``: after so many bytes of the reply (PDU headers counted, fewer than there are) the
    function is called, and the pipe is closed if it returns False.
    """

    stub: bytes = b""
    fault: int | None = None
    fault_flags: int = DID_NOT_EXECUTE
    interrupt: tuple[int, Callable[[], bool]] | None = None


def close_pipe() -> bool:
    """For ``Reply.interrupt``: closes the pipe at that byte."""
    return False


@dataclass
class Script:
    """How the server behaves. The defaults are those of a polite one."""

    #: the rows of each level; a level that is missing is refused with 124
    rows: Mapping[int, Sequence[Row]] = field(default_factory=dict)
    #: these levels are refused with 5
    denied: frozenset[int] = frozenset()
    #: rows of one reply at most; the preferred maximum length of the request counts as well
    page_entries: int | None = None
    #: whether clients' filters are applied (Windows) or ignored (Samba)
    filters: bool = True
    #: answers every NetrSessionDel
    delete_status: int = 0
    #: the fragment size granted to a client is at most this
    grant: int = 4280
    #: the size of every fragment of a reply but the last; None: as granted
    fragment: int | None = None
    message_mode: bool = True
    #: the reply is written in pieces of this many bytes wherever fragments begin and end (in
    #: message mode each piece is a message); None: each fragment by itself
    piece: int | None = None
    #: alloc_hint of a fragment, from the stub bytes that remain (this fragment's included)
    alloc_hint: Callable[[int], int] = lambda remaining: remaining
    #: last touch on the PDUs of a reply
    mangle: Callable[[list[bytes]], list[bytes]] = lambda pdus: pdus
    #: answers a call in place of the rows above; None: let those answer
    respond: Callable[[Call], Reply | None] = lambda call: None
    #: the result of the bind's presentation context (0 accepts), or None for a bind_nak
    bind_result: int | None = 0
    #: the NTSTATUS that ends the NPAM handshake; not 0 refuses to open the pipe
    open_status: int = 0


class Endpoint(Closing):
    """Listens until closed; each pipe has a thread of its own. A context manager."""

    def __init__(self, path: Path, script: Script | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._pages: dict[tuple[int, int, int, int | None], bytes] = {}
        self._script = script or Script()
        self.calls: list[Call] = []  #: of the current script
        self.pipes = 0  #: opened since the current script was set
        self.breaches: list[str] = []  #: what clients did wrong
        self.errors: list[BaseException] = []  #: what went wrong in the endpoint itself

    @property
    def script(self) -> Script:
        """The behaviour; setting it forgets what was recorded."""
        return self._script

    @script.setter
    def script(self, script: Script) -> None:
        with self._lock:
            self._script = script
            self._pages.clear()
            self.calls = []
            self.pipes = 0
            self.breaches = []
            self.errors = []

    @property
    def enums(self) -> list[EnumRequest]:
        """The NetrSessionEnum requests that came."""
        return [call.enum for call in self.calls if call.enum is not None]

    @property
    def deletes(self) -> list[DeleteRequest]:
        """The NetrSessionDel requests that came."""
        return [call.delete for call in self.calls if call.delete is not None]

    def open(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()  # a leftover of another endpoint, on which nobody listens
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen(64)
        acceptor = threading.Thread(target=self._accept, name="endpoint", daemon=True)
        acceptor.start()
        self._threads.append(acceptor)

    def close(self) -> None:
        """Ends the listener, all pipes and their threads. Idempotent."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        self.close_pipes()
        for thread in self._threads:
            thread.join(30)

    def close_pipes(self) -> None:
        """Closes every open pipe, as a service does that is stopped."""
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
                self.pipes += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                _Pipe(self, connection).serve()
        except (_PipeClosedError, BrokenPipeError, ConnectionResetError):
            pass
        except BaseException as error:  # told by the fixture, at the end of the test
            self.errors.append(error)
        finally:
            with self._lock:
                self._connections.discard(connection)

    # -- answering ----------------------------------------------------------------------------

    def answer(self, opnum: int, stub: bytes) -> Reply:
        """The reply to one request, after recording it."""
        script = self._script
        enum = delete = None
        try:
            if opnum == OPNUM_SESSION_ENUM:
                enum = decode_enum_request(stub)
            elif opnum == OPNUM_SESSION_DEL:
                delete = decode_delete_request(stub)
        except NdrError as error:
            self.breaches.append(f"opnum {opnum}: {error}")
            return Reply(fault=FAULT_BAD_STUB)
        with self._lock:
            call = Call(opnum, stub, len(self.calls), enum, delete)
            self.calls.append(call)
        reply = script.respond(call)
        if reply is not None:
            return reply
        if delete is not None:
            return Reply(encode_delete_response(script.delete_status))
        if enum is not None:
            return Reply(self._enumerate(script, enum))
        return Reply(fault=FAULT_OP_RANGE)

    def _enumerate(self, script: Script, request: EnumRequest) -> bytes:
        if not request.has_container:
            self.breaches.append("NetrSessionEnum with a NULL container")
        if request.level in script.denied:
            return refusal(request, ERROR_ACCESS_DENIED)
        if request.level not in script.rows or request.level not in FIELDS:
            return refusal(request, ERROR_INVALID_LEVEL)
        rows = script.rows[request.level]
        if script.filters and (request.client or request.user):
            if request.client and not request.client.startswith("\\\\"):
                return refusal(request, NERR_INVALID_COMPUTER)
            rows = [row for row in rows if _matches(row, request)]
            if not rows:
                missing = NERR_CLIENT_NAME_NOT_FOUND if request.client else NERR_USER_NOT_FOUND
                return refusal(request, missing)
            return self._page(script, request, rows, cache=False)
        return self._page(script, request, rows, cache=True)

    def _page(
        self, script: Script, request: EnumRequest, rows: Sequence[Row], *, cache: bool
    ) -> bytes:
        start = _index_of(request.resume_handle)
        rest = len(rows) - start
        count = rest if script.page_entries is None else min(rest, script.page_entries)
        if request.preferred_length != MAX_PREFERRED_LENGTH:
            fitting = _count_fitting(request, rows[start : start + count])
            if count and not fitting:
                return refusal(request, NERR_BUF_TOO_SMALL)
            count = fitting
        status, handle = 0, 0
        if start + count < len(rows):
            status, handle = ERROR_MORE_DATA, _handle_of(start + count)
        resume = None if request.resume_handle is None else handle
        key = (request.level, start, count, resume)
        stub = self._pages.get(key) if cache else None
        if stub is None:
            stub = encode_enum_response(
                request.level,
                rows[start : start + count],
                total_entries=max(rest, 0),
                resume_handle=resume,
                status=status,
            )
            if cache:
                self._pages[key] = stub
        return stub


def refusal(request: EnumRequest, status: int) -> bytes:
    """The reply without rows: the request's container echoed, as Samba does."""
    return encode_enum_response(
        request.level,
        None,
        total_entries=0,
        resume_handle=request.resume_handle,
        status=status,
    )


# Resume handles are opaque: these run backwards, from values with the highest bit set.
def _handle_of(index: int) -> int:
    return 0xFFFFFFFF - index if index else 0


def _index_of(handle: int | None) -> int:
    return 0xFFFFFFFF - handle if handle else 0


def _matches(row: Row, request: EnumRequest) -> bool:
    client, user = row["client_name"], row.get("user_name")
    if request.client:
        name = client if isinstance(client, str) else ""
        if name.lstrip("\\").casefold() != request.client.lstrip("\\").casefold():
            return False
    return not request.user or (
        isinstance(user, str) and user.casefold() == request.user.casefold()
    )


def _count_fitting(request: EnumRequest, rows: Sequence[Row]) -> int:
    """How many rows fit into the preferred maximum length (MS-SRVS 3.1.4.5), 64-bit layout."""
    left = request.preferred_length
    for count, row in enumerate(rows):
        texts = [value for value in row.values() if isinstance(value, str)]
        units = sum(len(text.encode("utf-16-le", "surrogatepass")) + 2 for text in texts)
        left -= _BYTES_OF_STRUCT[request.level] + units
        if left < 0:
            return count
    return len(rows)


class _Pipe:
    """One opened pipe: the NPAM handshake, then PDUs."""

    def __init__(self, endpoint: Endpoint, connection: socket.socket) -> None:
        self._endpoint = endpoint
        self._script = endpoint.script
        self._connection = connection
        self._pending = b""
        self._fragment = 0
        self._context = -1
        self._request = b""

    def serve(self) -> None:
        """Until the pipe closes."""
        if not self._handshake():
            return
        while True:
            # Who keeps a pipe open across tests meets the script of the day.
            pdu = self._receive()
            self._script = self._endpoint.script
            self._dispatch(pdu)

    def _breach(self, text: str) -> None:
        self._endpoint.breaches.append(text)

    # -- bytes --------------------------------------------------------------------------------

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self._connection.recv(size - len(data))
            if not piece:
                raise _PipeClosedError
            data += piece
        return bytes(data)

    def _handshake(self) -> bool:
        (length,) = struct.unpack(">I", self._exactly(4))
        hello = self._exactly(length)
        magic, level = struct.unpack_from("<4sI", hello)
        assert magic == b"NPAM", hello[:64]
        # File type, device state and allocation size as samba-dcerpcd answers them.
        self._message_mode = self._script.message_mode
        mode = MESSAGE_MODE if self._message_mode else BYTE_MODE
        body = struct.pack("<4sIIHHIQ", b"NPAM", level, level, mode, 0x05FF, 0, 4096)
        body += struct.pack("<I", self._script.open_status)
        self._connection.sendall(struct.pack(">I", len(body)) + body)
        return self._script.open_status == 0

    def _more(self) -> None:
        if self._message_mode:
            (length,) = struct.unpack("<H", self._exactly(2))
            message = self._exactly(length)
            if len(message) < 10 or struct.unpack_from("<H", message, 8)[0] != length:
                self._breach(f"a write of {length} bytes that is not one PDU")
            self._pending += message
            return
        piece = self._connection.recv(65536)
        if not piece:
            raise _PipeClosedError
        self._pending += piece

    def _receive(self) -> bytes:
        """One PDU."""
        while len(self._pending) < 16:
            self._more()
        version, drep, size = struct.unpack_from("<HxxIH", self._pending)
        if version != 5 or drep != 0x10:
            self._breach(f"PDU version {version:#x}, data representation {drep:#x}")
        while len(self._pending) < size:
            self._more()
        pdu, self._pending = self._pending[:size], self._pending[size:]
        return pdu

    def _send(self, pdus: list[bytes], reply: Reply | None = None) -> None:
        pieces = pdus
        if self._script.piece is not None:
            whole, step = b"".join(pdus), self._script.piece
            pieces = [whole[at : at + step] for at in range(0, len(whole), step)]
        if reply is None or reply.interrupt is None:
            for piece in pieces:
                self._write(piece)
            return
        left, act = reply.interrupt
        for piece in pieces:
            if len(piece) > left:
                # What was written before stays readable for smbd; the rest is never sent unless
                # the function says so.
                self._write(piece[:left])
                if not act():
                    raise _PipeClosedError
                piece, left = piece[left:], sum(map(len, pdus))
            self._write(piece)
            left -= len(piece)

    def _write(self, piece: bytes) -> None:
        if not piece:
            return
        length = struct.pack("<H", len(piece)) if self._message_mode else b""
        self._connection.sendall(length + piece)

    # -- PDUs ---------------------------------------------------------------------------------

    def _dispatch(self, pdu: bytes) -> None:
        kind, flags = pdu[2], pdu[3]
        auth, call_id = struct.unpack_from("<HI", pdu, 10)
        if auth:
            self._breach("authentication on the RPC level, which MS-SRVS does not ask for")
        if kind in (BIND, ALTER_CONTEXT):
            self._bind(kind, pdu, call_id)
        elif kind == REQUEST:
            self._collect(flags, pdu, call_id)
        else:
            self._breach(f"PDU of type {kind}")

    def _bind(self, kind: int, pdu: bytes, call_id: int) -> None:
        if self._script.bind_result is None:
            self._send([_pdu(BIND_NAK, FIRST | LAST, call_id, struct.pack("<HBBB3x", 0, 1, 5, 0))])
            return
        transmit, receive = struct.unpack_from("<HH", pdu, 16)
        if kind == BIND:
            # Samba's rule: what both sides can, at least 2048, a multiple of 8 (see _negotiate).
            self._fragment = _negotiate(transmit, receive, self._script.grant)
        results = b"".join(map(self._result, _contexts(pdu)))
        address = b"\\PIPE\\srvsvc\0" if kind == BIND else b""
        body = struct.pack("<HHIH", self._fragment, self._fragment, 0x53F0, len(address)) + address
        body += bytes(-(16 + len(body)) % 4)
        body += struct.pack("<B3x", len(results) // 24) + results
        answer = BIND_ACK if kind == BIND else ALTER_CONTEXT_RESPONSE
        self._send([_pdu(answer, FIRST | LAST, call_id, body)])

    def _result(self, offer: tuple[int, bytes, list[bytes]]) -> bytes:
        context, abstract, transfers = offer
        if transfers and transfers[0].startswith(FEATURES):
            return struct.pack("<HH20x", 3, 0)
        if abstract != SRVSVC:
            return struct.pack("<HH20x", 2, 1)
        if NDR20 not in transfers:
            return struct.pack("<HH20x", 2, 2)
        if self._script.bind_result:
            return struct.pack("<HH20x", self._script.bind_result, 1)
        self._context = context
        return struct.pack("<HH", 0, 0) + NDR20

    def _collect(self, flags: int, pdu: bytes, call_id: int) -> None:
        context, opnum = struct.unpack_from("<HH", pdu, 20)
        if len(pdu) > self._fragment:
            self._breach(f"a fragment of {len(pdu)} bytes where {self._fragment} were granted")
        if context != self._context:
            self._breach(f"presentation context {context}, accepted was {self._context}")
        if bool(flags & FIRST) != (not self._request):
            self._breach(f"flags {flags:#x} after {len(self._request)} bytes of the request")
        if not flags & LAST and len(pdu) % 8:
            self._breach(f"a fragment of {len(pdu)} bytes that is not the last")
        self._request += pdu[24:]
        if flags & LAST:
            stub, self._request = self._request, b""
            self._reply(self._endpoint.answer(opnum, stub), call_id)

    def _reply(self, reply: Reply, call_id: int) -> None:
        if reply.fault is not None:
            body = struct.pack("<IHBBII", 0, self._context, 0, 0, reply.fault, 0)
            flags = FIRST | LAST | reply.fault_flags
            pdus = [_pdu(FAULT, flags, call_id, body)]
        else:
            pdus = self._fragments(reply.stub, call_id)
        self._send(self._script.mangle(pdus), reply)

    def _fragments(self, stub: bytes, call_id: int) -> list[bytes]:
        step = (self._script.fragment or self._fragment) - 24
        # All but the last end at a multiple of 8 when there is room for it (MS-RPCE 2.2.2.6).
        step = step // 8 * 8 or step
        pdus = []
        for at in range(0, len(stub) or 1, step):
            flags = FIRST * (at == 0) | LAST * (at + step >= len(stub))
            hint = self._script.alloc_hint(len(stub) - at)
            body = struct.pack("<IHBB", hint, self._context, 0, 0) + stub[at : at + step]
            pdus.append(_pdu(RESPONSE, flags, call_id, body))
        return pdus


def _negotiate(transmit: int, receive: int, ours: int) -> int:
    size = min(transmit, receive, ours)
    return max(size, min(2048, ours)) // 8 * 8


def _pdu(kind: int, flags: int, call_id: int, body: bytes) -> bytes:
    head = struct.pack("<BBBBIHHI", 5, 0, kind, flags, 0x10, 16 + len(body), 0, call_id)
    return head + body


def _contexts(pdu: bytes) -> list[tuple[int, bytes, list[bytes]]]:
    """The presentation contexts of a bind: id, abstract syntax, transfer syntaxes."""
    found, at = [], 28
    for _ in range(pdu[24]):
        context, count = struct.unpack_from("<HB", pdu, at)
        abstract = pdu[at + 4 : at + 24]
        at += 24
        transfers = [pdu[start : start + 20] for start in range(at, at + 20 * count, 20)]
        found.append((context, abstract, transfers))
        at += 20 * count
    return found
