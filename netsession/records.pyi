from datetime import timedelta
from typing import Final, NamedTuple, TypeAlias, TypeVar

from .flags import SessionFlags

__all__ = [
    "SessionInfo",
    "SessionInfo0",
    "SessionInfo1",
    "SessionInfo2",
    "SessionInfo10",
    "SessionInfo502",
]

_Value = TypeVar("_Value")

UNKNOWN_TIME: Final = 0xFFFFFFFF

def bare_client(name: str) -> str: ...
def is_time(field: str) -> bool: ...
def known(field: str, value: _Value) -> _Value | None: ...

# What all have beside their fields, and then, level by level, what the poorer ones lack.

class _Meanings502:
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
    def as_dict(self) -> dict[str, str | int | None]: ...

class _Meanings2(_Meanings502):
    @property
    def transport(self) -> None: ...

class _Meanings1(_Meanings2):
    @property
    def client_type(self) -> None: ...

class _Meanings10(_Meanings1):
    @property
    def num_opens(self) -> None: ...
    @property
    def user_flags(self) -> None: ...

class _Meanings0(_Meanings10):
    @property
    def user_name(self) -> None: ...
    @property
    def active_time(self) -> None: ...
    @property
    def idle_time(self) -> None: ...

class _Fields0(NamedTuple):
    client_name: str | None

class _Fields10(NamedTuple):
    client_name: str | None
    user_name: str | None
    active_time: int
    idle_time: int

class _Fields1(NamedTuple):
    client_name: str | None
    user_name: str | None
    num_opens: int
    active_time: int
    idle_time: int
    user_flags: int

class _Fields2(NamedTuple):
    client_name: str | None
    user_name: str | None
    num_opens: int
    active_time: int
    idle_time: int
    user_flags: int
    client_type: str | None

class _Fields502(NamedTuple):
    client_name: str | None
    user_name: str | None
    num_opens: int
    active_time: int
    idle_time: int
    user_flags: int
    client_type: str | None
    transport: str | None

class SessionInfo0(_Fields0, _Meanings0): ...
class SessionInfo1(_Fields1, _Meanings1): ...
class SessionInfo2(_Fields2, _Meanings2): ...
class SessionInfo10(_Fields10, _Meanings10): ...
class SessionInfo502(_Fields502, _Meanings502): ...

SessionInfo: TypeAlias = SessionInfo0 | SessionInfo1 | SessionInfo2 | SessionInfo10 | SessionInfo502
