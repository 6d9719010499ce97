"""Fixtures for all tests."""

from __future__ import annotations

import gc
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import failing_malloc
from netsession._simulator import Simulator
from netsession.testing import SimulatedServer

# Where what a thread has made may be let go a moment after others see that it is done.
_LATE = bool(sysconfig.get_config_var("Py_GIL_DISABLED")) or sys.gettrace() is not None


@pytest.fixture
def simulate() -> Iterator[Callable[..., tuple[SimulatedServer, Simulator]]]:
    """Makes a simulated server with its simulator; checks that every buffer came back.

    That check is what notices a NetApiBufferFree too few or too many.
    """
    made: list[Simulator] = []

    def make(made_up: int = 0, page_entries: int = 0) -> tuple[SimulatedServer, Simulator]:
        simulator = Simulator(made_up, page_entries)
        made.append(simulator)
        return SimulatedServer(simulator), simulator

    yield make
    for simulator in made:
        assert simulator.bad_frees == 0
        _wait_for_threads(simulator)
        assert simulator.outstanding == 0


@pytest.fixture(scope="session")
def failing_library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The library that makes C allocations fail."""
    return failing_malloc.compiled(tmp_path_factory.mktemp("malloc"))


def pytest_collection_finish() -> None:
    """Seven thousand tests stay until the end: no collection of the garbage need look at them."""
    gc.collect()
    gc.freeze()


def _wait_for_threads(simulator: Simulator) -> None:
    """Without a GIL, what a thread has made is let go at last by that thread, when it ends or at a
    collection: not while it waits in C. What traces it keeps its frames for a moment."""
    end = time.monotonic() + 60.0  # which only a failure reaches
    while _LATE and simulator.outstanding and time.monotonic() < end:
        gc.collect()
        time.sleep(0.01)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadfile`` the files of a domain stay together: who runs one makes it first."""
    from xdist.scheduler import LoadFileScheduling

    if config.getvalue("dist") != "loadfile":
        return None

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            folder, domain, _ = nodeid.rpartition("domain/")
            return folder + domain if domain else str(super()._split_scope(nodeid))

    return Scheduling(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Why tests were skipped, a line a reason: a tier that is not there skips hundreds."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    for reason, count in reasons.most_common():
        terminalreporter.line(f"skipped {count}: {reason}")
