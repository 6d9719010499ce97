"""The native core against the bare C loop, on one prepared buffer, in one process. Linux.

Its argument is JSON: ``{"cases": [[level, entries, rounds, seconds a round], ...]}``; it prints
JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import netsession_floor as floor
from timing import in_turn, kernel_share, must_equal, once

from netsession import Server, records
from netsession._simulator import Simulator

_SHARES = ("netsession columns", "netsession list")


def prepared(entries: int) -> tuple[Simulator, Server]:
    simulator = Simulator(entries, 0)
    simulator.prepare(True)
    return simulator, Server("prepared", backend=simulator.netapi)


def _iterate(server: Server, level: int) -> None:
    for _ in server.sessions(level=level):
        pass


def _dicts(server: Server, level: int) -> list[Any]:
    return [page.as_dicts() for page in server.sessions(level=level).pages()]


def _columns(server: Server, level: int) -> list[Any]:
    return [page.__arrow_c_array__() for page in server.sessions(level=level).pages()]


def jobs(simulator: Simulator, server: Server, level: int) -> dict[str, Any]:
    record_type = getattr(records, f"SessionInfo{level}")
    backend = simulator.netapi
    page = next(iter(server.sessions(level=level).pages()))
    made = {
        "server only": lambda: floor.enumerate(backend, level),
        "netsession list": lambda: list(server.sessions(level=level)),
        "netsession iteration": lambda: _iterate(server, level),
        "netsession dicts": lambda: _dicts(server, level),
        "bare C loop, list": lambda: floor.records(backend, level, record_type),
        "bare C loop, dropped": lambda: floor.discard(backend, level, record_type),
    }
    if hasattr(page, "__arrow_c_array__"):
        made["netsession columns"] = lambda: _columns(server, level)
    return made


def constant_times(entries: int) -> dict[str, list[float]]:
    """Nanoseconds of ``len(page)`` and of ``page[i]`` in the middle of a page, a value a round."""
    _, server = prepared(entries)
    page = next(iter(server.sessions(level=502).pages()))
    middle = entries // 2

    def length() -> None:
        for _ in range(100_000):
            len(page)

    def index() -> None:
        for _ in range(100_000):
            page[middle]

    each = {"len(page)": length, "page[i]": index}
    return {name: [once(work)[1] * 1e4 for _ in range(7)] for name, work in each.items()}


def main() -> None:
    answer = []
    for level, entries, rounds, seconds in json.loads(sys.argv[1])["cases"]:
        simulator, server = prepared(entries)
        ours = list(server.sessions(level=level))
        must_equal("the floor", floor.records(simulator.netapi, level, type(ours[0])), ours)
        del ours
        answer += [
            {"contender": name, "level": level, "entries": entries, **spent}
            for name, spent in in_turn(jobs(simulator, server, level), rounds, seconds).items()
        ]
    simulator, server = prepared(100_000)
    each = jobs(simulator, server, 502).items()
    shares = {name: kernel_share(work) for name, work in each if name in _SHARES}
    constant = {entries: constant_times(entries) for entries in (1_000, 1_000_000)}
    print("JSON" + json.dumps({"samples": answer, "constant": constant, "shares": shares}))


if __name__ == "__main__":
    main()
