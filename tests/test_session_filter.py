"""SessionFilter keeps of a page what the same conditions, in Python, say of each record."""

# ruff: noqa: RUF001 - letters that look alike are what it is about

from __future__ import annotations

import copy
import ctypes
import functools
import gc
import ipaddress
import itertools
import pickle
import random
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from netsession import SessionPage, _netsession, where
from netsession._names import MOST_ELSEWHERE, ClientPattern, UserPattern
from netsession._netsession import SessionFilter
from netsession._where import Matcher
from netsession.testing import simulated_server

LEVELS = {
    0: ("client_name",),
    10: ("client_name", "user_name", "active_time", "idle_time"),
    1: ("client_name", "user_name", "num_opens", "active_time", "idle_time", "user_flags"),
    2: ("client_name", "user_name", "num_opens", "active_time", "idle_time", "user_flags",
        "client_type"),
    502: ("client_name", "user_name", "num_opens", "active_time", "idle_time", "user_flags",
          "client_type", "transport"),
}  # fmt: skip
UNKNOWN = 0xFFFFFFFF
BMP = "".join(map(chr, range(1, 0x10000)))
#: Units that a table maps, the results, and what is next to them.
CASED = sorted(
    {
        near
        for unit in BMP
        for upper in (_netsession.upcase(unit, 1), _netsession.upcase(unit, 2))
        if upper != unit
        for near in (unit, upper, chr(ord(unit) ^ 1), chr(ord(upper) + 1))
    }
)


def page_of(level: int, rows: Iterable[dict[str, Any]]) -> SessionPage:
    defaults = dict.fromkeys(LEVELS[502], 0) | dict.fromkeys(
        ("client_name", "user_name", "client_type", "transport")
    )
    records = [tuple((defaults | row)[field] for field in LEVELS[level]) for row in rows]
    return _netsession.page_from_records(level, records, len(records), None, False)


def users_page(names: Iterable[str | None]) -> SessionPage:
    return page_of(10, [{"client_name": "c", "user_name": name} for name in names])


def clients_page(names: Iterable[str | None]) -> SessionPage:
    return page_of(0, [{"client_name": name} for name in names])


def resolver(*addresses: str) -> Any:
    return lambda name: (frozenset(addresses), None if addresses else "unknown")


def remembered(matcher: Matcher) -> list[Any]:
    """All that the patterns have been told."""
    return [
        *((c.met, list(c.taken), c.lookup_failure) for c in matcher.clients),
        *((u.met, list(u.elsewhere)) for u in matcher.users),
    ]


def check(page: SessionPage, in_c: Matcher, in_python: Matcher) -> list[Any]:
    """That both say the same, and are told the same; what is kept."""
    kept = list(in_c.filter(page))
    assert kept == [record for record in page if in_python(record)], vars(in_c)
    assert remembered(in_c) == remembered(in_python)
    return kept


def check_where(page: SessionPage, *addresses: str, **conditions: Any) -> list[Any]:
    made = where(**conditions)
    resolve = resolver(*addresses) if addresses else None
    return check(page, made._matcher(resolve), made._matcher(resolve))


# --- names ----------------------------------------------------------------------------------------


def test_all_that_has_a_case_and_a_sample_of_the_bmp() -> None:
    for unit in sorted({*CASED, *BMP[::13]}):
        others = {unit, chr(ord(unit) ^ 1), chr(ord(unit) ^ 32)}
        others |= {_netsession.upcase(unit, 1), _netsession.upcase(unit, 2)}
        names = [f"x{other}y" for other in sorted(others - {"\0"})]
        pattern = f"x{unit}y"
        check(users_page(names), *(Matcher(users=[UserPattern(pattern)]) for _ in range(2)))
        check(clients_page(names), *(Matcher([ClientPattern(pattern)]) for _ in range(2)))


@pytest.mark.parametrize(
    ("turn", "pattern"), [*enumerate(["{}*", "*{}", "?{}?", "C{}\\*", "*@{}", "{}?x"])]
)
def test_wildcards_beside_every_unit_that_has_a_case(turn: int, pattern: str) -> None:
    """Each unit meets two of the patterns: all six of each would take a minute and tell no more."""
    for first, second in itertools.islice(itertools.pairwise(CASED), turn % 3, None, 3):
        names = [
            made for unit in (first, second, _netsession.upcase(first, 2))
            for made in (unit, f"{unit}x", f"x{unit}", f"x{unit}x", f"C{unit}\\a", f"a@{unit}",
                         f"{unit}+a", f"{unit}xx")
        ]  # fmt: skip
        for page, kind in ((users_page(names), "user"), (clients_page(names), "client")):
            check_where(page, **{kind: pattern.format(first)})


