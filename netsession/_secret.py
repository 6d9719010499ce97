"""A password that is told only where it is asked for."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Secret", "hidden"]


class Secret:
    """What prints as ``<password>``, since there are tools that show the variables of frames.

    So no frame of ours has it as a str where anything can be raised. Pickles hold it: the jobs of
    an executor have to log on.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def reveal(self) -> Any:
        """What it hides: a str, once it was checked."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "<password>"


def hidden(password: Any) -> Secret | None:
    """A password as a Secret, None where there is none; a Secret as it is."""
    return password if password is None or isinstance(password, Secret) else Secret(password)
