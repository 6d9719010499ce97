"""A million sessions stream through little memory: one page at a time is held."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

from stand_in import StandIn

SESSIONS = 1_000_000
MIB = 1 << 20
LIMIT = 64 * MIB

_HERE = Path(__file__).resolve().parent


class _Counters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS of psapi.h."""

    _fields_ = (
        ("cb", ctypes.c_uint32),
        ("page_faults", ctypes.c_uint32),
        ("peak_working_set", ctypes.c_size_t),
        ("working_set", ctypes.c_size_t),
        *((f"other{number}", ctypes.c_size_t) for number in range(6)),
    )


def working_set() -> tuple[int, int]:
    """The working set of this process now and at its peak, bytes (GetProcessMemoryInfo)."""
    kernel32 = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined, unused-ignore]
    kernel32.GetCurrentProcess.restype = ctypes.c_void_p
    counters = _Counters(cb=ctypes.sizeof(_Counters))
    process = ctypes.c_void_p(kernel32.GetCurrentProcess())
    assert kernel32.K32GetProcessMemoryInfo(process, ctypes.byref(counters), counters.cb)
    return int(counters.working_set), int(counters.peak_working_set)


def stream() -> None:
    """In a process of its own: check every record, print their number and the growth."""
    import netsession
    from made_up import session
    from stand_in import load

    library = load()
    assert library is not None
    library.reset(SESSIONS)
    server = netsession.Server()
    next(iter(server.sessions(level=0, page_bytes=4096)))  # what loads on first use is loaded
    before, _ = working_set()
    right = count = 0
    for record in server.sessions(level=502, page_bytes=MIB):
        right += record == session(count)
        count += 1
    print(count, right, working_set()[1] - before, library.outstanding)


def hold() -> None:
    """The control: memory that is really used does show."""
    before, _ = working_set()
    held = bytearray(os.urandom(MIB)) * 96
    print(len(held), working_set()[1] - before)


def _in_a_process_of_its_own(function: str) -> list[int]:
    paths = [str(_HERE), str(_HERE.parent)]
    code = f"import sys; sys.path[:0] = {paths!r}; import test_memory; test_memory.{function}()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return [int(number) for number in done.stdout.split()]


def test_the_measure_sees_memory_in_use() -> None:
    held, growth = _in_a_process_of_its_own("hold")
    assert held == 96 * MIB
    assert growth > 90 * MIB


def test_a_million_sessions_stream_through_little_memory(
    netapi32: StandIn, record_testsuite_property: object
) -> None:
    count, right, growth, outstanding = _in_a_process_of_its_own("stream")
    assert (count, right, outstanding) == (SESSIONS, SESSIONS, 0)
    print(f"{count} records, all right; peak working set {growth / MIB:.1f} MiB above the start")
    record_testsuite_property("million_growth_mib", f"{growth / MIB:.1f}")  # type: ignore[operator]
    assert growth < LIMIT
