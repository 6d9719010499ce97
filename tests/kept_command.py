"""Commands one after another in an interpreter that is kept, where none can be forked (Windows).

Under Wine a process takes over a second until its first line, nearly all of it for imports, and
there are hundreds of commands. Its descriptors, streams and arguments are real; what a command and
its setup change is put back behind it. Where that cannot be, as for a thread that is left, this
interpreter ends with the command, as Python ends, and the next one gets another. Run as a program,
this is that interpreter: it gets a task a line, and each stream ends with the task's mark.
"""

from __future__ import annotations

import _thread
import atexit
import io
import json
import os
import pkgutil
import secrets
import signal
import subprocess
import sys
import threading
import time
import types
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

from forked_command import HANG_GUARD, execute, move_to
from setup_code import is_undone

# What a command looks at when it runs. With another value of any other, another one is begun.
_READ_LATE = ("COLUMNS", "NETSESSION_")
_LONGEST_INPUT = 4096  # bytes, which a pipe takes that nobody reads yet
_STATUS = 3  # digits, after the mark


def possible(setup: str | None, stdin: str) -> bool:
    """Whether all would be the same where other commands have run before, and will."""
    return len(stdin.encode()) <= _LONGEST_INPUT and is_undone(setup or "")


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    code: str | None,
    stdin: str,
    *,
    timeout: float = HANG_GUARD,
) -> tuple[int, bytes, bytes]:
    """The command on pipes: its exit status, and what it wrote."""
    global _kept
    with _lock:
        early = {k: v for k, v in environment.items() if not k.startswith(_READ_LATE)}
        if _kept is None or _kept.environment != early:
            _end()
            _kept = _Kept(early)
        kept, _kept = _kept, None
        done = kept.run([list(arguments), dict(environment), os.getcwd(), code, stdin], timeout)
        if kept.process.returncode is None:
            _kept = kept
    return done


class _Kept:
    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=pipe, stdout=pipe, stderr=pipe, env=environment
        )

    def run(self, task: list[Any], timeout: float) -> tuple[int, bytes, bytes]:
        """Then its process waits for another one, or has ended."""
        process, mark = self.process, secrets.token_hex(16)
        assert process.stdin is not None
        process.stdin.write(json.dumps([*task, mark]).encode() + b"\n")
        process.stdin.flush()
        with ThreadPoolExecutor(2) as pool:
            streams = process.stdout, process.stderr
            reads = [pool.submit(_read_to, each, mark.encode()) for each in streams]
            hangs = wait(reads, timeout).not_done
            if hangs:
                process.kill()
        (out, status), (err, _) = (each.result() for each in reads)
        if status is None:
            status = self.end()
        if hangs:
            raise subprocess.TimeoutExpired(process.args, timeout, out, err)
        return status, out, err

    def end(self) -> int:
        """Its exit status, once it has no more to do."""
        assert self.process.stdin is not None
        with self.process:
            with suppress(OSError):  # it may have ended already
                self.process.stdin.close()
            return self.process.wait(HANG_GUARD)


def _read_to(stream: Any, mark: bytes) -> tuple[bytes, int | None]:
    """What comes before the mark, and the status behind it; None where the process ends instead."""
    data, length = bytearray(), len(mark) + _STATUS
    while data[-length:-_STATUS] != mark:
        piece = os.read(stream.fileno(), 1 << 16)
        if not piece:
            return bytes(data), None
        data += piece
    return bytes(data[:-length]), int(data[-_STATUS:])


_kept: _Kept | None = None
_lock = threading.Lock()


@atexit.register
def _end() -> None:
    global _kept
    if _kept is not None:
        _kept.end()
        _kept = None


# --- in that interpreter --------------------------------------------------------------------------


def main() -> None:
    sys.path[0] = ""
    tasks, streams = open(os.dup(0), "rb"), [os.dup(1), os.dup(2)]  # noqa: SIM115
    _import_all()
    threads = _thread._count()
    for task in tasks:
        *what, stdin, mark = json.loads(task)
        _give(stdin.encode())
        with _put_back():
            status = _status_of(*what, threads)
        for number, stream in enumerate(streams, 1):
            os.dup2(stream, number)  # a command may have turned it away
            os.write(number, b"%s%*d" % (mark.encode(), _STATUS, status))


def _import_all() -> None:
    """So that nothing of netsession is imported while a setup's changes are there."""
    import netsession

    for module in pkgutil.walk_packages(netsession.__path__, "netsession."):
        if not module.name.endswith("__main__"):
            with suppress(ImportError):
                import_module(module.name)


def _give(data: bytes) -> None:
    """Standard input is a pipe with this."""
    read, write = os.pipe()
    os.write(write, data)
    os.close(write)
    os.dup2(read, 0)
    os.close(read)
    # As Python makes it. The one before remembers which line ends it has seen.
    newline = None if sys.platform == "win32" else "\n"
    stream = open(0, "rb", closefd=False)  # noqa: SIM115 - until the end
    stream.raw.name = "<stdin>"  # type: ignore[misc]
    text = io.TextIOWrapper(stream, sys.stdin.encoding, sys.stdin.errors, newline=newline)
    sys.stdin = sys.__stdin__ = text  # type: ignore[misc]


def _status_of(
    arguments: list[str], environment: dict[str, str], folder: str, code: str | None, threads: int
) -> int:
    """Raises what ends this interpreter: all that is more than an exit status."""
    status: Any = 0
    move_to(folder, environment)
    try:
        execute(arguments, code)
    except SystemExit as end:
        status = end.code or 0
        if type(status) is not int or not 0 <= status < 256 or _has_more(threads):
            raise
    else:
        if _has_more(threads):
            sys.exit()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _has_more(threads: int) -> bool:
    """Whether a thread is left that does not end at once."""
    for _ in range(50):
        if _thread._count() == threads:
            return False
        time.sleep(0.01)
    return True


@contextmanager
def _put_back() -> Iterator[None]:
    """What a command and its setup may change, where they end as most do."""
    main, argv, path = sys.modules["__main__"], sys.argv[:], sys.path[:]
    streams = sys.stdin, sys.stdout, sys.stderr
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    attributes = [(each, dict(vars(each))) for each in _modules_and_classes()]
    with warnings.catch_warnings():
        yield
    for each, kept in attributes:
        _set_back(each, kept)
    for number, handler in handlers.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)
    sys.stdin, sys.stdout, sys.stderr = streams
    sys.modules["__main__"], sys.argv[:], sys.path[:] = main, argv, path


def _modules_and_classes() -> Iterator[types.ModuleType | type]:
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "netsession":
            yield module
            for each in vars(module).values():
                if isinstance(each, type) and each.__module__ == name:
                    yield each


def _set_back(each: types.ModuleType | type, kept: Mapping[str, Any]) -> None:
    now = dict(vars(each))
    for name in now.keys() - kept.keys():
        if not name.startswith("__"):  # what Python itself remembers there
            delattr(each, name)
    for name, value in kept.items():
        if now.get(name) is not value:
            setattr(each, name, value)


if __name__ == "__main__":
    main()
