"""From options to a server: credentials, the connection, the simulated one."""

from __future__ import annotations

import os
import sys
from getpass import getpass
from typing import NamedTuple

from netsession.server import Server

from .exits import USAGE, Stop
from .standard import tell
from .text import visible
from .wording import usage_errors

# Its name, not its value.
_PASSWORD_VARIABLE = "NETSESSION_PASSWORD"  # noqa: S105


class Connection(NamedTuple):
    """The options that say which server is asked, and how."""

    server: str | None
    port: int | None
    auth_user: str | None
    password_file: str | None
    encrypt: bool
    timeout: float
    demo: int | None

    @property
    def name(self) -> str:
        """The server's name for people."""
        if self.demo is not None:
            return "the simulated server"
        return visible(self.server or "this machine")

    def check(self) -> None:
        """Refuses options that contradict each other, before anything is asked of anyone."""
        if self.demo is not None and self.server is not None:
            raise Stop(USAGE, f"--demo asks no server: leave out {self.server!r}, or --demo")
        if self.demo is None and self.server is None and sys.platform != "win32":
            raise Stop(USAGE, "name a SERVER, or give --demo to see simulated sessions")
        if self.password_file is not None and self.auth_user is None:
            raise Stop(USAGE, "--password-file needs --auth-user, whose password it is")

    def open(self) -> Server:
        """The server, not yet connected. Asks for a password where one is needed."""
        if self.demo is not None:
            return _simulated(self.demo)
        password = None if self.auth_user is None else _password(self.auth_user, self.password_file)
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

    tell(f"--demo: these {sessions} sessions are simulated; no server is asked")
    return simulated_server(sessions)


def _password(user: str, file: str | None) -> str:
    """From the file, the environment or the terminal; never from argv, never shown."""
    if file is not None:
        return _password_in(file)
    password = os.environ.get(_PASSWORD_VARIABLE)
    if password is not None:
        return password
    # Without a terminal getpass would read standard input, which may be anything.
    if not sys.stdin.isatty():
        raise Stop(
            USAGE,
            f"no terminal to ask for the password of {user}: "
            f"set {_PASSWORD_VARIABLE} or give --password-file",
        )
    try:
        return getpass(f"Password of {visible(user)}: ")
    except EOFError:
        raise Stop(USAGE, f"no password was given for {user}") from None


def _password_in(file: str) -> str:
    """The first line of a file (UTF-8), without its line end."""
    try:
        with open(file, encoding="utf-8-sig") as lines:
            line = lines.readline()
    except OSError as error:
        raise Stop(USAGE, f"cannot read the password file {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        # Its own message would quote bytes of the password.
        raise Stop(USAGE, f"the password file {file} is not UTF-8 text") from None
    password = line.rstrip("\r\n")
    if not password:
        raise Stop(USAGE, f"the first line of the password file {file} is empty")
    return password
