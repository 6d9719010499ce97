"""Text that a server sent, made safe and readable for a terminal."""

from __future__ import annotations

from netsession.records import UNKNOWN_TIME, bare_client, is_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Zero width non-joiner and joiner: Persian, Hindi and their kin are written with them.
_JOINERS = "\u200c\u200d"
# Printable to Python, but nothing or a blank to the eye: fillers, a Braille blank and their kin.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# Variation selectors: which form a character before them has.
_SELECTORS = frozenset(
    map(chr, (*range(0x180B, 0x180E), 0x180F, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)
_HARD_TO_SEE = _UNSEEN | _SELECTORS
_BLANK = r"\x20"  # before a text, or behind it
NOTHING = "-"  # a name or time that the server did not give


def visible(text: str) -> str:
    """The text with all that is not printable, or not to be seen, as backslash escapes.

    So a hostile name cannot send escape sequences, start lines, turn the direction of writing,
    break the encoding (lone surrogates) or look like another one by what shows nothing, such as
    blanks around it. Joiners that stand between letters of a script that uses them are letters'
    business, and stay; so do variation selectors where they select.
    """
    bare = text.strip(" ")
    if len(bare) == len(text):
        return _visible(text)
    before = len(text) - len(text.lstrip(" "))
    return _BLANK * before + _visible(bare) + _BLANK * (len(text) - before - len(bare))


def _visible(text: str) -> str:
    if text.isprintable() and _HARD_TO_SEE.isdisjoint(text):
        return text
    return "".join(
        char if _is_seen(char, text, place) else char.encode("unicode_escape").decode()
        for place, char in enumerate(text)
    )


def _is_seen(char: str, text: str, place: int) -> bool:
    if char in _JOINERS:
        return _joins(text, place)
    if char in _SELECTORS:
        return _selects(text, place)
    return char.isprintable() and char not in _UNSEEN


def _selects(text: str, place: int) -> bool:
    """Whether a selector stands behind what may have forms: a symbol, a letter without case."""
    from unicodedata import category

    return place > 0 and not text[place - 1].isascii() and category(text[place - 1]) in ("Lo", "So")


def _joins(text: str, place: int) -> bool:
    """Whether a joiner stands between letters, which may wear marks, that are not ASCII."""
    from unicodedata import category  # few names need it

    before, after = text[max(place - 1, 0) : place], text[place + 1 : place + 2]
    if not before or not after or before.isascii() or after.isascii():
        return False
    return category(before)[0] in "LM" and category(after)[0] == "L"


def duration(seconds: int) -> str:
    """Seconds as the two largest units of days, hours, minutes and seconds: ``8d 06h``."""
    if seconds == UNKNOWN_TIME:
        return NOTHING
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour:02}h"
    if hours:
        return f"{hours}h {minute:02}m"
    if minutes:
        return f"{minutes}m {second:02}s"
    return f"{seconds}s"


def flags(value: int) -> str:
    """SESS_* flags by name, bits without a name as a number."""
    if not value:
        return ""
    from netsession.flags import SessionFlags

    names = [flag.name or "" for flag in SessionFlags if value & flag]
    rest = value & ~sum(flag for flag in SessionFlags if value & flag)
    return "+".join([*names, hex(rest)] if rest else names).lower()


# How numbers are shown that are not shown as they are; a field unknown here is.
_SHOWN: dict[str, Callable[[Any], str]] = {
    "active_time": duration,
    "idle_time": duration,
    "longest_active_time": duration,
    "longest_idle_time": duration,
    "user_flags": flags,
}
_HEADINGS = {
    "client_name": "CLIENT",
    "user_name": "USER",
    "num_opens": "OPENS",
    "active_time": "ACTIVE",
    "idle_time": "IDLE",
    "user_flags": "FLAGS",
    "client_type": "TYPE",
    "host_name": "HOST",
    "collected_at": "COLLECTED",
    "longest_active_time": "LONGEST ACTIVE",
    "longest_idle_time": "LONGEST IDLE",
}


_COUNTS = ("sessions", "clients", "users")  # of a group


def heading(field: str) -> str:
    """The heading of a column."""
    return _HEADINGS.get(field, field.upper())


def is_number(field: str) -> bool:
    """Whether a field is a number for people: those are aligned to the right."""
    return field.startswith("num_") or field in _COUNTS or is_time(field)


def is_integer(field: str) -> bool:
    """Whether a field is a DWORD; the others are strings."""
    return is_number(field) or field.endswith("_flags") or field == "level"


def shown(field: str, value: str | int | None, longest: int, mark: str) -> str:
    """A field's value for people; of a string so many characters, and where it is cut the mark."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        text = bare_client(value) if field == "client_name" else value
        return visible(text) if len(text) <= longest else visible(text[:longest]) + mark
    show = _SHOWN.get(field)
    return str(value) if show is None else show(value)


def counted(count: int) -> str:
    """A number of sessions in words."""
    return f"{count:,} session{'' if count == 1 else 's'}"
