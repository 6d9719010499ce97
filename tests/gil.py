"""Who lets go of the GIL?"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counting_beside() -> Iterator[Callable[[], int]]:
    """Within it another thread counts, and nobody is made to yield the GIL. Gives the count."""
    counted, stop, started = 0, False, threading.Event()

    def count() -> None:
        nonlocal counted
        while not stop:
            counted += 1
            started.set()
            time.sleep(0.0001)

    thread = threading.Thread(target=count)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        thread.start()
        assert started.wait(60)
        yield lambda: counted
    finally:
        stop = True
        sys.setswitchinterval(interval)
        thread.join()
