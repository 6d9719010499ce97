"""Runs in the client of a street: scans it with each kind of executor.

Standard input has the arguments of scan(), and beside them ``kinds``; standard output gets the
pickled reports of each kind, in a dict, as base64.
"""

from __future__ import annotations

import base64
import json
import pickle
import sys
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import netsession


@contextmanager
def dask() -> Any:
    """A local cluster, as a cluster of several machines would be."""
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=4, dashboard_address=":0", protocol="tcp"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client.get_executor()


def executor(kind: str) -> AbstractContextManager[Executor | None]:
    """The executor of that name."""
    makers: dict[str, Any] = {
        "none": nullcontext,
        "threads": lambda: ThreadPoolExecutor(20),
        "processes": lambda: ProcessPoolExecutor(4),
        "dask": dask,
    }
    made: AbstractContextManager[Executor | None] = makers[kind]()
    return made


def main() -> None:
    """Scans."""
    options = json.load(sys.stdin)
    servers, kinds = options.pop("servers"), options.pop("kinds")
    reports = {}
    for kind in kinds:
        with executor(kind) as made:
            reports[kind] = list(netsession.scan(servers, executor=made, **options))
    sys.stdout.write(base64.b64encode(pickle.dumps(reports)).decode())


if __name__ == "__main__":
    main()
