"""What the library says, in the command's words."""

from __future__ import annotations

import re
from contextlib import contextmanager

from netsession.errors import CallTimeout, NetApiError, ServerUnreachable

from .exits import REFUSED, UNREACHABLE, Stop
from .parser import Misuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# The library's messages name its arguments; here they are options.
_OPTIONS = {
    "Use level=None": "Leave out --level",
    "username= and password=": "--auth-user",
    "timeout=": "--timeout",
    "user=": "--user",
    "client=": "--client",
    "page_bytes": "--page-bytes",
    "min_opens": "--min-opens",
    "no_opens": "--no-opens",
    "username=": "--auth-user",
    "port=": "--port",
    "encrypt=": "--encrypt",
    "keep_going=True": "--keep-going",
}
_ARGUMENT = re.compile("|".join(rf"\b{re.escape(name)}" for name in _OPTIONS))
# What a message about an argument begins with.
_SUBJECTS = {
    "client": "--client",
    "user": "--user",
    "level": "--level",
    "name": "SERVER",
    "server": "SERVER",
    "username": "--auth-user",
    "port": "--port",
    "timeout": "--timeout",
}
# But for this one, in which it is a verb.
_NO_SUBJECT = "name a client or a user"


@contextmanager
def usage_errors(**names: str) -> Iterator[None]:
    """Turns what the facade says of an argument (ValueError) into a usage error.

    Only around code that checks arguments: elsewhere a ValueError is a fault of ours, and shows.
    ``names`` are what arguments are called here that are no options.
    """
    try:
        yield
    except NetApiError:
        raise
    except ValueError as error:
        text = str(error)
        if not text.startswith(_NO_SUBJECT):
            subject, space, rest = text.partition(" ")
            text = f"{(_SUBJECTS | names).get(subject, subject)}{space}{rest}"
        raise Misuse(in_options(text)) from None


def stop_for(error: NetApiError) -> Stop:
    """The end of the command for a failed call."""
    unreachable = error.maybe_done or isinstance(error, (ServerUnreachable, CallTimeout))
    return Stop(UNREACHABLE if unreachable else REFUSED, in_options(str(error)))


def in_options(message: str) -> str:
    """A message of the library with its arguments spelled as options."""
    return _ARGUMENT.sub(lambda match: _OPTIONS[match[0]], message)
