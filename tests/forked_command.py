"""Commands that start at once: each is a fork of an interpreter that has imported the command.

A fork is a process like any other: its own descriptors, environment, folder and terminal, and it
ends as Python ends. Only what comes before its first line is left out, a tenth of a second of CPU,
of which a thousand tests would need minutes. Run as a program, this is that interpreter; the socket
that is its standard input tells it what to run. It may live elsewhere: in the namespaces of a
machine that the tests have made.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import types
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

# What most command lines need; whatever else one needs it imports itself.
_IMPORTED = (
    *("netsession.testing", "netsession.cli.connect", "netsession.cli.list"),
    *("netsession.cli.show", "netsession.cli.delete", "netsession.cli.fleet"),
    *("netsession.cli.watch", "netsession.cli.live", "netsession.cli.table"),
    *("rich.console", "rich.table"),
)
# What some need, and takes longer to go again at the end than all the rest: by words of a command.
_IMPORTED_FOR = {"--port": "smbprotocol.session", "parquet": "pyarrow.parquet"}
# What Python and the loader read before its first line: a command with others needs an interpreter
# of its own.
_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_")
_NEVER = "PYTHONUNBUFFERED"  # where tests are run; no command has it


HANG_GUARD = 300.0  # seconds, for what hangs: importing Arrow alone has taken 60 on a busy machine
_WIDTH = 10  # of a number that is told
_one_at_a_time = threading.Lock()


class Place(NamedTuple):
    """Where that interpreter lives: what starts a program there, and what else it imports."""

    enter: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    changes: tuple[tuple[str, str], ...] = ()  #: of this process's environment

    def environment(self) -> dict[str, str]:
        """That of the interpreter."""
        return {k: v for k, v in {**os.environ, **dict(self.changes)}.items() if k != _NEVER}


HERE = Place()


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in environment.items() if k.startswith(_READ_AT_START)}


def possible(environment: Mapping[str, str], code: str | None = None, place: Place = HERE) -> bool:
    """Whether all would be the same where Python has begun, and imported, already."""
    if sys.platform == "win32" or "sys.modules" in (code or ""):
        return False
    return _read_at_start(environment) == _read_at_start(place.environment())


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    code: str | None,
    stdin: str,
    place: Place = HERE,
) -> tuple[int, bytes, str]:
    """The command on pipes: its exit status, and what it wrote."""
    (given, write), (read_out, out), (read_err, err) = os.pipe(), os.pipe(), os.pipe()
    with ThreadPoolExecutor(3) as pool:
        process = Forked(arguments, (given, out, err), environment, code, place=place)
        for each in (given, out, err):
            os.close(each)
        pool.submit(_write, write, stdin.encode())
        written = [pool.submit(_read, each) for each in (read_out, read_err)]
        try:
            status = process.wait(HANG_GUARD)
        finally:
            process.kill()
    return status, written[0].result(), written[1].result().decode()


def _write(descriptor: int, data: bytes) -> None:
    with suppress(BrokenPipeError), open(descriptor, "wb") as stream:
        stream.write(data)


def _read(descriptor: int) -> bytes:
    with open(descriptor, "rb") as stream:
        return stream.read()


class Forked:
    """A command that runs on these descriptors; with ``code``, that instead of the package.

    With ``terminal``, standard input becomes its controlling terminal.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        descriptors: Sequence[int],
        environment: Mapping[str, str],
        code: str | None = None,
        *,
        terminal: bool = False,
        place: Place = HERE,
    ) -> None:
        task = (list(arguments), dict(environment), os.getcwd(), code, terminal)
        line = json.dumps(task).encode()
        text = " ".join(arguments)
        parent = _parent(place, *(name for word, name in _IMPORTED_FOR.items() if word in text))
        self._status: int | None = None
        self._talk, theirs = socket.socketpair()
        self._talk.settimeout(HANG_GUARD)
        with theirs, _one_at_a_time:
            head = b"%*d" % (_WIDTH, len(line))
            socket.send_fds(parent, [head], [*descriptors, theirs.fileno()])
            parent.sendall(line)
        self.pid = int(self._talk.recv(_WIDTH))

    def wait(self, timeout: float) -> int:
        """Its exit status, or the negative number of the signal that ended it."""
        if self._status is None:
            self._talk.settimeout(timeout)
            self._status = int(self._talk.recv(_WIDTH))
            self._talk.close()
        return self._status

    def kill(self) -> None:
        """Ends it where it still runs."""
        if self._status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


@cache
def _parent(place: Place, *modules: str) -> socket.socket:
    """The interpreter that is forked, one for all tests of this process, who imported these too."""
    ours, theirs = socket.socketpair()
    command = [*place.enter, sys.executable, __file__, *place.modules, *modules]
    with theirs:
        process = subprocess.Popen(
            command, stdin=theirs, env=place.environment(), start_new_session=True
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


# --- in that interpreter --------------------------------------------------------------------------


def _fork_on_demand() -> tuple[list[str], str | None]:
    """Returns in each child only, with what to run."""
    control = socket.socket(fileno=os.dup(0))
    wakes, wake = socket.socketpair()
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    talks: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(wakes, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if wakes in ready:
                wakes.recv(100)
                _tell_who_ended(talks)
            if control not in ready:
                continue
            head, descriptors, _, _ = socket.recv_fds(control, _WIDTH, 4)
            if not head:
                sys.exit()
            line = b""
            while len(line) < int(head):
                line += control.recv(int(head) - len(line))
            talk = socket.socket(fileno=descriptors.pop())
            pid = os.fork()
            if not pid:
                break
            talks[pid] = talk
            talk.sendall(b"%*d" % (_WIDTH, pid))
            for each in descriptors:
                os.close(each)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for each in (control, wakes, wake, talk, *talks.values()):
        each.close()
    return _become(descriptors, *json.loads(line))


def _tell_who_ended(talks: dict[int, socket.socket]) -> None:
    for pid in list(talks):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with talks.pop(pid) as talk, suppress(OSError):  # nobody may want to know
                talk.sendall(b"%*d" % (_WIDTH, os.waitstatus_to_exitcode(status)))


def _become(
    descriptors: list[int],
    arguments: list[str],
    environment: dict[str, str],
    folder: str,
    code: str | None,
    terminal: bool,
) -> tuple[list[str], str | None]:
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if terminal:
        import fcntl
        import termios

        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    move_to(folder, environment)
    sys.stdin, sys.stdout, sys.stderr = map(_stream, range(3), ("stdin", "stdout", "stderr"))
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    return arguments, code


def move_to(folder: str, environment: Mapping[str, str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)


def _stream(number: int, name: str) -> io.TextIOWrapper:
    """As Python makes them at its start."""
    before: Any = getattr(sys, name)
    stream = open(number, "wb" if number else "rb", closefd=False)  # noqa: SIM115 - until the end
    return io.TextIOWrapper(
        stream,
        before.encoding,
        before.errors,
        newline="\n",
        line_buffering=number == 2 or stream.isatty(),
    )


def main() -> None:
    sys.path[0] = ""
    for name in (*_IMPORTED, *sys.argv[1:]):
        with suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    execute(*_fork_on_demand())


def execute(arguments: list[str], code: str | None) -> None:
    """Runs the package, or the code, as Python runs its program."""
    if code is None:
        sys.argv[1:] = arguments
        runpy.run_module("netsession", run_name="__main__", alter_sys=True)
    else:
        sys.argv = ["-c", *arguments]
        sys.modules["__main__"] = module = types.ModuleType("__main__")
        exec(code, vars(module))


if __name__ == "__main__":
    main()
