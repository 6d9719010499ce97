"""From options to a server: credentials, the connection, the simulated one."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec

from netsession import _names
from netsession.server import Server

from .answer import Prompt
from .exits import USAGE, Stop
from .parser import Misuse, Parser, quoted, seconds, whole_number
from .standard import note, tell_text
from .text import counted, visible
from .wording import usage_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator
    from typing import Any, TextIO

# Its name, not its value.
_PASSWORD_VARIABLE = "NETSESSION_PASSWORD"  # noqa: S105


HAS_LOCAL_MACHINE = sys.platform == "win32"  # elsewhere SERVER must be named
_TIMEOUT = 60.0  # seconds
_LONGEST_PASSWORD = 65_536  # bytes of a password file's first line


def add_options(parser: Parser, *, more_timeout: str = "") -> None:
    """Adds the group; ``more_timeout`` is what else the help says of the default of --timeout."""
    group = parser.add_argument_group("Connection")
    group.add_argument(
        "--auth-user",
        metavar="USER",
        help="log on as DOMAIN\\user or user@realm (default: your own ticket or logon); the "
        "password is asked for, or taken from $NETSESSION_PASSWORD",
    )
    group.add_argument(
        "--password-file", metavar="FILE", help="its first line is the password; - is stdin"
    )
    group.add_argument(
        "--port", metavar="PORT", type=whole_number(1, 65535), help="port to ask over SMB (445)"
    )
    group.add_argument("--encrypt", action="store_true", help="demand SMB encryption")
    group.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        help=f"time for one call over SMB ({_TIMEOUT:g}{more_timeout})",
    )
    group.add_argument(
        "--demo",
        metavar="[N]",
        type=whole_number(0, 100_000_000),
        help="ask no server but a simulated one with N sessions (100)",
    )


class Connection:
    """The options that say which server is asked, and how.

    Raises Misuse where they contradict each other, before anything is asked of anyone.
    """

    def __init__(
        self,
        server: str | None,
        *,
        port: int | None = None,
        auth_user: str | None = None,
        password_file: str | None = None,
        encrypt: bool = False,
        timeout: float | None = None,
        demo: int | None = None,
    ) -> None:
        self.server = server
        self.port = port
        self.auth_user = auth_user
        self.password_file = password_file
        self.encrypt = encrypt
        self.timeout: float = _TIMEOUT if timeout is None else timeout
        self.demo = demo
        self._check()

    @classmethod
    def of(cls, options: Namespace, server: str | None) -> Connection:
        """That of the parsed options."""
        return cls(
            server,
            port=options.port,
            auth_user=options.auth_user,
            password_file=options.password_file,
            encrypt=options.encrypt,
            timeout=options.timeout,
            demo=options.demo,
        )

    @property
    def name(self) -> str:
        """The server's name for people."""
        if self.demo is not None:
            return "the simulated server"
        return visible(self.host or "this machine")

    @property
    def host(self) -> str | None:
        """The server's name or address, of whatever was typed around it; None: this machine."""
        return None if self.server is None else _names.parse_server(self.server)[0]

    def _check(self) -> None:
        if self.demo is not None and self.server is not None:
            raise Misuse(f"--demo asks no server: leave out {quoted(self.server)}, or --demo")
        if self.server is not None and not self.server.strip("\\/ "):
            raise Misuse("SERVER must not be empty")  # an unset variable is not this machine
        if self.demo is None and self.server is None and not HAS_LOCAL_MACHINE:
            raise Misuse("name a SERVER, or give --demo to see simulated sessions")
        if self.auth_user is not None and not self.auth_user.strip():
            raise Misuse("--auth-user must not be empty")
        if self.password_file is not None and self.auth_user is None:
            raise Misuse("--password-file needs --auth-user, whose password it is")

    @property
    def reads_password_from_stdin(self) -> bool:
        """Whether standard input is the password's, and no answer can come from there."""
        from_stdin = self.password_file == "-"  # noqa: S105 (the file's name)
        return from_stdin and self.demo is None and not _is_terminal(sys.stdin)

    def password(self) -> str | None:
        """That of --auth-user, from where it is; asks for it. None for the caller's own logon."""
        return None if self.auth_user is None else _password(self.auth_user, self.password_file)

    def open(self) -> Server:
        """The server, not yet connected. Asks for a password where one is needed."""
        if self.demo is not None:
            return _simulated(self.demo)
        password = self.password()
        with usage_errors():
            return Server(
                self.server,
                username=self.auth_user,
                password=password,
                port=self.port,
                encrypt=self.encrypt,
                timeout=self.timeout,
            )


