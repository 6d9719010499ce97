"""Arguments and options that several commands have."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated

import typer

_SERVER = "The server"


class Format(StrEnum):
    """How sessions are printed."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def _positive(value: float) -> float:
    if not (value > 0 and math.isfinite(value)):
        raise typer.BadParameter("must be more than 0 seconds")
    return value


Server = Annotated[
    str | None,
    typer.Argument(
        metavar="[SERVER]", show_default=False, help="Its name or address. On Windows: this machine"
    ),
]
Port = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Port to ask over SMB (445).", metavar="PORT")
]
Level = Annotated[
    int | None,
    typer.Option(help="Information level: 0, 1, 2, 10 or 502. Default: the richest granted."),
]
Client = Annotated[
    str | None,
    typer.Option(help="Sessions from this computer name or address.", metavar="CLIENT"),
]
User = Annotated[str | None, typer.Option(help="Sessions of this user.", metavar="USER")]
AuthUser = Annotated[
    str | None,
    typer.Option(
        metavar="USER",
        help="Ask as DOMAIN\\user or user@realm. Password: NETSESSION_PASSWORD, --password-file "
        "or a prompt. Default: your own ticket or logon.",
    ),
]
PasswordFile = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="File whose first line is the password."),
]
Encrypt = Annotated[bool, typer.Option("--encrypt", help="Demand SMB encryption.")]
Timeout = Annotated[
    float,
    typer.Option(
        metavar="SECONDS", callback=_positive, help="Time for one call over SMB, in seconds."
    ),
]
Demo = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=100_000_000,
        metavar="[N]",
        help="Ask no server but a simulated one with N sessions (100 without N).",
    ),
]
