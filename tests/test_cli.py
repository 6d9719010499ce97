"""The command as a whole: start, usage, exit codes, passwords, errors."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import forked_command
from cli_process import (
    SIGNAL_TOO_EARLY,
    Result,
    environment,
    on_terminal,
    only_line,
    run,
    run_here,
)
from netsession import __version__, cli, errors
from tracing import untraced

pytest.importorskip("rich")

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")

COMMANDS = ("list", "show", "watch", "delete")
SECRET = "Geh3im!"

# Says that a password came, without showing it, instead of asking a server with it.
TAKES_PASSWORD = f"""
from netsession.cli.exits import Stop
def take(*arguments, password, **options):
    raise Stop(0, "right" if password == {SECRET!r} else "wrong")
connect.Server = take
server = None
"""


@untraced
def test_version_is_told_without_importing_what_it_does_not_need() -> None:
    code = (
        "import sys; sys.argv = ['netsession', '--version']; from netsession.cli import main; "
        "code = main(); loaded = {'argparse', 'rich', 'json', 'asyncio', 'smbprotocol', "
        "'netsession.cli.application'} & set(sys.modules); print(code, loaded)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"netsession {__version__}\n0 set()\n"


# What a process has from those before it.
INHERITED = """
import os, threading
files = "/proc/self/fd"
for number in os.listdir(files) if os.path.exists(files) else ():
    if os.path.exists(f"{files}/{number}"):  # not that of the listing
        kind = os.readlink(f"{files}/{number}").partition(":")[0].rstrip("0123456789")
        print(number, kind, file=sys.stderr)
print(sys.argv, __name__, os.getcwd(), sorted(os.environ.items()), file=sys.stderr)
print(threading.active_count(), signal.set_wakeup_fd(-1), file=sys.stderr)
print([signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGCHLD)], file=sys.stderr)
for stream in (sys.stdin, sys.stdout, sys.stderr):
    print(stream.encoding, stream.errors, stream.line_buffering, file=sys.stderr)
server = simulated_server(2)
"""


@posix
@pytest.mark.parametrize("shown", [run, on_terminal], ids=["pipes", "terminal"])
def test_a_fork_is_as_a_process_of_its_own(
    shown: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In which most tests of the command run it."""
    lines = (["list", "--demo", "x"], ["--help"], ["list", "--demo"])
    assert forked_command.possible(environment())
    forks = [shown(*line, setup=INHERITED) for line in lines]
    monkeypatch.setattr(forked_command, "possible", lambda *_: False)
    assert forks == [shown(*line, setup=INHERITED) for line in lines]


def test_version_after_other_options_and_in_help() -> None:
    assert run("--version").text.splitlines() == [f"netsession {__version__}"]
    assert "--version" in run("--help").text


@pytest.mark.parametrize("command", ["list", "show", "watch", "delete"])
def test_help_names_every_command_and_option(command: str) -> None:
    assert command in run("--help").text
    told = run(command, "--help")
    assert told.code == 0
    for option in ("--auth-user", "--password-file", "--encrypt", "--timeout", "--demo", "--port"):
        assert option in told.text


def test_no_arguments_show_the_help_and_are_a_usage_error() -> None:
    told = run()
    assert told.code == 2
    assert "delete" in told.text


