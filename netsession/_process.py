"""Which process made something: in one that was forked off, it is its parent's."""

from __future__ import annotations

from os import getpid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Process:
    """The one in which this was made."""

    def __init__(self) -> None:
        self._number = getpid()

    # By its default, since connections may outlive modules: where the interpreter ends while a
    # thread is at work, a module's names are None by the time when the last objects go.
    def is_here(self, getpid: Callable[[], int] = getpid) -> bool:
        """Whether it is this one."""
        return self._number == getpid()
