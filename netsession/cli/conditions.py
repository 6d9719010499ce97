"""Which sessions: ``--client``, ``--user``, and conditions on them."""

from __future__ import annotations

from .parser import Parser, duration, whole_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace, _ArgumentGroup
    from typing import Any

    from netsession import Where

_CONDITIONS = (
    "idle_for",
    "active_for",
    "no_opens",
    "min_opens",
    "exclude_machine_accounts",
    "exclude_self",
)
_MOST = 0xFFFFFFFF


def add_options(parser: Parser) -> _ArgumentGroup:
    """Adds the group; a command may add to it."""
    group = parser.add_argument_group("Selection")
    group.add_argument(
        "--client",
        metavar="CLIENT",
        action="append",
        help="sessions from this computer name or address; * and ? in it, or several times: any "
        "of these",
    )
    group.add_argument(
        "--user",
        metavar="USER",
        action="append",
        help="sessions of this user; likewise",
    )
    group.add_argument(
        "--idle-for", metavar="TIME", type=duration, help="idle at least so long: 8h, 2d, 90m, 30s"
    )
    group.add_argument(
        "--active-for", metavar="TIME", type=duration, help="connected at least so long"
    )
    group.add_argument("--no-opens", action="store_true", help="with nothing open")
    group.add_argument(
        "--min-opens",
        metavar="N",
        type=whole_number(0, _MOST),
        help="with at least N open files, devices and pipes",
    )
    group.add_argument(
        "--exclude-machine-accounts",
        action="store_true",
        help="no computers, whose accounts end in $",
    )
    return group


def add_exclude_self(group: _ArgumentGroup) -> None:
    """Adds ``--exclude-self`` to the group."""
    group.add_argument("--exclude-self", action="store_true", help="not your own session")


def are_given(options: Namespace) -> bool:
    """Whether more is said than one name of a user, one of a client, or both."""
    names = [*(options.client or ()), *(options.user or ())]
    several = len(options.client or ()) > 1 or len(options.user or ()) > 1
    return several or any(map(_is_wild, names)) or bool(_said(options))


def name_of(given: list[str] | None) -> str | None:
    """The one name that was given; None where none was."""
    return given[0] if given else None


def chosen(options: Namespace) -> tuple[str | None, str | None, Where | None]:
    """The same as where_of(), but no conditions where there are none to be said."""
    if are_given(options):
        return where_of(options)
    return name_of(options.client), name_of(options.user), None


def where_of(options: Namespace) -> tuple[str | None, str | None, Where]:
    """Client and user that are one name each, and all the rest as conditions.

    Raises ValueError naming the argument.
    """
    from netsession import where

    names: dict[str, Any] = {}
    plain: dict[str, str | None] = {"client": None, "user": None}
    for argument in plain:
        given = getattr(options, argument) or []
        if len(given) == 1 and not _is_wild(given[0]):
            plain[argument] = given[0]
        elif given:
            names[argument] = given
    return plain["client"], plain["user"], where(**names, **_said(options))


def _said(options: Namespace) -> dict[str, Any]:
    given = {name: getattr(options, name, None) for name in _CONDITIONS}
    return {
        name: value for name, value in given.items() if value is not None and value is not False
    }


def _is_wild(name: str) -> bool:
    return "*" in name or "?" in name
