"""Each allocation of a public call fails in turn: it ends in MemoryError or as it should, and what
follows works.

The core's operations are in ``test_interpreters.py``; here is what is made of them in Python. All
memory at once is never taken away for long: CPython itself then goes round in circles, since it
needs some to leave an ``except`` clause.
"""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from functools import partial

import pytest

from fresh_python import output_of
from tracing import untraced


def _why_not() -> str:
    if importlib.util.find_spec("_testcapi") is None:
        return "no _testcapi in this Python (Debian: libpython3-testsuite)"
    if sysconfig.get_config_var("Py_GIL_DISABLED") or sys.version_info >= (3, 12):
        return "CPython 3.12 and later may crash themselves where a function cannot be made"
    if sysconfig.get_config_var("Py_DEBUG"):
        return "a debug build aborts where CPython loses an exception"
    return ""


pytestmark = pytest.mark.skipif(bool(_why_not()), reason=_why_not())

_ATTEMPT = """
import faulthandler, pickle, sys
import _testcapi
import arrow_consumer as consumer
from netsession import NetApiError, scan, where
from netsession._simulator import Simulator
from netsession.testing import SimulatedServer, simulated_fleet, simulated_server

def drained(source):
    stream = consumer.content(consumer.ArrowArrayStream, source.__arrow_c_stream__())
    return sum(batch.length for batch in consumer.drain(stream))

def is_for_want_of_memory(error):
    # MemoryError as ctypes, Arrow, pickle, _thread and the scan tell it, and CPython's own loss of
    # an exception where the frame of its traceback cannot be had.
    text = f"{type(error).__name__}: {error}"
    return isinstance(error, MemoryError) or any(
        part in text
        for part in ("MemoryError", "without exception set", "without setting an exception",
                     "PicklingError: Can't pickle", "can't allocate lock",
                     "ERROR_NOT_ENOUGH_MEMORY")
    )

def attempt(operation, expected, first, end):
    # Whether it did what it should although these allocations failed.
    faulthandler.dump_traceback_later(120, exit=True)
    try:
        _testcapi.set_nomemory(first, end)
        try:
            got = operation()
        finally:
            _testcapi.remove_mem_hooks()
    except BaseException as error:
        if not is_for_want_of_memory(error):
            raise
        return False
    finally:
        faulthandler.cancel_dump_traceback_later()
    assert got == expected, got
    return True
"""

_CALLS = """
server = SimulatedServer(Simulator(70, 40))
conditions = where(user="a*", idle_for=1, exclude_machine_accounts=True)
report = next(iter(scan(simulated_fleet(1, sessions=5))))

def listing():
    return len(list(server.sessions(where=conditions)))

def columns():
    return drained(server.sessions())

def plan():
    return len(server.plan_delete(client="10.0.0.0", user="alice.0").targets)

def made_conditions():
    return where(user=("a", "b*"), client="10.0.0.1", min_opens=2) is not None

def watch():
    watched = simulated_server(3)
    with watched.watch(every=1000) as watch:
        watch.poll()
        watched.connect_session("C", "U")
        opened = len(watch.poll())
        watched.end_session("C", "U")
        return opened, len(watch.poll())

def pickled_report():
    return pickle.loads(pickle.dumps(report)) == report

def kept_sessions():
    kept = report.sessions
    return len(kept[1:]), kept[0] in kept, kept.count(kept[1]), drained(kept)

operation = globals()[sys.argv[1]]
for _ in range(3):
    expected = operation()
total = next(n for n in range(100_000) if attempt(operation, expected, n, n + 50))
for n in range(total + 50):
    attempt(operation, expected, n, n + 1)
assert operation() == expected
assert server._backend is not None
print(total)
"""

_SCAN = """
simulators = [Simulator(3) for _ in range(2)]
servers = [SimulatedServer(each, f"s{number}") for number, each in enumerate(simulators)]
query = scan(servers, timeout=None)

def operation():
    if sys.argv[1] == "Arrow":
        try:
            return drained(query)
        except OSError as error:  # ScanIncomplete, which only names the classes
            if not query.failures:
                raise
            raise query.failures[0].error from None
    found = list(query)
    # A server whose thread had no memory is a report of that.
    errors = [report.error for report in found if report.error is not None]
    assert len(found) == 2 and all(map(is_for_want_of_memory, errors)), errors
    return 6

for _ in range(3):
    expected = operation()
failed = sum(not attempt(operation, expected, n, n + 1) for n in range(0, 600, 3))
assert operation() == expected
# Not that every buffer has come back: CPython 3.11 loses references of Python code's own objects.
assert sum(each.bad_frees for each in simulators) == 0
print(failed)
"""


_run = partial(output_of, timeout=900)


@pytest.mark.parametrize(
    "name",
    [
        *("listing", "columns", "plan", "made_conditions", "watch", "pickled_report"),
        "kept_sessions",
    ],
)
def test_calls(name: str) -> None:
    assert int(_run(_ATTEMPT + _CALLS, name)) > 50


@untraced  # coverage.py's own C crashes where an allocation of its fails
@pytest.mark.parametrize("way", ["reports", "Arrow"])
def test_scans(way: str) -> None:
    """Its threads run out of memory too, wherever they are: none is waited for in vain."""
    assert int(_run(_ATTEMPT + _SCAN, way)) > 50
