"""``netsession list`` and ``netsession show``: formats, terminals, pipes, failures midway."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli_process import HANG_GUARD, Result, command, environment, on_terminal, only_line, run
from netsession.testing import simulated_server

pytest.importorskip("rich")

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX terminals or signals")

UNKNOWN = 0xFFFFFFFF

HOSTILE = {
    "client_name": "\\\\[2001:db8::1]",
    "user_name": "\x1b[2J\x9b31m\r\nroot \u202e\ud800[red]:smile:",
    "num_opens": UNKNOWN,
    "active_time": 90061,
    "idle_time": UNKNOWN,
    "user_flags": 0x80000003,
    "client_type": "=cmd|' /C calc'!A1",
    "transport": None,
}
PREPARED = f"server = simulated_server([{HOSTILE!r}, {{'client_name': None}}])"


def expected(sessions: int, level: int = 502) -> list[dict[str, Any]]:
    """The records as the documented schema has them."""
    with simulated_server(sessions) as server:
        return [record.as_dict() for record in server.sessions(level=level)]


@pytest.mark.parametrize("level", [0, 1, 2, 10, 502])
@pytest.mark.parametrize("name", ["json", "jsonl", "csv"])
def test_every_field_of_every_level(name: str, level: int) -> None:
    result = run("list", "--demo", "1500", "--level", str(level), "--format", name)
    rows = expected(1500, level)
    assert any(None in row.values() for row in rows) or level == 0
    assert result.code == 0
    if name == "json":
        assert json.loads(result.out) == rows
    elif name == "jsonl":
        assert [json.loads(line) for line in result.text.splitlines()] == rows
    else:
        read = list(csv.DictReader(io.StringIO(result.text, newline="")))
        assert read == [
            {field: "" if value is None else str(value) for field, value in row.items()}
            for row in rows
        ]


def test_jsonl_is_json_of_a_records_dict() -> None:
    result = run("list", "--demo", "--format", "jsonl", setup=PREPARED)
    with simulated_server([HOSTILE, {"client_name": None}]) as server:
        dumped = [json.dumps(record.as_dict()) for record in server.sessions()]
    # The command leaves blanks out, and what is not ASCII as it is where that is harmless.
    assert [json.dumps(json.loads(line)) for line in result.text.splitlines()] == dumped
    assert '"idle_time": null' in dumped[0]
    assert "\\ud800" in dumped[0]


def test_demo_says_that_it_is_simulated_and_takes_an_optional_number() -> None:
    for arguments, count in [
        (["--demo"], 100),
        (["--demo", "7"], 7),
        (["--demo=8"], 8),
        (["--demo", "--format", "jsonl"], 100),
        (["--demo", "0"], 0),
    ]:
        result = run("list", "--format", "jsonl", *arguments)
        assert result.out.count(b"\n") == count
        assert "simulated" in result.err


def test_a_hundred_thousand_lines() -> None:
    result = run("list", "--demo", "100000", "--format", "jsonl")
    assert result.out.count(b"\n") == 100_000
    assert result.code == 0


@pytest.mark.parametrize(
    ("name", "empty"),
    [
        ("json", "[]\n"),
        ("jsonl", ""),
        ("table", ""),
        (
            "csv",
            "client_name,user_name,num_opens,active_time,idle_time,user_flags,client_type,"
            "transport\r\n",
        ),
    ],
)
def test_nothing_is_well_formed_too(name: str, empty: str) -> None:
    for arguments in (["--demo", "0"], ["--demo", "--user", "nobody at all"]):
        result = run("list", *arguments, "--format", name)
        assert (result.code, result.text) == (0, empty)


def test_csv_heading_of_an_empty_list_is_that_of_the_level() -> None:
    assert run("list", "--demo", "0", "--level", "0", "--format", "csv").out == b"client_name\r\n"


def test_filters_level_and_page_bytes_reach_the_server() -> None:
    rows = expected(200)
    client, user = rows[0]["client_name"].lstrip("\\"), rows[0]["user_name"]
    result = run(
        "list", "--demo", "200", "--format", "json", "--page-bytes", "500",
        "--client", client, "--user", user.upper(),
    )  # fmt: skip
    assert json.loads(result.out) == [
        row for row in rows if (row["client_name"], row["user_name"]) == ("\\\\" + client, user)
    ]
    everything = run("list", "--demo", "200", "--format", "json", "--page-bytes", "500")
    assert json.loads(everything.out) == rows


UNRESOLVED = """
import socket
from netsession.server import Server
def getaddrinfo(*_, **__):
    raise socket.gaierror(-2, "Name or service not known")
