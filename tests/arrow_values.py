"""What sessions are in Arrow, told a second time: for the tests of pages and of fleets."""

from __future__ import annotations

import importlib
import itertools
from datetime import timedelta
from typing import Any

import pytest

from netsession import SessionPage

LEVELS = (0, 1, 2, 10, 502)
UNKNOWN = 0xFFFFFFFF

#: The fields of level 502 and their Arrow formats.
FORMATS = {
    "client_name": "u",
    "user_name": "u",
    "num_opens": "I",
    "active_time": "tDs",
    "idle_time": "tDs",
    "user_flags": "I",
    "client_type": "u",
    "transport": "u",
}

# What strings can be: none, empty, of one to four bytes a character, half a pair in every place,
# long enough that a column must grow several times.
_STRINGS = (
    *(None, "", "a", "\x01\x7f", "\x80\u07ff", "\u0800\uffff", "zoë 山田", "\U00010000\U0010ffff"),
    *("\ud800", "\udfff", "\udc00\ud800", "a\ud83d", "\ud83db", "\ude00\U0001f600\ud83d"),
    *("x" * 5000, "é" * 3000, "山" * 3000, "\U0001f600" * 3000, "x" * 127, "y" * 129),
    # the last of one kind beside the first of the next
    *("\x7f" * 9 + "\x80" * 9, "\ud800\ue000\ud83d\udbff\uffff", "\udc00\udc00\udbff"),
    "\U00010000\U0010fc00\U000103ff\U0010ffff\ud7ff\ue000",
)
_NUMBERS = (0, 1, 2**31 - 1, 2**31, UNKNOWN - 1, UNKNOWN)


def odd_sessions() -> list[dict[str, Any]]:
    """Every string and number in every field, out of step."""
    assert all(len(values) % 5 for values in (_STRINGS, _NUMBERS))  # a row takes five of each
    strings, numbers = itertools.cycle(_STRINGS), itertools.cycle(_NUMBERS)
    sessions = []
    for _ in range(len(_STRINGS) * len(_NUMBERS) * 2):
        values = {name: next(strings if f == "u" else numbers) for name, f in FORMATS.items()}
        sessions.append(values)
        next(strings), next(numbers)
    return sessions


def arrow_value(name: str, value: str | int | None) -> str | int | None:
    """What a record's value is in Arrow."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if value == UNKNOWN and name in ("active_time", "idle_time"):
        return None
    return value


def expected_rows(page: SessionPage) -> list[tuple[str | int | None, ...]]:
    return [
        tuple(arrow_value(name, value) for name, value in record._asdict().items())
        for record in page
    ]


def python_value(name: str, value: str | int | None) -> Any:
    if value is not None and FORMATS[name] == "tDs":
        return timedelta(seconds=int(value))
    return value


def import_consumer(name: str, minimum: int = 0) -> Any:
    try:
        module = importlib.import_module(name)
    except ImportError:
        pytest.skip(f"{name} is not installed (PyPI: {name})")
    if int(module.__version__.split(".")[0]) < minimum:
        pytest.skip(f"{name} {module.__version__} is installed (PyPI: {name}>={minimum})")
    return module
