"""Ending by conditions: which pairs, which not and why, and what changed before each request."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import netsession
from netsession import AccessDenied, AmbiguousName, DeletePlan, SessionNotFound, where
from netsession._plan_where import check_names, plan_listed
from scripted import HOUR, Scripted, row

IDLE = where(idle_for=8 * HOUR)
A, B = "\\\\10.1.2.3", "\\\\10.1.2.4"


def outcomes(plan: DeletePlan) -> list[tuple[str, str]]:
    return [(each.user, each.what) for each in plan.outcomes]


def reasons(plan: DeletePlan) -> list[str]:
    return [str(each) for each in plan.left_alone]


def planned(*rows: Any, conditions: netsession.Where = IDLE, **names: str) -> DeletePlan:
    server, _ = Scripted(*rows).server()
    with server:
        return server.plan_delete(where=conditions, **names)


# -- which pairs ----------------------------------------------------------------------------------


def test_a_pair_is_ended_where_all_of_its_sessions_match() -> None:
    plan = planned(row(A, "alice"), row(A, "alice", 10 * HOUR), row(A, "bob", 5))
    assert plan.targets == [(A, "alice")]
    assert [record.user_name for record in plan.sessions] == ["alice", "alice"]
    assert plan.left_alone == []
    assert (plan.where, plan.listed, plan.server) == (IDLE, True, "fake")


def test_one_that_does_not_match_keeps_the_others() -> None:
    plan = planned(row(A, "alice"), row(A, "alice", 5))
    assert plan.targets == []
    assert reasons(plan) == [
        "alice from 10.1.2.3 has 2 sessions, one of which is idle for 5 s only"
    ]
    assert len(plan.left_alone[0].sessions) == 2


def test_another_client_or_user_is_another_pair() -> None:
    plan = planned(row(A, "alice"), row("\\\\10.1.2.4", "alice", 5), row(A, "alicia", 5))
    assert plan.targets == [(A, "alice")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((A, "alice"), (A, "ALICE")),
        ((A, "zoë"), (A, "ZOË")),
        (("\\\\WS1", "alice"), ("ws1", "alice")),
        (("\\\\[2001:db8::5]", "alice"), ("2001:DB8:0::5", "alice")),
        (("10.1.2.3", "alice"), ("\\\\::ffff:10.1.2.3", "alice")),
        (("\\\\2001-db8--5.ipv6-literal.net", "alice"), ("2001:db8::5", "alice")),
    ],
)
def test_spellings_that_a_server_may_take_for_one_are_one_pair(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    plan = planned(row(*one), row(*other, 5))
    assert plan.targets == []
    assert "has 2 sessions, one of which is idle for 5 s only" in reasons(plan)[0]


def test_a_client_is_named_as_it_is_listed() -> None:
    assert planned(row("\\\\x1", "a"), row("x2", "a")).targets == [("\\\\x1", "a"), ("\\\\x2", "a")]


def test_two_accounts_of_one_name_are_two_pairs() -> None:
    plan = planned(row(A, "CORP\\alice"), row(A, "OTHER\\alice", 5), row(A, "alice", 5))
    assert plan.targets == [(A, "CORP\\alice")]


def test_each_spelling_of_an_address_is_named_once() -> None:
    plan = planned(
        row("\\\\[2001:db8::5]", "alice"), row("2001:db8::5", "Alice"), row("2001:DB8::5", "alice")
    )
    assert plan.targets == [("\\\\[2001:db8::5]", "alice"), ("\\\\2001:db8::5", "alice")]


@pytest.mark.parametrize(
    ("client", "user", "why"),
    [
        (A, "", "without a user name"),
        (A, None, "without a user name"),
        ("", "alice", "without a client name"),
        (None, "alice", "without a client name"),
        ("\\\\", "alice", "without a client name"),
        ("\\\\/WS1", "alice", "begins with what is no part of names"),
        ("\\\\*", "alice", "client must be a computer name"),
        (A, "*", "user must be the name of a user"),
        (A, "CORP\\", "user must be the name of a user"),
        (A, "\u200b", "user must be the name of a user"),
        (A, "x" * 1024, "at most 1023"),
    ],
)
def test_what_cannot_be_named_is_left_alone_and_keeps_nobody_else(
    client: str | None, user: str | None, why: str
) -> None:
    plan = planned(row(client, user), row("\\\\WS1", "bob"))
    assert plan.targets == [("\\\\WS1", "bob")]
    reason = plan.left_alone[0].reason
    assert why in reason
    assert ";" not in reason  # what else might be asked for is nothing to whom it is told


def test_without_names_each_is_left_alone_by_itself() -> None:
    plan = planned(
        row(A, None), row("\\\\WS1", None), row(A, ""), row(None, None), row(None, "bob")
    )
    assert plan.targets == []
    assert [(each.client, each.user, len(each.sessions)) for each in plan.left_alone] == [
        (A, None, 1),
        ("\\\\WS1", None, 1),
        (A, "", 1),
        (None, None, 1),
        (None, "bob", 1),
    ]


def test_without_a_client_s_name_it_is_nobody_else_s_pair() -> None:
    for nameless in ("", None, "\\\\"):
        plan = planned(row(nameless, "bob"), row("\\\\x", "bob"))
        assert plan.targets == [("\\\\x", "bob")]
        assert [each.client for each in plan.left_alone] == [nameless]


def test_names_that_are_one_to_some_servers_only_are_left_alone() -> None:
    """Whichever is named, the server may end the other one."""
    for other in (row(A, "Ștefan"), row(A, "Ștefan", 5)):
        plan = planned(row(A, "ștefan"), other)
        assert plan.targets == []
        assert "may be the same to the server as Ștefan from 10.1.2.3" in reasons(plan)[0]
    assert planned(row(A, "ștefan")).targets == [(A, "ștefan")]
    assert planned(row(A, "șț"), row(A, "Șț")).targets == []
    assert planned(row("\\\\ș", "bob"), row("\\\\Ș", "bob")).targets == []


def test_a_link_local_address_on_two_links_is_left_alone() -> None:
    plan = planned(row("\\\\[fe80::1%1]", "alice"), row("\\\\[fe80::1%2]", "alice"))
    assert plan.targets == []
    assert "several links" in reasons(plan)[0]


@pytest.mark.parametrize(
    ("conditions", "session", "why"),
    [
        (where(idle_for=60), {"idle": 59}, "is idle for 59 s only"),
        (where(idle_for=60), {"idle": 0xFFFFFFFF}, "has an idle time that is not known"),
        (where(active_for=60), {"age": 0xFFFFFFFF}, "has an age that is not known"),
        (where(active_for=9 * HOUR), {"age": 8 * HOUR}, "has been there for 8 h only"),
        (where(no_opens=True), {"opens": 1}, "has 1 open"),
        (where(min_opens=2), {"opens": 1}, "has 1 open only"),
    ],
)
def test_says_what_does_not_match(
    conditions: netsession.Where, session: dict[str, int], why: str
) -> None:
    matching = row(A, "alice", opens=2 if "min" in repr(conditions) else 0)
    other = row(**{"client": A, "user": "alice", **session})  # type: ignore[arg-type]
    plan = planned(matching, other, conditions=conditions)
    assert reasons(plan) == [f"alice from 10.1.2.3 has 2 sessions, one of which {why}"]
    assert planned(other, conditions=conditions).left_alone == []


def test_who_shares_a_client_is_endangered() -> None:
    plan = planned(
        row(A, "alice"), row(A, "bob", 5), row("\\\\10.1.2.4", "carol", 5), row(A, ""), row(A, "al")
    )
    assert [user for _, user in plan.targets] == ["alice", "al"]
    assert [record.user_name for record in plan.endangered] == ["bob", ""]


def test_one_that_may_be_one_s_own_keeps_its_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of its sessions that is."""
    rows = [row(A, "me"), row(A, "me", age=5), row(A, "other")]
    own = lambda server, call: lambda record: record.active_time == 5  # noqa: E731
    monkeypatch.setattr("netsession._plan_where.OwnSession", own)
    plan = planned(*rows)
    assert plan.targets == [(A, "other")]
    assert reasons(plan) == ["me from 10.1.2.3 may be your own session, which conditions never end"]


