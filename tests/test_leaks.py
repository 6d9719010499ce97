"""No public call leaves anything behind, and what does is seen (``leaks.py``).

Here a few rounds of each; ``make leaks`` does many.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import leaks
import netsession
import public_calls
from tracing import untraced

_ROUNDS = "4"
_PATHS = [Path(netsession.__file__).parents[1], Path(__file__).parent]
_HAS = {each.name for each in leaks.counters()}


@untraced  # of which coverage keeps what it has seen
@pytest.mark.parametrize("part", public_calls.PARTS)
def test_no_call_leaves_anything_behind(part: str) -> None:
    """In a process of its own, whose heap only these calls use."""
    if part != "core" and sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("without a GIL each thread has a heap, whose blocks come back late")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, _PATHS))}
    done = subprocess.run(
        [sys.executable, leaks.__file__, "--brief", "--rounds", _ROUNDS, part],
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if " 0 calls" in f" {done.stdout}":
        pytest.skip(f"this machine lacks what calls of {part} need")


# --- the control: what is left behind on purpose is seen ------------------------------------------

_kept: list[object] = []
_ended = threading.Event()


class _Referred:
    """Referred to once more each time."""


def _keep_an_object() -> None:
    _kept.append([len(_kept)])


def _count_a_reference() -> None:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(_Referred))


def _keep_memory_of_malloc() -> None:
    malloc = ctypes.CDLL(None).malloc
    malloc.restype = ctypes.c_void_p
    malloc(ctypes.c_size_t(2000))


def _keep_a_descriptor() -> None:
    os.dup(0)


def _keep_a_socket() -> None:
    socket.socket().detach()


def _keep_a_thread() -> None:
    threading.Thread(target=_ended.wait, daemon=True).start()


def _keep_much_memory() -> None:
    pages = mmap.mmap(-1, 100_000)  # of the system's: a heap may have room from before
    pages.write(bytes(100_000))
    _kept.append(pages)


@pytest.mark.parametrize(
    ("leaking", "counter"),
    [
        (_keep_an_object, "blocks"),
        (_count_a_reference, "references"),
        (_count_a_reference, "classes"),
        (_keep_memory_of_malloc, "malloc"),
        (_keep_much_memory, "memory"),
        (_keep_a_descriptor, "descriptors"),
        (_keep_a_socket, "sockets"),
        (_keep_a_thread, "threads"),
    ],
)
def test_what_is_left_behind_is_seen(
    leaking: Callable[[], None],
    counter: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if counter not in _HAS:
        pytest.skip(f"this interpreter or system counts no {counter}")
    monkeypatch.setattr(leaks, "_PATIENCE", 0.01)  # for a thread that never ends
    _ended.clear()
    operations = {"nothing": lambda: None, "the leak": leaking}
    try:
        assert leaks.report(operations, 5, only=[counter]) == ["the leak"]
    finally:
        _ended.set()
        _kept.clear()
    assert capsys.readouterr().out.splitlines()[-1].endswith("  LEAKS")


def test_debug_builds_count_references() -> None:
    assert ("references" in _HAS) == bool(sysconfig.get_config_var("Py_DEBUG"))
