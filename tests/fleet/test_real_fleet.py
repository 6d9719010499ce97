"""Twenty real servers, of which three do not answer as they should, asked in three ways."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fleet_lab import GOOD, REFUSING, SERVERS, STOPPED, WITHOUT_PIPE, Fleet
from network import PATIENCE, environment

KINDS = ("threads", "processes", "dask")
# Seconds a server. All that answer do so in less than one; it is what the stopped one costs.
TIMEOUT = 30.0
SCANNING = Path(__file__).with_name("scanning.py")


@pytest.fixture(scope="module")
def reports(fleet: Fleet) -> dict[str, list[dict[str, Any]]]:
    """By kind, in the order of SERVERS."""
    job = {
        "servers": [fleet.address(name) for name in SERVERS],
        "username": "root",
        "password": fleet.password,
        "timeout": TIMEOUT,
        "kinds": KINDS,
    }
    done = subprocess.run(
        # Not in the pid namespace, whose /proc is not its own: Dask looks itself up there.
        fleet.client.command(sys.executable, str(SCANNING)),
        input=json.dumps(job),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert fleet.password not in done.stdout + done.stderr
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_server_has_a_report(
    fleet: Fleet, reports: dict[str, list[dict[str, Any]]], kind: str
) -> None:
    assert [each["server"] for each in reports[kind]] == [fleet.address(name) for name in SERVERS]


@pytest.mark.parametrize("kind", KINDS)
def test_what_each_said(fleet: Fleet, reports: dict[str, list[dict[str, Any]]], kind: str) -> None:
    by_name = dict(zip(SERVERS, reports[kind], strict=True))
    for name in GOOD:
        assert by_name[name]["error"] is None
        assert by_name[name]["is_far"]
        assert by_name[name]["level"] == 1
        assert by_name[name]["sessions"] == [[fleet.client.address, "alice"]]
    bad = {name: by_name[name] for name in (STOPPED, WITHOUT_PIPE, REFUSING)}
    assert [each["sessions"] for each in bad.values()] == [[], [], []]
    assert {name: (each["error"], each["step"]) for name, each in bad.items()} == {
        STOPPED: ("CallTimeout", "negotiate"),
        WITHOUT_PIPE: ("ServerUnreachable", "pipe"),
        REFUSING: ("LogonFailed", "logon"),
    }


def test_threads_processes_and_dask_say_the_same(
    reports: dict[str, list[dict[str, Any]]],
) -> None:
    assert reports["threads"] == reports["processes"] == reports["dask"]
