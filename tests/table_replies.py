"""Replies that are made to be large when printed as a table; how large they came."""

from __future__ import annotations

from typing import Any

Sessions = list[dict[str, Any]]

LONG = 50_000
NAMES = ("client_name", "user_name", "client_type", "transport")
CHARACTERS = {"wide": "\u4e2d", "no width": "\u0301", "control": "\x1b", "astral": "\U0001f600"}
CASES = ["one long name", "one of each field", "nothing but one", "all long", *CHARACTERS]


def replies(case: str) -> Sessions:
    short: Sessions = [{"client_name": f"W{i}", "user_name": "u"} for i in range(1000)]
    if case == "one long name":
        short[500]["user_name"] = "x" * LONG
    elif case == "one of each field":
        short[500] = dict.fromkeys(NAMES, "x" * LONG)
    elif case == "nothing but one":
        short = [dict.fromkeys(NAMES) for _ in range(3000)]
        short[500] = dict.fromkeys(NAMES, "x" * LONG)
    elif case == "all long":
        short = [{"client_name": f"{i}" + "c" * 2000, "user_name": "u" * 2000} for i in range(100)]
    else:
        short[500]["user_name"] = CHARACTERS[case] * LONG
        short[501] = {"client_name": CHARACTERS[case] * 90, "user_name": CHARACTERS[case] * 60}
    return short


def size(sessions: Sessions) -> int:
    """The bytes of the SESSION_INFO_502 array and its UTF-16 strings."""
    names = (name for row in sessions for name in row.values() if isinstance(name, str))
    return 32 * len(sessions) + sum(len(name.encode("utf-16-le")) + 2 for name in names)
