"""From the bytes of a reply to a checked page."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from conftest import Prepared
from netsession import _netsession

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "samba"))
codec = importlib.import_module("ndr_reference")  # shares nothing with the extension

pytestmark = [
    pytest.mark.parametrize("level", [0, 1, 502]),
    pytest.mark.parametrize("entries", [1_000, 100_000]),
]


@pytest.fixture(scope="module")
def _made() -> dict[tuple[int, int], bytes]:
    return {}


@pytest.fixture
def stub(
    _made: dict[tuple[int, int], bytes], prepared: Prepared, level: int, entries: int
) -> bytes:
    """The reply that holds the simulator's sessions."""
    if (level, entries) not in _made:
        rows = [record._asdict() for record in prepared(entries).sessions(level=level)]
        _made[level, entries] = codec.encode_enum_response(
            level, rows, total_entries=entries, resume_handle=0, status=0
        )
    return _made[level, entries]


@pytest.mark.benchmark(group="decode")
def test_page(benchmark: BenchmarkFixture, stub: bytes, entries: int) -> None:
    page = benchmark(_netsession.decode_enum_response, stub)[3]
    assert len(page) == entries


@pytest.mark.benchmark(group="decode")
def test_page_and_list(benchmark: BenchmarkFixture, stub: bytes, entries: int) -> None:
    def decoded() -> list[object]:
        page = _netsession.decode_enum_response(stub)[3]
        assert page is not None
        return list(page)

    assert len(benchmark(decoded)) == entries
