"""Why a session does not match conditions, in words that follow its user's name."""

from __future__ import annotations

from .records import UNKNOWN_TIME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ._where import Where
    from .records import SessionInfo

_MOST = 3  # reasons that are told of one pair


def mismatch(where: Where, record: SessionInfo) -> str:
    """What is not as it should be with the first condition that is not true of a record."""
    said: dict[str, Any] = where._conditions()
    opens = record.num_opens
    if "idle_for" in said and _lacks(record.idle_time, said["idle_for"]):
        return _time("is idle for", "idle time", record.idle_time)
    if "active_for" in said and _lacks(record.active_time, said["active_for"]):
        return _time("has been there for", "age", record.active_time)
    if said.get("no_opens") and opens:
        return f"has {opens:,} open"
    if "min_opens" in said and opens is not None and opens < said["min_opens"]:
        return f"has {opens:,} open only"
    return "does not match"


def some_of(total: int, reasons: Iterable[str]) -> str:
    """Which of a pair's sessions do not match, one reason for each of them."""
    told = list(reasons)
    distinct = list(dict.fromkeys(told))
    more = f" and {len(distinct) - _MOST} more reasons" if len(distinct) > _MOST else ""
    which = "one of which" if len(told) == 1 else f"{len(told):,} of which (each for itself)"
    if total == 1:
        return told[0]
    return f"has {total:,} sessions, {which} {', '.join(distinct[:_MOST])}{more}"


def _lacks(value: int | None, least: Any) -> bool:
    seconds = least.total_seconds() if hasattr(least, "total_seconds") else least
    return value is None or value == UNKNOWN_TIME or value < seconds


def _time(verb: str, noun: str, seconds: int | None) -> str:
    if seconds is None or seconds == UNKNOWN_TIME:
        return f"has an {noun} that is not known"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{verb} {seconds // length} {unit} only"
    return f"{verb} {seconds} s only"
