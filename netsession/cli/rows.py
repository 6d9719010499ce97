"""Records of fields that are known only while the command runs."""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

#: A namedtuple: whatever writes records writes its rows, by their fields. To mypy, which knows only
#: types that are spelled out, it may be anything.
row_type: Callable[[str, Iterable[str]], Any] = namedtuple
