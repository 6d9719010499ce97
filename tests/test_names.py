"""Names: upper case, users and domains, clients and addresses, servers. Rules: docs/names.md."""

# ruff: noqa: RUF001 - letters that look alike are what it is about

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest

from netsession import (
    AmbiguousName,
    ConnectionLost,
    SessionInfo10,
    _lookup,
    _names,
    _netsession,
    _plan,
    records,
)
from netsession._names import FITS, MAY_FIT, NO, ClientPattern, UserPattern
from netsession.srvsvc.address import parse_address
from netsession.srvsvc.deadline import Deadline
from netsession.testing import simulated_server

SAMBA, WINDOWS = 1, 2
BMP = "".join(map(chr, range(0x10000)))


# --- upper case -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "digest"),
    [
        # as ntfs-3g records them for the $UpCase file of Windows XP (Samba's table is the same,
        # tests/samba) and of Windows 8
        (SAMBA, "6fa3db2468275286210751e869d36373"),
        (WINDOWS, "7ff498a44e45e77374cc7c962b1b92f2"),
    ],
)
def test_the_whole_table_is_the_published_one(table: int, digest: str) -> None:
    upper = _netsession.upcase(BMP, table)
    units = upper.encode("utf-16-le", "surrogatepass")
    assert hashlib.md5(units).hexdigest() == digest


def test_comparing_is_upcasing() -> None:
    uppers = {table: _netsession.upcase(BMP, table) for table in (SAMBA, WINDOWS)}
    candidates = {
        unit: {unit, chr(ord(unit) ^ 1), chr(ord(unit) ^ 32), *uppers_of}
        for unit, *uppers_of in zip(BMP, *uppers.values(), strict=True)
    }
    for unit, others in candidates.items():
        for other in others:
            expected = sum(
                table for table in uppers
                if uppers[table][ord(unit)] == uppers[table][ord(other)]
            )  # fmt: skip
            assert _netsession.same_tables(unit, other) == expected, (unit, other)


@pytest.mark.parametrize(
    ("left", "right", "tables"),
    [
        ("ZOË", "zoë", 3),
        ("müller", "MÜLLER", 3),
        ("ÿ", "Ÿ", 3),
        ("иван", "ИВАН", 3),
        ("straße", "STRASSE", 0),
        ("straße", "STRAẞE", 0),
        ("ﬁnn", "finn", 0),
        ("ﬁnn", "FINN", 0),
        ("ırmak", "IRMAK", 0),
        ("İ", "i", 0),
        ("µwe", "ΜWE", 0),
        ("ſ", "s", 0),
        ("ǅ", "ǆ", 0),
        ("ștefan", "ȘTEFAN", WINDOWS),
        ("ςigma", "ΣIGMA", SAMBA),
        ("\U00010428", "\U00010400", 0),  # beyond the BMP: two units without upper case
        ("\U00010061", "\U00010041", 0),  # nor by their last four digits
        ("\U00010061", "A", 0),
        ("\U00010041", "\U00020041", 0),
        ("\ud800a", "\ud800A", 3),
        ("\udc00", "\udc01", 0),
        ("a", "ab", 0),
        ("", "", 3),
        ("\u212a", "k", 0),  # the Kelvin sign
        ("", "a", 0),
    ],
)
def test_names_that_are_equal_and_not(left: str, right: str, tables: int) -> None:
    assert _netsession.same_tables(left, right) == tables
    assert _netsession.same_tables(right, left) == tables
    pattern = UserPattern(left) if left else None
    if pattern is not None:
        assert pattern.fit(right) == {0: NO, 1: MAY_FIT, 2: MAY_FIT, 3: FITS}[tables]
    rows = [{"client_name": "\\\\a", "user_name": right}]
    if left and right:  # the simulator compares as Windows does
        server = simulated_server(rows)
        cursor = _netsession.SessionCursor(
            server._backend, None, None, left, 10, 0xFFFFFFFF
        )  # fmt: skip
        try:
            found = sum(len(page) for page in cursor)
        except LookupError:
            found = 0
        assert found == (1 if tables & WINDOWS else 0)


def test_upcasing_takes_text_and_a_table() -> None:
    assert _netsession.upcase("ÿ😀ß", SAMBA) == "Ÿ😀ß"
    for arguments in ((), ("a",), ("a", 1, 2), (5, 1), ("a", None)):
        with pytest.raises(TypeError):
            _netsession.upcase(*arguments)
    for table in (0, 3, -1, 1 << 70):
        with pytest.raises((ValueError, OverflowError)):
            _netsession.upcase("a", table)
    for pair in ((), ("a",), ("a", None), (b"a", "a")):
        with pytest.raises(TypeError):
            _netsession.same_tables(*pair)


# --- users ----------------------------------------------------------------------------------------

