"""What all contenders of the comparison share: requests on standard input, answers on output.

One JSON object a line. A contender is a ``Contender``: how to decode a reply, and how to ask a
server. What both give is the same for everybody: a list with a tuple (or NamedTuple) a session, all
fields as Python values.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from timing import once

#: The fields in the order of SESSION_INFO_x; every peer has names of its own for them.
FIELDS = {
    0: ("cname",),
    1: ("cname", "username", "num_opens", "time", "idle_time", "user_flags"),
    502: (
        *("cname", "username", "num_opens", "time", "idle_time", "user_flags"),
        *("cltype_name", "transport"),
    ),
}
STRINGS = frozenset({"cname", "username", "cltype_name", "transport"})
EVERYTHING = 0xFFFFFFFF


class Connection(ABC):
    """An open connection to a server."""

    @abstractmethod
    def sessions(self, level: int) -> list[Any]:
        """One NetrSessionEnum for everything, decoded, all fields read."""

    @abstractmethod
    def close(self) -> None: ...


class Contender(ABC):
    """One client library."""

    def __init__(self) -> None:
        self._stub = b""
        self.started = ExitStack()  # what ends with the last request

    @abstractmethod
    def decode(self, stub: bytes, level: int) -> list[Any]:
        """The sessions of a reply of NetrSessionEnum, all fields read."""

    @abstractmethod
    def connect(self, where: dict[str, Any]) -> Connection:
        """``where``: host, port, user, password, and config (a smb.conf for Samba's own)."""

    @abstractmethod
    def version(self) -> str: ...

    # -- operations -------------------------------------------------------------------------------

    def do_version(self) -> str:
        return f"{self.version()}, Python {sys.version.split()[0]}"

    def do_load(self, path: str) -> int:
        """Reads the reply that the next operations decode."""
        self._stub = Path(path).read_bytes()
        return len(self._stub)

    def do_rows(self, level: int) -> list[Any]:
        return self.decode(self._stub, level)

    def do_decode(self, level: int, at_least: float) -> tuple[float, float]:
        """Wall and CPU seconds of one call, of as many as fill a time."""
        return once(lambda: self.decode(self._stub, level), at_least)

    def do_enum(self, where: dict[str, Any], level: int, again: bool) -> dict[str, Any]:
        """Connects, lists and closes; ``again`` lists a second time in between, for itself."""
        gc.collect()
        clock = _Clock()
        connection = self.connect(where)
        sessions = connection.sessions(level)
        whole = clock.lap()
        call = None
        if again:
            sessions = connection.sessions(level)
            call = clock.lap()
        connection.close()
        closing = clock.lap()
        wall, cpu = whole[0] + closing[0], whole[1] + closing[1]
        return {"wall": wall, "cpu": cpu, "call": call, "entries": len(sessions)}

    def do_many(
        self, servers: list[dict[str, Any]], count: int, workers: int, level: int
    ) -> dict[str, Any]:
        """Connects to so many servers, in turn those of a list, lists and closes each.

        One worker is a plain loop, more are threads.
        """
        gc.collect()
        asked = list(islice(cycle(servers), count))
        clock = _Clock()
        if workers == 1:
            found = [self._whole(where, level) for where in asked]
        else:
            with ThreadPoolExecutor(workers) as pool:
                found = list(pool.map(lambda where: self._whole(where, level), asked))
        wall, cpu = clock.lap()
        return {"wall": wall, "cpu": cpu, "entries": min(found)}

    def _whole(self, where: dict[str, Any], level: int) -> int:
        connection = self.connect(where)
        try:
            return len(connection.sessions(level))
        finally:
            connection.close()


class _Clock:
    def __init__(self) -> None:
        self._last = (time.perf_counter(), time.process_time())

    def lap(self) -> tuple[float, float]:
        """Wall and CPU seconds (user and system, all threads) since the lap before."""
        now = (time.perf_counter(), time.process_time())
        spent = (now[0] - self._last[0], now[1] - self._last[1])
        self._last = now
        return spent


def serve(contender: Contender) -> None:
    for line in sys.stdin:
        ask = json.loads(line)
        try:
            answer = {"answer": getattr(contender, "do_" + ask.pop("do"))(**ask)}
        except Exception as error:  # told by the driver, who knows what was asked
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    contender.started.close()
