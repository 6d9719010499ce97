"""``netsession delete``: shows, asks, ends, verifies."""

from __future__ import annotations

import re
import socket
import sys
from typing import Any

import pytest

from cli_process import SIGNAL_TOO_EARLY, Result, on_terminal, only_line, run, run_here
from netsession import DeletePlan, SessionInfo0, SessionInfo10
from netsession.cli import connect, delete
from netsession.cli.connect import Connection
from netsession.cli.delete import Verification, _this_machine, may_hold_ours
from netsession.cli.exits import Stop
from netsession.testing import SimulatedServer, simulated_server

pytest.importorskip("rich")

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")

ALICE = {"client_name": "\\\\WS1", "user_name": "alice", "active_time": 900}
ALICE2 = {"client_name": "\\\\WS2", "user_name": "alice", "active_time": 900}
BOB = {"client_name": "\\\\WS1", "user_name": "bob", "active_time": 900}

# Says at the end which sessions are left and whether the server was asked to end any.
REPORTS = f"""
import atexit
from netsession._simulator import Simulator
class Reporting(SimulatedServer):
    pass
simulator = Simulator()
for s in {[ALICE, ALICE2, BOB]!r}:
    simulator.add(s["client_name"], s["user_name"], 1, s["active_time"], 5, 0, "", "")
server = Reporting(simulator)
def report():
    left = sorted(f"{{s.client}}/{{s.user_name}}" for s in SimulatedServer(simulator).sessions())
    print("LEFT", *left, "CALLS", simulator.calls("NetSessionDel"))
atexit.register(report)
"""


def left(text: str) -> str:
    return text[text.rindex("LEFT") :].strip()


def test_ends_what_was_shown() -> None:
    result = run("delete", "--demo", "--user", "alice", "--yes", setup=REPORTS)
    assert result.code == 0
    assert [line.split()[:2] for line in result.text.splitlines()[1:3]] == [
        ["WS1", "alice"],
        ["WS2", "alice"],
    ]
    assert left(result.text) == "LEFT WS1/bob CALLS 1"
    assert "2 sessions" in result.err
    assert " here" not in result.err  # no host name was looked up
    assert "Samba ends whole connections" in result.err


def test_client_and_user_together() -> None:
    result = run(
        "delete", "--demo", "--user", "alice", "--client", "ws1", "-y", "--verify", setup=REPORTS
    )
    assert result.code == 0
    assert left(result.text) == "LEFT WS1/bob WS2/alice CALLS 1"
    assert "listed again: of 1 session none is left" in result.err


def test_dry_run_ends_nothing_and_needs_no_terminal() -> None:
    result = run("delete", "--demo", "--user", "alice", "--dry-run", "--yes", setup=REPORTS)
    assert result.code == 0
    assert left(result.text) == "LEFT WS1/alice WS1/bob WS2/alice CALLS 0"
    assert "2 sessions as listed above would be ended" in result.err


@pytest.mark.parametrize("answer", ["", "y\n"])
def test_without_terminal_and_yes_nothing_is_asked(answer: str) -> None:
    result = run("delete", "--demo", "--user", "alice", setup=REPORTS, stdin=answer)
    assert result.code == 2
    assert left(result.text) == "LEFT WS1/alice WS1/bob WS2/alice CALLS 0"
    assert "--yes" in only_line(result)
    assert "no terminal" in only_line(result)


def test_a_password_from_standard_input_leaves_nobody_to_ask() -> None:
    arguments = ("delete", "fs01", "--user", "me", "--auth-user", "me", "--password-file", "-")
    result = run(*arguments, stdin="secret\ny\n")
    assert result.code == 2
    assert "--password-file - takes standard input" in only_line(result)
    assert "--yes" in only_line(result)


def test_naming_neither_sends_nothing() -> None:
    result = run("delete", "--demo", "--yes", setup=REPORTS)
    assert result.code == 2
    assert left(result.text) == "LEFT WS1/alice WS1/bob WS2/alice CALLS 0"
    assert only_line(result).startswith("give --client, --user or both, or a condition")


