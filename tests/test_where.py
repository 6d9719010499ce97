"""Conditions on sessions: what may be said, what it means of a record and of a server's list."""

from __future__ import annotations

import asyncio
import copy
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

import netsession
from netsession import (
    AccessDenied,
    SessionInfo0,
    SessionInfo1,
    SessionInfo10,
    SessionInfo502,
    Where,
    _caller,
    where,
)
from netsession._names import ClientPattern, UserPattern
from netsession._simulator import Simulator
from netsession._where import Matcher
from netsession.testing import SimulatedServer, simulated_server

ROWS = [
    {"client_name": "\\\\WS17", "user_name": "alice", "num_opens": 0, "active_time": 90_000,
     "idle_time": 3600},
    {"client_name": "\\\\10.1.2.3", "user_name": "CORP\\bob", "num_opens": 3, "active_time": 60,
     "idle_time": 0},
    {"client_name": "\\\\[2001:db8::5]", "user_name": "FS01$", "num_opens": 1,
     "active_time": 0xFFFFFFFF, "idle_time": 0xFFFFFFFF},
    {"client_name": None, "user_name": None, "num_opens": 0xFFFFFFFF, "active_time": 7200,
     "idle_time": 7199},
]  # fmt: skip
ALICE, BOB, MACHINE, NOBODY = range(4)


def kept(conditions: Where, **options: Any) -> list[int]:
    """Which of ROWS a server lists."""
    with simulated_server(ROWS) as server:
        everything = list(server.sessions(level=options.get("level", 502)))
        listed = list(server.sessions(where=conditions, **options))
    return [everything.index(record) for record in listed]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [ALICE, BOB, MACHINE, NOBODY]),
        ({"user": "ALICE"}, [ALICE]),
        ({"user": ["alice", "bob"]}, [ALICE, BOB]),
        ({"user": (name for name in ("a*", "x"))}, [ALICE]),
        ({"user": "*"}, [ALICE, BOB, MACHINE]),
        ({"client": "ws17"}, [ALICE]),
        ({"client": ["10.*", "2001:0db8::5"]}, [BOB, MACHINE]),
        ({"user": "alice", "client": "10.*"}, []),
        ({"idle_for": timedelta(hours=1)}, [ALICE, NOBODY]),
        ({"idle_for": 3600.5}, [NOBODY]),
        ({"idle_for": 0}, [ALICE, BOB, NOBODY]),
        ({"active_for": timedelta(days=1)}, [ALICE]),
        ({"active_for": timedelta(days=999_999_999)}, []),
        ({"no_opens": True}, [ALICE]),
        ({"min_opens": 0}, [ALICE, BOB, MACHINE, NOBODY]),
        ({"min_opens": 1}, [BOB, MACHINE, NOBODY]),
        ({"min_opens": 0xFFFFFFFF}, [NOBODY]),
        ({"min_opens": 0, "no_opens": True}, [ALICE]),
        ({"exclude_machine_accounts": True}, [ALICE, BOB, NOBODY]),
        ({"exclude_self": True}, [ALICE, BOB, MACHINE, NOBODY]),  # nobody asks a simulator
        ({"idle_for": 1, "no_opens": True, "user": ["*"], "client": "*"}, [ALICE]),
    ],
)  # fmt: skip
def test_what_conditions_mean(conditions: dict[str, Any], expected: list[int]) -> None:
    made = where(**conditions)
    assert kept(made) == expected
    if conditions.get("exclude_self"):
        with pytest.raises(ValueError, match="give where= to"):
            made(SessionInfo0("a"))
        return
    with simulated_server(ROWS) as server:
        assert [
            i for i, record in enumerate(server.sessions(level=502)) if made(record)
        ] == expected


