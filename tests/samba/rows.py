"""Sessions to serve: made up, realistic, and the same in every run.

The first dozen are the awkward ones: NULL and empty strings, names of every parity, characters
beyond the BMP, lone surrogates, counters at the ends of their range. After these come ordinary
ones.
"""

from __future__ import annotations

from ndr_reference import FIELDS, Row, Value

_AWKWARD: tuple[dict[str, Value], ...] = (
    {"client_name": None, "user_name": None, "client_type": None, "transport": None},
    {"client_name": "", "user_name": "", "client_type": "", "transport": ""},
    {"client_name": "\\\\A", "user_name": "b", "client_type": "c", "transport": "d"},
    {"client_name": "\\\\AB", "user_name": "ab", "client_type": "abc", "transport": "abcd"},
    {"client_name": "\\\\[2001:db8::5]", "user_name": "ANONYMOUS LOGON"},
    {"client_name": "\\\\[fe80::1%12]", "user_name": "FS01$", "num_opens": 0x7FFFFFFF},
    {"user_name": "\U0001f98a\U0001d518 na\u00efve \u738b", "client_type": "\U00010000"},
    {"active_time": 0xFFFFFFFF, "idle_time": 0xFFFFFFFF, "num_opens": 0xFFFFFFFF},
    {"active_time": 0x80000000, "idle_time": 0, "user_flags": 0xFFFFFFFF},
    {"user_name": "x" * 256, "client_name": "\\\\" + "W" * 253, "user_flags": 3},
    {"user_name": "CORP\\\u00e9l\u00e9onore", "user_flags": 1, "client_type": None},
)

#: Names that are no Unicode text; servers pass on what they were given. Samba's bindings, which
#: are part of the cross-check, cannot read these, so they are asked for separately.
_ILL_FORMED: tuple[dict[str, Value], ...] = (
    {"client_name": "\\\\\ud800", "user_name": "\udc00x", "client_type": "a\udfffb"},
    {"client_name": "\\\\WS\udbff", "user_name": "\udc00\ud800", "transport": "\ud83e"},
)

_TYPES = ("", "", "Windows 2002 Service Pack 2", "DOS LM 2.1", "Windows NT 1381")
_TRANSPORTS = ("\\Device\\NetbiosSmb", "\\Device\\NetBT_Tcpip_{4B2F-11D3}", "")


def _ordinary(index: int) -> dict[str, Value]:
    return {
        "client_name": f"\\\\10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}",
        "user_name": f"user{index * 7919 % 3001:04d}",
        "num_opens": index * 31 % 97,
        "active_time": index * 7907 % 1_000_003,
        "idle_time": index * 104_729 % 3_600,
        "user_flags": index % 4,
        "client_type": _TYPES[index % len(_TYPES)],
        "transport": _TRANSPORTS[index % len(_TRANSPORTS)],
    }


def make_rows(level: int, count: int, *, well_formed: bool = False) -> list[Row]:
    """``count`` sessions with the fields of a level; all different where the level can show it."""
    awkward = _AWKWARD if well_formed else _AWKWARD + _ILL_FORMED
    names = [name for name, _ in FIELDS[level]]
    rows: list[Row] = []
    for index in range(count):
        row = _ordinary(index)
        if index < len(awkward):
            row |= awkward[index]
        rows.append({name: row[name] for name in names})
    return rows
