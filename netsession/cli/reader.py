"""A reader that goes (``netsession list ... | head -1``) is noticed while nothing is written."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager

from .standard import ReaderGone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from .sink import Sink

_BETWEEN_LOOKS = 200  # milliseconds: how long the watcher may outlive what it watches


@contextmanager
def watched(sink: Sink) -> Iterator[None]:
    """Within it, ReaderGone is raised as soon as nobody reads what the sink writes to a pipe.

    Writing would notice it too, but with servers that do not answer nothing may be written for a
    long time. POSIX only: elsewhere a pipe cannot be asked; and only in the main thread.
    """
    if not hasattr(signal, "pthread_kill") or not sink.is_pipe:
        yield
        return
    watcher = _Watcher(sink.stream.fileno())
    try:
        before = signal.signal(signal.SIGPIPE, watcher.on_signal)
    except ValueError:  # not the main thread
        yield
        return
    watcher.start()
    try:
        yield
    finally:
        watcher.over.set()
        signal.signal(signal.SIGPIPE, before or signal.SIG_IGN)


class _Watcher(threading.Thread):
    def __init__(self, descriptor: int) -> None:
        super().__init__(name="netsession reader", daemon=True)
        self._descriptor = descriptor
        self._main = threading.get_ident()
        self._gone = False
        self.over = threading.Event()

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """A socket whose other end is gone sends the same signal, and means nothing by it."""
        if self._gone and not self.over.is_set():
            self.over.set()  # once
            raise ReaderGone

    def run(self) -> None:
        import select

        poll = select.poll()
        poll.register(self._descriptor, 0)  # POLLERR and POLLHUP come unasked
        while not self.over.is_set():
            if poll.poll(_BETWEEN_LOOKS):
                self._gone = True
                # The main thread waits for servers: a signal is all that wakes it.
                signal.pthread_kill(self._main, signal.SIGPIPE)
                return