@pytest.mark.parametrize(
    ("conditions", "error", "message"),
    [
        ({"user": 5}, TypeError, "user must be a str or an iterable of str, not int"),
        ({"user": b"a"}, TypeError, "user must be a str or an iterable of str, not bytes"),
        ({"user": [b"a"]}, TypeError, "user must be a str, not bytes"),
        ({"user": ["a", None]}, TypeError, "user must be a str, not NoneType"),
        ({"user": []}, ValueError, "user holds no name"),
        ({"user": ""}, ValueError, "user must not be empty"),
        ({"user": ["a", ""]}, ValueError, "user must not be empty"),
        ({"user": "CORP\\"}, ValueError, "user must have a name after the domain"),
        ({"user": "a\0"}, ValueError, "user must not contain a NUL"),
        ({"user": "x" * 1024}, ValueError, "user must be at most 1023"),
        ({"client": 5}, TypeError, "client must be a str or an iterable"),
        ({"client": "\\\\"}, ValueError, "client must be a computer name or an address"),
        ({"client": {}}, ValueError, "client holds no name"),
        ({"idle_for": "1h"}, TypeError, "idle_for must be a timedelta or a number of seconds"),
        ({"idle_for": True}, TypeError, "idle_for must be a timedelta or a number"),
        ({"idle_for": -1}, ValueError, "idle_for must be 0 seconds or more"),
        ({"active_for": timedelta(-1)}, ValueError, "active_for must be 0 seconds or more"),
        ({"active_for": float("nan")}, ValueError, "active_for must be 0 seconds or more"),
        ({"active_for": float("inf")}, ValueError, "finite"),
        ({"no_opens": 1}, TypeError, "no_opens must be True or False, not int"),
        ({"min_opens": 1.0}, TypeError, "min_opens must be an int, not float"),
        ({"min_opens": True}, TypeError, "min_opens must be an int, not bool"),
        ({"min_opens": -1}, ValueError, "min_opens must be between 0 and 4294967295"),
        ({"min_opens": 1 << 32}, ValueError, "min_opens must be between 0 and 4294967295"),
        ({"min_opens": 1, "no_opens": True}, ValueError, "min_opens and no_opens contradict"),
        ({"exclude_self": None}, TypeError, "exclude_self must be True or False"),
        ({"exclude_machine_accounts": "yes"}, TypeError, "exclude_machine_accounts must be True"),
    ],
)  # fmt: skip
def test_bad_conditions_are_named(
    conditions: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        where(**conditions)


def test_unknown_conditions() -> None:
    with pytest.raises(TypeError):
        where(idle=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="no argument 'idle'"):
        Where(idle=5)
    with pytest.raises(TypeError):
        where("alice")  # type: ignore[misc]


# --- the object -----------------------------------------------------------------------------------

EVERYTHING: dict[str, Any] = {
    "user": ("alice", "b*"),
    "client": "ws17",
    "idle_for": timedelta(hours=1),
    "active_for": 2.5,
    "min_opens": 0,
    "exclude_machine_accounts": True,
    "exclude_self": True,
}


def test_it_is_a_value() -> None:
    made = where(**EVERYTHING)
    assert repr(made) == (
        "where(user=('alice', 'b*'), client='ws17', idle_for=datetime.timedelta(seconds=3600), "
        "active_for=2.5, min_opens=0, exclude_machine_accounts=True, exclude_self=True)"
    )
    assert repr(where()) == "where()"
    same = where(**EVERYTHING | {"user": ["alice", "b*"], "client": ["ws17"], "idle_for": 3600})
    assert made == same
    assert hash(made) == hash(same)
    assert made != where()
    assert made != "where()"
    for name in EVERYTHING:
        others = {each: said for each, said in EVERYTHING.items() if each != name}
        assert made != where(**others)
    with pytest.raises(AttributeError, match="cannot be changed"):
        made.user = "bob"  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="cannot be changed"):
        del made._said


def test_one_name_is_the_same_by_itself_or_in_a_list() -> None:
    for argument in ("user", "client"):
        alone, listed = where(**{argument: "a"}), where(**{argument: ["a"]})  # type: ignore[arg-type]
        assert alone == listed
        assert hash(alone) == hash(listed)