#: typed: {listed: how it fits}. docs/names.md says the same in words.
USERS = {
    "alice": {
        "alice": FITS, "ALICE": FITS, "CORP\\alice": FITS, "corp\\Alice": FITS,
        "alice@corp.example": FITS, "CORP+alice": MAY_FIT, "CORP/alice": MAY_FIT,
        "malice": NO, "CORP\\malice": NO, "alice2": NO, "alic": NO, "": NO, "alice$": NO,
        "alice\\bob": NO, "corpxalice": NO,
    },
    "CORP\\alice": {
        "alice": FITS, "CORP\\alice": FITS, "corp\\ALICE": FITS, "OTHER\\alice": NO,
        "corp.example\\alice": FITS, "other.example\\alice": NO, "alice@corp.example": FITS,
        "alice@CORP": FITS, "CORP+alice": FITS, "CORP/alice": FITS, "OTHER+alice": NO,
        "bob": NO, "CORP\\bob": NO, "alice@other.example": NO,
    },
    "alice@corp.example": {
        "alice": FITS, "CORP\\alice": FITS, "corp.example\\alice": FITS, "EXAMPLE\\alice": NO,
        "alice@corp.example": FITS, "ALICE@CORP.EXAMPLE": FITS, "corp.other\\alice": NO,
        "OTHER\\alice": NO, "CORP+alice": FITS,
    },
    ".\\alice": {"alice": FITS, "CORP\\alice": NO, ".\\alice": FITS, "alice@corp.example": NO},
    "CORP\\ștefan": {"CORP\\ștefan": FITS, "CORP\\ȘTEFAN": MAY_FIT, "ȘTEFAN": MAY_FIT},
    "FS01$": {"FS01$": FITS, "CORP\\fs01$": FITS, "FS01": NO},
    "a@b": {"a@b": FITS, "a": FITS, "B\\a": FITS, "C\\a@b": FITS, "a@b@c": FITS, "C+a@b": MAY_FIT},
    # an account that is called by an address, as AzureAD\\alice@corp.example is
    "C\\a@b": {"a@b": FITS, "c\\A@B": FITS, "a@b@c": FITS, "D\\a@b": NO, "a": NO, "a@c": NO},
    ".\\a@b": {"a@b": FITS, "C\\a@b": NO, "a": NO},
    "a+b": {"CORP+a+b": MAY_FIT},
    "straße": {"STRASSE": NO, "CORP\\STRASSE": NO, "STRAßE": FITS},
}  # fmt: skip


@pytest.mark.parametrize("typed", USERS)
def test_users_and_their_domains(typed: str) -> None:
    pattern = UserPattern(typed)
    for listed, fit in USERS[typed].items():
        assert pattern.fit(listed) == fit, listed
        assert UserPattern(typed).fit(listed) == fit, listed
    assert pattern.fit(None) == NO


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("", ValueError, "user must not be empty"),
        ("CORP\\", ValueError, "user must have a name after the domain"),
        ("a\0", ValueError, "NUL"),
        ("x" * 1024, ValueError, "at most 1023 UTF-16 units"),
        (None, TypeError, "user must be a str"),
    ],
)
def test_bad_users_are_named(name: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        UserPattern(name)


def test_the_longest_name_is_taken() -> None:
    for longest in ("x" * 1023, "x" + "\U0001f600" * 511):
        assert _names.check_name(longest, "user") == longest
        with pytest.raises(ValueError, match="at most 1023"):
            _names.check_name(longest + "x", "user")


def test_surrogate_pairs_are_joined() -> None:
    assert _names.check_name("\ud83d\ude00", "user") == "😀"
    assert _names.check_name("\ude00\ud83d", "user") == "\ude00\ud83d"


@pytest.mark.parametrize(
    ("name", "domain", "account"),
    [
        ("CORP\\a\\b", "CORP", "a\\b"),
        ("a@b@c", "c", "a@b"),
        ("@corp", None, "@corp"),
        ("a@", None, "a@"),
        ("CORP\\a@b", "CORP", "a@b"),
    ],
)
def test_where_a_user_is_split(name: str, domain: str | None, account: str) -> None:
    assert _names.split_user(name) == (domain, account)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("FS01$", True), ("CORP\\FS01$", True), ("FS01$@corp.example", True), ("alice", False),
     ("CORP$\\alice", False), ("", False), (None, False)],
)  # fmt: skip
def test_machine_accounts(name: str | None, is_one: bool) -> None:
    assert _names.is_machine_account(name) is is_one


def test_a_user_s_wildcards() -> None:
    for typed, listed, fit in (
        ("al*", "alice", FITS), ("al*", "CORP\\alice", FITS), ("al*", "alice@corp.example", FITS),
        ("c*", "CORP\\alice", NO), ("*a", "c+a", MAY_FIT), ("*p\\al*", "CORP\\alice", FITS),
        ("c?rp\\alice", "corp.example\\alice", FITS), ("c?rp\\alice", "coorp.example\\alice", NO),
        ("c?rp\\alice", "alice@CORP", FITS), ("lic?", "alice", NO), ("?lice", "alic", NO),
        ("ș*", "Ștefan", MAY_FIT), ("a*", "", NO), ("*b", "alice", NO), ("*alice", "alice", FITS),
        ("*alice", "malice", FITS), ("corp?alice", "CORP\\alice", NO),
        ("*example\\alice", "corp.example\\alice", FITS), ("c?rp\\al*", "CORP+alice", FITS),
        ("*example\\alice", "alice@corp.example", FITS), ("al?ce", "*", NO),
    ):  # fmt: skip
        assert UserPattern(typed, wildcards=True).fit(listed) == fit, (typed, listed)
    assert UserPattern("al*").fit("alice") == NO
    assert UserPattern("al*").fit("AL*") == FITS
    assert not UserPattern("al*").is_wild


@pytest.mark.parametrize("sign", ["?", "*"])
def test_what_a_user_s_wildcard_stands_for(sign: str) -> None:
    pattern = UserPattern(f"a{sign}b", wildcards=True)
    barred = {each for each in map(chr, range(1, 128)) if not pattern.fit(f"a{each}b")}
    assert barred == {"\\", "@", "+", "/"}


