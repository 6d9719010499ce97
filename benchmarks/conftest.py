"""Suites for pytest-benchmark: `pytest benchmarks`. `benchmarks/run.py` runs them and the peers.

They measure on the simulator, which hands out one prepared buffer, so that its own cost is small.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from netsession import Server
from netsession._simulator import Simulator

#: Makes a server with so many prepared sessions.
Prepared = Callable[[int], Server]


@pytest.fixture(scope="session")
def prepared() -> Prepared:
    @cache
    def server(entries: int) -> Server:
        simulator = Simulator(entries, 0)
        simulator.prepare(True)
        return Server("prepared", backend=simulator.netapi)

    return server
