"""Carrying out a plan by conditions: what changed since the list, and what servers answer."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

import netsession
from netsession import (
    AccessDenied,
    ConnectionLost,
    DeletePlan,
    SessionInfo1,
    SessionNotFound,
    where,
)
from netsession._plan_where import plan_listed
from netsession.srvsvc.client import Call
from netsession.srvsvc.failures import LinkBrokenError
from scripted import HOUR, Scripted, row

IDLE = where(idle_for=8 * HOUR)
CLOSED = where(no_opens=True)
A, B = "\\\\10.1.2.3", "\\\\10.1.2.4"


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is scripted does not get older, however busy this machine is."""
    for module in ("_plan_where", "_carry_out"):
        monkeypatch.setattr(f"netsession.{module}.time", lambda: 1e9)


def outcomes(plan: DeletePlan) -> list[tuple[str, str]]:
    return [(each.user, each.what) for each in plan.outcomes]


def then(script: Scripted, number: int, change: Callable[[], object]) -> None:
    """Changes something right before the list of that number is answered."""
    script.on_list = lambda at: change() if at == number else None


def carried_out(script: Scripted, conditions: netsession.Where = IDLE) -> DeletePlan:
    server, _ = script.server()
    with server:
        return server.delete_sessions(where=conditions)


# -- looked at again ------------------------------------------------------------------------------


def test_each_pair_is_listed_again_right_before_its_request() -> None:
    script = Scripted(row(A, "alice"), row("\\\\WS1", "bob"), row(A, "carol", 5))
    order: list[str] = []
    script.on_list = lambda number: order.append("list")
    script.on_delete = lambda number: order.append("delete")
    plan = carried_out(script)
    assert order == ["list", "list", "delete", "list", "delete"]
    # An IPv4 address is spelled alike everywhere; a name is not, so the whole list is asked for.
    assert script.listed == [None, A, None]
    assert script.deleted == [(A, "alice"), ("\\\\WS1", "bob")]
    assert outcomes(plan) == [("alice", "ended"), ("bob", "ended")]
    assert [(each.client, each.user) for each in plan.outcomes] == script.deleted
    assert script.rows == [row(A, "carol", 5)]


def test_a_client_that_is_spelled_in_two_ways_is_looked_for_in_the_whole_list() -> None:
    rows = []
    for number in range(8):
        rows += [row(f"\\\\10.1.2.{number}", "alice"), row(f"::ffff:10.1.2.{number}", "alice")]
    script = Scripted(*rows)
    assert {what for _, what in outcomes(carried_out(script))} == {"ended"}
    assert script.listed == [None] * 9
    assert script.rows == []


@pytest.mark.parametrize("filters", [True, False])
def test_who_came_back_to_life_is_not_ended(filters: bool) -> None:
    script = Scripted(row(A, "alice"), row(A, "alice"), row(B, "bob"), filters=filters)
    then(script, 1, lambda: script.rows.__setitem__(1, row(A, "alice", 3)))
    plan = carried_out(script)
    assert outcomes(plan) == [("alice", "left alone"), ("bob", "ended")]
    assert plan.outcomes[0].reason == (
        "is active again: it has 2 sessions, one of which is idle for 3 s only"
    )
    assert script.deleted == [(B, "bob")]


@pytest.mark.parametrize(
    "new",
    [
        row(A, "alice", 0, age=0),
        row(A, "ALICE", 0, age=1),
        row(A, "alice", 9 * HOUR, age=0xFFFFFFFF),
        row(A, "alice"),  # one more, though as old as the other
    ],
)
def test_a_new_session_of_the_pair_that_matches_too_keeps_it(new: SessionInfo1) -> None:
    """The conditions are true of it, but nobody was shown it."""
    script = Scripted(row(A, "alice"))
    then(script, 1, lambda: script.rows.append(new))
    plan = carried_out(script, CLOSED)
    assert outcomes(plan) == [("alice", "left alone")]
    assert "not there when the plan was made" in (plan.outcomes[0].reason or "")
    assert script.deleted == []


