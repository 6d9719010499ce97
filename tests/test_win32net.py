"""netsession.win32net on the simulator; beside pywin32 itself in tests/windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from made_up import session, sessions
from netsession import win32net
from netsession._simulator import Simulator
from netsession.testing import SimulatedServer


@pytest.fixture
def simulator(
    simulate: Callable[..., tuple[SimulatedServer, Simulator]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Simulator]:
    server, simulator = simulate(50, 20)
    asked: list[str | None] = []

    def find(name: str | None) -> SimulatedServer:
        asked.append(name)
        return server

    monkeypatch.setattr(win32net, "_server", find)
    yield simulator
    assert set(asked) <= {None, "\\\\fs01"}


@pytest.mark.parametrize("level", [0, 1, 2, 10, 502])
def test_enum(simulator: Simulator, level: int) -> None:
    found = win32net.NetSessionEnum(level, "\\\\fs01")
    assert type(found) is list
    keys = list(found[0])
    assert found == [{key: getattr(s, key) for key in keys} for s in sessions(50)]
    assert simulator.calls("NetSessionEnum") == 3
    assert type(found[0]) is dict


def test_keys_are_in_pywin32s_order(simulator: Simulator) -> None:
    assert list(win32net.NetSessionEnum(502)[0]) == [
        "client_name",
        "user_name",
        "num_opens",
        "active_time",
        "idle_time",
        "user_flags",
        "client_type",
        "transport",
    ]


def test_filters_and_keywords(simulator: Simulator) -> None:
    wanted = session(2)
    assert win32net.NetSessionEnum(
        level=10, server=None, client=wanted.client_name, username=wanted.user_name
    ) == win32net.NetSessionEnum(10, None, wanted.client_name, wanted.user_name)
    assert len(win32net.NetSessionEnum(0, None, wanted.client_name)) == 2


@pytest.mark.parametrize("level", [0, 1, 2, 10])
def test_get_info(simulator: Simulator, level: int) -> None:
    wanted = session(5)
    found = win32net.NetSessionGetInfo(level, "\\\\fs01", "\\\\WS00005", "zoë.83")
    assert found == {key: getattr(wanted, key) for key in found}


def test_del(simulator: Simulator) -> None:
    assert win32net.NetSessionDel("\\\\fs01", "\\\\WS00005") is None
    assert win32net.NetSessionDel(username=session(0).user_name) is None
    assert simulator.count == 48


@pytest.mark.parametrize(
    ("call", "function", "status"),
    [
        (lambda: win32net.NetSessionEnum(1, None, "WS00005"), "NetSessionEnum", 2351),
        (lambda: win32net.NetSessionEnum(1, None, "\\\\x"), "NetSessionEnum", 2312),
        (lambda: win32net.NetSessionEnum(1, None, None, "x"), "NetSessionEnum", 2221),
        (
            lambda: win32net.NetSessionGetInfo(502, None, "\\\\WS00005", "zoë.83"),
            "NetSessionGetInfo",
            124,
        ),
        (lambda: win32net.NetSessionGetInfo(1, None, "\\\\x", "y"), "NetSessionGetInfo", 2312),
        (lambda: win32net.NetSessionDel(None, "\\\\x"), "NetSessionDel", 2312),
        (lambda: win32net.NetSessionDel(None, "", ""), "NetSessionDel", 87),
        (lambda: win32net.NetSessionDel(), "NetSessionDel", 87),
    ],
)
def test_errors_have_pywin32s_shape(
    simulator: Simulator, call: Callable[[], Any], function: str, status: int
) -> None:
    with pytest.raises(win32net.error) as caught:
        call()
    code, name, text = caught.value.args
    assert (code, name) == (status, function)
    assert isinstance(text, str)
    assert text
    assert caught.value.winerror == status
    assert caught.value.funcname == function
    assert caught.value.strerror == text


def test_del_with_neither_is_never_sent(simulator: Simulator) -> None:
    with pytest.raises(win32net.error):
        win32net.NetSessionDel(None, None, None)
    assert simulator.calls("NetSessionDel") == 0


@pytest.mark.parametrize("function", ["NetSessionEnum", "NetSessionGetInfo"])
def test_other_levels(simulator: Simulator, function: str) -> None:
    with pytest.raises(ValueError, match=f"Invalid level for {function}"):
        getattr(win32net, function)(3, None, "c", "u")


@pytest.mark.parametrize("level", ["502", None, 1.0])
@pytest.mark.parametrize("function", ["NetSessionEnum", "NetSessionGetInfo"])
def test_a_level_is_a_number(simulator: Simulator, function: str, level: Any) -> None:
    with pytest.raises(TypeError, match="level must be an int"):
        getattr(win32net, function)(level, None, "c", "u")


@pytest.mark.parametrize("names", [("\\\\c", None), (None, "u")])
def test_get_info_needs_both_names(simulator: Simulator, names: tuple[Any, Any]) -> None:
    with pytest.raises(TypeError, match="must be a str"):
        win32net.NetSessionGetInfo(1, None, *names)


def test_numbers_are_unsigned(simulator: Simulator) -> None:
    simulator.add("c", "u", 0xFFFFFFFF, 0x80000000, 1, 0, None, None)
    last = win32net.NetSessionEnum(502)[-1]
    assert (last["num_opens"], last["active_time"], last["transport"]) == (
        0xFFFFFFFF,
        0x80000000,
        None,
    )


@pytest.mark.parametrize("name", ["FS01\\\\data", "me@fs01", "fs01 "])
def test_a_name_that_is_none_is_the_servers_error(name: str) -> None:
    """As in pywin32, where Windows says so: ERROR_INVALID_NAME."""
    for function in (
        lambda: win32net.NetSessionEnum(10, name),
        lambda: win32net.NetSessionGetInfo(10, name, "\\\\c", "u"),
        lambda: win32net.NetSessionDel(name, None, "u"),
    ):
        with pytest.raises(win32net.error) as caught:
            function()
        assert caught.value.winerror == 123


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (124, "Ask for another level (Samba grants 0 and 1)"),
        (2221, "No session of that user; list the sessions without username="),
        (
            1460,
            "Raise timeout=, or check the network to the server (arguments of netsession.Server)",
        ),
        (5, "The server wants the caller to be a member"),
    ],
)
def test_advice_is_in_the_words_of_these_functions(
    simulator: Simulator, status: int, told: str
) -> None:
    simulator.fail("NetSessionEnum", status)
    with pytest.raises(win32net.error) as caught:
        win32net.NetSessionEnum(10)
    assert told in caught.value.strerror
    assert "level=None" not in caught.value.strerror


@pytest.mark.parametrize("level", [0, 1, 2, 10, 502])
def test_dicts_are_what_their_types_say(simulator: Simulator, level: int) -> None:
    said = getattr(win32net, f"SessionDict{level}")
    assert said.__optional_keys__ == frozenset()
    for row in win32net.NetSessionEnum(level, "\\\\fs01"):
        assert row.keys() == said.__required_keys__
        for key, value in row.items():
            is_text = key in ("client_name", "user_name", "client_type", "transport")
            assert isinstance(value, (str, type(None)) if is_text else int)


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match="SessionDict3"):
        win32net.SessionDict3  # type: ignore[attr-defined]  # noqa: B018
