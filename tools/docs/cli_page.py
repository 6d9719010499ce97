"""docs/cli-reference.md, from the parser of the command. Run by generate.py."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from netsession.cli.application import _COMMANDS, _parser
from netsession.cli.parser import Parser

_HEAD = """\
# Command reference

<!-- Made by tools/docs/generate.py from the command's own parser: change that, not this. -->

What `netsession COMMAND --help` says, made from the same parser. What it means, formats and exit
codes are in [cli.md](cli.md).
"""


def page() -> str:
    """The page."""
    whole = _parser(_COMMANDS)
    (commands,) = (
        action for action in whole._actions if isinstance(action, argparse._SubParsersAction)
    )
    lines = [_HEAD, *_command("netsession", whole)]
    for name in _COMMANDS:
        lines += _command(f"netsession {name}", commands.choices[name])
    return "\n".join(lines).rstrip() + "\n"


def _command(title: str, parser: Parser) -> Iterator[str]:
    yield f"## {title}\n"
    yield f"<!-- not run: what a command line is made of -->\n```text\n{parser.usage}\n```\n"
    yield f"{_marked_up(parser.description or '')}\n"
    for group in parser._action_groups:
        rows = [
            row
            for action in group._group_actions
            for row in (
                _commands(action)
                if isinstance(action, argparse._SubParsersAction)
                else [_option(action)]
            )
        ]
        if rows:
            yield f"| {group.title} | |\n|---|---|"
            yield "\n".join(rows) + "\n"
    examples, colon, text = (parser.epilog or "").partition(":\n")
    if colon and examples == "Examples":
        commands = re.sub(r"^ +", "$ ", text, flags=re.MULTILINE)
        yield f"```console\n{commands}\n```\n"
    elif parser.epilog:
        yield f"{_marked_up(parser.epilog)}\n"


def _commands(action: argparse._SubParsersAction[Parser]) -> Iterator[str]:
    for choice in action._choices_actions:
        yield f"| [`{choice.dest}`](#netsession-{choice.dest}) | {_cell(choice.help)} |"


def _option(action: argparse.Action) -> str:
    """A row. The value stands behind the last of an option's names."""
    names = [f"`{name}`" for name in action.option_strings]
    if action.nargs != 0:
        names[-1] = f"`{action.option_strings[-1]} {action.metavar}`"
    return f"| {', '.join(names)} | {_cell(action.help)} |"


def _cell(text: str | None) -> str:
    return _marked_up(text or "").replace("|", "\\|")


def _marked_up(text: str) -> str:
    """Names of options, files' ends and values as code, so that nothing of them is markup."""
    return re.sub(
        r"(?<![\w`])(--[a-z-]+|[A-Z]+\\[a-z]+|\$[A-Z_]+|-idle,user|[*?](?= ))", r"`\1`", text
    )