def test_nothing_matches_sends_nothing() -> None:
    result = run("delete", "--demo", "--user", "carol", "--yes", setup=REPORTS)
    assert result.code == 1
    assert left(result.text).endswith("CALLS 0")
    said = "no session on the simulated server matches; nothing was ended"
    assert only_line(result) == said


@posix
@pytest.mark.parametrize(
    ("answer", "code", "remain"),
    [
        ("y\n", 0, "LEFT WS1/bob CALLS 1"),
        ("YES\n", 0, "LEFT WS1/bob CALLS 1"),
        ("\n", 1, "LEFT WS1/alice WS1/bob WS2/alice CALLS 0"),
        ("n\n", 1, "LEFT WS1/alice WS1/bob WS2/alice CALLS 0"),
        ("yessir\n", 1, "LEFT WS1/alice WS1/bob WS2/alice CALLS 0"),
        ("\x04", 1, "LEFT WS1/alice WS1/bob WS2/alice CALLS 0"),
        ("\x03", 130, "LEFT WS1/alice WS1/bob WS2/alice CALLS 0"),
    ],
)
def test_asks_on_a_terminal(answer: str, code: int, remain: str) -> None:
    result = on_terminal(
        "delete", "--demo", "--user", "alice", setup=REPORTS, answers={"[y/N] ": answer}
    )
    assert "End 2 sessions? [y/N]" in result.text
    assert (result.code, left(result.text)) == (code, remain)
    # What comes next begins a line of its own, and none is empty.
    assert re.search(r"\[y/N\] (\^[CD][\b]*|\w+)?\r?\n(LEFT|netsession)", result.text)


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGUSR1"])
def test_a_signal_just_before_an_answer_is_waited_for(name: str) -> None:
    """Ctrl-C ends the wait; one that raises nothing is no answer."""
    pytest.importorskip("ctypes")
    is_ctrl_c = name == "SIGINT"
    result = on_terminal(
        *("delete", "--demo", "--user", "alice"),
        setup=REPORTS + SIGNAL_TOO_EARLY.replace("NAME", name),
        answers={} if is_ctrl_c else {"[y/N] ": "y\n"},
    )
    remain = "WS1/alice WS1/bob WS2/alice CALLS 0" if is_ctrl_c else "WS1/bob CALLS 1"
    assert (result.code, left(result.text)) == (130 if is_ctrl_c else 0, f"LEFT {remain}")


@posix
@pytest.mark.parametrize("errors", ["surrogateescape", "strict"])
def test_an_answer_that_is_no_text_is_no_yes(errors: str) -> None:
    """Which of the two Python does depends on the locale."""
    result = on_terminal(
        *("delete", "--demo", "--user", "alice"),
        setup=REPORTS,
        answers={"[y/N] ": b"y\xff\n"},
        env={"PYTHONIOENCODING": f"utf-8:{errors}"},
    )
    assert result.code == 1
    assert b"LEFT WS1/alice WS1/bob WS2/alice CALLS 0" in result.out
    assert b"Traceback" not in result.out


@pytest.mark.parametrize(("status", "code"), [(5, 1), (2312, 1), (53, 3), (121, 3)])
def test_a_refused_delete(status: int, code: int) -> None:
    setup = REPORTS + f"\nserver.fail('NetSessionDel', {status})"
    result = run("delete", "--demo", "--user", "alice", "--yes", setup=setup)
    assert result.code == code
    assert f"status {status}" in result.err.splitlines()[-1]
    assert "ended what matched" not in result.err


def test_what_the_library_refuses_to_send_is_a_usage_error() -> None:
    refuse = """
def refuse(self, **options):
    raise ValueError("user fits more than one account: CORP\\\\alice, alice")
Reporting.delete_sessions = refuse
"""
    result = run("delete", "--demo", "--user", "alice", "--yes", setup=REPORTS + refuse)
    assert result.code == 2
    last = result.err.splitlines()[-1]
    assert last.startswith("netsession delete: --user fits more than one account: CORP")
    assert left(result.text).endswith("CALLS 0")


# The answer to the delete is lost: after it was done, or before.
LOST = """
from netsession import ConnectionLost
def lose(self, **options):
    if {done}:
        SimulatedServer.delete_sessions(self, **options)
    raise ConnectionLost(64, "NetSessionDel", "fs01", maybe_done={maybe})
Reporting.delete_sessions = lose
"""