socket.getaddrinfo = getaddrinfo
class Resolving(SimulatedServer):
    _resolve = Server._resolve
server = simulated_server([
    {"client_name": "\\\\\\\\10.1.2.3", "user_name": "OTHER\\\\alice"},
    {"client_name": "\\\\\\\\WS18", "user_name": "bob"},
])
server.__class__ = Resolving
"""


@pytest.mark.parametrize("output", ["table", "json", "csv"])
def test_an_empty_list_says_why_where_that_is_known(output: str) -> None:
    """Else "no sessions" would be told of a client that is there, where only its name fails."""
    list_ = ("list", "--demo", "--format", output)
    said = run(*list_, "--client", "ws17", setup=UNRESOLVED)
    assert said.code == 0
    why = "netsession: the name ws17 could not be looked up (Name or service not known)\n"
    assert said.err.endswith(why)
    said = run(*list_, "--user", "CORP\\alice", setup=UNRESOLVED)
    assert said.err.endswith("netsession: there are sessions of OTHER\\alice\n")
    for found in (("--client", "WS18"), ("--user", "carol")):
        assert "there are" not in run(*list_, *found, setup=UNRESOLVED).err


def test_json_is_exact_even_for_hostile_names_and_safe_on_a_terminal() -> None:
    result = run("list", "--demo", "--format", "json", setup=PREPARED)
    first, second = json.loads(result.text)
    assert first == {**HOSTILE, "idle_time": None}
    assert second["client_name"] is None
    assert b"\\ud800" in result.out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", result.text)


def test_csv_is_exact_even_for_hostile_names() -> None:
    result = run("list", "--demo", "--format", "csv", setup=PREPARED)
    row = next(csv.DictReader(io.StringIO(result.text, newline="")))
    assert row["user_name"] == str(HOSTILE["user_name"]).replace("\ud800", "\\ud800")
    assert row["client_type"] == HOSTILE["client_type"]  # no apostrophe in front
    assert (row["transport"], row["idle_time"]) == ("", "")


def assert_harmless(text: str) -> None:
    assert "\\x1b[2J\\x9b31m\\r\\nroot \\u202e\\ud800[red]:smile:" in text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


def test_table_on_a_pipe_is_aligned_and_harmless() -> None:
    result = run("list", "--demo", setup=PREPARED)
    assert_harmless(result.text)
    heading, first, second = result.text.splitlines()
    assert " ".join(heading.split()) == "CLIENT USER OPENS ACTIVE IDLE FLAGS TYPE TRANSPORT"
    assert first.startswith("2001:db8::1 ")
    end = heading.index("ACTIVE") + len("ACTIVE")
    assert first[:end].endswith("  1d 01h")
    assert second[:end].endswith("  0s")
    assert "guest+noencryption+0x80000000" in first
    assert "2 sessions on the simulated server, level 502" in result.err


def test_csv_on_a_pipe_keeps_what_a_terminal_does_not_get() -> None:
    assert b"\x1b[2J" in run("list", "--demo", "--format", "csv", setup=PREPARED).out


@posix
@pytest.mark.parametrize("name", ["table", "csv", "json"])
def test_a_terminal_gets_no_escapes_of_the_server(name: str) -> None:
    result = on_terminal("list", "--demo", "--format", name, setup=PREPARED)
    own = re.sub(r"\x1b\[[0-9;]*m", "", result.text).replace("\r\n", "\n")
    assert "\x1b" not in own
    assert "\x9b" not in own
    assert "\u202e" not in own
    if name == "table":
        assert_harmless(own)


NAMES = ["zo\xeb", "\u5c71", "\U0001f600", "\ud800", "a\x7f", "a\u061c", "\x9b31m", "\u2028", "\\"]


@posix
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("name", ["json", "jsonl"])
def test_json_on_a_terminal_is_json_in_any_encoding(name: str, encoding: str) -> None:
    setup = f"server = simulated_server([{{'user_name': name}} for name in {NAMES!r}])"
    env = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    result = on_terminal("list", "--demo", "--format", name, setup=setup, env=env)
    text = result.out.decode(encoding).replace("\r\n", "\n")
    lines = [line for line in text.splitlines() if not line.startswith("netsession:")]
    records = json.loads("\n".join(lines)) if name == "json" else [json.loads(x) for x in lines]
    assert [record["user_name"] for record in records] == NAMES
    assert not re.search("[\x7f-\x9f\u061c\u2028]", text)
    assert ("\u5c71" in text) == (encoding == "utf-8")


@posix
@pytest.mark.parametrize("columns", ["9" * 5000, "\xb2", "0", "-1", "x"])
def test_a_width_that_is_none(columns: str) -> None:
    """80 are taken for it; rich would make a number of it."""
    env = {"COLUMNS": columns, "LINES": columns}
    result = on_terminal("list", "--demo", "3", env=env)
    assert result.code == 0, result
    assert "Traceback" not in result.text


def unstyled(result: Result) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", result.text).splitlines()


@posix
def test_table_on_a_terminal_is_styled_and_cuts_what_can_be_spared() -> None:
    result = on_terminal("list", "--demo", "8", env={"COLUMNS": "60"})
    assert "\x1b[1m" in result.text
    notice, heading, rule, *rows, total = unstyled(result)
    assert "simulated" in notice
    assert heading.split()[-1] == "TRANSPORT"
    assert set(rule) == {"─"}
    assert max(map(len, rows)) <= 60
    assert all("…" in row for row in rows)
    assert [row.split()[1] for row in rows] == [row["user_name"] for row in expected(8)]
    assert "8 sessions" in total


@posix
def test_names_are_never_cut() -> None:
    text = "\n".join(unstyled(on_terminal("list", "--demo", "8", env={"COLUMNS": "40"})))
    assert all(row["user_name"] in text for row in expected(8))


@posix
def test_a_long_table_on_a_terminal_shows_every_session() -> None:
    rows = unstyled(on_terminal("list", "--demo", "3000"))[3:-1]
    assert len(rows) == 3000
    assert all(row["user_name"] in line for line, row in zip(rows, expected(3000), strict=True))


def test_table_shows_unknown_and_missing_as_a_dash() -> None:
    result = run("list", "--demo", setup=PREPARED)
    assert result.text.splitlines()[2].split()[0] == "-"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (59, "59s"), (60, "1m 00s"), (3599, "59m 59s"), (3600, "1h 00m"),
        (86399, "23h 59m"), (86400, "1d 00h"), (UNKNOWN - 1, "49710d 06h"), (UNKNOWN, "-"),
    ],
)  # fmt: skip
def test_durations(seconds: int, text: str) -> None:
    from netsession.cli.text import duration

    assert duration(seconds) == text


MIDWAY = (
    "server = simulated_server(30, page_entries=10); server.fail('NetSessionEnum', 64, after=1)"
)


def midway(*arguments: str) -> Result:
    return run("list", "--demo", *arguments, setup=MIDWAY)


def test_json_that_breaks_off_does_not_look_complete() -> None:
    result = midway("--format", "json")
    assert result.code == 3
    assert "ERROR_NETNAME_DELETED" in only_line(result)
    assert result.text.count("client_name") == 10
    with pytest.raises(json.JSONDecodeError):
        json.loads(result.text)


@pytest.mark.parametrize("name", ["jsonl", "csv", "table"])
def test_lines_that_came_before_a_failure_are_whole(name: str) -> None:
    result = midway("--format", name)
    assert result.code == 3
    only_line(result)
    assert len(result.text.splitlines()) == 10 + (name != "jsonl")
    assert result.text.endswith("\n")


def test_output_file_is_written_whole(tmp_path: Path) -> None:
    file = tmp_path / "sessions.json"
    result = run("list", "--demo", "20", "--format", "json", "-o", str(file))
    assert (result.code, result.out) == (0, b"")
    assert json.loads(file.read_bytes()) == expected(20)
    assert "20 sessions" in result.err
    assert os.listdir(tmp_path) == ["sessions.json"]


@pytest.mark.parametrize("name", ["json", "jsonl", "csv", "table", "parquet"])
def test_output_file_survives_a_failure(name: str, tmp_path: Path) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow")
    file = tmp_path / "sessions"
    file.write_text("what was there")
    assert midway("--format", name, "-o", str(file)).code == 3
    assert file.read_text() == "what was there"
    assert os.listdir(tmp_path) == ["sessions"]


def test_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    result = run("list", "--demo", "-o", str(tmp_path / "no" / "file"))
    assert result.code == 2
    assert "cannot write" in only_line(result)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["json", "table"])
def test_full_disk_is_one_line(name: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, *command("list", "--demo", "5000", "--format", name)],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=HANG_GUARD,
            check=False,
        )
    assert done.returncode == 2
    assert "No space left" in only_line(Result(2, b"", done.stderr.decode()))


@posix
@pytest.mark.parametrize("name", ["jsonl", "json", "csv", "table"])
def test_a_reader_that_stops_ends_it_quietly(name: str) -> None:
    with subprocess.Popen(
        [sys.executable, *command("list", "--demo", "50000", "--format", name)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read().decode()
        code = process.wait(HANG_GUARD)
    assert code == 0
    assert [line for line in said.splitlines() if "--demo: " not in line] == []


# A server whose second page never comes, so that the first is seen to have been flushed.
STUCK = """
import time
from netsession import server as facade
class Stuck(SimulatedServer):
    def sessions(self, **options):
        query = super().sessions(**options)
        pages = query.pages
        def stuck():
            yield next(iter(pages()))
            time.sleep(600)
        query.pages = stuck
        return query
