"""Which servers are asked: those named, and those in a file (``--servers-from``)."""

from __future__ import annotations

import sys
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE

from netsession import _names

from . import connect
from .exits import USAGE, Stop
from .parser import Misuse, whole_number
from .standard import tell
from .text import visible
from .wording import usage_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace, _ArgumentGroup
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from .connect import Connection
    from .parser import Parser

_JOBS = 32
_MOST_JOBS = 1024
_LONGEST_FILE = 16 << 20  # bytes: more names than a network has servers
_SMB_PORT = 445
_BOM = "\ufeff"
_ENCODINGS = {BOM_UTF8: "utf-8", BOM_UTF16_LE: "utf-16-le", BOM_UTF16_BE: "utf-16-be"}


def add_options(parser: Parser) -> None:
    """Adds the group."""
    group = add_asked(parser)
    group.add_argument(
        "--with-server",
        action="store_true",
        help="begin with server and collected_at with one server too",
    )
    group.add_argument(
        "--errors",
        metavar="FILE",
        help="write here what failed, a JSON object a line, instead of showing it on stderr",
    )
    group.add_argument(
        "--fail-fast", action="store_true", help="end at the first server that fails"
    )


def check_from(options: Namespace) -> None:
    """Refuses ``--servers-from`` with what it cannot go with."""
    if options.servers_from is not None and options.demo is not None:
        raise Misuse("--demo asks no server: leave out --servers-from, or --demo")
    if options.servers_from == "":
        raise Misuse("--servers-from needs the name of a file")
    if options.servers_from == "-" and options.password_file == "-":  # noqa: S105
        raise Misuse("standard input cannot be --servers-from and --password-file: name a file")


def connection_to(options: Namespace, names: list[str]) -> tuple[Connection, list[Asked]]:
    """How those named and those in the file are asked, and which they are."""
    # Checked before a file is read that may be a terminal.
    connection = connect.Connection.of(options, names[0] if names else "localhost")
    asked = chosen(names, options.servers_from, options.port)
    # Each has its own port from here on.
    connection.server, connection.port = asked[0].address, None
    return connection, asked


def add_asked(parser: Parser) -> _ArgumentGroup:
    """Adds the group with what says which are asked, and how; a command may add to it."""
    group = parser.add_argument_group("Several servers")
    group.add_argument(
        "--servers-from",
        metavar="FILE",
        help="ask the servers named in FILE too, one a line; # begins a comment; - is stdin",
    )
    group.add_argument(
        "--jobs",
        metavar="N",
        type=whole_number(1, _MOST_JOBS),
        default=_JOBS,
        help=f"how many servers are asked at a time ({_JOBS})",
    )
    group.add_argument(
        "--keep-going",
        action="store_true",
        help="go on after 3 failed logons (they may lock the account)",
    )
    return group


def are_several(options: Namespace, names: list[str]) -> bool:
    """Whether what is asked is a scan; that of one server is one where --with-server is given."""
    return are_named(options, names) or bool(options.with_server)


def are_named(options: Namespace, names: list[str]) -> bool:
    """Whether several servers may be asked."""
    return len(names) > 1 or options.servers_from is not None


class Asked:
    """One server that is asked.

    Attributes:
        name: as it was given first (str); what the output calls it.
        host: its name or address without what was typed around it (str).
        address: as the library takes it (str), with the port that was given for it or for all.
    """

    def __init__(self, name: str, port: int | None) -> None:
        self.name = name
        self.host: str
        self.host, own_port = _names.parse_server(name)
        port = own_port or port
        self.address: str = name
        if port is not None:
            self.address = f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"
        # As machines are told apart: by address, or by name without regard to case.
        same = _names.address_key(self.host) or (_names.in_ascii(self.host) or self.host).lower()
        self.key: tuple[object, int] = (same, port or _SMB_PORT)


def chosen(names: Iterable[str], file: str | None, port: int | None) -> list[Asked]:
    """The servers to ask, each once, in the order in which they were given.

    ``names`` are those of the command line, ``file`` the value of --servers-from, ``port`` that of
    --port: it is for names without one. Raises Misuse or Stop for what is no server's name, for a
    file that cannot be read, and where no server is left.
    """
    asked: dict[object, Asked] = {}
    for name in names:
        if not name.strip("\\/ "):
            raise Misuse("SERVER must not be empty")  # an unset variable is not this machine
        _add(asked, name, port)
    if file is not None:
        for place, name in _names_in(file):
            _add(asked, name, port, place)
    if not asked:
        raise Misuse(f"there is no server's name in {_called(file or '')}")
    return list(asked.values())


def _add(asked: dict[object, Asked], name: str, port: int | None, place: str = "") -> None:
    try:
        with usage_errors():
            server = Asked(name, port)
    except Misuse as error:
        raise Misuse(f"{place}{error}") from None
    asked.setdefault(server.key, server)


def _called(file: str) -> str:
    return "standard input" if file == "-" else visible(file)


def _names_in(file: str) -> Iterator[tuple[str, str]]:
    """Where each name stands, for a message, and the name."""
    text = _text(_content(file), file).replace("\r\n", "\n").replace("\r", "\n")
    for number, line in enumerate(text.split("\n"), 1):
        # Files that were joined have the mark of each in the middle.
        name = line.partition("#")[0].strip(f"{_BOM} \t\v\f\xa0")
        if name:
            yield f"{_called(file)}, line {number}: ", name


def _content(file: str) -> bytes:
    try:
        if file != "-":
            with open(file, "rb") as stream:
                return _all_of(stream, file)
        if sys.stdin is None:
            raise Stop(USAGE, "there is no standard input to read the servers' names from")
        if sys.stdin.isatty():  # else nobody would know what it waits for
            tell("Names of servers, one a line; Ctrl-D (on Windows Ctrl-Z and Enter) ends them:")
        return _all_of(sys.stdin.buffer, file)
    except OSError as error:
        raise Stop(USAGE, f"cannot read {_called(file)}: {error.strerror or error}") from None
    except ValueError:
        raise Stop(USAGE, f"cannot read {_called(file)}: no file can have this name") from None


def _all_of(stream: BinaryIO, file: str) -> bytes:
    content = stream.read(_LONGEST_FILE + 1)
    if len(content) > _LONGEST_FILE:
        raise Stop(USAGE, f"{_called(file)} is too long for a list of servers")
    return content


def _text(content: bytes, file: str) -> str:
    """The text, in the encoding that its mark says; UTF-8 where it has none."""
    found = [encoding for mark, encoding in _ENCODINGS.items() if content.startswith(mark)]
    try:
        text = content.decode(*found[:1] or ["utf-8"])
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise Stop(
            USAGE, f"{_called(file)} is no text in UTF-8, or in UTF-16 with a byte order mark"
        )
    return text
