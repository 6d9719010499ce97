"""A query's records, some at a time."""

from __future__ import annotations

from functools import partial
from itertools import chain, islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netsession.records import SessionInfo
    from netsession.server import Sessions

_CHUNK = 1000  # records that are written at once: few enough to see them come


def chunks(sessions: Sessions, size: int = _CHUNK) -> Iterator[list[SessionInfo]]:
    """The records of a query, some at a time; what has come never waits for the next page."""
    # No loop, whose variable would keep a page while the next one is fetched.
    return chain.from_iterable(map(partial(parts, size=size), sessions.pages()))


def parts(records: Iterable[SessionInfo], size: int = _CHUNK) -> Iterator[list[SessionInfo]]:
    """Records, some at a time."""
    left = iter(records)
    while part := list(islice(left, size)):
        yield part
