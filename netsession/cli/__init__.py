"""The command ``netsession``.

Here is only what must start quickly; the rest is imported once it is known that there is
something to do. ``list``, ``show`` and ``delete`` have a module each.
"""

from __future__ import annotations

import sys

from netsession._version import __version__

__all__ = ["main"]

_USAGE = 2
_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


def main() -> int:
    """Runs the command on ``sys.argv`` and returns its exit code (int).

    0 done, 1 refused by the server, 2 usage, 3 unreachable or timed out, 130 interrupted.
    """
    arguments = sys.argv[1:]
    if arguments[:1] == ["--version"]:
        # Before anything is imported: scripts ask for the version often.
        print(f"netsession {__version__}")
        return 0
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _run(arguments: list[str]) -> int:
    try:
        from .application import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "rich", "click"):
            raise
        print(
            f"netsession: {error.name} is not installed, and the command needs it: "
            "pip install netsession[cli]",
            file=sys.stderr,
        )
        return _USAGE
    return run(arguments)
