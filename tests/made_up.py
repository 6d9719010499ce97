"""The sessions that the simulator makes up, told a second time: what src/simulator.c computes."""

from __future__ import annotations

from collections.abc import Iterator

from netsession import SessionInfo502

_GIVEN = [
    *("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"),
    *("ivan", "judy", "karl", "lena", "mike", "nina", "zoë", "山田"),
]
_MASK = 0xFFFFFFFF


def _mix(value: int) -> int:
    value &= _MASK
    value ^= value >> 16
    value = value * 0x7FEB352D & _MASK
    value ^= value >> 15
    value = value * 0x846CA68B & _MASK
    return value ^ value >> 16


def _client(number: int) -> str:
    kind = number % 8
    if kind in (5, 6):
        return f"\\\\WS{number:05}"
    if kind == 4:
        return f"\\\\[2001:db8::{number & 0xFFFF:x}]"
    return f"\\\\10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _user(index: int) -> str:
    person = _mix(index) % 4096
    if index % 97 == 13:
        return ""
    if index % 101 == 42:
        return "Guest"
    if index % 50 == 7:
        return f"WS{index:05}$"
    return f"{_GIVEN[person % 16]}.{person // 16}"


def session(index: int) -> SessionInfo502:
    """The session of that number, from 0."""
    client = index - 1 if index % 4 == 3 else index
    random = _mix(index + 0x9E3779B9)
    active = (random >> 3) % 864000
    idle = (random >> 7) % (active + 1)
    if index % 1000 == 999:
        active, idle = _MASK, 0
    return SessionInfo502(
        client_name=_client(client),
        user_name=_user(index),
        num_opens=random % 40,
        active_time=active,
        idle_time=idle,
        user_flags=int(_user(index) == "Guest"),
        client_type="Windows 2002 Service Pack 2" if index % 20 == 19 else "",
        transport=(
            "\\Device\\NetBT_Tcpip_{2C9725F4-151A-11DC}"
            if client % 8 in (5, 6)
            else "\\Device\\NetbiosSmb"
        ),
    )


def sessions(count: int) -> Iterator[SessionInfo502]:
    return map(session, range(count))