def test_nothing_that_matches_is_no_error() -> None:
    plan = planned(row(A, "alice", 5))
    assert (plan.targets, plan.sessions, plan.left_alone, plan.endangered) == ([], [], [], [])
    server, _ = Scripted(row(A, "alice", 5)).server()
    with server:
        assert server.delete_sessions(plan=server.plan_delete(where=IDLE)).outcomes == []


# -- names beside conditions ----------------------------------------------------------------------


def test_names_and_patterns_choose_among_what_matches() -> None:
    rows = [row(A, "svc-a"), row(A, "svc-b", 5), row(A, "alice"), row("\\\\WS1", "svc-c")]
    for plan in (planned(*rows, user="alice"), planned(*rows, conditions=where(user="al*"))):
        assert plan.targets == [(A, "alice")]
        assert plan.left_alone == []  # nobody else is meant, whatever else is true of them
    assert planned(*rows, client="10.1.2.3").targets == [(A, "svc-a"), (A, "alice")]
    pattern = where(user="svc-*", idle_for=8 * HOUR)
    assert planned(*rows, conditions=pattern).targets == [(A, "svc-a"), ("\\\\WS1", "svc-c")]
    assert planned(*rows, conditions=where(user="SVC-?")).targets == [
        (A, "svc-a"),
        (A, "svc-b"),
        ("\\\\WS1", "svc-c"),
    ]


