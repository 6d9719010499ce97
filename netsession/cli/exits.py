"""Exit codes, and how a command ends with one."""

from __future__ import annotations

DONE = 0
REFUSED = 1
USAGE = 2
UNREACHABLE = 3
SOME_FAILED = 4  # of several servers, all of them included
INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


class Stop(Exception):
    """Ends the command with an exit code and, unless it is empty, one line on standard error.

    ``by`` is who says it: the command, where its own help is meant.
    """

    def __init__(self, code: int, message: str = "", *, by: str = "netsession") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.by = by
