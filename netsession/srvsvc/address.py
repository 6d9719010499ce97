"""Where a server is, for the resolver and for UNC paths."""

from __future__ import annotations

from typing import NamedTuple

from .. import _names


class Address(NamedTuple):
    """Where a server is: ``host`` for the resolver (zone kept), ``unc`` for an UNC path."""

    host: str
    unc: str
    is_name: bool


def parse_address(server: str) -> Address:
    """The address in what a caller calls the server; ValueError if it cannot be one.

    What is taken is told in ``_names.parse_server``. A port is given beside it, never in it. In an
    UNC path an IPv6 literal is spelt ``....ipv6-literal.net``, a colon being no part of a name
    there.
    """
    host, port = _names.parse_server(server)
    if port is not None:
        raise ValueError(f"the port of {host!r} is given as port=")
    plain = _names.in_ascii(host)
    if plain is None or (plain != host and _names.ends_in_number(plain)):
        raise ValueError(
            f"{host!r} is no host name that can be looked up: write it as DNS has it (xn--...)"
        )
    return Address(host, _names.unc_host(host), ":" not in host and not _names.is_ipv4(host))