def without_rich(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; sys.modules['rich'] = None;from netsession.cli import main; sys.exit(main())"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "arguments", [("list", "--demo"), ("delete", "--demo", "--user", "x", "--dry-run")]
)
def test_missing_extra_is_named_where_it_is_needed(arguments: tuple[str, ...]) -> None:
    done = without_rich(*arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'netsession[cli]'" in done.stderr


def test_programs_need_no_extra() -> None:
    done = without_rich("list", "--demo", "2", "--format", "json")
    assert (done.returncode, done.stdout.count("client_name")) == (0, 2)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows asks through netapi32.dll")
def test_missing_smbprotocol_is_named() -> None:
    blocked = "sys.modules['smbprotocol'] = None; server = None"
    result = run("list", "127.0.0.1", "--port", str(_closed_port()), setup=blocked)
    assert result.code == 2
    assert "pip install" in only_line(result)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "nonsense"),
        (["list", "--demo", "--format", "xml"], "xml"),
        (["list", "--demo", "--level", "7"], "--level must be 0, 1, 2, 10 or 502, not '7'"),
        (["list", "--demo", "--level", "two"], "--level"),
        (["list", "--demo", "--client", ""], "client must not be empty"),
        (["list", "--demo", "--user", "x" * 1024], "1023"),
        (["list", "--demo", "--page-bytes", "0"], "--page-bytes"),
        (["list", "--demo=-1"], "--demo"),
        (["list", "--demo=many"], "--demo"),
        (["list", "--demo", "fs01"], "leave out 'fs01'"),
        (["list", "fs01", "--timeout", "0"], "more than 0"),
        (["list", "fs01", "--timeout", "soon"], "a number of seconds, more than 0, not 'soon'"),
        (["list", "fs01", "--port", "-5"], "--port must be a whole number from 1 to 65535"),
        (["list", "fs01", "--port", "\u0664\u0664\u0665"], "--port"),
        (["list", "fs01", "--port", "9" * 100_000], "999..."),
        (["list", "fs01", "--por", "445"], "no such option: '--por'"),
        (["list", "fs01", "--user", "--encrypt"], "--user: expected one argument"),
        (["list", "fs01", "--nonsense=100%"], "no such option: '--nonsense'"),
        (["list", "--level=%s", "fs01"], "not '%s'"),
        (["list", "fs01", "--user"], "given as --option=VALUE"),
        (["list", "fs01", "--encrypt=yes"], "--encrypt takes no value."),
        (["list", "fs01", "--timeout", "1_0"], "more than 0, not '1_0'"),
        (["-"], "there is no command '-'"),
        (["list", ""], "SERVER must not be empty"),
        (["list", "\\\\"], "SERVER must not be empty"),
        (["list", "fs01", "--auth-user", ""], "--auth-user must not be empty"),
        (["list", "fs01", "\udcff"], "\\udcff"),
        (["list", "--demo", "-5"], "no such option: '-5'"),
        (["show", "--demo", "WS17"], "USER is missing"),
        (["show", "--demo", "", "me"], "CLIENT must not be empty."),
        (["show", "--demo", "a", ""], "USER must not be empty."),
        (["show", "--demo", "a", "b", "c", "d"], "not 4 names"),
        (["show", "--demo", "--client", "x", "y"], "no such option: '--client'"),
        (["--demo", "list"], "--demo"),
        (["x" * 100_000], "there is no command 'xxx"),
        (["list", "fs01", "--timeout", "nan"], "more than 0"),
        (["list", "fs01", "--port", "70000"], "--port"),
        (["list", "fs01", "fs02/"], "fs02/"),
        (["list", "fs01", "--password-file", "x"], "--password-file needs --auth-user"),
        (["list", "--demo", "--format", "parquet"], "-o FILE"),
        (["show", "--demo", "one"], "SERVER CLIENT USER"),
        (["show", "--demo", "a", "b", "--format", "parquet"], "--format must be table, json"),
        (["delete", "--demo"], "--client, --user or both"),
        (["delete", "--demo", "--yes", "--user", ""], "user must not be empty"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(arguments: list[str], says: str) -> None:
    result = run_here(*arguments)
    assert result.code == 2
    assert says in only_line(result)
    # And it points to the help of the command that was meant.
    command = " ".join(["netsession", *[name for name in arguments if name in COMMANDS]])
    assert result.err.startswith(f"{command}: ")
    assert result.err.rstrip().endswith(f". See {command} --help")
    assert len(result.err) < 500
    assert not result.out


@pytest.mark.skipif(sys.platform == "win32", reason="there SERVER may be left out")
def test_without_a_server_there_is_nothing_to_list() -> None:
    result = run("list")
    assert result.code == 2
    assert "SERVER" in only_line(result)


@pytest.mark.parametrize(
    ("status", "code"), [(5, 1), (1326, 1), (50, 1), (8, 1), (53, 3), (1722, 3), (64, 3), (121, 3)]
)
def test_exit_code_of_a_failed_call(status: int, code: int) -> None:
    prepared = f"server = simulated_server(3); server.fail('NetSessionEnum', {status})"
    result = run("list", "--demo", setup=prepared)
    assert result.code == code
    assert f"status {status}" in only_line(result)
    assert not result.out


def test_messages_name_options_not_python_arguments() -> None:
    from netsession.cli.wording import stop_for

    for status in range(4000):
        message = stop_for(errors.error_from_status(status, "NetSessionEnum", "fs01")).message
        assert not re.search(r"\w=|page_bytes", message), message
    assert "--page-bytes" in stop_for(errors.NoProgress()).message


def test_control_characters_from_elsewhere_stay_out_of_messages() -> None:
    result = run("list", "fs\x1b[31m\n01", "--demo")
    assert result.code == 2
    assert "\x1b" not in only_line(result)


def _closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_nobody_listens_exits_3() -> None:
    pytest.importorskip("smbprotocol")
    result = run("list", "127.0.0.1", "--port", str(_closed_port()))
    assert result.code == 3
    assert "Check the name, the port" in only_line(result)


def test_a_silent_server_times_out_and_exits_3() -> None:
    pytest.importorskip("smbprotocol")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        result = run("list", "127.0.0.1", "--port", port, "--timeout", "0.3")
    assert result.code == 3
    assert "Raise --timeout" in only_line(result)


def test_password_from_the_environment() -> None:
    arguments = ("list", "fs01", "--auth-user", "me")
    result = run(*arguments, setup=TAKES_PASSWORD, env={"NETSESSION_PASSWORD": SECRET})
    assert only_line(result) == "right"
    wrong = run(*arguments, setup=TAKES_PASSWORD, env={"NETSESSION_PASSWORD": SECRET + " "})
    assert only_line(wrong) == "wrong"


@pytest.mark.parametrize(
    "content", [SECRET, f"{SECRET}\n", f"{SECRET}\r\nmore\n", f"\ufeff{SECRET}"]
)
def test_password_is_the_first_line_of_the_file(content: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(content.encode())
    arguments = ("list", "fs01", "--auth-user", "me", "--password-file", str(file))
    # The file was named explicitly, so it wins.
    result = run(*arguments, setup=TAKES_PASSWORD, env={"NETSESSION_PASSWORD": "other"})
    assert only_line(result) == "right"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\nsecond", "is empty"),
        (b"Geh3im\xff", "not UTF-8"),
        ("\xe9".encode() * 40_000, "too long"),  # read up to the middle of a letter
        (None, "cannot"),
    ],
)
def test_useless_password_files(content: bytes | None, says: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    result = run(
        "list", "fs01", "--auth-user", "me", "--password-file", str(file), setup=TAKES_PASSWORD
    )
    assert result.code == 2
    assert says in only_line(result)
    assert "Geh3im" not in result.err


def test_without_terminal_variable_or_file_there_is_no_password() -> None:
    result = run("list", "fs01", "--auth-user", "me", setup=TAKES_PASSWORD, stdin=f"{SECRET}\n")
    assert result.code == 2
    assert "NETSESSION_PASSWORD" in only_line(result)
    assert SECRET not in result.err


def test_there_is_no_option_for_a_password() -> None:
    for given in (
        ["--password", SECRET],
        [f"--password={SECRET}"],
        ["-p", SECRET],
        [f"-p{SECRET}"],
    ):
        result = run("list", "fs01", "--auth-user", "me", *given)
        assert result.code == 2
        assert SECRET not in result.err


def test_password_from_standard_input() -> None:
    arguments = ("list", "fs01", "--auth-user", "me", "--password-file", "-")
    for stdin in (f"{SECRET}\n", SECRET, f"{SECRET}\r\nmore\n"):
        result = run(*arguments, setup=TAKES_PASSWORD, stdin=stdin)
        assert only_line(result) == "right"
    useless = (("", "is empty"), ("\nsecond", "is empty"), ("x" * 70_000, "is too long"))
    for stdin, says in useless:
        result = run(*arguments, setup=TAKES_PASSWORD, stdin=stdin)
        assert result.code == 2
        assert f"the first line of standard input {says}" in only_line(result)


@posix
@pytest.mark.parametrize("file", ["-", "/dev/stdin", "/dev/tty"])
def test_password_from_standard_input_that_is_a_terminal_is_not_echoed(file: str) -> None:
    arguments = ("list", "fs01", "--auth-user", "me", "--password-file", file)
    answers = {"Password of me: ": f"{SECRET}\n"}
    result = on_terminal(*arguments, setup=TAKES_PASSWORD, answers=answers)
    assert b"netsession: right" in result.out
    assert SECRET.encode() not in result.out


@posix
def test_a_password_file_without_end_is_not_read_to_it() -> None:
    result = run(
        "list", "fs01", "--auth-user", "me", "--password-file", "/dev/zero", setup=TAKES_PASSWORD
    )
    assert result.code == 2
    assert "too long" in only_line(result)


# What can be known to be wrong without asking anybody, a password least of all.
@posix
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["list", "fs01", "--level", "3"], "--level must be 0, 1, 2, 10 or 502, not '3'"),
        (["list", "fs01", "--port", "0"], "--port must be"),
        (["list", "fs01", "-o", "/nonexistent/x"], "there is no folder /nonexistent"),
        (["list", "fs01", "-o", "/"], "it names a folder"),
        (["list", "fs01", "--client", ""], "--client must not be empty"),
        (["list", "fs01", "--user", "x" * 1024], "--user must be at most 1023"),
        (["list", "fs01", "--client", "\\\\"], "--client must be a computer name or an address"),
        (["list", "fs01", "--format", "parquet"], "-o FILE"),
        (["list", "fs01", "--format", "parquet", "-o", "-"], "not for terminals"),
        (["list", "fs01", "--format", "csv", "-o", "x.json"], "leave one out"),
        (["show", "fs01", "WS17"], "USER is missing"),
        (["show", "fs01", "", "me"], "CLIENT must not be empty."),
        (["delete", "fs01"], "--client, --user or both"),
        (["delete", "fs01", "--user", ""], "--user must not be empty"),
    ],
)
def test_nobody_types_a_password_for_what_cannot_be_done(arguments: list[str], says: str) -> None:
    result = on_terminal(*arguments, "--auth-user", "me", env={"NETSESSION_PASSWORD_": ""})
    assert result.code == 2
    assert says in result.text
    assert "Password of" not in result.text
    for word in ("None", "Input should be", "Traceback"):
        assert word not in result.text