def lost(*, done: bool, maybe: bool = True) -> str:
    return REPORTS + LOST.format(done=done, maybe=maybe)


def test_a_lost_answer_is_reported_as_such() -> None:
    result = run("delete", "--demo", "--user", "alice", "--yes", setup=lost(done=True))
    assert result.code == 3
    assert "(ERROR_NETNAME_DELETED, status 64): the sessions may have been ended" in result.err
    assert "ended what matched" not in result.err


def test_a_lost_answer_without_doubt_is_an_ordinary_error() -> None:
    setup = lost(done=False, maybe=False)
    result = run("delete", "--demo", "--user", "alice", "--yes", setup=setup)
    assert result.code == 3
    assert "may have been ended" not in result.err
    assert "status 64" in result.err


# Any failure that leaves it open, whatever it is called.
UNSURE = """
import netsession
def fail(self, **options):
    if {done}:
        SimulatedServer.delete_sessions(self, **options)
    error = {error}
    error.maybe_done = True
    raise error
Reporting.delete_sessions = fail
"""
UNSURE_ERRORS = [
    "netsession.CallTimeout(1460, 'NetSessionDel', 'fs01')",
    "netsession.MalformedReply('cut short', 3, function='NetSessionDel', server='fs01')",
    "netsession.AccessDenied(5, 'NetSessionDel', 'fs01')",
    "netsession.NetApiError(1726, 'NetSessionDel', 'fs01')",
    "netsession.SessionNotFound(2312, 'NetSessionDel', 'fs01')",
]


@pytest.mark.parametrize("error", UNSURE_ERRORS)
def test_whatever_leaves_it_open_exits_3_and_says_so(error: str) -> None:
    setup = REPORTS + UNSURE.format(done=True, error=error)
    result = run("delete", "--demo", "--user", "alice", "--yes", setup=setup)
    assert result.code == 3
    assert "may have been ended all the same" in result.err.splitlines()[-1]
    assert "netsession list" in result.err.splitlines()[-1]
    assert "ended what matched" not in result.err


# A simulated session does not get older; nor do we, and looking again costs no time.
NO_TIME_PASSES = """
from netsession.cli import delete
delete.sleep = lambda seconds: None
delete.monotonic = lambda: 0.0
"""


@pytest.mark.parametrize("error", UNSURE_ERRORS)
@pytest.mark.parametrize(("done", "code"), [(True, 0), (False, 1)])
def test_verify_settles_whatever_leaves_it_open(error: str, done: bool, code: int) -> None:
    setup = REPORTS + NO_TIME_PASSES + UNSURE.format(done=done, error=error)
    result = run("delete", "--demo", "--user", "alice", "--yes", "--verify", setup=setup)
    assert result.code == code
    assert "listed again" in result.err.splitlines()[-1]


@pytest.mark.parametrize("verify", [[], ["--verify"]])
def test_ctrl_c_while_it_is_under_way_says_that_it_may_be_done(verify: list[str]) -> None:
    interrupt = """
def interrupted(self, **options):
    SimulatedServer.delete_sessions(self, **options)
    raise KeyboardInterrupt
Reporting.delete_sessions = interrupted
"""
    result = run("delete", "--demo", "--user", "alice", "--yes", *verify, setup=REPORTS + interrupt)
    assert result.code == 130
    assert "may have been ended all the same" in result.err.splitlines()[-1]
    assert left(result.text) == "LEFT WS1/bob CALLS 1"


def test_verify_settles_a_lost_answer() -> None:
    arguments = ("delete", "--demo", "--user", "alice", "--yes", "--verify")
    gone = run(*arguments, setup=NO_TIME_PASSES + lost(done=True))
    assert gone.code == 0
    assert "of 2 sessions none is left" in gone.err
    there = run(*arguments, setup=NO_TIME_PASSES + lost(done=False))
    assert there.code == 1
    assert "2 of 2 sessions still there" in there.err


NOT_LISTED = """
server = simulated_server([{"client_name": "\\\\\\\\WS17", "user_name": "alice"}])
for level in (0, 1, 2, 10, 502):
    server.refuse(level)
"""


