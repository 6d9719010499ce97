"""``netsession list``: which sessions, and what is made of them: sorted, cut, grouped, columns."""

from __future__ import annotations

import csv
import io
import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli_process import Result, only_line, run, run_here
from netsession import SessionInfo502
from netsession.cli import resolve
from netsession.cli.fleet import FIELDS
from netsession.cli.parser import Misuse, duration
from netsession.cli.shape import Shape
from netsession.testing import simulated_server
from test_cli_fleet import SERVERS

pytest.importorskip("rich")

UNKNOWN = 0xFFFFFFFF

ROWS: list[dict[str, Any]] = [
    {"client_name": "\\\\WS17", "user_name": "alice", "num_opens": 2, "active_time": 90_000,
     "idle_time": 3_600},
    {"client_name": "\\\\10.0.0.10", "user_name": "CORP\\bob", "num_opens": 0, "active_time": 500,
     "idle_time": 20},
    {"client_name": "\\\\10.0.0.9", "user_name": "Carol", "num_opens": 7, "active_time": UNKNOWN,
     "idle_time": UNKNOWN},
    {"client_name": "\\\\[2001:db8::5]", "user_name": "FS01$", "num_opens": 1, "active_time": 7_200,
     "idle_time": 7_199},
    {"client_name": "2001:0DB8:0::5", "user_name": "ALICE", "num_opens": 0, "active_time": 10,
     "idle_time": 3_600},
    {"client_name": None, "user_name": None, "num_opens": 0, "active_time": 7_200, "idle_time": 0},
]  # fmt: skip
SETUP = f"server = simulated_server({ROWS!r})"
USERS = [row["user_name"] for row in ROWS]
ALICE, BOB, CAROL, MACHINE, ALICE2, NOBODY = USERS


def rows(*arguments: str, setup: str = SETUP) -> list[dict[str, Any]]:
    result = run("list", "--demo", "--format", "json", *arguments, setup=setup)
    assert result.code == 0, result
    listed: list[dict[str, Any]] = json.loads(result.out)
    return listed


def users(*arguments: str) -> list[str | None]:
    return [row["user_name"] for row in rows(*arguments)]


def summary(*arguments: str, setup: str = SETUP) -> str:
    """What a table's end says, without the notice of --demo."""
    result = run("list", "--demo", *arguments, setup=setup)
    assert result.code == 0, result
    return result.err.replace("netsession: ", "").strip()


# --- which sessions -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--user alice", [ALICE, ALICE2]),
        ("--user alice --user carol", [ALICE, CAROL, ALICE2]),
        ("--user ?o? --user c*", [BOB, CAROL]),
        ("--client ws17 --client 10.0.0.9", [ALICE, CAROL]),
        ("--client 10.*", [BOB, CAROL]),
        ("--client 2001:db8::*", [MACHINE, ALICE2]),
        ("--client 10.* --user bob", [BOB]),
        ("--idle-for 1h", [ALICE, MACHINE, ALICE2]),
        ("--idle-for 1h1s", [MACHINE]),
        ("--idle-for 0", [ALICE, BOB, MACHINE, ALICE2, NOBODY]),
        ("--active-for 1d", [ALICE]),
        ("--no-opens", [BOB, ALICE2, NOBODY]),
        ("--min-opens 2", [ALICE, CAROL]),
        ("--exclude-machine-accounts", [ALICE, BOB, CAROL, ALICE2, NOBODY]),
        ("--exclude-self", USERS),
        ("--idle-for 20 --no-opens --user * --exclude-machine-accounts", [BOB, ALICE2]),
        ("--user nobody.here", []),
    ],
)
def test_conditions(arguments: str, expected: list[str | None]) -> None:
    assert users(*arguments.split()) == expected