#: Names are put together of these: separators, wildcards, brackets, surrogates, cases, addresses.
PIECES = ["a", "A", "b", "", "\\", "@", "+", "/", ".", "*", "?", "$", "[", "]", ":", "%", "CORP",
          "corp.example", "alice", "ALICE", "ș", "Ș", "ς", "σ", "ß", "ﬁ", "😀", "\ud83d", "\ude00",
          "\uffff", "\u202e", "\x1b", "\x01", "-", "10.1.2.3", "::1", "2001:db8::5", "fe80::1%eth0",
          "2001:DB8:0:0::5", "::ffff:10.1.2.3", ".ipv6-literal.net", "WS17", "\\\\"]  # fmt: skip


def made_up(chance: random.Random, longest: int = 4) -> str:
    text = "".join(chance.choice(PIECES) for _ in range(chance.randint(1, longest)))
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def patterns(chance: random.Random, kind: str) -> Iterator[str]:
    """Names that may be looked for."""
    while True:
        text = made_up(chance)
        try:
            where(**{kind: text})
        except ValueError:
            continue
        yield text


@pytest.mark.parametrize("kind", ["user", "client"])
@pytest.mark.parametrize("seed", range(4))
def test_hostile_names(kind: str, seed: int) -> None:
    chance = random.Random(seed)
    names: list[str | None] = [made_up(chance) for _ in range(200)]
    page_made = users_page if kind == "user" else clients_page
    kept = 0
    for pattern in itertools.islice(patterns(chance, kind), 300):
        listed = [*names, None, "", pattern, pattern.swapcase(), f"CORP\\{pattern}", f"[{pattern}]",
                  f"{pattern}@corp.example", f"CORP+{pattern}", f"\\\\{pattern}"]  # fmt: skip
        page = page_made(listed)
        addresses = ("10.1.2.3", "2001:db8::5")
        kept += len(check_where(page, *addresses, **{kind: pattern}))
        exact = [
            Matcher(users=[UserPattern(pattern)])
            if kind == "user"
            else Matcher([ClientPattern(pattern, resolver(*addresses))])
            for _ in range(2)
        ]
        check(page, *exact)
    assert kept > 300


def test_long_names() -> None:
    names = ["a" * 1023, "a" * 1022 + "b", "a" * 5000, "A" * 1023, "\\" * 1023, "@" * 1023, "b"]
    for pattern in ("a" * 1023, "*a*a*a*b", "*", "?" * 1023, "a" * 1022 + "*", "*" * 1023):
        check_where(users_page(names), user=pattern)
        check_where(clients_page(names), client=pattern)


def test_wildcards_take_no_longer_than_the_product_of_lengths() -> None:
    """A hang guard, not a measurement: what blows up would take longer than the universe is old."""
    page = users_page(["a" * 1000] * 20)
    pattern = "*a" * 400 + "*b"
    assert list(where(user=pattern)._matcher().filter(page)) == []
    assert not where(user=pattern)(page[0])


@pytest.mark.parametrize(
    ("pattern", "fit", "unfit"),
    [
        ("alice", ["alice", "ALICE", "CORP\\alice", "alice@corp.example"], ["alice2", "malice"]),
        ("CORP\\alice@x.y", ["alice@x.y", "CORP\\alice@x.y"], ["alice", "CORP\\alice"]),
        ("al?ce", ["alice", "AL😀CE", "CORP\\alyce"], ["alce", "aliice"]),
        ("a*", ["a", "alice", "CORP\\alice", "Alice@corp.example", "CORP+alice"],
         ["ADMIN\\bob", "bob@a.example", "ACME+bob", "ACME/bob"]),
        ("*e", ["alice", "CORP\\alice"], ["bob@corp.example", "alice.b"]),
        ("*", ["alice", "CORP\\bob", "x@y", "CORP+bob"], [None, ""]),
        ("CORP\\*", ["CORP\\bob", "corp.example\\x", "bob", "bob@corp.example", "CORP+bob"],
         ["OTHER\\bob", "bob@other.example"]),
        ("C*\\b?b", ["CORP\\bob", "c\\BXB", "bob"], ["D\\bob", "CORP\\bb"]),
        ("*@corp.example", ["CORP\\bob", "bob@corp.example", "bob", "M\\bob@corp.example"],
         ["bob@corp.other"]),
        ("*$", ["FS01$", "CORP\\FS01$", "fs01$@corp.example"], ["alice", "a$b"]),
        (".\\a*", ["alice"], ["CORP\\alice"]),
        ("te?m+a*", ["team+alice"], ["tm+alice"]),
    ],
)  # fmt: skip
def test_users_by_patterns(pattern: str, fit: list[str], unfit: list[str | None]) -> None:
    kept = check_where(users_page([*fit, *unfit]), user=pattern)
    assert [record.user_name for record in kept] == fit


