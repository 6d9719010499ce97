"""``netsession list`` with several servers, which are simulated here; tests/samba has real ones."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli_process import (
    HANG_GUARD,
    Result,
    command,
    environment,
    on_terminal,
    only_line,
    run,
    run_here,
)
from netsession.cli.fleet import FIELDS
from screen import shown

pytest.importorskip("rich")

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and terminals")

# A server's name says what it is.
SERVERS = """
from netsession.cli import fleet
from netsession.testing import simulated_server
STATUS = {"denied": 5, "wrong": 1326, "gone": 53, "late": 1460, "old": 50, "odd": 8}
def made(name):
    kind = name.rstrip("0123456789")
    number = name[len(kind):]
    server = simulated_server(int(number or 3) if kind == "has" else 2, name=name)
    if kind in STATUS:
        server.fail("NetSessionEnum", STATUS[kind])
    if kind == "level":
        richer = {"502": [], "2": [502], "1": [502, 2], "10": [502, 2, 1], "0": [502, 2, 1, 10]}
        for level in richer[number]:
            server.refuse(level)
    if kind == "hangs":
        server.hang(None)
    return server
fleet._items = lambda asked, connection: [made(each.host) for each in asked]
server = None
"""
LEVELS = ["level502", "level2", "level1", "level10", "level0"]


def scan(*arguments: str, **more: Any) -> Result:
    return run("list", *arguments, setup=SERVERS, **more)


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


# -- the schema -----------------------------------------------------------------------------------


def test_fields_are_those_of_502_whatever_was_granted() -> None:
    result = scan(*LEVELS, "--format", "json")
    assert result.code == 0
    rows = json.loads(result.out)
    assert all(tuple(row) == FIELDS for row in rows)
    assert FIELDS == (
        "server", "collected_at", "client_name", "user_name", "num_opens", "active_time",
        "idle_time", "user_flags", "client_type", "transport", "level",
    )  # fmt: skip
    lacking = {
        f"level{row['level']}": [field for field in FIELDS if row[field] is None] for row in rows
    }
    assert lacking == {
        "level502": [],
        "level2": ["transport"],
        "level1": ["client_type", "transport"],
        "level10": ["num_opens", "user_flags", "client_type", "transport"],
        "level0": ["user_name", "num_opens", "active_time", "idle_time", "user_flags",
                   "client_type", "transport"],
    }  # fmt: skip
    assert all(row["server"] == f"level{row['level']}" for row in rows)
    first = {row["server"]: row for row in reversed(rows)}
    assert {row["client_name"] for row in first.values()} == {"\\\\10.0.0.0"}
    assert first["level10"]["active_time"] == first["level502"]["active_time"] == 712874


@pytest.mark.parametrize("name", ["jsonl", "csv", "parquet"])
def test_every_format_says_the_same_as_json(name: str, tmp_path: Path) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow")
    file = tmp_path / f"out.{name}"
    assert scan(*LEVELS, "--jobs", "1", "-o", str(file)).code == 0
    result = scan(*LEVELS, "--jobs", "1", "--format", "json")
    wanted = sorted(json.loads(result.out), key=lambda row: (row["server"], row["client_name"]))
    got: list[dict[str, Any]]
    if name == "jsonl":
        got = rows_of(file)
    elif name == "csv":
        table = list(csv.DictReader(io.StringIO(file.read_bytes().decode(), newline="")))
        assert tuple(table[0]) == FIELDS
        numbers = ("num_opens", "active_time", "idle_time", "user_flags", "level")
        got = [{k: (int(v) if k in numbers and v else v) for k, v in row.items()} for row in table]
        wanted = [{k: "" if v is None else v for k, v in row.items()} for row in wanted]
    else:
        got = [_as_json(row) for row in _parquet(file).to_pylist()]
    assert all(tuple(row) == FIELDS for row in got)
    # Each run has its own time.
    for row in [*got, *wanted]:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", row["collected_at"])
        assert abs(datetime.now(UTC) - datetime.fromisoformat(row["collected_at"])).days == 0
        row["collected_at"] = ""
    assert sorted(got, key=lambda row: (row["server"], row["client_name"])) == wanted


def _parquet(file: Path) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(file)


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    row["collected_at"] = row["collected_at"].isoformat(timespec="microseconds")[:26] + "Z"
    for field in ("active_time", "idle_time"):
        if row[field] is not None:
            row[field] = int(row[field].total_seconds())
    return row


def test_parquet_has_the_schema_of_a_scan_and_few_row_groups(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    import netsession

    file = tmp_path / "out.parquet"
    many = [f"has{n}" for n in range(1, 41)]
    assert scan(*many, "gone", "-o", str(file)).code == 4
    stored = parquet.ParquetFile(file)
    assert stored.schema_arrow.equals(pyarrow.schema(netsession.scan([])))
    assert stored.metadata.num_rows == sum(range(1, 41))
    assert stored.metadata.num_row_groups == 1
    # Where nothing was found at all, the columns are there too.
    assert scan("has0", "level502", "--user", "nobody", "-o", str(file)).code == 0
    assert _parquet(file).num_rows == 0
    assert _parquet(file).schema.equals(pyarrow.schema(netsession.scan([])))


@pytest.mark.parametrize("arguments", [["--servers-from", "-"], ["has3", "HAS3"]])
def test_one_server_of_a_list_has_the_same_columns(arguments: list[str]) -> None:
    result = scan(*arguments, "--format", "csv", stdin="has3\n")
    assert result.text.splitlines()[0] == ",".join(FIELDS)
    assert len(result.text.splitlines()) == 4
    assert "1 server: 1 listed (3 sessions)" in only_line(result)


def test_an_empty_list_is_one_in_every_format() -> None:
    for name, content in (("json", "[]\n"), ("jsonl", ""), ("csv", ",".join(FIELDS) + "\r\n")):
        result = scan("has3", "has4", "--user", "nobody", "--format", name)
        assert (result.code, result.text) == (0, content)


def test_the_schema_with_resolved_names() -> None:
    known = "from netsession.cli import resolve\nresolve.look_up = lambda address: 'n.' + address\n"
    arguments = ("level0", "level502", "--resolve")
    for name in ("json", "csv"):
        result = run("list", *arguments, "--format", name, setup=known + SERVERS)
        if name == "json":
            rows = json.loads(result.out)
            assert all(tuple(row) == (*FIELDS, "host_name") for row in rows)
            assert all(row["host_name"] == "n." + row["client_name"][2:] for row in rows)
        else:
            assert result.text.splitlines()[0].endswith(",level,host_name")
    table = run("list", *arguments, setup=known + SERVERS).text.splitlines()
    assert table[0].split()[:5] == ["SERVER", "COLLECTED", "CLIENT", "HOST", "USER"]
    one = run("list", "has1", "--with-server", "--resolve", setup=known + SERVERS).text
    assert "n.10.0.0.0" in one


@pytest.mark.parametrize("name", ["parquet", "jsonl"])
def test_resolved_names_in_files(name: str, tmp_path: Path) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow")
    known = "from netsession.cli import resolve\nresolve.look_up = lambda address: 'n.' + address\n"
    file = tmp_path / f"out.{name}"
    result = run("list", "has3", "has4", "--resolve", "-o", str(file), setup=known + SERVERS)
    assert result.code == 0
    rows = _parquet(file).to_pylist() if name == "parquet" else rows_of(file)
    assert [tuple(row) for row in rows] == [(*FIELDS, "host_name")] * 7
    assert all(row["host_name"] == "n." + row["client_name"][2:] for row in rows)


def test_replies_of_a_preferred_length() -> None:
    """Page by page, as one server's list; the result is the same."""
    counted = (
        SERVERS
        + """
import atexit
asked = []
made_before = made
def made(name):
    asked.append(made_before(name))
    return asked[-1]
atexit.register(lambda: print("CALLS", *[each.calls() for each in asked], file=sys.stderr))
"""
    )
    results = [
        run("list", "has50", "has7", "--format", "jsonl", *more, setup=counted)
        for more in ([], ["--page-bytes", "1000"])
    ]
    whole, paged = ([json.loads(line) for line in result.text.splitlines()] for result in results)
    assert [len(whole), len(paged)] == [57, 57]
    assert {row["client_name"] for row in whole} == {row["client_name"] for row in paged}
    calls = [list(map(int, result.err.split("CALLS ")[1].split())) for result in results]
    assert calls[0] == [1, 1]
    assert calls[1][0] > 3


