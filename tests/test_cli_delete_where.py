"""``netsession delete`` by conditions, by patterns and on several servers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import netsession
from cli_process import Result, on_terminal, only_line, run, run_here
from netsession._question import Asking
from netsession.cli import connect, ending, progress
from netsession.testing import SimulatedServer, simulated_server

pytest.importorskip("rich")

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")

# Says at the end which sessions are left on each server, and how often each was asked to end any.
# A simulated session does not get older; nor do we, and looking again costs no time.
SERVERS = """
import atexit
from netsession import _carry_out, _question
from netsession._simulator import Simulator
from netsession.cli import ending, report
HOUR = 3600
report.sleep = lambda seconds: None
report.time = _carry_out.time = lambda: 0.0
def session(client, user, idle=9 * HOUR, opens=0):
    return client, user, opens, 90_000, idle, 0, "", ""
ALICE, ALICE_IS_BUSY = session("10.1.2.3", "alice"), session("10.1.2.3", "alice", 5)
BOB, BOB_IS_BUSY = session("10.1.2.3", "bob"), session("10.1.2.3", "bob", 5)
SVC, CAROL = session("WS1", "svc-x"), session("WS2", "carol")
class Reporting(SimulatedServer):
    def __init__(self, *sessions):
        self.simulator = Simulator()
        for each in sessions:
            self.simulator.add(*each)
        super().__init__(self.simulator)
servers = {"demo": Reporting(ALICE, SVC, BOB_IS_BUSY, CAROL)}
def by_name(name):
    return servers[name.partition(":")[0]]
_question.Asking.server = lambda self, name, backend=None: (
    SimulatedServer(Simulator()) if backend is not None else by_name(name)
)
ending._server = lambda asked, connection, password: by_name(asked.name)
def tell_what_is_left():
    for name, each in servers.items():
        each.fail("NetSessionEnum", 5, times=0)
        for level in (0, 1, 2, 10, 502):
            each.refuse(level, 0)
        users = sorted(s.user_name for s in SimulatedServer(each.simulator).sessions())
        print("LEFT", name, *users, "CALLS", each.simulator.calls("NetSessionDel"))
