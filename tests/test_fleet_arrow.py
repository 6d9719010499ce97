"""netsession.scan() in what takes Arrow columns: one table, whatever the levels granted."""

from __future__ import annotations

import gc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import netsession
from arrow_values import FORMATS, arrow_value, import_consumer, odd_sessions, python_value
from fleet_peers import until
from netsession.testing import SimulatedServer, simulated_fleet, simulated_server

#: What a server must refuse for the richest level that it grants to be this one.
REFUSED = {502: (), 2: (502,), 1: (502, 2), 10: (502, 2, 1), 0: (502, 2, 1, 10)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = ["server", "collected_at", *FORMATS, "level"]


def _servers() -> list[SimulatedServer]:
    """One of each level, with odd sessions in pages; all are called "simulated"."""
    servers = []
    for refused in REFUSED.values():
        server = simulated_server(odd_sessions(), page_entries=100)
        for level in refused:
            server.refuse(level, 124)
        servers.append(server)
    return servers


def _rows(servers: list[SimulatedServer]) -> list[dict[str, Any]]:
    """What a table has of them, but for the time: asked one by one, in order of their levels."""
    rows = []
    for server in servers:
        sessions = server.sessions()
        for record in sessions:
            fields = {n: arrow_value(n, getattr(record, n, None)) for n in FORMATS}
            row = {"server": server.name} | {n: python_value(n, v) for n, v in fields.items()}
            rows.append(row | {"level": sessions.level})
    return _ordered(rows)


def _ordered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Servers answer in any order; the rows of each stay in theirs."""
    return sorted(rows, key=lambda row: (row["level"], row["server"]))


class Scanned:
    """A scan of them, and when its reports say that they were collected."""

    def __init__(self, servers: list[SimulatedServer]) -> None:
        self.times: dict[int | None, datetime] = {}  # by level
        self.scan = netsession.scan(servers, on_progress=self._told)

    def _told(self, progress: netsession.ScanProgress) -> None:
        if progress.report is not None:
            self.times[progress.report.level] = progress.report.collected_at

    def without_times(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows without their times, each of which is that of its server's report."""
        for row in rows:
            assert row["collected_at"].utcoffset() == timedelta(0)
            assert row.pop("collected_at") == self.times[row["level"]]
        return _ordered(rows)


def test_pyarrow() -> None:
    pyarrow = import_consumer("pyarrow")
    servers = _servers()
    scanned = Scanned(servers)
    table = pyarrow.table(scanned.scan)
    table.validate(full=True)
    assert table.column_names == COLUMNS
    assert table.schema.equals(pyarrow.schema(scanned.scan), check_metadata=True)
    assert scanned.without_times(table.to_pylist()) == _rows(servers)
    assert scanned.scan.failures == []


def test_polars() -> None:
    polars = import_consumer("polars")
    servers = _servers()
    scanned = Scanned(servers)
    frame = polars.DataFrame(scanned.scan)
    assert frame.columns == COLUMNS
    assert scanned.without_times(frame.to_dicts()) == _rows(servers)
    series = polars.from_arrow(scanned.scan)  # asks afresh
    assert scanned.without_times(series.struct.unnest().to_dicts()) == _rows(servers)


def test_duckdb() -> None:
    duckdb = import_consumer("duckdb")
    servers = _servers()
    scanned = Scanned(servers)
    s = scanned.scan  # noqa: F841 - DuckDB finds it by its name
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    # As numbers: DuckDB makes Python's datetimes only where pytz is installed.
    found = connection.sql("select * replace (epoch_us(collected_at) as collected_at) from s")
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in found.fetchall()]
    for row in rows:
        row["collected_at"] = _EPOCH + timedelta(microseconds=row["collected_at"])
    assert scanned.without_times(rows) == _rows(servers)
    counted = connection.sql("select level, count(*) from s group by 1 order by 1").fetchall()
    assert counted == [(level, len(odd_sessions())) for level in sorted(REFUSED)]
    connection.close()


