"""Which calls had begun when something was closed."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Eras:
    """From one close() to the next: a call that began in an era ends with it.

    No lock is involved. Each era is an object that is put here once only, so that nothing that
    closes at the same time, in another thread or in a signal handler, can bring one back.
    """

    def __init__(self) -> None:
        self._now = object()

    def end(self) -> None:
        """The calls that have begun are over."""
        self._now = object()

    def watch(self) -> Callable[[], bool]:
        """For a call that begins: a function that tells whether it is over."""
        began = self._now
        return lambda: self._now is not began