atexit.register(tell_what_is_left)
"""
END = "\nserver = servers.get('demo')\n"


def setup(more: str = "") -> str:
    return SERVERS + more + END


def left(result: Result) -> list[str]:
    return [line for line in result.text.replace("\r", "").splitlines() if line.startswith("LEFT")]


NOTHING_SENT = ["LEFT demo alice bob carol svc-x CALLS 0"]


def ask(*arguments: str, more: str = "", stdin: str = "") -> Result:
    return run("delete", "--demo", *arguments, setup=setup(more), stdin=stdin)


# -- one server -----------------------------------------------------------------------------------


def test_ends_what_is_idle_and_reports_each() -> None:
    result = ask("--idle-for", "8h", "--no-opens", "--yes")
    assert result.code == 0, result
    assert left(result) == ["LEFT demo bob CALLS 3"]
    lines = result.err.splitlines()
    for who in ("alice from 10.1.2.3", "svc-x from WS1", "carol from WS2"):
        assert f"netsession: ended: {who} (1 session)" in lines
    assert "3 pairs of user and client: 3 ended; listed again: none of 3 sessions" in lines[-1]
    shown = result.text.partition("These share a client")
    assert [line.split()[:2] for line in shown[0].splitlines()[2:5]] == [
        ["10.1.2.3", "alice"],
        ["WS1", "svc-x"],
        ["WS2", "carol"],
    ]
    assert "bob" not in shown[0]
    assert "\n\nThese share a client" in result.text.replace("\r", "")
    assert "Samba ends whole connections" in result.err
    assert "bob" in shown[2].partition("LEFT")[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--idle-for", "8h", "--no-opens"),
        ("--user", "alice"),
        ("--user", "alice", "--verify"),
        ("--idle-for", "90d"),
    ],
)
def test_quietly_nothing_is_said_where_all_went_as_it_should(arguments: tuple[str, ...]) -> None:
    result = ask(*arguments, "--yes", "-q")
    assert (result.code, result.err) == (0, ""), result


def test_quietly_what_did_not_go_as_it_should_is_said() -> None:
    result = ask("--idle-for", "8h", "--yes", "-q", more="servers['demo'].fail('NetSessionDel', 5)")
    assert result.code == 1
    assert "failed: alice from 10.1.2.3 (1 session): ERROR_ACCESS_DENIED" in result.err
    assert "warning" not in result.err


def test_who_is_asked_must_not_miss_the_warnings() -> None:
    result = ask("--idle-for", "8h", "-q")
    assert result.code == 2
    assert "give --yes with it" in result.err
    assert left(result) == NOTHING_SENT


def test_one_that_is_busy_keeps_its_pair_and_is_told() -> None:
    more = "servers['demo'] = Reporting(ALICE, ALICE_IS_BUSY, BOB, BOB_IS_BUSY)\n"
    result = ask("--idle-for", "8h", "--yes", more=more)
    assert result.code == 0, result
    assert left(result) == ["LEFT demo alice alice bob bob CALLS 0"]
    why = " from 10.1.2.3 has 2 sessions, one of which is idle for 5 s only\n"
    assert f"Left alone:\nalice{why}bob{why}LEFT" in result.text.replace("\r", "")
    assert "there is nothing to end" in only_line(result)


def test_dry_run_shows_all_of_it_and_ends_nothing() -> None:
    more = "servers['demo'] = Reporting(ALICE, BOB, BOB_IS_BUSY, CAROL)\n"
    result = ask("--idle-for", "8h", "--dry-run", more=more)
    assert result.code == 0
    assert left(result) == ["LEFT demo alice bob bob carol CALLS 0"]
    for part in ("To be ended:", "These share a client", "Left alone:"):
        assert part in result.text
    assert "--dry-run: 2 sessions would be ended; nothing was" in result.err


@pytest.mark.parametrize(
    ("arguments", "remain"),
    [
        (("--user", "svc-*"), "alice bob carol"),
        (("--user", "SVC-?"), "alice bob carol"),
        (("--user", "alice", "--user", "carol"), "bob svc-x"),
        (("--user", "alice", "--user", "c*", "--client", "WS2"), "alice bob svc-x"),
        (("--client", "WS?", "--client", "10.*", "--idle-for", "1h"), "bob"),
        (("--idle-for", "8h", "--user", "alice"), "bob carol svc-x"),
        (("--active-for", "1d", "--client", "WS1"), "alice bob carol"),
        (("--active-for", "2d"), "alice bob carol svc-x"),
        (("--min-opens", "1"), "alice bob carol svc-x"),
    ],
)
def test_names_and_patterns_choose(arguments: tuple[str, ...], remain: str) -> None:
    result = ask(*arguments, "--yes")
    assert result.code == 0, result
    assert left(result)[0].startswith(f"LEFT demo {remain} CALLS")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--user", "*", "--idle-for", "8h"),
        ("--user", "alice", "--user", "?*"),
        ("--user", "*@corp.example"),
        ("--client", "*"),
        ("--client", "*.*.*.*"),
        ("--client", "", "--idle-for", "8h"),
        ("--user", "", "--idle-for", "8h"),
        ("--user", "alice", "--user", ""),
        ("--max", "5"),
        ("--idle-for", "soon"),
        ("--idle-for", "-1"),
        ("--idle-for", "8h", "--max", "many"),
        ("--min-opens", "1", "--no-opens"),
    ],
)
def test_everybody_and_nonsense_are_usage_errors(arguments: tuple[str, ...]) -> None:
    result = ask(*arguments, "--yes")
    assert result.code == 2
    only_line(result)
    assert left(result) == NOTHING_SENT


@pytest.mark.parametrize(
    "arguments",
    [
        ("--idle-for", "0"),
        ("--exclude-machine-accounts",),
        ("--min-opens", "0", "--active-for", "0s"),
    ],
)
def test_everybody_is_never_meant(arguments: tuple[str, ...]) -> None:
    result = run_here("delete", "--demo", *arguments, "--yes")
    assert (result.code, result.out) == (2, b"")
    assert "give --client, --user or both, or a condition" in only_line(result)


def test_names_are_checked_before_a_password_is_asked() -> None:
    as_me = ("--auth-user", "me", "--password-file", "/no/such/file")
    for servers in (("fs01",), ("fs01", "fs02", "--max", "3")):
        for name in ("?*", "\u200b"):
            result = run_here("delete", *servers, *as_me, "--user", "a", "--user", name, "--yes")
            assert result.code == 2
            assert only_line(result).startswith("--user ")


def test_without_rich_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    result = run_here("delete", "--demo", "--idle-for", "8h", "--dry-run")
    assert result.code == 2
    assert "rich is not installed" in only_line(result)


def test_tells_what_a_name_means_here(monkeypatch: pytest.MonkeyPatch) -> None:
    server = simulated_server([{"client_name": "10.1.2.3", "user_name": 300 * "x"}])
    monkeypatch.setattr(server, "_resolve", lambda name, call: (frozenset({"10.1.2.3"}), None))
    monkeypatch.setattr(connect, "_simulated", lambda sessions: server)
    result = run_here("delete", "--demo", "--client", "WS77", "--no-opens", "--dry-run")
    assert result.code == 0
    assert result.err.startswith("netsession: WS77 is 10.1.2.3 here\n")
    assert 300 * "x" in result.text  # whole


def test_two_accounts_of_a_name_are_refused() -> None:
    more = """
