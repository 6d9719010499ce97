"""Running the real command, in a process of its own, on a pipe or on a terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

import forked_command
import kept_command

HANG_GUARD = forked_command.HANG_GUARD

# A signal comes when all is done but the wait for what somebody types: in C, so that between the
# two Python has no occasion to look for it.
SIGNAL_TOO_EARLY = """
import ctypes, operator, signal
from functools import partial
import netsession.cli.answer as answer
select = answer.select
def select_after_a_signal(*files):
    answer.select = select
    steps = [partial(ctypes.CDLL(None)["raise"], signal.NAME), partial(select, *files)]
    return list(map(operator.call, steps))[1]
answer.select = select_after_a_signal
signal.signal(signal.SIGUSR1, lambda *_: None)
"""

# Runs the command on a simulated server that was prepared by the code in its place.
_PREPARED = """
import signal, sys
from netsession.cli import connect, main
from netsession.testing import SimulatedServer, simulated_server
{setup}
connect._simulated = lambda sessions: server
# Ctrl-C works also where the tests' own process ignores it (nohup make test &).
signal.signal(signal.SIGINT, signal.default_int_handler)
code = main()
assert code is not None  # which would be called done
sys.exit(code)
"""

# Makes the terminal on stdin the controlling one, as getpass and Ctrl-C need it.
_ON_TERMINAL = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


class Result(NamedTuple):
    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()


def environment(**changes: str) -> dict[str, str]:
    """The environment without what changes the command, PYTHONUNBUFFERED for one."""
    dropped = ("NETSESSION_", "PYTEST", "PYTHONUNBUFFERED")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    return {**kept, "COLUMNS": "200", **changes}


def command(*arguments: str, setup: str | None = None) -> list[str]:
    """Arguments for Python; with ``setup``, code that defines ``server`` for --demo."""
    code = prepared(setup)
    return ["-m", "netsession", *arguments] if code is None else ["-c", code, *arguments]


def prepared(setup: str | None) -> str | None:
    """The program that runs the command after ``setup``; None where the package does."""
    return None if setup is None else _PREPARED.format(setup=setup)


def run(
    *arguments: str, setup: str | None = None, env: Mapping[str, str] | None = None, stdin: str = ""
) -> Result:
    """Runs the command on pipes."""
    variables, code = environment(**(env or {})), prepared(setup)
    if forked_command.possible(variables, code):
        return Result(*forked_command.run(arguments, variables, code, stdin))
    if sys.platform == "win32" and kept_command.possible(setup, stdin):
        status, out, err = kept_command.run(arguments, variables, code, stdin)
    else:
        status, out, err = run_alone(command(*arguments, setup=setup), variables, stdin)
    # Text ends its lines as the system does; of stdout the bytes themselves are looked at.
    return Result(status, out, err.decode().replace("\r\n", "\n"))


def run_alone(
    arguments: Sequence[str], variables: Mapping[str, str], stdin: str
) -> tuple[int, bytes, bytes]:
    """Python with these arguments: its exit status, and what it wrote."""
    done = subprocess.run(
        [sys.executable, *arguments],
        input=stdin.encode(),
        capture_output=True,
        env=variables,
        timeout=HANG_GUARD,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def run_here(*arguments: str) -> Result:
    """Runs the command in this process, which is quicker."""
    from netsession.cli import run as run_application

    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="\n"), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run_application(list(arguments))
    out.flush()
    return Result(code, out.buffer.getvalue(), err.getvalue())  # type: ignore[attr-defined]


def only_line(result: Result) -> str:
    """What a failure says: exactly one line on stderr, from netsession, beside --demo's notice."""
    lines = [line for line in result.err.splitlines() if "--demo: " not in line]
    assert len(lines) == 1, result
    by, _, message = lines[0].partition(": ")
    assert by in (
        "netsession",
        "netsession list",
        "netsession show",
        "netsession watch",
        "netsession delete",
    ), result
    return message


def on_terminal(
    *arguments: str,
    setup: str | None = None,
    answers: Mapping[str, str | bytes] | None = None,
    env: Mapping[str, str] | None = None,
    columns: int | None = None,
) -> Result:
    """Runs the command on a pseudo-terminal; types each answer when its question appears."""
    import pty

    main, terminal = pty.openpty()
    if columns is not None:
        import termios

        termios.tcsetwinsize(terminal, (50, columns))
    variables, code = environment(**{"TERM": "xterm-256color", **(env or {})}), prepared(setup)
    process: subprocess.Popen[bytes] | forked_command.Forked
    if forked_command.possible(variables, code):
        on_it = (terminal, terminal, terminal)
        process = forked_command.Forked(arguments, on_it, variables, code, terminal=True)
    else:
        process = subprocess.Popen(
            [sys.executable, "-c", _ON_TERMINAL, *command(*arguments, setup=setup)],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=variables,
        )
    os.close(terminal)
    waiting = dict(answers or {})
    shown = b""
    try:
        while piece := _read(main):
            shown += piece
            for question in [each for each in waiting if each.encode() in shown]:
                answer = waiting.pop(question)
                typed = answer if isinstance(answer, bytes) else answer.encode()
                os.write(main, typed)
        code = process.wait(HANG_GUARD)
    finally:
        process.kill()
        process.wait(HANG_GUARD)
        os.close(main)
    assert not waiting, f"never asked {waiting}: {shown!r}"
    return Result(code, shown, "")


def _read(main: int) -> bytes:
    import select

    if not select.select([main], [], [], HANG_GUARD)[0]:
        raise TimeoutError("nothing came from the command")
    try:
        return os.read(main, 1 << 16)
    except OSError:  # Linux: the other end is closed
        return b""