def test_where_listing_is_refused_what_was_typed_is_sent_and_nothing_is_verified() -> None:
    ended = ("delete", "--demo", "--user", "alice", "--yes")
    plain = run(*ended, setup=NOT_LISTED)
    assert plain.code == 0
    assert plain.err.endswith("ended what matched: all sessions of user alice\n")
    warned = "cannot be shown; what you typed is sent as it is: all sessions of user alice\n"
    assert warned in plain.err
    assert "your own session may be among these" in plain.err
    verified = run(*ended, "--verify", setup=NOT_LISTED)
    assert verified.code == 1
    assert "server said that it is done, but does not let you list its sessions" in verified.err
    assert verified.err.endswith("so that nothing could be verified\n")
    other = run("delete", "--demo", "--user", "CORP\\bob", "--yes", setup=NOT_LISTED)
    assert other.code == 1
    assert "the names were sent as typed" in other.err.replace("The", "the")


def test_where_listing_is_refused_a_lost_answer_stays_open() -> None:
    """Verifying cannot settle it, and does not claim an answer that there was not."""
    lost = NOT_LISTED + 'server.fail("NetSessionDel", 64)'
    result = run("delete", "--demo", "--user", "alice", "--yes", "--verify", setup=lost)
    assert result.code == 3
    assert "may have been ended all the same" in result.err
    assert "listing again" not in result.err
    assert "is done" not in result.err


def test_verify_notices_sessions_that_stay_and_not_those_that_are_new() -> None:
    stays = """
def nothing(self, **options): pass
Reporting.delete_sessions = nothing
"""
    result = run(
        "delete",
        "--demo",
        "--user",
        "alice",
        "-y",
        "--verify",
        setup=REPORTS + NO_TIME_PASSES + stays,
    )
    assert result.code == 1
    assert "2 of 2 sessions still there" in result.err
    returns = """
fresh = Simulator()
fresh.add("WS3", "alice", 1, 0, 0, 0, "", "")
def come_again(self, **options):
    SimulatedServer.delete_sessions(self, **options)
    self._backend = fresh.netapi
Reporting.delete_sessions = come_again
"""
    result = run(
        "delete",
        "--demo",
        "--user",
        "alice",
        "-y",
        "--verify",
        setup=REPORTS + NO_TIME_PASSES + returns,
    )
    assert result.code == 0
    assert "newer ones that match: 1" in result.err


@pytest.mark.parametrize("other", ["OTHER\\alice", "CORP\\alice"])
def test_verify_looks_for_the_account_that_was_ended(other: str) -> None:
    """Whom else the typed name fits by now was not ended, and makes nothing unclear."""
    comes = f"""
fresh = Simulator()
fresh.add("WS3", {other!r}, 1, 5000, 0, 0, "", "")
def another_comes(self, **options):
    SimulatedServer.delete_sessions(self, **options)
    self._backend = fresh.netapi
Reporting.delete_sessions = another_comes
"""
    setup = REPORTS + NO_TIME_PASSES + comes
    result = run("delete", "--demo", "--user", "alice", "-y", "--verify", setup=setup)
    assert result.code == 0, result
    assert "of 2 sessions none is left" in result.err


def test_verify_where_listing_is_refused_by_now_claims_nothing() -> None:
    refuses = """
def then_refuse(self, **options):
    SimulatedServer.delete_sessions(self, **options)
    for level in (0, 1, 2, 10, 502):
        self.refuse(level)
Reporting.delete_sessions = then_refuse
"""
    setup = REPORTS + NO_TIME_PASSES + refuses
    result = run("delete", "--demo", "--user", "alice", "-y", "--verify", setup=setup)
    assert result.code == 1
    assert "none is left" not in result.err
    assert "ERROR_ACCESS_DENIED" in result.err


def test_verify_knows_by_their_age_what_is_new() -> None:
    """The first listing's sessions are 15 minutes old; Samba does not know a fresh one's age."""
    returns = """
fresh = Simulator()
fresh.add("WS3", "alice", 1, {age}, 0, 0, "", "")
def come_again(self, **options):
    SimulatedServer.delete_sessions(self, **options)
    self._backend = fresh.netapi
Reporting.delete_sessions = come_again
"""
    for age, code in ((0xFFFFFFFF, 0), (0, 0), (898, 0), (899, 1), (900, 1), (1000, 1)):
        setup = REPORTS + returns.format(age=age) + NO_TIME_PASSES
        result = run("delete", "--demo", "--user", "alice", "-y", "--verify", setup=setup)
        assert result.code == code, (age, result)