servers["demo"] = Reporting(session("WS1", "CORP\\\\alice"), session("WS1", "DEV\\\\alice", 5))
"""
    result = ask("--user", "alice", "--idle-for", "8h", "--yes", more=more)
    assert result.code == 1
    assert "CORP\\alice, DEV\\alice" in only_line(result)
    assert left(result)[0].endswith("CALLS 0")


def test_nothing_that_matches_is_done_and_a_name_of_nobody_is_not() -> None:
    idle = ask("--idle-for", "20d", "--yes")
    assert (idle.code, "there is nothing to end" in only_line(idle)) == (0, True)
    nobody = ask("--idle-for", "1h", "--user", "dave", "--yes")
    assert (nobody.code, "no session on" in only_line(nobody)) == (1, True)


@pytest.mark.parametrize(("most", "code"), [("2", 1), ("3", 0)])
def test_max_keeps_from_ending_more(most: str, code: int) -> None:
    result = ask("--idle-for", "8h", "--yes", "--max", most)
    assert result.code == code, result
    if code:
        assert "3 sessions would be ended, more than --max 2" in result.err.splitlines()[-1]
        assert left(result) == NOTHING_SENT


def test_max_is_for_names_too() -> None:
    result = ask("--user", "alice", "--yes", "--max", "0")
    assert (result.code, left(result)) == (1, NOTHING_SENT)
    unlisted = "for level in (0, 1, 2, 10, 502): servers['demo'].refuse(level)\n"
    result = ask("--user", "alice", "--yes", "--max", "9", more=unlisted)
    assert result.code == 1
    assert "is not known" in result.err.splitlines()[-1]


def test_where_listing_is_refused_nothing_is_sent() -> None:
    more = "for level in (1, 2, 10, 502): servers['demo'].refuse(level)\n"
    result = ask("--idle-for", "8h", "--yes", more=more)
    assert result.code == 1
    assert "nding by conditions needs the list, with client_name" in only_line(result)
    assert left(result)[0].endswith("CALLS 0")


def test_without_a_terminal_and_yes_nobody_is_asked() -> None:
    result = ask("--idle-for", "8h", stdin="y\n")
    assert (result.code, left(result)) == (2, NOTHING_SENT)
    assert "no terminal" in only_line(result)


@posix
@pytest.mark.parametrize(("answer", "calls"), [("y\n", 3), ("n\n", 0), ("\n", 0), ("\x03", 0)])
def test_asks_once(answer: str, calls: int) -> None:
    result = on_terminal(
        "delete", "--demo", "--idle-for", "8h", setup=setup(), answers={"[y/N] ": answer}
    )
    assert result.text.count("[y/N]") == 1
    assert "End 3 sessions? [y/N]" in result.text
    assert left(result)[0].endswith(f"CALLS {calls}")
    assert result.code == {"y\n": 0, "\x03": 130}.get(answer, 1)


# Something happens between what is shown and what is ended.
MEANWHILE = """
from netsession.cli import delete
check = delete.check_most
def meanwhile(*arguments):
    check(*arguments)
    {what}
