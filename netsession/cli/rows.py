"""Records of fields that are known only while the command runs."""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_new_type: Any = namedtuple  # mypy knows only types that are spelled out


def row_type(name: str, fields: Iterable[str]) -> Any:
    """A namedtuple: whatever writes records writes its rows, by their fields."""
    return _new_type(name, fields)