@posix
@pytest.mark.parametrize("missing", ["pyarrow", "smbprotocol"])
def test_nor_for_what_is_not_installed(missing: str, tmp_path: Path) -> None:
    arguments = ["-o", str(tmp_path / "x.parquet")] if missing == "pyarrow" else []
    setup = f"sys.modules[{missing!r}] = None\nserver = None"
    result = on_terminal("list", "fs01", "--auth-user", "me", *arguments, setup=setup)
    assert result.code == 2
    assert "pip install" in result.text
    assert "Password of" not in result.text


def test_a_failed_logon_says_what_user_means_and_auth_user() -> None:
    prepared = "server = simulated_server(3); server.fail('NetSessionEnum', 1326)"
    with_user = run("list", "--demo", "--user", "me", setup=prepared)
    assert with_user.code == 1
    assert "to log on as somebody, give --auth-user" in only_line(with_user)
    assert "to log on as" not in only_line(run("list", "--demo", setup=prepared))
    refused = prepared.replace("1326", "5")  # no failed logon
    assert "to log on as" not in only_line(run("list", "--demo", "--user", "me", setup=refused))


def test_verbose_shows_the_log_without_escapes_and_only_then() -> None:
    setup = """
import logging
server = simulated_server(1)
ask = server.sessions
def logged(**options):
    logging.getLogger("netsession.somewhere").debug("dialect %s", "3.1.1\x1b[31m")
    return ask(**options)
server.sessions = logged
"""
    for option in ("-v", "--verbose"):
        told = run("list", "--demo", option, setup=setup)
        assert "netsession: dialect 3.1.1\\x1b[31m" in told.err.splitlines()
    assert "dialect" not in run("list", "--demo", setup=setup).err


