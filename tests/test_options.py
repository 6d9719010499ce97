"""What a caller says about a connection is checked before anything is sent."""

from __future__ import annotations

import datetime
import socket
from typing import Any

import pytest

from netsession import Server
from netsession._options import check_level, check_options

SECRET = "Geheimnis-77"
USER = {"username": "u", "password": SECRET}

WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    (
        {"username": "u", "password": SECRET.encode()},
        TypeError,
        "password must be a str, not bytes",
    ),
    ({"username": "u", "password": bytearray(b"x")}, TypeError, "password must be a str"),
    ({"username": "u", "password": 123}, TypeError, "password must be a str or None, not int"),
    ({"username": "u", "password": SECRET + "\0"}, ValueError, "password must not hold a NUL"),
    ({"username": "u", "password": SECRET + "\udcff"}, ValueError, "password .* surrogate"),
    ({"username": b"x", "password": SECRET}, TypeError, "username must be a str, not bytes"),
    ({"username": 5, "password": SECRET}, TypeError, "username must be a str or None, not int"),
    ({"username": "", "password": SECRET}, ValueError, "username must not be empty"),
    ({"password": SECRET}, ValueError, "a password needs a username"),
    ({"port": 445.0}, TypeError, "port must be an int, not float"),
    ({"port": "445"}, TypeError, "port must be an int, not str"),
    ({"port": True}, TypeError, "port must be an int, not bool"),
    ({"port": 0}, ValueError, "port must be between 1 and 65535, not 0"),
    ({"port": 65536}, ValueError, "port must be between 1 and 65535"),
    ({"port": -1}, ValueError, "port must be between 1 and 65535"),
    ({"encrypt": 1}, TypeError, "encrypt must be True or False, not int"),
    ({"encrypt": "no"}, TypeError, "encrypt must be True or False, not str"),
    ({"encrypt": None}, TypeError, "encrypt must be True or False"),
    ({"timeout": "5"}, TypeError, "timeout must be a number of seconds or None, not str"),
    ({"timeout": True}, TypeError, "timeout must be a number"),
    ({"timeout": datetime.timedelta(seconds=5)}, TypeError, r"give timeout\.total_seconds\(\)"),
    ({"timeout": 0}, ValueError, "timeout must be a positive number of seconds, or None"),
    ({"timeout": -1.5}, ValueError, "timeout must be a positive number"),
    ({"timeout": float("nan")}, ValueError, "timeout must be a positive number"),
    ({"timeout": 10**400}, ValueError, "timeout must be a number of seconds that a float can hold"),
    ({"timeout": -(10**5000)}, ValueError, "timeout must be a number of seconds that a float can"),
    ({"max_reply_bytes": 1.5}, TypeError, "max_reply_bytes must be an int, not float"),
    ({"max_reply_bytes": "1M"}, TypeError, "max_reply_bytes must be an int"),
    ({"max_reply_bytes": 0}, ValueError, "max_reply_bytes must be positive, not 0"),
]
IDS = [f"{sorted(options)[0]}-{index}" for index, (options, _, _) in enumerate(WRONG)]


@pytest.mark.parametrize(("options", "kind", "text"), WRONG, ids=IDS)
def test_mistakes_are_named(options: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text) as caught:
        check_options(**options)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(("options", "kind", "text"), WRONG, ids=IDS)
def test_nobody_is_asked(options: dict[str, Any], kind: type[Exception], text: str) -> None:
    """The constructor says it, and nothing has connected to the port that was named."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(kind, match=text) as caught:
            Server("127.0.0.1", **{"port": port, **options})
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
        with pytest.raises(kind, match=text):  # nor does it matter through what one would ask
            Server("127.0.0.1", backend=print, **{"port": port, **options})
    assert type(caught.value) is kind  # not one of ours, which would speak of a server
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"username": "u"},
        USER,
        {"username": "u", "password": ""},
        {"port": 1},
        {"port": 65535},
        {"encrypt": True},
        {"timeout": None},
        {"timeout": 1},
        {"timeout": 0.001},
        {"timeout": 1e9},
        {"timeout": 10**12},
        {"max_reply_bytes": 1},
        {"max_reply_bytes": 1 << 40},
    ],
)
def test_what_is_right_passes(options: dict[str, Any]) -> None:
    check_options(**options)


@pytest.mark.parametrize(
    ("level", "kind"),
    [(True, TypeError), (False, TypeError), ("1", TypeError), (1.0, TypeError), (3, ValueError)],
)
def test_levels(level: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="level must be 0, 1, 2, 10, 502 or None, not"):
        check_level(level)
    server = Server("127.0.0.1", port=1)
    with pytest.raises(kind, match="level must be"):
        server.sessions(level=level)
    with pytest.raises(kind, match="level must be"):
        server.session("c", "u", level=level)
    for right in (None, 0, 1, 2, 10, 502):
        check_level(right)