@pytest.mark.parametrize(
    ("pattern", "fit", "unfit"),
    [
        ("ws*", ["\\\\WS17", "ws17.corp.example", "WS"], ["10.1.2.3", "XWS17", "[::1]"]),
        ("WS??", ["\\\\ws17"], ["WS1", "WS170"]),
        ("10.1.2.*", ["\\\\10.1.2.3", "::ffff:10.1.2.3", "10.1.2.200"], ["10.1.20.3", "WS"]),
        ("2001:db8:*", ["\\\\[2001:db8::5]", "2001:DB8:0:0::5", "2001:0db8::1"], ["2001:db9::5"]),
        ("[2001:db8::*]", ["[2001:db8::5]", "2001:db8::6%eth0"], ["2001:db8:1::5"]),
        ("fe80::1%*", ["fe80::1%eth0"], ["fe80::1", "fe80::2%eth0"]),
        ("a:*", ["[a::f]", "[A::F]", "a::g"], ["[a::g]", "[A::G]", "[a::/]", "[a::@]"]),
        ("\\\\ws*", ["WS17"], ["x"]),
        ("*", ["WS17", "10.1.2.3", "::1"], [None, ""]),
    ],
)  # fmt: skip
def test_clients_by_patterns(pattern: str, fit: list[str], unfit: list[str | None]) -> None:
    kept = check_where(clients_page([*fit, *unfit]), client=pattern)
    assert [record.client_name for record in kept] == fit


# --- addresses ------------------------------------------------------------------------------------


def spelled(chance: random.Random) -> str:
    """An IPv6 address in some spelling, or something that is nearly one."""
    groups = [chance.choice(["0", "0", "0000", "1", "db8", "DB8", "ffff", "00a"]) for _ in range(8)]
    text = ":".join(groups[: chance.randint(6, 9)])
    for _ in range(chance.randint(0, 2)):
        text = text.replace(chance.choice([":0:0:", ":0:", "0:", ":0"]), chance.choice(["::", ":"]))
    ends = [
        "",
        "",
        "",
        ":1.2.3.4",
        "::",
        ":",
        ".",
        "%eth0",
        "%",
        ":12345",
        ":g",
        ":01.2.3.4",
        ":1.2.3",
    ]
    return chance.choice(["", "", "", ":", "::"]) + text + chance.choice(ends)


def test_addresses_are_read_as_python_reads_them() -> None:
    chance = random.Random(9)
    texts = ["::", "::1", "1::", ":1", "1:", ":::", "1:::2", "::1.2.3.4", "1.2.3.4::", "::01.2.3.4",
             "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::2::3",
             "1:2:3:4:5:6:7:8:9", "1::2:3:4:5:6:7:8:9", "::1:2:3:4:5:6:7:8:9",
             "::1:2:3:4:5:6:7:1.2.3.4",
             "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "::ffff:1.2.3.4", "::ffff:0102:0304",
             "1.2.3.4", "1.2.3.04", "1.2.3.256", "1.2.3", "1.2.3.4.5", "\uff11::", "::1%",
             "::1%a%b", "::12345", "::01234", "::1.2.3.256", "::00001", "12345::", "0.0.0.0256",
             "1.2.3.4%", "1.2.3.4%eth0",
             *(spelled(chance) for _ in range(4000))]  # fmt: skip
    read: dict[Any, list[str]] = {}
    unread: list[str] = []
    for text in texts:
        plain, percent, zone = text.partition("%")
        try:
            address: Any = ipaddress.ip_address(plain)
        except ValueError:
            unread.append(text)
            continue
        if bool(percent) == bool(zone) and not (percent and address.version == 4):
            address = getattr(address, "ipv4_mapped", None) or address
            read.setdefault(address, []).append(text)
        else:
            unread.append(text)
    assert len(read) > 300
    assert len(unread) > 300
    asked: list[str] = []  # the host's addresses, where something listed is taken for one
    Matcher([ClientPattern("ws17", asked.append)]).filter(clients_page(unread))  # type: ignore[arg-type]
    assert asked == []
    page = clients_page(texts)
    for address, spellings in read.items():
        compiled = Matcher([ClientPattern(str(address))])
        assert {record.client_name for record in compiled.filter(page)} == set(spellings), address


