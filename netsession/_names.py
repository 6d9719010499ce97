r"""Names: how users, clients and servers are spelled, compared and sent. Rules: docs/names.md.

Servers upcase names unit by unit, each by a table of its own ([MS-UCODEREF] 3.1.5.3; Samba's is
older), which ``_netsession.same_tables`` compares with. Where the tables disagree two names *may*
be the same: such a session is shown, and never ended.
"""

from __future__ import annotations

from ._netsession import same_tables, upcase
from .records import bare_client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Compare: TypeAlias = Callable[[str, str], int]

    #: What a host name resolves to, and why to nothing; see _lookup.addresses_of.
    Resolve: TypeAlias = Callable[[str], tuple[frozenset[str], str | None]]

_MAX_UNITS = 1023  # [MS-SRVS] 3.1.4.5: 1,024 UTF-16 units with the terminator
_SAMBA, _WINDOWS, _BOTH_TABLES = 1, 2, 3
_IN_IPV6_PATTERNS = frozenset("0123456789abcdefABCDEF:.*?")
_IPV6_LITERAL = ".ipv6-literal.net"  # how Windows spells an IPv6 address in a UNC path

#: How many names of other domains are remembered; src/session_filter.c has it too.
MOST_ELSEWHERE = 5

#: How well a listed name fits a typed one. Sessions that may fit are shown, not ended.
NO, MAY_FIT, FITS = 0, 1, 2


def check_name(value: object, argument: str) -> str:
    """A client or user name that can be sent; TypeError or ValueError naming the argument.

    Returns it with surrogate pairs joined, as names that come from a server have them.
    """
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a str, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{argument} must not be empty; leave it out to mean any {argument}")
    if "\0" in value:
        raise ValueError(f"{argument} must not contain a NUL character")
    units = value.encode("utf-16-le", "surrogatepass")
    if len(units) > 2 * _MAX_UNITS:
        raise ValueError(f"{argument} must be at most {_MAX_UNITS} UTF-16 units long")
    return units.decode("utf-16-le", "surrogatepass")


def quoted(text: str) -> str:
    """For a message: harmless as ``repr`` makes it, but with each backslash as it was typed."""
    return repr(text).replace("\\\\", "\\")


def grade(typed: str, listed: str) -> int:
    """How well two names fit that nothing but case may differ in."""
    if typed == listed:
        return FITS
    tables = same_tables(typed, listed)
    return FITS if tables == _BOTH_TABLES else MAY_FIT if tables else NO


# -- wildcards ------------------------------------------------------------------------------------

#: What no wildcard of a user stands for, or c* would be everybody in CORP.
_SEPARATORS = frozenset("\\@+/")


def has_wildcards(name: str) -> bool:
    """Whether a name is a pattern: ``*`` is any characters, ``?`` is one. No name holds either."""
    return "*" in name or "?" in name


def wild_grade(pattern: str, listed: str, barred: frozenset[str] = frozenset()) -> int:
    """How well a listed name fits a pattern, as :func:`grade` says it of a name."""
    fits = [
        _matches(upcase(pattern, table), upcase(listed, table), barred)
        for table in (_SAMBA, _WINDOWS)
    ]
    return FITS if all(fits) else MAY_FIT if any(fits) else NO


def _user_wild_grade(pattern: str, listed: str) -> int:
    return wild_grade(pattern, listed, _SEPARATORS)


def _matches(pattern: str, text: str, barred: frozenset[str]) -> bool:
    """Whether a pattern is a text; ``barred`` are characters that no wildcard stands for.

    Only the latest ``*`` is ever tried anew, which is enough: so the steps are no more than the
    product of both lengths, whatever they hold.
    """
    place = at = resume = 0
    star: int | None = None  # the latest *, which stands for what is before resume
    while at < len(text):
        sign = pattern[place : place + 1]
        if sign == "*":
            star, resume = place, at
            place += 1
        elif sign == text[at] or (sign == "?" and text[at] not in barred):
            place += 1
            at += 1
        elif star is not None and text[resume] not in barred:
            resume += 1
            place, at = star + 1, resume
        else:
            return False
    return not pattern[place:].strip("*")


# -- users ----------------------------------------------------------------------------------------


