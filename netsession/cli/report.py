"""What became of each pair: as the server said, and as it is listed afterwards."""

from __future__ import annotations

from collections import Counter
from time import sleep, time

from netsession._pairs import Pairs, called, stayed
from netsession.errors import NetApiError

from .exits import DONE, REFUSED, UNREACHABLE
from .standard import note, tell
from .text import counted
from .wording import in_options, stop_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from netsession import DeletePlan, PairOutcome
    from netsession.server import Server

# Seconds: how long it is waited for sessions to go, as far as --timeout lets it.
_PATIENCE = 10.0
_BETWEEN_LOOKS = 0.25


class Report:
    """What became of the pairs of one server, as it said, and as it is listed afterwards."""

    def __init__(self, name: str, plan: DeletePlan, *, several: bool) -> None:
        self._name = name
        self._plan = plan
        self._begin = f"{name}: " if several else ""
        self._pairs = Pairs()
        self._planned = self._pairs.group(plan.sessions)
        self._left: dict[object, int] = {}
        self._newer = 0
        self._looked = False
        self._why_not_looked: str | None = None

    @property
    def _checked(self) -> dict[object, PairOutcome]:
        """The pairs that are gone, or should be."""
        return {
            self._identity(outcome): outcome
            for outcome in self._plan.outcomes
            if outcome.what in ("ended", "maybe")
        }

    def _identity(self, outcome: PairOutcome) -> object:
        return self._pairs.identity(outcome.client, outcome.user)

    def verify(self, server: Server) -> None:
        """Lists again until none is left of what was ended, or patience is."""
        if not self._checked:
            return
        patience = min(server._timeout or _PATIENCE, _PATIENCE)
        try:
            for look in range(1 + int(patience / _BETWEEN_LOOKS)):
                if look:
                    sleep(_BETWEEN_LOOKS)
                self._left = self._look(server)
                if not self._left:
                    break
        except NetApiError as error:
            self._why_not_looked = in_options(str(error))
            self._left = {}
            return
        except KeyboardInterrupt:
            self.tell()
            tell("interrupted before all was verified; netsession list shows what is left")
            raise
        self._looked = True

    def _look(self, server: Server) -> dict[object, int]:
        """How many of each pair's sessions are still there."""
        elapsed = time() - (self._plan.listed_at or 0.0)
        found = self._pairs.group(server.sessions())
        left: dict[object, int] = {}
        self._newer = 0
        for identity in self._checked:
            records = found[identity].records if identity in found else []
            old = stayed(self._planned[identity].records, records, elapsed)
            self._newer += len(records) - old
            if old:
                left[identity] = old
        return left

    def tell(self) -> None:
        """A line a pair, and one for the server; ``-q`` leaves out what went as it should."""
        as_meant = [self._is_as_meant(outcome) for outcome in self._plan.outcomes]
        for outcome, is_as_meant in zip(self._plan.outcomes, as_meant, strict=True):
            (note if is_as_meant else tell)(self._begin + self._line(outcome))
        counts = Counter(outcome.what for outcome in self._plan.outcomes)
        told = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        pairs = len(self._plan.outcomes)
        verified = ""
        if self._looked:
            left = sum(self._left.values())
            verified = f"; listed again: {'none' if not left else f'{left:,}'} of "
            verified += f"{counted(self._sessions(self._checked))} is left"
            verified += f"; newer ones of them: {self._newer:,}" if self._newer else ""
        elif self._why_not_looked is not None:
            verified = f"; nothing could be verified: {self._why_not_looked}"
        whole = f"{pairs:,} pair{'' if pairs == 1 else 's'} of user and client"
        all_is_well = all(as_meant) and self._why_not_looked is None
        (note if all_is_well else tell)(f"{self._name}: {whole}: {told}{verified}")

    def _is_as_meant(self, outcome: PairOutcome) -> bool:
        return outcome.what in ("ended", "gone") and self._identity(outcome) not in self._left

    def _sessions(self, identities: Iterable[object]) -> int:
        return sum(len(self._planned[identity].records) for identity in identities)

    def _line(self, outcome: PairOutcome) -> str:
        identity = self._identity(outcome)
        who = called(outcome.client, outcome.user)
        count = self._sessions([identity])
        what: str = outcome.what
        more = ""
        if outcome.reason is not None:
            return f"{what}: {who} {outcome.reason}"
        if outcome.error is not None:
            more = f": {outcome.error.symbol or f'status {outcome.error.status}'}"
        if what == "maybe":
            what = "no clear answer"
            if self._looked:
                more += "; still there" if identity in self._left else "; not there any more"
        elif identity in self._left:
            what = "still there"
            more = f", {self._left[identity]:,} of them, though the server said that it is done"
        return f"{what}: {who} ({counted(count)}){more}"

    def code(self, failure: NetApiError | None) -> int:
        """The exit code for this server."""
        whats = {outcome.what for outcome in self._plan.outcomes}
        if failure is not None and "not asked" in whats:
            return stop_for(failure).code
        if self._left or "failed" in whats:
            return REFUSED
        if "maybe" in whats and not self._looked:
            return UNREACHABLE
        return DONE if self._why_not_looked is None else REFUSED