def test_verbose_of_one_call_is_over_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A program may call main() many times: what -v shows is shown once, and then no more."""
    line = ["list", "--demo", "3"]
    told = []
    for arguments in ([*line, "-v"], [*line, "-v"], line):
        assert cli.run(arguments) == 0
        told.append(capsys.readouterr().err.count(": level 502"))
    assert told == [1, 1, 0]


@posix
def test_password_prompt_does_not_echo() -> None:
    result = on_terminal(
        "list",
        "fs01",
        "--auth-user",
        "me",
        setup=TAKES_PASSWORD,
        answers={"Password of me: ": f"{SECRET}\n"},
    )
    assert b"netsession: right" in result.out
    assert SECRET.encode() not in result.out


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGUSR1"])
def test_a_signal_just_before_a_password_is_waited_for(name: str) -> None:
    pytest.importorskip("ctypes")
    result = on_terminal(
        *("list", "fs01", "--auth-user", "me"),
        setup=TAKES_PASSWORD + SIGNAL_TOO_EARLY.replace("NAME", name),
        answers={} if name == "SIGINT" else {"Password of me: ": f"{SECRET}\n"},
    )
    assert (b"netsession: right" in result.out) == (name != "SIGINT")
    assert (result.code == 130) == (name == "SIGINT")


@posix
def test_a_password_that_is_no_text_is_one_line_and_not_shown() -> None:
    result = on_terminal(
        "list", "fs01", "--auth-user", "me",
        setup=TAKES_PASSWORD, answers={"Password": b"Geh\xe93im\n"}, env={"PYTHONUTF8": "1"},
    )  # fmt: skip
    assert b"Traceback" not in result.out
    assert b"3im" not in result.out
    assert b"\nnetsession: what was typed is not text" in result.out


@posix
def test_no_password_at_the_prompt_is_a_line_of_its_own() -> None:
    result = on_terminal(
        "list", "fs01", "--auth-user", "me", setup=TAKES_PASSWORD, answers={"Password": "\x04"}
    )
    assert result.code == 2
    assert b"\nnetsession: no password was given for me\r\n" in result.out


@posix
def test_ctrl_c_at_the_prompt_exits_130_quietly() -> None:
    result = on_terminal(
        "list", "fs01", "--auth-user", "me", setup=TAKES_PASSWORD, answers={"Password": "\x03"}
    )
    assert result.code == 130
    assert b"Traceback" not in result.out
    assert result.out.endswith(b"\n")  # the shell's prompt begins a line of its own


def test_an_unexpected_fault_shows_no_local_variables() -> None:
    setup = "def boom(*a, **k): raise RuntimeError('fault')\nconnect.Server = boom\nserver = None"
    result = run(
        "list", "fs01", "--auth-user", "me", setup=setup, env={"NETSESSION_PASSWORD": SECRET}
    )
    assert result.code == 1
    assert "RuntimeError: fault" in result.err
    assert SECRET not in result.err


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "netsession", "list", "--demo", "2", "--format", "jsonl"],
        capture_output=True,
        env=environment(),
        check=True,
    )
    assert done.stdout.count(b"\n") == 2


DASHES = """
server = simulated_server([{"client_name": "-ws", "user_name": "-x"},
                           {"client_name": "7", "user_name": "--"}])
