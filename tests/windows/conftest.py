"""Tests of the Windows build, run where `make test-windows` put a stand-in netapi32.dll.

The stand-in is src/simulator_dll.c: the simulator behind the entry points of the real library,
with more functions by which a test sets it up and asks what happened. Elsewhere they are skipped.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

if sys.platform == "win32":
    from stand_in import StandIn, load
else:
    collect_ignore_glob = ["test_dll_search*", "test_native*", "test_pywin32*", "test_memory*"]


@pytest.fixture(scope="session")
def stand_in_library() -> StandIn:
    library = load()
    if library is None:
        pytest.skip("netapi32.dll is Windows' own here, not the stand-in")
    return library


@pytest.fixture
def netapi32(stand_in_library: StandIn) -> Iterator[StandIn]:
    """The stand-in with 100 sessions; checks afterwards that every buffer came back, once."""
    gc.collect()  # pages of an earlier test that failed
    stand_in_library.reset(100)
    yield stand_in_library
    gc.collect()
    assert stand_in_library.outstanding == 0
    assert stand_in_library.bad_frees == 0
