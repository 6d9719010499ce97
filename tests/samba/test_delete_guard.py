"""Deletes with odd names on a real smbd, where three users' sessions must stay.

Samba ends everybody's sessions where it finds a client or user empty, so nothing that it may find
empty is ever sent. With a ``unix charset`` other than UTF-8 more names are: tag characters vanish,
and a yen sign is a backslash in CP932.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from typing import Any, Final

import pytest

from ask import server_of
from empty_names import EMPTY_ACCOUNTS, empty_names
from ndr_reference import OPNUM_SESSION_DEL, DeleteRequest, encode_delete_request
from netsession import ConnectionLost, InvalidParameter, NetApiError, Server, _netsession, win32net
from netsession.srvsvc import Call, SrvsvcClient
from sessions import connect, set_up
from smbd import Smbd, User

CHARSETS: Final = ("UTF-8", "CP932")
CLIENT: Final = "\\\\192.0.2.77"  # nobody's: TEST-NET-1
USER: Final = "no such user"

Names = tuple[str | None, str | None]
Delete = Callable[[str | None, str | None], object]


class Place:
    """An smbd with three users' sessions, each on a connection of its own, and what it was sent."""

    def __init__(self, smbd: Smbd) -> None:
        self.smbd = smbd
        self.sent: list[bytes] = []
        self._connections: list[Any] = []
        for user in smbd.others:
            self.arrive(user)

    def arrive(self, user: User) -> None:
        connection = connect(self.smbd)
        self._connections.append(connection)
        set_up(connection, user)

    def leave(self) -> None:
        for connection in self._connections:
            with suppress(Exception):  # smbd may have ended it
                connection.disconnect(close=False)

    def there(self) -> list[str]:
        """Whose sessions there are, the caller's own left out."""
        with server_of(self.smbd) as server:
            users = sorted(str(record.user_name) for record in server.sessions())
        users.remove(self.smbd.admin.name)
        return users


@pytest.fixture(scope="module", params=CHARSETS)
def shared(request: pytest.FixtureRequest, samba_tools: None) -> Iterator[Place]:
    with Smbd({"unix charset": request.param}) as smbd:
        place = Place(smbd)
        yield place
        place.leave()