def test_a_session_that_was_replaced_is_a_new_one() -> None:
    script = Scripted(row(A, "alice"), row(A, "alice", age=50_000))
    then(script, 1, lambda: script.rows.__setitem__(0, row(A, "alice", 0, age=2)))
    assert outcomes(carried_out(script, CLOSED)) == [("alice", "left alone")]
    assert script.deleted == []


def test_fewer_sessions_of_the_pair_are_no_new_ones() -> None:
    for place in (0, 1):
        script = Scripted(row(A, "alice"), row(A, "alice", age=50_000))
        then(script, 1, lambda place=place, script=script: script.rows.pop(place))
        assert outcomes(carried_out(script, CLOSED)) == [("alice", "ended")]


@pytest.mark.parametrize(
    ("before", "after", "seconds", "what"),
    [
        (100, 1100, 1000, "ended"),
        (100, 1099, 1000, "ended"),  # whole seconds, cut off
        (100, 1098, 1000, "ended"),  # clocks differ
        (100, 1097, 1000, "left alone"),
        (100, 100 + 8 * HOUR - 5, 8 * HOUR, "ended"),
        (100, 5000, 1000, "ended"),  # the server's clock went ahead
        (0xFFFFFFFF, 0, 1, "ended"),  # Samba's -1 while it is young
        (0xFFFFFFFF, 2, 3, "ended"),
        (0xFFFFFFFF, 0, 3, "left alone"),
        (0xFFFFFFFF, 0xFFFFFFFF, 1000, "ended"),  # never known
        (0xFFFFFFFF, 5, 1000, "left alone"),
        (100, 0xFFFFFFFF, 1000, "left alone"),
    ],
)
def test_time_that_passed_tells_old_sessions_from_new_ones(
    before: int, after: int, seconds: int, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Scripted(row(A, "alice", age=before))
    server, _ = script.server()
    with server:
        plan = server.plan_delete(where=CLOSED)
        assert plan.listed_at is not None
        now = plan.listed_at + seconds
        monkeypatch.setattr("netsession._carry_out.time", lambda: now)
        script.rows = [row(A, "alice", age=after)]
        server.delete_sessions(plan=plan)
    assert outcomes(plan) == [("alice", what)]


def test_who_comes_to_the_client_was_not_shown_as_endangered() -> None:
    script = Scripted(row(A, "alice"), row(A, "carol", 5), row(B, "bob"))
    then(script, 1, lambda: script.rows.insert(0, row(A, "dave", 0, age=0)))
    plan = carried_out(script)
    assert outcomes(plan) == [("alice", "left alone"), ("bob", "ended")]
    assert "shares its client by now with dave from 10.1.2.3" in (plan.outcomes[0].reason or "")
    assert [record.user_name for record in plan.endangered] == ["carol"]


def test_who_comes_to_another_client_keeps_nobody() -> None:
    """The whole list is looked at for a name that ends in a dot."""
    script = Scripted(row("\\\\ws1.", "alice"))
    then(script, 1, lambda: script.rows.append(row(B, "dave", 0, age=0)))
    assert outcomes(carried_out(script)) == [("alice", "ended")]


def test_without_the_time_of_its_list_a_plan_tells_nobody_from_who_is_new() -> None:
    script = Scripted(row(A, "alice"))
    server, _ = script.server()
    with server:
        plan = server.plan_delete(where=IDLE)
        plan.listed_at = None
        server.delete_sessions(plan=plan)
    assert outcomes(plan) == [("alice", "left alone")]
    assert "not there when the plan was made" in (plan.outcomes[0].reason or "")
    assert script.deleted == []


def test_conditions_of_a_plan_are_what_where_makes() -> None:
    script = Scripted(row(A, "alice"))
    server, _ = script.server()
    with server:
        plan = server.plan_delete(where=IDLE)
        plan.where = lambda record: True  # type: ignore[assignment]
        with pytest.raises(TypeError, match=r"netsession\.where\(\) did not make"):
            server.delete_sessions(plan=plan)
    assert script.listed == [None]
    assert script.deleted == []


def test_a_name_that_may_be_the_same_comes_meanwhile() -> None:
    script = Scripted(row("\\\\WS1", "ștefan"))
    then(script, 1, lambda: script.rows.append(row("\\\\WS1", "Ștefan", 0)))
    assert outcomes(carried_out(script)) == [("ștefan", "left alone")]
    assert script.deleted == []


@pytest.mark.parametrize(
    ("client", "also"),
    [
        ("\\\\ws1.", "WS1."),
        ("\\\\WS1", "ws1"),
        ("\\\\[2001:db8::5]", "2001:DB8:0::5"),
        ("\\\\[fe80::1%1]", "fe80::1%1"),
        ("\\\\::ffff:10.1.2.3", "10.1.2.3"),
        ("\\\\ș", "\\\\ș"),
    ],
)
def test_a_client_is_found_again_however_it_is_spelled(client: str, also: str) -> None:
    script = Scripted(row(client, "alice"))
    assert outcomes(carried_out(script)) == [("alice", "ended")]
    script = Scripted(row(client, "alice"))
    then(script, 1, lambda: script.rows.append(row(also, "Alice", 5)))
    assert outcomes(carried_out(script)) == [("alice", "left alone")]
    assert script.deleted == []


def test_a_link_that_comes_meanwhile_is_noticed() -> None:
    script = Scripted(row("\\\\[fe80::1%1]", "alice"))
    then(script, 1, lambda: script.rows.append(row("\\\\[fe80::1%2]", "alice", 5)))
    assert outcomes(carried_out(script)) == [("alice", "left alone")]


# -- gone -----------------------------------------------------------------------------------------


def test_who_is_gone_is_not_asked_for() -> None:
    script = Scripted(row(A, "alice"), row(B, "bob"))
    then(script, 1, lambda: script.rows.pop(0))
    assert outcomes(carried_out(script)) == [("alice", "gone"), ("bob", "ended")]
    assert script.deleted == [(B, "bob")]


@pytest.mark.parametrize("status", [0, 5])
def test_who_goes_between_the_look_and_the_request_is_gone(status: int) -> None:
    """Windows answers 2312 then, Samba 5, which it does too where the caller may not end any."""
    script = Scripted(row(A, "alice"), row(B, "bob"))
    script.statuses["alice"] = status

    def go(number: int) -> None:
        if not number:
            script.rows.pop(0)

    script.on_delete = go
    assert outcomes(carried_out(script)) == [("alice", "gone"), ("bob", "ended")]
    assert script.deleted == [(A, "alice"), (B, "bob")]


# -- refused, lost, interrupted -------------------------------------------------------------------

THREE = (row(A, "alice"), row(B, "bob"), row("\\\\10.1.2.5", "carol"))


def failing(
    script: Scripted, end: Callable[..., None] | None = None
) -> tuple[netsession.NetApiError, DeletePlan]:
    """The error and the plan; with ``end``, that instead of what the script does."""
    server, _ = script.server()
    if end is not None:
        server._end = end  # type: ignore[method-assign]
    with server:
        plan = server.plan_delete(where=IDLE)
        with pytest.raises(netsession.NetApiError) as caught:
            server.delete_sessions(plan=plan)
    return caught.value, plan


@pytest.mark.parametrize("status", [5, 87, 50, 1314])
def test_one_refusal_does_not_keep_the_others(status: int) -> None:
    script = Scripted(*THREE)
    script.statuses["bob"] = status
    error, plan = failing(script)
    assert outcomes(plan) == [("alice", "ended"), ("bob", "failed"), ("carol", "ended")]
    assert error.status == status
    assert error.maybe_done  # part of the plan was carried out
    assert "f 3 pairs: 2 ended, 1 failed" in str(error)
    # Only where it may be Samba's answer for nobody is it looked at again.
    assert len(script.listed) == 4 + isinstance(error, AccessDenied)
    kept = plan.outcomes[1].error
    assert kept is not None
    assert (kept.status, kept.maybe_done, kept.__traceback__) == (status, False, None)


def test_where_all_are_refused_nothing_was_done() -> None:
    script = Scripted(*THREE)
    script.statuses = dict.fromkeys(("alice", "bob", "carol"), 5)
    error, plan = failing(script)
    assert isinstance(error, AccessDenied)
    assert not error.maybe_done
    assert {what for _, what in outcomes(plan)} == {"failed"}
    assert "f 3 pairs: 3 failed" in str(error)


def test_where_one_spelling_of_a_pair_was_ended_something_was_done() -> None:
    script = Scripted(row("\\\\[2001:db8::5]", "alice"), row("2001:db8::5", "alice"))
    script.on_delete = lambda number: script.statuses.update(alice=5 * number)
    error, plan = failing(script)
    assert outcomes(plan) == [("alice", "maybe")]
    assert error.maybe_done
    assert "f 1 pairs: 1 maybe" in str(error)
    assert len(script.rows) == 1


def test_a_pair_that_went_after_one_of_its_spellings_was_ended_is_ended() -> None:
    """Samba's answer for nobody says nothing against the request before it."""
    script = Scripted(row("\\\\[2001:db8::5]", "alice"), row("2001:db8::5", "alice"))

    def go(number: int) -> None:
        if number:
            script.statuses["alice"] = 5
            script.rows.clear()

    script.on_delete = go
    assert outcomes(carried_out(script)) == [("alice", "ended")]
    assert len(script.deleted) == 2


def test_a_refusal_that_may_have_done_something_is_not_looked_into() -> None:
    """That nobody is listed any more may be what it has done."""

    def end(call: Any, client: str | None, user: str | None) -> None:
        script.rows.clear()
        error = AccessDenied(5, "NetSessionDel")
        error.maybe_done = True
        raise error

    script = Scripted(row(A, "alice"))
    error, plan = failing(script, end)
    assert isinstance(error, AccessDenied)
    assert outcomes(plan) == [("alice", "maybe")]


def test_of_several_refusals_the_first_is_raised() -> None:
    script = Scripted(*THREE)
    script.statuses = {"alice": 87, "carol": 1314}
    error, plan = failing(script)
    assert error.status == 87
    assert [each.error and each.error.status for each in plan.outcomes] == [87, None, 1314]


def test_not_found_is_no_answer_where_something_may_be_done() -> None:
    """What may have been done may be why nothing is found."""

    def end(call: Any, client: str | None, user: str | None) -> None:
        error = SessionNotFound(2312, "NetSessionDel")
        error.maybe_done = user == "alice"
        raise error

    error, plan = failing(Scripted(*THREE), end)
    assert isinstance(error, SessionNotFound)
    assert error.maybe_done
    assert outcomes(plan) == [("alice", "maybe"), ("bob", "gone"), ("carol", "gone")]


def test_a_refusal_before_the_call_ends_the_whole() -> None:
    """Nobody who is not let in needs to ask again for each pair."""

    def end(call: Any, client: str | None, user: str | None) -> None:
        raise AccessDenied(5, "NetSessionDel", step="logon")

    script = Scripted(*THREE)
    error, plan = failing(script, end)
    assert isinstance(error, AccessDenied)
    assert [what for _, what in outcomes(plan)] == ["failed", "not asked", "not asked"]
    assert len(script.listed) == 2


def lose_the_link(number: int) -> None:
    if number == 1:
        raise LinkBrokenError(64, "the connection was lost")


def test_a_lost_connection_ends_the_whole() -> None:
    script = Scripted(*THREE)
    script.on_delete = lose_the_link
    error, plan = failing(script)
    assert isinstance(error, ConnectionLost)
    assert error.maybe_done
    assert "of 3 pairs: 1 ended, 1 maybe, 1 not asked" in str(error)
    assert outcomes(plan) == [("alice", "ended"), ("bob", "maybe"), ("carol", "not asked")]
    assert script.deleted == [(A, "alice")]


def test_a_list_that_is_refused_by_now_ends_the_whole() -> None:
    script = Scripted(*THREE)
    then(script, 2, lambda: setattr(script, "list_status", 5))
    error, plan = failing(script)
    assert (error.function, error.maybe_done) == ("NetSessionEnum", True)
    assert outcomes(plan) == [("alice", "ended"), ("bob", "not asked"), ("carol", "not asked")]
    assert script.deleted == [(A, "alice")]
    script = Scripted(*THREE)
    then(script, 1, lambda: setattr(script, "list_status", 5))
    error, plan = failing(script)
    assert not error.maybe_done
    assert "of 3 pairs: 3 not asked" in str(error)


def test_close_in_the_middle_sends_nothing_more() -> None:
    script = Scripted(*THREE)
    server, _ = script.server()
    plan = server.plan_delete(where=IDLE)
    then(script, 2, server.close)
    with pytest.raises(ConnectionLost):
        server.delete_sessions(plan=plan)
    server.close()
    assert script.deleted == [(A, "alice")]
    assert outcomes(plan) == [("alice", "ended"), ("bob", "not asked"), ("carol", "not asked")]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, MemoryError])