def split_user(name: str) -> tuple[str | None, str]:
    r"""Domain (None where there is none) and account of ``CORP\alice``, ``alice@corp.example``."""
    return _readings(name)[0]


def _readings(name: str) -> list[tuple[str | None, str]]:
    """What a name may be: (domain, account), the likeliest first.

    An account may be called by an e-mail address: then its ``@`` begins no realm.
    """
    domain, separator, account = name.partition("\\")
    if separator:
        return [(domain, account)]
    account, _, realm = name.rpartition("@")
    if account and realm:
        return [(realm, account), (None, name)]
    return [(None, name)]


def _separated(name: str) -> list[tuple[str, str]]:
    """CORP+alice, CORP/alice: winbind's other separators, which account names may contain."""
    split = [name.partition(separator) for separator in "+/" if separator in name]
    return [(domain, account) for domain, _, account in split]


def _domain_grade(typed: str | None, listed: str | None, compare: Compare) -> int:
    """How well domains fit; where only one is known, they do.

    A realm fits the NetBIOS domain that is its first label, as domains are named by default.
    """
    if typed is None or listed is None:
        return FITS
    whole = compare(typed, listed)
    if whole or ("." in typed) == ("." in listed):
        return whole
    return compare(typed.partition(".")[0], listed.partition(".")[0])


def is_machine_account(name: str | None) -> bool:
    """Whether a listed user is a computer's account, whose name ends in ``$``."""
    return name is not None and any(account.endswith("$") for _, account in _readings(name))


class UserPattern:
    """A user as typed, to compare with users as servers list them.

    With ``wildcards``, ``*`` and ``?`` stand for characters of the account's name or the domain's.
    """

    def __init__(self, typed: str, *, wildcards: bool = False) -> None:
        self.typed = check_name(typed, "user")
        self.is_wild = wildcards and has_wildcards(self.typed)
        self._compare: Compare = _user_wild_grade if self.is_wild else grade
        self._readings = _readings(self.typed)
        self.domain, self.account = self._readings[0]
        if not self.account:
            raise ValueError("user must have a name after the domain, as in CORP\\alice")
        #: Listed names with the same account in another domain: worth naming where none fits.
        self.elsewhere: dict[str, None] = {}
        #: Whether any session that was looked at is of this user (bool).
        self.met = False

    @property
    def parts(self) -> tuple[str, bool, tuple[tuple[str | None, str], ...]]:
        """What SessionFilter, which has these rules in C, makes of it."""
        return self.typed, self.is_wild, tuple(self._readings)

    def fit(self, listed: str | None) -> int:
        """How well a listed name fits: NO, MAY_FIT or FITS."""
        if not listed:
            return NO
        account, compare = self.account, self._compare
        # Most names are settled here: in every reading but user@realm the account comes last.
        settled = "@" not in listed and not self.is_wild
        if settled and not same_tables(account, listed[-len(account) :]):
            return NO
        if whole := compare(self.typed, listed):
            return whole
        fits = [
            min(accounts, _domain_grade(domain, their_domain, compare))
            for domain, account in self._readings
            for their_domain, theirs in _readings(listed)
            if (accounts := compare(account, theirs))
        ]
        if fits and not any(fits) and len(self.elsewhere) < MOST_ELSEWHERE:
            self.elsewhere[listed] = None
        return max(fits) if fits else self._fit_separated(listed)

    def _fit_separated(self, listed: str) -> int:
        best = NO
        for domain, account in self._readings:
            for their_domain, theirs in _separated(listed):
                fit = min(
                    self._compare(account, theirs),
                    _domain_grade(domain, their_domain, self._compare),
                )
                best = max(best, fit if domain is not None else min(fit, MAY_FIT))
        return best

    def has_domain(self, listed: str) -> bool:
        """Whether the typed domain is that of a listed name that fits, and not left out there."""
        return any(
            their_domain is not None
            and _domain_grade(self.domain, their_domain, self._compare) == FITS
            for their_domain, theirs in (*_readings(listed), *_separated(listed))
            if self._compare(self.account, theirs) == FITS
        )


# -- clients --------------------------------------------------------------------------------------


