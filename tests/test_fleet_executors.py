"""Scans through executors: threads, processes, and Dask's, each the real one."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from fleet_peers import PATIENCE, SilentServer, Source, until
from netsession import (
    CallTimeout,
    NetApiError,
    NotAsked,
    ServerReport,
    ServerUnreachable,
    _crew,
    _question,
    scan,
)
from netsession.testing import simulated_server

pytest.importorskip("smbprotocol")
from smb_server import PASSWORD, USER, SmbServer

AHEAD = _crew._AHEAD
EMPTY = struct.pack("<9I", 10, 10, 1, 0, 0, 0, 1, 0, 0)  # a list of nothing, at level 10
# On a busy machine a worker may take its time to begin.
LOGON: dict[str, Any] = {"username": USER, "password": PASSWORD, "level": 10, "timeout": 600}

pytestmark = pytest.mark.filterwarnings(
    # CPython 3.12 warns of every fork in a process with threads, such as those of the tests' peers
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)


def pool_of(method: str) -> Callable[[], Executor]:
    def make() -> Executor:
        if method not in multiprocessing.get_all_start_methods():
            pytest.skip(f"there is no {method} here")
        return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method))

    return make


@contextmanager
def dask() -> Iterator[Executor]:
    try:
        import distributed
    except ImportError as error:
        if os.environ.get("NETSESSION_REQUIRE_FLEET", "") not in ("", "0"):
            pytest.fail(f"NETSESSION_REQUIRE_FLEET is set, but {error}", pytrace=False)
        pytest.skip("needs Dask: pip install --group fleet")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, dashboard_address=":0", protocol="tcp"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client.get_executor()


KINDS: dict[str, Any] = {
    "threads": lambda: ThreadPoolExecutor(8),
    "spawn": pool_of("spawn"),
    "fork": pool_of("fork"),
    "forkserver": pool_of("forkserver"),
    "dask": dask,
}
PROCESSES = ["spawn", "fork", "forkserver"]


@pytest.fixture(scope="module", params=list(KINDS))
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with KINDS[request.param]() as executor:
        yield executor


@pytest.fixture
def peer() -> Iterator[SmbServer]:
    with SmbServer(stub=EMPTY) as peer:
        yield peer
    assert peer.errors == []


def address(peer: SmbServer) -> str:
    return f"127.0.0.1:{peer.port}"


def closed_port() -> str:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def test_the_reports_are_those_of_our_own_threads(executor: Executor, peer: SmbServer) -> None:
    names: list[Any] = [address(peer)] * 6 + ["", "10.0.0.0/8", None, closed_port()]

    def told(query: Any) -> list[str]:
        return sorted(f"{r.server} {r.level} {list(r.sessions)} {r.error}" for r in query)

    def only(query: Any, name: str) -> ServerReport:
        return next(report for report in query if report.server == name)

    elsewhere = list(scan(names, executor=executor, **LOGON))
    here = list(scan(names, **LOGON))
    assert told(elsewhere) == told(here)
    for name in (address(peer), names[-1], ""):
        assert only(elsewhere, name) == only(here, name)


def test_in_asyncio(executor: Executor, peer: SmbServer) -> None:
    async def main() -> int:
        query = scan([address(peer)] * 5, executor=executor, **LOGON)
        return len([report async for report in query if report.error is None])

    assert asyncio.run(main()) == 5


def test_each_is_asked_afresh(executor: Executor, peer: SmbServer) -> None:
    """Equal jobs are not taken for one, nor their results for what is there now."""
    query = scan([address(peer)] * 4, executor=executor, **LOGON)
    first, second = list(query), list(query)
    assert len(first) == len(second) == 4
    assert peer.commands.count(0) == 8  # NEGOTIATE: connections
    assert len({report.collected_at for report in first + second}) > 1


def test_a_wrong_password_is_tried_three_times(executor: Executor) -> None:
    with SmbServer() as peer:
        wrong = {**LOGON, "password": "hunter2"}
        query = scan([address(peer)] * 20, executor=executor, workers=16, **wrong)
        kinds = Counter(type(report.error).__name__ for report in query)
        assert kinds == {"LogonFailed": 3, "NotAsked": 17}
        assert peer.commands.count(1) == 6  # SESSION_SETUP: two a logon
        assert query.stopped is not None
        going = scan([address(peer)] * 5, executor=executor, keep_going=True, **wrong)
        assert {type(report.error).__name__ for report in going} == {"LogonFailed"}


def test_a_late_call_is_aborted(executor: Executor, peer: SmbServer) -> None:
    with SilentServer() as silent:
        (report,) = scan([silent.name], executor=executor, **{**LOGON, "timeout": 3})
        assert isinstance(report.error, CallTimeout)
        (report,) = scan([address(peer)], executor=executor, **LOGON)
        assert report.error is None
        assert silent.wait_until_left() == 1


def test_no_more_jobs_are_under_way_than_there_are_workers(
    executor: Executor, peer: SmbServer
) -> None:
    source = Source(itertools.repeat(address(peer)))
    reports = iter(scan(source, executor=executor, workers=3, **LOGON))
    for read in range(1, 6):
        next(reports)
        assert source.taken <= read + 3 + AHEAD
    reports.close()  # type: ignore[attr-defined]
    taken = source.taken
    threading.Event().wait(0.05)
    assert source.taken <= taken + 1


def test_server_objects_stay_here(executor: Executor) -> None:
    (report,) = scan([simulated_server(3, name="fs01")], executor=executor)
    assert report.server == "fs01"
    assert isinstance(report.error, TypeError)
    assert "executor" in str(report.error)


def test_arrow(executor: Executor, peer: SmbServer) -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table(scan([address(peer)] * 3, executor=executor, **LOGON))
    assert table.column_names[0] == "server"


# -- leaving, and what breaks ----------------------------------------------------------------------


def test_leaving_cancels_and_closes(peer: SmbServer) -> None:
    with SilentServer() as silent, ThreadPoolExecutor(4) as pool:

        def names() -> Iterator[str]:
            yield address(peer)  # the first good logon
            yield from [silent.name] * 4
            silent.wait_until_asked(4)
            yield from [silent.name] * 30

        reports = iter(scan(names(), executor=pool, workers=20, **LOGON))
        next(reports)
        until(lambda: len(silent._taken) == 4)
        reports.close()  # type: ignore[attr-defined]
        assert silent.wait_until_left() == 4
    assert len(silent._taken) == 4  # the others never began; and the pool has ended


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("method", PROCESSES)
def test_a_killed_worker_is_a_report(method: str, peer: SmbServer) -> None:
    with SilentServer() as silent, KINDS[method]() as pool:
        list(scan([address(peer)], executor=pool, **LOGON))  # the workers are there
        (victim, *_) = pool._processes

        def names() -> Iterator[str]:
            yield address(peer)
            yield silent.name
            silent.wait_until_asked()
            os.kill(victim, signal.SIGKILL)
            yield from [address(peer)] * 10

        reports = list(scan(names(), executor=pool, **LOGON))
        assert len(reports) == 12
        failed = [report.error for report in reports if report.error is not None]
        assert failed
        for error in failed:
            assert isinstance(error, NetApiError)
            assert "executor" in str(error)
            assert PASSWORD not in f"{error}{error!r}"
        # What comes to a broken pool is reported too.
        again = list(scan([address(peer)] * 4, executor=pool, **LOGON))
        assert [type(report.error) for report in again] == [NotAsked] * 4


@pytest.mark.parametrize("kind", ["threads", "spawn"])
def test_an_executor_that_was_shut_down(kind: str, peer: SmbServer) -> None:
    pool = KINDS[kind]()
    pool.shutdown()
    reports = list(scan([address(peer)] * 3, executor=pool, **LOGON))
    assert [type(report.error) for report in reports] == [NotAsked] * 3
    assert "executor takes no more" in str(reports[0].error)


class Odd(Executor):
    """Does with a job what it is told."""

    def __init__(self, does: Callable[[Future[Any], Callable[[], Any]], None]) -> None:
        self.jobs: list[Any] = []
        self._does = does

    def submit(self, work: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.jobs.append((work, *arguments))
        self._does(future, lambda: work(*arguments))
        return future


@pytest.mark.parametrize(
    ("does", "kind", "text"),
    [
        (lambda future, work: future.cancel(), NetApiError, "CancelledError"),
        (lambda future, work: future.set_exception(OSError("gone")), NetApiError, "OSError: gone"),
        (lambda future, work: future.set_exception(KeyboardInterrupt()), NetApiError, "Interrupt"),
        (lambda future, work: future.set_result(None), NetApiError, "NoneType"),
        (lambda future, work: future.set_result("nonsense"), NetApiError, "str"),
        (lambda future, work: future.set_result(work()), ServerUnreachable, "refused"),
    ],
)
def test_whatever_an_executor_does_is_a_report(does: Any, kind: type[Exception], text: str) -> None:
    pool = Odd(does)
    reports = list(scan([closed_port()] * 5, executor=pool, **LOGON))
    assert len(reports) == len(pool.jobs) == 5
    for report in reports:
        assert isinstance(report.error, kind)
        assert text in str(report.error)


def test_an_executor_that_takes_nothing() -> None:
    class Closed(Executor):
        def submit(self, *arguments: Any, **options: Any) -> Any:
            raise RuntimeError("full")

    reports = list(scan(["127.0.0.1:1"] * 3, executor=Closed(), **LOGON))
    assert [type(report.error) for report in reports] == [NotAsked] * 3


# -- what is sent ----------------------------------------------------------------------------------


def test_a_job_tells_no_secret() -> None:
    pool = Odd(lambda future, work: future.set_result(work()))
    list(scan([closed_port()], executor=pool, username="alice", password="hunter2"))
    ((work, job),) = pool.jobs
    assert "hunter2" not in f"{work!r}{job!r}{job}"
    assert b"hunter2" in pickle.dumps(job)  # it has to be there: see docs/fleet.md
    assert pickle.loads(pickle.dumps(job)).name == job.name
    assert pickle.dumps(job) != pickle.dumps(_question.Question(job.asking, job.name))


def test_natively_a_worker_leaves_a_stuck_thread_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only on Windows is a name asked natively; here a simulator stands for netapi32.dll."""
    stuck = simulated_server(1)
    stuck.hang(None)

    def made(asking: _question.Asking, name: str, backend: Any = None) -> Any:
        return stuck if name == "stuck" else simulated_server(1)

    monkeypatch.setattr(_question.Asking, "server", made)
    with ThreadPoolExecutor(4) as pool:
        query = scan(["stuck", "well", "well"], executor=pool, timeout=2)
        reports = {report.server: report for report in query}
    assert isinstance(reports["stuck"].error, CallTimeout)
    assert reports["well"].error is None
    assert query.abandoned == 1
    stuck.release()


LEFT_EARLY = """
import sys, threading
sys.path.insert(0, {folder!r})
from concurrent.futures import {pool}
import netsession
from fleet_peers import SilentServer

if __name__ == "__main__":
    with SilentServer() as silent:
        pool = {pool}(2)
        def names():
            yield ""
            yield from [silent.name] * 9
        for report in netsession.scan(names(), username="u", password="p", executor=pool,
                                      timeout={timeout}):
            silent.wait_until_asked()
            break
        pool.shutdown()
        print("left")
"""


@pytest.mark.parametrize(
    ("pool", "timeout"), [("ThreadPoolExecutor", 600), ("ProcessPoolExecutor", 2)]
)
def test_leaving_early_ends_the_program(pool: str, timeout: int, tmp_path: Any) -> None:
    script = tmp_path / "left_early.py"
    folder = os.path.dirname(__file__)
    script.write_text(LEFT_EARLY.format(folder=folder, pool=pool, timeout=timeout))
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stdout) == (0, "left\n"), done.stderr