def test_an_interrupt_says_what_was_done(
    interrupt: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Scripted(*THREE)
    server, _ = script.server()
    end = server._end

    def interrupted(call: Any, client: str | None, user: str | None) -> None:
        if user == "bob":
            raise interrupt
        end(call, client, user)

    monkeypatch.setattr(server, "_end", interrupted)
    with server:
        plan = server.plan_delete(where=IDLE)
        with pytest.raises(interrupt) as caught:
            server.delete_sessions(plan=plan)
    assert outcomes(plan) == [("alice", "ended"), ("bob", "maybe"), ("carol", "not asked")]
    assert "Of 3 pairs: 1 ended, 1 maybe, 1 not asked." in caught.value.__notes__


def test_an_interrupt_before_the_first_request_says_that_nothing_was_asked() -> None:
    def interrupt(number: int) -> None:
        if number:
            raise KeyboardInterrupt

    script = Scripted(*THREE)
    script.on_list = interrupt
    server, _ = script.server()
    with server:
        plan = server.plan_delete(where=IDLE)
        with pytest.raises(KeyboardInterrupt) as caught:
            server.delete_sessions(plan=plan)
    assert {what for _, what in outcomes(plan)} == {"not asked"}
    assert caught.value.__notes__ == ["Of 3 pairs: 3 not asked."]


def test_an_interrupt_while_a_refusal_is_looked_into_says_so() -> None:
    script = Scripted(*THREE)
    script.statuses["bob"] = 5
    server, _ = script.server()
    listed = server.sessions

    def interrupted(**options: Any) -> Any:
        if len(script.deleted) == 2:
            raise KeyboardInterrupt
        return listed(**options)

    with server:
        plan = server.plan_delete(where=IDLE)
        server.sessions = interrupted  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            server.delete_sessions(plan=plan)
    assert outcomes(plan) == [("alice", "ended"), ("bob", "maybe"), ("carol", "not asked")]


def test_each_pair_has_the_time_of_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    renewed: list[int] = []
    renew = Call.renew

    def counted(call: Call) -> None:
        renewed.append(len(script.deleted))
        renew(call)

    script = Scripted(*THREE)
    monkeypatch.setattr(Call, "renew", counted)
    carried_out(script)
    # Once for each pair, and a look takes one for its page; the first is the plan's list.
    assert [renewed.count(number) for number in range(3)] == [3, 2, 2]


# -- whose ----------------------------------------------------------------------------------------


def test_conditions_never_end_the_callers_own_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "ws7.corp.example")
    rows = [row("\\\\WS7", "me"), row("\\\\WS7", "other"), row("\\\\WS8", "me")]
    script = Scripted(*rows)
    server, _ = script.server(username="CORP\\me", password="x")
    with server:
        plan = server.plan_delete(where=IDLE)
    assert plan.targets == [("\\\\WS7", "other"), ("\\\\WS8", "me")]
    assert [str(each) for each in plan.left_alone] == [
        "me from WS7 may be your own session, which conditions never end"
    ]
    # Whose ticket it is is not known: then all from this machine may be.
    monkeypatch.setattr("netsession._caller._logged_on", lambda: None)
    server, _ = Scripted(*rows).server()
    with server:
        assert server.plan_delete(where=IDLE).targets == [("\\\\WS8", "me")]


