"""``--resolve``: names beside addresses, by reverse look-ups, many at once, in a bounded time."""

from __future__ import annotations

import socket
import threading
import time
from queue import SimpleQueue

from .rows import row_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netsession.records import SessionInfo

_THREADS = 32  # each waits for one answer
_NEXT_LOOK = 0.25  # seconds: Windows delivers Ctrl-C only between waits


def look_up(address: str) -> str:
    """The name of an address. Raises OSError or UnicodeError where there is none."""
    # Numeric only: a client that is known by its name is not asked for.
    found = socket.getaddrinfo(address, None, flags=socket.AI_NUMERICHOST)
    return socket.getnameinfo(found[0][4], socket.NI_NAMEREQD)[0]


class Resolver:
    """Looks each address up once, and waits for all answers together no longer than ``seconds``.

    What has not been answered by then has no name. The threads that still wait are left behind:
    nothing can end a look-up, and they do not keep the command from ending.
    """

    field = "host_name"

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._names: dict[str, str | None] = {}
        self._asked: set[str] = set()
        self._questions: SimpleQueue[str] = SimpleQueue()
        self._threads = 0
        self._answered = threading.Condition()

    def names(self, addresses: Iterable[str]) -> list[str | None]:
        """Their names, in the same order; None where there is none, or none came in time."""
        wanted = list(addresses)
        fresh = dict.fromkeys(address for address in wanted if address not in self._asked)
        if self._left > 0 and self._start(len(fresh)):
            self._asked.update(fresh)
            for address in fresh:
                self._questions.put(address)
            self._wait_for(fresh)
        with self._answered:
            return [self._names.get(address) for address in wanted]

    def _start(self, questions: int) -> bool:
        """Sees to it that there are threads, and returns whether there is any."""
        while self._threads < min(_THREADS, questions):
            try:
                threading.Thread(target=self._work, daemon=True).start()
            except RuntimeError:  # the system has no more
                break
            self._threads += 1
        return self._threads > 0

    def _work(self) -> None:
        while True:
            address = self._questions.get()
            try:
                name = look_up(address).rstrip(".")
            except (OSError, UnicodeError):
                name = ""
            with self._answered:
                self._names[address] = name if name and name != address else None
                self._answered.notify_all()

    def _wait_for(self, addresses: Iterable[str]) -> None:
        started = time.monotonic()
        end = started + self._left
        with self._answered:
            while any(address not in self._names for address in addresses):
                left = end - time.monotonic()
                if left <= 0:
                    break
                self._answered.wait(min(left, _NEXT_LOOK))
        self._left -= time.monotonic() - started

    def add(
        self, parts: Iterable[list[SessionInfo]], *, beside: bool
    ) -> Iterator[list[SessionInfo]]:
        """The records with a field more: beside the client's for people, else the last one."""
        for part in parts:
            fields = list(part[0]._fields)
            place = fields.index("client_name") + 1 if beside else len(fields)
            fields.insert(place, self.field)
            # A record of no level, but whatever is written here is written by its fields.
            record_type = row_type("Resolved", fields)
            names = self.names(record.client or "" for record in part)
            yield [
                record_type._make((*record[:place], name, *record[place:]))
                for record, name in zip(part, names, strict=True)
            ]
