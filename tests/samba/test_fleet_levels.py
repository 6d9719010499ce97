"""One Arrow table of four real servers that grant level 1, 2, 502 and 10: each an smbd of its own,
with our endpoint behind its pipe, since Samba's own answers levels 0 and 1 only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import netsession
from arrow_values import FORMATS, arrow_value, import_consumer, python_value
from endpoint import Endpoint, Script
from rows import make_rows
from smbd import PATIENCE, Smbd

LEVELS = (1, 2, 502, 10)
COLUMNS = ["server", "collected_at", *FORMATS, "level"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Granting:
    """A server whose richest level is this one."""

    level: int
    smbd: Smbd
    endpoint: Endpoint

    @property
    def name(self) -> str:
        return f"{self.smbd.host}:{self.smbd.port}"

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What a table has of it, but for the time."""
        return [
            {"server": self.name}
            | {n: python_value(n, arrow_value(n, row.get(n))) for n in FORMATS}
            | {"level": self.level}
            for row in self.endpoint.script.rows[self.level]
        ]


@pytest.fixture(scope="module")
def fleet(samba_tools: None) -> Iterator[list[Granting]]:
    with ExitStack() as stack:
        servers: list[Granting] = []
        for level in LEVELS:
            smbd = Smbd(helpers=False)
            if servers:  # one account for all of them, as in a domain
                smbd.admin = servers[0].smbd.admin
            stack.enter_context(smbd)
            endpoint = stack.enter_context(Endpoint(smbd.endpoint_path))
            endpoint.script = Script(rows={level: make_rows(level, 40 + level)}, page_entries=25)
            servers.append(Granting(level, smbd, endpoint))
        yield servers
        for server in servers:
            server.endpoint.close_pipes()
            assert not server.endpoint.errors, server.endpoint.errors
            assert not server.endpoint.breaches, server.endpoint.breaches


def scan_of(
    fleet: list[Granting],
    on_progress: Callable[[netsession.ScanProgress], object] | None = None,
) -> netsession.Scan:
    admin = fleet[0].smbd.admin
    return netsession.scan(
        [each.name for each in fleet],
        username=admin.name,
        password=admin.password,
        timeout=PATIENCE,
        on_progress=on_progress,
    )


class Scanned:
    """A scan of them, and what its reports say of each."""

    def __init__(self, fleet: list[Granting]) -> None:
        self.fleet = fleet
        self.reports: dict[str, netsession.ServerReport] = {}
        self.scan = scan_of(fleet, self._told)

    def _told(self, progress: netsession.ScanProgress) -> None:
        if progress.report is not None:
            self.reports[progress.report.server] = progress.report

    def check(self, rows: list[dict[str, Any]]) -> None:
        """Every cell of a table of them."""
        for row in rows:
            assert row.pop("collected_at") == self.reports[row["server"]].collected_at
        found = {
            each.name: [row for row in rows if row["server"] == each.name] for each in self.fleet
        }
        assert found == {each.name: each.rows for each in self.fleet}
        assert len(rows) == sum(len(each.rows) for each in self.fleet)
        assert {r.server: r.level for r in self.reports.values()} == {
            each.name: each.level for each in self.fleet
        }
        assert self.scan.failures == []


@pytest.fixture
def scanned(fleet: list[Granting]) -> Scanned:
    return Scanned(fleet)


def test_pyarrow(scanned: Scanned) -> None:
    pyarrow = import_consumer("pyarrow")
    table = pyarrow.table(scanned.scan)
    table.validate(full=True)
    assert table.column_names == COLUMNS
    nulls = {name: table[name].null_count for name in ("server", "collected_at", "level")}
    assert set(nulls.values()) == {0}
    scanned.check(table.to_pylist())


def test_polars(scanned: Scanned) -> None:
    polars = import_consumer("polars")
    frame = polars.DataFrame(scanned.scan)
    assert frame.columns == COLUMNS
    scanned.check(frame.to_dicts())


def test_duckdb(scanned: Scanned) -> None:
    duckdb = import_consumer("duckdb")
    s = scanned.scan  # noqa: F841 - DuckDB finds it by its name
    connection = duckdb.connect()
    # Times as numbers: DuckDB makes Python's datetimes only where pytz is installed.
    found = connection.sql("select * replace (epoch_us(collected_at) as collected_at) from s")
    assert found.columns == COLUMNS
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in found.fetchall()]
    for row in rows:
        row["collected_at"] = _EPOCH + timedelta(microseconds=row["collected_at"])
    scanned.check(rows)
    connection.close()


def test_tables_of_each_are_joined(fleet: list[Granting]) -> None:
    pyarrow = import_consumer("pyarrow")
    tables = [pyarrow.table(scan_of([each])) for each in fleet]
    joined = pyarrow.concat_tables(tables)
    joined.validate(full=True)
    found = joined.drop_columns(["collected_at"]).to_pylist()
    assert found == [row for each in fleet for row in each.rows]