def test_how_many_of_how_many() -> None:
    assert summary() == "6 sessions on the simulated server, level 502"
    assert summary("--no-opens") == "3 of 6 sessions on the simulated server, level 502"
    assert summary("--user", "carol") == "1 of 6 sessions on the simulated server, level 502"
    assert summary("--user", "x") == "0 of 6 sessions on the simulated server, level 502"
    assert summary("--sort", "user", "--top", "2").startswith("2 of 6 sessions on")
    assert summary("--top", "2").startswith("the first 2 sessions on")
    assert summary("--group-by", "user").startswith("5 users with 6 sessions on")
    assert summary("--group-by", "client", "--top", "2").startswith(
        "2 of 5 clients with 6 sessions"
    )
    # Of an address the server may have been asked only: of how many it does not say.
    assert summary("--client", "10.0.0.9").startswith("1 session on")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1h", 3600), ("8h30m", 30_600), ("2d", 172_800), ("0", 0),
     ("1d1h1m1s", 90_061), ("4294967294", 0xFFFFFFFE), ("007", 7)],
)  # fmt: skip
def test_lengths_of_time(text: str, seconds: int) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "x", "h", "1x", "1.5h", "-1", "+1", "1h 30m", "30m8h", "8h30", "1h1h", "\u0663",
     "1_000", "4294967295", "99999999999", "9999999999d", "1e3", "inf", "1H"],
)  # fmt: skip
def test_no_lengths_of_time(text: str) -> None:
    result = run_or_stop("--demo", f"--idle-for={text}")
    assert result.code == 2
    assert "--idle-for must be a time such as 2d, 8h30m, 90s or 90 (seconds)" in result.err


def run_or_stop(*arguments: str) -> Result:
    """In this process: what ends before any server is asked."""
    from netsession.cli.exits import Stop

    try:
        return run_here("list", *arguments)
    except Stop as stop:
        return Result(stop.code, b"", stop.message)


# --- order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("user", [ALICE, ALICE2, CAROL, BOB, MACHINE, NOBODY]),
        ("-user", [MACHINE, BOB, CAROL, ALICE, ALICE2, NOBODY]),
        ("client", [CAROL, BOB, MACHINE, ALICE2, ALICE, NOBODY]),
        ("-client", [ALICE, MACHINE, ALICE2, BOB, CAROL, NOBODY]),
        ("idle", [NOBODY, BOB, ALICE, ALICE2, MACHINE, CAROL]),
        ("-idle", [MACHINE, ALICE, ALICE2, BOB, NOBODY, CAROL]),
        ("-idle,-client", [MACHINE, ALICE, ALICE2, BOB, NOBODY, CAROL]),
        ("-idle,active", [MACHINE, ALICE2, ALICE, BOB, NOBODY, CAROL]),
        ("-active_time", [ALICE, MACHINE, NOBODY, BOB, ALICE2, CAROL]),
        ("opens,-user_name", [BOB, ALICE2, NOBODY, MACHINE, ALICE, CAROL]),
        ("flags", USERS),
        ("-Opens", [CAROL, ALICE, MACHINE, BOB, ALICE2, NOBODY]),
    ],
)
def test_sorting(sort: str, expected: list[str | None]) -> None:
    assert users("--sort", sort) == users(f"--sort={sort}") == expected
    for top in (1, 4, 6, 100):
        assert users("--top", str(top), "--sort", sort) == expected[:top]


def test_a_heap_gives_what_sorting_gives() -> None:
    """Whatever there is: equal keys, unknown ones, parts of any size."""
    chance = random.Random(3)

    def part(size: int) -> list[SessionInfo502]:
        return [
            SessionInfo502(
                chance.choice(["a", "A", "\\\\B", "10.0.0.2", "10.0.0.10", "[::1]", "::2", None]),
                chance.choice(["x", "X", "y", "ș", "Ș", "\ud800", "😀", None, ""]),
                chance.choice([0, 1, UNKNOWN]), chance.choice([0, 5, UNKNOWN]),
                chance.choice([0, 5, UNKNOWN]), number, "", None,
            )
            for number in range(size)
        ]  # fmt: skip

    for _ in range(60):
        found = [part(chance.randint(1, 9)) for _ in range(chance.randint(0, 6))]
        keys = chance.sample(["client", "user", "opens", "active", "idle", "type", "transport"], 3)
        sort = ",".join(chance.choice(["", "-"]) + key for key in keys)
        whole = flat(shaped(sort=sort).apply(found, beside=False))
        assert sorted(whole, key=repr) == sorted(flat(found), key=repr)
        for top in (1, 3, 1000):
            assert flat(shaped(sort=sort, top=top).apply(found, beside=False)) == whole[:top]