delete.check_most = meanwhile
"""


def test_what_changed_since_it_was_shown_is_left_alone() -> None:
    more = MEANWHILE.format(
        what="simulator = servers['demo'].simulator; simulator.add(*ALICE_IS_BUSY); "
        "simulator.add(*session('WS1', 'dave', 0))"
    )
    result = ask("--idle-for", "8h", "--yes", more=more)
    assert result.code == 0, result
    assert left(result) == ["LEFT demo alice alice bob dave svc-x CALLS 1"]
    assert (
        "netsession: left alone: alice from 10.1.2.3 is active again: it has 2 sessions, one of "
        "which is idle for 5 s only"
    ) in result.err
    assert "left alone: svc-x from WS1 shares its client by now with dave" in result.err
    assert "3 pairs of user and client: 2 left alone, 1 ended" in result.err.splitlines()[-1]


def test_who_is_gone_by_then_is_told() -> None:
    more = MEANWHILE.format(
        what="SimulatedServer(servers['demo'].simulator).delete_sessions(user='alice')"
    )
    result = ask("--idle-for", "8h", "--yes", more=more)
    assert result.code == 0, result
    assert left(result) == ["LEFT demo bob CALLS 3"]
    assert "netsession: gone: alice from 10.1.2.3 (1 session)" in result.err


def test_sessions_that_stay_are_told_and_fail() -> None:
    more = """
from netsession import Server
end = Server._end
Server._end = lambda self, call, client, user: user == "alice" or end(self, call, client, user)
"""
    result = ask("--idle-for", "8h", "--yes", more=more)
    assert result.code == 1
    assert "still there: alice from 10.1.2.3 (1 session), 1 of them, though the" in result.err
    assert "listed again: 1 of 3 sessions is left" in result.err.splitlines()[-1]


def test_who_comes_again_is_no_session_that_stayed() -> None:
    more = """
from netsession import Server
end = Server._end
def come_again(self, call, client, user):
    end(self, call, client, user)
    self.simulator.add(client, user, 0, 0, 0, 0, "", "")
Server._end = come_again
report.time = lambda: 1e12
"""
    result = ask("--idle-for", "8h", "--user", "alice", "--yes", more=more)
    assert result.code == 0, result
    assert "none of 1 session is left; newer ones of them: 1" in result.err.splitlines()[-1]


@pytest.mark.parametrize(("status", "code"), [(5, 1), (87, 1)])
def test_a_refusal_does_not_keep_the_others(status: int, code: int) -> None:
    more = f"servers['demo'].fail('NetSessionDel', {status}, times=1)\n"
    result = ask("--idle-for", "8h", "--yes", more=more)
    assert result.code == code
    assert left(result) == ["LEFT demo alice bob CALLS 3"]
    assert "failed: alice from 10.1.2.3 (1 session): ERROR_" in result.err
    assert "f 3 pairs: 1 failed, 2 ended" in result.err.splitlines()[-1]


def test_a_lost_connection_ends_it_and_exits_3() -> None:
    more = "servers['demo'].fail('NetSessionDel', 64, after=1)\n"
    result = ask("--idle-for", "8h", "--yes", more=more)
    assert result.code == 3
    assert "not asked: carol from WS2 (1 session)" in result.err
    assert "no clear answer: svc-x from WS1 (1 session): ERROR_NETNAME_DELETED; still there" in (
        result.err
    )
    assert left(result)[0].endswith("CALLS 2")


# The last of three: whatever comes of it, all were asked for.
LOST = """
from netsession import ConnectionLost, Server
end = Server._end
def lose(self, call, client, user):
    if user != "carol" or {done}:
        end(self, call, client, user)
    if user == "carol":
        raise ConnectionLost(64, "NetSessionDel", "fs01", maybe_done=True)
