"""``netsession delete``: shows, asks, ends, verifies."""

from __future__ import annotations

import re
import socket
import sys

import pytest

from cli_process import on_terminal, only_line, run

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
    only_line(result)


def test_nothing_matches_sends_nothing() -> None:
    result = run("delete", "--demo", "--user", "carol", "--yes", setup=REPORTS)
    assert result.code == 1
    assert left(result.text).endswith("CALLS 0")
    assert "no session" in only_line(result)


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
    if answer in ("\x03", "\x04"):  # what comes next begins a line of its own
        assert re.search(r"\[y/N\] (\^[CD][\b]*)?\r?\n", result.text)


@posix
def test_an_answer_that_is_no_text_is_no_yes() -> None:
    result = on_terminal(
        "delete", "--demo", "--user", "alice", setup=REPORTS, answers={"[y/N] ": b"y\xff\n"}
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
    assert "may have been ended all the same" in result.err
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
    verified = run(*ended, "--verify", setup=NOT_LISTED)
    assert verified.code == 1
    assert "said that it is done, but does not let you list its sessions" in verified.err
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


def test_knows_the_address_that_the_server_sees() -> None:
    from netsession.cli.connect import Connection
    from netsession.cli.delete import _this_machine

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
    assert "does not let you list its sessions, so that nothing could be verified" in last
    assert ("said that it is done" in last) == answered


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


def test_a_session_that_was_too_young_for_an_age_is_not_called_new() -> None:
    """Samba's -1 becomes 0 a second later: as old as it was, not a session of its own."""
    from netsession import DeletePlan, SessionInfo10
    from netsession.cli.delete import Verification

    plan = DeletePlan(None, "a", [(None, "a")], [SessionInfo10("c", "a", 0xFFFFFFFF, 0)])
    verification = Verification(None, plan, 0.0, 0)  # type: ignore[arg-type]
    assert not verification._is_new(SessionInfo10("c", "a", 0, 0), 1.9)
    assert verification._is_new(SessionInfo10("c", "a", 0, 0), 2.1)
