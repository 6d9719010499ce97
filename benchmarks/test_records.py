"""From a buffer to Python objects: records, dicts, columns, and the bare C loop beside them."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from conftest import Prepared
from netsession import Server, SessionPage, records

LEVELS = (0, 1, 502)
ENTRIES = (1_000, 100_000)

pytestmark = [
    pytest.mark.parametrize("level", LEVELS),
    pytest.mark.parametrize("entries", ENTRIES),
]


def _iterate(server: Server, level: int) -> int:
    count = 0
    for _ in server.sessions(level=level):
        count += 1
    return count


@pytest.mark.benchmark(group="records")
def test_list(benchmark: BenchmarkFixture, prepared: Prepared, level: int, entries: int) -> None:
    server = prepared(entries)
    sessions = benchmark(lambda: list(server.sessions(level=level)))
    assert len(sessions) == entries
    assert type(sessions[0]) is getattr(records, f"SessionInfo{level}")


@pytest.mark.benchmark(group="records")
def test_iterate(benchmark: BenchmarkFixture, prepared: Prepared, level: int, entries: int) -> None:
    assert benchmark(_iterate, prepared(entries), level) == entries


@pytest.mark.benchmark(group="records")
def test_bare_c_loop(
    benchmark: BenchmarkFixture, prepared: Prepared, level: int, entries: int
) -> None:
    floor = pytest.importorskip("netsession_floor", reason="benchmarks/run.py builds it")
    server = prepared(entries)
    record_type = getattr(records, f"SessionInfo{level}")
    sessions = benchmark(floor.records, server._backend, level, record_type)
    assert sessions == list(server.sessions(level=level))


@pytest.mark.benchmark(group="other shapes")
def test_dicts(benchmark: BenchmarkFixture, prepared: Prepared, level: int, entries: int) -> None:
    server = prepared(entries)
    pages = benchmark(lambda: [page.as_dicts() for page in server.sessions(level=level).pages()])
    assert sum(map(len, pages)) == entries


@pytest.mark.benchmark(group="other shapes")
@pytest.mark.skipif(not hasattr(SessionPage, "__arrow_c_array__"), reason="no Arrow export")
def test_columns(benchmark: BenchmarkFixture, prepared: Prepared, level: int, entries: int) -> None:
    server = prepared(entries)
    pages = benchmark(
        lambda: [page.__arrow_c_array__() for page in server.sessions(level=level).pages()]
    )
    assert len(pages) == 1