Server._end = lose
"""


@pytest.mark.parametrize(("done", "code"), [(True, 0), (False, 1)])
def test_verifying_settles_a_lost_answer(done: bool, code: int) -> None:
    result = ask("--idle-for", "8h", "--yes", more=LOST.format(done=done))
    assert result.code == code, result
    assert f"; {'not there any more' if done else 'still there'}" in result.err


def test_what_cannot_be_verified_is_not_called_gone() -> None:
    refuses = LOST.format(done=True) + (
        "verify = report.Report.verify\n"
        "def refused(self, server):\n"
        "    for level in (0, 1, 2, 10, 502): server.refuse(level)\n"
        "    verify(self, server)\n"
        "report.Report.verify = refused\n"
    )
    result = ask("--idle-for", "8h", "--yes", more=refuses)
    assert result.code == 3
    assert "nothing could be verified" in result.err
    assert "none of" not in result.err
    result = ask("--idle-for", "8h", "--yes", more=refuses.replace('user == "carol":', "False:"))
    assert result.code == 1
    assert "nothing could be verified" in result.err


def test_ctrl_c_in_the_middle_tells_of_each_pair() -> None:
    more = LOST.format(done=False).replace(
        'raise ConnectionLost(64, "NetSessionDel", "fs01", maybe_done=True)',
        "raise KeyboardInterrupt",
    )
    result = ask("--idle-for", "8h", "--yes", more=more)
    assert result.code == 130
    assert "ended: alice from 10.1.2.3" in result.err
    assert "no clear answer: carol from WS2 (1 session)" in result.err
    assert "interrupted; netsession list shows what is left" in result.err


def test_names_of_a_hostile_server_are_harmless() -> None:
    more = r"""
