"""pytest in a process that is forked from one that has imported it: half of a short run."""

from __future__ import annotations

import asyncio  # noqa: F401
import ctypes
import importlib
import ipaddress  # noqa: F401
import os
import resource
import signal
import subprocess  # noqa: F401
import sys
from pathlib import Path

import _pytest.config
import pytest

for _name in _pytest.config.default_plugins:
    importlib.import_module(f"_pytest.{_name}")

MEMORY = 16 << 30  #: address space of the tests, which something gone wrong may ask for
_PR_SET_PDEATHSIG = 1
OPTIONS = ("-x", "-v", "-p", "no:cacheprovider", "-p", "_netsession_pytestplugin", "--tb=line")


def run(root: Path, tests: list[str], environment: dict[str, str], log: Path, most: int) -> None:
    """Ends this process, the first of a group of its own, with pytest's exit status.

    What takes more than so many seconds of its processor is taken to run in circles.
    """
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # ends with the run
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (most, most + 5))
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(root / "tests")
    os.environ.update(environment)
    os.environ["PYTHONPATH"] = str(root)
    # No plugins of others: importing them is most of what a short run would take.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # Compiled and rewritten once for all mutants.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    sys.path[:] = ["", str(root), *(p for p in sys.path if p != str(Path(__file__).parent))]
    sys.argv = ["pytest"]
    status = int(pytest.main([*OPTIONS, *tests]))
    sys.stdout.flush()
    os._exit(status)
