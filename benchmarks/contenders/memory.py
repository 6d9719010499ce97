"""Memory of one way to get sessions, in a process of its own. Linux.

Arguments: the way (stream, list or floor), and how many sessions. Prints JSON: bytes.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import netsession_floor as floor

from netsession import Server, records
from netsession.testing import simulated_server

PAGE_BYTES = 1 << 20
LEVEL = 502


def _status(name: str) -> int:
    """A field of /proc/self/status that counts KiB, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def _forget_the_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _objects(sessions: Iterable[Any]) -> int:
    """The sizes of all records and their fields, each object counted once."""
    seen = {id(value): value for record in sessions for value in (record, *record)}
    return sum(map(sys.getsizeof, seen.values()))


def stream(server: Server) -> tuple[int, None]:
    return sum(1 for _ in server.sessions(level=LEVEL, page_bytes=PAGE_BYTES)), None


def kept(server: Server) -> tuple[int, Any]:
    sessions = list(server.sessions(level=LEVEL))
    return len(sessions), sessions


def floor_list(server: Server) -> tuple[int, Any]:
    sessions = floor.records(server._backend, LEVEL, records.SessionInfo502)
    return len(sessions), sessions


WAYS = {"stream": stream, "list": kept, "floor": floor_list}


def main() -> None:
    way, entries = WAYS[sys.argv[1]], int(sys.argv[2])
    with simulated_server(10) as small:
        way(small)  # what is loaded on first use is loaded
    with simulated_server(entries) as server:
        gc.collect()
        _forget_the_peak()
        start = _status("VmRSS")
        count, sessions = way(server)
        assert count == entries
        peak, held = _status("VmHWM") - start, _status("VmRSS") - start
    objects = 0 if sessions is None else _objects(sessions)
    print(json.dumps({"peak": peak, "held": held, "objects": objects}))


if __name__ == "__main__":
    main()