def test_pandas() -> None:
    pandas = import_consumer("pandas", 3)
    import_consumer("pyarrow")
    frame = pandas.DataFrame.from_arrow(netsession.scan(_servers()))
    assert list(frame.columns) == COLUMNS
    assert frame.groupby("level").size().to_dict() == dict.fromkeys(REFUSED, len(odd_sessions()))


def test_tables_of_scans_are_joined() -> None:
    """Whatever levels their servers granted, and where none had a session."""
    pyarrow = import_consumer("pyarrow")
    servers = _servers()
    tables = [pyarrow.table(netsession.scan([server])) for server in servers]
    tables.append(pyarrow.table(netsession.scan([simulated_server(0)])))
    tables.append(pyarrow.table(netsession.scan([])))
    joined = pyarrow.concat_tables(tables)
    joined.validate(full=True)
    found = [{n: row[n] for n in COLUMNS if n != "collected_at"} for row in joined.to_pylist()]
    assert _ordered(found) == _rows(servers)


def test_a_fleet_of_which_some_fail() -> None:
    pyarrow = import_consumer("pyarrow")
    servers = simulated_fleet(12, sessions=5, dead=2, denied=3, dead_latency=0)
    with pytest.raises(OSError, match=r"ScanIncomplete: 5 servers failed: sim\d+ \("):
        pyarrow.table(netsession.scan(servers))
    scan = netsession.scan(servers, errors="skip")
    table = pyarrow.table(scan)
    assert table.num_rows == 7 * 5
    bad = {server.name for server in servers if server.condition in ("dead", "denied")}
    assert {report.server for report in scan.failures} == bad
    assert set(table["server"].to_pylist()) == {s.name for s in servers} - bad
    per_server = table.group_by("server").aggregate([("collected_at", "count_distinct")])
    assert per_server["collected_at_count_distinct"].to_pylist() == [1] * 7


def test_batches_come_as_servers_answer() -> None:
    """A reader has those that answered, while another server hangs; what hung is then down."""
    pyarrow = import_consumer("pyarrow")
    quick, slow = simulated_server(3), simulated_server(4)
    slow.hang(None)
    scan = netsession.scan([slow, quick, quick], timeout=None)
    reader = pyarrow.RecordBatchReader.from_stream(scan)
    try:
        assert [reader.read_next_batch().num_rows for _ in range(2)] == [3, 3]
        until(slow.calls)  # released before it is asked it would answer
    finally:
        slow.release()
    for _ in range(2):  # and it never looks like an end
        with pytest.raises(OSError, match="ScanIncomplete: 1 server failed"):
            reader.read_next_batch()


def test_a_reader_that_is_dropped_leaves_nothing(simulate: Callable[..., Any]) -> None:
    pyarrow = import_consumer("pyarrow")
    servers = [simulate(100, 30)[0] for _ in range(5)]
    for how in ("dropped", "closed"):
        reader = pyarrow.RecordBatchReader.from_stream(netsession.scan(servers, workers=2))
        assert reader.read_next_batch().num_rows == 30
        if how == "closed":
            reader.close()
        del reader
        gc.collect()


def test_a_callback_that_closes_the_reader() -> None:
    """on_progress is called where the consumer waits for a batch."""
    pyarrow = import_consumer("pyarrow")
    readers: list[Any] = []

    def told(progress: netsession.ScanProgress) -> None:
        if progress.done == 2:
            readers[0].close()

    scan = netsession.scan([simulated_server(3) for _ in range(5)], workers=1, on_progress=told)
    readers.append(pyarrow.RecordBatchReader.from_stream(scan))
    assert readers[0].read_next_batch().num_rows == 3
    assert readers[0].read_next_batch().num_rows == 3  # the one that it waited for
    with pytest.raises((OSError, pyarrow.ArrowInvalid)):
        readers[0].read_next_batch()


def test_parquet(tmp_path: Path) -> None:
    import_consumer("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = import_consumer("pyarrow")
    servers = _servers()
    scanned = Scanned(servers)
    path = tmp_path / "sessions.parquet"
    reader = pyarrow.RecordBatchReader.from_stream(scanned.scan)
    with parquet.ParquetWriter(path, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
    assert scanned.without_times(parquet.read_table(path).to_pylist()) == _rows(servers)