def test_addresses_are_spelled_as_python_spells_them() -> None:
    """A pattern that only the usual spelling fits: the address itself with one wildcard."""
    chance = random.Random(10)
    for _ in range(2000):
        words = [chance.choice([0, 0, 0, 1, 0xDB8, 0xFFFF, 0xA0]) for _ in range(8)]
        address = ipaddress.IPv6Address(sum(word << 16 * i for i, word in enumerate(words)))
        usual = str(address.ipv4_mapped or address)
        page = clients_page([address.exploded.upper()])
        for pattern in (usual[:-1] + "?", "?" + usual[1:]):
            assert len(check_where(page, client=pattern)) == 1, (pattern, address)


def test_a_host_name_is_looked_up_once_and_only_for_addresses() -> None:
    asked: list[str] = []

    def resolve(name: str) -> tuple[frozenset[str], str | None]:
        asked.append(name)
        return frozenset({"10.1.2.3", "2001:db8::5", "nonsense"}), None

    pattern = ClientPattern("WS17", resolve)
    matcher = Matcher([pattern])
    names = clients_page(["\\\\WS17", "other", "a:b", "::x", "1.2.3"])
    assert len(matcher.filter(names)) == 1
    assert asked == []
    page = clients_page(["10.1.2.3", "10.1.2.4", "\\\\[2001:DB8:0::5]", "::ffff:10.1.2.3",
                         "10.1.2.3", "2001:db8::5%eth0"])  # fmt: skip
    assert len(matcher.filter(page)) == len(matcher.filter(page)) == 5
    assert asked == ["WS17"]
    assert list(pattern.taken) == ["10.1.2.3", "2001:DB8:0::5", "::ffff:10.1.2.3",
                                   "2001:db8::5%eth0"]  # fmt: skip
    check(page, *(Matcher([ClientPattern("WS17", resolve)]) for _ in range(2)))


def test_what_a_look_up_raises_is_raised() -> None:
    def resolve(_: str) -> Any:
        raise TimeoutError("closed")

    matcher = Matcher([ClientPattern("a"), ClientPattern("WS17", resolve)])
    for _ in range(3):
        with pytest.raises(TimeoutError, match="closed"):
            matcher.filter(clients_page(["a", "10.1.2.3"]))
        assert not matcher.clients[0].met  # nobody is told anything in the middle of an exception


# --- numbers --------------------------------------------------------------------------------------

NUMBERS = (0, 1, 3599, 3600, 3601, 0x7FFFFFFF, 0x80000000, UNKNOWN - 1, UNKNOWN)


#: Opens, seconds active, seconds idle.
NUMBERS_TOGETHER = [
    *zip(NUMBERS, NUMBERS, NUMBERS, strict=True),
    (0, UNKNOWN, 5), (0, 5, UNKNOWN), (0, 4000, 5000), (5, 4000, 0),
]  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "conditions",
    [
        {"idle_for": 3600}, {"idle_for": 3599.5}, {"idle_for": 0}, {"idle_for": 1e300},
        {"idle_for": UNKNOWN}, {"idle_for": UNKNOWN - 1},
        {"active_for": 3600}, {"active_for": 1}, {"no_opens": True}, {"min_opens": 0},
        {"min_opens": 3600}, {"min_opens": UNKNOWN}, {"exclude_machine_accounts": True},
        {"idle_for": 3600, "active_for": 3601, "no_opens": True, "user": "a", "client": "c"},
        {"idle_for": 1, "exclude_machine_accounts": True, "client": "*"},
        {"user": ["a", "b$"]}, {},
    ],
)  # fmt: skip
def test_every_level(level: int, conditions: dict[str, Any]) -> None:
    rows = [
        {"client_name": client, "user_name": user, "num_opens": a, "active_time": b, "idle_time": c}
        for client in ("c", None)
        for user in ("a", "b$", "x$@y", "x@y$", "D\\e$", "$", "", None)
        for a, b, c in NUMBERS_TOGETHER
    ]
    check_where(page_of(level, rows), **conditions)