def test_a_name_that_is_two_accounts_is_refused_as_without_conditions() -> None:
    rows = [row(A, "CORP\\alice"), row(A, "OTHER\\alice", 5)]
    for names in ({"user": "alice"}, {"conditions": where(user=["alice", "bob"], idle_for=60)}):
        with pytest.raises(AmbiguousName) as caught:
            planned(*rows, **names)  # type: ignore[arg-type]
        assert caught.value.candidates == ("CORP\\alice", "OTHER\\alice")
        assert caught.value.server == "fake"
    assert planned(*rows, user="CORP\\alice").targets == [(A, "CORP\\alice")]
    assert len(planned(*rows, conditions=where(user="*\\alice")).targets) == 2


def test_several_names_are_each_meant() -> None:
    rows = [row(A, "CORP\\alice"), row(A, "bob"), row(A, "carol")]
    plan = planned(*rows, conditions=where(user=["zoe", "alice", "bob", "x*"]))
    assert plan.targets == [(A, "CORP\\alice"), (A, "bob")]
    plan = planned(row(A, "alice"), row(B, "bob"), conditions=where(client=["x", "10.1.2.4"]))
    assert plan.targets == [(B, "bob")]


@pytest.mark.parametrize(
    ("typed", "listed"),
    [("fe80::1", ["\\\\[fe80::1%1]", "\\\\[fe80::1%2]"]), ("ștef", ["\\\\Ștef"])],
)
def test_a_client_that_is_not_one_for_certain_is_refused_as_without_conditions(
    typed: str, listed: list[str]
) -> None:
    """One address on two links is two machines, whoever is listed there."""
    rows = [row(client, user) for client, user in zip(listed, ("alice", "bob"), strict=False)]
    for names in ({"client": typed}, {"conditions": where(client=["x", typed], idle_for=60)}):
        with pytest.raises(AmbiguousName) as caught:
            planned(*rows, **names)  # type: ignore[arg-type]
        assert caught.value.candidates == tuple(
            client.lstrip("\\").strip("[]") for client in listed
        )
        assert caught.value.server == "fake"