@pytest.fixture
def place(shared: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Records the deletes that are handed to the wire, whoever asks for them."""
    call = Call.__call__

    def recording(self: Call, opnum: int, stub: bytes) -> bytes:
        if opnum == OPNUM_SESSION_DEL:
            shared.sent.append(stub)
        return call(self, opnum, stub)

    monkeypatch.setattr(Call, "__call__", recording)
    monkeypatch.setattr(win32net, "_server", lambda name: server_of(shared.smbd))
    monkeypatch.setenv("NETSESSION_PASSWORD", shared.smbd.admin.password)
    shared.sent.clear()
    return shared


def client_of(server: Server) -> SrvsvcClient:
    assert server._client is not None
    return server._client


def by_command(place: Place, client: str | None, user: str | None) -> None:
    """The command in this process; ValueError and NetApiError as its exit codes say."""
    pytest.importorskip("rich")
    from netsession.cli import run

    options = [] if client is None else ["--client", client]
    options += [] if user is None else ["--user", user]
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(
            [
                *("delete", place.smbd.host, "--port", str(place.smbd.port), "--yes"),
                *("--auth-user", place.smbd.admin.name, *options),
            ]
        )
    if code == 2:
        raise ValueError(err.getvalue())
    if code:
        raise NetApiError(code, "NetSessionDel", detail=err.getvalue())


def by_encoder(server: Server, client: str | None, user: str | None) -> None:
    """The encoder, and its stub over the wire."""
    stub = _netsession.encode_delete_request("\\\\NSTEST", client, user)
    answer = client_of(server).call(OPNUM_SESSION_DEL, stub)
    status = _netsession.decode_delete_response(answer)
    if status:
        raise NetApiError(status, "NetSessionDel")


def entries(place: Place, server: Server) -> dict[str, Delete]:
    """Every way to a NetSessionDel, by name."""
    return {
        "Server.delete_sessions": lambda c, u: server.delete_sessions(client=c, user=u),
        "win32net.NetSessionDel": lambda c, u: win32net.NetSessionDel("\\\\NSTEST", c, u),
        "_netsession.session_del": lambda c, u: _netsession.session_del(
            client_of(server).call, "\\\\NSTEST", c, u
        ),
        "encode_delete_request": lambda c, u: by_encoder(server, c, u),
        "netsession delete": lambda c, u: by_command(place, c, u),
    }


ENTRIES: Final = (
    "Server.delete_sessions",
    "win32net.NetSessionDel",
    "_netsession.session_del",
    "encode_delete_request",
    "netsession delete",
)


def refused_names(place: Place, count: int) -> Iterator[Names]:
    """Each name as client or user, alone and beside a name that is real."""
    here, user = f"\\\\{place.smbd.host}", place.smbd.others[0].name
    for name in [
        *empty_names(40),
        *empty_names(count)[-(count - 40) :],
        "\U000e0041",
        "\u00a5" * 2,
    ]:
        yield from ((name, None), (name, user), (None, name), (here, name))
    for name in EMPTY_ACCOUNTS:
        yield from ((None, name), (here, name))
    yield from ((here, "x" * 1024), ("\\\\" + "x" * 1022, user), (None, None))


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_may_be_taken_for_everybody_is_never_sent(place: Place, entry: str) -> None:
    before = place.there()
    assert before == sorted(user.name for user in place.smbd.others)
    with server_of(place.smbd) as server:
        delete = entries(place, server)[entry]
        for client, user in refused_names(place, 160 if entry != "netsession delete" else 60):
            with pytest.raises((ValueError, win32net.error)) as caught:
                delete(client, user)
            # A name that is too long gets the error that a server would answer.
            assert isinstance(caught.value, InvalidParameter) or not isinstance(
                caught.value, NetApiError
            )
            if isinstance(caught.value, win32net.error):
                assert caught.value.winerror == 87
    assert place.sent == []
    assert place.there() == before


@pytest.mark.parametrize("entry", ENTRIES)
def test_names_that_are_odd_but_nobodys_end_nothing(place: Place, entry: str) -> None:
    """Something of them is left, so that they may be sent, whatever the server does."""
    before = place.there()
    lists_first = entry in ("Server.delete_sessions", "netsession delete")
    # By the two others each is sent. Who lists first sends none, and win32net logs on for each.
    few = lists_first or entry == "win32net.NetSessionDel"
    names = [name + "zq" for name in empty_names(3000)[-40 :: 10 if few else 1]]
    names += ["\\\\\\\\zq", "zq\\", "127.0.0.1\ud800", "%U", "\\\\-", "\u0300zq", "z" * 1021]
    with server_of(place.smbd) as server:
        delete = entries(place, server)[entry]
        for name in names:
            for client, user in ((name, None), (None, name), (name, USER), (CLIENT, name)):
                if user is not None and user.endswith("\\"):
                    continue
                if entry == "netsession delete" and not {"*", "?"}.isdisjoint(name):
                    with suppress(NetApiError):  # a pattern: that nobody fits it is no error
                        delete(client, user)
                    continue
                # Access denied where nothing matches; a fault where Samba cannot read the name.
                with pytest.raises((NetApiError, win32net.error)) as caught:
                    delete(client, user)
                assert not isinstance(caught.value, ConnectionLost), (client, user)
    if lists_first:
        assert place.sent == []  # they find that nothing matches
    else:
        assert len(place.sent) > (30 if few else 100)
    assert place.there() == before


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_name_that_is_real_ends_exactly_that_one(place: Place, entry: str) -> None:
    """The other side: what is named is ended, and the tests above look at what they should."""
    victim, *others = place.smbd.others
    with server_of(place.smbd) as server:
        entries(place, server)[entry](None, victim.name)
    place.smbd.wait_for_connections(len(others))
    assert place.there() == sorted(user.name for user in others)
    assert len(place.sent) == 1
    place.arrive(victim)
    assert place.there() == sorted(user.name for user in place.smbd.others)


@pytest.mark.parametrize(
    ("charset", "client", "user"),
    [
        ("UTF-8", "\\\\", None),
        ("UTF-8", "\\\\", ""),
        ("CP932", "\u00a5\u00a5", None),
        ("CP932", None, "\U000e0041"),
    ],
)
def test_samba_itself_ends_everybody(
    samba_tools: None, charset: str, client: str | None, user: str | None
) -> None:
    """What the guard is for, sent past it: where this fails, the tests above prove nothing."""
    with Smbd({"unix charset": charset}) as smbd:
        place = Place(smbd)
        assert len(place.there()) == 3
        stub = encode_delete_request(DeleteRequest("\\\\NSTEST", client, user))
        with server_of(smbd) as server, pytest.raises(ConnectionLost):
            client_of(server).call(OPNUM_SESSION_DEL, stub)
        smbd.wait_for_connections(0)
        assert place.there() == []
        place.leave()
        with pytest.raises(ValueError, match="name a client or a user"):
            _netsession.encode_delete_request("\\\\NSTEST", client, user)
