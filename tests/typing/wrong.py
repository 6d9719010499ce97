"""Wrong uses. Behind each is what mypy must call it, and pyright.

Never run. A line without such an end is right.
"""

from __future__ import annotations

from netsession import (
    NetApiError,
    Server,
    SessionInfo0,
    SessionInfo1,
    SessionInfo2,
    SessionPage,
    Sessions,
    Watch,
    scan,
    where,
    win32net,
)


def arguments(server: Server, names: list[str]) -> None:
    Server(17)  # wrong: arg-type, reportArgumentType
    Server("fs01", timeout="60")  # wrong: arg-type, reportArgumentType
    Server("fs01", user="alice")  # wrong: call-arg, reportCallIssue
    server.sessions(1)  # wrong: call-overload, reportCallIssue
    server.sessions(level="1")  # wrong: call-overload, reportArgumentType
    server.sessions(level=1, cient="ws17")  # wrong: call-overload, reportCallIssue
    server.sessions(level=1, client=17)  # wrong: call-overload, reportArgumentType
    server.sessions(where="idle")  # wrong: call-overload, reportArgumentType
    server.session("ws17")  # wrong: call-overload, reportCallIssue
    server.session("ws17", None)  # wrong: call-overload, reportArgumentType
    server.watch(every=None)  # wrong: call-overload, reportArgumentType
    server.watch(page_bytes=4096)  # wrong: call-overload, reportCallIssue
    server.delete_sessions("ws17")  # wrong: call-arg, reportCallIssue
    server.delete_sessions(plan=["ws17"])  # wrong: arg-type, reportArgumentType
    where(idle_for="60")  # wrong: arg-type, reportArgumentType
    scan(server)  # wrong: call-overload, reportArgumentType
    scan(names, errors="ignore")  # wrong: call-overload, reportArgumentType


def levels(server: Server, page: SessionPage[SessionInfo1]) -> None:
    for record in server.sessions(level=0):
        record.user_name.upper()  # wrong: attr-defined, reportAttributeAccessIssue
        record.username  # wrong: attr-defined, reportAttributeAccessIssue
    for named in server.sessions():
        named.user_name.upper()  # wrong: union-attr, reportOptionalMemberAccess
        named.num_opens + 1  # wrong: operator, reportOptionalOperand
    poorer: Sessions[SessionInfo1] = server.sessions(level=1)
    richer: Sessions[SessionInfo2] = poorer  # wrong: assignment, reportAssignmentType
    any_page: SessionPage[int]  # wrong: type-var, reportInvalidTypeArguments
    of_names: SessionPage[SessionInfo0] = page  # wrong: assignment, reportAssignmentType
    page.filter(lambda each: each.opens)  # wrong: attr-defined, reportAttributeAccessIssue
    page.level = 2  # wrong: misc, reportAttributeAccessIssue
    page[0].num_opens = 2  # wrong: misc, reportAttributeAccessIssue
    print(richer, of_names)


def events(watch: Watch[SessionInfo1]) -> None:
    for event in watch:
        event.session.num_opens  # wrong: union-attr, reportOptionalMemberAccess
        event.before  # wrong: union-attr, reportAttributeAccessIssue


def ended(server: Server) -> None:
    for outcome in server.plan_delete(user="alice").outcomes:
        if outcome.what == "lost":  # wrong: comparison-overlap, reportUnnecessaryComparison
            print(outcome)


def failed(error: NetApiError) -> None:
    error.args[0].upper()  # wrong: attr-defined, reportAttributeAccessIssue
    error.server.upper()  # wrong: union-attr, reportOptionalMemberAccess


def as_pywin32() -> None:
    for row in win32net.NetSessionEnum(10):
        row["num_opens"]  # wrong: typeddict-item, reportGeneralTypeIssues
        row["user_name"].upper()  # wrong: union-attr, reportOptionalMemberAccess
    win32net.NetSessionEnum("1")  # wrong: call-overload, reportArgumentType
    win32net.NetSessionGetInfo(1, "fs01")  # wrong: call-overload, reportCallIssue