def test_unknown_times_never_match() -> None:
    rows = [{"idle_time": UNKNOWN, "active_time": UNKNOWN}, {"idle_time": 5, "active_time": 5}]
    for name in ("idle_for", "active_for"):
        assert len(check_where(page_of(10, rows), **{name: 0})) == 1


def test_own_sessions_are_left_out() -> None:
    rows = [
        {"client_name": client, "user_name": user}
        for client in ("\\\\10.1.2.3", "[::1]", "WS17", None, "10.1.2.4")
        for user in ("me", "CORP\\ME", "OTHER\\me", "me2", "", None)
    ]
    page = page_of(1, rows)

    def matcher(clients: Sequence[str], users: Sequence[str]) -> Matcher:
        made = where(exclude_self=True)._matcher()
        return made.without([ClientPattern(c) for c in clients], [UserPattern(u) for u in users])

    ours = (["10.1.2.3", "0:0::1", "ws17"], ["CORP\\me"])
    kept = check(page, matcher(*ours), matcher(*ours))
    left_out = [tuple(record[:2]) for record in page if record not in kept]
    assert left_out == [
        (client, user)
        for client in ("\\\\10.1.2.3", "[::1]", "WS17")
        for user in ("me", "CORP\\ME")
    ]
    for nothing_known in (([], ["me"]), (["10.1.2.3"], []), ([], [])):
        pair = matcher(*nothing_known), matcher(*nothing_known)
        assert len(check(page, *pair)) == len(page)


# --- what patterns are told -----------------------------------------------------------------------


def test_what_was_met_is_told_also_where_the_rest_is_not_true() -> None:
    page = page_of(502, [{"client_name": "a", "user_name": "alice", "idle_time": 1}])
    for conditions in (
        {"user": "alice", "client": "a", "idle_for": 5},
        {"client": "a", "user": "b"},
        {"client": ["a", "?"], "user": ["alice", "a*"]},  # each that fits is met
    ):
        check_where(page, **conditions)
    matcher = where(user=["alice", "bob"], client="a", idle_for=5)._matcher()
    assert len(matcher.filter(page)) == 0
    assert (matcher.clients[0].met, [user.met for user in matcher.users]) == (True, [True, False])


def test_only_so_many_other_domains_are_remembered() -> None:
    page = users_page([f"D{i}\\alice" for i in range(1000)])
    in_c, in_python = (Matcher(users=[UserPattern("CORP\\alice")]) for _ in range(2))
    check(page, in_c, in_python)
    assert list(in_c.users[0].elsewhere) == [f"D{i}\\alice" for i in range(MOST_ELSEWHERE)]


# --- pages and the type itself --------------------------------------------------------------------


def test_a_filtered_page_is_a_page() -> None:
    server = simulated_server(5000)
    page = next(server.sessions(level=502).pages())
    kept = where(user="alice*")._matcher().filter(page)
    expected = [record for record in page if record.user_name.startswith("alice")]
    del page
    gc.collect()
    assert list(kept) == expected
    assert sys.getsizeof(kept) < len(kept) * 48 + 200
    assert list(where(user="*2")._matcher().filter(kept)) == [
        record for record in expected if record.user_name.endswith("2")
    ]
    assert list(kept.filter(lambda _: False)) == []
    assert kept.level == 502


def test_arguments_are_checked() -> None:
    rest = ((), (), None, None, None, None, False)
    with pytest.raises(TypeError):
        SessionFilter()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        SessionFilter([], (), *rest)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        SessionFilter((5,), (), *rest)  # type: ignore[arg-type]
    no_tuple = ["a", 0, None, "", 0]
    for parts in (None, (), ("a",), ("a", 0, 5, "", 0), (5, 0, None, "", 0), no_tuple):
        with pytest.raises(TypeError):
            SessionFilter((Pattern(parts),), (), *rest)  # type: ignore[arg-type]
    for parts in (
        None,
        (),
        ("a", 0, []),
        ("a", 0, (5,)),
        ("a", 0, ((5, "a"),)),
        ("a", 0, (("a", 5),)),
    ):
        with pytest.raises(TypeError):
            SessionFilter((), (Pattern(parts),), *rest)  # type: ignore[arg-type]
    for parts in (("a", 0, ()), ("a", 0, ((None, "a"),) * 3), ("a\0", 0, ((None, "a"),))):
        with pytest.raises(ValueError):  # noqa: PT011 - each its own
            SessionFilter((), (Pattern(parts),), *rest)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is no address"):
        SessionFilter((Pattern(("a", 0, "::x", "", 0)),), (), *rest)  # type: ignore[arg-type]
    for number in (-1, 1 << 32):
        with pytest.raises(ValueError, match="idle_time"):
            SessionFilter((), (), (), (), number, None, None, None, False)
    with pytest.raises(TypeError, match="most_opens"):
        SessionFilter((), (), (), (), None, None, None, "x", False)  # type: ignore[arg-type]


