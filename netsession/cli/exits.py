"""Exit codes, and the one line on stderr that goes with each failure."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from netsession.errors import CallTimeout, NetApiError, ServerUnreachable

from .text import visible

DONE = 0
REFUSED = 1
USAGE = 2
UNREACHABLE = 3

# The library's messages name its arguments; here they are options.
_OPTIONS = {
    "Use level=None": "Leave out --level",
    "username= and password=": "--auth-user",
    "username=": "--auth-user",
    "timeout=": "--timeout",
    "port=": "--port",
    "user=": "--user",
    "client=": "--client",
    "page_bytes": "--page-bytes",
    "encrypt=": "--encrypt",
}
_ARGUMENT = re.compile("|".join(rf"\b{re.escape(name)}" for name in _OPTIONS))


class Stop(Exception):
    """Ends the command with an exit code and, unless it is empty, one line on stderr."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turns what the facade says of an argument (ValueError) into a usage error.

    Only around code that checks arguments: elsewhere a ValueError is a fault of ours, and shows.
    """
    try:
        yield
    except NetApiError:
        raise
    except ValueError as error:
        raise Stop(USAGE, in_options(str(error))) from None


def stop_for(error: NetApiError) -> Stop:
    """The end of the command for a failed call."""
    unreachable = isinstance(error, (ServerUnreachable, CallTimeout))
    return Stop(UNREACHABLE if unreachable else REFUSED, in_options(str(error)))


def in_options(message: str) -> str:
    """A message of the library with its arguments spelled as options."""
    return _ARGUMENT.sub(lambda match: _OPTIONS[match[0]], message)


def tell(message: str) -> None:
    """One line on stderr, from netsession."""
    print(f"netsession: {visible(message)}", file=sys.stderr, flush=True)