bad = "a\x1b[2J\n\u202eb"
servers["demo"] = Reporting(session("WS1", bad), session("WS2", bad), session("WS2", bad, 5))
"""
    result = ask("--idle-for", "8h", "--yes", more=more)
    assert result.code == 0, result
    for text in (result.text.partition("LEFT")[0], result.err):
        assert not set("\x1b\u202e") & set(text)
    assert "a\\x1b[2J\\n\\u202eb from WS2 has 2 sessions" in result.text


@pytest.mark.parametrize("arguments", [("--idle-for", "8h"), ("--user", "alice")])
@pytest.mark.parametrize("dry_run", [False, True])
def test_what_nobody_reads_is_not_ended(arguments: tuple[str, ...], dry_run: bool) -> None:
    """Nor is it called done: the exit code is not 0."""
    more = "import os\nreader, writer = os.pipe()\nos.dup2(writer, 1)\nos.close(reader)\n"
    more += "atexit.unregister(tell_what_is_left)\n"
    more += "atexit.register(lambda: os.write(2, b'CALLS %d' % "
    more += "servers['demo'].simulator.calls('NetSessionDel')))\n"
    result = ask(*arguments, "--dry-run" if dry_run else "--yes", more=more)
    assert result.code == (0 if dry_run else 2)
    assert result.err.endswith("CALLS 0")
    assert ("nobody reads standard output" in result.err) is not dry_run


# -- several servers ------------------------------------------------------------------------------

THREE = """
servers.clear()
servers.update(fs01=Reporting(ALICE, BOB_IS_BUSY), fs02=Reporting(SVC, CAROL), fs03=Reporting(BOB))
"""


# One after the other: what comes of one must not depend on which answers first.
def on_three(
    *arguments: str,
    more: str = "",
    names: tuple[str, ...] = ("fs01", "fs02", "fs03"),
    **options: Any,
) -> Result:
    return run("delete", *names, "--jobs", "1", *arguments, setup=setup(THREE + more), **options)


def calls(result: Result) -> list[int]:
    return [int(line.rpartition(" ")[2]) for line in left(result)]


def test_several_servers_are_shown_together_and_ended_one_by_one() -> None:
    result = on_three("--idle-for", "8h", "--yes", "--max", "4")
    assert result.code == 0, result
    assert calls(result) == [1, 2, 1]
    rows = [line.split()[:3] for line in result.text.splitlines()[1:6]]
    assert rows == [
        ["SERVER", "CLIENT", "USER"],
        ["fs01", "10.1.2.3", "alice"],
        ["fs02", "WS1", "svc-x"],
        ["fs02", "WS2", "carol"],
        ["fs03", "10.1.2.3", "bob"],
    ]
    assert "netsession: fs02: ended: carol from WS2 (1 session)" in result.err
    assert "netsession: fs03: 1 pair of user and client: 1 ended" in result.err


def test_yes_with_several_servers_needs_max() -> None:
    result = on_three("--idle-for", "8h", "--yes")
    assert (result.code, calls(result)) == (2, [0, 0, 0])
    assert "--max N" in only_line(result)
    result = on_three("--idle-for", "8h", "--yes", "--max", "3")
    assert (result.code, calls(result)) == (1, [0, 0, 0])
    assert "4 sessions would be ended, more than --max 3" in result.err.splitlines()[-1]
    result = on_three("--idle-for", "8h", "--dry-run", "--yes")
    assert (result.code, calls(result)) == (0, [0, 0, 0])
    assert "4 sessions on 3 servers would be ended; nothing was" in result.err


def test_a_name_alone_ends_a_user_everywhere() -> None:
    result = on_three("--user", "bob", "--yes", "--max", "9")
    assert (result.code, calls(result)) == (0, [1, 0, 1])
    nobody = on_three("--user", "dave", "--yes", "--max", "9")
    assert (nobody.code, calls(nobody)) == (1, [0, 0, 0])
    assert "no session on 3 servers matches" in only_line(nobody)
    unknown = on_three("--user", "dave", "--yes", "--max", "9", more=FAILS)
    assert (unknown.code, calls(unknown)) == (4, [0, 0, 0])
    assert "there is nothing to end (1 could not be listed)" in unknown.err


FAILS = "servers['fs02'].fail('NetSessionEnum', 5)\n"


def test_a_server_that_cannot_be_listed_is_told_and_exits_4() -> None:
    result = on_three("--idle-for", "8h", "--yes", "--max", "9", more=FAILS)
    assert result.code == 4, result
    assert calls(result) == [1, 0, 1]
    assert "1 could not be listed" in result.err
    assert "fs02" in result.err


@posix
def test_is_asked_once_for_all_and_told_what_could_not_be_listed() -> None:
    for answer, asked, code in (("y\n", [1, 0, 1], 4), ("n\n", [0, 0, 0], 1)):
        result = on_terminal(
            *("delete", "fs01", "fs02", "fs03", "--idle-for", "8h"),
            setup=setup(THREE + FAILS),
            answers={"[y/N] ": answer},
        )
        assert "End 2 sessions on 2 servers (1 could not be listed)? [y/N]" in result.text
        assert result.text.count("[y/N]") == 1
        assert (result.code, calls(result)) == (code, asked)


def test_an_ambiguous_name_on_one_server_is_that_server_s_failure() -> None:
    more = "servers['fs02'] = Reporting(session('W', 'CORP\\\\bob'), session('W', 'DEV\\\\bob'))\n"
    result = on_three("--user", "bob", "--yes", "--max", "9", more=more)
    assert (result.code, calls(result)) == (4, [1, 0, 1])
    assert "CORP\\bob, DEV\\bob" in result.err


def test_a_level_that_lacks_the_conditions_is_that_server_s_failure() -> None:
    more = "for level in (1, 2, 502): servers['fs02'].refuse(level)\n"
    result = on_three("--no-opens", "--yes", "--max", "9", more=more)
    assert (result.code, calls(result)) == (4, [2, 0, 1])
    assert "needs the list, with num_opens" in result.err


def test_servers_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "servers.txt"
    file.write_text("# ours\nfs01\nfs02\n")
    arguments = ("--servers-from", str(file), "--idle-for", "8h", "--yes")
    needs = on_three(*arguments, names=())
    assert (needs.code, calls(needs)) == (2, [0, 0, 0])
    result = on_three(*arguments, "--max", "9", names=())
    assert (result.code, calls(result)) == (0, [1, 2, 0])


def test_standard_input_is_for_one_thing() -> None:
    result = on_three("--servers-from", "-", "--idle-for", "8h", names=())
    assert (result.code, calls(result)) == (2, [0, 0, 0])
    assert "standard input" in only_line(result)
    for rest, asked in ((("--yes", "--max", "9"), [1, 2, 0]), (("--dry-run",), [0, 0, 0])):
        arguments = ("--servers-from", "-", "--idle-for", "8h", *rest)
        result = on_three(*arguments, names=(), stdin="fs01\nfs02\n")
        assert (result.code, calls(result)) == (0, asked)


def test_after_refused_logons_the_rest_is_not_asked() -> None:
    more = "for each in servers.values(): each.fail('NetSessionEnum', 1326)\n"
    more += "servers.update(fs04=Reporting(BOB), fs05=Reporting(BOB))\n"
    names = ("fs01", "fs02", "fs03", "fs04", "fs05")
    result = on_three("--user", "bob", "--dry-run", names=names, more=more)
    assert result.code == 4
    assert "2 not asked: " in result.err
    result = on_three("--user", "bob", "--dry-run", "--keep-going", names=names, more=more)
    assert "not asked" not in result.err


def test_the_own_session_near_those_of_one_server_is_told() -> None:
    more = """