def address_key(name: str) -> tuple[str, str] | None:
    """An address as one spelling for all that are equal, and its zone; None for a name.

    An IPv4 address that IPv6 sockets show as ``::ffff:10.1.2.3`` is the IPv4 address.
    """
    if name.lower().endswith(_IPV6_LITERAL):
        text = name[: -len(_IPV6_LITERAL)]
        address = text.lower().partition("s")[0]  # only the first: there are interfaces like ens3
        zone = text[len(address) + 1 :]
        name = address.replace("-", ":") + ("%" + zone if len(text) > len(address) else "")
    return _listed_key(name)


def _listed_key(name: str) -> tuple[str, str] | None:
    """The same of an address as servers list it."""
    if ":" not in name:
        return (name, "") if is_ipv4(name) else None
    from ipaddress import IPv6Address  # slow to import, and seldom needed

    text, percent, zone = name.partition("%")
    if percent and not zone:
        return None
    try:
        address = IPv6Address(text)
    except ValueError:
        return None
    return str(address.ipv4_mapped or address), zone


def is_ipv4(name: str) -> bool:
    """Whether a name is four decimal numbers up to 255, without leading zeros."""
    parts = name.split(".")
    return len(parts) == 4 and all(
        part.isascii() and part.isdigit() and len(part) < 4 and part == str(min(int(part), 255))
        for part in parts
    )


def ends_in_number(name: str) -> bool:
    """Whether resolvers take a name for an address in one of IPv4's old spellings."""
    last = name.rpartition(".")[2].lower()
    return last.isascii() and (
        last.isdigit() or (last.startswith("0x") and all(c in "0123456789abcdef" for c in last[2:]))
    )


class ClientPattern:
    """A client as typed, to compare with clients as servers list them.

    ``resolve`` is asked once at most, and only when a name was typed and an address is listed.
    With ``wildcards``, what holds ``*`` or ``?`` is compared with names and addresses as text, and
    never looked up.
    """

    def __init__(
        self, typed: str, resolve: Resolve | None = None, *, wildcards: bool = False
    ) -> None:
        self.typed = check_name(typed, "client")
        self.is_wild = wildcards and has_wildcards(self.typed)
        self.bare = bare_client(self.typed.lstrip("\\/"))
        if self.is_wild:
            self.bare = _without_brackets(self.bare)
        if not self.bare:
            raise ValueError("client must be a computer name or an address")
        self._key = address_key(self.bare)
        is_host = self._key is None and can_be_looked_up(self.bare)
        if is_host and len(self.bare) > 1:
            self.bare = self.bare.removesuffix(".")  # the root's dot: ws17.corp.example.
        self._resolve = resolve
        #: Whether it is a name that also means the addresses that it resolves to (bool).
        self.is_host = is_host and resolve is not None
        self._resolved: frozenset[str] | None = None
        #: Why the name has no addresses (str), or None.
        self.lookup_failure: str | None = None
        #: Listed addresses that fitted because the name resolves to them, in order.
        self.taken: dict[str, None] = {}
        #: Whether any session was from there, of whatever user (bool).
        self.met = False

    @property
    def filter(self) -> str | None:
        """What the server may be asked to filter by: only what has one spelling everywhere."""
        return "\\\\" + self.bare if is_ipv4(self.bare) else None

    @property
    def parts(self) -> tuple[str, bool, str | None, str, bool]:
        """What SessionFilter, which has these rules in C, makes of it."""
        address, zone = self._key or (None, "")
        return self.bare, self.is_wild, address, zone, self.is_host

    def fit(self, listed: str | None) -> int:
        """How well a listed name fits: NO, MAY_FIT or FITS."""
        if not listed:
            return NO
        if self.is_wild:
            return self._fit_wild(bare_client(listed))
        if self._key is None:
            bare = bare_client(listed)
            return grade(self.bare, bare) or self._fit_resolved(bare)
        if ":" not in listed and self._key[0] not in listed:
            return NO  # most are settled here
        bare = bare_client(listed)
        if bare == self._key[0]:
            return FITS
        # What is spelled otherwise is IPv6: no other address has two spellings.
        key = _listed_key(bare) if ":" in bare else None
        if key is None or key[0] != self._key[0]:
            return NO
        zones = (key[1], self._key[1])
        return FITS if "" in zones or zones[0] == zones[1] else NO

    def _fit_wild(self, bare: str) -> int:
        fit = wild_grade(self.bare, bare)
        key = _listed_key(bare) if ":" in bare else None
        # An address fits as it is spelled everywhere else, too.
        return fit if key is None else max(fit, wild_grade(self.bare, key[0]))

    def _fit_resolved(self, bare: str) -> int:
        if not self.is_host or not (key := _listed_key(bare)) or key[0] not in self.addresses():
            return NO
        if bare not in self.taken:
            self.taken[bare] = None
        return FITS

    def addresses(self) -> frozenset[str]:
        """What the name resolves to, each as address_key() has it; looked up once."""
        if self._resolved is None:
            found, self.lookup_failure = (
                self._resolve(self.bare) if self._resolve else (set(), None)
            )
            keys = (address_key(address) for address in found)
            self._resolved = frozenset(key[0] for key in keys if key is not None)
        return self._resolved


