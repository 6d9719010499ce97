"""What a process is that was forked off a process with threads."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress

import pytest

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
_PATIENCE = 60  # seconds, a hang guard


def forked() -> int:
    """0 in a child that is killed where it hangs, the child's number in its parent."""
    with warnings.catch_warnings():
        # From 3.12 on CPython warns of a fork beside threads; 3.15 lets the warning be an error.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_PATIENCE)
    return child


def in_a_fork(work: Callable[[], object]) -> None:
    """There it must return something true, in time."""
    child = forked()
    if not child:
        with suppress(BaseException):
            os._exit(0 if work() else 1)
        os._exit(2)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, f"the child ended with {status}: 1 for false, 2 for an exception"