def test_sorted_and_cut_over_all_servers() -> None:
    result = scan("has50", "has7", "denied", "--sort", "-active,server", "--top", "3",
                  "--columns", "server,active,collected_at", "--format", "csv")  # fmt: skip
    assert result.code == 4
    head, *rows = result.text.splitlines()
    assert head == "server,active_time,collected_at"
    assert len(rows) == 3
    assert result.err.endswith("3 servers: 2 listed (57 sessions), 1 access denied\n")


def test_the_first_ones_end_the_scan_and_it_says_so() -> None:
    result = scan("hangs", "has5", "--top", "3", "--format", "jsonl")
    assert result.code == 0
    assert [json.loads(line)["server"] for line in result.text.splitlines()] == ["has5"] * 3
    assert only_line(result) == "2 servers: 1 listed (5 sessions), 1 not waited for (--top)"


def test_a_row_for_each_server() -> None:
    result = scan("has50", "has7", "--group-by", "server", "--format", "json")
    rows = json.loads(result.out)
    assert {row["server"]: row["sessions"] for row in rows} == {"has50": 50, "has7": 7}


@pytest.mark.parametrize("name", ["parquet", "jsonl"])
def test_conditions_and_columns_in_files(name: str, tmp_path: Path) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow")
    file = tmp_path / f"out.{name}"
    arguments = ("--idle-for", "1h", "--user", "alice*", "--columns", "server,collected_at,user")
    assert scan("has50", "level2", *arguments, "-o", str(file)).code == 0
    rows = _parquet(file).to_pylist() if name == "parquet" else rows_of(file)
    assert rows
    assert {tuple(row) for row in rows} == {("server", "collected_at", "user_name")}
    assert all(row["user_name"].startswith("alice") for row in rows)
    if name == "parquet":
        assert all(row["collected_at"].tzinfo is not None for row in rows)


