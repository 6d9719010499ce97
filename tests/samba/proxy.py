"""A TCP proxy on loopback that keeps what passes, and can change what the server says."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from closing import Closing
from smbd import HOST, Smbd

Tamper = Callable[[bytes], bytes]


class Proxy(Closing):
    """Between a client and an smbd. A context manager.

    ``tamper`` gets every SMB message of the server (without the four bytes of length) and returns
    what the client shall get instead; ``watch`` gets every message of the client.
    """

    def __init__(
        self,
        smbd: Smbd,
        tamper: Tamper = lambda message: message,
        watch: Callable[[bytes], None] = lambda message: None,
    ) -> None:
        self._smbd = smbd
        self._tamper = tamper
        self._watch = watch
        self._listener = socket.create_server((HOST, 0))
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0  #: accepted
        self.messages: list[bytes] = []  #: all SMB messages, both ways

    def open(self) -> None:
        self._spawn(self._accept)

    def close(self) -> None:
        for one in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(30)

    def _spawn(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection((self._smbd.host, self._smbd.port))
            self._sockets += [client, server]
            self._spawn(self._pump, client, server, self._watched)
            self._spawn(self._pump, server, client, self._tamper)

    def _watched(self, message: bytes) -> bytes:
        self._watch(message)
        return message

    def _pump(self, source: socket.socket, sink: socket.socket, tamper: Tamper) -> None:
        with contextlib.suppress(OSError), source.makefile("rb") as stream:
            while head := stream.read(4):
                message = stream.read(int.from_bytes(head[1:], "big"))
                with self._lock:
                    self.messages.append(message)
                message = tamper(message)
                sink.sendall(head[:1] + len(message).to_bytes(3, "big") + message)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
