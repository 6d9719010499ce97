"""A TCP proxy on loopback that delivers every byte later, in either direction.

Arguments: the port it leads to, and the delay of one direction in milliseconds. Its bandwidth is
what the machine has; it models distance, not a thin line.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import sys
import threading
import time

from waiting import serve_until_told

HOST = "127.0.0.1"
_CHUNK = 1 << 20


def _receive(
    source: socket.socket, held: queue.SimpleQueue[tuple[float, bytes]], delay: float
) -> None:
    """Notes when each piece is due; the empty one at the end says that no more comes."""
    data = b"begin"
    while data:
        try:
            data = source.recv(_CHUNK)
        except OSError:
            data = b""
        held.put((time.monotonic() + delay, data))


def _deliver(held: queue.SimpleQueue[tuple[float, bytes]], sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            due, data = held.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(data)


def _lead(source: socket.socket, sink: socket.socket, delay: float) -> None:
    held: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
    for work, arguments in ((_receive, (source, held, delay)), (_deliver, (held, sink))):
        threading.Thread(target=work, args=arguments, daemon=True).start()


def _accept(listener: socket.socket, port: int, delay: float) -> None:
    while True:
        client, _ = listener.accept()
        server = socket.create_connection((HOST, port))
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _lead(client, server, delay)
        _lead(server, client, delay)


def main() -> None:
    port, delay = int(sys.argv[1]), float(sys.argv[2]) / 1000
    listener = socket.create_server((HOST, 0))
    threading.Thread(target=_accept, args=(listener, port, delay), daemon=True).start()
    serve_until_told({"host": HOST, "port": listener.getsockname()[1]})


if __name__ == "__main__":
    main()
