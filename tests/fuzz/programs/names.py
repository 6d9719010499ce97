"""Names: how servers, clients and users are spelled, and which fit; the rules in Python against
those in C, and both against what must be true of any name.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from netsession import _names, _netsession
from netsession._names import FITS, NO, ClientPattern, UserPattern
from netsession._where import Matcher, Where
from netsession.srvsvc.address import parse_address

from .pages import remembered
from .source import Source

_SERVERS = ("fs01", "\\\\fs01", "smb://", "cifs://", ":445", "/share", "[", "]", "::1", "%eth0")


def server(source: Source) -> None:
    """What is taken is taken again, and is sent as one host."""
    text = "".join(
        source.choice(_SERVERS) if source.bit() else source.text()
        for _ in range(1 + source.below(4))
    )
    try:
        host, port = _names.parse_server(text)
    except ValueError as error:
        assert str(error).isprintable()
        return
    assert host
    assert port is None or 0 < port < 65536
    assert _names.parse_server(host) == (host, None)
    assert "\\" not in host
    assert "/" not in host
    try:
        address = parse_address(host)
    except ValueError:
        return
    assert ":" not in address.unc
    if address.unc != host:
        assert _names.address_key(address.unc) == _names.address_key(host)


def address(source: Source) -> None:
    """C and Python read addresses alike, as the standard library does."""
    text = source.text()
    key = _names.address_key(text)
    plain = text.partition("%")[0]
    try:
        expected = ipaddress.ip_address(plain) if "%" not in text or ":" in text else None
    except ValueError:
        expected = None
    if ".ipv6-literal.net" not in text.lower():
        is_address = expected is not None and not text.endswith("%")
        assert (key is not None) == is_address or "%" in text, text
        if key is not None and expected is not None:
            mapped = getattr(expected, "ipv4_mapped", None)
            assert key[0] == str(mapped or expected)
    if key is not None:
        assert _names.address_key(key[0]) == (key[0], "")


def pattern_texts(source: Source) -> list[str]:
    return [source.text() for _ in range(1 + source.below(3))]


def fits(source: Source) -> None:
    """A page filtered in C, and each record looked at in Python."""
    typed, listed, wild = pattern_texts(source), pattern_texts(source), source.bit()
    listed += [change(source, each) for each in typed]
    addresses = frozenset(listed[:1])
    try:
        made = [matcher(source.below(1), typed, wild, addresses) for _ in range(2)]
    except ValueError:
        return
    kinds: tuple[Any, ...] = ([m[0] for m in made], [m[1] for m in made])
    for column, (in_c, in_python) in enumerate(kinds):
        records = [(name, "u") if column == 0 else ("c", name) for name in [*listed, None, ""]]
        page = _netsession.page_from_records(10, [(*r, 1, 2) for r in records], 0, None, False)
        assert list(in_c.filter(page)) == [record for record in page if in_python(record)]
        assert remembered(in_c) == remembered(in_python)


def matcher(
    _: int, typed: list[str], wild: bool, addresses: frozenset[str]
) -> tuple[Matcher, Matcher]:
    def resolve(name: str) -> tuple[frozenset[str], str | None]:
        return addresses, None

    return (
        Matcher([ClientPattern(each, resolve, wildcards=wild) for each in typed]),
        Matcher(users=[UserPattern(each, wildcards=wild) for each in typed]),
    )


def change(source: Source, text: str) -> str:
    """Nearly the same name."""
    which = source.below(8)
    if which < 3:
        return (text.upper, text.lower, text.swapcase)[which]()
    at = source.below(len(text) + 1) if len(text) < 256 else 0
    middle = ("", "\\", "@", "[", source.text())[which - 3]
    return text[:at] + middle + text[at + source.below(2) :]


def alone(source: Source) -> None:
    """A name fits itself, and how it is sent it fits, too."""
    text = source.text()
    try:
        user = UserPattern(text)
        assert user.fit(user.typed) == FITS
        assert _names.split_user(text)[1] == user.account
        for table in (1, 2):
            assert user.fit(_netsession.upcase(user.typed, table)) != NO
    except ValueError:
        pass
    try:
        client = ClientPattern(text)
    except ValueError:
        return
    for spelling in _names.client_spellings(client.typed):
        assert spelling is not None
        assert spelling.startswith("\\\\")
        assert client.fit(spelling) == FITS or _is_odd(client)
    assert client.filter is None or client.fit(client.filter) == FITS


def _is_odd(client: ClientPattern) -> bool:
    """No name that a client has: brackets go around its colons, and its last dot is the root's."""
    colons = ":" in client.bare and _names.address_key(client.bare) is None
    return colons or client.typed.endswith(".") or "\\" in client.bare


def conditions(source: Source) -> None:
    """where() says which argument is wrong, and what it made is what it says."""
    names = ("user", "client", "idle_for", "active_for", "no_opens", "min_opens")
    values = (None, 0, 1.5, -1, True, False, source.text(), [source.text()], (), b"x", 2**40)
    given = {source.choice(names): source.choice(values) for _ in range(source.below(4))}
    try:
        made = Where(**given)
    except (TypeError, ValueError) as error:
        assert any(name in str(error) for name in names)
        return
    rebuild, arguments = made.__reduce__()
    assert rebuild(*arguments) == made
    assert hash(rebuild(*arguments)) == hash(made)
    assert repr(made).startswith("where(")


def run(data: bytes) -> None:
    source = Source(data)
    source.choice((server, address, fits, fits, alone, conditions))(source)


def seeds() -> list[bytes]:
    return [
        bytes([which, *((start + at * step) % 256 for at in range(60))])
        for which in range(6) for step in (1, 3, 7) for start in (0, 5, 30, 100)
    ]  # fmt: skip