def test_some_names_of_other_domains_are_remembered() -> None:
    pattern = UserPattern("CORP\\alice")
    for number in range(9):
        pattern.fit(f"m{number}alice")
        pattern.fit(f"D{number}\\alice")
        pattern.fit(f"D{number}\\bob")
        pattern.fit("corp\\ALICE")
        pattern.fit("alice")
    assert list(pattern.elsewhere) == [f"D{number}\\alice" for number in range(5)]
    assert not pattern.met


# --- clients --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("\\\\WS17", "WS17"),
        ("\\\\[::1]", "::1"),
        ("[2001:db8::5]", "2001:db8::5"),
        ("[fe80::1%12]", "fe80::1%12"),
        ("[::ffff:10.1.2.3]", "::ffff:10.1.2.3"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
        ("[x]", "[x]"),
        ("[10.1.2.3]", "[10.1.2.3]"),
        ("[a:b]", "[a:b]"),
        ("[::x]", "[::x]"),
        ("[::1x]", "[::1x]"),
        ("a::1]", "a::1]"),
        ("\\\\xWS17", "xWS17"),
        ("[]", "[]"),
        ("[", "["),
        ("[::1", "[::1"),
        ("", ""),
    ],
)
def test_only_ipv6_addresses_wear_brackets(name: str, bare: str) -> None:
    assert records.bare_client(name) == bare
    assert SessionInfo10(name, "u", 0, 0).client == bare


CLIENTS = {
    "2001:db8::5": {
        "\\\\[2001:db8::5]": FITS, "2001:db8::5": FITS, "2001:0DB8:0:0::5": FITS,
        "[2001:DB8:0:0:0:0:0:5]": FITS,
        "2001:db8::6": NO, "10.1.2.3": NO, "WS17": NO, "": NO,
    },
    "2001:0db8:0:0::5": {"2001:db8::5": FITS, "\\\\[2001:db8::5]": FITS},
    "\\\\[2001:DB8::5]": {"2001:db8::5": FITS, "2001:db8::50": NO},
    "2001-db8--5.ipv6-literal.net": {"\\\\[2001:db8::5]": FITS},
    "::ffff:10.1.2.3": {"10.1.2.3": FITS, "\\\\10.1.2.3": FITS, "::ffff:a01:203": FITS},
    "10.1.2.3": {"\\\\10.1.2.3": FITS, "::ffff:10.1.2.3": FITS, "10.1.2.30": NO, "[::1]": NO},
    "fe80::1": {"fe80::1%eth0": FITS, "\\\\[fe80::1%12]": FITS, "fe80::1": FITS, "fe80::2": NO,
                "fe80::1%a%b": FITS},
    "fe80::1%eth0": {"fe80::1%eth0": FITS, "fe80::1": FITS, "fe80::1%eth1": NO},
    "WS17": {"\\\\ws17": FITS, "WS17": FITS, "WS1": NO, "WS170": NO, "10.1.2.3": NO},
    "//WS17": {"\\\\ws17": FITS},
    "[bold]x[/bold]": {"[bold]x[/bold]": FITS, "bold]x[/bold": NO},
    "PC-Ș": {"pc-ș": MAY_FIT, "pc-Ș": FITS},
    "a:b": {"A:B": FITS},
    "ws17.corp.example.": {"\\\\WS17.corp.example": FITS, "ws17.corp.example.": NO, "WS17": NO},
    "WS 17.": {"WS 17.": FITS, "WS 17": NO},
}  # fmt: skip


@pytest.mark.parametrize("typed", CLIENTS)
def test_clients_and_their_spellings(typed: str) -> None:
    for listed, fit in CLIENTS[typed].items():
        assert ClientPattern(typed).fit(listed) == fit, listed
    assert ClientPattern(typed).fit(None) == NO


@pytest.mark.parametrize("name", ["\\\\", "//", "\\", ""])
def test_a_client_must_be_something(name: str) -> None:
    with pytest.raises(ValueError, match=r"^client must (be a computer name|not be empty)"):
        ClientPattern(name)


class Resolver:
    """Answers look-ups from a table, and counts them."""

    def __init__(self, *addresses: str, failure: str | None = None) -> None:
        self.answer = frozenset(addresses), failure
        self.asked: list[str] = []

    def __call__(self, name: str) -> tuple[frozenset[str], str | None]:
        self.asked.append(name)
        return self.answer


@pytest.mark.parametrize(
    ("typed", "listed", "fit"),
    [
        ("[2001:db8::*]", "2001:db8::5", FITS),
        ("2001:db8::*", "\\\\[2001:DB8:0::5]", FITS),
        ("2001:0db8:*", "2001:0db8::5", FITS),
        ("[fe80::*%eth?]", "fe80::1%eth0", FITS),
        ("[x*:b]", "[x1:b]", FITS),
        ("[10.*]", "[10.1.2.3]", FITS),
        ("[x*:b]", "x1:b", NO),
        ("x::*y", "::*", NO),
        ("10.1.*", "\\\\10.1.2.3", FITS),
        ("ws*", "10.1.2.3", NO),
        ("b?", "xbc", NO),
    ],
)
def test_a_client_s_wildcards(typed: str, listed: str, fit: int) -> None:
    assert ClientPattern(typed, wildcards=True).fit(listed) == fit


