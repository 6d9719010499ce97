"""A long cable: ``wire.py DESCRIPTOR DESCRIPTOR MILLISECONDS`` carries frames between two taps.

Each frame takes so long, in both directions. What netem does in the kernel, where the kernel has
it; many do not.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections import deque
from contextlib import suppress

_LONGEST_FRAME = 65_536


def carry(one: int, other: int, seconds: float) -> None:
    """Until a tap is gone, or the process is ended."""
    across = {one: other, other: one}
    on_the_way: deque[tuple[float, int, bytes]] = deque()  # in the order of their arrival
    while True:
        left = on_the_way[0][0] - time.monotonic() if on_the_way else None
        if left is not None and left <= 0:
            _, end, frame = on_the_way.popleft()
            with suppress(OSError):  # the other end is not up: frames are lost, as on any wire
                os.write(end, frame)
            continue
        for end in select.select(list(across), [], [], left)[0]:
            frame = os.read(end, _LONGEST_FRAME)
            on_the_way.append((time.monotonic() + seconds, across[end], frame))


if __name__ == "__main__":
    carry(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) / 1000)