import getpass, socket
getpass.getuser = lambda: "me"  # who that is on Windows
servers.update(fs01=Reporting(SVC, session("WS1", "me", 5)), fs03=Reporting(BOB_IS_BUSY))
socket.gethostname = lambda: """
    for machine, told in (("ws1", True), ("ws9", False)):
        result = on_three("--idle-for", "8h", "--dry-run", more=f"{more}'{machine}'")
        assert ("own session may be among those that share a client" in result.err) is told
        assert "Samba ends whole connections" in result.err


def test_each_server_is_asked_and_ended_as_the_options_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scan = netsession.scan
    scanned: list[dict[str, Any]] = []
    ended: list[tuple[Any, ...]] = []
    shown: list[tuple[object, ...]] = []

    def anyone(*_: object, **__: object) -> SimulatedServer:
        return simulated_server([{"client_name": "10.1.2.3", "user_name": "alice"}])

    def scanning(names: list[str], **options: Any) -> Any:
        scanned.append({"names": names, **options})
        return scan(names, **options)

    def ending_on(*name: str, **options: Any) -> SimulatedServer:
        ended.append((*name, options))
        return anyone()

    class Bar(progress.NoProgress):
        def show(self, done: int, counts: str) -> None:
            shown.append((done, counts))

    def bar_of(total: int, *, wanted: bool) -> Bar:
        shown.append((total, wanted))
        return Bar()

    monkeypatch.setattr(netsession, "scan", scanning)
    monkeypatch.setattr(Asking, "server", anyone)
    monkeypatch.setattr(ending, "Server", ending_on)
    monkeypatch.setattr(progress, "of", bar_of)
    monkeypatch.setenv("NETSESSION_PASSWORD", "pw")
    result = run_here(
        *("delete", "fs01", "fs02:9", "--port", "1445", "--user", "alice", "--yes", "--max", "2"),
        *("--auth-user", "me", "--encrypt", "--timeout", "5", "--jobs", "3", "--keep-going"),
    )
    assert result.code == 0, result
    as_me = {"username": "me", "password": "pw", "encrypt": True, "timeout": 5.0}
    names = ["fs01:1445", "fs02:9"]
    rest = {"workers": 3, "keep_going": True, "errors": "skip"}
    assert scanned == [{"names": names, **as_me, **rest}]
    to_check, *to_end = ended
    assert to_check == ({"backend": ()},)
    assert sorted(name for name, _ in to_end) == sorted(2 * names)  # planned, and ended
    assert all(options == as_me for _, options in to_end)
    assert shown == [(2, True), (1, "1 listed"), (2, "2 listed")]
    run_here("delete", "fs01", "fs02", "--user", "alice", "--dry-run", "--verbose")
    assert (2, False) in shown


def test_a_connection_that_is_lost_on_one_server_does_not_keep_the_others() -> None:
    more = "servers['fs01'].fail('NetSessionDel', 64)\n"
    result = on_three("--idle-for", "8h", "--yes", "--max", "9", more=more)
    assert (result.code, calls(result)) == (4, [1, 2, 1])


def test_ctrl_c_says_where_nothing_was_ended() -> None:
    more = LOST.format(done=False).replace(
        'raise ConnectionLost(64, "NetSessionDel", "fs01", maybe_done=True)',
        "raise KeyboardInterrupt",
    )
    result = on_three("--idle-for", "8h", "--yes", "--max", "9", more=more)
    assert result.code == 130
    assert "nothing was ended on fs03" in result.err
    assert calls(result) == [1, 1, 0]


def test_after_a_refused_logon_no_other_server_is_asked() -> None:
    more = "servers['fs01'].fail('NetSessionEnum', 1326, after=1)\n"
    result = on_three("--idle-for", "8h", "--yes", "--max", "9", more=more)
    assert (result.code, calls(result)) == (4, [0, 0, 0])
    assert "nothing was ended on fs02, fs03" in result.err
