"""Client, user and server names: checked, spelled for the server, compared.

Rules: [MS-SRVS] 3.1.4.5 and 3.1.4.6. A client name goes out with two leading backslashes; an
IPv6 address comes back from Windows in brackets, from Samba without.
"""

from __future__ import annotations

from .records import bare_client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .records import SessionInfo

_MAX_UNITS = 1023  # [MS-SRVS] 3.1.4.5: 1,024 UTF-16 units with the terminator


def check_name(value: object, argument: str) -> str:
    """A client or user name that can be sent; TypeError or ValueError naming the argument."""
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a str, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{argument} must not be empty; leave it out to mean any {argument}")
    if "\0" in value:
        raise ValueError(f"{argument} must not contain a NUL character")
    if len(value.encode("utf-16-le", "surrogatepass")) > 2 * _MAX_UNITS:
        raise ValueError(f"{argument} must be at most {_MAX_UNITS} UTF-16 units long")
    return value


def client_spellings(client: str | None) -> list[str | None]:
    """How a server may know a client: the name as given, for IPv6 then the other spelling.

    Each has two leading backslashes; None (any client) stays None.
    """
    if client is None:
        return [None]
    name = client.lstrip("\\")
    bare = bare_client(name)
    if not bare:
        raise ValueError("client must be a computer name or an address")
    if ":" not in bare:
        return ["\\\\" + bare]
    other = bare if name != bare else f"[{bare}]"
    return ["\\\\" + name, "\\\\" + other]


def matcher(client: str | None, user: str | None) -> Callable[[SessionInfo], bool] | None:
    """A predicate for records, since some servers ignore the filters; None where all match.

    Names are compared without regard to case, clients without backslashes and brackets. With a
    user, records must have user names: level 0 has none.
    """
    if client is None and user is None:
        return None
    client_key = None if client is None else bare_client(client).casefold()
    user_key = None if user is None else user.casefold()

    def matches(record: SessionInfo) -> bool:
        if client_key is not None and (record.client or "").casefold() != client_key:
            return False
        return user_key is None or (record.user_name or "").casefold() == user_key

    return matches
