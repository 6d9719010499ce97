"""A command in an interpreter that others use too is as one in a process of its own."""

from __future__ import annotations

import subprocess

import pytest

import kept_command
from cli_process import command, environment, prepared, run_alone
from setup_code import is_undone

Done = tuple[int, bytes, bytes]

# What the code before might have left otherwise.
PROBE = """
import os, stat, threading, warnings
print(sys.argv, __name__, os.getcwd(), sorted(os.environ.items()), file=sys.stderr)
print([name for name in globals() if name[0] != '_'], sys.path, file=sys.stderr)
print(threading.active_count(), threading.excepthook is threading.__excepthook__, file=sys.stderr)
print([signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)], file=sys.stderr)
print(warnings.filters, file=sys.stderr)
for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
    print(stream.name, stream.fileno() == number, stream.isatty(), file=sys.stderr)
    print(stat.S_ISFIFO(os.fstat(number).st_mode), stream.encoding, stream.errors, file=sys.stderr)
    print(stream.line_buffering, stream.newlines, type(stream.buffer), file=sys.stderr)
print(repr(sys.stdin.readline()), repr(sys.stdin.buffer.read()), "\\u00e9")
server = simulated_server(3)
"""
LINE = ("list", "--demo", "-v", "--format", "jsonl")
STDIN = "\u00e4\r\nmore\n"

CHANGES = {
    "nothing": "",
    "arguments": "sys.argv.append('x'); sys.path.insert(0, 'nowhere')",
    "environment": "import os; os.environ['COLUMNS'] = '7'; del os.environ['PATH']",
    "folder": "import os; os.chdir(os.path.dirname(os.getcwd()))",
    "signals": "signal.signal(signal.SIGTERM, lambda *_: None)",
    "warnings": "import warnings; warnings.simplefilter('error')",
    "streams": "import io; sys.stdout = sys.stderr = io.StringIO()",
    "descriptors": "import os; nothing = os.open(os.devnull, os.O_RDWR); os.dup2(nothing, 1)",
    "module": "from netsession.cli import list; list.new = 1; connect.note = connect._asked = None",
    "class": "connect.Connection.open = SimulatedServer.sessions = SimulatedServer.new = None",
    "atexit": "import atexit; atexit.register(print, 'the end')",
}

# What ends with its process, and so does the process.
ENDS = {
    "thread": "import threading; main = threading.main_thread(); f = lambda: print(main.join()); "
    "threading.Thread(target=f).start(); print('first'); sys.exit(5)",
    "text": "sys.exit('why')",
    "no status": "sys.exit(-1)",
    "at once": "import os; print('lost'); os.write(2, b'told'); os._exit(9)",
}


def kept(*arguments: str, setup: str | None, stdin: str = STDIN, **variables: str) -> Done:
    return kept_command.run(arguments, environment(**variables), prepared(setup), stdin)


def alone(*arguments: str, setup: str | None, stdin: str = STDIN, **variables: str) -> Done:
    return run_alone(command(*arguments, setup=setup), environment(**variables), stdin)


def interpreter() -> int | None:
    return kept_command._kept and kept_command._kept.process.pid


@pytest.fixture(scope="module")
def of_its_own() -> Done:
    return alone(*LINE, setup=PROBE)


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_left_of_a_command(change: str, of_its_own: Done) -> None:
    assert of_its_own[0] == 0
    kept("list", "--demo", "-q", setup="server = simulated_server(1)")
    before = interpreter()
    changing = CHANGES[change] + "\nserver = None"
    assert kept("--version", setup=changing, NETSESSION_X="1")[0] == 0
    assert kept(*LINE, setup=PROBE) == of_its_own
    assert interpreter() == before is not None


@pytest.mark.parametrize("arguments", [("--version",), ("list", "--wrong"), ("list", "--demo")])
def test_the_package_too(arguments: tuple[str, ...]) -> None:
    assert kept(*arguments, setup=None) == alone(*arguments, setup=None)


@pytest.mark.parametrize("end", ENDS)
def test_what_waits_for_the_end_of_python_gets_it(end: str, of_its_own: Done) -> None:
    assert kept("list", setup=ENDS[end]) == alone("list", setup=ENDS[end])
    assert interpreter() is None
    assert kept(*LINE, setup=PROBE) == of_its_own


def test_a_command_that_hangs_is_ended() -> None:
    code = prepared("print('begun', flush=True)\nserver = simulated_server(3)\nserver.hang(None)")
    line = ["list", "--demo", "--format", "csv"]
    with pytest.raises(subprocess.TimeoutExpired):
        kept_command.run(line, environment(), code, "", timeout=0.1)
    assert kept("--version", setup=None)[0] == 0


def test_what_python_reads_at_its_start_is_read() -> None:
    """By another one."""
    code = "sys.stderr.write(sys.stdout.encoding); server = simulated_server(1)"
    kept("--version", setup=None)
    assert kept("list", "--demo", setup=code, PYTHONIOENCODING="cp437")[2].startswith(b"cp437")


def test_a_long_input_is_for_a_process() -> None:
    assert kept_command.possible(None, "x" * 4096)
    assert not kept_command.possible(None, "\u00e4" * 4096)


@pytest.mark.parametrize(
    "setup",
    [
        "server = simulated_server([{'client_name': 'a'}]); server.refuse(502)",
        "for level in (1, 2): connect.x = lambda: print(level, file=sys.stderr)",
        "from netsession.cli import delete\ndelete.sleep = lambda seconds: None",
        "from netsession import _question\n_question.Asking.server = lambda self: None",
        "import atexit\natexit.register(print)",
        "class Own(SimulatedServer):\n    def close(self): self.over = True\nOwn.sessions = None",
        "def fail(*_): raise KeyboardInterrupt\nserver = simulated_server(1)\nserver.close = fail",
    ],
)
def test_setups_that_are_undone(setup: str) -> None:
    assert is_undone(setup)


@pytest.mark.parametrize(
    "setup",
    [
        "import time; time.sleep = print",
        "from time import sleep",
        "import os.path",
        "import netsession.cli, threading",
        "from . import x",
        "connect.os.environ['X'] = '1'",
        "connect.os.getcwd = print",
        "connect.sys.exit()",
        "from netsession.cli import log\nlog.logging.shutdown()",
        "shut = connect.os\nshut.chdir('/')",
        "first, second = connect.os, 1\nfirst.chdir('/')",
        "for each in [connect.os]: each.getcwd = None",
        "made = connect.os\nmade = str()\nmade.x = 1",
        "def f():\n    global server\n    server = 1",
        "setattr(connect, 'x', 1)",
        "open('x', 'w')",
        "exec('1')",
        "print.__self__",
        "simulated_server.x = 1",
        "server = simulated_server(1); server.__class__.sessions = None",
        "connect.__dict__['x'] = 1",
        "connect._TABLE[1] = 2",
        "sys.argv.append('x')",
        "sys.path.insert(0, 'x')",
        "signal.signal(2, signal.SIG_IGN)",
        "each = sys",
        "import atexit\natexit.unregister(print)",
        "import atexit as end",
        "del connect.os",
    ],
)
def test_setups_that_are_not(setup: str) -> None:
    assert not is_undone(setup)