def test_verify_looks_again_until_they_are_gone() -> None:
    """Samba answers before it has ended a session."""
    later = """
def answer_first(self, **options):
    delete.sleep = lambda seconds: SimulatedServer.delete_sessions(self, **options)
Reporting.delete_sessions = answer_first
"""
    setup = REPORTS + NO_TIME_PASSES + later
    result = run("delete", "--demo", "--user", "alice", "-y", "--verify", setup=setup)
    assert result.code == 0, result
    assert "of 2 sessions none is left" in result.err


def own_session(user: str, client: str) -> str:
    return f"server = simulated_server([{{'client_name': {client!r}, 'user_name': {user!r}}}])"


@pytest.mark.parametrize(
    ("user", "own_machine", "warned"),
    [("me", True, True), ("ME", True, True), ("other", True, False), ("me", False, False)],
)
def test_warns_of_the_callers_own_session(user: str, own_machine: bool, warned: bool) -> None:
    client = "\\\\" + (socket.gethostname().upper() if own_machine else "elsewhere-9")
    for name in ("CORP\\me", "me@CORP.EXAMPLE", "me"):
        result = run(
            "delete", "--demo", "--user", user, "--dry-run", "--auth-user", name,
            setup=own_session(user, client),
        )  # fmt: skip
        assert result.code == 0
        assert ("your own session" in result.err) is warned


@pytest.mark.parametrize(
    ("listed", "auth_user", "platform", "ours"),
    [
        ([("\\\\WS7", "me")], "me", "linux", True),
        ([("\\\\ws7.corp.example", "me")], "CORP\\me", "linux", True),
        ([("\\\\WS7", "other")], "me", "linux", False),
        ([("\\\\WS8", "me")], "me", "linux", False),
        ([("\\\\WS8", "me"), ("\\\\WS7", "me")], "me", "linux", True),
        ([(None, "other")], "me", "linux", True),
        ([("\\\\WS7", None)], "me", "linux", True),
        ([("\\\\WS7", "other")], None, "linux", True),  # whose ticket it is is not known
        ([("\\\\WS7", "other")], None, "win32", False),
        ([("\\\\WS7", "me")], None, "win32", True),
    ],
)
def test_whose_session_may_be_the_callers(
    listed: list[Any], auth_user: str | None, platform: str, ours: bool, monkeypatch: Any
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "ws7.corp.example")
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv("LOGNAME", "me")
    records = [SessionInfo10(*names, 0, 0) for names in listed]
    assert may_hold_ours(records, Connection(None, demo=1, auth_user=auth_user)) is ours


def test_knows_the_address_that_the_server_sees() -> None:
    for typed in ("127.0.0.1", "\\\\127.0.0.1\\data", "smb://127.0.0.1", "127.0.0.1:1445"):
        assert "127.0.0.1" in _this_machine(Connection(typed)), typed
    assert "127.0.0.1" not in _this_machine(Connection("nosuchhost.invalid", port=445))


def test_a_user_to_log_on_as_may_be_odd() -> None:
    for user in ("CORP\\", "@", ".\\", "x" * 3000):
        result = run(
            "delete", "--demo", "--user", "alice", "--dry-run", "--auth-user", user, setup=REPORTS
        )
        assert result.code == 0, (user, result)
        assert "Traceback" not in result.err


DENIED = "server.fail('NetSessionEnum', 5)\n"


@pytest.mark.parametrize(("answered", "code"), [(True, 1), (False, 3)])
def test_verify_without_a_list_before(answered: bool, code: int) -> None:
    """The answer alone is known, or not even that: what stays unsure is not called refused."""
    setup = REPORTS.replace("atexit.register(report)", "") + DENIED
    if not answered:
        setup += UNSURE.format(done=True, error=UNSURE_ERRORS[0])
    result = run("delete", "--demo", "--user", "alice", "-y", "--verify", setup=setup)
    assert result.code == code
    last = result.err.splitlines()[-1]
    said = "said that it is done, but " if answered else ""
    assert f"server {said}does not let you list its sessions, so that nothing could be" in last


