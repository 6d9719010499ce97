"""What must not depend on the size of a page: its length and its items. And a record's parts."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from conftest import Prepared
from netsession import SessionInfo502, SessionPage

ENTRIES = (1_000, 1_000_000)


@pytest.fixture(params=ENTRIES, ids=lambda entries: f"{entries:,}")
def page(request: pytest.FixtureRequest, prepared: Prepared) -> SessionPage:
    return next(iter(prepared(request.param).sessions(level=502).pages()))


@pytest.mark.benchmark(group="len(page)")
def test_length(benchmark: BenchmarkFixture, page: SessionPage) -> None:
    assert benchmark(len, page) in ENTRIES


@pytest.mark.benchmark(group="page[i]")
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_index(benchmark: BenchmarkFixture, page: SessionPage, where: str) -> None:
    index = {"first": 0, "middle": len(page) // 2, "last": -1}[where]
    assert type(benchmark(page.__getitem__, index)) is SessionInfo502


@pytest.mark.benchmark(group="slice of ten")
def test_slice(benchmark: BenchmarkFixture, page: SessionPage) -> None:
    assert len(benchmark(page.__getitem__, slice(500, 510))) == 10


@pytest.mark.benchmark(group="a record's parts")
@pytest.mark.parametrize("name", ["client", "active", "idle", "flags", "is_guest"])
def test_properties(benchmark: BenchmarkFixture, prepared: Prepared, name: str) -> None:
    record = next(iter(prepared(1_000).sessions(level=502)))
    assert benchmark(getattr, record, name) is not None
