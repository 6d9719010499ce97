"""``netsession watch``: events as JSON lines, the live table, several servers, its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

pytest.importorskip("rich", reason="the command needs rich: pip install netsession[cli]")

from cli_process import HANG_GUARD, Result, command, environment, on_terminal, only_line, run
from netsession import AccessDenied, SessionInfo1, SessionInfo502
from netsession.cli.live import LiveTable
from netsession.cli.watch import as_object
from netsession.watch import (
    SessionChanged,
    SessionClosed,
    SessionOpened,
    WatchFailed,
    WatchRecovered,
)

posix = pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")

#: Something happens on the server before each list; then no demo does.
SCRIPT = """
from netsession.cli import watch as command
from netsession.watch import Watch
server = simulated_server([dict(client_name="\\\\\\\\pc1", user_name="alice", active_time=100)])
class Still:
    def __init__(self, watch, every): self.over = self
    def start(self): pass
    def set(self): pass
command._Demo = Still
begin = Watch._begin
def scripted(self):
    next(steps, lambda: None)()
    return begin(self)
Watch._begin = scripted
steps = iter([
    lambda: None,
    lambda: server.connect_session("pc2", "bob", num_opens=1),
    lambda: server.change_session("pc2", "bob", num_opens=2),
    lambda: server.fail("NetSessionEnum", 53, times=1),
    lambda: server.end_session("pc2", "bob"),
])
"""
#: Several servers, by name.
SEVERAL = """
from netsession.cli import watch as command
from netsession.testing import simulated_server
servers = {servers}
command._servers = lambda connection, asked: list(servers.items())
server = None
"""
AT_ONCE = ("--every", "0.01")


def events(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.text.splitlines()]


# -- jsonl ----------------------------------------------------------------------------------------


def test_events_are_lines() -> None:
    result = run("watch", "--demo", *AT_ONCE, "--count", "6", setup=SCRIPT)
    found = events(result)
    assert [each["event"] for each in found] == [
        "opened", "changed", "failed", "recovered", "closed"
    ]  # fmt: skip
    opened, changed, failed, recovered, closed = found
    times = {"active_time": 0, "idle_time": 0}
    session = {"client_name": "pc2", "user_name": "bob", "num_opens": 1, **times}
    rest = {"user_flags": 0, "client_type": "", "transport": ""}
    begin = {"event": "opened", "at": opened["at"], "server": "simulated"}
    assert opened == {**begin, **session, **rest}
    assert list(opened)[:4] == ["event", "at", "server", "client_name"]
    assert changed["num_opens"] == 2
    assert changed["before"] == {"num_opens": 1}
    assert (failed["error"], failed["status"]) == ("ServerUnreachable", 53)
    assert list(failed)[3:] == ["error", "status", "symbol", "step", "detail", "advice"]
    assert set(recovered) == {"event", "at", "server"}
    assert closed["user_name"] == "bob"
    for each in found:
        assert datetime.strptime(each["at"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert result.code == 0


def test_existing_sessions_and_a_selection() -> None:
    result = run("watch", "--demo=3", "--existing", "--count", "1")
    assert [each["event"] for each in events(result)] == ["opened"] * 3
    result = run("watch", "--demo=9", "--existing", "--count", "1", "--user", "alice.*")
    assert {each["user_name"][:5] for each in events(result)} == {"alice"}
    result = run("watch", "--demo=3", "--existing", "--count", "1", "--level", "10")
    assert list(events(result)[0])[3:] == ["client_name", "user_name", "active_time", "idle_time"]
    assert run("watch", "--demo=3", "--count", "1").out == b""


def test_what_a_terminal_would_obey_is_escaped() -> None:
    setup = SCRIPT.replace("alice", "\\u202e\\x85\\ud800")
    result = run("watch", "--demo", "--existing", "--count", "1", setup=setup)
    assert result.text.isascii()
    assert events(result)[0]["user_name"] == "\u202e\x85\ud800"


def test_times_that_are_not_known_are_null() -> None:
    setup = SCRIPT.replace("active_time=100", "active_time=0xFFFFFFFF")
    result = run("watch", "--demo", "--existing", "--count", "1", setup=setup)
    assert events(result)[0]["active_time"] is None


def test_every_event_as_an_object() -> None:
    at = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
    now, before = SessionInfo1("pc", "a", 1, 9, 0, 1), SessionInfo1("pc", "a", 3, 4, 0, 0)
    told = {"at": "2026-11-25T12:00:00.000000Z", "server": "fs01:1445"}
    for kind, name in ((SessionOpened, "opened"), (SessionClosed, "closed")):
        assert as_object("fs01:1445", kind(at, "fs01", now)) == {
            "event": name, **told, **now._asdict()
        }  # fmt: skip
    changed = as_object("fs01:1445", SessionChanged(at, "fs01", now, before))
    assert changed["before"] == {"num_opens": 3, "user_flags": 0}
    assert as_object("fs01:1445", WatchRecovered(at, "fs01")) == {"event": "recovered", **told}
    failed = as_object("fs01:1445", WatchFailed(at, "fs01", AccessDenied(5, "NetSessionEnum")))
    assert (failed["server"], failed["symbol"]) == ("fs01:1445", "ERROR_ACCESS_DENIED")


# -- several servers ------------------------------------------------------------------------------


def test_one_that_fails_does_not_disturb_the_others() -> None:
    servers = (
        "{'fs01': simulated_server(2), 'fs02': simulated_server(1), 'fs03': simulated_server(3)}\n"
        "servers['fs02'].fail('NetSessionEnum', 5)"
    )
    result = run(
        "watch", "fs01", "fs02", "fs03", "--existing", "--count", "2", *AT_ONCE,
        setup=SEVERAL.format(servers=servers),
    )  # fmt: skip
    found = [(each["server"], each["event"]) for each in events(result)]
    assert (
        sorted(found) == [("fs01", "opened")] * 2 + [("fs02", "failed")] + [("fs03", "opened")] * 3
    )
    assert result.code == 4
    assert only_line(result).startswith("fs02: NetSessionEnum on simulated failed")


def test_wrong_logons_end_it() -> None:
    """Nobody is asked twice with a password that was refused."""
    servers = (
        "{f'fs{k}': simulated_server(1) for k in range(2)}\n"
        "for each in servers.values(): each.fail('NetSessionEnum', 1326)\n"
        "import atexit\n"
        "atexit.register(lambda: print(*[each.calls() for each in servers.values()]))"
    )
    result = run("watch", "fs0", "fs1", *AT_ONCE, setup=SEVERAL.format(servers=servers))
    *lines, calls = result.text.splitlines()
    assert [json.loads(line)["error"] for line in lines] == ["LogonFailed"] * 2
    assert calls == "1 1"
    assert result.code == 4


def test_servers_of_a_file(tmp_path: Any) -> None:
    names = tmp_path / "servers.txt"
    names.write_text("fs01\n# no more\nFS01\n")
    result = run(
        "watch", "--servers-from", str(names), "--existing", "--count", "1",
        setup=SEVERAL.format(servers="{'fs01': simulated_server(1)}"),
    )  # fmt: skip
    assert [each["server"] for each in events(result)] == ["fs01"]


# -- its end --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [(5, 1, "ACCESS_DENIED"), (53, 3, "BAD_NETPATH"), (1326, 1, "LOGON_FAILURE"), (124, 1, "124")],
)
def test_the_latest_failure_of_the_only_server_is_the_command_s(
    status: int, code: int, text: str
) -> None:
    setup = SCRIPT + f'\nserver.fail("NetSessionEnum", {status})'
    result = run("watch", "--demo", *AT_ONCE, "--count", "2", setup=setup)
    assert result.code == code
    assert text in only_line(result)
    assert [each["event"] for each in events(result)] == ["failed"]


def test_it_ends_after_a_time() -> None:
    assert run("watch", "--demo", "--every", "3600", "--for", "1").code == 0


@posix
def test_a_reader_that_goes_ends_it() -> None:
    """Also where nothing more is to be written."""
    process = subprocess.Popen(
        [sys.executable, *command("watch", "--demo=1", "--existing", "--every", "3600")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith(b'{"event":"opened"')  # flushed at once
        process.stdout.close()
        assert process.wait(HANG_GUARD) == 0
    finally:
        process.kill()
        process.wait()
    assert process.stderr is not None
    with process.stderr:
        assert b"Traceback" not in process.stderr.read()


@posix
def test_an_interrupt_ends_it() -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            *command("watch", "--demo", "--existing", "--every", "3600", setup=SCRIPT),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=HANG_GUARD)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out, told) == (130, b"", b"")


# -- the table ------------------------------------------------------------------------------------


@posix
def test_on_a_terminal_it_is_a_table() -> None:
    result = on_terminal("watch", "--demo", *AT_ONCE, "--count", "2", setup=SCRIPT, columns=80)
    assert result.code == 0
    assert "CLIENT" in result.text
    assert "+ pc2" in result.text
    assert "2 sessions" in result.text
    assert "1 new" in result.text
    assert "\x1b[?25" not in result.text  # the cursor was there all the time


@posix
def test_ctrl_c_on_a_terminal() -> None:
    result = on_terminal(
        "watch", "--demo", "--every", "3600", setup=SCRIPT, answers={"1 session,": b"\x03"}
    )
    assert result.code == 130
    assert "\x1b[?25" not in result.text
    assert "Traceback" not in result.text


@posix
def test_jsonl_on_a_terminal() -> None:
    result = on_terminal(
        "watch", "--demo=1", "--existing", "--count", "1", "--format", "jsonl", columns=80
    )
    assert json.loads(result.text.splitlines()[-1])["event"] == "opened"


class FakeSink:
    """A terminal of a size."""

    is_terminal = True
    encoding = "utf-8"
    name = "a terminal"

    def __init__(self, width: int) -> None:
        self.width = width


class FakeNews:
    """What a list brought."""

    def __init__(
        self, server: str, sessions: list[tuple[int, Any]], *happened: Any, listed: bool = True
    ) -> None:
        self.server = server
        self.sessions = sessions
        self.events = list(happened)
        self.listed = listed


AT = datetime(2026, 11, 25, tzinfo=UTC)


def session(client: str, user: str, age: int = 5, opens: int = 0) -> SessionInfo502:
    return SessionInfo502("\\\\" + client, user, opens, age, 0, 0, "", "")


def table_of(*news: FakeNews, width: int = 80, height: int = 25) -> list[str]:
    servers = list(dict.fromkeys(each.server for each in news))
    table = LiveTable(FakeSink(width), servers, 5.0)  # type: ignore[arg-type]
    for each in news:
        table._boards[each.server].take(each)  # type: ignore[arg-type]
    return [line for line, _ in table.lines(width, height)]


def test_what_came_and_went_is_marked_for_three_lists() -> None:
    stays, comes = session("pc1", "alice"), session("pc2", "bob", 0)
    first = FakeNews("fs", [(1, stays)])
    came = FakeNews("fs", [(1, stays), (2, comes)], SessionOpened(AT, "fs", comes))
    quiet = FakeNews("fs", [(1, stays), (2, comes)])
    went = FakeNews("fs", [(1, stays)], SessionClosed(AT, "fs", comes))
    alone = FakeNews("fs", [(1, stays)])

    def marks(*news: FakeNews) -> list[str]:
        return [line[:5] for line in table_of(*news)[2:-1]]

    assert marks(first) == ["  pc1"]
    assert marks(first, came) == ["  pc1", "+ pc2"]
    assert marks(first, came, quiet, quiet) == ["  pc1", "+ pc2"]
    assert marks(first, came, quiet, quiet, quiet) == ["  pc1", "  pc2"]
    assert marks(first, came, went) == ["  pc1", "- pc2"]
    assert marks(first, came, went, alone, alone) == ["  pc1", "- pc2"]
    assert marks(first, came, went, alone, alone, alone) == ["  pc1"]
    changed = FakeNews("fs", [(1, stays)], SessionChanged(AT, "fs", stays, stays))
    assert marks(first, changed) == ["~ pc1"]


def test_failures_stand_below_and_the_rows_stay() -> None:
    stays = session("pc1", "alice")
    failed = WatchFailed(AT, "fs02", AccessDenied(5, "NetSessionEnum"))
    lines = table_of(
        FakeNews("fs01", [(1, stays)]),
        FakeNews("fs02", [(1, stays)]),
        FakeNews("fs02", [(1, stays)], failed, listed=False),
        width=120,
    )
    assert lines[0].split() == ["SERVER", "CLIENT", "USER", "OPENS", "ACTIVE", "IDLE"]
    assert [line.split()[:2] for line in lines[2:4]] == [["fs01", "pc1"], ["fs02", "pc1"]]
    assert lines[4].startswith("fs02: access denied (ERROR_ACCESS_DENIED)")
    assert lines[5].startswith("2 sessions on 2 servers")


@pytest.mark.parametrize("width", [20, 40, 80, 120])
@pytest.mark.parametrize("height", [1, 8, 25])
def test_it_fits_the_terminal(width: int, height: int) -> None:
    names = ["pc\x1b[2J", "日本語のコンピューター" * 3, "x" * 300, "pc"]
    many = [(k, session(names[k % 4], f"user{k}", k * 1000)) for k in range(200)]
    failed = WatchFailed(AT, "b", AccessDenied(5, "NetSessionEnum"))
    lines = table_of(
        FakeNews("a" * 200, many),
        FakeNews("b", many, SessionOpened(AT, "b", many[7][1])),
        FakeNews("b", many, failed, listed=False),
        width=width,
        height=height,
    )
    from netsession.cli.cells import cell_width

    assert max(map(cell_width, lines)) <= width
    assert len(lines) <= max(height - 1, 4)
    assert all(line.isprintable() for line in lines)
    if height == 25 and width >= 80:
        assert any("user7 " in line and line.startswith("+") for line in lines)
        assert any(line.startswith("… and 3") for line in lines)


# -- usage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--demo", "--format", "table"], "--format table is for a terminal, and this is none"),
        (["--demo", "--format", "csv"], "--format must be table or jsonl, not 'csv'"),
        (["--demo", "-o", "x.jsonl"], "no such option: '-o'"),
        (["--demo", "--every", "0"], "--every must be a number of seconds, more than 0"),
        (["--demo", "--every", "1e300"], "--every must be a number of seconds"),
        (["--demo", "--count", "0"], "--count must be a whole number from 1"),
        (["--demo", "--for", "0"], "--for must be more than 0 seconds"),
        (["--demo", "--for", "soon"], "--for must be a time such as"),
        (["--demo", "fs01"], "--demo asks no server: leave out 'fs01'"),
        (["--demo", "--servers-from", "x"], "--demo asks no server: leave out --servers-from"),
        (["fs01", "10.0.0.0/24"], "it is one server that is asked, not a network"),
        (["fs01", "fs02", "--user", "CORP\\"], "--user must have a name after the domain"),
        (["fs01", "--level", "0", "--no-opens"], "--level"),
        (["fs01", "--password-file", "x"], "--password-file needs --auth-user"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], text: str) -> None:
    result = run("watch", *arguments)
    assert (result.code, result.out) == (2, b"")
    assert text in only_line(result)