"""


@pytest.mark.parametrize(
    ("arguments", "users"),
    [
        (["list", "--demo", "--user=-x"], ["-x"]),
        (["list", "--demo", "--client", "7"], ["--"]),
        (["list", "--demo", "--client=-ws", "--"], ["-x"]),
        (["show", "--demo", "--", "-ws", "-x"], ["-x"]),
        (["show", "--demo", "7", "--", "--"], ["--"]),
        (["show", "--demo=3", "7", "--", "--"], ["--"]),
        (["show", "--demo=3", "--encrypt", "7", "--port", "445", "--", "--"], ["--"]),
    ],
)
def test_names_that_look_like_options(arguments: list[str], users: list[str]) -> None:
    at = arguments.index("--") if "--" in arguments else len(arguments)
    # A number before a name would be taken for that of --demo.
    given = [a.replace("--demo", "--demo=2") if a == "--demo" else a for a in arguments[:at]]
    result = run(*given, "--format", "json", *arguments[at:], setup=DASHES)
    assert result.code == 0, result
    assert [row["user_name"] for row in json.loads(result.out)] == users


@pytest.mark.parametrize("option", ["--user=--", "--client=--", "--port=--", "-o--"])
def test_a_value_of_two_dashes_is_a_value_or_refused(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some releases of argparse lose it."""
    monkeypatch.chdir(tmp_path)
    result = run("list", "--demo=1", option, "--format", "csv", "--level", "0")
    if result.code:
        assert (result.code, "--" in only_line(result)) == (2, True)


@pytest.mark.parametrize("place", range(3))
def test_options_may_stand_anywhere(place: int) -> None:
    names = ["10.0.0.0", "alice.0"]
    given = [*names[:place], "--format", "json", "--encrypt", *names[place:]]
    result = run("show", "--demo=100", *given)
    assert [row["user_name"] for row in json.loads(result.out)] == ["alice.0"]


def test_help_fits_80_columns_and_is_plain_on_a_terminal_too() -> None:
    for command in ((), ("list",), ("show",), ("delete",)):
        told = run(*command, "--help", env={"COLUMNS": "80"}).text
        assert told.isascii()
        assert max(map(len, told.splitlines())) <= 80
        if command:
            assert told.count(f"\n  netsession {command[0]} ") == 3  # examples
            titles = [line for line in told.splitlines() if re.fullmatch(r"\w+:", line)]
            assert titles[:2] == ["Connection:", "Selection:"]
    if sys.platform != "win32":
        assert b"\x1b" not in on_terminal("list", "--help").out


@pytest.mark.parametrize(
    "typed", ["fs01", "\\\\fs01\\data", "smb://fs01:1445/data", "//fs01", "fs01:1445"]
)
def test_the_server_is_called_by_its_name_and_not_by_a_share(typed: str) -> None:
    from netsession.cli.connect import Connection

    assert Connection(typed).name == "fs01"
