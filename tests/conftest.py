"""Fixtures for all tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

import failing_malloc
from netsession._simulator import Simulator
from netsession.testing import SimulatedServer


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
        assert simulator.outstanding == 0


@pytest.fixture(scope="session")
def failing_library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The library that makes C allocations fail."""
    return failing_malloc.compiled(tmp_path_factory.mktemp("malloc"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Why tests were skipped, a line a reason: a tier that is not there skips hundreds."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    for reason, count in reasons.most_common():
        terminalreporter.line(f"skipped {count}: {reason}")
