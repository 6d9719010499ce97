"""Where the CPU time of connecting, listing and closing goes, by sampling.

Its argument is JSON: ``{"where": {...}, "connections": n, "before": bool}``; it prints JSON. A
timer of CPU time (ITIMER_PROF) looks which function is at work, many times over many connections.
For that the work is done in the main thread, where signals arrive; otherwise it is as always. The
kernel's part is in the function that calls it. Nothing is slowed down, as a tracing profiler does
to code of many small functions.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import Counter
from types import FrameType
from typing import Any

import netsession
from netsession.srvsvc import client, credentials, link

_INTERVAL = 0.001
_PACKAGES = ("smbprotocol", "spnego", "cryptography", "netsession")

#: The functions that are the steps of a connection, by package and name.
_STEPS = {
    ("netsession", "connect_link"): "TCP connection",
    ("netsession", "negotiate"): "negotiate",
    ("smbprotocol", "connect session"): "logon",
    ("netsession", "secure"): "logon",
    ("smbprotocol", "connect tree"): "IPC$",
    ("smbprotocol", "create"): "pipe",
    ("netsession", "_bind"): "bind",
    ("netsession", "call"): "call",
    ("netsession", "leave"): "logging off, closing",
}


class _AtOnce:
    """Stands in for deadline.Task: does the work in the caller's thread."""

    def __init__(self, work: Any, discard: Any) -> None:
        self._work = work

    def run(self, deadline: Any) -> Any:
        return self._work()


class _Samples:
    def __init__(self) -> None:
        self.packages: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.functions: Counter[str] = Counter()

    def take(self, _: int, frame: FrameType | None) -> None:
        package = step = function = None
        while frame is not None:
            its = _package(frame)
            if its is not None:
                if package is None:
                    package, function = its, f"{its}: {frame.f_code.co_qualname}"
                step = _STEPS.get((its, _name(frame))) or step
            frame = frame.f_back
        if package is not None:
            self.packages[package] += 1
            self.functions[str(function)] += 1
            self.steps[step or "around: Server, the query, the deadline"] += 1


def _package(frame: FrameType) -> str | None:
    parts = frame.f_code.co_filename.replace("\\", "/").split("/")
    return next((name for name in _PACKAGES if name in parts[:-1]), None)


def _name(frame: FrameType) -> str:
    """The function's name; smbprotocol has several ``connect``."""
    name = frame.f_code.co_name
    file = frame.f_code.co_filename.rpartition("/")[2].removesuffix(".py")
    return f"{name} {file}" if name == "connect" else name


def _ask(where: dict[str, Any], times: int) -> None:
    for _ in range(times):
        with netsession.Server(
            where["host"], port=where["port"], username=where["user"], password=where["password"]
        ) as server:
            list(server.sessions(level=1))


def main() -> None:
    case = json.loads(sys.argv[1])
    if case["before"]:
        credentials._TAKES_A_HASH = False
        link._CHUNK = 1 << 18  # type: ignore[misc]
    client.Task = _AtOnce  # type: ignore[misc,assignment]
    _ask(case["where"], 10)
    samples = _Samples()
    signal.signal(signal.SIGPROF, samples.take)
    began = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, _INTERVAL, _INTERVAL)
    _ask(case["where"], case["connections"])
    signal.setitimer(signal.ITIMER_PROF, 0)
    spent = time.process_time() - began
    answer = {"cpu": spent / case["connections"], "samples": samples.packages.total()}
    for kind in ("packages", "steps", "functions"):
        answer[kind] = dict(getattr(samples, kind).most_common(25))
    print("JSON" + json.dumps(answer))


if __name__ == "__main__":
    main()