def test_a_pattern_of_clients_may_mean_several() -> None:
    rows = [row("\\\\[fe80::1%1]", "alice"), row("\\\\[fe80::1%2]", "bob")]
    plan = planned(*rows, conditions=where(client="fe80:*", idle_for=60))
    assert [user for _, user in plan.targets] == ["alice", "bob"]


def test_who_names_a_domain_means_the_account_in_it() -> None:
    rows = [row(A, "alice"), row(A, "CORP\\alice")]
    assert planned(*rows, user="CORP\\alice").targets == [(A, "CORP\\alice")]
    assert planned(*rows, user=".\\alice").targets == [(A, "alice")]


def test_a_plan_knows_the_names_as_they_were_typed() -> None:
    plan = planned(row(A, "alice"), client="10.1.2.3", user="ALICE")
    assert (plan.client, plan.user) == ("10.1.2.3", "ALICE")
    plan = planned(row(A, "alice"))
    assert (plan.client, plan.user) == (None, None)


def test_names_are_looked_up_within_the_time_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    asked: dict[str, Any] = {}
    server, _ = Scripted().server()
    begin = server._begin_one

    def begun(function: str) -> Any:
        calls.append(begin(function))
        return calls[-1]

    def resolve(name: str, call: Any) -> tuple[frozenset[str], None]:
        asked[name] = call
        return frozenset({"10.1.2.3"}), None

    monkeypatch.setattr(server, "_begin_one", begun)
    monkeypatch.setattr(server, "_resolve", resolve)
    with server:
        plan = plan_listed(server, [row(A, "alice")], 0.0, client="WS1", user=None, where=IDLE)
    assert (plan.targets, plan.addresses) == ([(A, "alice")], ("10.1.2.3",))
    assert [asked["WS1"]] == calls


def test_a_name_of_nobody_is_not_found() -> None:
    for names in ({"user": "carol"}, {"client": "WS9"}, {"user": "alice", "client": "WS9"}):
        with pytest.raises(SessionNotFound) as caught:
            planned(row(A, "alice"), **names)
        assert caught.value.function == "NetSessionDel"
    assert planned(row(A, "alice", 5), user="alice").targets == []
    assert planned(row(A, "alice"), conditions=where(user="x*")).targets == []


def test_a_name_that_fits_only_perhaps_is_left_alone() -> None:
    for idle, others in ((5, []), (9 * HOUR, ["Ștefan"])):
        plan = planned(row(A, "Ștefan", idle), conditions=where(user="ștef*", idle_for=60))
        assert plan.targets == []
        assert [each.user for each in plan.left_alone] == others
    assert "may be meant or not" in reasons(plan)[0]


def test_one_of_a_pair_that_would_match_is_told_of() -> None:
    rows = [row(A, "Ștefan", 9 * HOUR), row(A, "Ștefan", 5)]
    plan = planned(*rows, conditions=where(user="ștef*", idle_for=60))
    assert plan.targets == []
    assert [len(each.sessions) for each in plan.left_alone] == [2]


def test_a_client_that_fits_only_perhaps_is_left_alone() -> None:
    for user in ({}, {"user": "b*"}):
        conditions = where(client="ștef*", idle_for=60, **user)  # type: ignore[arg-type]
        plan = planned(row("\\\\Ștef-pc", "bob"), conditions=conditions)
        assert plan.targets == []
        assert "may be meant or not" in reasons(plan)[0]


def test_who_fits_perhaps_is_somebody() -> None:
    """So nobody is told that the name is not found."""
    conditions = where(user="ștef*", idle_for=60)
    plan = planned(row(A, "Ștefan"), conditions=conditions, client="10.1.2.3")
    assert plan.targets == []
    assert [each.user for each in plan.left_alone] == ["Ștefan"]


