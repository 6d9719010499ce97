"""Scripts in a Python of their own: a crash there is a failed test, not the end of all tests."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import netsession

_PATHS = [Path(netsession.__file__).parents[1], Path(__file__).parent]


def output_of(script: str, *arguments: str, timeout: float = 600, **variables: str) -> str:
    """What a script prints in a new interpreter like this one; ``timeout`` is in seconds."""
    environment = os.environ | variables
    environment["PYTHONPATH"] = os.pathsep.join(map(str, _PATHS))
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(script), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout
