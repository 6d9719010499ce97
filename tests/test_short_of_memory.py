"""Each C allocation of the core fails in turn: MemoryError, and nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import failing_malloc
from netsession import _netsession

_OPERATIONS = """
import struct
import core_operations
from netsession import NetApiError, _netsession
from netsession._simulator import Simulator

bench = core_operations.Bench()
page = bench.page
none = None
some = _netsession.SessionFilter((), bench.users[1:], (), (), none, none, none, none, False)
strings = [(str(i) * 40, str(i) * 40, 1, 2) for i in range(5)]
# Two sessions, of which the second's name has no terminator.
string = struct.pack("<III4s", 2, 0, 2, b"A\\0\\0\\0")
broken = struct.pack("<6I2I", 0, 0, 1, 2, 1, 2, 1, 1) + string + string[:-2] + b"A\\0"

def decode_broken():
    try:
        _netsession.decode_enum_response(broken)
    except ValueError:
        pass

def simulate():
    simulator = Simulator(3, 2)
    simulator.add("c" * 40, "u" * 40, 1, 2, 3, 4, "", none)
    assert simulator.change(r"\\\\10.0.0.0", "alice.0", 1, none, none, none) == 1
    assert simulator.end("c" * 40, "u" * 40) == 1
    list(_netsession.SessionCursor(simulator.netapi, none, none, none, 502, 0xFFFFFFFF))
    _netsession.session_get_info(simulator.netapi, none, r"\\\\10.0.0.0", "alice.0", 1)

def delete():
    simulator = Simulator(3)
    _netsession.session_del(simulator.netapi, none, r"\\\\10.0.0.0", none)

OPERATIONS = {
    "slice": lambda: page[::2],
    "filter": lambda: page.filter(bool),
    "select": lambda: page.filter(some),
    "as_level": lambda: page.as_level(1),
    "decode": lambda: _netsession.decode_enum_response(core_operations.REPLY),
    "decode broken": decode_broken,
    "load": lambda: _netsession.page_from_records(10, strings, 0, none, False),
    "array": lambda: page.__arrow_c_array__(),
    "array with too much text": lambda: _netsession.arrow_array(page, 50),
    "stream": lambda: page.__arrow_c_stream__(),
    "simulate": simulate,
    "delete": delete,
}

FOREVER = 1 << 60

def attempt(operation, first, last):
    # Whether it did what it should; and how many allocations it asked for.
    arm(first, last)
    try:
        operation()
    except MemoryError:
        return False, disarm()
    except NetApiError as error:
        asked = disarm()
        assert error.status == 8, error  # ERROR_NOT_ENOUGH_MEMORY, as the simulator says it
        return False, asked
    return True, disarm()

for name, operation in OPERATIONS.items():
    assert attempt(operation, FOREVER, FOREVER)[0]
    first, failed, asked = 0, 0, FOREVER
    while first < asked:
        for last in (FOREVER, first):
            whole, asked = attempt(operation, first, last)
            assert live() == 0, (name, first, last, live())
            failed += not whole
        first += 1
    print(name, asked, failed, sep=",")
"""


def test_c_allocations_that_fail(failing_library: str) -> None:
    paths = [Path(_netsession.__file__).parents[1], Path(__file__).parent]
    environment = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "LD_PRELOAD": failing_library}
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", failing_malloc.SCRIPT + _OPERATIONS,
         failing_library],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    told = {}
    for line in done.stdout.splitlines():
        name, asked, failed = line.split(",")
        told[name] = int(asked), int(failed)
    assert len(told) == 12
    for name, (asked, failed) in told.items():
        assert asked > 0, name
        assert failed > 0, name