@pytest.mark.parametrize(
    "name",
    ["\u00b25.1.1.1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.04", "1.2.3.", "\uff11.2.3.4", ""],
)
def test_what_is_no_ipv4_address(name: str) -> None:
    assert not _names.is_ipv4(name)
    assert ClientPattern(name or "x").filter is None


@pytest.mark.parametrize(("name", "does"), [("a.0xg", False), ("a.0xfg", False), ("0xF", True),
                                            ("0xx", False), ("\uff11", False)])  # fmt: skip
def test_what_ends_in_a_number(name: str, does: bool) -> None:
    assert _names.ends_in_number(name) is does


def test_what_servers_and_filters_are_told_of_a_client() -> None:
    assert ClientPattern("//10.1.2.3").filter == "\\\\10.1.2.3"
    assert ClientPattern("[::1]").filter is None
    assert ClientPattern("WS17").filter is None
    pattern = ClientPattern("[2001:DB8::5%3]")
    assert pattern.parts == ("2001:DB8::5%3", False, "2001:db8::5", "3", False)
    pattern = ClientPattern("WS*", Resolver("10.1.2.3"), wildcards=True)
    assert pattern.parts == ("WS*", True, None, "", False)
    assert ClientPattern("WS17", Resolver()).parts == ("WS17", False, None, "", True)
    assert ClientPattern("WS17").parts == ("WS17", False, None, "", False)
    assert ClientPattern("10.1.2.3").parts == ("10.1.2.3", False, "10.1.2.3", "", False)
    assert not ClientPattern("--1.ipv6-literal.net", Resolver()).is_host
    assert [ClientPattern(name).bare for name in (".", "a.")] == [".", "a"]


def test_a_host_name_matches_its_addresses() -> None:
    resolve = Resolver("10.1.2.3", "2001:db8::5")
    pattern = ClientPattern("WS17", resolve)
    assert pattern.fit("\\\\WS17") == FITS
    assert pattern.fit("WS18") == NO
    assert resolve.asked == []  # names are compared as names
    assert pattern.fit("10.1.2.3") == FITS
    assert pattern.fit("10.1.2.4") == NO
    assert pattern.fit("\\\\[2001:DB8:0::5]") == FITS
    assert pattern.fit("::ffff:10.1.2.3") == FITS
    assert resolve.asked == ["WS17"]
    assert list(pattern.taken) == ["10.1.2.3", "2001:DB8:0::5", "::ffff:10.1.2.3"]


@pytest.mark.parametrize(
    "typed",
    ["10.1.2.3", "10.1", "1", "0x7f.1", "0x7f000001", "a.0X1f", "127.1", "999.1.1.1", "::1",
     "[::1]", "\uff11\uff10.\uff11", "\ud800",
     "straße", "ﬁle", "ος.example", "\u212a1", "a\u200db", "fs01\u3002corp",  # as others, by IDNA
     "WS 17", "*", "a,b", "x" * 64 + "\u00fc"],
)  # fmt: skip
def test_what_is_an_address_or_no_host_name_is_never_looked_up(typed: str) -> None:
    resolve = Resolver("10.9.9.9")
    assert ClientPattern(typed, resolve).fit("10.9.9.9") == NO
    assert resolve.asked == []


def test_the_roots_dot_is_no_part_of_a_name() -> None:
    resolve = Resolver("10.1.2.3")
    assert ClientPattern("ws17.corp.example.", resolve).fit("10.1.2.3") == FITS
    assert resolve.asked == ["ws17.corp.example"]


def test_a_look_up_that_fails_is_told() -> None:
    pattern = ClientPattern("WS17", Resolver(failure="Name or service not known"))
    assert pattern.fit("10.1.2.3") == pattern.fit("10.1.2.4") == NO
    assert pattern.lookup_failure == "Name or service not known"


class Asking:
    """A call at hand, as the look-up sees it."""

    def __init__(self, seconds: float | None) -> None:
        self.deadline = Deadline(seconds)

    def check(self) -> None:
        raise ConnectionLost(1236, "NetSessionEnum")


def look_up(seconds: float | None = 60, name: str = "x") -> tuple[frozenset[str], str | None]:
    return _lookup.addresses_of(name, Asking(seconds))  # type: ignore[arg-type]


def test_look_up() -> None:
    found, failure = look_up(name="localhost")
    assert found & {"127.0.0.1", "::1"}
    assert failure is None


def test_look_up_strips_zones_and_names_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*_: Any, **__: Any) -> Any:
        return [(0, 0, 0, "", ("fe80::1%eth0", 0, 0, 2)), (0, 0, 0, "", ("10.1.2.3", 0))]

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(-2, "Name or service not known")

    def refuse(*_: Any, **__: Any) -> Any:
        raise UnicodeError("label too long")

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert look_up(None) == ({"fe80::1", "10.1.2.3"}, None)
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert look_up() == (frozenset(), "Name or service not known")
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert look_up() == (frozenset(), "label too long")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    assert look_up() == (frozenset(), "it has no address")


def test_look_up_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        release.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        assert look_up(0.01) == (frozenset(), "no answer in time")
        call = Asking(None)
        call.deadline.call_off()
        with pytest.raises(ConnectionLost):
            _lookup.addresses_of("x", call)  # type: ignore[arg-type]
    finally:
        release.set()


# --- what is sent to end sessions -----------------------------------------------------------------


def rows(*names: tuple[str | None, str | None]) -> list[Any]:
    return [SessionInfo10(client, user, 0, 0) for client, user in names]


