"""netsession.scan(): in threads, in processes, or on a cluster of Dask's on this machine."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import sys
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from netsession_peer import Netsession
from serve import _Clock, serve

import netsession

_TICKS = os.sysconf("SC_CLK_TCK")


class Scanner(Netsession):
    """Pools are made once, with the first request."""

    def __init__(self) -> None:
        super().__init__()
        self._pools: dict[tuple[str, int], Executor] = {}

    def do_scan(
        self,
        servers: list[dict[str, Any]],
        count: int,
        workers: int,
        level: int,
        executor: str | None = None,
        processes: int = 0,
    ) -> dict[str, Any]:
        """Asks so many servers, in turn those of a list, all of which must answer."""
        pool = None if executor is None else self._pool(executor, processes)
        gc.collect()
        before, clock = _cpu_of_children(), _Clock()
        found = self._scan(servers, count, workers, level, pool)
        wall, cpu = clock.lap()
        return {"wall": wall, "cpu": cpu + _cpu_of_children() - before, "entries": min(found)}

    def _scan(
        self,
        servers: list[dict[str, Any]],
        count: int,
        workers: int,
        level: int,
        pool: Executor | None,
    ) -> list[int]:
        names = [f"{where['host']}:{where['port']}" for where in islice(cycle(servers), count)]
        scan = netsession.scan(
            names,
            username=servers[0]["user"],
            password=servers[0]["password"],
            level=level,
            workers=workers,
            executor=pool,
            timeout=120,
        )
        found = []
        for report in scan:
            if report.error is not None:
                raise report.error
            found.append(len(report.sessions))
        if len(found) != count:
            raise RuntimeError(f"{len(found)} reports of {count} servers")
        return found

    def _pool(self, executor: str, processes: int) -> Executor:
        key = executor, processes
        if key not in self._pools:
            if executor == "dask":
                self._pools[key] = _cluster(processes, self.started)
            else:
                self._pools[key] = self.started.enter_context(_pool(processes))
        return self._pools[key]

    def do_gil(self) -> bool:
        """Whether this interpreter has its GIL, all that is needed being imported."""
        importlib.import_module("netsession.srvsvc.smb")
        return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def _pool(processes: int) -> ProcessPoolExecutor:
    # Not by fork, which other threads do not survive.
    return ProcessPoolExecutor(processes, multiprocessing.get_context("forkserver"))


def _cluster(processes: int, stack: ExitStack) -> Executor:
    from distributed import Client, LocalCluster

    options = {"n_workers": processes, "threads_per_worker": 8, "processes": True}
    cluster = stack.enter_context(LocalCluster(dashboard_address=None, **options))
    return stack.enter_context(Client(cluster)).get_executor()


def _cpu_of_children() -> float:
    """CPU seconds of all processes below this one so far, to a hundredth."""
    found = 0.0
    for pid in _below(os.getpid()):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found += sum(map(int, fields[11:15])) / _TICKS
    return found


def _below(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        near = [int(n) for task in tasks for n in (task / "children").read_text().split()]
    except OSError:
        return []
    return near + [far for child in near for far in _below(child)]


if __name__ == "__main__":
    serve(Scanner())
