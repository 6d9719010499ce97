"""What it costs to filter a page of 100,000, in C and with a Python call a record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from conftest import Prepared
from netsession import SessionPage, where

ENTRIES = 100_000
CONDITIONS: dict[str, dict[str, Any]] = {
    "user": {"user": "alice.12"},
    "domain and user": {"user": "CORP\\alice.12"},
    "three users": {"user": ["alice.12", "bob.24", "CORP\\lena.59"]},
    "user with *": {"user": "alice*"},
    "user with * first": {"user": "*.1*2"},
    "all users": {"user": "*"},
    "client": {"client": "WS00005"},
    "IPv4": {"client": "10.0.0.10"},
    "IPv6": {"client": "2001:db8::4"},
    "client with *": {"client": "10.0.*"},
    "idle_for": {"idle_for": timedelta(hours=100)},
    "no_opens": {"no_opens": True},
    "no machines": {"exclude_machine_accounts": True},
    "user, client and idle_for": {"user": "alice*", "client": "10.*", "idle_for": 360_000},
}


@pytest.fixture
def page(prepared: Prepared) -> SessionPage:
    return next(iter(prepared(ENTRIES).sessions(level=502).pages()))


@pytest.mark.benchmark(group="filter a page of 100,000")
@pytest.mark.parametrize("conditions", CONDITIONS.values(), ids=list(CONDITIONS))
@pytest.mark.parametrize("how", ["C", "Python"])
def test_filter(
    benchmark: BenchmarkFixture, page: SessionPage, conditions: dict[str, Any], how: str
) -> None:
    matcher = where(**conditions)._matcher()
    work: Callable[..., SessionPage] = matcher.filter if how == "C" else _call_each(matcher)
    benchmark.pedantic(work, (page,), rounds=9 if how == "C" else 3, warmup_rounds=1)


def _call_each(predicate: Any) -> Callable[[SessionPage], SessionPage]:
    return lambda page: page.filter(predicate)
