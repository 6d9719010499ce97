"""Objects are shown to the collector, and so to anybody, only when they are whole."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import core_operations
from netsession import SessionPage, _netsession
from netsession._simulator import Simulator

_OURS = (_netsession.SessionCursor, SessionPage, type(iter(core_operations.Bench().page)))


def use(found: Any) -> None:
    """What anybody does with what they find. Half an object crashes the interpreter here."""
    repr(found)
    sys.getsizeof(found)
    gc.get_referents(found)
    if isinstance(found, SessionPage):
        assert found.level in core_operations.LEVELS
        assert len(list(found)) == len(found)
        assert found.total_entries >= 0
        found.as_dicts()
    elif isinstance(found, _netsession.SessionCursor):
        assert found.level in core_operations.LEVELS
        assert iter(found) is found
    else:
        assert found.__length_hint__() >= 0


def found_now() -> list[Any]:
    return [each for each in gc.get_objects() if type(each) in _OURS]


class Looks:
    """A number that looks at every object there is before it tells itself."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.looked = 0
        self.before = {id(each) for each in found_now()}

    def __index__(self) -> int:
        self.looked += 1
        new = [each for each in found_now() if id(each) not in self.before]
        for each in new:
            use(each)
            if isinstance(each, _netsession.SessionCursor):
                list(each)
        assert not new
        return self.number


@pytest.fixture
def page() -> SessionPage:
    return core_operations.Bench().page


def _cursor(level: Any, length: Any) -> Any:
    return _netsession.SessionCursor(Simulator(5).netapi, None, None, None, level, length)


CALLS: dict[str, Callable[[Looks, SessionPage], object]] = {
    "cursor level": lambda looks, page: _cursor(looks, 0xFFFFFFFF),
    "cursor length": lambda looks, page: _cursor(10, looks),
    "as_level": lambda looks, page: page.as_level(looks),
    "index": lambda looks, page: page[looks],
    "slice": lambda looks, page: page[looks:],
    "find": lambda looks, page: page.index(page[10], looks),
    "get info": lambda looks, page: _netsession.session_get_info(
        Simulator(5).netapi, None, "\\\\10.0.0.2", "user2", looks
    ),
    "rebuild level": lambda looks, page: _netsession.page_from_records(looks, (), 0, None, False),
    "rebuild total": lambda looks, page: _netsession.page_from_records(10, (), looks, 1, False),
    "rebuild handle": lambda looks, page: _netsession.page_from_records(10, (), 1, looks, False),
    "rebuild record": lambda looks, page: _netsession.page_from_records(
        10, [("a", "b", looks, 1)] * 3, 1, None, False
    ),
    "simulator": lambda looks, page: Simulator(looks, looks),
}


@pytest.mark.parametrize("call", CALLS)
def test_an_argument_that_looks(page: SessionPage, call: str) -> None:
    looks = Looks(10)
    try:
        CALLS[call](looks, page)
    except OSError:
        assert call == "get info"  # which asks for a session that is not there
    assert looks.looked >= 1


def test_a_predicate_that_looks(page: SessionPage) -> None:
    before = {id(each) for each in found_now()}
    seen: list[int] = []

    def predicate(record: object) -> bool:
        seen.extend(id(each) for each in found_now() if id(each) not in before)
        return True

    assert len(page.filter(predicate)) == len(page)
    assert seen == []


@pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(),
    reason="without a GIL the collector does not run as often as it is told",
)
def test_a_collection_that_looks() -> None:
    """As often as the collector can run, while all that the core does is done."""
    bench = core_operations.Bench()
    looked = 0

    def look(phase: str, info: object) -> None:
        nonlocal looked
        looked += 1
        for each in found_now():
            use(each)

    threshold = gc.get_threshold()
    gc.collect()
    gc.freeze()  # what other tests have imported since is neither collected nor looked at each time
    gc.callbacks.append(look)
    try:
        gc.set_threshold(1)
        core_operations.perform_all(bench)
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(look)
    assert looked > 50
    assert bench.outstanding() == 0


_INDEXES = """
import gc, sys
from netsession import _netsession
from netsession._simulator import Simulator

simulator = Simulator(300)  # more than free lists have in store
page = next(_netsession.SessionCursor(simulator.netapi, None, None, None, 502, 0xFFFFFFFF))

def look(phase, info):
    for each in gc.get_objects():
        if type(each) in (list, tuple) and len(each) in (2, 10, 300):
            for place in range(len(each)):
                each[place]  # half a list or tuple crashes the interpreter here

def again(count):
    for _ in range(count):
        yield page[0]

gc.callbacks.append(look)
gc.set_threshold(1)
{call}
gc.disable()  # what runs when Python ends is not looked at
"""


@pytest.mark.parametrize(
    "call",
    [
        "page.as_dicts()",
        "page.__reduce__()",
        "_netsession.page_from_records(502, again(9), 0, None, False)",
    ],
)
def test_lists_and_tuples_are_whole_too(call: str) -> None:
    """Since CPython 3.12 the collector does not run within them; before it does."""
    script = _INDEXES.replace("{call}", call)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr


_MEDDLES = """
import gc, sys

class Looks:
    # Finds the module while it is being made: it imports netsession.records then.
    seen = []
    def find_spec(self, name, path=None, target=None):
        if name in ("netsession.records", "netsession.errors"):
            modules = [m for m in gc.get_objects() if type(m) is type(sys)
                       and m.__name__ == "netsession._netsession"]
            modules.append(sys.modules["netsession._netsession"])
            for module in modules:
                self.seen.append(sorted(n for n in vars(module) if not n.startswith("__")))
                for value in list(vars(module).values()):
                    if callable(value) and value not in (module.__loader__,):
                        try:
                            value(b"", b"", b"", b"", b"", b"")
                        except Exception:
                            pass
        return None

sys.meta_path.insert(0, Looks())
import netsession
print(Looks.seen)
assert len(netsession._netsession.encode_enum_request(None, None, None, 1, 1, 1)) > 20
"""


def test_a_module_that_is_not_ready_has_no_functions() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MEDDLES], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    seen = eval(done.stdout)
    assert seen
    assert all(names == [] for names in seen)


def test_a_cursor_in_a_cycle_is_whole_as_long_as_finalizers_run() -> None:
    told: list[object] = []

    class Backend:
        def __init__(self) -> None:
            self.cursor = _netsession.SessionCursor(self, None, None, None, 0, 1)

        def __call__(self, opnum: int, stub: bytes) -> bytes:
            told.append(stub)
            raise AssertionError

        def __del__(self) -> None:
            with pytest.raises(AssertionError):
                next(self.cursor)

    Backend()
    gc.collect()
    assert len(told) == 1


def test_a_cursor_that_the_collector_has_cleared_is_at_its_end() -> None:
    """What is not tracked may be finalised after that, and still have it."""
    slot = ctypes.pythonapi.PyType_GetSlot
    slot.restype, slot.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_int]
    address = slot(_netsession.SessionCursor, 51)  # Py_tp_clear, of the stable ABI
    clear = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object)(address)
    for backend in (print, Simulator(5).netapi):
        cursor = _netsession.SessionCursor(backend, "srv", None, None, 10, 1)
        assert clear(cursor) == 0
        assert list(cursor) == []
