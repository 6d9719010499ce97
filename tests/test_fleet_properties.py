"""Scans of any servers, whichever answers first: each is reported once, and counted as it was."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as st

import examples
from fleet_peers import GatedServer, RaisingServer, refusing
from netsession import ScanProgress, scan
from netsession.testing import simulated_server

checked = examples.the_same(60)
KINDS = st.sampled_from(["lists", "lists", "is gated", "refuses", "raises", "is none"])


def some_server(kind: str, name: str, sessions: int) -> Any:
    if kind == "lists":
        return simulated_server(sessions, name=name)
    if kind == "is gated":
        return GatedServer(name, sessions)
    if kind == "refuses":
        return refusing(name, 5)
    if kind == "raises":
        return RaisingServer(name, lambda: ValueError("thrown"))
    return f"{name}/24"


@checked
@given(
    asked=st.lists(st.tuples(KINDS, st.integers(0, 4)), max_size=12),
    workers=st.integers(1, 5),
    order=st.randoms(use_true_random=False),
)
def test_each_server_is_reported_once_whoever_comes_first(
    asked: list[tuple[str, int]], workers: int, order: Any
) -> None:
    servers = [some_server(kind, f"s{i}", count) for i, (kind, count) in enumerate(asked)]
    gated = [server for server in servers if isinstance(server, GatedServer)]
    order.shuffle(gated)
    seen: list[ScanProgress] = []

    def open_gates() -> None:
        """Those that are being asked go on in an order that is drawn: others are not begun yet."""
        for server in gated:
            server.asked.wait(0.01)  # one that is not asked yet will not wait at all
            server.gate.set()

    opener = threading.Thread(target=open_gates)
    opener.start()
    reports = list(scan(servers, workers=workers, on_progress=seen.append))
    opener.join()

    names = [f"s{i}" + "/24" * (kind == "is none") for i, (kind, _) in enumerate(asked)]
    assert Counter(report.server for report in reports) == Counter(names)
    by_name = {report.server: report for report in reports}
    for name, (kind, count) in zip(names, asked, strict=True):
        report = by_name[name]
        listed = kind in ("lists", "is gated")
        assert (report.error is None) == listed
        assert len(report.sessions) == (count if listed else 0)
        assert (report.level is None) == (not listed)
    check_progress(seen, reports, len(asked))


def check_progress(seen: list[ScanProgress], reports: list[Any], total: int) -> None:
    """What was told on the way is what had come by then."""
    told = [one for one in seen if one.report is not None]
    assert [one.report for one in told] == reports
    for number, one in enumerate(told, 1):
        came = reports[:number]
        assert (one.done, one.total) == (number, total)
        assert one.listed == sum(report.error is None for report in came)
        assert one.failed == Counter(
            type(report.error).__name__ for report in came if report.error is not None
        )
        assert one.sessions == sum(len(report.sessions) for report in came)
        assert number <= one.taken <= total
        assert one.done + one.in_flight <= one.taken
        assert one.in_flight >= 0
