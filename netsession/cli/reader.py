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


class Reader:
    """Where nobody can go: a file, a terminal, a system on which a pipe cannot be asked."""

    def begin(self) -> None:
        """What is waited for has begun."""

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Around a wait in which nothing is written."""
        yield


@contextmanager
def watched(sink: Sink) -> Iterator[Reader]:
    """Watches who reads what the sink writes to a pipe, within it.

    POSIX only, and only from the main thread: it is a signal that ends the wait.
    """
    if not hasattr(signal, "pthread_kill") or not sink.is_pipe:
        yield Reader()
        return
    reader = _Watched(sink.stream.fileno())
    try:
        before = signal.signal(signal.SIGPIPE, reader.on_signal)
    except ValueError:  # not the main thread
        yield Reader()
        return
    reader.thread.start()
    try:
        yield reader
    finally:
        reader.over.set()
        signal.signal(signal.SIGPIPE, before or signal.SIG_IGN)


class _Watched(Reader):
    """The reader of a pipe.

    ReaderGone is raised from a signal's handler, as KeyboardInterrupt is, but only where the main
    thread waits: what writes notices it by itself, and elsewhere (in an import, in a callback that
    the interpreter makes) an exception that comes from nowhere would be lost, or do harm.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._main = threading.get_ident()
        self._gone = self._has_begun = self._waits = False
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="netsession reader", daemon=True)

    def begin(self) -> None:
        """From here on waits may be broken off."""
        self._has_begun = True
        if self._gone:
            raise ReaderGone

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Raises ReaderGone within it as soon as the reader has gone."""
        # Marked first and looked at then; the watcher looks first and signals then.
        self._waits = True
        try:
            self.on_signal()
            yield
        finally:
            self._waits = False

    def on_signal(self, number: int = 0, frame: FrameType | None = None) -> None:
        """A socket whose other end is gone sends the same signal, and means nothing by it."""
        if self._gone and self._has_begun and self._waits:
            self._waits = False  # what cleans up now is left alone
            raise ReaderGone

    def _watch(self) -> None:
        import select

        poll = select.poll()
        poll.register(self._descriptor, 0)  # POLLERR and POLLHUP come unasked
        while not self.over.is_set():
            if not self._gone:
                self._gone = bool(poll.poll(_BETWEEN_LOOKS))
            else:
                # Again and again: nobody knows where the main thread was.
                signal.pthread_kill(self._main, signal.SIGPIPE)
                self.over.wait(_BETWEEN_LOOKS / 1000)