def _without_brackets(pattern: str) -> str:
    """A client's pattern without the brackets that an IPv6 address may wear."""
    inside = pattern[1:-1]
    is_ipv6 = ":" in inside and _IN_IPV6_PATTERNS.issuperset(inside.partition("%")[0])
    return inside if is_ipv6 and pattern == f"[{inside}]" else pattern


def can_be_looked_up(name: str) -> bool:
    """Whether a name can be a host's, and is not one that a resolver reads as an address."""
    plain = in_ascii(name)
    return (
        plain is not None
        and not ends_in_number(plain)
        and all(character.isalnum() or character in "-._" for character in plain)
    )


def in_ascii(name: str) -> str | None:
    """A host name as Python asks resolvers for it (IDNA 2003).

    None where it cannot be asked for, and where another name would be: ``strasse`` for ``straße``,
    digits for full-width digits.
    """
    if name.isascii():
        return name
    try:
        plain = name.encode("idna")
        asked = plain.decode("idna")
    except UnicodeError:
        return None
    return plain.decode("ascii") if grade(asked, name) == FITS else None


def client_spellings(client: str | None) -> list[str | None]:
    """How a server may know a client: the name as given, for IPv6 with and without brackets.

    Each has two leading backslashes ([MS-SRVS] 3.1.4.6); None (any client) stays None.
    """
    if client is None:
        return [None]
    name = client.lstrip("\\/")
    bare = bare_client(name)
    if not bare:
        raise ValueError("client must be a computer name or an address")
    if ":" not in bare:
        return ["\\\\" + name]
    other = f"[{bare}]" if bare == name else bare
    return ["\\\\" + name, "\\\\" + other]


# -- servers --------------------------------------------------------------------------------------

_HOW = "write fs01, fs01.corp.example, 10.1.2.3, 2001:db8::5, \\\\fs01 or smb://fs01:1445"
_NOT_IN_NAMES = frozenset('/\\[]:*?"<>|%,;=# \t\r\n\0')
_MAX_HOST = 255
_MAX_LABEL = 63


def parse_server(name: str) -> tuple[str, int | None]:
    r"""Host (str) and port (int or None) in what a caller calls a server.

    Taken are host names, addresses, ``\\host\share`` and ``smb://host/share`` (the share plays no
    part: sessions are the server's), each with ``:port``. Raises ValueError for all else, saying
    how to write it; what may be a password is not repeated.
    """
    if "@" in name:
        after = name.rpartition("@")[2]
        raise ValueError(
            f"the server's name holds an @ (before {quoted(after[:60])}): a user is given as "
            f"username=, never with the server; {_HOW}"
        )
    host, port = _split_port(_authority(name), name)
    return _checked_host(host, name), port


def _refused(name: str, why: str) -> ValueError:
    shown = name if len(name) <= 80 else name[:77] + "..."
    return ValueError(f"{quoted(shown)} is no server's name: {why}; {_HOW}")


def _authority(name: str) -> str:
    """Host and port in a name, an UNC path or a URL."""
    scheme, separator, rest = name.partition("://")
    if separator:
        if scheme.lower() not in ("smb", "cifs"):
            raise _refused(name, f"sessions are asked for over SMB, not {quoted(scheme[:60])}")
        return rest.partition("/")[0].replace("%25", "%")  # RFC 6874: a zone in a URL
    if name.startswith(("\\", "//")):
        rest = name.lstrip("\\/").replace("\\", "/")
        if rest.startswith(("?/", "./")):
            raise _refused(name, "it is a path on this machine")
        return rest.partition("/")[0]
    if _is_mask(name.partition("/")[2]):
        raise _refused(name, f"it is one server that is asked, not a network: {_NO_SCAN}")
    if "\\" in name or "/" in name:
        raise _refused(name, "a path starts with \\\\ or smb://, and DOMAIN\\user is username=")
    return name


