"""The command line as a whole: which command, what its end means."""

from __future__ import annotations

import os
from importlib import import_module

from netsession._version import __version__
from netsession.errors import LogonFailed, MissingDependency, NetApiError

from .exits import DONE, USAGE, Stop
from .parser import Misuse, Parser, quoted
from .standard import hush, say
from .wording import stop_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable

_COMMANDS = ("list", "show", "watch", "delete")  # each is a module here


def run(arguments: list[str]) -> int:
    """Parses the arguments, does what they say and returns the exit code."""
    if "_ARGCOMPLETE" in os.environ:
        _complete()
    # Only the command that is wanted is imported.
    wanted = arguments[:1] if arguments[:1] and arguments[0] in _COMMANDS else _COMMANDS
    parser = _parser(wanted)
    if not arguments:
        say(parser.format_help())
        return USAGE
    named = [each for each in arguments if each == "-" or not each.startswith("-")][:1]
    if named and named[0] not in _COMMANDS:
        parser.error(f"there is no command {quoted(named[0])}: it is list, show, watch or delete")
    options, names = parser.parse(arguments)
    if options.version:
        say(f"netsession {__version__}\n")
        return DONE
    if options.command is None:
        parser.error("name a command: list, show, watch or delete")
    return _run(options, names)


def _parser(commands: Iterable[str]) -> Parser:
    parser = Parser(
        prog="netsession",
        usage="netsession COMMAND [options]",
        description="See, inspect and end the SMB sessions of file servers.",
        epilog="Exit codes: 0 done, 1 refused by the server, 2 usage, 3 unreachable or too late,\n"
        "4 some of several servers failed.\n"
        "netsession COMMAND --help has a command's options and examples.",
    )
    # prog is given, since argparse would format a usage to find it.
    group = parser.add_subparsers(
        title="Commands", dest="command", metavar="COMMAND", prog="netsession", parser_class=Parser
    )
    for name in commands:
        import_module(f".{name}", __package__).add_parser(group)
    other = parser.add_argument_group("Other")
    other.add_argument("--version", action="store_true", help="show the version")
    other.add_argument("-h", "--help", action="help", help="show this")
    return parser


def _run(options: Namespace, names: list[str]) -> int:
    hush(getattr(options, "quiet", False))
    if not options.verbose:
        return _answer(options, names)
    from .log import shown  # which imports logging

    with shown():
        return _answer(options, names)


def _answer(options: Namespace, names: list[str]) -> int:
    try:
        code: int = options.run(options, names)
    except Misuse as error:
        options.parser.error(str(error))
    except NetApiError as error:
        stop = stop_for(error)
        if isinstance(error, LogonFailed):
            stop.message += _whose(options)
        raise stop from None
    except MissingDependency as error:
        raise Stop(USAGE, str(error)) from None
    return code


def _whose(options: Namespace) -> str:
    """What to say of a failed logon where a user was given for another purpose."""
    if getattr(options, "user", None) is None or options.auth_user is not None:
        return ""
    return " (--user says whose sessions are meant; to log on as somebody, give --auth-user)"


def _complete() -> None:
    """Answers a shell that completes the command line (argcomplete), and ends there."""
    try:
        import argcomplete  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ModuleNotFoundError:
        raise Stop(USAGE) from None  # nothing to offer; a message would land in the line
    argcomplete.autocomplete(_parser(_COMMANDS), always_complete_options="long")
