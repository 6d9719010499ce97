from datetime import timedelta
from enum import IntFlag
from typing import NamedTuple, TypeAlias

__all__ = [
    "SessionFlags",
    "SessionInfo",
    "SessionInfo0",
    "SessionInfo1",
    "SessionInfo2",
    "SessionInfo10",
    "SessionInfo502",
]

class SessionFlags(IntFlag):
    GUEST = 1
    NOENCRYPTION = 2

def bare_client(name: str) -> str: ...

class SessionInfo0(NamedTuple):
    client_name: str | None
    @property
    def user_name(self) -> None: ...
    @property
    def num_opens(self) -> None: ...
    @property
    def active_time(self) -> None: ...
    @property
    def idle_time(self) -> None: ...
    @property
    def user_flags(self) -> None: ...
    @property
    def client_type(self) -> None: ...
    @property
    def transport(self) -> None: ...
    @property
    def client(self) -> str | None: ...
    @property
    def active(self) -> timedelta | None: ...
    @property
    def idle(self) -> timedelta | None: ...
    @property
    def flags(self) -> SessionFlags | None: ...
    @property
    def is_guest(self) -> bool | None: ...

class SessionInfo1(NamedTuple):
    client_name: str | None
    user_name: str | None
    num_opens: int
    active_time: int
    idle_time: int
    user_flags: int
    @property
    def client_type(self) -> None: ...
    @property
    def transport(self) -> None: ...
    @property
    def client(self) -> str | None: ...
    @property
    def active(self) -> timedelta | None: ...
    @property
    def idle(self) -> timedelta | None: ...
    @property
    def flags(self) -> SessionFlags | None: ...
    @property
    def is_guest(self) -> bool | None: ...

class SessionInfo2(NamedTuple):
    client_name: str | None
    user_name: str | None
    num_opens: int
    active_time: int
    idle_time: int
    user_flags: int
    client_type: str | None
    @property
    def transport(self) -> None: ...
    @property
    def client(self) -> str | None: ...
    @property
    def active(self) -> timedelta | None: ...
    @property
    def idle(self) -> timedelta | None: ...
    @property
    def flags(self) -> SessionFlags | None: ...
    @property
    def is_guest(self) -> bool | None: ...

class SessionInfo10(NamedTuple):
    client_name: str | None
    user_name: str | None
    active_time: int
    idle_time: int
    @property
    def num_opens(self) -> None: ...
    @property
    def user_flags(self) -> None: ...
    @property
    def client_type(self) -> None: ...
    @property
    def transport(self) -> None: ...
    @property
    def client(self) -> str | None: ...
    @property
    def active(self) -> timedelta | None: ...
    @property
    def idle(self) -> timedelta | None: ...
    @property
    def flags(self) -> SessionFlags | None: ...
    @property
    def is_guest(self) -> bool | None: ...

class SessionInfo502(NamedTuple):
    client_name: str | None
    user_name: str | None
    num_opens: int
    active_time: int
    idle_time: int
    user_flags: int
    client_type: str | None
    transport: str | None
    @property
    def client(self) -> str | None: ...
    @property
    def active(self) -> timedelta | None: ...
    @property
    def idle(self) -> timedelta | None: ...
    @property
    def flags(self) -> SessionFlags | None: ...
    @property
    def is_guest(self) -> bool | None: ...

SessionInfo: TypeAlias = SessionInfo0 | SessionInfo1 | SessionInfo2 | SessionInfo10 | SessionInfo502
