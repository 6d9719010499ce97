# PYTHON_ARGCOMPLETE_OK: argcomplete's global completion looks for this
"""The command ``netsession``.

Here is only what must start quickly; the rest is imported once it is known that there is
something to do. ``list``, ``show`` and ``delete`` have a module each.
"""

from __future__ import annotations

import sys

from netsession._version import __version__

from .exits import DONE, INTERRUPTED, Stop
from .standard import ReaderGone, occupy, say, tell

__all__ = ["main", "run"]


def main() -> int:
    """Runs the command on ``sys.argv`` and returns its exit code (int).

    0 done, 1 refused by the server, 2 usage, 3 unreachable or timed out, 4 some of several servers
    failed, 130 interrupted.
    """
    occupy()
    return run(sys.argv[1:])


def run(arguments: list[str]) -> int:
    """The same with these arguments (list of str), without the program's name."""
    try:
        if "--version" in arguments[:1]:
            # Before anything is imported: scripts ask for the version often.
            say(f"netsession {__version__}\n")
            return DONE
        from .application import run as run_command

        return run_command(arguments)
    except Stop as stop:
        if stop.message:
            tell(stop.message, stop.by)
        return stop.code
    except ReaderGone:
        return DONE
    except KeyboardInterrupt:
        return INTERRUPTED
