"""Fleets of simulated servers: which members are what, and how each answers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from made_up import session
from netsession import AccessDenied, CallTimeout, Server, ServerUnreachable, scan
from netsession.testing import SimulatedServer, simulated_fleet


def test_names_and_sessions() -> None:
    fleet = simulated_fleet(12, sessions=7)
    assert isinstance(fleet, list)
    assert [each.name for each in fleet] == [f"sim{number:04d}" for number in range(1, 13)]
    assert all(isinstance(each, Server) for each in fleet)
    found = [each.sessions() for each in fleet]
    everything = [record for query in found for record in query]
    assert everything == [session(number) for number in range(12 * 7)]
    assert len(set(everything)) == 12 * 7


def test_the_repr_says_that_each_is_simulated() -> None:
    well, dead = sorted(simulated_fleet(2, sessions=3, dead=1), key=lambda each: each.condition)[
        ::-1
    ]
    assert repr(well).startswith("<SimulatedServer sim000")
    assert repr(well).endswith(", a simulator with 3 sessions>")
    assert repr(dead).endswith(", a dead simulator with 3 sessions>")


def test_names_of_many() -> None:
    fleet = simulated_fleet(10_001, sessions=1)
    assert [fleet[index].name for index in (0, 9_998, 9_999, 10_000)] == [
        *("sim0001", "sim9999", "sim10000", "sim10001"),
    ]
    assert len({each.name for each in fleet}) == 10_001


def test_none() -> None:
    assert simulated_fleet(0) == []


def test_sessions_of_each_by_its_number() -> None:
    fleet = simulated_fleet(
        3, sessions=lambda number: [{"client_name": "c", "user_name": f"u{number}"}] * number
    )
    assert [[each.user_name for each in one.sessions()] for one in fleet] == [
        [],
        ["u1"],
        ["u2", "u2"],
    ]
    assert [
        one.session_count for one in simulated_fleet(4, sessions=range(10, 14).__getitem__)
    ] == [*(10, 11, 12, 13)]


@pytest.mark.parametrize(
    ("n", "dead", "slow", "denied"),
    [
        (1, 0, 0, 0),
        (1, 1, 0, 0),
        (2, 1, 1, 0),
        (3, 1, 1, 1),
        (10, 0, 0, 10),
        (20, 2, 3, 2),
        (20, 7, 7, 6),
        (97, 13, 1, 30),
        (1000, 50, 0, 0),
    ],
)
def test_which_are_what(n: int, dead: int, slow: int, denied: int) -> None:
    def conditions() -> list[str]:
        fleet = simulated_fleet(n, sessions=0, dead=dead, slow=slow, denied=denied)
        return [each.condition for each in fleet]

    found = conditions()
    assert Counter(found) == Counter(
        well=n - dead - slow - denied, dead=dead, slow=slow, denied=denied
    )
    assert found == conditions()  # the same each time
    for kind, count in (("dead", dead), ("slow", slow), ("denied", denied)):
        for start in range(0, n, max(1, n // 4)):  # and no part of the fleet has far more of them
            part = found[start : start + max(1, n // 4)]
            assert part.count(kind) <= count * len(part) / n + 2


def _one(condition: str, **options: Any) -> SimulatedServer:
    fleet = simulated_fleet(5, sessions=3, **{condition: 1}, **options)
    (found,) = (each for each in fleet if each.condition == condition)
    return found


_CALLS: list[Callable[[Server], object]] = [
    lambda server: list(server.sessions()),
    lambda server: list(server.sessions(level=10)),
    lambda server: server.session("10.0.0.0", "alice.0"),
    lambda server: server.delete_sessions(user="alice.0"),
]


@pytest.mark.parametrize("call", _CALLS)
def test_denied(call: Callable[[Server], object]) -> None:
    server = _one("denied")
    for _ in range(2):
        with pytest.raises(AccessDenied) as caught:
            call(server)
        assert caught.value.status == 5
        assert caught.value.server == server.name
    assert server.session_count == 3


@pytest.mark.parametrize("call", _CALLS)
def test_dead(call: Callable[[Server], object]) -> None:
    server = _one("dead", dead_latency=0)
    with pytest.raises(ServerUnreachable) as caught:
        call(server)
    assert (caught.value.status, caught.value.server) == (53, server.name)
    server.release()
    assert server.condition == "well"
    assert len(list(server.sessions())) == 3


def test_latencies() -> None:
    slow = _one("slow", slow_latency=0.2, latency=0.1)
    assert slow.latency == 0.2
    began = time.monotonic()
    assert len(list(slow.sessions())) == 3
    assert time.monotonic() - began >= 0.18
    fleet = simulated_fleet(10, dead=1, denied=1, slow=1, latency=0.02)
    assert {each.condition: each.latency for each in fleet} == {
        "well": 0.02,
        "dead": 0.02,
        "denied": 0.02,
        "slow": 1.0,
    }


def test_pages() -> None:
    (server,) = simulated_fleet(1, sessions=10, page_entries=4)
    assert [len(page) for page in server.sessions().pages()] == [4, 4, 2]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n": -1}, ValueError, "n must be between 0 and"),
        ({"n": 2.0}, TypeError, "n must be an int, not float"),
        ({"n": True}, TypeError, "n must be an int, not bool"),
        ({"n": 5, "dead": -1}, ValueError, "dead must be between 0 and"),
        ({"n": 5, "slow": 0.5}, TypeError, "slow must be an int, not float"),
        ({"n": 5, "denied": None}, TypeError, "denied must be an int, not NoneType"),
        ({"n": 5, "dead": 2, "slow": 2, "denied": 2}, ValueError, "are 6 servers, of 5"),
        ({"n": 0, "sessions": "many"}, TypeError, "sessions must be an int, not str"),
        ({"n": 0, "sessions": -1}, ValueError, "sessions must be between 0"),
        ({"n": 1, "sessions": lambda number: None}, TypeError, "sessions must be an int or an"),
        ({"n": 1, "latency": "1"}, TypeError, "latency must be a number of seconds, not str"),
        ({"n": 0, "latency": -1}, ValueError, "latency must be a number of seconds"),
        ({"n": 0, "dead_latency": -1}, ValueError, "dead_latency must be a number of seconds"),
        ({"n": 0, "slow_latency": None}, TypeError, "slow_latency must be a number of seconds"),
        ({"n": 0, "page_entries": 0}, ValueError, "page_entries must be at least 1"),
    ],
)
def test_mistakes_are_named(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """Also where no member would be of that kind."""
    with pytest.raises(error, match=message):
        simulated_fleet(**arguments)


# --- scanned --------------------------------------------------------------------------------------

_GUARD = 60  # seconds after which what hangs is taken to hang for ever


def test_a_scan_of_all_conditions() -> None:
    """The dead one would never answer: the scan's time-out is what ends it."""
    fleet = simulated_fleet(20, sessions=10, dead=1, dead_latency=None, slow=2, denied=3)
    query = scan(fleet, timeout=5)
    reports = list(query)
    assert sorted(report.server for report in reports) == [each.name for each in fleet]
    condition = {each.name: each.condition for each in fleet}
    errors = {"well": None, "slow": None, "dead": CallTimeout, "denied": AccessDenied}
    for report in reports:
        expected = errors[condition[report.server]]
        assert (report.error and type(report.error)) == expected
        assert len(report.sessions) == (0 if expected else 10)
    records = [record for report in reports for record in report.sessions]
    assert len(records) == len(set(records)) == 160
    assert query.abandoned == 1
    for each in fleet:
        each.release()
    guard = time.monotonic() + _GUARD
    while query.abandoned:
        assert time.monotonic() < guard
        time.sleep(0.001)
    assert len([report for report in query if report.error is None]) == 17


def test_the_dead_do_not_keep_the_interpreter() -> None:
    code = """
from netsession import scan
from netsession.testing import simulated_fleet
query = scan(simulated_fleet(20, dead=5, dead_latency=None), timeout=0.5)
print(sum(report.error is not None for report in query), query.abandoned)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=_GUARD
    )
    assert (done.returncode, done.stderr) == (0, "")
    failed, abandoned = map(int, done.stdout.split())
    assert failed >= abandoned >= 5  # more only where this machine is busy