def shaped(fields: tuple[str, ...] = SessionInfo502._fields, **options: Any) -> Shape:
    return Shape(fields, **options)


def flat(found: Any) -> list[Any]:
    return [record for part in found for record in part]


def test_no_more_is_kept_than_comes_out() -> None:
    alive = 0

    class Record(tuple):  # type: ignore[type-arg]
        __slots__ = ()
        _fields = SessionInfo502._fields
        idle_time = 5
        user_name = "x"

        def __new__(cls, *values: Any) -> Record:
            nonlocal alive
            alive += 1
            return super().__new__(cls, values)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    most = 0

    def found() -> Any:
        nonlocal most
        for _ in range(50):
            yield [Record(n) for n in range(100)]
            most = max(most, alive)

    kept = flat(shaped(sort="-idle,user", top=10).apply(found(), beside=False))
    assert len(kept) == 10
    assert most <= 3 * 100 + 10


def test_the_first_ones_ask_for_no_more(simulate: Any) -> None:
    """--top without --sort: neither the next page nor the next server is asked for."""
    setup = """
from netsession._simulator import Simulator
inner = Simulator(1000, 100)
server = SimulatedServer(inner)
import atexit
atexit.register(lambda: print("CALLS", inner.calls("NetSessionEnum"), file=sys.stderr))
"""
    result = run("list", "--demo", "--top", "150", "--format", "csv", setup=setup)
    assert result.code == 0
    assert len(result.text.splitlines()) == 151
    assert "CALLS 2\n" in result.err
    result = run("list", "has5", "has6", "--jobs", "1", "--top", "2", "--format", "csv",
                 setup=SERVERS)  # fmt: skip
    assert (result.code, len(result.text.splitlines())) == (0, 3)


# --- columns --------------------------------------------------------------------------------------


def test_columns_in_every_format(tmp_path: Path) -> None:
    columns = ("--columns", "user,client_name,IDLE", "--sort", "client", "--top", "3")
    expected = [
        {"user_name": CAROL, "client_name": "\\\\10.0.0.9", "idle_time": None},
        {"user_name": BOB, "client_name": "\\\\10.0.0.10", "idle_time": 20},
        {"user_name": MACHINE, "client_name": "\\\\[2001:db8::5]", "idle_time": 7_199},
    ]
    listed = rows(*columns)
    assert listed == expected
    assert list(listed[0]) == ["user_name", "client_name", "idle_time"]
    lines = run("list", "--demo", *columns, "--format", "jsonl", setup=SETUP).text.splitlines()
    assert list(map(json.loads, lines)) == expected
    table = run("list", "--demo", *columns, setup=SETUP).text.splitlines()
    assert table[0].split() == ["USER", "CLIENT", "IDLE"]
    assert table[1].split() == ["Carol", "10.0.0.9", "-"]
    read = csv.reader(io.StringIO(run("list", "--demo", *columns, "--format", "csv",
                                      setup=SETUP).text))  # fmt: skip
    assert list(read)[:2] == [["user_name", "client_name", "idle_time"],
                              ["Carol", "\\\\10.0.0.9", ""]]  # fmt: skip
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "x.parquet"
    assert run("list", "--demo", *columns, "-o", str(file), setup=SETUP).code == 0
    got = parquet.read_table(file)
    assert [str(field.type) for field in got.schema] == ["string", "string", "duration[s]"]
    assert got.to_pylist() == [
        row | {"idle_time": idle and timedelta(seconds=idle)}
        for row in expected
        for idle in [row["idle_time"]]
    ]


def test_columns_that_the_granted_level_lacks_are_empty() -> None:
    setup = f"{SETUP}\nfor level in (502, 2, 1): server.refuse(level)"
    listed = rows("--columns", "opens,user,transport", "--sort", "-opens", "--user", "*",
                  setup=setup)  # fmt: skip
    assert [list(row.values()) for row in listed] == [[None, user, None] for user in USERS[:-1]]


