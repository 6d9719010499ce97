"""Runs in the client machine: one scan a kind of executor, all at the same time.

Standard input has ``servers``, ``username``, ``password``, ``timeout`` and ``kinds``; standard
output gets the reports of each kind, a list of objects in the order of the servers.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import netsession

LATENCY = 20  # milliseconds: that of fleet_lab
WORKERS = 8  # at once: more connections than cores, fewer than servers


@contextmanager
def executor_of(kind: str) -> Iterator[Executor | None]:
    """None is what scan() has itself: threads of its own."""
    if kind == "threads":
        yield None
    elif kind == "processes":
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(3, mp_context=spawn) as pool:
            yield pool
    else:
        from distributed import Client, LocalCluster

        # threads_per_worker: the jobs wait, they do not compute
        with (
            LocalCluster(n_workers=2, threads_per_worker=4, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            yield client.get_executor()


def told(report: netsession.ServerReport) -> dict[str, Any]:
    """What is the same whoever asks: not the times, nor the sessions of those who ask.

    Theirs have no user's name while they are logging on.
    """
    error = report.error
    return {
        "server": report.server,
        "level": report.level,
        "sessions": sorted(
            (record.client or "", record.user_name or "")
            for record in report.sessions
            if record.user_name not in ("root", "")
        ),
        "error": None if error is None else type(error).__name__,
        "status": getattr(error, "status", None),
        "step": getattr(error, "step", None),
        # Seven exchanges at least, each across the cable and back.
        "is_far": error is not None or report.elapsed > 7 * 2 * LATENCY / 1000,
    }


def scanned(kind: str, job: dict[str, Any]) -> list[dict[str, Any]]:
    """The reports of one scan."""
    with executor_of(kind) as executor:
        scan = netsession.scan(
            job["servers"],
            username=job["username"],
            password=job["password"],
            timeout=job["timeout"],
            workers=WORKERS,
            executor=executor,
        )
        reports = [told(report) for report in scan]
    return sorted(reports, key=lambda report: job["servers"].index(report["server"]))


def main() -> None:
    job = json.load(sys.stdin)
    with ThreadPoolExecutor(len(job["kinds"])) as pool:
        results = dict(
            zip(job["kinds"], pool.map(lambda kind: scanned(kind, job), job["kinds"]), strict=True)
        )
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
