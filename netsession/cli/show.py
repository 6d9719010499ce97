"""``netsession show``: one session (NetSessionGetInfo)."""

from __future__ import annotations

from . import connect, output, selection
from .exits import DONE
from .parser import Misuse, add_command, add_general
from .sink import opened
from .table import write_card
from .wording import usage_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from .parser import Commands

_FORMATS = (output.TABLE, output.JSON, output.JSONL, output.CSV)


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = add_command(
        commands,
        "show",
        run,
        does="Show one session of a user from a client",
        names="[SERVER] CLIENT USER",
        more="CLIENT is a computer name or address, USER a user, as netsession list has them.\n"
        "SERVER may be left out on Windows (this machine) and with --demo.",
        examples="""\
  netsession show fs01 WS17 alice
  netsession show fs02 2001:db8::5 dave --format json
  netsession show fs01 WS17 alice --auth-user 'CORP\\admin'""",
    )
    connect.add_options(parser)
    selection.add_level(parser.add_argument_group("Selection"))
    output.add_options(parser, _FORMATS)
    add_general(parser, quiet=True)


def run(options: Namespace, names: list[str]) -> int:
    """Prints the session and returns the exit code."""
    server_may_be_missing = options.demo is not None or connect.HAS_LOCAL_MACHINE
    if len(names) not in ((2, 3) if server_may_be_missing else (3,)):
        raise Misuse(_what_is_missing(names, server_may_be_missing))
    connection = connect.Connection.of(options, names[0] if len(names) == 3 else None)
    client, user = names[-2:]
    for what, name in (("CLIENT", client), ("USER", user)):
        if not name:  # the library would say to leave it out
            raise Misuse(f"{what} must not be empty")
    chosen = output.choose(options.format, None)
    level = selection.level_of(options.level)
    selection.check(connection, client=client, user=user, client_is="CLIENT", user_is="USER")
    with connection.open() as server, usage_errors(client="CLIENT", user="USER"):
        record = server.session(client, user, level=level)
    with opened(None) as sink:
        if chosen == output.TABLE:
            write_card(record, sink)
        else:
            output.writer_of(chosen)([[record]], sink)
    return DONE


def _what_is_missing(names: list[str], server_may_be_missing: bool) -> str:
    wanted = ["CLIENT", "USER"] if server_may_be_missing else ["SERVER", "CLIENT", "USER"]
    takes = "it takes SERVER CLIENT USER"
    missing = wanted[len(names) :]
    if not missing:
        return f"{takes}, not {len(names)} names"
    return f"{takes}: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