def plan(sessions: list[Any], client: str | None = None, user: str | None = None) -> Any:
    return _plan.planned(
        sessions,
        None if client is None else ClientPattern(client, Resolver("10.1.2.3", "::1")),
        None if user is None else UserPattern(user),
    )


MEMBER = rows(("10.1.2.3", "CORP\\alice"), ("10.1.2.4", "CORP\\bob"), ("10.1.2.4", "CORP\\alice"))
PLAIN = rows(("\\\\10.1.2.3", "alice"), ("\\\\[::1]", "bob"), ("\\\\WS17", "Alice"))


@pytest.mark.parametrize(
    ("sessions", "client", "user", "targets"),
    [
        (MEMBER, None, "alice", [(None, "CORP\\alice")]),
        (MEMBER, None, "CORP\\alice", [(None, "CORP\\alice")]),
        (MEMBER, None, "corp\\ALICE", [(None, "CORP\\alice")]),
        (MEMBER, None, "alice@corp.example", [(None, "CORP\\alice")]),
        (MEMBER, None, "OTHER\\alice", []),
        (MEMBER, None, ".\\alice", []),
        (MEMBER, None, "carol", []),
        (MEMBER, "10.1.2.4", None, [("\\\\10.1.2.4", None)]),
        (MEMBER, "10.1.2.4", "alice", [("\\\\10.1.2.4", "CORP\\alice")]),
        (MEMBER, "WS17", None, [("\\\\10.1.2.3", None)]),
        (PLAIN, None, "CORP\\alice", [(None, "alice")]),
        (PLAIN, None, "ALICE", [(None, "alice")]),
        (PLAIN, None, "Alice", [(None, "Alice")]),
        (PLAIN, "::1", None, [("\\\\[::1]", None)]),
        (PLAIN, "[0:0::1]", "bob", [("\\\\[::1]", "bob")]),
        (PLAIN, "[0:0::1]", "alice", []),
        (PLAIN, "ws17", None, [("\\\\10.1.2.3", None), ("\\\\[::1]", None), ("\\\\WS17", None)]),
        (PLAIN, "ws17", "alice", [("\\\\10.1.2.3", "alice"), ("\\\\WS17", "alice")]),
        (rows(("::1", "bob")), "[::1]", None, [("\\\\::1", None)]),
        (rows(("WS1", "b"), ("\\\\ws1", "c")), "ws1", None, [("\\\\WS1", None)]),
        (rows(("", ""), (None, None), ("a", "")), "a", None, [("\\\\a", None)]),
        # who names the domain means that account
        (rows(("a", "alice"), ("b", "CORP\\alice")), None, "CORP\\alice", [(None, "CORP\\alice")]),
        (rows(("a", "alice"), ("b", "CORP\\alice")), None, ".\\alice", [(None, "alice")]),
        # spelled as the server does, with a domain: no other can be meant
        (
            rows(("a", "alice@corp.example"), ("b", "CORP\\alice")),
            None, "CORP\\alice", [(None, "CORP\\alice")],
        ),
        # an @ may be part of an account's name
        (rows(("a", "C\\a@b.example")), None, "a@b.example", [(None, "C\\a@b.example")]),
        (rows(("a", "alice@x.example")), None, "C\\alice@x.example", [(None, "alice@x.example")]),
        # a name with a separator in it is another account
        (rows(("a", "team+alice"), ("b", "alice")), None, "alice", [(None, "alice")]),
        (rows(("a", "ȘTEFAN"), ("b", "ștefan")), None, "ștefan", [(None, "ștefan")]),
        (rows(("fe80::1%eth0", "b")), "fe80::1", None, [("\\\\fe80::1%eth0", None)]),
        ([], "a", "b", []),
    ],
)  # fmt: skip
def test_what_is_sent(
    sessions: list[Any], client: str | None, user: str | None, targets: list[Any]
) -> None:
    planned = plan(sessions, client, user)
    assert planned.targets == targets
    assert (planned.client, planned.user) == (client, user)
    assert planned.listed
    for record in planned.sessions:
        assert any(
            (c is None or c == "\\\\" + record.client_name.lstrip("\\"))
            or c.lower() == "\\\\" + record.client.lower()
            for c, _ in targets
        )


@pytest.mark.parametrize(
    ("sessions", "client", "user", "candidates"),
    [
        (rows(("a", "CORP\\alice"), ("b", "OTHER\\alice")), None, "alice",
         ("CORP\\alice", "OTHER\\alice")),
        (rows(("a", "alice"), ("b", "CORP\\alice")), None, "alice", ("alice", "CORP\\alice")),
        (rows(("a", "corp.example\\alice"), ("b", "CORP\\alice")), None, "alice@corp.example",
         ("corp.example\\alice", "CORP\\alice")),
        (rows(("a", "alice@x.example"), ("b", "alice@y.example")), None, "alice",
         ("alice@x.example", "alice@y.example")),
        (rows(("a", "CORP\\alice"), ("a", "OTHER\\alice")), "a", "alice",
         ("CORP\\alice", "OTHER\\alice")),
        # what is before the @ and the whole, each in some domain
        (rows(("a", "C\\alice@x.example"), ("b", "alice")), None, "alice@x.example",
         ("C\\alice@x.example", "alice")),
        # may be, and may not
        (rows(("a", "team+alice")), None, "alice", ("team+alice",)),
        (rows(("a", "ȘTEFAN")), None, "ștefan", ("ȘTEFAN",)),
        (rows(("PC-Ș", "a")), "pc-ș", None, ("PC-Ș",)),
        (rows(("fe80::1%eth0", "a"), ("fe80::1%eth1", "a")), "fe80::1", None,
         ("fe80::1%eth0", "fe80::1%eth1")),
    ],
)  # fmt: skip
def test_what_is_unclear_is_not_sent(
    sessions: list[Any], client: str | None, user: str | None, candidates: tuple[str, ...]
) -> None:
    with pytest.raises(AmbiguousName) as caught:
        plan(sessions, client, user)
    assert caught.value.candidates == candidates
    for name in candidates:
        assert name in str(caught.value)


