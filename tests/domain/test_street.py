"""Twenty real smbd, each in a machine of its own, some troubled, scanned by every executor."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lab import HERE, environment
from netsession import (
    CallTimeout,
    LogonFailed,
    NetApiError,
    ServerReport,
)
from street import FROZEN, REFUSING, SERVERS, WITHOUT_PIPE, Street

SCRIPT = HERE / "street_scan.py"


@pytest.fixture(scope="module")
def street(domain_tools: None) -> Iterator[Street]:
    with Street() as street:
        yield street


def kinds() -> list[str]:
    """Dask is left out where it is not installed; its own tests say so."""
    required = os.environ.get("NETSESSION_REQUIRE_FLEET", "") not in ("", "0")
    has_dask = required or importlib.util.find_spec("distributed") is not None
    return ["none", "threads", "processes", *(["dask"] if has_dask else [])]


def scanned(street: Street, **options: Any) -> dict[str, dict[str, ServerReport]]:
    """By kind of executor and by server, the reports."""
    asked = {
        "servers": list(street.address_of.values()),
        "username": street.root.name,
        "password": street.root.password,
        "timeout": 6.0,
        "kinds": kinds(),
        **options,
    }
    done = subprocess.run(
        street.client.command(sys.executable, str(SCRIPT)),
        input=json.dumps(asked),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    names = {address: name for name, address in street.address_of.items()}
    reports = pickle.loads(base64.b64decode(done.stdout))
    for each in reports.values():
        assert len(each) == len(asked["servers"])
    return {
        kind: {names[report.server]: report for report in each} for kind, each in reports.items()
    }


def without_times(report: ServerReport) -> tuple[Any, ...]:
    """What two scans, one after the other, must agree on."""
    sessions = [
        record._replace(active_time=0, idle_time=0)  # type: ignore[attr-defined]
        for record in report.sessions
    ]
    error = report.error
    status = error.status if isinstance(error, NetApiError) else None
    return report.server, report.level, sessions, type(error), status, str(error)


def test_the_reports_of_all_executors_are_equal(street: Street) -> None:
    reports = scanned(street)
    first = reports["none"]
    assert sorted(first) == list(SERVERS)
    for each in reports.values():
        assert {n: without_times(r) for n, r in each.items()} == {
            n: without_times(r) for n, r in first.items()
        }
    troubled = {name: report for name, report in first.items() if report.error is not None}
    assert sorted(troubled) == sorted([FROZEN, WITHOUT_PIPE, REFUSING])
    assert isinstance(troubled[FROZEN].error, CallTimeout)
    assert isinstance(troubled[REFUSING].error, LogonFailed)
    without_pipe = troubled[WITHOUT_PIPE].error
    assert isinstance(without_pipe, NetApiError)
    assert without_pipe.step == "pipe"
    for name in set(first) - set(troubled):
        assert [record.user_name for record in first[name].sessions] == ["root"]