def _is_mask(text: str) -> bool:
    """Whether what follows a slash makes a network of it: /24, /255.255.255.0, /24:445."""
    length = text.partition(":")[0]
    return length.replace(".", "").isdigit()


def _split_port(authority: str, name: str) -> tuple[str, int | None]:
    host, bracket, rest = authority.partition("]")
    if authority.startswith("["):
        if not bracket or (rest and not rest.startswith(":")) or ":" not in host:
            raise _refused(name, "brackets are for IPv6 addresses, as in [2001:db8::5]:445")
        host = host[1:]
        _check_is_one(host, name)
        if address_key(host) is None:
            raise _refused(name, "what the brackets hold is no IPv6 address")
        return host, _port(rest[1:], name) if rest else None
    if authority.count(":") == 1:
        host, _, port = authority.partition(":")
        return host, _port(port, name)
    return authority, None


def _port(digits: str, name: str) -> int:
    if digits.isascii() and digits.isdigit() and len(digits) < 6 and 0 < int(digits) < 65536:
        return int(digits)
    raise _refused(name, "a port is a number from 1 to 65535")


def _checked_host(host: str, name: str) -> str:
    host = host[:-1] if host.endswith(".") else host  # the root's dot: fs01.corp.example.
    _check_is_one(host, name)
    if ":" in host or host.lower().endswith(_IPV6_LITERAL):
        return _checked_ipv6(host, name)
    if ends_in_number(host):
        if not is_ipv4(host):
            raise _refused(name, "it ends in a number but is no IPv4 address")
        return host
    if not host:
        raise _refused(name, "there is no host in it")
    if not host.isprintable() or not _NOT_IN_NAMES.isdisjoint(host):
        several = any(sign in host for sign in ",; ")
        raise _refused(name, _ONE if several else "it holds characters that no name has")
    labels = host.split(".")
    if len(host) > _MAX_HOST or not all(0 < len(label) <= _MAX_LABEL for label in labels):
        raise _refused(name, f"parts have 1 to {_MAX_LABEL} characters, the whole {_MAX_HOST}")
    return host


def _check_is_one(host: str, name: str) -> None:
    """Refuses what stands for many: fs*, fs[01-20], fs{1..9}, 10.1.2.1-20, 2001:db8::1-ff."""
    if not _OF_PATTERNS.isdisjoint(host):
        raise _refused(name, f"it is one server that is asked, not a pattern: {_NO_SCAN}")
    address = host.partition("%")[0]
    numbers = "." in host and _OF_IPV4_RANGES.issuperset(host)
    if "-" in address and (numbers or ":" in address):
        raise _refused(name, f"it is one server that is asked, not a range: {_NO_SCAN}")


_ONE = "it is one server that is asked, and a name has no blanks"
_NO_SCAN = "this tool asks servers it is told of; it scans no networks"
_OF_PATTERNS = frozenset("*?[]{}")
_OF_IPV4_RANGES = frozenset("0123456789.-, ")


def _checked_ipv6(host: str, name: str) -> str:
    key = address_key(host)
    if key is None or not _NOT_IN_NAMES.isdisjoint(key[1]):
        raise _refused(name, "it is no IPv6 address")
    if host.lower().endswith(_IPV6_LITERAL):
        host = "%".join(key) if key[1] else key[0]
    first = key[0].partition(":")[0]
    if not key[1] and len(first) == 4 and "fe80" <= first <= "febf":  # fe80::/10
        raise _refused(
            name, f"a link-local address needs the interface it is on, as in {key[0]}%eth0"
        )
    return host


def unc_host(host: str) -> str:
    """A host for a UNC path, where IPv6 is spelled ``....ipv6-literal.net``, without colons."""
    if ":" not in host:
        return host
    return host.replace(":", "-").replace("%", "s") + _IPV6_LITERAL