def _simulated(sessions: int) -> Server:
    from netsession.testing import simulated_server  # only for --demo

    note(f"--demo: {counted(sessions)}, simulated; no server is asked")
    return simulated_server(sessions)


def _password(user: str, file: str | None) -> str:
    """From the file, the environment or the terminal; never from argv, never shown."""
    if file is not None:
        return _password_in(file, user)
    password = os.environ.get(_PASSWORD_VARIABLE)
    if password is not None:
        return password
    # Without a terminal getpass would read standard input, which may be anything.
    if not _is_terminal(sys.stdin):
        raise Stop(
            USAGE,
            f"no terminal to ask for the password of {user}: "
            f"set {_PASSWORD_VARIABLE} or give --password-file",
        )
    return _asked(user)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _asked(user: str) -> str:
    if find_spec("smbprotocol") is None:  # said now: nothing could be done with the password
        raise Stop(
            USAGE,
            "asking a server over SMB needs smbprotocol, which is not installed: "
            "pip install 'netsession[smb]'",
        )
    from getpass import getpass

    try:
        with _prompt() as prompt:
            return getpass(f"Password of {visible(user)}: ", prompt)
    except (EOFError, UnicodeDecodeError, KeyboardInterrupt) as error:
        tell_text("\n")  # what comes next is not to stand in the prompt's line
        if isinstance(error, EOFError):
            raise Stop(USAGE, f"no password was given for {visible(user)}") from None
        if isinstance(error, UnicodeDecodeError):
            # Its own message would quote bytes of the password.
            raise Stop(USAGE, "what was typed is not text in this terminal's encoding") from None
        raise


@contextmanager
def _prompt() -> Iterator[Any]:
    """Where getpass asks. What kills the command meanwhile leaves a terminal that shows what is
    typed, as before.
    """
    if sys.platform == "win32":
        yield None
        return
    import termios

    from .killed import undone_if_killed

    with ExitStack() as stack:
        try:
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)  # where getpass asks, too
        except OSError:
            terminal, shown = os.dup(sys.stdin.fileno()), sys.stderr
            stack.callback(os.close, terminal)
        else:
            shown = stack.enter_context(open(terminal, "w"))
        before = termios.tcgetattr(terminal)
        with undone_if_killed(lambda: termios.tcsetattr(terminal, termios.TCSANOW, before)):
            yield Prompt(shown, terminal)


def _password_in(file: str, user: str) -> str:
    """The first line of a file (UTF-8), without its line end."""
    name = "standard input" if file == "-" else f"the password file {file}"
    try:
        line = _first_line(file)
        if line is None:
            return _asked(user)
        if len(line) > _LONGEST_PASSWORD:  # before decoding: it may end within a character
            raise Stop(USAGE, f"the first line of {name} is too long for a password")
        password = line.decode("utf-8-sig").rstrip("\r\n")
    except OSError as error:
        raise Stop(USAGE, f"cannot read {name}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        # Its own message would quote bytes of the password.
        raise Stop(USAGE, f"{name} is not UTF-8 text") from None
    except ValueError:
        raise Stop(USAGE, f"cannot read {name}: no file can have this name") from None
    if not password:
        raise Stop(USAGE, f"the first line of {name} is empty")
    return password


def _first_line(file: str) -> bytes | None:
    """As bytes; None of a terminal, which would show what is typed."""
    if file == "-":
        if sys.stdin is None:
            raise Stop(USAGE, "there is no standard input to read the password from")
        if sys.stdin.isatty():
            return None
        return sys.stdin.buffer.readline(_LONGEST_PASSWORD + 1)
    with open(file, "rb") as lines:
        return None if lines.isatty() else lines.readline(_LONGEST_PASSWORD + 1)
