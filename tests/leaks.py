"""Memory that does not come back, as the operating system counts it."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path


def _memory() -> int:
    """Resident memory of this process, in bytes."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


#: 50 bytes forgotten each of 4,000 times; the smallest structure there is to forget has 64.
NOISE = 200_000


def grown_by(operation: Callable[[], None]) -> int:
    """By how many bytes the process grows when it does something once."""
    gc.collect()
    before = _memory()
    operation()
    gc.collect()
    return _memory() - before


def leaked(operation: Callable[[], None]) -> int:
    """By how many bytes the process grows when it does something 4,000 times more.

    A heap takes a while to settle, a free-threaded one longer: what is forgotten shows every time,
    so the least of several times counts.
    """

    def repeat() -> None:
        for _ in range(4000):
            operation()

    grown = []
    for _ in range(6):
        grown.append(grown_by(repeat))
        if grown[-1] <= NOISE:
            break
    return min(grown)