def test_copies_and_pickles_are_equal() -> None:
    made = where(**EVERYTHING)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(made, protocol))
        assert again == made
        assert repr(again) == repr(made)
    assert copy.deepcopy(made) == copy.copy(made) == made
    plain = pickle.loads(pickle.dumps(where(user="a*")))
    assert plain(SessionInfo10("c", "alice", 0, 0))
    assert not plain(SessionInfo10("c", "bob", 0, 0))


@pytest.mark.parametrize(
    ("conditions", "fields"),
    [
        ({}, set()),
        ({"user": "a"}, {"user_name"}),
        ({"client": "a"}, {"client_name"}),
        ({"idle_for": 0}, {"idle_time"}),
        ({"active_for": 1, "no_opens": True}, {"active_time", "num_opens"}),
        ({"min_opens": 0}, {"num_opens"}),
        ({"exclude_machine_accounts": True}, {"user_name"}),
        ({"exclude_self": True}, {"client_name", "user_name"}),
        ({"no_opens": False, "exclude_self": False}, set()),
    ],
)
def test_fields_that_it_looks_at(conditions: dict[str, Any], fields: set[str]) -> None:
    assert where(**conditions).fields == fields


def test_what_a_record_lacks_is_not_true_of_it() -> None:
    record = SessionInfo0("\\\\WS17")
    assert where(client="ws17")(record)
    for conditions in ({"user": "*"}, {"idle_for": 0}, {"active_for": 0}, {"min_opens": 0},
                       {"no_opens": True}):  # fmt: skip
        assert not where(**conditions)(record)  # type: ignore[arg-type]
    assert where(exclude_machine_accounts=True)(record)


def test_it_is_imported_when_it_is_wanted() -> None:
    code = (
        "import sys, netsession; assert 'netsession._where' not in sys.modules;"
        "from netsession import where; where(user='a*', idle_for=5);"
        "heavy = {'datetime', 're', 'ipaddress', 'typing', 'unicodedata', 'threading'};"
        "sys.exit(' '.join(sorted(heavy & sys.modules.keys())) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r};" + code],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert netsession.where is where


# --- levels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "levels"),
    [
        ({"client": "WS17"}, [502, 2, 1, 10, 0]),
        ({"user": "alice"}, [502, 2, 1, 10]),
        ({"idle_for": 1}, [502, 2, 1, 10]),
        ({"exclude_machine_accounts": True}, [502, 2, 1, 10]),
        ({"no_opens": True}, [502, 2, 1]),
        ({"min_opens": 1, "active_for": 0}, [502, 2, 1]),
        ({}, [502, 2, 1, 10, 0]),
    ],
)
def test_only_levels_that_tell_are_asked(conditions: dict[str, Any], levels: list[int]) -> None:
    """The richest that is granted; where none is left that tells, the refusal."""
    made = where(**conditions)
    with simulated_server(ROWS) as server:
        for level in levels:
            query = server.sessions(where=made)
            list(query)
            assert query.level == level
            server.refuse(level)
        with pytest.raises(AccessDenied):
            list(server.sessions(where=made))


def test_an_explicit_level_must_tell() -> None:
    with simulated_server(ROWS) as server:
        for level, conditions, message in (
            (10, {"no_opens": True}, "level 10 has no num_opens, .* needs level 502, 2 or 1$"),
            (0, {"idle_for": 1}, "level 0 has no idle_time"),
            (0, {"min_opens": 1, "user": "a"}, "level 0 has no num_opens and no user_name"),
        ):
            with pytest.raises(ValueError, match=message):
                server.sessions(level=level, where=where(**conditions))
        (found,) = server.sessions(level=10, where=where(idle_for=7199))
        assert found.active_time == 7200


