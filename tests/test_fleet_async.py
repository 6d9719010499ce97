"""Scans in asyncio: the same reports, on the running loop, which is never kept waiting."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fleet_peers import AGES, PATIENCE, GatedServer, SilentServer, Source, over_smb, until
from netsession import NotAsked, ScanProgress, ServerReport, _crew, scan
from netsession.testing import SimulatedServer, simulated_fleet

AHEAD = _crew._AHEAD


def fleet(n: int, **options: Any) -> list[SimulatedServer]:
    return simulated_fleet(n, sessions=2, **options)


async def read(query: Any) -> list[ServerReport]:
    return [report async for report in query]


def test_as_many_reports_as_servers() -> None:
    servers = fleet(100, denied=10)
    query = scan(servers, workers=7)
    reports = asyncio.run(read(query))
    assert sorted(report.server for report in reports) == [server.name for server in servers]
    assert len(query.failures) == 10
    assert len(list(query)) == len(asyncio.run(read(query))) == 100  # afresh, either way


def test_the_loop_goes_on_while_servers_are_asked() -> None:
    slow = GatedServer("slow")

    async def main() -> list[str]:
        seen = []
        async for report in scan([slow, *fleet(3)]):
            seen.append(report.server)
            if len(seen) == 3:  # the loop opens it while it waits: else that would be for ever
                asyncio.get_running_loop().call_soon(slow.gate.set)
        return seen

    assert asyncio.run(main())[-1] == "slow"


def test_a_slow_iterable_does_not_block_the_loop() -> None:
    more = threading.Event()

    def names() -> Iterator[Any]:
        yield from fleet(2)
        assert more.wait(PATIENCE)
        yield from fleet(1)

    async def main() -> int:
        asyncio.get_running_loop().call_later(0.1, more.set)
        return len(await read(scan(names())))

    assert asyncio.run(main()) == 3


def test_it_is_not_done_by_the_default_executor() -> None:
    class NoExecutor(ThreadPoolExecutor):
        def submit(self, *arguments: Any, **options: Any) -> Any:
            raise AssertionError("used")

    async def main() -> int:
        asyncio.get_running_loop().set_default_executor(NoExecutor())
        return len(await read(scan(fleet(5))))

    assert asyncio.run(main()) == 5


def test_progress_is_told_in_the_loop_s_thread() -> None:
    threads = set()
    told: list[ScanProgress] = []

    def on_progress(progress: ScanProgress) -> None:
        threads.add(threading.get_ident())
        asyncio.get_running_loop()
        told.append(progress)

    asyncio.run(read(scan(fleet(5), on_progress=on_progress)))
    assert threads == {threading.get_ident()}
    assert [each.done for each in told] == list(range(6))


def test_what_progress_raises_ends_it() -> None:
    source = Source(itertools.cycle(fleet(3)))

    def on_progress(progress: ScanProgress) -> None:
        if progress.done == 4:
            raise ZeroDivisionError("of the caller's")

    with pytest.raises(ZeroDivisionError, match="of the caller's"):
        asyncio.run(read(scan(source, on_progress=on_progress, workers=2)))
    assert source.taken <= 4 + 2 + AHEAD


def test_what_the_iterable_raises() -> None:
    def names() -> Iterator[Any]:
        yield from fleet(3)
        raise LookupError("the list is broken")

    seen = []

    async def main() -> None:
        async for report in scan(names()):
            seen.append(report)

    with pytest.raises(LookupError, match="the list is broken"):
        asyncio.run(main())
    assert len(seen) == 3


def test_a_slow_reader_keeps_servers_from_being_taken() -> None:
    source = Source(itertools.cycle(fleet(3)))

    async def main() -> None:
        reports = aiter(scan(source, workers=4))
        await anext(reports)
        await asyncio.sleep(0.1)
        assert source.taken <= 1 + 4 + AHEAD
        await reports.aclose()

    asyncio.run(main())


# -- leaving ---------------------------------------------------------------------------------------


def waiting_for(silent: SilentServer, count: int) -> Iterator[Any]:
    yield from [silent.name] * count
    silent.wait_until_asked(count)
    yield from fleet(1)


@over_smb
@pytest.mark.parametrize("how", ["cancel", "break", "aclose", "timeout", "exception"])
def test_leaving_closes_all_connections(how: str) -> None:
    with SilentServer() as silent:
        reached = asyncio.Event()

        async def consume() -> None:
            query = scan(waiting_for(silent, 5), username="u", password="p", timeout=AGES)
            reports = aiter(query)
            async for _report in reports:
                reached.set()
                if how == "break":
                    break
                if how == "aclose":
                    await reports.aclose()
                    break
                if how == "exception":
                    raise ZeroDivisionError

        async def main() -> None:
            if how == "timeout":
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(consume(), 1)
                return
            task = asyncio.create_task(consume())
            await reached.wait()
            if how == "cancel":
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            elif how == "exception":
                with pytest.raises(ZeroDivisionError):
                    await task
            else:
                await task

        asyncio.run(main())
        gc.collect()
        assert silent.wait_until_left() == 5


def test_a_loop_that_ends_leaves() -> None:
    """Whoever stops the loop with the iteration in the air."""
    source = Source(itertools.cycle(fleet(3)))
    loop = asyncio.new_event_loop()
    reports = aiter(scan(source, workers=2))
    loop.run_until_complete(anext(reports))
    loop.close()
    del reports
    gc.collect()
    taken = source.taken
    threading.Event().wait(0.1)
    assert source.taken <= taken + 1


def test_after_it_was_left_it_is_over() -> None:
    async def main() -> None:
        reports = aiter(scan(fleet(20)))
        assert (await anext(reports)).error is None
        await reports.aclose()
        await reports.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(reports)
        unbegun = aiter(scan(fleet(1)))
        await unbegun.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(unbegun)

    asyncio.run(main())


def test_stuck_threads_do_not_keep_the_loop() -> None:
    servers = [*fleet(2, dead=2, dead_latency=None), *fleet(2)]
    query = scan(servers, timeout=2)
    kinds = Counter(type(report.error).__name__ for report in asyncio.run(read(query)))
    assert kinds == {"NoneType": 2, "CallTimeout": 2}
    assert query.abandoned == 2
    for server in servers:
        server.release()
    until(lambda: query.abandoned == 0)


def test_two_tasks_may_not_wait_for_one_iteration() -> None:
    slow = GatedServer("slow")

    async def main() -> None:
        reports = aiter(scan([slow]))
        first = asyncio.ensure_future(anext(reports))
        await asyncio.sleep(0.01)
        with pytest.raises(RuntimeError, match="another task"):
            await anext(reports)
        slow.gate.set()
        assert (await first).error is None

    asyncio.run(main())


def test_several_at_once_and_nested() -> None:
    query = scan(fleet(20), workers=3)

    async def nested() -> list[int]:
        return [len(await read(scan(fleet(3)))) async for _ in scan(fleet(4))]

    async def main() -> None:
        all_of_them = await asyncio.gather(read(query), read(query), read(scan(fleet(30))))
        assert [len(each) for each in all_of_them] == [20, 20, 30]
        assert await nested() == [3] * 4

    asyncio.run(main())


def test_refused_logons_stop_it() -> None:
    servers = fleet(30)
    for server in servers:
        server.fail("NetSessionEnum", 1326)
    query = scan(servers, timeout=AGES)
    reports = asyncio.run(read(query))
    assert sum(isinstance(report.error, NotAsked) for report in reports) == 27
    assert query.stopped is not None