def test_a_list_of_before_has_no_connection_that_tells_the_own_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Then it is the address on the way to the server."""
    rows = [row("\\\\127.0.0.1", "me"), row("\\\\127.0.0.1", "other"), row(A, "me")]
    server, _ = Scripted().server(username="CORP\\me", password="x")
    monkeypatch.setattr(server, "_resolve", lambda name, call: (frozenset({"127.0.0.1"}), None))
    with server:
        plan = plan_listed(server, rows, 0.0, client=None, user=None, where=IDLE)
    assert plan.targets == [("\\\\127.0.0.1", "other"), (A, "me")]
    assert "may be your own session" in str(plan.left_alone[0])


# -- whatever happens -----------------------------------------------------------------------------

CLIENTS = [A, "10.1.2.3", "::ffff:10.1.2.3", "\\\\WS1", "ws1", "/ws1", "WS1.", "\\\\", "", None]
CLIENTS += ["\\\\[2001:db8::5]", "2001:DB8::5", "\\\\fe80::1%1", "fe80::1%2", "ș", "Ș"]
USERS = ["alice", "ALICE", "CORP\\alice", "OTHER\\alice", "bob$", "a@b", "ștefan", "Ștefan"]
USERS += ["", "*", "\u200b", None]


class Chaos(Scripted):
    """Sessions that come, go and wake up after the first list; what each delete has ended."""

    def __init__(self, random: Random) -> None:
        self.random = random
        super().__init__(*self.some(random.randrange(1, 9)), filters=random.random() < 0.5)
        self.ended: list[SessionInfo1] = []
        self.on_list = self.change

    def some(self, count: int, ages: tuple[int, ...] = (86_400, 50_000, 0xFFFFFFFF)) -> list[Any]:
        choice = self.random.choice
        idle, opens = (9 * HOUR, 5, 0xFFFFFFFF), (0, 0, 2)
        return [
            row(choice(CLIENTS), choice(USERS), choice(idle), opens=choice(opens), age=choice(ages))
            for _ in range(count)
        ]

    def change(self, number: int) -> None:
        what = self.random.randrange(6) if number and self.rows else 6
        place = self.random.randrange(len(self.rows) or 1)
        if what == 0:
            self.rows += self.some(1, (0, 1))
        elif what == 3:  # one more of somebody who is there
            self.rows.append(self.rows[place]._replace(active_time=0))
        elif what == 1:
            self.rows.pop(place)
        elif what == 2:
            self.rows[place] = self.rows[place]._replace(idle_time=3, num_opens=1)

    def _delete(self, client: str | None, user: str | None) -> bytes:
        assert client
        assert user
        before = self.rows
        reply = super()._delete(client, user)
        left = list(self.rows)
        for each in before:
            if each in left:
                left.remove(each)
            else:
                self.ended.append(each)
        return reply


@pytest.mark.parametrize("seed", range(200))
def test_whatever_changes_only_what_was_planned_and_matches_is_ended(seed: int) -> None:
    random = Random(seed)
    conditions = random.choice([IDLE, CLOSED, where(user="*a*", no_opens=True)])
    script = Chaos(random)
    server, _ = script.server()
    with server:
        plan = server.plan_delete(where=conditions)
        server.delete_sessions(plan=plan)
    planned = {(each.client_name, each.user_name) for each in plan.sessions}
    for each in script.ended:
        assert conditions(each)
        assert (each.client_name, each.user_name) in planned
        assert each.active_time not in (0, 1)  # it was there before
