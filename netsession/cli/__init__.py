"""The command ``netsession``.

Here is only what must start quickly; the rest is imported once it is known that there is
something to do. ``list``, ``show`` and ``delete`` have a module each.
"""

from __future__ import annotations

import sys

from netsession._version import __version__

from .exits import DONE, INTERRUPTED, USAGE, Stop
from .standard import ReaderGone, occupy, say, tell

__all__ = ["main", "run"]


def main() -> int:
    """Runs the command on ``sys.argv`` and returns its exit code (int).

    0 done, 1 refused by the server, 2 usage, 3 unreachable or timed out, 130 interrupted.
    """
    occupy()
    return run(sys.argv[1:])


def run(arguments: list[str]) -> int:
    """The same with these arguments (list of str), without the program's name."""
    try:
        if arguments[:1] == ["--version"]:
            # Before anything is imported: scripts ask for the version often.
            say(f"netsession {__version__}\n")
            return DONE
        return _run(arguments)
    except Stop as stop:
        if stop.message:
            tell(stop.message)
        return stop.code
    except ReaderGone:
        return DONE
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(arguments: list[str]) -> int:
    try:
        from .application import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "rich", "click"):
            raise
        raise Stop(
            USAGE,
            f"{error.name} is not installed, and the command needs it: pip install netsession[cli]",
        ) from None
    return run(arguments)