@pytest.mark.parametrize(
    "conditions",
    [{"user": "a*"}, {"exclude_machine_accounts": True, "user": ["alice"]}],
)
def test_users_at_level_0_are_found_at_another_level(conditions: dict[str, Any]) -> None:
    with simulated_server(ROWS) as server:
        assert list(server.sessions(level=0, where=where(**conditions))) == [
            SessionInfo0("\\\\WS17")
        ]
        server.refuse(10)
        assert len(list(server.sessions(level=0, where=where(**conditions)))) == 1


def test_the_level_is_one_that_is_asked() -> None:
    with simulated_server(ROWS) as server:
        for level in (502, 2, 1, 10):
            server.refuse(level)
        assert server.sessions().level is None
        list(server.sessions())
        assert server.sessions().level == 0
        assert server.sessions(where=where(idle_for=1)).level is None
        assert server.sessions(user="alice").level is None


# --- in a query -----------------------------------------------------------------------------------


def test_beside_client_and_user(simulate: Callable[..., Any]) -> None:
    server, simulator = simulate(5000, 700)
    plain = [
        record
        for record in server.sessions()
        if "alice" in (record.user_name or "") and record.idle_time >= 100_000
    ]
    clients = {record.client for record in plain}
    both = [
        record
        for client in sorted(clients)
        for record in server.sessions(client=client, where=where(user="*alice*", idle_for=100_000))
    ]
    assert sorted(both) == sorted(plain)
    query = server.sessions(user="nobody.here", where=where(idle_for=0))
    assert list(query) == []
    assert simulator.calls("NetSessionEnum") > len(clients)


def test_page_by_page_and_in_asyncio(simulate: Callable[..., Any]) -> None:
    server, _ = simulate(3000, 500)
    query = server.sessions(where=where(user="alice*"))
    expected = [r for r in server.sessions() if (r.user_name or "").startswith("alice")]
    assert [len(page) for page in query.pages()] == [
        sum((r.user_name or "").startswith("alice") for r in page)
        for page in server.sessions().pages()
    ]

    async def collect() -> list[Any]:
        return [record async for record in query]

    assert list(query) == asyncio.run(collect()) == expected


def test_what_is_no_where_is_refused() -> None:
    with simulated_server(3) as server:
        for other in ("alice", lambda record: True, {}, where):
            with pytest.raises(TypeError, match="where must be what netsession"):
                server.sessions(where=other)  # type: ignore[arg-type]


def test_why_nothing_matched() -> None:
    with simulated_server(ROWS) as server:
        for conditions, why in (
            ({"user": "bob", "client": "ws17"}, "there are sessions from ws17, but none of bob"),
            ({"user": ["x", "y*"], "client": ["ws*", "z"]},
             "there are sessions from ws*, but none of x, y*"),
            ({"user": "OTHER\\bob"}, "there are sessions of CORP\\bob"),
            ({"user": "alice", "client": "ws17", "idle_for": 4000}, None),
            ({"idle_for": 8000}, None),
        ):  # fmt: skip
            query = server.sessions(where=where(**conditions))  # type: ignore[arg-type]
            assert list(query) == []
            assert query._why_nothing() == why


def test_a_server_that_says_nobody_is_idle() -> None:
    """As Samba does, so that nothing is ever found."""
    with simulated_server([{"user_name": "a", "active_time": 9}] * 3) as server:
        query = server.sessions(where=where(idle_for=1))
        assert list(query) == []
        assert query._why_nothing() == (
            "the server says of every session that it is idle for 0 s, as Samba does"
        )
        for found in ({"idle_for": 0}, {"active_for": 1}):
            query = server.sessions(where=where(**found))  # type: ignore[arg-type]
            assert len(list(query)) == 3
            assert query._why_nothing() is None


def test_one_that_is_idle_for_a_second_tells_that_the_server_knows() -> None:
    """Also where that is the only one, and a computer's."""
    with simulated_server([{"user_name": "FS01$", "idle_time": 1}, {"user_name": "a"}]) as server:
        query = server.sessions(where=where(idle_for=2))
        assert list(query) == []
        assert query._why_nothing() is None


