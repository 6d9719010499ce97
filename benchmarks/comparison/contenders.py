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
_FAREWELL = 30.0  # seconds
BEFORE = "netsession, with the LM hash"
SMBPROTOCOL = "smbprotocol"
SCAN = "scan"
DASK = "scan on Dask"
FREE_THREADED = "scan, free-threaded"
WITH_GIL = "scan, the same interpreter with its GIL"

#: The script, the Python of its environment, and options of that.
_SCRIPTS: dict[str, tuple[str, Callable[[], Path], tuple[str, ...]]] = {
    NETSESSION: ("netsession_peer.py", environments.netsession, ()),
    COLUMNS: ("netsession_columns_peer.py", environments.netsession, ()),
    SAMBA: ("samba_peer.py", environments.samba, ()),
    IMPACKET: ("impacket_peer.py", lambda: environments.peer("impacket"), ()),
    AIOSMB: ("aiosmb_peer.py", lambda: environments.peer("aiosmb"), ()),
    BEFORE: ("netsession_before_peer.py", environments.netsession, ()),
    SMBPROTOCOL: ("smbprotocol_peer.py", environments.netsession, ()),
    SCAN: ("netsession_scan_peer.py", environments.netsession, ()),
    DASK: ("netsession_scan_peer.py", environments.with_dask, ()),
    FREE_THREADED: ("netsession_scan_peer.py", environments.free_threaded, ()),
    WITH_GIL: ("netsession_scan_peer.py", environments.free_threaded, ("-X", "gil=1")),
}


class Contender:
    """One contender's process. A context manager."""

    def __init__(self, name: str) -> None:
        script, python, options = _SCRIPTS[name]
        self.name = name
        self._process = subprocess.Popen(
            [python(), *options, BENCHMARKS / "contenders" / script],
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
        """Ends the process, and gives it the time to end those that it has started. Idempotent."""
        if self._process.poll() is not None:
            return
        try:
            self._process.communicate(timeout=_FAREWELL)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