def test_one_client_of_several_makes_a_user_clear() -> None:
    sessions = rows(("a", "CORP\\alice"), ("b", "OTHER\\alice"))
    assert plan(sessions, "b", "alice").targets == [("\\\\b", "OTHER\\alice")]


def test_the_addresses_taken_are_told() -> None:
    assert plan(PLAIN, "ws17").addresses == ("10.1.2.3", "::1")
    assert plan(PLAIN, "10.1.2.3").addresses == ()
    assert plan(MEMBER, None, "alice").addresses == ()


def test_only_the_account_that_is_meant_is_in_the_plan() -> None:
    """Others fit the name that was typed, too; they stay, and so do the clients they are at."""
    sessions = rows(("10.1.2.3", "alice"), ("\\\\WS17", "CORP\\alice"), ("WS17", "corp\\Alice"))
    for client in (None, "ws17"):
        planned = plan(sessions, client, "CORP\\alice")
        assert planned.sessions == sessions[1:]
        assert planned.targets == [(client and "\\\\WS17", "CORP\\alice")]
    # as it is spelled where it is spelled otherwise
    assert plan(sessions, None, "corp\\ALICE").sessions == sessions[1:]
    assert plan(sessions, None, "corp\\ALICE").targets == [(None, "CORP\\alice")]


def test_a_host_that_is_listed_on_two_links_is_not_sent() -> None:
    """One address on two links is two machines, of which the name is one at most."""

    def at(*clients: str) -> Any:
        found = Resolver("fe80::1", "fe80::2")
        return _plan.planned(rows(*((c, "b") for c in clients)), ClientPattern("ws17", found), None)

    with pytest.raises(AmbiguousName) as caught:
        at("\\\\[fe80::1%1]", "\\\\[fe80::1%2]")
    assert caught.value.candidates == ("fe80::1%1", "fe80::1%2")
    assert "client 'ws17' fits fe80::1%1, fe80::1%2" in (caught.value.detail or "")
    assert len(at("fe80::1%1", "fe80::2%2").targets) == 2  # one machine, with a foot on each
    assert len(at("fe80::1%1", "fe80::1").targets) == 2


def test_a_name_is_sent_as_it_is_listed() -> None:
    for name in ("x1", "WS x", "~a\\"):
        assert plan(rows(("\\\\" + name, "b")), None, "b").targets == [(None, "b")]
        sent = plan(rows(("\\\\" + name, "b")), name, None).targets
        assert sent == [("\\\\" + name, None)]


def test_what_is_unclear_is_named() -> None:
    for client, user, says in (
        (None, "alice", "user 'alice' fits CORP\\alice, OTHER\\alice"),
        (None, "ștefan", "user 'ștefan' may mean Ștefan or not"),
        ("PC-ș", None, "client 'PC-ș' may mean PC-Ș or not"),
    ):
        sessions = rows(("a", "CORP\\alice"), ("PC-Ș", "OTHER\\alice"), ("b", "Ștefan"))
        with pytest.raises(AmbiguousName) as caught:
            plan(sessions, client, user)
        assert says in caught.value.detail


def test_one_session_may_be_shown_that_fits_perhaps() -> None:
    def shown(user: str, *users: str) -> str:
        found = _plan.one_session(rows(*(("a", each) for each in users)), UserPattern(user))
        return (found and found.user_name) or ""

    assert shown("ștefan", "x", "Ștefan") == "Ștefan"
    assert shown("ștefan", "Ștefan", "CORP\\ștefan") == "CORP\\ștefan"
    assert shown("alice", "CORP\\alice", "ALICE", "alice") == "ALICE"
    assert shown("alice", "bob") == ""
    with pytest.raises(AmbiguousName):
        shown("alice", "CORP\\alice", "OTHER\\alice")


def test_where_listing_is_refused_the_typed_is_sent() -> None:
    typed = _plan.typed_plan(ClientPattern("ws17", Resolver("10.1.2.3")), UserPattern("A\\b"))
    assert typed.targets == [("\\\\ws17", "A\\b")]
    assert (typed.client, typed.user, typed.sessions) == ("ws17", "A\\b", [])
    assert not typed.listed
    assert _plan.typed_plan(None, UserPattern("alice")).targets == [(None, "alice")]
    for client in ("[::1]", "\\\\[::1]", "//[::1]"):
        assert _plan.typed_plan(ClientPattern(client), None).targets == [("\\\\[::1]", None)]
    assert _plan.typed_plan(ClientPattern("xw1"), None).targets == [("\\\\xw1", None)]
    assert repr(typed) == "<DeletePlan [('\\\\\\\\ws17', 'A\\\\b')]>"