THEN_DENIED = """
def delete_and_be_denied(self, **options):
    SimulatedServer.delete_sessions(self, **options)
    self.fail("NetSessionEnum", {status}, times=10)
    if {unsure}:
        import netsession
        raise netsession.ConnectionLost(64, "NetSessionDel", "fs01", maybe_done=True)
Reporting.delete_sessions = delete_and_be_denied
"""


@pytest.mark.parametrize("status", [5, 8, 124, 1326])
@pytest.mark.parametrize(("unsure", "code"), [(False, 1), (True, 3)])
def test_verify_that_cannot_list_says_so(status: int, unsure: bool, code: int) -> None:
    """That nothing is listed does not say that nothing is left."""
    setup = REPORTS.replace("atexit.register(report)", "") + NO_TIME_PASSES
    setup += THEN_DENIED.format(status=status, unsure=unsure)
    result = run("delete", "--demo", "--user", "alice", "-y", "--verify", setup=setup)
    assert result.code == code
    assert "nothing could be verified" in result.err.splitlines()[-1]
    assert "none is left" not in result.err


def test_verify_looks_for_one_of_two_that_came() -> None:
    """Though by then what was typed would fit another one too."""
    returns = """
fresh = Simulator()
for domain in ("CORP", "DEV"):
    fresh.add("WS3", domain + "\\\\alice", 1, 900, 0, 0, "", "")
def come_again(self, **options):
    SimulatedServer.delete_sessions(self, **options)
    self._backend = fresh.netapi
Reporting.delete_sessions = come_again
"""
    result = run(
        *("delete", "--demo", "--user", "alice", "-y", "--verify"),
        setup=REPORTS + NO_TIME_PASSES + returns,
    )
    assert result.code == 0, result
    assert "of 2 sessions none is left" in result.err


@pytest.mark.parametrize(
    ("where", "verify", "said"),
    [
        ("Reporting.close", [], "ended what matched"),
        ("delete.Verification._look", ["--verify"], "interrupted before all was verified"),
    ],
)
def test_ctrl_c_after_the_answer(where: str, verify: list[str], said: str) -> None:
    interrupt = f"""
from netsession.cli import delete
def interrupted(*arguments):
    raise KeyboardInterrupt
{where} = interrupted
"""
    result = run("delete", "--demo", "--user", "alice", "-y", *verify, setup=REPORTS + interrupt)
    assert result.code == 130
    assert said in result.err.splitlines()[-1]


def test_a_delete_that_fails_half_way_says_how_far_it_came() -> None:
    half_way = """
server._resolve = lambda name, call: (frozenset({"10.0.0.1", "10.0.0.2"}), None)
for address in ("10.0.0.1", "10.0.0.2"):
    simulator.add(address, "carol", 1, 900, 5, 0, "", "")
server.fail("NetSessionDel", 5, after=1)
"""
    result = run("delete", "--demo", "--client", "WS77", "-y", setup=REPORTS + half_way)
    assert result.code == 3
    assert "1 of 2 requests had been carried out" in result.err.splitlines()[-1]


YOUNG = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("before", "age", "seconds", "new"),
    [
        # Samba's -1 becomes 0 a second later: as old as it was, not a session of its own.
        ([YOUNG], 0, 1.9, False),
        ([YOUNG], 0, 2.1, True),
        ([100, 50], 49, 0.0, False),
        ([100, 50], 48, 0.0, True),
        ([100], None, 5.0, False),
        ([None], 5, 5.0, False),
    ],
)
def test_what_is_too_young_is_new(
    before: list[int | None], age: int | None, seconds: float, new: bool
) -> None:
    def session(age: int | None) -> Any:  # one level in ten tells no age
        return SessionInfo0("c") if age is None else SessionInfo10("c", "a", age, 0)

    plan = DeletePlan(None, "a", [(None, "a")], [session(each) for each in before])
    assert Verification(None, plan, 0.0, 0)._is_new(session(age), seconds) is new  # type: ignore[arg-type]