@pytest.mark.parametrize("name", ["json", "jsonl", "csv", "table", "parquet"])
def test_nothing_to_show_has_the_columns_all_the_same(name: str, tmp_path: Path) -> None:
    file = tmp_path / "out"
    for more, fields in (
        (["--columns", "idle,user"], ["idle_time", "user_name"]),
        (["--sort", "user"], list(SessionInfo502._fields)),
        (["--group-by", "client"], ["client_name", "sessions", "users", "num_opens",
                                    "longest_active_time", "longest_idle_time"]),
    ):  # fmt: skip
        if name == "parquet":
            parquet = pytest.importorskip("pyarrow.parquet")
        arguments = ["list", "--demo", "--user", "x", "--format", name, "-o", str(file), *more]
        assert run(*arguments, setup=SETUP).code == 0
        if name == "parquet":
            assert parquet.read_schema(file).names == fields
        else:
            text = file.read_bytes().decode()
            heading = ",".join(fields) + "\r\n"
            assert text == {"json": "[]\n", "csv": heading}.get(name, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--columns foo", "--columns has no column 'foo': there are client, user, opens, active, "
         "idle, flags, type, transport."),
        ("--columns client,", "--columns has no column ''"),
        ("--columns user,USER_NAME", "--columns names user twice"),
        ("--columns \x1b[2J", "has no column '\\x1b[2j'"),
        ("--sort foo", "--sort has no column 'foo'"),
        ("--sort user,--idle", "--sort has no column '-idle'"),
        ("--sort -", "--sort has no column ''"),
        ("--columns host", "--columns 'host' needs --resolve"),
        ("--sort server", "--sort has no column 'server'"),
        ("--level 10 --columns user,opens", "no column 'opens': there are client, user, active,"),
        ("--level 0 --sort user", "--sort has no column 'user': there are client."),
        ("--level 0 --group-by user", "--group-by user needs a level that tells it"),
        ("--group-by user --columns transport", "there are user, sessions, clients, opens, active, "
         "idle"),
        ("--group-by user --resolve", "--resolve names clients, and --group-by user shows none"),
        ("--group-by level", "--group-by must be user, client or server, not 'level'"),
        ("--top 0", "--top must be a whole number from 1 to"),
        ("--top -3", "--top"),
        ("--min-opens 1 --no-opens", "--min-opens and --no-opens contradict each other"),
        ("--level 10 --no-opens", "--level 10 has no num_opens, which the conditions look at"),
        ("--level 0 --idle-for 1h", "--level 0 has no idle_time"),
        ("--user a --user CORP\\", "--user must have a name after the domain"),
        ("--user a --client \\\\", "--client must be a computer name or an address"),
        ("--sort", "--sort"),
        ("--idle-for", "--idle-for"),
    ],
)  # fmt: skip
def test_misuse_is_told_before_anybody_is_asked(arguments: str, message: str) -> None:
    result = run_or_stop("--demo", *arguments.split())
    assert result.code == 2
    assert message in result.err
    assert "simulated; no server is asked" not in result.err


def test_an_option_after_sort_is_an_option() -> None:
    result = run_or_stop("--demo", "--sort", "-q")
    assert result.code == 2
    assert "expected one argument" in result.err
    assert users("--sort", "-user", "-q")[0] == MACHINE


# --- groups ---------------------------------------------------------------------------------------


def test_groups_of_users() -> None:
    assert rows("--group-by", "user") == [
        {"user_name": user, "sessions": sessions, "clients": clients, "num_opens": opens,
         "longest_active_time": active, "longest_idle_time": idle}
        for user, sessions, clients, opens, active, idle in (
            (ALICE, 2, 2, 2, 90_000, 3_600),
            (BOB, 1, 1, 0, 500, 20),
            (CAROL, 1, 1, 7, None, None),
            (MACHINE, 1, 1, 1, 7_200, 7_199),
            (NOBODY, 1, 0, 0, 7_200, 0),
        )
    ]  # fmt: skip


