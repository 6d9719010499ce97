"""How often a scan may be wrong about one set of credentials, before it asks nobody any more.

A wrong password that is tried on 500 servers locks the account: servers of a domain all count for
the same one. So the scan stops after :data:`MOST` refused logons, and until the first one has been
accepted no more are tried at once than may still be refused.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic

from ._netsession import CallLock
from .srvsvc.failures import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from .srvsvc.deadline import Deadline

#: Refused logons per set of credentials; lockout thresholds are seldom below 5.
MOST = 3

_ERROR_CANCELLED = 1223
_NEXT_LOOK = 0.25


class Logons:
    """The logons of a scan with one set of credentials, in any of its threads.

    Args:
        who: the user, for messages.
        most: how many may be refused (a number; infinity never stops).
    """

    def __init__(self, who: str, most: float = MOST) -> None:
        self._who = who
        self._most = most
        # In C: an exception, MemoryError above all, would leave a Condition's lock held for ever.
        self._turns = CallLock()
        self._waiting: list[SimpleQueue[None]] = []  # woken when something has changed
        self._accepted = False
        self._refused_by: list[str] = []
        self._at_it: dict[object, float] = {}  # a logon at hand, and until when it counts as one

    @property
    def stopped(self) -> str | None:
        """Why nobody is to be asked any more (str); None while that is not so."""
        if len(self._refused_by) < self._most:
            return None
        servers = ", ".join(dict.fromkeys(self._refused_by[:MOST]))
        return (
            f"the logon of {self._who} was refused {len(self._refused_by)} times ({servers}), and "
            "more wrong logons may lock the account (keep_going=True goes on)"
        )

    def may_begin(self, logon: object, patience: float) -> bool:
        """Whether the logon may be tried now; then it counts until it is settled.

        ``patience``: after so many seconds it is supposed to be no wrong password but a server that
        does not answer. It does not count any more then, and one more may begin in its favour.
        """
        return self._turns.run(partial(self._begins, logon, patience), _for_ever)

    def _begins(self, logon: object, patience: float) -> bool:
        if self.stopped is not None:
            return False
        now = monotonic()
        if not self._accepted:
            pending = sum(end > now for end in self._at_it.values())
            silent = len(self._at_it) - pending
            if len(self._refused_by) + pending >= self._most + silent:
                return False
            self._at_it[logon] = now + patience
        return True

    def next_chance(self) -> float | None:
        """When (monotonic) a logon at hand stops counting; None where there is none."""
        return self._turns.run(self._first_end, _for_ever)

    def _first_end(self) -> float | None:
        now = monotonic()
        return min((end for end in self._at_it.values() if end > now), default=None)

    def accept(self, logon: object) -> None:
        """The credentials are right: from here on there is no limit to how many begin."""
        self._accepted = True
        self.drop(logon)

    def refuse(self, logon: object, server: str) -> None:
        """The server did not accept them."""
        self._refused_by.append(server)
        self.drop(logon)

    def drop(self, logon: object) -> None:
        """It is not known what the server thinks of them, and will not be."""
        self._turns.run(partial(self._at_it.pop, logon, None), _for_ever)
        for woken in tuple(self._waiting):
            woken.put(None)

    def wait_for_change(self, seconds: float) -> None:
        """Until a logon is settled, or as long as that."""
        woken: SimpleQueue[None] = SimpleQueue()
        self._waiting.append(woken)
        try:
            with suppress(Empty):
                woken.get(timeout=seconds)
        finally:
            self._waiting.remove(woken)


def _for_ever() -> float:
    """How long one waits for one's turn: it lasts no time."""
    return float("inf")


class Turn:
    """One logon over SMB, which has to wait for its turn: a context manager around it.

    It is here, not around the whole call, that logons are held up: hosts that are dead never come
    so far, and delay nobody.
    """

    def __init__(self, logons: Logons, patience: float, deadline: Deadline) -> None:
        self._logons = logons
        self._patience = patience
        self._deadline = deadline
        self.turned_away = False

    def __enter__(self) -> None:
        """Raises WireError where no more are to be tried, or what ends the call meanwhile."""
        while not self._logons.may_begin(self, self._patience):
            why = self._logons.stopped
            if why is not None:
                self.turned_away = True
                raise WireError(_ERROR_CANCELLED, why)
            self._logons.wait_for_change(min(self._deadline.remaining(), _NEXT_LOOK))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What failed is settled by whoever knows what it means, the report of the server; but
        # that was made before, where this is a thread that nobody waits for any more.
        if error is None:
            self._logons.accept(self)
        elif self._deadline.is_over or self._deadline.is_off:
            self._logons.drop(self)