def test_a_name_that_some_servers_take_for_the_account_was_not_ended() -> None:
    plan = DeletePlan(None, "ștefan", [(None, "ștefan")], [])
    verification = Verification(None, plan, 0.0, 0)  # type: ignore[arg-type]
    for user, meant in (("ștefan", True), ("Ștefan", False), (None, False)):
        assert verification._is_meant(SessionInfo10("c", user, 0, 0)) is meant


# -- in this process ------------------------------------------------------------------------------


def here(server: SimulatedServer, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setattr(connect, "_simulated", lambda sessions: server)
    return run_here("delete", "--demo", *arguments)


@pytest.mark.parametrize(("timeout", "looks"), [(None, 40), (1.0, 4)])
def test_verify_looks_again_as_long_as_it_may(
    timeout: float | None, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(delete, "sleep", slept.append)
    monkeypatch.setattr(delete, "monotonic", lambda: 7.0)
    server = simulated_server([ALICE, ALICE2, BOB])
    plan = server.plan_delete(client="WS2")
    verification = Verification(server, plan, 7.0, 0)
    connection = Connection(None, demo=1, timeout=timeout)
    with pytest.raises(Stop, match=r"listed again: 1 of 1 session still there$"):
        verification.run(connection)
    assert slept == [0.25] * looks
    server.delete_sessions(plan=plan)
    assert verification.run(connection) == 0
    assert len(slept) == looks


@pytest.mark.parametrize(
    ("client", "connections", "left_and_new"),
    [("\\\\WS7", 1, (1, 1)), ("\\\\WS7", 0, (2, 0)), ("\\\\WS8", 1, (2, 0))],
)
def test_who_had_to_log_on_again_to_look_is_not_left(
    client: str,
    connections: int,
    left_and_new: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The own session went with the others: what is there now is a new one."""
    monkeypatch.setattr("socket.gethostname", lambda: "ws7")
    monkeypatch.setattr(delete, "monotonic", lambda: 0.0)
    server = simulated_server([{"client_name": client, "user_name": "me", "active_time": 9}] * 2)
    plan = server.plan_delete(user="me")
    monkeypatch.setattr(SimulatedServer, "_connections", connections)
    looked = Verification(server, plan, 0.0, 0)._look(Connection(None, demo=1, auth_user="me"))
    assert looked == left_and_new


def test_where_listing_is_refused_the_warning_says_what_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = simulated_server([ALICE, ALICE2])
    for level in (0, 1, 2, 10, 502):
        server.refuse(level)
    for names, said in (
        (("--client", "WS2", "--user", "alice"), "of user alice from client WS2"),
        (("--client", "WS1"), "from client WS1"),
    ):
        result = here(server, monkeypatch, *names, "--yes")
        assert result.err.endswith(f"ended what matched: all sessions {said}\n")


def test_where_nobody_can_answer_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    result = here(simulated_server([ALICE]), monkeypatch, "--user", "alice")
    assert result.code == 2
    assert "no terminal" in only_line(result)


def test_without_rich_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    result = here(simulated_server([ALICE]), monkeypatch, "--user", "alice", "--dry-run")
    assert result.code == 2
    assert "rich is not installed" in only_line(result)


def test_a_server_s_name_is_checked_before_a_password_is_asked() -> None:
    result = run_here("delete", "fs 01", "--user", "alice", "--yes", "--auth-user", "me")
    assert result.code == 2
    assert "is no server's name" in only_line(result)


def test_a_name_is_shown_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is ended must not hide behind what is cut off."""
    name = 300 * "x"
    server = simulated_server([{"client_name": "WS1", "user_name": name}])
    for options in (("--user", name), ("--no-opens",)):
        assert name in here(server, monkeypatch, *options, "--dry-run").text


def test_the_help_says_what_each_option_does() -> None:
    told = " ".join(run_here("delete", "--help").text.split())
    for says in (
        "Ending: -y, --yes do not ask --dry-run only show what would be ended --max N end nothing",
        "in all; --yes with several servers needs it --verify list again afterwards; fail if any",
    ):
        assert says in told
    limit = run_here("delete", "--demo", "--user", "x", "--yes", "--max", "1000000001")
    assert "--max must be a whole number from 0 to 1000000000, not" in only_line(limit)
