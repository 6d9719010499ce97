"""Checks of what a caller says about a connection, before anything is asked of anyone.

Whatever is wrong is a TypeError or ValueError that names the argument and says what it should be.
No text holds the value of a password.
"""

from __future__ import annotations

from ._secret import hidden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LEVELS = (0, 1, 2, 10, 502)
_LEVEL_NAMES = "0, 1, 2, 10, 502"


def check_options(
    *,
    username: Any = None,
    password: Any = None,
    port: Any = None,
    encrypt: Any = False,
    timeout: Any = None,
    max_reply_bytes: Any = None,
) -> None:
    """Raises TypeError or ValueError for what cannot be an option of a connection.

    Args:
        username, password: str or None; a password needs a username, and may be a Secret already.
        port: int from 1 to 65535, or None for the default.
        encrypt: bool.
        timeout: int or float above 0, in seconds, or None for no limit.
        max_reply_bytes: int above 0, or None for the default.
    """
    password = hidden(password)
    _check(_fault_of_text(username, "username"))
    # Not raised in there: a frame that is raised from shows the value to some tools.
    _check(None if password is None else _fault_of_text(password.reveal(), "password"))
    if password is not None and username is None:
        raise ValueError("a password needs a username")
    if username == "":
        raise ValueError("username must not be empty; leave it out for the caller's own")
    if port is not None:
        check_int(port, "port")
        if not 0 < port < 65536:
            raise ValueError(f"port must be between 1 and 65535, not {port}")
    if not isinstance(encrypt, bool):
        raise TypeError(f"encrypt must be True or False, not {_kind(encrypt)}")
    if timeout is not None:
        check_timeout(timeout)
    if max_reply_bytes is not None:
        check_int(max_reply_bytes, "max_reply_bytes")
        if max_reply_bytes <= 0:
            raise ValueError(f"max_reply_bytes must be positive, not {max_reply_bytes}")


def check_timeout(timeout: Any) -> None:
    """Raises TypeError or ValueError for what is no number of seconds; None is for the caller."""
    if hasattr(timeout, "total_seconds"):
        raise TypeError(
            f"timeout must be a number of seconds, not {_kind(timeout)}: "
            "give timeout.total_seconds()"
        )
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds or None, not {_kind(timeout)}")
    try:
        float(timeout)
    except OverflowError:
        raise ValueError(
            "timeout must be a number of seconds that a float can hold, or None for no limit"
        ) from None
    # NaN compares false with everything.
    if not timeout > 0:
        raise ValueError(
            f"timeout must be a positive number of seconds, or None for no limit, not {timeout}"
        )


def check_level(level: Any) -> None:
    """Raises TypeError or ValueError for what is neither None nor an information level."""
    if level is None:
        return
    if isinstance(level, bool) or not isinstance(level, int):
        raise TypeError(f"level must be {_LEVEL_NAMES} or None, not {_kind(level)}")
    if level not in _LEVELS:
        raise ValueError(f"level must be {_LEVEL_NAMES} or None, not {level}")


def _check(fault: Exception | None) -> None:
    if fault is not None:
        raise fault


def _fault_of_text(value: Any, name: str) -> Exception | None:
    """What is wrong with it, not raised."""
    if isinstance(value, (bytes, bytearray)):
        return TypeError(f"{name} must be a str, not {_kind(value)}: decode it first")
    if value is not None and not isinstance(value, str):
        return TypeError(f"{name} must be a str or None, not {_kind(value)}")
    if "\0" in (value or ""):
        return ValueError(f"{name} must not hold a NUL character")
    if any("\ud800" <= letter <= "\udfff" for letter in value or ""):
        return ValueError(f"{name} must not hold half of a surrogate pair")
    return None


def check_int(value: Any, name: str) -> None:
    """Raises TypeError for what is no int; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {_kind(value)}")


def _kind(value: object) -> str:
    return type(value).__name__
