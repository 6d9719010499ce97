"""No unit is read beside a name: each lies between two pages of memory that nobody may touch."""

from __future__ import annotations

import sys

import pytest

from fresh_python import output_of

_SCRIPT = r"""
import ctypes, mmap, pickle, sys
from netapi_table import Table
from netsession import _netsession, where

class Info(ctypes.Structure):  # SESSION_INFO_502
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("client_name", "user_name")),
        *((name, ctypes.c_uint32) for name in ("num_opens", "time", "idle_time", "user_flags")),
        *((name, ctypes.c_void_p) for name in ("client_type", "transport")),
    ]

mprotect, kept = ctypes.CDLL(None).mprotect, []

def fenced(text, at_end):
    data = (text + "\0").encode("utf-16-le", "surrogatepass")
    area = mmap.mmap(-1, 3 * mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    for fence in (start, start + 2 * mmap.PAGESIZE):
        assert mprotect(ctypes.c_void_p(fence), ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    at = 2 * mmap.PAGESIZE - len(data) if at_end else mmap.PAGESIZE
    area[at : at + len(data)] = data
    kept.append(area)
    return start + at

NAMES = ["a" * length for length in range(18)]
NAMES += ["\xe9", "山", "a😀", "\ud83d", "\udc00", "\\", "\\\\", "D\\a", "@", "a@", "a@d",
          "m+alice", "/alice", "$", "x$", "x$@d", "[", "[]", "[::1]", "::", ":", "1.2.3.4", "1.",
          "fe80::1%e", "fe80::1%", "%", "*", "?"]
PATTERNS = [
    *({"user": name} for name in ("a" * 40, "team+alice", "D\\a", "a*", "*e", "a@d", "*?\\*")),
    *({"client": name} for name in ("a" * 40, "*aa", "::1", "fe80::1%eth0", "1.2.3.4", "?", "fe*")),
    {"exclude_machine_accounts": True},
]

for at_end in (True, False):
    fences = [fenced(name, at_end) for name in NAMES]
    entries = (Info * len(NAMES))()
    for entry, fence in zip(entries, fences):
        entry.client_name = entry.user_name = entry.client_type = entry.transport = fence

    def session_enum(*arguments):
        arguments[5][0] = ctypes.addressof(entries)
        arguments[7][0] = len(entries)
        return 0

    table = Table(session_enum=session_enum)
    page = next(_netsession.SessionCursor(table.netapi, None, None, None, 502, 0xFFFFFFFF))
    assert [record.user_name for record in page] == NAMES
    assert [each["transport"] for each in page.as_dicts()] == NAMES
    assert list(pickle.loads(pickle.dumps(page))) == list(page)
    assert sys.getsizeof(page) > 100
    page.__arrow_c_array__()
    for pattern in PATTERNS:
        condition = where(**pattern)
        expected = [record for record in page if condition(record)]
        assert list(condition._matcher(None).filter(page)) == expected, pattern
    del page  # before the table that it calls
print(len(kept))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="calls mprotect() as Linux has it")
def test_no_unit_is_read_beside_a_name() -> None:
    assert int(output_of(_SCRIPT)) > 80
