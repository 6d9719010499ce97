"""netsession's fixtures for pytest, documented in docs/testing.md.

pytest loads this module in every run, through an entry point, wherever netsession is installed. So
it is no part of the package: nothing of netsession is imported before a test asks for a fixture,
for the sake of runs that do not, and of coverage, which sees only what is imported after it began.
"""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from netsession.testing import SimulatedServer


@pytest.fixture
def netsession_server(request: pytest.FixtureRequest) -> Iterator[SimulatedServer]:
    """A simulated server (netsession.testing.SimulatedServer) with 100 sessions.

    Others by indirect parametrisation, with the arguments of simulated_server() as a dict.
    """
    from netsession.testing import simulated_server

    with simulated_server(**getattr(request, "param", {})) as server:
        yield server
        server.release()


@pytest.fixture
def netsession_fleet() -> Iterator[Callable[..., list[SimulatedServer]]]:
    """netsession.testing.simulated_fleet(); calls that hang are released when the test ends."""
    from netsession.testing import simulated_fleet

    made: list[SimulatedServer] = []

    def fleet(n: int, **options: Any) -> list[SimulatedServer]:
        servers = simulated_fleet(n, **options)
        made.extend(servers)
        return servers

    yield fleet
    for server in made:
        server.release()
        server.close()