from netsession._simulator import Simulator
server = Stuck(Simulator(30, 10))
"""


@posix
@pytest.mark.parametrize("name", ["jsonl", "json", "csv", "table"])
def test_a_page_is_out_before_the_next_and_ctrl_c_is_130(name: str) -> None:
    with subprocess.Popen(
        [sys.executable, *command("list", "--demo", "--format", name, setup=STUCK)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        # The whole page comes before the interruption only if it was flushed.
        arrived = select.select([process.stdout], [], [], HANG_GUARD)[0]
        first = os.read(process.stdout.fileno(), 1 << 16) if arrived else b""
        process.send_signal(signal.SIGINT)
        out = first + process.stdout.read()
        said = process.stderr.read().decode()
        code = process.wait(HANG_GUARD)
    assert arrived
    assert code == 130
    assert out == first
    assert out.count(b"\n") >= 10
    assert [line for line in said.splitlines() if "--demo: " not in line] == []


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import duration, parquet, uint32

    file = tmp_path / "sessions.parquet"
    assert run("list", "--demo", "2000", "--format", "parquet", "-o", str(file)).code == 0
    table = parquet.read_table(file)
    assert table.schema.field("idle_time").type == duration("s")
    assert table.schema.field("num_opens").type == uint32()
    rows = table.to_pylist()
    for row in rows:
        for field in ("active_time", "idle_time"):
            row[field] = None if row[field] is None else int(row[field].total_seconds())
    assert rows == expected(2000)


def test_parquet_of_nothing_and_of_hostile_names(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    file = str(tmp_path / "sessions.parquet")
    run("list", "--demo", "0", "--format", "parquet", "-o", file)
    assert parquet.read_table(file).num_rows == 0
    run("list", "--demo", "--format", "parquet", "-o", file, setup=PREPARED)
    name = parquet.read_table(file)["user_name"][0].as_py()
    assert name == str(HOSTILE["user_name"]).replace("\ud800", "\ufffd")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path) -> None:
    setup = "sys.modules['pyarrow'] = None; server = simulated_server(1)"
    file = str(tmp_path / "sessions.parquet")
    result = run("list", "--demo", "--format", "parquet", "-o", file, setup=setup)
    assert result.code == 2
    assert "pip install pyarrow" in only_line(result)


def test_show_one_session() -> None:
    wanted = expected(10, 2)[4]
    client = wanted["client_name"].lstrip("\\")
    result = run("show", "--demo", client, wanted["user_name"], "--format", "json")
    assert json.loads(result.out) == [wanted]
    table = run("show", "--demo", "10", client.strip("[]"), wanted["user_name"])
    pairs = [line.split(maxsplit=1) for line in table.text.splitlines()]
    assert ["CLIENT", client.strip("[]")] in pairs
    assert ["USER", wanted["user_name"]] in pairs
    at_502 = run("show", "--demo", client, wanted["user_name"], "--level", "502")
    assert "TRANSPORT" in at_502.text
    assert "TRANSPORT" not in table.text


def test_show_a_session_that_is_not_there() -> None:
    result = run("show", "--demo", "NOBODY", "nobody")
    assert result.code == 1
    assert "netsession list" in only_line(result) or "list the sessions" in only_line(result)


def test_show_is_harmless() -> None:
    user = "\x1b[2J\x9b31m\r\nroot \u202e\ud800[red]:smile:"
    setup = PREPARED + f"; sys.argv[-1] = {user!r}"
    assert_harmless(run("show", "--demo", "2001:db8::1", "placeholder", setup=setup).text)