# -- one server -----------------------------------------------------------------------------------


def test_with_server_is_for_one() -> None:
    result = scan("has3", "--with-server", "--format", "csv")
    assert result.text.splitlines()[0] == ",".join(FIELDS)
    assert [line.split(",")[0] for line in result.text.splitlines()[1:]] == ["has3"] * 3
    table = scan("has3", "--with-server")
    assert table.text.startswith("SERVER  ")
    assert only_line(table) == "3 sessions on has3, level 502"
    demo = run("list", "--demo", "3", "--with-server", "--format", "jsonl")
    assert [json.loads(line)["server"] for line in demo.text.splitlines()] == ["simulated"] * 3


@pytest.mark.parametrize(("name", "code"), [("denied", 1), ("wrong", 1), ("gone", 3), ("late", 3)])
def test_one_server_fails_as_ever(name: str, code: int, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    result = scan(name, "--with-server", "-o", str(file))
    assert result.code == code
    assert f"NetSessionEnum on {name} failed" in only_line(result)
    assert not file.exists()


def test_errors_of_one_server(tmp_path: Path) -> None:
    """With the ordinary output too."""
    file = tmp_path / "errors"
    setup = "server = simulated_server(3); server.fail('NetSessionEnum', 5, times=20)"
    result = run("list", "--demo", "--errors", str(file), setup=setup)
    assert (result.code, len(rows_of(file))) == (1, 1)
    assert rows_of(file)[0]["error"] == "AccessDenied"
    result = run("list", "--demo", "--errors", str(file), "--format", "csv")
    assert (result.code, file.read_text()) == (0, "")
    assert result.text.startswith("client_name,")


# -- failures -------------------------------------------------------------------------------------

MIXED = ["has5", "gone", "denied1", "level2", "late", "old", "odd", "denied2", "level0"]


def test_the_end_says_what_came_of_it() -> None:
    result = scan(*MIXED, "--format", "csv")
    assert result.code == 4
    lines = result.err.splitlines()
    assert lines[-1] == (
        "netsession: 9 servers: 3 listed (9 sessions), 2 access denied, 1 unreachable, "
        "1 timed out, 1 not supported, 1 failed"
    )
    table = lines[lines.index("netsession: 6 could not be listed:") + 1 :][:7]
    assert [line.split() for line in table] == [
        ["SERVER", "FAILURE", "STEP", "STATUS"],
        ["denied1", "access", "denied", "-", "ERROR_ACCESS_DENIED"],
        ["denied2", "access", "denied", "-", "ERROR_ACCESS_DENIED"],
        ["gone", "unreachable", "-", "ERROR_BAD_NETPATH"],
        ["late", "timed", "out", "-", "ERROR_TIMEOUT"],
        ["old", "not", "supported", "-", "ERROR_NOT_SUPPORTED"],
        ["odd", "failed", "-", "ERROR_NOT_ENOUGH_MEMORY"],
    ]
    # What each kind means is told once, in the command's words.
    meant = [line for line in lines if line.startswith("netsession: NetSessionEnum on ")]
    assert [line.split()[3] for line in meant] == ["denied1", "gone", "late", "old", "odd"]
    assert "--port" in meant[1]
    assert "port=" not in result.err
    assert len(result.text.splitlines()) == 1 + 9


def test_no_failure_is_code_0() -> None:
    result = scan("has1", "has2")
    assert result.code == 0
    assert only_line(result) == "2 servers: 2 listed (3 sessions)"
    assert "1,200 sessions" in scan("has700", "has500").err


def test_every_failure_is_code_4_and_a_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    file.write_text("yesterday's")
    result = scan("gone", "denied", "-o", str(file))
    assert result.code == 4
    assert file.read_text() == "yesterday's"
    assert os.listdir(tmp_path) == ["out.json"]
    assert result.err.endswith(
        "netsession: 2 servers: 0 listed (0 sessions), 1 access denied, 1 unreachable\n"
    )
    assert scan("gone", "denied", "--format", "json").text == "[]\n"


def test_a_file_has_those_that_were_listed(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    assert scan("gone", "has2", "-o", str(file)).code == 4
    assert [row["server"] for row in json.loads(file.read_text())] == ["has2", "has2"]


def test_errors_are_a_file(tmp_path: Path) -> None:
    file = tmp_path / "errors.jsonl"
    result = scan(*MIXED, "--errors", str(file), "--format", "csv")
    assert result.code == 4
    assert only_line(result).startswith("9 servers: 3 listed")
    rows = rows_of(file)
    assert all(
        list(row) == ["server", "error", "status", "symbol", "step", "detail", "advice"]
        for row in rows
    )
    # In the order in which they were given.
    assert [row["server"] for row in rows] == ["gone", "denied1", "late", "old", "odd", "denied2"]
    assert [(row["error"], row["status"], row["symbol"]) for row in rows[:3]] == [
        ("ServerUnreachable", 53, "ERROR_BAD_NETPATH"),
        ("AccessDenied", 5, "ERROR_ACCESS_DENIED"),
        ("CallTimeout", 1460, "ERROR_TIMEOUT"),
    ]
    assert "--port" in rows[0]["advice"]
    # Tonight nothing failed: what was there is not left.
    assert scan("has1", "has2", "--errors", str(file)).code == 0
    assert file.read_text() == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--errors", "-"], "--errors needs the name of a file"),
        (["--errors", ""], "--errors needs the name of a file"),
        (["--errors", "/nonexistent/x"], "there is no folder"),
        (["--errors", "x.csv", "-o", "./x.csv"], "-o and --errors name the same file"),
        (["--servers-from", "x.txt", "-o", "x.txt"], "-o and --servers-from name the same file"),
        (["--jobs", "0"], "--jobs must be a whole number"),
        (["--jobs", "9999999"], "--jobs must be a whole number"),
        (["--timeout", "0"], "--timeout must be"),
        (["--client", ""], "--client must not be empty"),
    ],
)
def test_what_cannot_be_done_is_said_before_anybody_is_asked(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.txt").write_text("fs03\n")
    result = run_here("list", "fs01", "fs02", *arguments)
    assert result.code == 2
    assert says in only_line(result)
    assert os.listdir(tmp_path) == ["x.txt"]


@pytest.mark.parametrize(("name", "code"), [("denied", 1), ("gone", 3), ("late", 3), ("odd", 1)])
def test_fail_fast_ends_at_the_first_with_its_code(name: str, code: int, tmp_path: Path) -> None:
    file, errors = tmp_path / "out.csv", tmp_path / "errors"
    arguments = ["--fail-fast", "--jobs", "1", "--errors", str(errors)]
    result = scan("has2", name, "hangs", *arguments, "--format", "csv")
    assert result.code == code
    assert len(result.text.splitlines()) == 1 + 2
    told, why = result.err.splitlines()
    assert told == "netsession: --fail-fast: 2 of 3 servers had answered"
    assert why.startswith(f"netsession: NetSessionEnum on {name} failed")
    assert [row["server"] for row in rows_of(errors)] == [name]
    assert scan("has2", name, "hangs", *arguments, "-o", str(file)).code == code
    assert not file.exists()


def test_wrong_passwords_stop_it_and_it_says_how_to_go_on(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    names = ["wrong1", "wrong2", "wrong3", "has1", "has2", "wrong4"]
    result = scan(*names, "--jobs", "1", "--format", "csv")
    assert result.code == 4
    (told,) = [line for line in result.err.splitlines() if "not asked: " in line]
    assert told.startswith("netsession: 3 not asked: the logon of ")
    assert "refused" in told
    assert "wrong1, wrong2, wrong3" in told
    assert "--keep-going goes on" in told
    assert result.err.endswith("0 listed (0 sessions), 3 logon failed, 3 not asked\n")
    assert not re.search(r"^has1", result.err, re.M)
    quiet = scan(*names, "--jobs", "1", "--errors", str(errors), "-q")
    assert only_line(quiet) == told.removeprefix("netsession: ")
    assert [row["error"] for row in rows_of(errors)] == ["LogonFailed"] * 3 + ["NotAsked"] * 3
    assert "--keep-going" in rows_of(errors)[-1]["detail"]
    on = scan(*names, "--jobs", "1", "--keep-going")
    assert on.err.endswith("6 servers: 2 listed (3 sessions), 4 logon failed\n")


def test_quiet_says_what_failed_and_no_more() -> None:
    assert scan("has1", "has2", "-q").err == ""
    assert run("list", "--demo", "3", "-q").err == ""
    failed = scan("has1", "denied", "--quiet")
    assert failed.err.startswith("netsession: 1 could not be listed:\n")
    assert "listed (" not in failed.err
    assert failed.code == 4


# -- coming and going -----------------------------------------------------------------------------


@contextmanager
def begun(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The command, running; killed at the end where it still does."""
    process = subprocess.Popen(
        [sys.executable, *command("list", *arguments, setup=SERVERS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        **options,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", ["jsonl", "csv", "table"])
def test_what_has_answered_does_not_wait_for_what_has_not(name: str) -> None:
    with begun("hangs", "has2", "--format", name) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2 if name == "jsonl" else 3)]
        assert process.poll() is None
    assert all(b"has2" in line for line in lines[-2:])


@posix
def test_ctrl_c_leaves_what_was_written(tmp_path: Path) -> None:
    with begun("hangs", "has2", "--format", "jsonl") as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        second = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, told = process.communicate(timeout=HANG_GUARD)
    assert process.returncode == 130
    assert [json.loads(line)["server"] for line in (first, second)] == ["has2", "has2"]
    assert rest == b""
    assert told == b"netsession: interrupted: 1 of 2 servers had answered\n"


@posix
def test_ctrl_c_leaves_no_file(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    names = tmp_path / "names"
    names.write_text("hangs\nhas2\n")
    file = tmp_path / "out.jsonl"
    file.write_text("yesterday's")
    arguments = ("--servers-from", str(names), "-o", str(file), "--errors", str(tmp_path / "e"))
    with begun(*arguments) as process:
        # The part file is there, and has what came: then the scan is under way.
        part = _part_with_content(tmp_path)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=HANG_GUARD)
    assert process.returncode == 130
    assert file.read_text() == "yesterday's"
    assert not part.exists()
    assert not (tmp_path / "e").exists()


def _part_with_content(folder: Path) -> Path:
    import time

    for _ in range(int(HANG_GUARD / 0.02)):
        for part in folder.glob(".netsession-*.part"):
            if part.stat().st_size:
                return part
        time.sleep(0.02)
    raise AssertionError("nothing was written")


@posix
@pytest.mark.parametrize("name", ["jsonl", "csv", "table", "json"])
def test_a_reader_that_goes_ends_it_at_once(name: str) -> None:
    """While it waits for a server, and would write nothing for a long time."""
    with begun("hangs", "has2", "--format", name) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=HANG_GUARD) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


@posix
def test_a_reader_that_was_never_there() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, *command("list", "hangs", "hangs2", "--format", "csv", setup=SERVERS)],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment(),
        timeout=HANG_GUARD,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


# -- a terminal -----------------------------------------------------------------------------------

#: Bars are drawn every tenth of a second: servers that take some of them.
SLOW = SERVERS.replace("return server", "server.latency = 0.05 * len(name); return server")
NAMES = ["has1", "has22", "denied", "has3", "gone", "level502", "has4", "has5", "level2"]


def on_screen(*arguments: str, columns: int, **env: str) -> tuple[Result, list[str]]:
    result = on_terminal(
        "list", *arguments, setup=SLOW, env={"COLUMNS": str(columns), **env}, columns=columns
    )
    return result, shown(result.out, columns)


@posix
@pytest.mark.parametrize("columns", [80, 120])
def test_a_bar_is_there_meanwhile_and_gone_at_the_end(columns: int) -> None:
    result, lines = on_screen(*NAMES, "--jobs", "2", columns=columns)
    assert result.code == 4
    assert "0/9" in result.text
    assert re.search(r"[1-8]/9.*[1-6] listed, 1 access denied", result.text)
    assert "0/9" not in "\n".join(lines)
    head = lines[0].split()
    assert head[:6] == ["SERVER", "CLIENT", "USER", "OPENS", "ACTIVE", "IDLE"]
    assert not {"COLLECTED", "LEVEL"} & set(head)
    # Every line of the table is whole, and nothing is between them.
    end = next(i for i, line in enumerate(lines) if line.endswith("could not be listed:"))
    begins = [line.split()[0] for line in lines[:end] if line[:1].isalpha()]
    begins = [name for name in begins if name != "SERVER"]  # a new heading, for one more column
    assert sorted(begins) == sorted(
        ["has1"] + ["has22"] * 22 + ["has3"] * 3 + ["level502"] * 2 + ["has4"] * 4
        + ["has5"] * 5 + ["level2"] * 2
    )  # fmt: skip
    assert lines[-1].startswith("netsession: 9 servers: 7 listed (39 sessions), 1 access denied")
    assert "\x1b[?25" not in result.text  # the cursor stays, whatever ends the command


@posix
def test_a_terminal_whose_columns_are_told_wrongly(tmp_path: Path) -> None:
    """The bar is as wide as the terminal: a longer one would leave lines behind."""
    names = ["has1", "has22", "has333", "has4444"]
    for told in ("300", "20", "x"):
        arguments = [*names, "--jobs", "1", "-o", str(tmp_path / "x.jsonl")]
        result, lines = on_screen(*arguments, columns=60, COLUMNS=told)
        assert "1/4" in result.text
        assert lines == ["netsession: 4 servers: 4 listed (4,800 sessions)"]


@posix
@pytest.mark.parametrize(
    "arguments", [["-q"], ["-v"], ["--quiet", "--format", "jsonl"], ["TERM=dumb"]]
)
def test_no_bar_where_nobody_wants_one(arguments: list[str]) -> None:
    env = dict(each.split("=") for each in arguments if "=" in each)
    options = [each for each in arguments if "=" not in each]
    result, _ = on_screen("has1", "has2222", *options, columns=300, **env)
    assert result.code == 0
    assert "0/2" not in result.text
    assert "1/2" not in result.text


@posix
def test_a_bar_beside_a_pipe_and_none_in_it(tmp_path: Path) -> None:
    """Output goes to a file, the bar to the terminal; and the other way round none is drawn."""
    file = tmp_path / "out.jsonl"
    result, lines = on_screen(*NAMES, "-o", str(file), "--jobs", "2", columns=100)
    assert "0/9" in result.text
    assert lines[0] == "netsession: 2 could not be listed:"
    assert b"\x1b" not in file.read_bytes()
    assert len(rows_of(file)) == 39


@posix
def test_no_bar_where_the_output_is_a_pipe() -> None:
    """Its reader, less or jq, writes to the terminal too, and would be torn."""
    import pty

    main, terminal = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, *command("list", *NAMES, setup=SLOW)],
            stdout=subprocess.PIPE,
            stderr=terminal,
            env=environment(TERM="xterm-256color"),
            timeout=HANG_GUARD,
            check=False,
        )
        os.close(terminal)
        told = os.read(main, 1 << 16)
    finally:
        os.close(main)
    assert done.returncode == 4
    assert done.stdout.count(b"\n") == 1 + 39
    assert told.startswith(b"netsession: 2 could not be listed:")


def test_nothing_is_coloured_where_no_terminal_is(tmp_path: Path) -> None:
    forced = {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TERM": "xterm-256color"}
    result = run("list", *NAMES, setup=SLOW, env=forced)
    assert "\x1b" not in result.text + result.err
    assert "0/9" not in result.err


# -- credentials ----------------------------------------------------------------------------------

SECRET = "Geh3im!"
TAKES = f"""
import netsession
from netsession.cli.exits import Stop
def take(servers, *, password, username, **options):
    raise Stop(0, f"{{username}} {{password == {SECRET!r}}} {{list(servers)}} {{options}}")
netsession.scan = take
server = None
"""


def test_one_password_for_all(tmp_path: Path) -> None:
    arguments = ("list", "fs01", "fs02", "--auth-user", "me", "--encrypt", "--port", "1445")
    result = run(*arguments, setup=TAKES, env={"NETSESSION_PASSWORD": SECRET})
    assert only_line(result).startswith("me True ['fs01:1445', 'fs02:1445'] ")
    assert "'encrypt': True, 'timeout': 10.0, 'workers': 32" in only_line(result)
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    names = ("--servers-from", "-", "--password-file", str(file), "--timeout", "3", "--jobs", "5")
    result = run("list", "--auth-user", "me", *names, setup=TAKES, stdin="fs01\nfs02:1445\n")
    assert only_line(result).startswith("me True ['fs01', 'fs02:1445'] ")
    assert "'timeout': 3.0, 'workers': 5" in only_line(result)


@posix
def test_it_is_asked_for_once() -> None:
    pytest.importorskip("smbprotocol")
    result = on_terminal(
        "list", "fs01", "fs02", "fs03", "--auth-user", "me",
        setup=TAKES, answers={"Password of me: ": f"{SECRET}\n"},
    )  # fmt: skip
    assert result.out.count(b"Password of") == 1
    assert b"me True" in result.out
    assert SECRET.encode() not in result.out


def test_secrets_are_nowhere(tmp_path: Path) -> None:
    """Not in what is said, nor in the errors, of servers that are not there."""
    pytest.importorskip("smbprotocol")
    errors = tmp_path / "errors"
    names = ["\\\\127.0.0.1\\data", "[::1]:9"]
    arguments = ("list", *names, "--port", "9", "--auth-user", "CORP\\me", "-v")
    result = run(*arguments, "--errors", str(errors), env={"NETSESSION_PASSWORD": SECRET})
    assert result.code == 4
    assert SECRET not in result.text + result.err + errors.read_text()
    assert {row["step"] for row in rows_of(errors)} == {"connect"}
    assert [row["server"] for row in rows_of(errors)] == names  # as they were given


# -- words ----------------------------------------------------------------------------------------


def test_every_error_has_a_kind() -> None:
    from netsession import errors
    from netsession.cli.failures import KINDS, Failure, kind_of

    for status in range(3000):
        error = errors.error_from_status(status, "NetSessionEnum", "fs01")
        assert kind_of(error) in KINDS
    assert kind_of(errors.error_from_status(124, "NetSessionEnum")) == "unknown level"
    assert kind_of(errors.MalformedReply("x")) == "malformed reply"
    assert kind_of(ValueError("x")) == "wrong name"
    assert kind_of(errors.MissingDependency("x")) == "failed"
    told = Failure("fs01", ValueError("password= must be x")).as_object()
    assert (told["status"], told["error"], told["server"]) == (None, "ValueError", "fs01")
    assert Failure("fs01", RuntimeError("x")).row == ("fs01", "failed", None, None)
