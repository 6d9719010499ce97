"""Servers of ../servers, each in a process of its own for as long as it is needed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import environments
from .environments import BENCHMARKS, MissingError


@contextmanager
def server(script: str, *arguments: object) -> Iterator[dict[str, Any]]:
    """A server of ../servers in a process of its own; gives where it is, and its "pid"."""
    command: environments.Command = [
        environments.netsession(),
        BENCHMARKS / "servers" / script,
        *map(str, arguments),
    ]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise MissingError(f"{script} does not start: {process.communicate()[1][-1000:]}")
        yield json.loads(line) | {"pid": process.pid}
    finally:
        process.communicate()  # the end of its standard input tells it to end
