"""Nothing may leave this machine as a delete that a server could take for everybody's."""

from __future__ import annotations

import contextlib
import random
import re
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from cli_process import only_line, run_here
from empty_names import EMPTY_ACCOUNTS, INVISIBLE, LOOK_ALIKES, SEPARATORS, empty_names
from netsession import InvalidParameter, _netsession, win32net
from netsession._simulator import Simulator
from netsession.testing import SimulatedServer

UnsafeDeleteError = _netsession.UnsafeDeleteError
Simulate = Callable[..., tuple[SimulatedServer, Simulator]]


def never(opnum: int, stub: bytes) -> bytes:
    raise AssertionError(f"sent: {stub!r}")


@pytest.mark.parametrize("other", [None, "alice"])
def test_every_name_that_is_empty(other: str | None) -> None:
    """Where the other name is fine too: more would end than was named."""
    for name in empty_names(5000):
        with pytest.raises(UnsafeDeleteError, match=r"^client .*name a client or a user"):
            _netsession.encode_delete_request("srv", name, other)
        with pytest.raises(UnsafeDeleteError, match=r"^client "):
            _netsession.session_del(never, "srv", name, other)
        with pytest.raises(UnsafeDeleteError, match=r"^user .*name a client or a user"):
            _netsession.encode_delete_request("srv", other and "\\\\ws1", name)
        with pytest.raises(UnsafeDeleteError, match=r"^user "):
            _netsession.session_del(never, "srv", other and "\\\\ws1", name)


@pytest.mark.parametrize("account", EMPTY_ACCOUNTS)
def test_an_account_that_is_empty_behind_its_domain(account: str) -> None:
    with pytest.raises(UnsafeDeleteError, match=r"^user "):
        _netsession.encode_delete_request(None, "\\\\ws1", account)


@pytest.mark.parametrize("letter", ["a", "9", "é", "山", "\U0001f600", "$", "-", "_"])
def test_one_letter_among_them_is_a_name(letter: str) -> None:
    draw = random.Random(letter)
    for name in empty_names(2000):
        at = draw.randint(0, len(name))
        named = name[:at] + letter + name[at:]
        assert _netsession.encode_delete_request(None, named, None)
        *_, account = re.split(f"[{re.escape(SEPARATORS)}]", named)
        if letter in account:
            assert _netsession.encode_delete_request(None, None, named)


def is_sent(client: str) -> bool:
    with contextlib.suppress(UnsafeDeleteError):
        return bool(_netsession.encode_delete_request(None, client, None))
    return False


def test_what_is_the_same_as_nothing_is_nothing() -> None:
    """To whom compatible characters are one: full-width and small ones, those for vertical text."""
    for character in map(chr, range(1, sys.maxunicode + 1)):
        same = unicodedata.normalize("NFKC", character)
        if same != character and not any(map(is_sent, same)):
            assert not is_sent(character), ascii(character)


def test_every_letter_number_and_currency_alone_is_a_name() -> None:
    """But for those that are shown as nothing, or that some character sets read as something else;
    of scripts around which there are none of those, ideographs and Hangul, the first only."""
    empty = {*INVISIBLE, *LOOK_ALIKES, "\ufe73", "\uffe5", "\uffe6"}
    named = 0
    for character in map(chr, (*range(1, 0x3500), *range(0xF900, 0x10000))):
        category = unicodedata.category(character)
        if (category[0] in "LN" or category == "Sc") and character not in empty:
            assert _netsession.encode_delete_request(None, character, None)
            named += 1
    assert named > 5000


def test_naming_neither() -> None:
    for call in (
        lambda: _netsession.encode_delete_request("srv", None, None),
        lambda: _netsession.session_del(never, "srv", None, None),
    ):
        with pytest.raises(UnsafeDeleteError, match=r"client=, user="):
            call()


@pytest.mark.parametrize("character", ["x", "\U0001f600"])
@pytest.mark.parametrize("argument", ["client", "user"])
def test_names_that_are_too_long(argument: str, character: str) -> None:
    """[MS-SRVS] 3.1.4.6: 1,024 UTF-16 units with the terminator."""
    units = len(character.encode("utf-16-le")) // 2
    names: dict[str, Any] = {"client": None, "user": None}
    longest = character * (1023 // units)
    longest += "x" * (1023 - len(longest) * units)
    names[argument] = longest
    assert _netsession.encode_delete_request(None, **names)
    names[argument] = longest + "x"
    says = f"{argument.capitalize()} must be at most 1023"
    with pytest.raises(ValueError, match=says):
        _netsession.encode_delete_request(None, **names)
    with pytest.raises(InvalidParameter, match=says) as caught:
        _netsession.session_del(never, "srv", **names)
    assert (caught.value.status, caught.value.server) == (87, "srv")


def test_nothing_reaches_the_table_of_functions(simulate: Simulate) -> None:
    """A capsule's functions are called as netapi32.dll's are."""
    server, simulator = simulate(20)
    for name in empty_names(400):
        for client, user in ((name, None), (None, name), (name, "alice"), ("\\\\WS1", name)):
            with pytest.raises(UnsafeDeleteError):
                _netsession.session_del(simulator.netapi, None, client, user)
            with pytest.raises(ValueError, match=r"client|user"):
                server.delete_sessions(client=client, user=user)
    assert simulator.calls("NetSessionDel") == 0
    assert simulator.count == 20


def test_win32net_says_87(simulate: Simulate, monkeypatch: pytest.MonkeyPatch) -> None:
    server, simulator = simulate(20)
    monkeypatch.setattr(win32net, "_server", lambda name: server)
    for name in [*empty_names(400), "x" * 1024]:
        for names in ((name,), (None, name), (name, "alice"), ("\\\\WS1", name), ("", "alice")):
            with pytest.raises(win32net.error) as caught:
                win32net.NetSessionDel("\\\\fs01", *names)
            assert caught.value.args[:2] == (87, "NetSessionDel")
            assert caught.value.strerror.startswith("ERROR_INVALID_PARAMETER. ")
    with pytest.raises(win32net.error):
        win32net.NetSessionDel()
    with pytest.raises(ValueError, match="client must not contain a NUL"):
        win32net.NetSessionDel(None, "\\\\\0")
    assert simulator.calls("NetSessionDel") == 0


def test_the_command_says_so_before_it_asks_a_password() -> None:
    pytest.importorskip("rich")
    server = ("fs01", "--auth-user", "me", "--password-file", "/no/such/file")
    for name in ["\\\\", " ", "*", "[]", "\u200b", "\u00a5\u00a5", "\U000e0041"]:
        for option in ("--client", "--user"):
            result = run_here("delete", *server, option, name, "--yes")
            assert result.code == 2, (result, name)
            assert option.lstrip("-") in only_line(result)
            assert not result.out
