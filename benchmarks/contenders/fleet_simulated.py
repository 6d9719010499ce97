"""A scan of simulated servers that take their time, and how much later reports are for dead ones.

Its argument is JSON: ``{"servers": n, "latency": seconds, "workers": n, "dead": n, "timeout":
seconds, "rounds": n}``; it prints JSON. The simulator answers in this process, so it is the scan
that is measured here, not the wire.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import netsession
from netsession.testing import SimulatedServer, simulated_fleet


def _scan(fleet: list[SimulatedServer], workers: int, timeout: float) -> dict[str, Any]:
    """When the last report came, and the last one of a server that is well; seconds."""
    gc.collect()
    scan = netsession.scan(fleet, level=502, workers=workers, timeout=timeout)
    cpu, began = time.process_time(), time.perf_counter()
    well = failed = 0
    last = last_well = 0.0
    for report in scan:
        last = time.perf_counter() - began
        if report.error is None:
            well += 1
            last_well = last
        else:
            failed += 1
    return {
        "last": last,
        "last_well": last_well,
        "cpu": time.process_time() - cpu,
        "well": well,
        "failed": failed,
        "abandoned": scan.abandoned,
    }


def _floor(count: int, workers: int, latency: float) -> dict[str, Any]:
    """The same waiting in a plain pool: what this machine takes for it just now."""
    gc.collect()
    cpu, began = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(time.sleep, [latency] * count))
    last = time.perf_counter() - began
    return {"last": last, "last_well": last, "cpu": time.process_time() - cpu}


def _must_be(found: dict[str, Any], well: int, failed: int) -> None:
    if (found["well"], found["failed"]) != (well, failed):
        raise SystemExit(f"expected {well} and {failed}: {found}")


def main() -> None:
    case = json.loads(sys.argv[1])
    count, latency, dead = case["servers"], case["latency"], case["dead"]
    workers, timeout = case["workers"], case["timeout"]
    answer: dict[str, list[dict[str, Any]]] = {"floor": [], "well": [], "with dead": []}
    for _ in range(case["rounds"]):
        answer["floor"].append(_floor(count, workers, latency))
        fleet = simulated_fleet(count, sessions=10, latency=latency)
        answer["well"].append(_scan(fleet, workers, 10.0))
        _must_be(answer["well"][-1], count, 0)
        fleet = simulated_fleet(count, sessions=10, latency=latency, dead=dead, dead_latency=None)
        answer["with dead"].append(_scan(fleet, workers, timeout))
        _must_be(answer["with dead"][-1], count - dead, dead)
        for server in fleet:
            server.release()  # lets the threads go that are in its calls
    print("JSON" + json.dumps(answer))


if __name__ == "__main__":
    main()