@pytest.mark.parametrize(
    ("client", "spellings"),
    [
        (None, [None]),
        ("WS1", ["\\\\WS1"]),
        ("\\\\WS1", ["\\\\WS1"]),
        ("//10.1.2.3", ["\\\\10.1.2.3"]),
        ("::1", ["\\\\::1", "\\\\[::1]"]),
        ("\\\\[::1%2]", ["\\\\[::1%2]", "\\\\::1%2"]),
        ("[x]", ["\\\\[x]"]),
        ("xp", ["\\\\xp"]),
    ],
)
def test_how_a_server_may_know_a_client(client: str | None, spellings: list[Any]) -> None:
    assert _names.client_spellings(client) == spellings


@pytest.mark.parametrize("client", ["", "\\\\", "//", "\\/"])
def test_what_no_server_knows_a_client_by(client: str) -> None:
    with pytest.raises(ValueError, match="client must be a computer name"):
        _names.client_spellings(client)


# --- servers --------------------------------------------------------------------------------------

LONGEST_HOST = ".".join(["a", *["b" * 63] * 3, "c" * 61])  # 255


@pytest.mark.parametrize(
    ("name", "host", "port"),
    [
        ("fs01", "fs01", None),
        ("FS_01", "FS_01", None),
        ("\\\\fs01", "fs01", None),
        ("\\fs01", "fs01", None),
        ("//fs01", "fs01", None),
        ("\\\\fs01\\share", "fs01", None),
        ("\\\\fs01\\share\\a@b", None, None),
        ("//fs01/share/", "fs01", None),
        ("smb://fs01", "fs01", None),
        ("SMB://fs01/", "fs01", None),
        ("smb://fs01/share", "fs01", None),
        ("smb://fs01:1445/share", "fs01", 1445),
        ("smb://[2001:db8::5]:445/x", "2001:db8::5", 445),
        ("cifs://fs01", "fs01", None),
        ("smb://[fe80::1%25eth0]/x", "fe80::1%eth0", None),
        ("fs01:1445", "fs01", 1445),
        ("10.1.2.3:1445", "10.1.2.3", 1445),
        ("[::1]:445", "::1", 445),
        ("[::1]", "::1", None),
        ("::1", "::1", None),
        ("\\\\[::1]", "::1", None),
        ("\\\\--1.ipv6-literal.net\\share", "::1", None),
        ("fe80--1seth0.ipv6-literal.net", "fe80::1%eth0", None),
        ("\\\\FE80--1Swlp2s0.IPv6-Literal.net", "fe80::1%wlp2s0", None),
        ("fe80--1sbr-LAN.ipv6-literal.net", "fe80::1%br-LAN", None),
        ("fe80::1%eth0", "fe80::1%eth0", None),
        ("[fe80::1%2]:445", "fe80::1%2", 445),
        ("::ffff:10.1.2.3", "::ffff:10.1.2.3", None),
        ("10.1.2.3", "10.1.2.3", None),
        ("fs01.corp.example.", "fs01.corp.example", None),
        ("fs01.münchen.example", "fs01.münchen.example", None),
        ("3com", "3com", None),
        ("fs-01", "fs-01", None),
        ("a" * 63, "a" * 63, None),
        ("fs01:1", "fs01", 1),
        ("fs01:65535", "fs01", 65535),
        ("fe80::1%eth-0", "fe80::1%eth-0", None),
        ("\\\\x1\\share", "x1", None),
        ("10.1.2.255", "10.1.2.255", None),
        (LONGEST_HOST, LONGEST_HOST, None),
        ("10-20", "10-20", None),
        ("x-1.x", "x-1.x", None),
        ("fe9::1", "fe9::1", None),  # 0fe9, which is no link-local address
    ],
)
def test_servers_that_are_clear(name: str, host: str | None, port: int | None) -> None:
    if host is None:
        with pytest.raises(ValueError, match="username="):
            _names.parse_server(name)
    else:
        assert _names.parse_server(name) == (host, port)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("FS01\\data", "a path starts with"),
        ("CORP\\me", "DOMAIN\\\\user is username="),
        ("fs01/data", "a path starts with"),
        (" fs01 ", "a name has no blanks"),
        ("fs01\n", "no name has"),
        ("fs01 fs02", "one server"),
        ("fs01,fs02", "one server"),
        ("fs01;fs02", "one server"),
        ("fs01/data/24", "a path starts with"),
        ("10.0.0.0/24", "not a network"),
        ("2001:db8::/32", "not a network"),
        ("10.0.0.1-20", "one server"),
        ("fs0[1-3]", "one server"),
        ("*", "one server"),
        ("10.0.0.0/24", "it scans no networks"),
        ("10.0.0.0/255.255.255.0", "it scans no networks"),
        ("10.0.0.0/24:445", "it scans no networks"),
        ("10.0.0.1-10.0.0.20", "not a range: this tool asks servers it is told of"),
        ("10.1-3.2.1", "not a range"),
        ("10.1.2.1-20:445", "not a range"),
        ("2001:db8::1-ff", "not a range"),
        ("[2001:db8::1-ff]:445", "not a range"),
        ("fs{01..20}", "not a pattern"),
        ("fs{01-20}", "not a pattern"),
        ("fs[01-20]:445", "not a pattern"),
        ("smb://fs*/data", "not a pattern"),
        ("file://fs01", "over SMB, not 'file'"),
        ("http://fs01", "over SMB, not 'http'"),
        ("\x1b[2Jhttp://fs01", r"not '\x1b[2Jhttp'"),
        ("https://fs01:443/x", "over SMB, not 'https'"),
        ("smb://", "no host"),
        ("smb:///share", "no host"),
        ("smb:fs01", "a port is a number"),
        ("\\\\?\\UNC\\fs01", "path on this machine"),
        ("\\\\.\\pipe\\srvsvc", "path on this machine"),
        ("fs01:", "a port is a number"),
        ("fs01:0", "a port is a number"),
        ("fs01:65536", "a port is a number"),
        ("fs01:000445", "a port is a number"),
        ("fs01:smb", "a port is a number"),
        ("fs01:٤٤٥", "a port is a number"),
        ("[::1]:", "a port is a number"),
        ("[::1]x", "brackets are for IPv6"),
        ("[::1]]:445", "brackets are for IPv6"),
        ("[::1", "brackets are for IPv6"),
        ("[fs01]", "brackets are for IPv6"),
        ("[10.1.2.3]", "brackets are for IPv6"),
        ("[:1]", "no IPv6 address"),
        ("[::1.]", "no IPv6 address"),
        ("1:2:3", "no IPv6 address"),
        ("fe80::1", "fe80::1%eth0"),
        ("[fe80::1]:445", "fe80::1%eth0"),
        ("febf::1", "needs the interface"),
        ("fe80::1%", "no IPv6 address"),
        ("fe80::1%a b", "no IPv6 address"),
        ("999.1.1.1", "no IPv4 address"),
        ("10.1", "no IPv4 address"),
        ("010.1.2.3", "no IPv4 address"),
        ("1.2.3." + "4" * 5000, "no IPv4 address"),  # int() takes 4,300 digits
        ("0x7f000001", "no IPv4 address"),
        ("1", "no IPv4 address"),
        ("fs01..example", "parts have 1 to 63"),
        (".fs01", "parts have 1 to 63"),
        ("a" * 64, "parts have 1 to 63"),
        (".".join(["a" * 60] * 5), "the whole 255"),
        ("fs01?x", "one server"),
        ("fs01|x", "no name has"),
        ("smb://fs01#x", "no name has"),
        ("fs\x0001", "no name has"),
        ("fs\ud80001", "no name has"),
        ("fs\u202e01", "no name has"),
        (".", "no host"),
        ("fs01:65536", "a port is"),
        ("x" * 79 + ",", "no blanks"),
        ("x" * 80 + ",", "no blanks"),
    ],
)  # fmt: skip
def test_servers_that_are_not(name: str, why: str) -> None:
    with pytest.raises(ValueError, match="write fs01") as caught:
        _names.parse_server(name)
    message = str(caught.value)
    assert why.replace("\\\\", "\\") in message
    if "@" not in name:
        shown = name if len(name) <= 80 else name[:77] + "..."
        assert message.startswith(_names.quoted(shown) + " is no server's name: ")


