"""The command line as typer knows it: parsed here, done in list, show and delete."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from netsession._version import __version__
from netsession.errors import MissingDependency, NetApiError

from . import delete as delete_command
from . import list as list_command
from . import options
from . import show as show_command
from .connect import Connection
from .exits import DONE, USAGE, Stop
from .options import Format
from .wording import stop_for

Job = Callable[[], int]

_DEMO_SESSIONS = 100
# The parser's errors, which typer has from click or brings itself, depending on its version.
_PARSE_ERROR: type[typer.BadParameter] = typer.BadParameter.__mro__[2]

# No rich tracebacks: those print local variables, a password among them.
app = typer.Typer(
    name="netsession",
    help="See, inspect and end the SMB sessions of file servers.",
    epilog="Exit codes: 0 done, 1 refused by the server, 2 usage, 3 unreachable or timed out.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(arguments: list[str]) -> int:
    """Parses the arguments, does what they say and returns the exit code."""
    try:
        job = _parse(arguments or ["--help"])
        code = job() if callable(job) else job
    except NetApiError as error:
        raise stop_for(error) from None
    except MissingDependency as error:
        raise Stop(USAGE, str(error)) from None
    return code if arguments else USAGE


def _parse(arguments: list[str]) -> Job | int:
    """What is to be done, or an exit code where typer has done it (--help).

    It is done outside of typer, which has its own ideas about Ctrl-C and broken pipes.
    """
    command = typer.main.get_command(app)
    try:
        job: Job | int | None = command.main(
            _with_demo_value(arguments), prog_name="netsession", standalone_mode=False
        )
    except typer.Abort:
        raise KeyboardInterrupt from None
    except _PARSE_ERROR as error:
        text = " ".join(error.format_message().split())
        raise Stop(USAGE, f"{text.rstrip('.')}. See netsession --help") from None
    return job or DONE


def _with_demo_value(arguments: list[str]) -> list[str]:
    """Gives ``--demo`` its number where it stands without one, which parsers cannot do safely.

    ``show --demo CLIENT USER`` must not take the client for the number.
    """
    given = list(arguments)
    end = given.index("--") if "--" in given else len(given)
    for index, argument in enumerate(given[:end]):
        following = given[index + 1] if index + 1 < end else ""
        if argument == "--demo" and not (following.isascii() and following.isdigit()):
            given[index] = f"--demo={_DEMO_SESSIONS}"
    return given


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"netsession {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    pass


@app.command("list")
def _list(
    server: options.Server = None,
    port: options.Port = None,
    level: options.Level = None,
    client: options.Client = None,
    user: options.User = None,
    output_format: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write here; complete or not at all."),
    ] = None,
    auth_user: options.AuthUser = None,
    password_file: options.PasswordFile = None,
    encrypt: options.Encrypt = False,
    timeout: options.Timeout = 60.0,
    page_bytes: Annotated[
        int | None,
        typer.Option(
            min=1, max=0xFFFFFFFF, help="Preferred length of one reply. Default: all at once."
        ),
    ] = None,
    demo: options.Demo = None,
) -> Job:
    """List the sessions of a server."""
    connection = Connection(server, port, auth_user, password_file, encrypt, timeout, demo)
    return partial(
        list_command.run,
        connection,
        level=level,
        client=client,
        user=user,
        page_bytes=page_bytes,
        output_format=output_format,
        output=output,
    )


@app.command("show")
def _show(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="SERVER CLIENT USER",
            show_default=False,
            help="Without SERVER: this machine (Windows), or --demo.",
        ),
    ],
    port: options.Port = None,
    level: options.Level = None,
    output_format: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
    auth_user: options.AuthUser = None,
    password_file: options.PasswordFile = None,
    encrypt: options.Encrypt = False,
    timeout: options.Timeout = 60.0,
    demo: options.Demo = None,
) -> Job:
    """Show one session of a user from a client."""
    if len(names) not in (2, 3):
        raise Stop(USAGE, f"show takes SERVER CLIENT USER, not {len(names)} names")
    server = names[0] if len(names) == 3 else None
    connection = Connection(server, port, auth_user, password_file, encrypt, timeout, demo)
    client, user = names[-2:]
    return partial(
        show_command.run, connection, client, user, level=level, output_format=output_format
    )


@app.command("delete")
def _delete(
    server: options.Server = None,
    client: options.Client = None,
    user: options.User = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be ended.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="List again afterwards; fail if any is left.")
    ] = False,
    port: options.Port = None,
    auth_user: options.AuthUser = None,
    password_file: options.PasswordFile = None,
    encrypt: options.Encrypt = False,
    timeout: options.Timeout = 60.0,
    demo: options.Demo = None,
) -> Job:
    """End sessions: those from a client, of a user, or of a user from a client."""
    connection = Connection(server, port, auth_user, password_file, encrypt, timeout, demo)
    choice = delete_command.Choice(client, user, yes, dry_run, verify)
    return partial(delete_command.run, connection, choice)