class Pattern:
    """Something that says of itself what a pattern is."""

    def __init__(self, parts: Any) -> None:
        self.parts = parts


def test_a_pattern_that_cannot_remember_is_an_error() -> None:
    class Forgetful(Pattern):
        elsewhere = taken = ()  # no dict
        __slots__ = ()

        def addresses(self) -> Any:
            return ["10.1.2.3"]

    user = Forgetful(("D\\a", 0, (("D", "a"),)))
    made = SessionFilter((), (user,), (), (), None, None, None, None, False)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="elsewhere must be a dict"):
        users_page(["C\\a"]).filter(made)
    client = Forgetful(("ws", 0, None, "", 1))
    made = SessionFilter((client,), (), (), (), None, None, None, None, False)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="taken must be a dict"):
        clients_page(["10.1.2.3"]).filter(made)
    for answer in (5, [5], ["a\0"]):
        client.addresses = lambda answer=answer: answer  # type: ignore[method-assign,misc]
        with pytest.raises((TypeError, ValueError)):
            clients_page(["10.1.2.3"]).filter(made)


def test_it_can_be_neither_pickled_nor_copied() -> None:
    made = SessionFilter((), (), (), (), None, None, None, None, False)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(made, protocol)
    with pytest.raises(TypeError, match="cannot pickle"):
        copy.copy(made)
    with pytest.raises(AttributeError):
        made.clients = ()  # type: ignore[attr-defined]


def test_a_cycle_with_its_patterns_is_collected() -> None:
    client, user = ClientPattern("a"), UserPattern("b")
    made = SessionFilter((client,), (user,), (client,), (user,), None, None, None, None, False)
    client.cycle = user.cycle = made  # type: ignore[attr-defined]
    gone = weakref.ref(client), weakref.ref(user)
    del client, user, made
    gc.collect()
    assert [each() for each in gone] == [None, None]


def test_a_filter_is_shown_to_nobody_before_it_is_whole() -> None:
    class Looks:
        @property
        def parts(self) -> Any:
            found.extend(id(each) for each in gc.get_objects() if type(each) is SessionFilter)
            return "a", 0, None, "", 0

    found: list[int] = []
    made = SessionFilter((Looks(),), (), (), (), None, None, None, None, False)  # type: ignore[arg-type]
    assert gc.is_tracked(made)
    assert id(made) not in found


def test_many_threads_use_one_filter() -> None:
    page = next(simulated_server(3000).sessions(level=502).pages())
    matcher = where(user=["alice*", "C\\bob.24"], client="10.*", idle_for=100)._matcher(None)
    expected = list(matcher.filter(page))
    results: list[bool] = []

    def work() -> None:
        results.append(all(list(matcher.filter(page)) == expected for _ in range(20)))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 6


def test_a_filter_owns_its_patterns() -> None:
    client, user = ClientPattern("a"), UserPattern("a")
    before = sys.getrefcount(client), sys.getrefcount(user)
    made = SessionFilter((client,), (user,), (), (), None, None, None, None, False)
    assert (sys.getrefcount(client), sys.getrefcount(user)) == (before[0] + 1, before[1] + 1)
    del made
    assert (sys.getrefcount(client), sys.getrefcount(user)) == before


@pytest.mark.skipif(sys.platform == "win32", reason="sends itself a signal")
def test_ctrl_c_ends_a_long_filter() -> None:
    """Where no bytecode runs, and so before the next session is found to fit."""
    send = ctypes.CDLL(None)["raise"]  # returns once the signal is noted, and runs no Python

    class Interrupting(ClientPattern):
        addresses = staticmethod(functools.partial(filter, send, [signal.SIGINT]))  # type: ignore[assignment]

    pattern = Interrupting("ws17", resolver("::1"))
    page = clients_page(["10.1.2.3", *["ws17"] * 5000])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            Matcher([pattern]).filter(page)
            time.sleep(0)  # a handler runs between two instructions at the latest
    finally:
        signal.signal(signal.SIGINT, before)
    assert not pattern.met