def test_groups_of_clients_are_of_any_spelling() -> None:
    grouped = rows("--group-by", "client", "--sort", "-sessions,client")
    assert [(row["client_name"], row["sessions"], row["users"]) for row in grouped] == [
        ("\\\\[2001:db8::5]", 2, 2),
        ("\\\\10.0.0.9", 1, 1),
        ("\\\\10.0.0.10", 1, 1),
        ("\\\\WS17", 1, 1),
        (None, 1, 0),
    ]
    assert [row["client_name"] for row in rows("--group-by", "client", "--user", "alice")] == [
        "\\\\WS17",
        "2001:0DB8:0::5",
    ]


def test_groups_are_sorted_cut_and_have_columns() -> None:
    arguments = ("--group-by", "user", "--columns", "idle,user", "--top", "2")
    assert rows(*arguments, "--sort", "-idle") == [
        {"longest_idle_time": 7_199, "user_name": MACHINE},
        {"longest_idle_time": 3_600, "user_name": ALICE},
    ]
    table = run("list", "--demo", *arguments, "--sort=-longest_idle_time", setup=SETUP)
    assert [line.split() for line in table.text.splitlines()] == [
        ["LONGEST", "IDLE", "USER"], ["1h", "59m", "FS01$"], ["1h", "00m", "alice"],
    ]  # fmt: skip
    parquet = run("list", "--demo", *arguments, "--format", "csv", setup=SETUP).text
    assert parquet.splitlines()[0] == "longest_idle_time,user_name"


def test_groups_in_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "x.parquet"
    most = [{"user_name": "a\ud800", "num_opens": UNKNOWN, "idle_time": UNKNOWN}] * 3
    setup = f"server = simulated_server({most!r})"
    done = run("list", "--demo", "--group-by", "user", "-o", str(file), setup=setup)
    assert done.code == 0
    table = parquet.read_table(file)
    assert {field.name: str(field.type) for field in table.schema} == {
        "user_name": "string", "sessions": "uint64", "clients": "uint64", "num_opens": "uint64",
        "longest_active_time": "duration[s]", "longest_idle_time": "duration[s]",
    }  # fmt: skip
    assert table.to_pylist() == [
        {"user_name": "a\ufffd", "sessions": 3, "clients": 0, "num_opens": 3 * UNKNOWN,
         "longest_active_time": timedelta(0), "longest_idle_time": None}
    ]  # fmt: skip


def test_times_of_a_group_are_of_those_that_are_known() -> None:
    times = [{"user_name": "a", "active_time": t, "idle_time": i}
             for t, i in ((5, UNKNOWN), (UNKNOWN, UNKNOWN), (9, UNKNOWN))]  # fmt: skip
    (group,) = rows("--group-by", "user", setup=f"server = simulated_server({times!r})")
    assert (group["longest_active_time"], group["longest_idle_time"]) == (9, None)


def test_what_a_level_does_not_tell_is_not_counted() -> None:
    (group,) = rows("--group-by", "client", "--level", "0", "--top", "1")
    assert "users" not in group
    assert (group["num_opens"], group["longest_idle_time"]) == (None, None)


def test_hostile_names_are_harmless_in_groups() -> None:
    hostile = [{"client_name": "\\\\x", "user_name": "\x1b[2J\r\n\u202e"}]
    table = run(
        "list", "--demo", "--group-by", "user", setup=f"server = simulated_server({hostile})"
    )
    assert "\x1b" not in table.text
    assert "\\x1b[2J\\r\\n\\u202e" in table.text


def test_resolving_only_what_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look_up(address: str) -> str:
        asked.append(address)
        return {"10.0.0.9": "zebra", "10.0.0.10": "aardvark"}[address]

    monkeypatch.setattr(resolve, "look_up", look_up)
    with simulated_server(ROWS[1:3]) as server:
        found = [list(server.sessions())]
    made = (*SessionInfo502._fields, "host_name")
    first = flat(shaped(made, sort="client", top=1, columns="host,user").apply(
        found, resolve.Resolver(60), beside=True))  # fmt: skip
    assert [tuple(record) for record in first] == [("zebra", CAROL)]
    assert asked == ["10.0.0.9"]
    by_name = flat(shaped(made, sort="host", columns="host").apply(
        found, resolve.Resolver(60), beside=False))  # fmt: skip
    assert [record.host_name for record in by_name] == ["aardvark", "zebra"]
    groups = flat(shaped(made, group_by="client").apply(found, resolve.Resolver(60), beside=True))
    assert [record[:3] for record in groups] == [
        ("\\\\10.0.0.10", "aardvark", 1),
        ("\\\\10.0.0.9", "zebra", 1),
    ]


