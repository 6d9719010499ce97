"""Where the documents' examples are executed: every server that they name is a simulated one.

Each runs in a process of its own that calls ``main()``, with this in its environment and argument:
a folder to be in, no network, no terminal. What a real machine has and this stage has, too:

* ``fs01``, ``fs02`` and ``fs03`` have the sessions below, and so has the local machine; ``fs04``
  refuses everybody, ``fs05`` is down; any other name is a server with five made-up sessions.
* User names, passwords, ports and encryption are taken and not looked at. ``getpass()`` answers.
* The command believes that it writes to a terminal, 100 columns wide, and answers questions: yes.
* A watch lives for a few lists, between which somebody comes, opens a file and goes again.
* ``servers.txt`` names the first three servers.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import getpass
import inspect
import io
import json
import linecache
import multiprocessing
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any, NoReturn

_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60
TCP = "\\Device\\NetbiosSmb"
_FIELDS = ("client_name", "user_name", "num_opens", "active_time", "idle_time", "user_flags")

SERVERS: dict[str, list[tuple[str, str, int, int, int, int]]] = {
    "fs01": [
        ("\\\\10.1.2.3", "alice", 34, 8 * _DAY + 6 * _HOUR, 3 * _DAY, 0),
        ("\\\\WS17", "alice", 2, 2 * _HOUR, 5 * _MINUTE, 0),
        ("\\\\WS17", "bob", 0, 9 * _HOUR, 8 * _HOUR + 30 * _MINUTE, 0),
        ("\\\\10.1.2.40", "svc-backup", 5, 30 * _DAY, 12, 0),
        ("\\\\FS02", "FS02$", 0, 4 * _DAY, 2 * _HOUR, 0),
    ],
    "fs02": [
        ("\\\\10.1.2.3", "alice", 1, 3 * _HOUR, 40, 0),
        ("\\\\WS21", "carol", 12, 5 * _HOUR, 2 * _MINUTE, 0),
        ("\\\\[2001:db8::5]", "dave", 3, 26 * _HOUR, 11 * _HOUR, 0),
    ],
    "fs03": [
        ("\\\\WS17", "bob", 7, 45 * _MINUTE, 3, 0),
        ("\\\\10.1.2.40", "svc-backup", 0, 12 * _DAY, 9 * _DAY, 0),
    ],
    "localhost": [("\\\\WS17", "alice", 1, 20 * _MINUTE, 6, 0)],
}
_REFUSES, _IS_DOWN = "fs04", "fs05"
_ACCESS_DENIED, _BAD_NETPATH = 5, 53
_OTHERS = 5
_EVERY = 0.125  # seconds between two lists of a watch
_HOSTS = {"10.1.2.3": "ws03.corp.example", "10.1.2.40": "backup.corp.example"}

#: What not every Python has, and may be missing where examples are executed.
OPTIONAL = {"distributed", "dask", "duckdb", "pandas", "polars", "pyarrow", "rich"}
MISSING = "needs "  # the last line of stdout of what was not executed for that
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def simulate() -> None:
    """From now on whatever this process asks is simulated."""
    import netsession.server
    from netsession.testing import SimulatedServer, simulated_server

    made: dict[str, SimulatedServer] = {}
    init = netsession.server.Server.__init__

    def server(name: str) -> SimulatedServer:
        """The one of that name, always the same."""
        if name not in made:
            rows = SERVERS.get(name)
            made[name] = simulated_server(_OTHERS if rows is None else map(session, rows))
            if name in (_REFUSES, _IS_DOWN):
                status = _ACCESS_DENIED if name == _REFUSES else _BAD_NETPATH
                for function in ("NetSessionEnum", "NetSessionGetInfo", "NetSessionDel"):
                    made[name].fail(function, status)
        return made[name]

    def made_here(self: Any, name: Any = None, **options: Any) -> None:
        if options.get("backend") is not None or isinstance(self, SimulatedServer):
            init(self, name, **options)
            return
        init(self, name, **{**options, "backend": _Backend()})
        simulator = server(_host(self))._simulator
        self._backend = simulator.netapi
        self._time_of_ages = lambda: simulator.clock / 1000
        self._resolve = lambda *_: (frozenset(), None)

    netsession.server.Server.__init__ = made_here  # type: ignore[method-assign]
    watch = netsession.server.Server.watch

    def watched_briefly(self: Any, *, every: float = 5.0, **options: Any) -> Any:
        watching = watch(self, every=min(every, _EVERY), **options)
        threading.Thread(target=_life, args=(server(_host(self)), watching), daemon=True).start()
        return watching

    netsession.server.Server.watch = watched_briefly  # type: ignore[method-assign]


def _host(server: Any) -> str:
    return (server.name or "localhost").lower().partition(".")[0]


def _life(server: Any, watching: Any) -> None:
    """What happens on a server that is watched, until nobody watches it any more."""
    for happens in (
        lambda: server.connect_session("10.1.2.77", "erin", num_opens=1, transport=TCP),
        lambda: server.change_session("10.1.2.77", "erin", num_opens=3),
        lambda: server.end_session("10.1.2.77", "erin"),
        watching.close,
    ):
        _until_listed(watching)
        server.advance(10)
        happens()


def _until_listed(watching: Any) -> None:
    """Until the server was listed once more: what happens next is seen to happen.

    Polls are counted when they begin, and the one at hand may have begun before.
    """
    enough = watching.polls + 2
    while watching.polls < enough:
        time.sleep(_EVERY / 5)


class _Backend:
    """Stands for one until the server's name is known."""


