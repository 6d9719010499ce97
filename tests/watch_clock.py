"""A clock for a Watch: time passes when the watch waits, and when a test says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


class FakeClock:
    """Nobody waits. ``waits`` are the seconds that were asked for, in one piece each time.

    ``before_poll`` is done whenever the watch has waited: what happens on the server meanwhile.
    """

    def __init__(self) -> None:
        self.at = 5000.0
        self.wall = NOON
        self.waits: list[float] = []
        self.before_poll: Callable[[], object] = lambda: None

    def pass_by(self, seconds: float) -> None:
        """Time passes."""
        self.at += seconds
        self.wall += timedelta(seconds=seconds)

    def now(self) -> float:
        return self.at

    def utc(self) -> datetime:
        return self.wall

    def wait(self, seconds: float, woken: Event) -> None:
        self.waits.append(seconds)
        self.pass_by(seconds)
        self.before_poll()

    async def wait_async(self, seconds: float) -> None:
        self.wait(seconds, Event())
