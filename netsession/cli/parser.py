"""The grammar of the command line: argparse, strict and brief, and the types of its values."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys

from .exits import USAGE, Stop
from .standard import say
from .text import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    Commands = argparse._SubParsersAction["Parser"]

_DEMO_SESSIONS = 100
_LONGEST_QUOTE = 60
_WIDEST_HELP = 100


class Misuse(Exception):
    """Options that make no sense, alone or together; the message says why."""


class Parser(argparse.ArgumentParser):
    """A parser that takes options as they are documented and names wherever they stand.

    Names (SERVER, CLIENT, USER) are what is left when the options are gone. argparse's own
    positional arguments would not do: it takes those that may be missing for missing where an
    option comes first, and its releases differ on ``--``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            add_help=False, allow_abbrev=False, formatter_class=_HelpFormatter, **options
        )
        self.color = False  # which Python 3.14 has

    def error(self, message: str) -> NoReturn:
        """A usage error: one line that names the command and where its help is."""
        message = message.removeprefix("argument ").replace(": must be ", " must be ", 1)
        if "ignored explicit argument" in message:
            message = f"{message.partition(':')[0]} takes no value"
        if "expected one argument" in message:
            message += " (one that begins with - is given as --option=VALUE)"
        raise Stop(USAGE, f"{message.rstrip('.')}. See {self.prog} --help", by=self.prog)

    def _check_help(self, action: argparse.Action) -> None:
        """Nothing: what Python 3.14 checks here at each start, a test does once (--help)."""

    def print_help(self, file: object = None) -> None:
        """Writes it to standard output, or ends the command where that cannot be."""
        say(self.format_help())

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Ends the command, not the interpreter."""
        raise Stop(status, message or "")

    def parse(self, arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
        """The options, and the names that are left. What follows ``--`` is a name in any case."""
        end = arguments.index("--") if "--" in arguments else len(arguments)
        given = _with_sort_value(_with_demo_value(arguments[:end]))
        options, left = self.parse_known_args(given)
        parser: Parser = getattr(options, "parser", self)
        # Python before 3.13 takes --user=-- for nothing at all, also in a list of them.
        if any(
            value == [] or (isinstance(value, list) and [] in value)
            for value in vars(options).values()
        ):
            parser.error("the value of an option cannot be --")
        for argument in left:
            if argument.startswith("-") and argument != "-":
                parser.error(f"no such option: {_option(argument)}")
        return options, left + arguments[end + 1 :]


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str, **options: Any) -> None:
        # Given, since argparse would import shutil to find it, for every option there is.
        options["width"] = _help_width()
        if sys.version_info >= (3, 14):
            options["color"] = False  # text, also on a terminal; finding out takes an import
        super().__init__(prog, max_help_position=26, **options)


def _help_width() -> int:
    told = os.environ.get("COLUMNS", "")
    columns = int(told) if told.isascii() and told.isdigit() and len(told) < 9 else 0
    if not columns:
        try:
            columns = os.get_terminal_size(1).columns
        except OSError:
            columns = 80
    return max(min(columns or 80, _WIDEST_HELP) - 2, 40)


def _with_demo_value(arguments: list[str]) -> list[str]:
    """Gives ``--demo`` its number where it stands without one, which parsers cannot do safely.

    ``show --demo CLIENT USER`` must not take the client for the number.
    """
    given = list(arguments)
    for index, argument in enumerate(arguments):
        following = "".join(arguments[index + 1 : index + 2])
        if argument == "--demo" and not (following.isascii() and following.isdigit()):
            given[index] = f"--demo={_DEMO_SESSIONS}"
    return given


def _with_sort_value(arguments: list[str]) -> list[str]:
    """Joins ``--sort -idle,user``, whose value is no option: no option is so long with one dash."""
    given: list[str] = []
    for argument in arguments:
        is_value = len(argument) > 2 and argument[0] == "-" and argument[1:3].isalpha()
        if is_value and given[-1:] == ["--sort"]:
            given[-1] = f"--sort={argument}"
        else:
            given.append(argument)
    return given


def _option(argument: str) -> str:
    """The option without a value that is glued to it: that may be a password."""
    name = argument.partition("=")[0] if argument.startswith("--") else argument[:2]
    return quoted(name)


def quoted(text: str) -> str:
    """What somebody typed, for a message: harmless, and not longer than a line."""
    if len(text) > _LONGEST_QUOTE:
        text = text[:_LONGEST_QUOTE] + "..."
    return f"'{visible(text)}'"


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """A type: a number in ASCII digits."""

    def value(text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(
            f"must be a whole number from {least} to {most}, not {quoted(text)}"
        )

    return value


def seconds(text: str) -> float:
    """A type: a time that is more than nothing."""
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(
            f"must be a number of seconds, more than 0, not {quoted(text)}"
        )
    return value


_UNITS = (86_400, 3_600, 60, 1)
_TIME = re.compile("([0-9]{1,10}d)?([0-9]{1,10}h)?([0-9]{1,10}m)?([0-9]{1,10}s)?")
_LONGEST = 0xFFFFFFFE  # seconds: the longest time that a server can tell


def duration(text: str) -> int:
    """A type: a length of time such as ``2d``, ``8h30m``, ``90s`` or ``90``, in seconds."""
    match = _TIME.fullmatch(text + "s" if text.isdigit() else text)
    if match is not None and text:
        parts = zip(match.groups(), _UNITS, strict=True)
        value = sum(int(part[:-1]) * unit for part, unit in parts if part)
        if value <= _LONGEST:
            return value
    raise argparse.ArgumentTypeError(
        f"must be a time such as 2d, 8h30m, 90s or 90 (seconds), not {quoted(text)}"
    )


def one_of(*names: str) -> Callable[[str], str]:
    """A type: one of these words."""

    def value(text: str) -> str:
        if text in names:
            return text
        listed = ", ".join(names[:-1])
        raise argparse.ArgumentTypeError(f"must be {listed} or {names[-1]}, not {quoted(text)}")

    return value


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace, list[str]], int],
    *,
    does: str,
    names: str,
    more: str,
    examples: str,
) -> Parser:
    """A command's parser, with what all of them have; ``run`` takes the options and the names."""
    parser = commands.add_parser(
        name,
        help=does,
        usage=f"netsession {name} {names} [options]",
        description=f"{does}.\n\n{more}",
        epilog=f"Examples:\n{examples}",
    )
    parser.set_defaults(run=run, parser=parser)
    return parser


def add_general(parser: Parser, *, quiet: bool = False) -> None:
    """The options that have nothing to do with sessions; ``quiet`` for a command that can be."""
    group = parser.add_argument_group("Other")
    if quiet:
        group.add_argument(
            "-q", "--quiet", action="store_true", help="say nothing on stderr but what failed"
        )
    group.add_argument(
        "-v", "--verbose", action="store_true", help="show on stderr what is done; no secrets"
    )
    group.add_argument("-h", "--help", action="help", help="show this")


def only_server(names: list[str]) -> str | None:
    """SERVER, where it is all that may be named."""
    if len(names) > 1:
        raise Misuse(f"only one SERVER can be asked, not {quoted(names[1])} as well")
    return names[0] if names else None
