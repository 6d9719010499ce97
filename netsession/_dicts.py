"""The dicts of ``win32net``, level by level. Apart: ``typing`` is slow to import.

In the order of what they have, not of their numbers: a richer one can be used as a poorer one.
"""

from __future__ import annotations

from typing import TypedDict


class SessionDict0(TypedDict):
    """A session at level 0: ``client_name``."""

    client_name: str | None


class SessionDict10(SessionDict0):
    """A session at level 10: names, and times in seconds."""

    user_name: str | None
    active_time: int
    idle_time: int


class SessionDict1(SessionDict10):
    """A session at level 1: names, open files, times in seconds, SESS_* flags."""

    num_opens: int
    user_flags: int


class SessionDict2(SessionDict1):
    """A session at level 2: level 1 and the client's type (often an empty string)."""

    client_type: str | None


class SessionDict502(SessionDict2):
    """A session at level 502: level 2 and the transport's device name."""

    transport: str | None