def test_a_group_needs_its_field() -> None:
    with pytest.raises(Misuse, match="--group-by server needs"):
        shaped(group_by="server")


# --- several servers ------------------------------------------------------------------------------


def scan(*arguments: str) -> Result:
    return run("list", *arguments, setup=SERVERS)


def test_several_servers_are_sorted_and_grouped_as_one() -> None:
    result = scan("has3", "has4", "--format", "json", "--sort", "server,-idle", "--columns",
                  "server,idle,level")  # fmt: skip
    listed = json.loads(result.out)
    assert [row["server"] for row in listed] == ["has3"] * 3 + ["has4"] * 4
    assert [list(row) for row in listed] == [["server", "idle_time", "level"]] * 7
    for name in ("has3", "has4"):
        idle = [row["idle_time"] for row in listed if row["server"] == name]
        assert idle == sorted(idle, reverse=True)
    by_server = json.loads(scan("has3", "has4", "--format", "json", "--group-by", "server").out)
    assert [(row["server"], row["sessions"]) for row in by_server] == [("has4", 4), ("has3", 3)]
    assert list(by_server[0]) == ["server", "sessions", "clients", "users", "num_opens",
                                  "longest_active_time", "longest_idle_time"]  # fmt: skip
    by_user = json.loads(scan("has3", "has4", "--format", "json", "--group-by", "user").out)
    assert {row["sessions"] for row in by_user[:3]} == {2}


def test_conditions_are_for_every_server() -> None:
    result = scan("has50", "has60", "--user", "alice*", "--idle-for", "1d", "--format", "json")
    listed = json.loads(result.out)
    assert {row["server"] for row in listed} == {"has50", "has60"}
    assert all(row["user_name"].startswith("alice") for row in listed)
    assert all(row["idle_time"] >= 86_400 for row in listed)


def test_one_server_by_server_is_named() -> None:
    (group,) = rows("--group-by", "server")
    assert group["server"] == "simulated"
    assert group["sessions"] == len(ROWS)


def test_parquet_of_several_servers_keeps_its_types(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    plain, sorted_ = tmp_path / "a.parquet", tmp_path / "b.parquet"
    assert scan("level502", "level10", "-o", str(plain)).code == 0
    assert scan("level502", "level10", "-o", str(sorted_), "--sort", "-user").code == 0
    assert parquet.read_schema(sorted_).equals(parquet.read_schema(plain))
    assert parquet.read_schema(plain).names == list(FIELDS)
    rows_of = [
        sorted(
            (tuple(v for k, v in row.items() if k != "collected_at")
             for row in parquet.read_table(file).to_pylist()), key=repr,
        )
        for file in (plain, sorted_)
    ]  # fmt: skip
    assert rows_of[0] == rows_of[1]


# --- the rest -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [["list", "--user", "x"], ["list"], ["show", "WS17", "alice"]]
)
def test_quiet_says_nothing(arguments: list[str]) -> None:
    result = run(*arguments, "--demo", "--quiet", setup=SETUP)
    assert (result.code, result.err) == (0, "")


def test_quiet_tells_failures() -> None:
    result = run("show", "--demo", "--quiet", "WS17", "nobody", setup=SETUP)
    assert result.code == 1
    assert "nobody" in only_line(result) or "none" in only_line(result)


def test_without_any_of_it_nothing_more_is_imported() -> None:
    setup = """
import atexit
server = simulated_server(3)
seldom = {'heapq', 'netsession._where', 'netsession._caller', 'ipaddress', 'datetime'}
before = seldom & sys.modules.keys()
def tell():
    print("MORE", sorted(seldom & sys.modules.keys() - before), file=sys.stderr)
atexit.register(tell)
"""
    result = run("list", "--demo", "3", "--format", "csv", "--user", "alice", setup=setup)
    assert "MORE ['netsession._where']" in result.err  # which compares names
    result = run("list", "--demo", "3", "--format", "csv", setup=setup)
    assert "MORE []" in result.err
