"""One TCP connection that carries SMB messages, every wait bounded by a deadline."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from .._process import Process
from ..errors import MalformedReply
from .address import Address
from .deadline import Deadline
from .failures import LinkBrokenError
from .statuses import ERROR_NETNAME_DELETED

# Nothing that is asked for here brings more than 65,536 bytes, to which come headers, padding and
# encryption; [MS-SMB2] 2.1 allows 16 MiB. It bounds what a peer can make us hold.
_MAX_MESSAGE: Final = 65_536 + 4_096
# Below the 128 KiB from which C libraries map memory for each piece anew, and give it back: a
# twentieth of what connecting, listing and closing costs. Long replies do not come slower for it.
_CHUNK: Final = 1 << 16
_HEARD: Final = 64
# RFC 8305 5: how long the first address may be silent before the next one is tried beside it.
_NEXT_ADDRESS_AFTER: Final = 0.25
# No wait is longer. While connecting nothing wakes select(): it is looked whether the call is
# off; and Ctrl-C does not end a wait on Windows, nor elsewhere where it comes just before it.
_NEXT_LOOK: Final = 0.25

_ERROR_BAD_NETPATH: Final = 53
_WIN32_OF_ERRNO: Final = {
    errno.ECONNREFUSED: 1225,
    errno.EHOSTUNREACH: 1232,
    errno.ENETUNREACH: 1231,
    errno.EHOSTDOWN: 1232,
    errno.ENETDOWN: 1231,
    errno.ETIMEDOUT: _ERROR_BAD_NETPATH,
    errno.EADDRNOTAVAIL: 1231,
    errno.EACCES: 1232,
    errno.EPERM: 1232,
}


class Link:
    """A connected socket; ``deadline`` is that of the call at hand and set anew for each.

    ``connected``, ``connect``, ``send`` and ``close`` are what smbprotocol wants of a transport.
    """

    _BOTH: Final = socket.SHUT_RDWR

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self.deadline = deadline
        self.connected: bool = True
        #: This machine's address on it (str) or None; asked now, as it may be closed at any time.
        self.own_address: str | None = _own_address(sock)
        #: The first bytes of the peer, to tell who it is where it is no SMB server.
        self.heard: bytes = b""
        self._sock = sock
        self._process = Process()
        self._buffer = bytearray()  # at most one message that is not whole, and one _CHUNK
        self._position = 0  # what is before it is taken

    def connect(self) -> None:
        """Nothing: ``connect_link`` has done it."""

    def send_without_delay(self) -> None:
        """Small messages go out at once, though earlier ones are not acknowledged yet."""
        with contextlib.suppress(OSError):  # a socket broken meanwhile says so when it is used
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, message: Any) -> None:
        """Send one SMB message: bytes, or a structure of smbprotocol's that packs to them."""
        self.send_all([message if isinstance(message, bytes) else message.pack()])

    def send_all(self, messages: list[bytes]) -> None:
        """Send SMB messages back to back, each with its length in front ([MS-SMB2] 2.1)."""
        parts: list[bytes] = []
        for message in messages:
            parts += (len(message).to_bytes(4, "big"), message)
        left = memoryview(b"".join(parts))
        while left:
            left = left[self._wait_for(partial(self._sock.send, left)) :]

    def _wait_for(self, work: Callable[[], Any]) -> Any:
        """What a blocking call on the socket returns; the deadline bounds it."""
        while True:
            left = self.deadline.remaining()
            try:
                self._sock.settimeout(min(left, _NEXT_LOOK))
                return work()
            except OSError as error:
                if isinstance(error, TimeoutError) and error.errno is None:
                    continue  # ours: the deadline says whether that was all the time there is
                self.deadline.remaining()  # called off: the connection was broken for that
                raise _broken(error) from error

    def receive(self) -> bytes:
        """The next SMB message."""
        prefix = self._take(4)
        if prefix[0]:
            raise MalformedReply("what answers on that port is no SMB server", 0)
        length = int.from_bytes(prefix, "big")
        if length > _MAX_MESSAGE:
            raise MalformedReply(f"SMB message of {length:,} bytes", 0)
        return self._take(length)

    def _take(self, count: int) -> bytes:
        buffer = self._buffer
        if len(buffer) - self._position < count:
            del buffer[: self._position]
            self._position = 0
            while len(buffer) < count:
                buffer += self._receive_some()
        end = self._position + count
        with memoryview(buffer) as view:
            taken = bytes(view[self._position : end])
        self._position = end
        return taken

    def _receive_some(self) -> bytes:
        data: bytes = self._wait_for(partial(self._sock.recv, _CHUNK))
        if not data:
            self.deadline.remaining()  # called off: it is our end that was closed
            raise LinkBrokenError(ERROR_NETNAME_DELETED, "the server closed the connection")
        if len(self.heard) < _HEARD:
            self.heard += data[:_HEARD]
        return data

    def is_quiet(self) -> bool:
        """True if the peer has neither closed the connection nor sent what nobody asked for."""
        if self._position < len(self._buffer):
            return False
        try:
            self._sock.setblocking(False)
            self._sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        return False

    def abort(self) -> None:
        """Break the connection under another thread that uses it. Nothing is sent afterwards.

        In a process that was forked off it is left alone: it is its parent's.
        """
        if self._process.is_here():
            try:  # noqa: SIM105 (a module's names may be gone: see Process)
                self._sock.shutdown(self._BOTH)
            except OSError:
                pass

    def close(self) -> None:
        """Close at once; of a forked process's connection only its copy of the socket."""
        self.connected = False
        self.abort()  # a child that was forked may have a copy, which would keep it open
        self._sock.close()