def test_a_matcher_that_was_told_nothing_leaves_nobody_out() -> None:
    nothing = Matcher()
    assert nothing(SessionInfo1("\\\\FS01", "FS01$", 0, 0, 0, 0))
    assert not nothing.not_self


def test_who_is_left_out_is_left_out_of_the_next_page_too() -> None:
    """Though the same conditions had looked at a page before without it."""
    with simulated_server(ROWS) as server:
        (page,) = server.sessions(level=502).pages()
    everybody = where(client=["*"])._matcher()
    assert len(everybody.filter(page)) == 3
    others = everybody.without([ClientPattern("ws17")], [UserPattern("alice")])
    assert [record.user_name for record in others.filter(page)] == ["CORP\\bob", "FS01$"]


def test_host_names_are_looked_up_within_the_query(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(_self: Any, name: str, _call: Any) -> tuple[frozenset[str], str | None]:
        found = {"PC1": "10.1.2.3", "PC2": "2001:db8::5"}.get(name)
        return frozenset([found] if found else []), None if found else "no such name"

    monkeypatch.setattr(SimulatedServer, "_resolve", resolve)
    with simulated_server(ROWS) as server:
        query = server.sessions(where=where(client=["PC1", "PC2", "PC?"]))
        assert [record.user_name for record in query] == ["CORP\\bob", "FS01$"]
        assert query.addresses == ("10.1.2.3", "2001:db8::5")
        query = server.sessions(where=where(client="PC3"))
        assert list(query) == []
        assert query._why_nothing() == "the name PC3 could not be looked up (no such name)"
    assert not where(client="PC1")(SessionInfo1("10.1.2.3", "a", 0, 0, 0, 0))  # nobody is asked


def test_one_s_own_session(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def caller(*_: Any) -> Any:
        asked.append(1)
        return [ClientPattern("10.1.2.3"), ClientPattern("ws17")], [UserPattern("bob")]

    monkeypatch.setattr(_caller, "caller_of", caller)
    simulator = Simulator(0, 1)
    for row in ROWS * 2:
        simulator.add(*(row[field] for field in ("client_name", "user_name", "num_opens",
                        "active_time", "idle_time")), 0, "", "")  # type: ignore[arg-type, call-arg] # fmt: skip
    with SimulatedServer(simulator) as server:
        query = server.sessions(where=where(exclude_self=True), page_bytes=1)
        for _ in range(2):
            users = [record.user_name for record in query]
            assert users == ["alice", "FS01$", None] * 2
        assert len(asked) == 2  # once a listing, not once a page
        # It knows why nothing came, whoever was left out.
        query = server.sessions(where=where(exclude_self=True, user="bob", client="alice"))
        assert list(query) == []


def test_who_the_caller_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def typed(server: Any, call: Any) -> tuple[list[str], list[str]]:
        clients, users = _caller.caller_of(server, call)
        return [each.typed for each in clients], [each.typed for each in users]

    class Call:
        own_address: str | None = "10.9.9.9"

    server = netsession.Server("fs01", username="CORP\\me", password="x", port=1)
    assert typed(server, Call()) == (["10.9.9.9"], ["me"])
    Call.own_address = None
    assert typed(server, Call()) == ([], ["me"])
    Call.own_address = "fe80::1"
    server = netsession.Server("fs01", username="me@corp.example", port=1)
    assert typed(server, Call()) == (["fe80::1"], ["me"])
    server = netsession.Server("fs01", username="CORP\\", port=1)
    assert typed(server, Call()) == (["fe80::1"], [])
    monkeypatch.setattr(_caller, "_logged_on", lambda: "me@REALM")
    server = netsession.Server("fs01", port=1)
    assert typed(server, Call()) == (["fe80::1"], ["me"])
    monkeypatch.setattr(_caller, "_logged_on", lambda: None)
    assert typed(server, Call()) == (["fe80::1"], [])
    # natively it is this machine and the user who is logged on
    native = simulated_server(0)
    if sys.platform != "win32":  # where it can only be a simulator
        assert typed(native, None) == ([], [])
    monkeypatch.setattr(_caller.sys, "platform", "win32")
    monkeypatch.setattr(_caller, "_logged_on", lambda: "me")
    monkeypatch.setattr("socket.gethostname", lambda: "WS17.corp.example")
    monkeypatch.setattr(type(native), "_resolve", lambda *_: (frozenset({"127.0.0.1"}), None))
    clients, users = typed(native, None)
    assert (set(clients), users) == ({"WS17.corp.example", "WS17", "127.0.0.1"}, ["me"])


def test_whose_logon_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Credentials:
        def __init__(self, *, usage: str) -> None:
            self.name = f"me@{usage}"

    def nobody() -> str:
        raise OSError

    monkeypatch.setattr("os.getlogin", lambda: "me")
    monkeypatch.setattr(_caller.sys, "platform", "linux")
    monkeypatch.setitem(sys.modules, "gssapi", SimpleNamespace(Credentials=Credentials))
    assert _caller._logged_on() == "me@initiate"
    monkeypatch.setitem(sys.modules, "gssapi", None)  # it is not installed
    assert _caller._logged_on() is None
    monkeypatch.setattr(_caller.sys, "platform", "win32")
    assert _caller._logged_on() == "me"
    monkeypatch.setattr("os.getlogin", nobody)
    assert _caller._logged_on() is None


def test_the_way_to_the_server_is_that_to_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[Any] = []

    def resolve(name: str, call: object) -> tuple[list[str], str | None]:
        looked_up.append((name, call))
        return ["10.1.2.3", "2001:db8::5"], None

    ways: list[Any] = []
    monkeypatch.setattr(_caller, "names_of_this_machine", lambda given: ways.extend(given))
    server = netsession.Server("fs01", username="me", password="x", port=1)
    monkeypatch.setattr(server, "_resolve", resolve)
    _caller.names_towards(server, "call")  # type: ignore[arg-type]
    here = simulated_server(0)
    monkeypatch.setattr(here, "_resolve", resolve)
    monkeypatch.setattr(here, "_name", None)
    _caller.names_towards(here, "call")  # type: ignore[arg-type]
    assert looked_up == [("fs01", "call"), ("localhost", "call")]
    both = [(socket.AF_INET, ("10.1.2.3", 445)), (socket.AF_INET6, ("2001:db8::5", 445))]
    assert ways == both * 2


def test_what_this_machine_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ours:
        def __init__(self, family: int, kind: int) -> None:
            assert kind == socket.SOCK_DGRAM
            self.name = {socket.AF_INET: "10.9.9.9", socket.AF_INET6: "fe80::1%eth0%x"}[family]
            self.way: object = None

        def __enter__(self) -> Ours:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def connect(self, way: object) -> None:
            self.way = way

        def getsockname(self) -> tuple[str, int]:
            return (self.name if self.way == "there" else "0.0.0.0"), 4000

    monkeypatch.setattr("socket.socket", Ours)
    monkeypatch.setattr("socket.gethostname", lambda: "ws7.corp.example")
    ways = [(socket.AF_INET, "there"), (socket.AF_INET6, "there")]
    names = {"ws7.corp.example", "ws7", "10.9.9.9", "fe80::1"}
    assert _caller.names_of_this_machine(ways) == names
    monkeypatch.setattr("socket.gethostname", lambda: "")
    assert _caller.names_of_this_machine() == set()


def test_conditions_that_say_nothing_cost_nothing() -> None:
    with simulated_server(ROWS) as server:
        assert server.sessions(where=where())._matchers == []
        assert type(next(iter(server.sessions(where=where())))) is SessionInfo502