def session(row: tuple[Any, ...]) -> dict[str, Any]:
    return {**dict(zip(_FIELDS, row, strict=True)), "transport": TCP}


def _no_network() -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "the documents' examples look nothing up")

    real = socket.getaddrinfo

    def only_numbers(host: Any, *arguments: Any, **options: Any) -> Any:
        here = host in (None, "", "localhost", "127.0.0.1", "::1")  # where Dask listens
        if here or options.get("flags", 0) & socket.AI_NUMERICHOST:
            return real(host, *arguments, **options)
        return refuse()

    def named(address: Any, flags: int) -> tuple[str, str]:
        host = _HOSTS.get(address[0])
        return (host, "0") if host is not None else refuse()

    socket.getaddrinfo = only_numbers
    socket.getnameinfo = named


class Screen(io.BytesIO):
    """What standard output and standard error show, in the order in which it is written."""

    def isatty(self) -> bool:
        return True


class _Lines(io.TextIOWrapper):
    """Standard error, where nothing is drawn that would be gone at the end: no progress."""

    def isatty(self) -> bool:
        return False


class _Keyboard(io.StringIO):
    """Answers yes, which a terminal shows."""

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1) -> str:  # type: ignore[override]
        sys.stdout.write("y\n")
        sys.stdout.flush()
        return "y\n"


def command(arguments: list[str]) -> tuple[int, str]:
    """Runs ``netsession`` as on a terminal: its exit status, and what that is sent."""
    from netsession.cli import connect
    from netsession.cli import run as run_command

    connect.HAS_LOCAL_MACHINE = True
    screen = Screen()
    out = io.TextIOWrapper(screen, "utf-8", newline="\n", write_through=True)
    before = sys.stdin, sys.stdout, sys.stderr
    err = _Lines(screen, "utf-8", newline="\n", write_through=True)
    sys.stdin, sys.stdout, sys.stderr = _Keyboard(), out, err
    try:
        code = run_command(arguments)
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
    # Both wrappers would close it, the first one that goes.
    out.detach()
    return code, screen.getvalue().decode()


def run_console(lines: list[str]) -> list[tuple[int, str]]:
    """Each command line: its exit status, and what it shows. What is more than one goes to sh."""
    return [_run_line(line) for line in lines]


def _run_line(line: str) -> tuple[int, str]:
    words = shlex.split(line, comments=True)
    if words[:3] == ["python", "-m", "netsession"]:
        words = ["netsession", *words[3:]]
    if words[0] == "netsession" and not re.search(r"[|<>&;$`]", re.sub(r"'[^']*'", "", line)):
        code, shown = command(words[1:])
        return code, _ESCAPES.sub("", shown)
    done = subprocess.run(
        ["sh", "-c", line],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": _with_command()},
        check=False,
    )
    return done.returncode, done.stdout.decode()


def run_script(script: str) -> tuple[int, str]:
    """A whole script in sh, which ends at the first command that fails."""
    return _run_line(f"set -e\n{script}") if script.strip() else (0, "")


def _with_command() -> str:
    """A PATH on which ``netsession`` is this stage's."""
    folder = Path("bin-of-the-stage").absolute()
    folder.mkdir(exist_ok=True)
    python, here = shlex.quote(sys.executable), shlex.quote(__file__)
    for name, program in (("netsession", f"{python} {here}"), ("python", python)):
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec {program} "$@"\n', encoding="utf-8")
        path.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def run_python(pieces: list[tuple[str, int, str]]) -> None:
    """Blocks (file, first line, text) one after another as one module; await is allowed."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    lines: dict[str, dict[int, str]] = {}
    for file, first, text in pieces:
        numbered = lines.setdefault(file, {})
        numbered |= dict(enumerate(text.splitlines(keepends=True), first))
        whole = [numbered.get(number, "\n") for number in range(1, max(numbered) + 1)]
        linecache.cache[file] = (0, None, whole, file)
        tree = ast.parse("\n" * (first - 1) + text, file)
        code = compile(tree, file, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(eval(code, vars(module)))
        else:
            exec(code, vars(module))


def main() -> None:
    """The task is JSON in the argument: a kind, and what is to be executed."""
    kind, what = json.loads(sys.argv[1])
    os.environ.update(
        COLUMNS="100",
        TERM="dumb",
        NETSESSION_PASSWORD="simulated",
    )
    Path("servers.txt").write_text("fs01\nfs02\nfs03\n", encoding="utf-8")
    _no_network()
    simulate()
    getpass.getpass = lambda *_, **__: "simulated"
    with contextlib.suppress(ValueError, RuntimeError):
        multiprocessing.set_start_method("fork")  # which takes the simulated servers along
    if kind == "console":
        print(json.dumps(run_console(what)))
    elif kind == "sh":
        print(json.dumps([run_script(what)]))
    else:
        try:
            run_python([tuple(piece) for piece in what])
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in OPTIONAL:
                raise
            print(f"\n{MISSING}{error.name}")


if __name__ == "__main__":  # the command, called by a script
    _no_network()
    simulate()
    from netsession.cli import connect, run

    connect.HAS_LOCAL_MACHINE = True
    sys.exit(run(sys.argv[1:]))
