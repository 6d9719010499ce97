"""Ctrl-C and SIGTERM while the command asks a server that says nothing, over SMB.

Each ends the command at once: there is no time limit here that could. Ctrl-C is exit code 130, with
a line at most and no traceback.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("sends signals to processes", allow_module_level=True)
pytest.importorskip("smbprotocol", reason="asks over SMB: needs smbprotocol")

import pty

from cli_process import HANG_GUARD, environment
from phase_server import ENDING, PhaseServer
from smb_server import PASSWORD, USER

# Also where the tests' own process ignores them (nohup make test &).
_AS_USUAL = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "[signal.signal(each, signal.SIG_DFL) for each in (signal.SIGTERM, signal.SIGHUP)]; "
    "from netsession.cli import main; sys.exit(main())"
)
_LONG = str(10 * HANG_GUARD)


@pytest.fixture
def silent() -> Iterator[PhaseServer]:
    with PhaseServer() as server:
        yield server
        assert server.errors == []


def begun(silent: PhaseServer, arguments: list[str], **streams: int) -> subprocess.Popen[bytes]:
    """The command; HERE among the arguments is the server."""
    given = [each.replace("HERE", f"{silent.name}:{silent.port}") for each in arguments]
    options = ["--auth-user", USER, "--timeout", _LONG]
    return subprocess.Popen(
        [sys.executable, "-c", _AS_USUAL, *given, *options],
        env=environment(NETSESSION_PASSWORD=PASSWORD, TERM="xterm-256color"),
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        | streams,
    )


def end_by(process: subprocess.Popen[bytes], number: int, silent: PhaseServer) -> tuple[str, str]:
    """Once the phase is reached; what it wrote."""
    try:
        assert silent.reached.wait(HANG_GUARD)
        process.send_signal(number)
        out, told = process.communicate(timeout=HANG_GUARD)
    finally:
        process.kill()
        process.wait()
        silent.go_on()
    return (out or b"").decode(), (told or b"").decode()


LIST = ["list", "HERE", "--level", "10", "--format", "jsonl"]
SHOW = ["show", "HERE", "A", "alice"]
DELETE = ["delete", "HERE", "--user", "alice", "--yes"]
DELETE_WHERE = ["delete", "HERE", "--user", "al*", "--yes"]
WATCH = ["watch", "HERE", "--level", "10"]
SEVERAL = ["list", "HERE", "localhost:1", "--level", "10", "--format", "jsonl"]


@pytest.mark.parametrize(
    ("arguments", "phase", "told"),
    [
        (LIST, "negotiate", ""),
        (LIST, "logon 2", ""),
        (LIST, "call 1", ""),
        (LIST, "read 2", ""),
        (SHOW, "call 1", ""),
        (DELETE, "call 1", ""),
        (DELETE, ENDING, "may have been ended all the same; netsession list shows what is left"),
        (DELETE_WHERE, "call 1", ""),
        (DELETE_WHERE, ENDING, "netsession list shows what is left"),
        (WATCH, "bind", ""),
        (SEVERAL, "logon 1", "of 2 servers had answered"),
        (SEVERAL, "call 2", "of 2 servers had answered"),
    ],
)
def test_ctrl_c(silent: PhaseServer, arguments: list[str], phase: str, told: str) -> None:
    if arguments[0] == "delete":
        pytest.importorskip("rich", reason="shows a table: needs rich")
    silent.hold = phase
    process = begun(silent, arguments)
    _, said = end_by(process, signal.SIGINT, silent)
    assert process.returncode == 130
    assert "Traceback" not in said
    interrupted = [line for line in said.splitlines() if "warning" not in line]
    if told:
        assert any(told in line for line in interrupted), said
    else:
        assert interrupted == []
    assert silent.deletes == (phase == ENDING)


@pytest.mark.parametrize("arguments", [LIST, DELETE, WATCH, SEVERAL], ids=lambda each: each[0])
def test_sigterm_ends_it_as_it_ends_others(silent: PhaseServer, arguments: list[str]) -> None:
    """By the signal itself, without a word."""
    if arguments[0] == "delete":
        pytest.importorskip("rich", reason="shows a table: needs rich")
    silent.hold = "call 1"
    process = begun(silent, arguments)
    assert end_by(process, signal.SIGTERM, silent) == ("", "")
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_no_file_is_left(silent: PhaseServer, number: int, tmp_path: Path) -> None:
    silent.hold = "call 2"
    process = begun(silent, [*LIST, "-o", str(tmp_path / "sessions.jsonl")])
    end_by(process, number, silent)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("arguments", "phase"), [(WATCH, "call 2"), (SEVERAL, "call 2")], ids=["watch", "the bar"]
)
def test_the_terminal_s_cursor_stays(
    silent: PhaseServer, arguments: list[str], phase: str, number: int
) -> None:
    """Whatever is drawn never hides it: what is killed could not bring it back."""
    pytest.importorskip("rich", reason="draws: needs rich")
    silent.hold = phase
    shown = on_terminal(silent, arguments, number)
    assert "\x1b[?25" not in shown
    assert "\x1b[" in shown  # something was drawn


def on_terminal(silent: PhaseServer, arguments: list[str], number: int) -> str:
    """What was on it when the command had ended by the signal."""
    ours, its = pty.openpty()
    process = begun(silent, arguments, stdin=its, stdout=its, stderr=its)
    os.close(its)
    try:
        end_by(process, number, silent)
        return b"".join(iter(lambda: read(ours), b"")).decode()
    finally:
        os.close(ours)


def read(terminal: int) -> bytes:
    """Some of what is there; nothing at its end, which Linux calls an error."""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        return b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_password_that_is_asked_for_leaves_the_terminal_as_it_was(number: int) -> None:
    """It echoes again what is typed, also where the command was killed at the prompt."""
    import termios

    ours, its = pty.openpty()
    before = termios.tcgetattr(its)
    script = (
        "import fcntl, os, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); " + _AS_USUAL
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, "list", "fs01", "--auth-user", "CORP\\me"],
        stdin=its, stdout=its, stderr=its, env=environment(),
    )  # fmt: skip
    try:
        shown = b""
        while b"Password of" not in shown:
            shown += read(ours)
        until(lambda: not termios.tcgetattr(its)[3] & termios.ECHO)
        process.send_signal(number)
        process.wait(HANG_GUARD)
        assert process.returncode == (130 if number == signal.SIGINT else -number)
        assert termios.tcgetattr(its) == before
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(its)


def until(true: Callable[[], bool]) -> None:
    import time

    deadline = time.monotonic() + HANG_GUARD
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