@pytest.mark.parametrize(
    "everyone",
    [
        {},
        {"idle_for": 0},
        {"active_for": 0.0},
        {"min_opens": 0},
        {"exclude_self": True},
        {"exclude_machine_accounts": True, "exclude_self": True},
    ],
)
def test_conditions_that_leave_nobody_out_are_refused(everyone: dict[str, Any]) -> None:
    script = Scripted(row(A, "alice"))
    server, _ = script.server()
    with server:
        for ask in (server.plan_delete, server.delete_sessions):
            with pytest.raises(ValueError, match="ending every session of a server is never done"):
                ask(where=where(**everyone))
    assert (script.listed, script.deleted) == ([], [])
    for names in ({"user": "alice"}, {"client": "10.1.2.3"}):
        assert planned(row(A, "alice"), conditions=where(), **names).targets == [(A, "alice")]


@pytest.mark.parametrize(
    "some",
    [
        {"client": "10.*"},
        {"user": "al*"},
        {"idle_for": 1},
        {"active_for": 1},
        {"no_opens": True},
    ],
)
def test_each_condition_alone_chooses(some: dict[str, Any]) -> None:
    assert planned(row(A, "alice"), conditions=where(**some)).targets == [(A, "alice")]


def test_what_is_open_alone_chooses() -> None:
    found = planned(row(A, "alice"), row(B, "bob", opens=1), conditions=where(min_opens=1))
    assert found.targets == [(B, "bob")]


@pytest.mark.parametrize("name", ["*", "**", "?*", " * ", "[*]", "*,?", "\u200b*", "*.*"])
def test_a_pattern_of_nothing_is_refused(name: str) -> None:
    script = Scripted(row(A, "alice"))
    server, _ = script.server()
    with server:
        for conditions in (where(user=name, idle_for=60), where(client=["a", name], idle_for=60)):
            with pytest.raises(ValueError, match="nothing is left of it"):
                server.plan_delete(where=conditions)
    assert script.listed == []


@pytest.mark.parametrize(
    "name", ["CORP\\*", "CORP+*", "*@corp.example", "?*@corp", "*@*", "*\\*@?"]
)
def test_everybody_of_a_domain_is_refused(name: str) -> None:
    """Which also means whoever is listed without a domain: often that is everybody."""
    script = Scripted(row(A, "alice"))
    server, _ = script.server()
    with server, pytest.raises(ValueError, match="nothing is left of it without domain"):
        server.plan_delete(where=where(user=name))
    assert script.listed == []


def test_conditions_are_what_where_makes() -> None:
    server, _ = Scripted(row(A, "alice")).server()
    with server:
        for wrong in (lambda record: True, {"idle_for": 3}, "idle"):
            with pytest.raises(TypeError, match="where must be"):
                server.plan_delete(where=wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="or plan="):
            server.delete_sessions(where=IDLE, plan=DeletePlan(None, "a", [(None, "a")], []))


# -- the list -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [5, 124, 50])
def test_where_listing_is_refused_nothing_is_sent(status: int) -> None:
    script = Scripted(row(A, "alice"))
    script.list_status = status
    server, _ = script.server()
    with server, pytest.raises(netsession.NetApiError) as caught:
        server.delete_sessions(user="alice", where=IDLE)
    assert caught.value.status == status
    assert not caught.value.maybe_done
    assert "nding by conditions needs the list, with client_name, idle_time" in str(caught.value)
    assert (caught.value.detail or "").endswith("; nothing was done")
    assert script.deleted == []


def test_a_refused_list_keeps_its_own_words_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_query: Any, _call: Any) -> Any:
        raise AccessDenied(5, "NetSessionEnum", detail="closed")

    monkeypatch.setattr("netsession._plan_where._Pages", refuse)
    with pytest.raises(AccessDenied) as caught:
        planned()
    needed = "ending by conditions needs the list, with client_name, idle_time, user_name"
    assert caught.value.detail == f"closed; {needed}; nothing was done"


