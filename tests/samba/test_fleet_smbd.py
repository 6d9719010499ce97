"""Scans of a real smbd: what is listed, wrong passwords, and what is left behind of connections."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from netsession import CallTimeout, ScanProgress, Server, scan
from sessions import open_sessions
from smbd import PATIENCE, Smbd


@pytest.fixture
def smbd() -> Iterator[Smbd]:
    """An smbd of the test's own, for exact counts."""
    with Smbd() as smbd:
        yield smbd


def name_of(smbd: Smbd) -> str:
    return f"{smbd.host}:{smbd.port}"


def admin(smbd: Smbd) -> dict[str, Any]:
    """Who asks, with the time that a busy machine may take."""
    return {"username": smbd.admin.name, "password": smbd.admin.password, "timeout": PATIENCE}


def test_reports_are_what_the_server_lists(smbd: Smbd) -> None:
    with open_sessions(smbd, smbd.others * 2):
        with Server(smbd.host, port=smbd.port, **admin(smbd)) as server:
            wanted = Counter(record.user_name for record in server.sessions())
        smbd.wait_for_connections(1)
        (report,) = scan([name_of(smbd)], **admin(smbd))
        assert report.error is None
        assert report.level == 1
        assert Counter(record.user_name for record in report.sessions) == wanted
        (one,) = scan([name_of(smbd)], user=smbd.others[0].name, **admin(smbd))
        assert [record.user_name for record in one.sessions] == [smbd.others[0].name] * 2
    smbd.wait_for_connections(0)


def test_many_at_a_time_and_no_connection_stays(smbd: Smbd) -> None:
    reports = list(scan([name_of(smbd)] * 60, workers=16, **admin(smbd)))
    assert [report.error for report in reports] == [None] * 60
    smbd.wait_for_connections(0)


def test_a_wrong_password_is_tried_three_times(smbd: Smbd) -> None:
    query = scan(
        [name_of(smbd)] * 100, workers=32, username=smbd.admin.name, password="hunter2", timeout=600
    )
    kinds = Counter(type(report.error).__name__ for report in query)
    assert kinds == {"LogonFailed": 3, "NotAsked": 97}
    assert query.stopped is not None
    assert smbd.admin.name in query.stopped
    assert "hunter2" not in query.stopped


def test_users_who_may_not_list_have_logged_on_all_the_same(smbd: Smbd) -> None:
    user = smbd.others[0]
    options = {**admin(smbd), "username": user.name, "password": user.password}
    query = scan([name_of(smbd)] * 20, **options)
    assert {type(report.error).__name__ for report in query} == {"AccessDenied"}
    assert query.stopped is None


def test_a_server_that_is_stopped_delays_nobody(smbd: Smbd) -> None:
    with Smbd() as other:
        # Both must have the account: the password is the other's to know.
        other.set_password(smbd.admin)
        other.stop()
        seen = []
        names = [name_of(other), *[name_of(smbd)] * 10]
        for report in scan(names, workers=4, **admin(smbd)):
            seen.append(report)
            if len(seen) == 10:
                other.cont()
    assert [report.error for report in seen] == [None] * 11
    assert seen[10].server == name_of(other)


def test_a_server_that_is_stopped_is_too_late_alone(smbd: Smbd) -> None:
    with Smbd() as other:
        other.stop()
        options = {**admin(other), "timeout": 2}
        with Server(other.host, port=other.port, **options) as late:
            reports = list(scan([late, *[name_of(smbd)] * 10], workers=4, **admin(smbd)))
        other.cont()
    errors = [report.error for report in reports if report.error is not None]
    assert len(reports) == 11
    assert [type(error) for error in errors] == [CallTimeout]


def test_leaving_closes_all_connections(smbd: Smbd) -> None:
    told: list[ScanProgress] = []
    query = scan(itertools.repeat(name_of(smbd)), on_progress=told.append, **admin(smbd))
    for _ in itertools.islice(query, 5):
        pass
    smbd.wait_for_connections(0)
    assert told[-1].listed == 5


def test_cancelling_closes_all_connections(smbd: Smbd) -> None:
    async def main() -> None:
        async def read() -> None:
            async for _ in scan(itertools.repeat(name_of(smbd)), **admin(smbd)):
                read_some.set()

        read_some = asyncio.Event()
        task = asyncio.create_task(read())
        await read_some.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    smbd.wait_for_connections(0)


def test_one_arrow_stream(smbd: Smbd) -> None:
    pa = pytest.importorskip("pyarrow")
    with open_sessions(smbd, smbd.others):
        table = pa.table(scan([name_of(smbd)], errors="skip", **admin(smbd)))
    assert set(table["user_name"].to_pylist()) == {user.name for user in smbd.users}
    assert set(table["level"].to_pylist()) == {1}
    assert set(table["transport"].to_pylist()) == {None}
