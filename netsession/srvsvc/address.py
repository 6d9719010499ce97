"""How a server is named: ``fs01``, ``\\\\fs01``, ``10.0.0.1``, ``::1``, ``[fe80::1%eth0]``."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from .failures import WireError

_ERROR_INVALID_NAME = 123
_FORBIDDEN = frozenset('/\\[]:*?"<>| \t\r\n\0@')


class Address(NamedTuple):
    """Where a server is: ``host`` for the resolver (zone kept), ``unc`` for an UNC path."""

    host: str
    unc: str
    is_name: bool


def parse_address(server: str) -> Address:
    """The address in what a caller calls the server; raises WireError 123 if it cannot be one.

    Leading backslashes and the brackets of an IPv6 literal may be there or not. In an UNC path an
    IPv6 literal is spelt ``....ipv6-literal.net``, a colon being no part of a name there.
    """
    text = server.lstrip("\\")
    bracketed = text.startswith("[") and text.endswith("]")
    host = text[1:-1] if bracketed else text
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        if bracketed or not _is_name(host):
            raise WireError(_ERROR_INVALID_NAME, f"{server!r} is no server name") from None
        return Address(host, host, True)
    if literal.version == 6:
        unc = host.replace(":", "-").replace("%", "s") + ".ipv6-literal.net"
        return Address(host, unc, False)
    if bracketed:
        raise WireError(_ERROR_INVALID_NAME, f"{server!r} is no server name")
    return Address(host, host, False)


def _is_name(host: str) -> bool:
    return 0 < len(host) <= 255 and _FORBIDDEN.isdisjoint(host)