def test_levels_without_what_the_conditions_look_at_are_not_asked() -> None:
    from netsession.testing import simulated_server

    sessions = [{"client_name": A, "user_name": "alice", "idle_time": 9 * HOUR}]
    for conditions, levels in ((IDLE, [502, 2, 1, 10]), (where(no_opens=True), [502, 2, 1])):
        server = simulated_server(sessions)
        for level in levels:
            server.refuse(level, 5)
        with pytest.raises(AccessDenied, match="needs the list"):
            server.plan_delete(where=conditions)
        server.refuse(levels[-1], 0)
        assert server.plan_delete(where=conditions).targets == [(A, "alice")]


def test_a_list_of_before_must_tell_what_the_conditions_look_at() -> None:
    script = Scripted()
    server, _ = script.server()
    short = [netsession.SessionInfo10(A, "alice", 0, 9 * HOUR)]
    with server:
        found = plan_listed(server, short, 5.0, client=None, user=None, where=IDLE)
        assert (found.targets, found.listed_at) == ([(A, "alice")], 5.0)
        with pytest.raises(AccessDenied, match="list, with num_opens; nothing was done") as caught:
            plan_listed(server, short, 5.0, client=None, user=None, where=where(no_opens=True))
    told = caught.value
    assert (told.status, told.function, told.server) == (5, "NetSessionEnum", "fake")
    assert script.listed == []


def test_names_are_checked_without_asking() -> None:
    script = Scripted(row(A, "alice"))
    server, _ = script.server()
    with server:
        check_names(server, "WS*", "alice", IDLE)
        for names in (("*", None), (None, "*"), ("\\\\", None), (None, "CORP\\")):
            with pytest.raises(ValueError, match=r"client|user"):
                check_names(server, *names, IDLE)
        with pytest.raises(ValueError, match="never done"):
            check_names(server, None, None, where())
    assert script.listed == []


# -- plans ----------------------------------------------------------------------------------------


def test_a_plan_travels_and_can_be_carried_out_elsewhere() -> None:
    script = Scripted(row(A, "alice"), row(A, "alice", 5), row(A, "bob"))
    server, _ = script.server()
    with server:
        plan = server.plan_delete(where=IDLE)
        again = pickle.loads(pickle.dumps(plan))
        for name in ("targets", "sessions", "where", "left_alone", "endangered", "listed_at"):
            assert getattr(again, name) == getattr(plan, name), name
        assert server.delete_sessions(plan=again) is again
    assert outcomes(pickle.loads(pickle.dumps(again))) == [("bob", "ended")]
    assert script.deleted == [(A, "bob")]


def test_plans_of_before_still_load() -> None:
    old = DeletePlan(None, "a", [(None, "a")], [], (), True, "fs01")
    assert (old.where, old.left_alone, old.endangered, old.outcomes) == (None, [], [], [])


@pytest.mark.parametrize(
    "target",
    [(None, "alice"), (A, None), (A, "bob"), ("\\\\10.9.9.9", "alice"), (A, ""), ("", "alice"), A],
)
def test_a_plan_by_conditions_sends_only_what_it_shows(target: Any) -> None:
    script = Scripted(row(A, "alice"), row(A, "bob", 5))
    server, _ = script.server()
    with server:
        plan = server.plan_delete(where=IDLE)
        plan.targets.append(target)
        with pytest.raises((ValueError, TypeError)):
            server.delete_sessions(plan=plan)
    assert script.deleted == []


@pytest.mark.parametrize("names", [(A, None), (None, "bob"), (A, ""), ("", "bob")])
def test_a_plan_by_conditions_never_means_anybody(names: Any) -> None:
    """Not even where it shows a session without a name."""
    script = Scripted(row(A, "alice"), row(*names))
    server, _ = script.server()
    with server:
        plan = server.plan_delete(where=IDLE)
        plan.targets.append(names)
        plan.sessions.append(row(*names))
        with pytest.raises(ValueError, match=r"any name|nothing is left of it"):
            server.delete_sessions(plan=plan)
    assert script.deleted == []