def test_messages_have_backslashes_as_they_were_typed() -> None:
    with pytest.raises(ValueError, match=r"^'FS01\\data' is no server's name"):
        _names.parse_server("FS01\\data")
    assert _names.quoted("a\\b\n\x1b'") == '"a\\b\\n\\x1b\'"'
    with pytest.raises(AmbiguousName) as caught:
        plan(rows(("a", "C\\alice"), ("b", "C.example\\alice")), None, "c.example\\ALICE")
    assert "User 'c.example\\ALICE' fits C\\alice" in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["me:s3cret@fs01", "smb://me:s3cret@fs01/share", "smb://me:s3/cret@fs01", "\\\\me:s3cret@fs01",
     "me:s3@cret@fs01", "http://me:s3cret@fs01"],
)  # fmt: skip
def test_credentials_with_a_server_are_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(ValueError, match=r"\(before 'fs01.*username=") as caught:
        _names.parse_server(name)
    assert "s3" not in str(caught.value)
    assert "cret" not in str(caught.value).replace("'fs01", "")


def test_addresses_for_unc_paths() -> None:
    assert _names.unc_host("fs01") == "fs01"
    assert _names.unc_host("fe80::1%eth0") == "fe80--1seth0.ipv6-literal.net"


# --- cost -----------------------------------------------------------------------------------------


def test_comparing_plain_names_imports_nothing() -> None:
    code = (
        "import sys, netsession; from netsession._names import *; from netsession import _names;"
        "_names.ClientPattern('WS17').fit('10.1.2.3'); _names.UserPattern('a').fit('B\\\\a');"
        "_names.parse_server('fs01:445');"
        "heavy = {'ipaddress', 'socket', 'threading', 'unicodedata', 're', 'encodings.idna'};"
        "sys.exit(' '.join(sorted(heavy & sys.modules.keys())) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r};" + code],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.stderr == ""
    assert done.returncode == 0


# --- where a server is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fs01", ("fs01", "fs01", True)),
        ("10.1.2.3", ("10.1.2.3", "10.1.2.3", False)),
        ("\\\\[::1]", ("::1", "--1.ipv6-literal.net", False)),
        ("fs01.münchen.example", ("fs01.münchen.example", "fs01.münchen.example", True)),
    ],
)
def test_where_a_server_is(name: str, expected: tuple[Any, ...]) -> None:
    assert parse_address(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "fs01:445", "ü" * 63, "\uff11.\uff12", "me@fs01", "fs 01",
        "straße.example", "ﬁle01",  # of which Python's IDNA makes other hosts
    ],
)  # fmt: skip
def test_where_no_server_can_be(name: str) -> None:
    with pytest.raises(ValueError, match=r"port=|looked up|write fs01"):
        parse_address(name)
