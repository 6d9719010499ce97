"""What type checkers know of the public functions; mypy and pyright must accept every line.

Never run. The levels of a test are written out: a checker sees no loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, assert_never, assert_type

from netsession import (
    AmbiguousName,
    DeletePlan,
    KeptSessions,
    NetApiError,
    Scan,
    ScanProgress,
    Server,
    ServerReport,
    SessionChanged,
    SessionClosed,
    SessionFlags,
    SessionInfo,
    SessionInfo0,
    SessionInfo1,
    SessionInfo2,
    SessionInfo10,
    SessionInfo502,
    SessionOpened,
    SessionPage,
    Sessions,
    Watch,
    WatchEvent,
    WatchFailed,
    WatchRecovered,
    scan,
    where,
    win32net,
)
from netsession.win32net import (
    SessionDict0,
    SessionDict1,
    SessionDict2,
    SessionDict10,
    SessionDict502,
)


def sessions(server: Server, level: int, maybe: int | None) -> None:
    assert_type(server.sessions(level=0), Sessions[SessionInfo0])
    assert_type(server.sessions(level=1), Sessions[SessionInfo1])
    assert_type(server.sessions(level=2), Sessions[SessionInfo2])
    assert_type(server.sessions(level=10), Sessions[SessionInfo10])
    assert_type(server.sessions(level=502), Sessions[SessionInfo502])
    assert_type(server.sessions(level=None), Sessions[SessionInfo])
    assert_type(server.sessions(), Sessions[SessionInfo])
    assert_type(server.sessions(level=level), Sessions)
    assert_type(server.sessions(level=maybe), Sessions)
    selected = server.sessions(
        level=1,
        client="ws17",
        user="alice",
        where=where(idle_for=60),
        page_bytes=4096,
        timeout=None,
    )
    assert_type(selected, Sessions[SessionInfo1])


def session(server: Server, level: int) -> None:
    assert_type(server.session("ws17", "alice", level=0), SessionInfo0)
    assert_type(server.session("ws17", "alice", level=1), SessionInfo1)
    assert_type(server.session("ws17", "alice", level=2), SessionInfo2)
    assert_type(server.session("ws17", "alice", level=10), SessionInfo10)
    assert_type(server.session("ws17", "alice", level=502), SessionInfo502)
    assert_type(server.session("ws17", "alice", level=level), SessionInfo)
    assert_type(server.session(client="ws17", user="alice"), SessionInfo)


def watch(server: Server, level: int) -> None:
    assert_type(server.watch(level=0), Watch[SessionInfo0])
    assert_type(server.watch(level=1), Watch[SessionInfo1])
    assert_type(server.watch(level=2), Watch[SessionInfo2])
    assert_type(server.watch(level=10), Watch[SessionInfo10])
    assert_type(server.watch(level=502, every=1), Watch[SessionInfo502])
    assert_type(server.watch(level=level), Watch)
    assert_type(server.watch(every=0.5, user="alice", existing=True), Watch[SessionInfo])


def several(names: list[str], level: int) -> None:
    assert_type(scan(names, level=0), Scan[SessionInfo0])
    assert_type(scan(names, level=1), Scan[SessionInfo1])
    assert_type(scan(names, level=2), Scan[SessionInfo2])
    assert_type(scan(names, level=10), Scan[SessionInfo10])
    assert_type(scan(names, level=502, errors="skip"), Scan[SessionInfo502])
    assert_type(scan(names, level=level), Scan)
    assert_type(scan([*names, Server("fs01")], on_progress=seen), Scan[SessionInfo])


def seen(progress: ScanProgress) -> None:
    assert_type(progress.report, ServerReport | None)
    assert_type(progress.total, int | None)


def records(query: Sessions[SessionInfo1], anything: Sessions) -> None:
    for record in query:
        assert_type(record, SessionInfo1)
        assert_type(record.user_name, str | None)
        assert_type(record.num_opens, int)
        assert_type(record.transport, None)
        assert_type(record.client, str | None)
        assert_type(record.idle, timedelta | None)
        assert_type(record.flags, SessionFlags | None)
        assert_type(record.is_guest, bool | None)
        assert_type(record.as_dict(), dict[str, str | int | None])
        assert_type(record._replace(num_opens=2), SessionInfo1)
        client_name, *_ = record
        assert_type(client_name, str | None)
    for either in anything:
        assert_type(either, SessionInfo)
        assert_type(either.user_name, str | None)
        assert_type(either.num_opens, int | None)
        if isinstance(either, SessionInfo502):
            assert_type(either.num_opens, int)


async def in_asyncio(query: Sessions[SessionInfo2], names: list[str]) -> None:
    async for record in query:
        assert_type(record, SessionInfo2)
    async for report in scan(names, level=2):
        assert_type(report, ServerReport[SessionInfo2])
    async for event in Server("fs01").watch(level=2):
        takes_event(event)
    reports = aiter(scan(names, level=2))
    assert_type(await anext(reports), ServerReport[SessionInfo2])
    await reports.aclose()
    async with aclosing(aiter(query)) as left_early:
        assert_type(await anext(left_early), SessionInfo2)


def pages(query: Sessions[SessionInfo502]) -> Iterator[SessionPage[SessionInfo502]]:
    for page in query.pages():
        assert_type(page, SessionPage[SessionInfo502])
        assert_type(page[0], SessionInfo502)
        assert_type(page[1:], SessionPage[SessionInfo502])
        assert_type(list(reversed(page)), list[SessionInfo502])
        assert_type(page.filter(lambda each: each.num_opens > 3), SessionPage[SessionInfo502])
        assert_type(page.as_level(0), SessionPage[SessionInfo0])
        assert_type(page.as_level(1), SessionPage[SessionInfo1])
        assert_type(page.as_level(2), SessionPage[SessionInfo2])
        assert_type(page.as_level(10), SessionPage[SessionInfo10])
        assert_type(page.as_level(502), SessionPage[SessionInfo502])
        assert_type(page.as_dicts(), list[dict[str, str | int | None]])
        in_order(page)
        yield page


def in_order(some: Sequence[SessionInfo]) -> None:
    print(len(some), some[0])


def reports(of_ten: Scan[SessionInfo10]) -> None:
    for report in of_ten:
        assert_type(report, ServerReport[SessionInfo10])
        assert_type(report.sessions, KeptSessions[SessionInfo10])
        assert_type(report.sessions[0], SessionInfo10)
        assert_type(report.sessions[:2], list[SessionInfo10])
        in_order(report.sessions)
        assert_type(report.error, Exception | None)
    assert_type(of_ten.failures, list[ServerReport[SessionInfo10]])
    early = iter(of_ten)
    assert_type(next(early), ServerReport[SessionInfo10])
    early.close()


def events(watched: Watch[SessionInfo1]) -> None:
    assert_type(watched.sessions, tuple[SessionInfo1, ...])
    assert_type(watched.poll(), list[WatchEvent[SessionInfo1]])
    for event in watched:
        assert_type(event.session, SessionInfo1 | None)
        of_one_level(event)
        takes_event(event)
        if isinstance(event, SessionChanged):
            assert_type(event.before, SessionInfo1)
        elif isinstance(event, (SessionOpened, SessionClosed)):
            assert_type(event.session, SessionInfo1)
        elif isinstance(event, WatchFailed):
            assert_type(event.error, NetApiError)
        else:
            assert_type(event, WatchRecovered)


def matched(watched: Watch[SessionInfo1]) -> None:
    for event in watched:
        match event:
            case SessionOpened(session=session) | SessionClosed(session=session):
                assert_type(session, SessionInfo1)
            case SessionChanged(before=before):
                assert_type(before, SessionInfo1)
            case WatchFailed(error=error):
                assert_type(error, NetApiError)
            case WatchRecovered():
                assert_type(event.session, None)
            case _:
                assert_never(event)


def of_one_level(event: WatchEvent[SessionInfo1]) -> None:
    print(event.session.num_opens if event.session else event)


def takes_event(event: WatchEvent) -> None:
    print(event.at, event.server)


# What takes any level takes each of them.


def takes_any(
    query: Sessions, page: SessionPage, report: ServerReport, record: SessionInfo
) -> None:
    print(query, page, report, record)


def passes_one(report: ServerReport[SessionInfo1], page: SessionPage[SessionInfo1]) -> None:
    takes_any(Server("fs01").sessions(level=1), page, report, page[0])


def ended(server: Server) -> None:
    plan = server.plan_delete(client="ws17", where=where(idle_for=60))
    assert_type(plan, DeletePlan)
    assert_type(plan.sessions, list[SessionInfo])
    assert_type(server.delete_sessions(plan=plan), DeletePlan)
    for outcome in plan.outcomes:
        match outcome.what:
            case "ended" | "gone" | "left alone" | "not asked":
                assert_type(outcome.reason, str | None)
            case "failed" | "maybe":
                assert_type(outcome.error, NetApiError | None)
            case _:
                assert_never(outcome.what)


def failed(error: NetApiError, ambiguous: AmbiguousName, theirs: win32net.error) -> None:
    assert_type(error.args, tuple[int, str, str | None])
    assert_type(error.status, int)
    assert_type(ambiguous.args[1], str)
    assert_type(ambiguous.candidates, tuple[str, ...])
    assert_type(theirs.args, tuple[int, str, str])
    assert_type(theirs.maybe_done, bool)


def as_pywin32(level: int) -> None:
    assert_type(win32net.NetSessionEnum(0), list[SessionDict0])
    assert_type(win32net.NetSessionEnum(1, "fs01"), list[SessionDict1])
    assert_type(win32net.NetSessionEnum(2, None, "\\\\ws17"), list[SessionDict2])
    assert_type(win32net.NetSessionEnum(10, username="alice"), list[SessionDict10])
    assert_type(win32net.NetSessionEnum(level=502), list[SessionDict502])
    assert_type(win32net.NetSessionEnum(level), list[Any])
    one = "fs01", "\\\\ws17", "alice"
    assert_type(win32net.NetSessionGetInfo(0, *one), SessionDict0)
    assert_type(win32net.NetSessionGetInfo(1, *one), SessionDict1)
    assert_type(win32net.NetSessionGetInfo(2, *one), SessionDict2)
    assert_type(win32net.NetSessionGetInfo(10, *one), SessionDict10)
    assert_type(win32net.NetSessionGetInfo(502, *one), SessionDict502)
    assert_type(win32net.NetSessionGetInfo(level, *one), Any)


def rows(row: SessionDict502) -> tuple[SessionDict0, int]:
    assert_type(row["client_type"], str | None)
    return row, row["idle_time"]