def _own_address(sock: socket.socket) -> str | None:
    with contextlib.suppress(OSError):
        name = sock.getsockname()
        if isinstance(name, tuple):
            return str(name[0]).partition("%")[0]
    return None


def _broken(error: OSError) -> LinkBrokenError:
    return LinkBrokenError(ERROR_NETNAME_DELETED, f"the connection broke ({_reason(error)})")


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def connect_link(address: Address, port: int, deadline: Deadline) -> Link:
    """A link to the first of the host's addresses that accepts, tried in a staggered race."""
    try:
        found = socket.getaddrinfo(address.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = _reason(error) if isinstance(error, OSError) else str(error)
        raise LinkBrokenError(
            _ERROR_BAD_NETPATH, f"the name {address.host} cannot be resolved ({reason})"
        ) from error
    link = Link(_Race(found, deadline).run(), deadline)
    deadline.on_call_off(link.abort)
    link.send_without_delay()
    return link


class _Race:
    """Connects to several addresses, each a little after the one before; the first one wins."""

    def __init__(self, found: list[Any], deadline: Deadline) -> None:
        self._waiting = found[::-1]
        self._deadline = deadline
        self._selector = selectors.DefaultSelector()
        self._error: OSError = OSError(errno.EHOSTUNREACH, "no address")

    def run(self) -> socket.socket:
        winner = None
        try:
            while winner is None:
                winner = self._step()
            return winner
        finally:
            for key in list(self._selector.get_map().values()):
                if key.fileobj is not winner:
                    key.fileobj.close()  # type: ignore[union-attr]
            self._selector.close()

    def _step(self) -> socket.socket | None:
        self._deadline.remaining()  # looking the name up may have taken longer than it was wanted
        if self._waiting:
            self._start(self._waiting.pop())
        if not self._selector.get_map() and not self._waiting:
            status = _WIN32_OF_ERRNO.get(self._error.errno or 0, _ERROR_BAD_NETPATH)
            raise LinkBrokenError(
                status, f"cannot connect: {_reason(self._error)}"
            ) from self._error
        next_at = time.monotonic() + _NEXT_ADDRESS_AFTER if self._waiting else None
        while self._selector.get_map():
            wait = min(self._deadline.remaining(), _NEXT_LOOK)
            if next_at is not None:
                wait = min(wait, max(0.0, next_at - time.monotonic()))
            for key, _ in self._selector.select(wait):
                connected = self._finish(key.fileobj)
                if connected is not None:
                    return connected
            if next_at is not None and time.monotonic() >= next_at:
                break
        return None

    def _start(self, info: Any) -> None:
        family, kind, protocol, _, where = info
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:
            self._error = error
            return
        sock.setblocking(False)
        code = sock.connect_ex(where)
        if code in (0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY):
            self._selector.register(sock, selectors.EVENT_WRITE)
            return
        sock.close()
        self._error = OSError(code, os.strerror(code))

    def _finish(self, sock: Any) -> socket.socket | None:
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0:
            connected: socket.socket = sock
            return connected
        self._selector.unregister(sock)
        sock.close()
        self._error = OSError(code, os.strerror(code))
        return None
