"""Contenders as processes: each serves requests in the interpreter of its own environment."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import environments
from .environments import BENCHMARKS, MissingError

NETSESSION = "netsession"
COLUMNS = "netsession columns"
SAMBA = "Samba's bindings"
IMPACKET = "impacket"
AIOSMB = "aiosmb"

_SCRIPTS: dict[str, tuple[str, Callable[[], Path]]] = {
    NETSESSION: ("netsession_peer.py", environments.netsession),
    COLUMNS: ("netsession_columns_peer.py", environments.netsession),
    SAMBA: ("samba_peer.py", environments.samba),
    IMPACKET: ("impacket_peer.py", lambda: environments.peer("impacket")),
    AIOSMB: ("aiosmb_peer.py", lambda: environments.peer("aiosmb")),
}


class Contender:
    """One contender's process. A context manager."""

    def __init__(self, name: str) -> None:
        script, python = _SCRIPTS[name]
        self.name = name
        self._process = subprocess.Popen(
            [python(), BENCHMARKS / "contenders" / script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, do: str, **arguments: Any) -> Any:
        """The answer to one request; MissingError where the contender cannot give it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self._process.stdout.readline()
        if not line:
            self._process.kill()
            raise MissingError(f"{self.name} ended in {do}: {self._process.communicate()[1]}")
        answer = json.loads(line)
        if "error" in answer:
            raise MissingError(f"{self.name} failed in {do}: {answer['error']}")
        return answer["answer"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process. Idempotent."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
